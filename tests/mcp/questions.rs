//! What is told of hosts, their jobs and their past.

use crate::common::{Broker, HostBuilder, Peer, base_answer, base_report};
use crate::stage::Session;
use serde_json::{Value, json};

#[test]
fn hosts_are_listed_with_what_is_known_of_them() {
    let broker = Broker::start();
    let _hosts = [
        HostBuilder::new(&broker, "web1", "test", "web").start(),
        HostBuilder::new(&broker, "ns1", "prod", "dns").start(),
    ];
    let mut session = Session::open(&broker);
    session.call("deploy", &json!({"hostname": "web1", "branch": "main"})).done();
    let all = session.call("list_hosts", &json!({}));
    let names: Vec<_> =
        all.done()["hosts"].as_array().unwrap().iter().map(|host| &host["hostname"]).collect();
    assert_eq!(names, ["ns1", "web1"]);
    let web = &all.done()["hosts"][1];
    assert_eq!(
        (&web["tier"], &web["role"], &web["presence"]),
        (&json!("test"), &json!("web"), &json!("online"))
    );
    assert_eq!((&web["job"]["status"], &web["job"]["issuer"]), (&json!("completed"), &json!("mcp")));
    assert!(web["job"].get("phases").is_none(), "{web:#}");
    assert!(all.text().starts_with("2 hosts\nns1 (prod, dns): online"), "{}", all.text());
    let prod = session.call("list_hosts", &json!({"tier": "prod"}));
    assert_eq!(prod.done()["hosts"].as_array().unwrap().len(), 1);
    let none = session.call("list_hosts", &json!({"tier": "staging"}));
    assert_eq!(
        (none.text(), &none.done()["hosts"]),
        ("no host of tier staging answers or is known", &json!([]))
    );
}

#[test]
fn a_base_listener_is_left_out_of_another_tier_though_it_replies() {
    let broker = Broker::start();
    let old = base_answer("old1", "test", "legacy");
    let _old = Peer::start(&broker, old.clone(), move |_| vec![old.clone()]);
    let _ns1 = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let mut session = Session::open(&broker);
    for (tier, host) in [("prod", "ns1"), ("test", "old1")] {
        let listed = session.call("list_hosts", &json!({"tier": tier}));
        let names: Vec<_> =
            listed.done()["hosts"].as_array().unwrap().iter().map(|host| &host["hostname"]).collect();
        assert_eq!(names, [host]);
    }
}

#[test]
fn a_host_that_has_gone_is_listed_and_counts() {
    let broker = Broker::start();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut session = Session::open(&broker);
    session.connected();
    host.terminate();
    host.ended();
    let listed = session.call("list_hosts", &json!({}));
    let web = &listed.done()["hosts"][0];
    assert_eq!(web["presence"], "offline");
    assert!(web["last_seen"].is_string(), "{web:#}");
    session.call("host_status", &json!({"hostname": "web1"})).refused(&["web1 does not answer"]);
    let answer = session.call("deploy", &json!({"all": true}));
    assert_eq!(answer.failed()["hosts"][0]["verdict"], "silent");
    assert!(answer.text().ends_with("web1: silent: it never answered"), "{}", answer.text());
}

