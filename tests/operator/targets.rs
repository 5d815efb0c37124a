//! Targets, and the requests that are sent for them.

use crate::common::{HostBuilder, NatsServer, RawClient, RawMessage, RawSubscription, operator, run};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Subscribes to all requests to a tier.
fn requests(nats: &NatsServer, tier: &str) -> (RawClient, RawSubscription) {
    let wire = RawClient::connect(nats, "everything");
    let requests = wire.subscribe(&format!("deploy.{tier}.>"));
    (wire, requests)
}

/// The subjects of the next `count` requests. They must share one id, and no other request may follow.
fn subjects(requests: &RawSubscription, wire: &RawClient, count: usize) -> BTreeSet<String> {
    let received: Vec<RawMessage> = (0..count).map(|_| requests.next()).collect();
    let ids: BTreeSet<String> = received.iter().map(|received| received.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "one id for all: {received:?}");
    wire.round_trip();
    assert_eq!(requests.received(), [] as [RawMessage; 0]);
    received.into_iter().map(|received| received.subject).collect()
}

fn set<const N: usize>(subjects: [&str; N]) -> BTreeSet<String> {
    subjects.map(str::to_owned).into()
}

#[test]
fn a_request_names_itself_its_sender_its_time_and_where_to_answer() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let (_wire, requests) = requests(&nats, "test");
    let before = Timestamp::now();
    let flags = ["--branch", "feature/x", "--action", "boot", "--no-rollback"];
    run(operator(&nats, "tester").args(["deploy", "deploy.test.web1"]).args(flags), 0);

    let RawMessage { subject, reply, body, .. } = requests.next();
    let time = |field: &str| body[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(subject, "deploy.test.web1");
    assert_eq!(body["action"], "boot");
    assert_eq!(body["revision"], "feature/x");
    assert_eq!(body["on_failure"], "keep");
    let id = body["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    assert_eq!(body["reply_to"], format!("deploy.responses.{id}"));
    assert_eq!(reply.as_deref(), body["reply_to"].as_str());
    assert!((before..=Timestamp::now()).contains(&time("issued_at")), "{body}");
    assert_eq!(time("expires_at").duration_since(time("issued_at")), SignedDuration::from_secs(60));
    let issuer = body["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("tester@") && issuer.len() > "tester@".len(), "{issuer}");
    assert_eq!(body.get("timeout_s"), None);
}

#[test]
fn branch_action_and_timeout_come_from_the_environment_too_and_flags_win() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let (_wire, requests) = requests(&nats, "test");
    let deploy = |args: &[&str]| {
        let mut command = operator(&nats, "tester");
        command.env("HOMELAB_DEPLOY_BRANCH", "release").env("HOMELAB_DEPLOY_ACTION", "test");
        run(command.args(["deploy", "web1"]).args(args), 0);
        let body = requests.next().body;
        [body["revision"].clone(), body["action"].clone()]
    };
    assert_eq!(deploy(&[]), ["release", "test"].map(Value::from));
    assert_eq!(deploy(&["--branch", "v2", "--action", "boot"]), ["v2", "boot"].map(Value::from));

    let unset = |args: &[&str]| run(operator(&nats, "tester").args(["deploy", "web1"]).args(args), 0);
    unset(&[]);
    assert_eq!(requests.next().body["revision"], "master");
    unset(&["--branch", "release/2026.11+x_y"]);
    assert_eq!(requests.next().body["revision"], "release/2026.11+x_y");
}

#[test]
fn hosts_are_reached_on_their_own_subjects_under_one_id() {
    let nats = NatsServer::start();
    let _hosts = [("web1", "web"), ("web2", "web"), ("db1", "db")]
        .map(|(name, role)| HostBuilder::new(&nats, name, "test", role).start());
    let (wire, requests) = requests(&nats, "test");
    let deploy = |args: &[&str]| run(operator(&nats, "tester").arg("deploy").args(args), 0);

    deploy(&["web1"]);
    assert_eq!(subjects(&requests, &wire, 1), set(["deploy.test.web1"]));
    deploy(&["--role", "web", "--tier", "test"]);
    assert_eq!(subjects(&requests, &wire, 2), set(["deploy.test.web1", "deploy.test.web2"]));
    deploy(&["--all", "--tier", "test"]);
    let all = set(["deploy.test.web1", "deploy.test.web2", "deploy.test.db1"]);
    assert_eq!(subjects(&requests, &wire, 3), all);
    deploy(&["web1", "deploy.test.db1", "web1"]);
    assert_eq!(subjects(&requests, &wire, 2), set(["deploy.test.web1", "deploy.test.db1"]));
    let by_subject = deploy(&["deploy.test.all"]);
    assert_eq!(subjects(&requests, &wire, 1), set(["deploy.test.all"]));
    for host in ["web1", "web2", "db1"] {
        assert!(by_subject.stdout.contains(&format!("\n{host:4}  completed")), "{by_subject}");
    }
}

#[test]
fn a_host_on_another_subject_is_reached_if_the_configuration_names_it() {
    let nats = NatsServer::start();
    let own = ["--deploy-subject", "deploy.<tier>.role.<role>", "--deploy-subject", "deploy.test.web1"];
    let _odd = HostBuilder::new(&nats, "web1", "test", "web").args(&own[..2]).start();
    let (wire, requests) = requests(&nats, "test");
    // A host's own announcement is not enough, because it could name the subject of another host.
    let refused = run(operator(&nats, "tester").args(["deploy", "web1"]), 2);
    refused.assert_stderr(&[
        "web1 does not listen on deploy.test.web1 but on deploy.test.role.web",
        "set `subject = \"…\"` for it in [contexts.NAME.hosts]",
        "nothing was sent",
    ]);
    wire.round_trip();
    assert_eq!(requests.received(), [] as [RawMessage; 0]);

    let config = nats.dir().join("config/tester/homelab-deploy/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let host = "{ tier = \"test\", subject = \"deploy.test.role.web\" }";
    fs::write(&config, format!("[contexts.home.hosts]\nweb1 = {host}\n")).unwrap();
    run(operator(&nats, "tester").args(["deploy", "web1"]), 0);
    assert_eq!(subjects(&requests, &wire, 1), set(["deploy.test.role.web"]));
}

#[test]
fn an_alias_is_a_subject_a_host_or_another_alias() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let (wire, requests) = requests(&nats, "test");
    for (target, subject) in [
        ("prod-all", "deploy.test.all"),
        ("site", "deploy.test.web1"),
        ("first", "deploy.test.all"),
        ("PROD_ALL", "deploy.test.all"),
    ] {
        let mut command = operator(&nats, "tester");
        command.env("HOMELAB_DEPLOY_ALIAS_PROD_ALL", "deploy.test.all");
        command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1");
        command.env("HOMELAB_DEPLOY_ALIAS_FIRST", "prod-all");
        run(command.args(["deploy", target]), 0);
        assert_eq!(subjects(&requests, &wire, 1), set([subject]), "{target}");
    }
}

#[test]
fn an_unknown_host_is_refused_with_near_names_and_nothing_is_sent() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let (wire, requests) = requests(&nats, "test");
    let deploy = |host: &str| run(operator(&nats, "tester").args(["deploy", "web1", host]), 2);
    deploy("wbe1").assert_stderr(&["unknown host wbe1", "did you mean web1?", "homelab-deploy hosts"]);
    let far = deploy("mailserver");
    far.assert_stderr(&["unknown host mailserver;"]);
    assert!(!far.stderr.contains("did you mean"), "{far}");
    wire.round_trip();
    assert_eq!(requests.received(), [] as [RawMessage; 0]);
}

#[test]
fn an_unknown_tier_or_role_is_refused_and_nothing_is_sent() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let deploy = |args: &[&str]| run(operator(&nats, "admin").arg("deploy").args(args), 3);
    deploy(&["--all", "--tier", "nosuch"]).assert_stderr(&["no hosts for `deploy`: no host in tier nosuch"]);
    deploy(&["--role", "db", "--tier", "test"])
        .assert_stderr(&["no host with role db in tier test answered"]);
}
