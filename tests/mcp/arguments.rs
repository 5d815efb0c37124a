//! Invalid calls: each error names the problem, and nothing is sent.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence, eventually};
use crate::harness::Session;
use serde_json::json;

#[test]
fn each_invalid_call_is_explained() {
    let nats = NatsServer::start();
    let _hosts = [("web1", "web"), ("web2", "web")]
        .map(|(name, role)| HostBuilder::new(&nats, name, "test", role).start());
    let mut session = Session::open(&nats);
    for (tool, arguments, texts) in [
        ("deploy", json!({}), ["exactly one of hostname, all and role", "got none"]),
        ("deploy", json!({"all": false}), ["exactly one of", "got none"]),
        ("deploy", json!({"hostname": "web1", "all": true}), ["got hostname and all", "nothing was sent"]),
        ("deploy", json!({"hostname": "web1", "role": "web"}), ["got hostname and role", "nothing was sent"]),
        ("deploy", json!({"all": true, "role": "web"}), ["got all and role", "nothing was sent"]),
        ("deploy", json!({"hostnme": "web1"}), ["unknown field `hostnme`", "`hostname`"]),
        (
            "deploy",
            json!({"hostname": "web1", "tier": "prod"}),
            ["unknown field `tier`", "invalid arguments for deploy"],
        ),
        ("deploy", json!({"hostname": 5}), ["hostname: invalid type: integer `5`", "expected a string"]),
        (
            "deploy",
            json!({"hostname": "web1.test"}),
            ["hostname: \"web1.test\" is not a name", "letters, digits"],
        ),
        ("deploy", json!({"hostname": "all"}), ["reserved word", "hostname"]),
        ("deploy", json!({"hostname": "web9"}), ["unknown host web9", "did you mean web1, web2?"]),
        (
            "deploy",
            json!({"hostname": "mailserver"}),
            ["unknown host mailserver", "list_hosts shows the known hosts"],
        ),
        ("deploy", json!({"role": "dns"}), ["no known host in tier test with role dns", "nothing was sent"]),
        (
            "deploy",
            json!({"hostname": "web1", "action": "reboot"}),
            ["action: unknown variant `reboot`", "dry-activate"],
        ),
        (
            "deploy",
            json!({"hostname": "web1", "branch": "a b"}),
            ["branch: \"a b\" is not a revision", "invalid arguments for deploy"],
        ),
        (
            "deploy",
            json!({"hostname": "web1", "branch": "1a2b3c4"}),
            ["looks like a short commit", "40 digits"],
        ),
        ("list_hosts", json!({"role": "web"}), ["invalid arguments for list_hosts", "unknown field `role`"]),
        ("host_status", json!({}), ["invalid arguments for host_status", "missing field `hostname`"]),
        ("host_status", json!({"hostname": "web9"}), ["unknown host web9", "did you mean"]),
        ("host_status", json!({"hostname": "web1", "wait_s": 4000}), ["invalid wait_s 4000", "0 to 3600"]),
        ("host_status", json!({"hostname": "web1", "wait_s": -1}), ["wait_s: invalid value", "`-1`"]),
        (
            "host_status",
            json!({"hostname": "web1", "deployment": "no-such"}),
            ["web1 has no job of deployment no-such", "host_history"],
        ),
        ("host_logs", json!({"hostname": "web1"}), ["no job has run on web1 yet", "no log"]),
        (
            "host_logs",
            json!({"hostname": "web1", "deployment": "no-such"}),
            ["has no log of deployment no-such", "host_history"],
        ),
        ("host_logs", json!({"hostname": "web1", "lines": 0}), ["invalid lines 0", "1 to 1000"]),
        ("host_history", json!({"hostname": "web1", "limit": 201}), ["invalid limit 201", "1 to 200"]),
    ] {
        let answer = session.call(tool, &arguments);
        answer.refused(&texts);
        if tool == "deploy" {
            assert!(session.audit_line()["result"].as_str().unwrap().contains(texts[0]), "{arguments}");
        }
    }
    for host in ["web1", "web2"] {
        let history = session.call("host_history", &json!({"hostname": host}));
        assert_eq!(history.done()["jobs"], json!([]));
    }
}

#[test]
fn an_unknown_tool_is_a_protocol_error() {
    let nats = NatsServer::start();
    let mut session = Session::open(&nats);
    for (name, meant) in
        [("deplo", "did you mean deploy?"), ("make_coffee", "did you mean deploy, list_hosts")]
    {
        let answer = session.request("tools/call", &json!({"name": name}));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(name) && message.contains(meant), "{message}");
    }
    let answer = session.request("tools/shout", &json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}

#[test]
fn hosts_with_a_name_conflict_are_not_deployed_to() {
    let nats = NatsServer::start();
    let peers = ["one", "two"].map(|instance| {
        let mut answer = base_presence("web1", "test", "web");
        answer["instance"] = json!(instance);
        FakeListener::start(&nats, answer, |_| Vec::new())
    });
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    answer.refused(&["2 listeners claim the name web1", "nothing was sent"]);
    // A query waits for one answer of each known name, so it may miss the second listener.
    eventually("the name conflict", || {
        let hosts = session.call("list_hosts", &json!({}));
        (hosts.done()["hosts"][0]["name_conflict"] == true).then_some(())
    });
    assert_eq!(peers.map(|peer| peer.unread_requests()), [0, 0]);
}

#[test]
fn null_and_empty_strings_count_as_absent_and_a_whole_number_may_be_a_float() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    let deploy = json!({"hostname": "web1", "all": null, "role": null, "branch": null, "action": null});
    session.call("deploy", &deploy).done();
    let deploy = json!({"hostname": "web1", "all": false, "role": "", "branch": "", "action": ""});
    session.call("deploy", &deploy).done();
    for (tool, arguments) in [
        ("list_hosts", json!({"tier": ""})),
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
    session.call("host_status", &json!({"hostname": ""})).refused(&["missing field `hostname`"]);
    session.call("deploy", &json!({"hostname": "", "role": ""})).refused(&["exactly one of", "got none"]);
}

#[test]
fn unknown_arguments_of_a_client_are_ignored_with_a_note() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    let answer = session.call("list_hosts", &json!({"task_progress": "- [ ] look", "x-trace": 7}));
    assert_eq!(answer.done()["hosts"][0]["hostname"], "web1");
    let note = "note: list_hosts has no argument \"task_progress\" and 1 more; ignored";
    assert_eq!(answer.texts(), [answer.text(), note]);
    // A name that resembles an argument was probably meant as one.
    session.call("list_hosts", &json!({"teir": "test"})).refused(&["unknown field `teir`"]);
}
