//! Calls that make no sense: each says what is wrong with it, and nothing is sent.

use crate::common::{Broker, HostBuilder, Peer, base_answer};
use crate::stage::Session;
use serde_json::json;

#[test]
fn each_wrong_call_is_told_what_is_wrong() {
    let broker = Broker::start();
    let _hosts = [("web1", "web"), ("web2", "web")]
        .map(|(name, role)| HostBuilder::new(&broker, name, "test", role).start());
    let mut session = Session::open(&broker);
    for (tool, arguments, texts) in [
        ("deploy", json!({}), ["exactly one of hostname, all and role", "given: none"]),
        ("deploy", json!({"all": false}), ["exactly one of", "given: none"]),
        ("deploy", json!({"hostname": "web1", "all": true}), ["given: hostname and all", "Nothing was sent"]),
        (
            "deploy",
            json!({"hostname": "web1", "role": "web"}),
            ["given: hostname and role", "Nothing was sent"],
        ),
        ("deploy", json!({"all": true, "role": "web"}), ["given: all and role", "Nothing was sent"]),
        ("deploy", json!({"hostnme": "web1"}), ["unknown field `hostnme`", "`hostname`"]),
        (
            "deploy",
            json!({"hostname": "web1", "tier": "prod"}),
            ["unknown field `tier`", "deploy was called wrongly"],
        ),
        ("deploy", json!({"hostname": 5}), ["hostname: invalid type: integer `5`", "expected a string"]),
        (
            "deploy",
            json!({"hostname": "web1.test"}),
            ["hostname: \"web1.test\" is not a name", "letters, digits"],
        ),
        ("deploy", json!({"hostname": "all"}), ["reserved word", "hostname"]),
        (
            "deploy",
            json!({"hostname": "web9"}),
            ["no host web9 answers or is known", "did you mean web1, web2?"],
        ),
        ("deploy", json!({"hostname": "mailserver"}), ["no host mailserver", "list_hosts lists them"]),
        ("deploy", json!({"role": "dns"}), ["no host of tier test with role dns", "nothing was sent"]),
        (
            "deploy",
            json!({"hostname": "web1", "action": "reboot"}),
            ["action: unknown variant `reboot`", "dry-activate"],
        ),
        (
            "deploy",
            json!({"hostname": "web1", "branch": "a b"}),
            ["branch: \"a b\" is not a revision", "deploy was called"],
        ),
        (
            "deploy",
            json!({"hostname": "web1", "branch": "1a2b3c4"}),
            ["looks like a short commit", "40 digits"],
        ),
        ("list_hosts", json!({"role": "web"}), ["list_hosts was called wrongly", "unknown field `role`"]),
        ("host_status", json!({}), ["host_status was called wrongly", "missing field `hostname`"]),
        ("host_status", json!({"hostname": "web9"}), ["no host web9", "did you mean"]),
        ("host_status", json!({"hostname": "web1", "wait_s": 4000}), ["wait_s is 4000", "0 to 3600"]),
        ("host_status", json!({"hostname": "web1", "wait_s": -1}), ["wait_s: invalid value", "`-1`"]),
        (
            "host_status",
            json!({"hostname": "web1", "deployment": "no-such"}),
            ["web1 knows no deployment no-such", "host_history"],
        ),
        ("host_logs", json!({"hostname": "web1"}), ["no job has run on web1 yet", "no log"]),
        (
            "host_logs",
            json!({"hostname": "web1", "deployment": "no-such"}),
            ["keeps no log of deployment no-such", "host_history"],
        ),
        ("host_logs", json!({"hostname": "web1", "lines": 0}), ["lines is 0", "1 to 1000"]),
        ("host_history", json!({"hostname": "web1", "limit": 201}), ["limit is 201", "1 to 200"]),
    ] {
        let answer = session.call(tool, &arguments);
        answer.refused(&texts);
        if tool == "deploy" {
            assert!(session.audited()["result"].as_str().unwrap().contains(texts[0]), "{arguments}");
        }
    }
    for host in ["web1", "web2"] {
        let history = session.call("host_history", &json!({"hostname": host}));
        assert_eq!(history.done()["jobs"], json!([]));
    }
}

#[test]
fn a_tool_that_does_not_exist_is_an_error_of_the_protocol() {
    let broker = Broker::start();
    let mut session = Session::open(&broker);
    for (name, meant) in
        [("deplo", "did you mean deploy?"), ("make_coffee", "did you mean deploy, list_hosts")]
    {
        let answer = session.ask("tools/call", &json!({"name": name}));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(name) && message.contains(meant), "{message}");
    }
    let answer = session.ask("tools/shout", &json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}

#[test]
fn of_two_hosts_of_one_name_none_is_deployed_to() {
    let broker = Broker::start();
    let peers = ["one", "two"].map(|instance| {
        let mut answer = base_answer("web1", "test", "web");
        answer["instance"] = json!(instance);
        Peer::start(&broker, answer, |_| Vec::new())
    });
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["2 listeners claim the name web1", "nothing was sent"]);
    let hosts = session.call("list_hosts", &json!({}));
    assert_eq!(hosts.done()["hosts"][0]["two_of_one_name"], true);
    assert_eq!(peers.map(|peer| peer.others()), [0, 0]);
}

#[test]
fn null_counts_as_absent_and_a_whole_number_may_be_a_float() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut session = Session::open(&broker);
    let deploy = json!({"hostname": "web1", "all": null, "role": null, "branch": null, "action": null});
    session.call("deploy", &deploy).done();
    for (tool, arguments) in [
        ("host_status", json!({"hostname": "web1", "deployment": null, "wait_s": null})),
        ("host_status", json!({"hostname": "web1", "wait_s": 1.0})),
        ("host_logs", json!({"hostname": "web1", "deployment": null, "lines": null, "offset": null})),
        ("host_logs", json!({"hostname": "web1", "lines": 5.0, "offset": 0.0})),
        ("host_history", json!({"hostname": "web1", "limit": null})),
        ("list_hosts", json!({"tier": null})),
    ] {
        session.call(tool, &arguments).done();
    }
    session.call("host_logs", &json!({"hostname": "web1", "lines": 5.5})).refused(&["lines: invalid type"]);
    session.call("host_status", &json!({"hostname": null})).refused(&["missing field `hostname`"]);
}

#[test]
fn what_a_client_adds_for_itself_is_ignored_with_a_note() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut session = Session::open(&broker);
    let answer = session.call("list_hosts", &json!({"task_progress": "- [ ] look", "x-trace": 7}));
    assert_eq!(answer.done()["hosts"][0]["hostname"], "web1");
    let note = "note: list_hosts has no argument \"task_progress\" and 1 more; ignored";
    assert_eq!(answer.texts(), [answer.text(), note]);
    // What looks like an argument was meant as one.
    session.call("list_hosts", &json!({"teir": "test"})).refused(&["unknown field `teir`"]);
}
