//! What an operator names as a target, and what goes out on the wire for it.

use crate::common::{Broker, Ears, Heard, HostBuilder, Wire, operator, run};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Hears every request to a tier.
fn requests(broker: &Broker, tier: &str) -> (Wire, Ears) {
    let wire = Wire::connect(broker, "everything");
    let ears = wire.listen(&format!("deploy.{tier}.>"));
    (wire, ears)
}

/// The next requests, as many as are expected, and no other; they come under one id.
fn subjects(ears: &Ears, wire: &Wire, count: usize) -> BTreeSet<String> {
    let heard: Vec<Heard> = (0..count).map(|_| ears.next()).collect();
    let ids: BTreeSet<String> = heard.iter().map(|heard| heard.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "one id for all: {heard:?}");
    wire.round_trip();
    assert_eq!(ears.arrived(), [] as [Heard; 0]);
    heard.into_iter().map(|heard| heard.subject).collect()
}

fn set<const N: usize>(subjects: [&str; N]) -> BTreeSet<String> {
    subjects.map(str::to_owned).into()
}

#[test]
fn a_request_names_itself_its_sender_its_time_and_where_to_answer() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let (_wire, ears) = requests(&broker, "test");
    let before = Timestamp::now();
    let flags = ["--branch", "feature/x", "--action", "boot", "--keep"];
    run(operator(&broker, "tester").args(["deploy", "deploy.test.web1"]).args(flags), 0);

    let Heard { subject, reply, body, .. } = ears.next();
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
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let (_wire, ears) = requests(&broker, "test");
    let deploy = |args: &[&str]| {
        let mut command = operator(&broker, "tester");
        command.env("HOMELAB_DEPLOY_BRANCH", "release").env("HOMELAB_DEPLOY_ACTION", "test");
        run(command.args(["deploy", "web1"]).args(args), 0);
        let body = ears.next().body;
        [body["revision"].clone(), body["action"].clone()]
    };
    assert_eq!(deploy(&[]), ["release", "test"].map(Value::from));
    assert_eq!(deploy(&["--branch", "v2", "--action", "boot"]), ["v2", "boot"].map(Value::from));

    let unset = |args: &[&str]| run(operator(&broker, "tester").args(["deploy", "web1"]).args(args), 0);
    unset(&[]);
    assert_eq!(ears.next().body["revision"], "master");
    unset(&["--branch", "release/2026.11+x_y"]);
    assert_eq!(ears.next().body["revision"], "release/2026.11+x_y");
}

#[test]
fn hosts_are_reached_on_their_own_subjects_under_one_id() {
    let broker = Broker::start();
    let _hosts = [("web1", "web"), ("web2", "web"), ("db1", "db")]
        .map(|(name, role)| HostBuilder::new(&broker, name, "test", role).start());
    let (wire, ears) = requests(&broker, "test");
    let deploy = |args: &[&str]| run(operator(&broker, "tester").arg("deploy").args(args), 0);

    deploy(&["web1"]);
    assert_eq!(subjects(&ears, &wire, 1), set(["deploy.test.web1"]));
    deploy(&["--role", "web", "--tier", "test"]);
    assert_eq!(subjects(&ears, &wire, 2), set(["deploy.test.web1", "deploy.test.web2"]));
    deploy(&["--all", "--tier", "test"]);
    let all = set(["deploy.test.web1", "deploy.test.web2", "deploy.test.db1"]);
    assert_eq!(subjects(&ears, &wire, 3), all);
    deploy(&["web1", "deploy.test.db1", "web1"]);
    assert_eq!(subjects(&ears, &wire, 2), set(["deploy.test.web1", "deploy.test.db1"]));
    let by_subject = deploy(&["deploy.test.all"]);
    assert_eq!(subjects(&ears, &wire, 1), set(["deploy.test.all"]));
    for host in ["web1", "web2", "db1"] {
        assert!(by_subject.out.contains(&format!("\n{host:4}  completed")), "{by_subject}");
    }
}

#[test]
fn a_host_on_another_subject_is_reached_if_the_configuration_names_it() {
    let broker = Broker::start();
    let own = ["--deploy-subject", "deploy.<tier>.role.<role>", "--deploy-subject", "deploy.test.web1"];
    let _odd = HostBuilder::new(&broker, "web1", "test", "web").args(&own[..2]).start();
    let (wire, ears) = requests(&broker, "test");
    // The host's own word is not enough: it could name the subject of another host.
    let refused = run(operator(&broker, "tester").args(["deploy", "web1"]), 2);
    refused.complains(&[
        "web1 does not take requests on deploy.test.web1 but on deploy.test.role.web",
        "write `subject = \"…\"` for it into [contexts.NAME.hosts]",
        "nothing was sent",
    ]);
    wire.round_trip();
    assert_eq!(ears.arrived(), [] as [Heard; 0]);

    let config = broker.folder().join("config/tester/homelab-deploy/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let host = "{ tier = \"test\", subject = \"deploy.test.role.web\" }";
    fs::write(&config, format!("[contexts.home.hosts]\nweb1 = {host}\n")).unwrap();
    run(operator(&broker, "tester").args(["deploy", "web1"]), 0);
    assert_eq!(subjects(&ears, &wire, 1), set(["deploy.test.role.web"]));
}

#[test]
fn an_alias_stands_for_a_subject_a_host_or_another_alias() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let (wire, ears) = requests(&broker, "test");
    for (target, subject) in [
        ("prod-all", "deploy.test.all"),
        ("site", "deploy.test.web1"),
        ("first", "deploy.test.all"),
        ("PROD_ALL", "deploy.test.all"),
    ] {
        let mut command = operator(&broker, "tester");
        command.env("HOMELAB_DEPLOY_ALIAS_PROD_ALL", "deploy.test.all");
        command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1");
        command.env("HOMELAB_DEPLOY_ALIAS_FIRST", "prod-all");
        run(command.args(["deploy", target]), 0);
        assert_eq!(subjects(&ears, &wire, 1), set([subject]), "{target}");
    }
}

#[test]
fn an_unknown_host_is_refused_with_near_names_and_nothing_is_sent() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let (wire, ears) = requests(&broker, "test");
    let deploy = |host: &str| run(operator(&broker, "tester").args(["deploy", "web1", host]), 2);
    deploy("wbe1").complains(&[
        "no host wbe1 answers or is known",
        "did you mean web1?",
        "homelab-deploy hosts",
    ]);
    let far = deploy("mailserver");
    far.complains(&["no host mailserver answers or is known;"]);
    assert!(!far.err.contains("did you mean"), "{far}");
    wire.round_trip();
    assert_eq!(ears.arrived(), [] as [Heard; 0]);
}

#[test]
fn an_unknown_tier_or_role_is_told_and_nothing_is_sent() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let deploy = |args: &[&str]| run(operator(&broker, "admin").arg("deploy").args(args), 3);
    deploy(&["--all", "--tier", "nosuch"]).complains(&["no host to deploy to: none in tier nosuch"]);
    deploy(&["--role", "db", "--tier", "test"]).complains(&["none with role db in tier test"]);
}