#[test]
fn a_failure_is_told_with_its_reason_and_last_output() {
    let broker = Broker::start();
    let script = "echo '@homelab-deploy {\"phase\":\"build\"}'; echo 'no such attribute nginx2'; exit 1";
    let _hosts = [
        HostBuilder::new(&broker, "web1", "test", "web").script(script).start(),
        HostBuilder::new(&broker, "db1", "test", "db").start(),
    ];
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"all": true, "branch": "main"}));
    let [db, web] = [0, 1].map(|at| &answer.failed()["hosts"][at]);
    assert_eq!((&db["verdict"], &web["verdict"]), (&json!("completed"), &json!("failed")));
    assert_eq!((&web["job"]["phase"], &web["job"]["error"]), (&json!("build"), &json!("build_failed")));
    let said = web["job"]["diagnostics"].as_str().unwrap();
    assert!(said.contains("no such attribute nginx2"), "{said}");
    let id = answer.failed()["deployment"].as_str().unwrap();
    assert!(
        answer.text().starts_with(&format!("deployment {id}: 1 completed, 1 failed\n")),
        "{}",
        answer.text()
    );
    let status = session.call("host_status", &json!({"hostname": "web1"}));
    assert_eq!(status.done()["job"]["deployment"], id);
    assert!(status.text().contains("no such attribute nginx2"), "{}", status.text());
    let phases: Vec<_> = status.done()["job"]["phases"].as_array().unwrap().iter().collect();
    assert!(phases.iter().any(|phase| phase["name"] == "build" && phase["state"] == "failed"), "{phases:#?}");
}

#[test]
fn the_past_is_told_newest_first() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut session = Session::open(&broker);
    let ids: Vec<Value> = ["one", "two", "three"]
        .map(|branch| {
            let answer = session.call("deploy", &json!({"hostname": "web1", "branch": branch}));
            answer.done()["deployment"].clone()
        })
        .into();
    let history = session.call("host_history", &json!({"hostname": "web1", "limit": 2}));
    let jobs = history.done()["jobs"].as_array().unwrap();
    let told: Vec<_> = jobs.iter().map(|job| (&job["deployment"], &job["branch"], &job["issuer"])).collect();
    assert_eq!(told, [(&ids[2], &json!("three"), &json!("mcp")), (&ids[1], &json!("two"), &json!("mcp"))]);
    let first = session.call("host_status", &json!({"hostname": "web1", "deployment": ids[0]}));
    assert_eq!(first.done()["job"]["branch"], "one");
}

#[test]
fn an_older_listener_is_deployed_to_and_tells_no_more() {
    let broker = Broker::start();
    let _old = Peer::start(&broker, base_answer("old1", "test", "legacy"), |request| {
        if request["want"].is_string() {
            return vec![base_answer("old1", "test", "legacy")];
        }
        vec![
            base_report("old1", "accepted", None, "accepted"),
            base_report("old1", "failed", Some("build_failed"), "\u{1b}[31mbroken\u{1b}[0m\nas ever"),
        ]
    });
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"hostname": "old1"}));
    assert_eq!(answer.failed()["hosts"][0]["job"]["message"], "broken as ever");
    for tool in ["host_status", "host_history", "host_logs"] {
        session.call(tool, &json!({"hostname": "old1"})).refused(&["old1", "too old to tell"]);
    }
}

#[test]
fn what_a_deployment_would_change_is_told() {
    let broker = Broker::start();
    let _host = Peer::start(&broker, base_answer("web1", "test", "web"), |request| {
        let mut report = base_report("web1", "completed", None, "dry-activate done");
        report["id"] = request["id"].clone();
        report["action"] = json!("dry-activate");
        let nginx = json!({"name": "nginx", "from": "1.26.2", "to": "1.27.0"});
        report["changes"] = json!({
            "units_restarted": ["nginx.service", "sshd.service"],
            "packages": [nginx, {"name": "jq", "to": "1.7"}],
            "bytes": 4096,
        });
        vec![report]
    });
    let mut session = Session::open(&broker);
    let answer = session.call("deploy", &json!({"hostname": "web1", "action": "dry-activate"}));
    let changes = "  units that restart: nginx.service, sshd.service\n  packages: nginx 1.26.2 -> 1.27.0, jq none -> 1.7";
    assert!(answer.text().ends_with(changes), "{}", answer.text());
    let told = &answer.done()["hosts"][0]["job"]["changes"];
    assert_eq!(told["units_restarted"], json!(["nginx.service", "sshd.service"]));
    assert_eq!((&told["bytes"], told.get("units_stopped")), (&json!(4096), None));
}
