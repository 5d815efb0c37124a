//! `--notify`: the builder and the hosts that can are asked to build the new commit, over a real broker.

use crate::common::{Broker, Peer, Wire, base_answer};
use crate::schema::valid;
use crate::stage::{BAD, GOOD, Stage};
use serde_json::{Value, json};
use std::process::Command;

fn update(stage: &Stage, broker: &Broker, user: &str) -> Command {
    let mut update = stage.update();
    update.arg("--notify").env("HOMELAB_DEPLOY_NATS_URL", broker.url()).env("USER", user);
    update.env("HOMELAB_DEPLOY_NKEY_FILE", broker.key(user));
    update
}

fn able(name: &str) -> Value {
    let mut answer = base_answer(name, "test", "web");
    answer["capabilities"] = json!(["build"]);
    answer["version"] = json!("0.1.0");
    answer["online"] = json!(true);
    answer
}

#[test]
fn the_builder_and_the_hosts_that_can_are_asked() {
    let (stage, broker) = (Stage::new(GOOD), Broker::start());
    let wire = Wire::connect(&broker, "everything");
    let (builds, deploys) = (wire.listen("build.>"), wire.listen("deploy.test.>"));
    let web1 = Peer::start(&broker, able("web1"), |_| Vec::new());
    let web2 = Peer::start(&broker, able("web2"), |_| Vec::new());
    let _old = Peer::start(&broker, base_answer("old1", "test", "legacy"), |_| Vec::new());
    let ended = stage.ended(&mut update(&stage, &broker, "everything"), 0);
    let commit = stage.at("master");
    for peer in [&web1, &web2] {
        let request = peer.request();
        assert_eq!((&request["action"], &request["revision"]), (&json!("build"), &json!("master")));
        assert_eq!(request["commit"], json!(commit));
        assert!(request["expires_at"].is_string(), "{request}");
    }
    let heard = builds.next();
    assert_eq!(heard.subject, "build.all");
    assert_eq!((&heard.body["target"], &heard.body["branch"]), (&json!("all"), &json!("master")));
    let id = heard.body["id"].as_str().unwrap();
    assert_eq!(heard.body["reply_to"], format!("build.responses.{id}"));
    assert!(heard.body["issuer"].as_str().unwrap().starts_with("everything@"), "{:?}", heard.body);
    wire.round_trip();
    let subjects: Vec<_> = deploys.arrived().into_iter().map(|heard| heard.subject).collect();
    assert_eq!(subjects, ["deploy.test.web1", "deploy.test.web2"]);
    assert!(ended.out.contains(&format!("asked web1, web2 to build {}", &commit[..7])), "{ended}");
    assert!(ended.out.contains("asked the builder on build.all to build master"), "{ended}");

    stage.move_input(3);
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.ended(update(&stage, &broker, "everything").args(["--builder-repo", "infra"]), 0);
    let heard = builds.next();
    assert_eq!((heard.subject.as_str(), &heard.body["repo"]), ("build.infra.all", &json!("infra")));
}

#[test]
fn nobody_is_asked_where_the_branch_did_not_move() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "everything");
    let heard = wire.listen(">");
    let stage = Stage::new(BAD);
    stage.ended(&mut update(&stage, &broker, "everything"), 1);
    let stage = Stage::new(GOOD);
    stage.ended(update(&stage, &broker, "everything").arg("--dry-run"), 0);
    stage.ended(&mut stage.update(), 0);
    stage.git("checkout", &["pull", "--quiet", "origin", "master"]);
    stage.ended(&mut update(&stage, &broker, "everything"), 0);
    wire.round_trip();
    let heard = heard.arrived();
    assert!(heard.iter().all(|heard| heard.subject.starts_with("test.")), "{heard:?}");
}

#[test]
fn what_the_server_refuses_is_told() {
    let (stage, broker) = (Stage::new(GOOD), Broker::start());
    let ended = stage.ended(&mut update(&stage, &broker, "viewer"), 0);
    assert!(
        ended.out.contains("the server refused build.all: this key has no permission to publish"),
        "{ended}"
    );
    assert!(ended.out.contains("no host is there that can build"), "{ended}");
}

#[test]
fn a_broker_that_is_away_takes_nothing_back() {
    let (stage, mut broker) = (Stage::new(GOOD), Broker::start());
    broker.stop();
    let before = stage.at("master");
    let ended = stage.ended(update(&stage, &broker, "everything").args(["--output", "json"]), 5);
    assert_ne!(stage.at("master"), before);
    ended.complains(&[
        "error: master is pushed, but the builder and the hosts were not asked to build it: could not connect to ",
        "`homelab-deploy deploy --all --tier TIER --action build` asks the hosts",
    ]);
    let result = valid(&ended).pop().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(5)));
}

#[test]
fn a_connection_that_cannot_be_is_told_before_anything_is_done() {
    let stage = Stage::new(GOOD);
    let before = stage.at("master");
    let mut update = stage.update();
    update.arg("--notify");
    for name in ["HOMELAB_DEPLOY_NATS_URL", "HOMELAB_DEPLOY_NKEY_FILE", "HOMELAB_DEPLOY_CONTEXT"] {
        update.env_remove(name);
    }
    stage.ended(&mut update, 2).complains(&["no NATS server is named"]);
    assert_eq!(stage.at("master"), before);
}
