//! `--notify`: requests builds of the new commit from the builder and the supporting hosts over a real NATS server.

use crate::common::{FakeListener, NatsServer, RawClient, base_presence};
use crate::schema::valid;
use crate::stage::{BAD, GOOD, Stage};
use serde_json::{Value, json};
use std::process::Command;

fn update(stage: &Stage, nats: &NatsServer, user: &str) -> Command {
    let mut update = stage.update();
    update.arg("--notify").env("HOMELAB_DEPLOY_NATS_URL", nats.url()).env("USER", user);
    update.env("HOMELAB_DEPLOY_NKEY_FILE", nats.key(user));
    update
}

fn supporting_host(name: &str) -> Value {
    let mut presence = base_presence(name, "test", "web");
    presence["capabilities"] = json!(["build"]);
    presence["version"] = json!("0.1.0");
    presence["online"] = json!(true);
    presence
}

#[test]
fn the_builder_and_the_supporting_hosts_are_queried() {
    let (stage, nats) = (Stage::new(GOOD), NatsServer::start());
    let wire = RawClient::connect(&nats, "everything");
    let (builds, deploys) = (wire.subscribe("build.>"), wire.subscribe("deploy.test.>"));
    let web1 = FakeListener::start(&nats, supporting_host("web1"), |_| Vec::new());
    let web2 = FakeListener::start(&nats, supporting_host("web2"), |_| Vec::new());
    let _old = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |_| Vec::new());
    let ended = stage.wait_for_exit(&mut update(&stage, &nats, "everything"), 0);
    let commit = stage.at("master");
    for peer in [&web1, &web2] {
        let request = peer.request();
        assert_eq!((&request["action"], &request["revision"]), (&json!("build"), &json!("master")));
        assert_eq!(request["commit"], json!(commit));
        assert!(request["expires_at"].is_string(), "{request}");
    }
    let message = builds.next();
    assert_eq!(message.subject, "build.all");
    assert_eq!((&message.body["target"], &message.body["branch"]), (&json!("all"), &json!("master")));
    let id = message.body["id"].as_str().unwrap();
    assert_eq!(message.body["reply_to"], format!("build.responses.{id}"));
    assert!(message.body["issuer"].as_str().unwrap().starts_with("everything@"), "{:?}", message.body);
    wire.round_trip();
    let subjects: Vec<_> = deploys.received().into_iter().map(|message| message.subject).collect();
    assert_eq!(subjects, ["deploy.test.web1", "deploy.test.web2"]);
    assert!(ended.stdout.contains(&format!("asked web1, web2 to build {}", &commit[..7])), "{ended}");
    assert!(ended.stdout.contains("asked the builder on build.all to build master"), "{ended}");

    stage.move_input(3);
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.wait_for_exit(update(&stage, &nats, "everything").args(["--builder-repo", "infra"]), 0);
    let message = builds.next();
    assert_eq!((message.subject.as_str(), &message.body["repo"]), ("build.infra.all", &json!("infra")));
}

#[test]
fn no_host_is_queried_if_the_branch_did_not_move() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let subscription = wire.subscribe(">");
    let stage = Stage::new(BAD);
    stage.wait_for_exit(&mut update(&stage, &nats, "everything"), 1);
    let stage = Stage::new(GOOD);
    stage.wait_for_exit(update(&stage, &nats, "everything").arg("--dry-run"), 0);
    stage.wait_for_exit(&mut stage.update(), 0);
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.wait_for_exit(&mut update(&stage, &nats, "everything"), 0);
    wire.round_trip();
    let messages = subscription.received();
    assert!(messages.iter().all(|message| message.subject.starts_with("test.")), "{messages:?}");
}

#[test]
fn a_permission_violation_is_reported() {
    let (stage, nats) = (Stage::new(GOOD), NatsServer::start());
    let ended = stage.wait_for_exit(&mut update(&stage, &nats, "viewer"), 0);
    assert!(
        ended.stdout.contains("the server refused build.all: this key has no permission to publish"),
        "{ended}"
    );
    assert!(ended.stdout.contains("no online host can build"), "{ended}");
}

#[test]
fn an_unavailable_nats_server_reverts_nothing() {
    let (stage, mut nats) = (Stage::new(GOOD), NatsServer::start());
    nats.stop();
    let before = stage.at("master");
    let ended = stage.wait_for_exit(update(&stage, &nats, "everything").args(["--output", "json"]), 5);
    assert_ne!(stage.at("master"), before);
    ended.assert_stderr(&[
        "error: pushed master, but could not ask the builder and the hosts to build it: could not connect to ",
        "to ask the hosts, run `homelab-deploy deploy --all --tier TIER --action build`",
    ]);
    let result = valid(&ended).pop().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(5)));
}

#[test]
fn an_invalid_connection_is_reported_first() {
    let stage = Stage::new(GOOD);
    let before = stage.at("master");
    let mut update = stage.update();
    update.arg("--notify");
    for name in ["HOMELAB_DEPLOY_NATS_URL", "HOMELAB_DEPLOY_NKEY_FILE", "HOMELAB_DEPLOY_CONTEXT"] {
        update.env_remove(name);
    }
    stage.wait_for_exit(&mut update, 2).assert_stderr(&["no NATS server configured"]);
    assert_eq!(stage.at("master"), before);
}
