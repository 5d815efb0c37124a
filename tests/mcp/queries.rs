//! Queries for hosts, their jobs and their history.

use crate::common::{FakeListener, HostBuilder, NatsServer, base_presence, base_report};
use crate::harness::Session;
use serde_json::{Value, json};

#[test]
fn hosts_are_listed_with_their_state() {
    let nats = NatsServer::start();
    let _hosts = [
        HostBuilder::new(&nats, "web1", "test", "web").start(),
        HostBuilder::new(&nats, "ns1", "prod", "dns").start(),
    ];
    let mut session = Session::open(&nats);
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
    assert_eq!((none.text(), &none.done()["hosts"]), ("no known host in tier staging", &json!([])));
}

#[test]
fn a_base_listener_that_replies_is_left_out_of_another_tier() {
    let nats = NatsServer::start();
    let old = base_presence("old1", "test", "legacy");
    let _old = FakeListener::start(&nats, old.clone(), move |_| vec![old.clone()]);
    let _ns1 = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let mut session = Session::open(&nats);
    for (tier, host) in [("prod", "ns1"), ("test", "old1")] {
        let listed = session.call("list_hosts", &json!({"tier": tier}));
        let names: Vec<_> =
            listed.done()["hosts"].as_array().unwrap().iter().map(|host| &host["hostname"]).collect();
        assert_eq!(names, [host]);
    }
}

#[test]
fn an_offline_host_is_listed_and_counts() {
    let nats = NatsServer::start();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    session.connected();
    host.terminate();
    host.wait_for_exit();
    let listed = session.call("list_hosts", &json!({}));
    let web = &listed.done()["hosts"][0];
    assert_eq!(web["presence"], "offline");
    assert!(web["last_seen"].is_string(), "{web:#}");
    session.call("host_status", &json!({"hostname": "web1"})).refused(&["web1 does not reply"]);
    let answer = session.call("deploy", &json!({"all": true}));
    assert_eq!(answer.failed()["hosts"][0]["result"], "silent");
    assert!(answer.text().ends_with("web1: silent: no reply"), "{}", answer.text());
}

#[test]
fn a_failure_includes_its_reason_and_last_output() {
    let nats = NatsServer::start();
    let script = "echo '@homelab-deploy {\"phase\":\"build\"}'; echo 'no such attribute nginx2'; exit 1";
    let _hosts = [
        HostBuilder::new(&nats, "web1", "test", "web").script(script).start(),
        HostBuilder::new(&nats, "db1", "test", "db").start(),
    ];
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"all": true, "branch": "main"}));
    let [db, web] = [0, 1].map(|at| &answer.failed()["hosts"][at]);
    assert_eq!((&db["result"], &web["result"]), (&json!("completed"), &json!("failed")));
    assert_eq!((&web["job"]["phase"], &web["job"]["error"]), (&json!("build"), &json!("build_failed")));
    let expected = web["job"]["diagnostics"].as_str().unwrap();
    assert!(expected.contains("no such attribute nginx2"), "{expected}");
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
fn history_is_newest_first() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    let ids: Vec<Value> = ["one", "two", "three"]
        .map(|branch| {
            let answer = session.call("deploy", &json!({"hostname": "web1", "branch": branch}));
            answer.done()["deployment"].clone()
        })
        .into();
    let history = session.call("host_history", &json!({"hostname": "web1", "limit": 2}));
    let jobs = history.done()["jobs"].as_array().unwrap();
    let actual: Vec<_> =
        jobs.iter().map(|job| (&job["deployment"], &job["branch"], &job["issuer"])).collect();
    assert_eq!(actual, [(&ids[2], &json!("three"), &json!("mcp")), (&ids[1], &json!("two"), &json!("mcp"))]);
    let first = session.call("host_status", &json!({"hostname": "web1", "deployment": ids[0]}));
    assert_eq!(first.done()["job"]["branch"], "one");
}

#[test]
fn an_older_listener_supports_deployments_but_no_queries() {
    let nats = NatsServer::start();
    let _old = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |request| {
        if request["query"].is_string() {
            return vec![base_presence("old1", "test", "legacy")];
        }
        vec![
            base_report("old1", "accepted", None, "accepted"),
            base_report("old1", "failed", Some("build_failed"), "\u{1b}[31mbroken\u{1b}[0m\nas ever"),
        ]
    });
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"hostname": "old1"}));
    assert_eq!(answer.failed()["hosts"][0]["job"]["message"], "broken as ever");
    for tool in ["host_status", "host_history", "host_logs"] {
        session.call(tool, &json!({"hostname": "old1"})).refused(&["old1", "too old for this query"]);
    }
}

#[test]
fn a_dry_run_lists_its_changes() {
    let nats = NatsServer::start();
    let _host = FakeListener::start(&nats, base_presence("web1", "test", "web"), |request| {
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
    let mut session = Session::open(&nats);
    let answer = session.call("deploy", &json!({"hostname": "web1", "action": "dry-activate"}));
    let changes =
        "  units to restart: nginx.service, sshd.service\n  packages: nginx 1.26.2 -> 1.27.0, jq none -> 1.7";
    assert!(answer.text().ends_with(changes), "{}", answer.text());
    let actual = &answer.done()["hosts"][0]["job"]["changes"];
    assert_eq!(actual["units_restarted"], json!(["nginx.service", "sshd.service"]));
    assert_eq!((&actual["bytes"], actual.get("units_stopped")), (&json!(4096), None));
}
