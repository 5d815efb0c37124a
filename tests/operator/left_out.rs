//! One host of a tier or role that cannot get a request does not stop the others.

use crate::common::{HostBuilder, NatsServer, RawClient, Repo, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::json;
use std::net::TcpListener;

const ALL: [&str; 4] = ["deploy", "--all", "--tier", "test"];

#[test]
fn two_hosts_with_one_name() {
    let nats = NatsServer::start();
    let _same = ["web1"; 2].map(|name| HostBuilder::new(&nats, name, "test", "web").start());
    let _other = HostBuilder::new(&nats, "web2", "test", "web").start();
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.web1");
    let ended = run(operator(&nats, "tester").args(ALL), 1);
    let advice = "); give each listener a different --hostname";
    ended.assert_stderr(&["note: web1 is left out: 2 listeners claim its name (instances ", advice]);
    assert!(ended.stdout.contains("\nweb2  completed"), "{ended}");
    assert!(ended.stdout.contains("left out: web1 (2 listeners claim its name"), "{ended}");
    wire.round_trip();
    assert_eq!(requests.received().len(), 0);
    // A named host is still an error.
    run(operator(&nats, "admin").args(["deploy", "web1", "web2"]), 2).assert_stderr(&["nothing was sent"]);
}

#[test]
fn a_host_without_its_usual_subject() {
    let nats = NatsServer::start();
    let key = nats.key("everything").display().to_string();
    let elsewhere = HostBuilder::new(&nats, "web1", "test", "web").flag("--nkey-file", &key);
    let _elsewhere = elsewhere.args(&["--deploy-subject", "deploy.test.somewhere"]).start();
    let _other = HostBuilder::new(&nats, "web2", "test", "web").start();
    let lines = run(operator(&nats, "tester").args(ALL).args(["--output", "json"]), 1).json();
    let reason = "it does not listen on deploy.test.web1 but on deploy.test.somewhere";
    let result = &lines.last().unwrap()["value"];
    assert_eq!(result["left_out"], json!([{"host": "web1", "reason": reason}]), "{result}");
    assert_eq!(result["hosts"][0]["result"], "completed", "{result}");
    let note = lines[0]["value"].as_str().unwrap();
    assert!(note.contains("set `subject = \"…\"` for it in [contexts.NAME.hosts]"), "{note}");
}

#[test]
fn a_listener_that_cannot_do_the_action() {
    let nats = NatsServer::start();
    let able = FakeHost::new("web1", "web", Behavior::Completes);
    let unable = FakeHost::new("web2", "web", Behavior::Completes).with("capabilities", json!(["build"]));
    let fake_hosts = FakeHosts::start(&nats, vec![able, unable]);
    let rollback =
        |targets: &[&str], code| run(operator(&nats, "tester").arg("rollback").args(targets), code);
    let ended = rollback(&["--all", "--tier", "test"], 1);
    ended.assert_stderr(&[
        "web2 is left out: its listener does not support `rollback`; update its listener, or use an action that \
         its rebuild program supports",
    ]);
    assert_eq!(fake_hosts.requested_hosts(), ["web1"], "{ended}");
    rollback(&["web1", "web2"], 2).assert_stderr(&[
        "the listener on web2 does not support `rollback`: it has a rebuild program, or must be updated; nothing was sent",
    ]);
}

#[test]
fn a_host_that_names_another_flake() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let other = format!("git+http://{}/x.git", elsewhere.local_addr().unwrap());
    let start = |first: &str| {
        let hosts = [("web1", first), ("web2", &repo.url())];
        let host = |(name, flake): (&str, &str)| {
            FakeHost::new(name, "web", Behavior::Completes).with("flake_url", flake)
        };
        FakeHosts::start(&nats, hosts.map(host).to_vec())
    };
    drop({
        let known = start(&repo.url());
        run(operator(&nats, "tester").arg("hosts"), 0);
        known
    });
    let fake_hosts = start(&other);
    for more in [&["--pin"][..], &["--batch", "1"]] {
        let ended = run(operator(&nats, "tester").args(ALL).args(["--branch", "master"]).args(more), 1);
        let refused =
            format!("note: web1 is left out: `web1` names the flake `{other}`, expected the flake ");
        ended.assert_stderr(&[&refused, "run `homelab-deploy hosts --forget web1`"]);
        let (host, request) = fake_hosts.request();
        assert_eq!((host.as_str(), &request["commit"]), ("web2", &json!(head)), "{ended}");
    }
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    assert!(elsewhere.accept().is_err(), "the other server was contacted");
    // Without a lookup, each host deploys its own flake.
    run(operator(&nats, "tester").args(ALL).args(["--branch", "master"]), 0);
}

#[test]
fn a_host_that_the_key_may_not_deploy_to() {
    let nats = NatsServer::start();
    let _prod = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    let _test = HostBuilder::new(&nats, "web1", "test", "web").start();
    let denied = "the server refused deploy.prod.ns1: this key has no permission to publish there";
    let deploy = ["deploy", "ns1", "web1", "--yes"];
    let ended = run(operator(&nats, "tester").args(deploy), 5);
    assert!(ended.stdout.contains("\nweb1  completed"), "{ended}");
    assert!(ended.stdout.contains(&format!("left out: ns1 ({denied})")), "{ended}");
    let lines = run(operator(&nats, "tester").args(deploy).args(["--output", "json"]), 5).json();
    let result = lines.last().unwrap();
    assert_eq!(result["exit"], 5);
    assert_eq!(result["value"]["left_out"], json!([{"host": "ns1", "reason": denied}]), "{result}");
    assert_eq!(result["value"]["hosts"].as_array().unwrap().len(), 1, "{result}");
    // In batches, it counts as a failure.
    let batches = ["--batch", "1", "--no-pin", "--order", "tier"];
    let stopped = run(operator(&nats, "tester").args(deploy).args(batches), 5);
    stopped.assert_stderr(&[denied]);
}

#[test]
fn a_host_whose_job_cannot_be_cancelled() {
    let nats = NatsServer::start();
    let runs = |name: &str| {
        let job = json!({
            "hostname": name, "status": "running", "error": null, "message": "build", "id": format!("job-of-{name}"),
        });
        FakeHost::new(name, "web", Behavior::Completes).with("job", job)
    };
    let hosts = vec![runs("web1").with("capabilities", json!(["build"])), runs("web2")];
    let fake_hosts = FakeHosts::start(&nats, hosts);
    let cancelled = run(operator(&nats, "tester").args(["cancel", "--all", "--tier", "test"]), 1);
    cancelled.assert_stderr(&["note: web1 is left out: its listener does not support `cancel`"]);
    let (host, request) = fake_hosts.request();
    assert_eq!((host.as_str(), &request["job"]), ("web2", &json!("job-of-web2")), "{cancelled}");
    assert!(cancelled.stdout.contains("left out: web1 ("), "{cancelled}");
}
