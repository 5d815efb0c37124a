//! The subjects of a listener: templates, invalid subjects, and subjects that its key may not use.

use crate::common::{HostBuilder, NatsServer, RawClient, ServiceManager};
use crate::stage::text;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use serde_json::{Value, json};
use std::fs;

/// A host without a role whose key has all permissions, with these deploy subjects.
fn on(nats: &NatsServer, subjects: &[&str]) -> HostBuilder {
    let key = nats.key("everything").display().to_string();
    let host = HostBuilder::new(nats, "web1", "test", "web").without("--role").flag("--nkey-file", &key);
    subjects.iter().fold(host, |host, subject| host.args(&["--deploy-subject", subject]))
}

fn request(id: &str) -> Value {
    json!({"action": "switch", "revision": "master", "reply_to": format!("deploy.responses.{id}")})
}

#[test]
fn templates_are_expanded_and_one_that_needs_a_role_is_skipped() {
    let nats = NatsServer::start();
    let all = RawClient::connect(&nats, "everything");
    let presence = all.subscribe("deploy.responses.presence");
    let templates = ["fleet.<tier>.<hostname>.now", "deploy.<tier>.role.<role>", "fleet.<tier>.*.later"];
    let _host = on(&nats, &templates).start();
    let subjects = presence.next().body["deploy_subjects"].clone();
    assert_eq!(subjects, json!(["fleet.test.web1.now", "fleet.test.*.later"]));

    for (id, subject) in [("u-1", "fleet.test.web1.now"), ("u-2", "fleet.test.any.later")] {
        let reports = all.subscribe(&format!("deploy.responses.{id}"));
        all.publish(subject, &request(id));
        assert_eq!(reports.final_report()["status"], "completed");
    }
    // The listener does not subscribe to the default subjects.
    let reports = all.subscribe("deploy.responses.u-3");
    all.publish_bytes(
        "deploy.test.web1",
        Some("deploy.responses.u-3"),
        request("u-3").to_string().into_bytes(),
    );
    assert!(reports.next().body.is_null(), "the listener received it");
}

#[test]
fn the_subject_of_queries_can_be_changed() {
    let nats = NatsServer::start();
    let all = RawClient::connect(&nats, "everything");
    let presence = all.subscribe("deploy.responses.presence");
    let _host =
        on(&nats, &["deploy.test.web1"]).args(&["--discover-subject", "ask.<tier>.<hostname>"]).start();
    presence.next();
    let replies = all.subscribe("deploy.responses.*");
    all.publish("deploy.discover", &json!({"reply_to": "deploy.responses.u-7"}));
    all.publish("ask.test.web1", &json!({"reply_to": "deploy.responses.u-4"}));
    assert_eq!(replies.next().subject, "deploy.responses.u-4");
}

#[test]
fn an_invalid_subject_is_refused_at_the_start() {
    let nats = NatsServer::start();
    for (subject, expected) in [
        ("deploy.responses.<hostname>", "overlaps deploy.responses.>, which carries no requests"),
        ("deploy.>", "overlaps deploy.responses.>"),
        (">", "overlaps deploy.responses.>"),
        ("deploy.*.<hostname>.>", "overlaps deploy.responses.>"),
        ("deploy.responses", "overlaps deploy.responses,"),
        ("deploy.discover", "overlaps deploy.discover"),
        ("deploy.*", "overlaps deploy.responses,"),
        (
            "deploy.<tier>.<host>",
            "unknown placeholder; the known ones are `<hostname>`, `<tier>` and `<role>`",
        ),
        ("deploy..web1", "is not a subject"),
        ("deploy.a b", "is not a subject"),
        ("deploy.>.web1", "is not a subject"),
        ("", "is not a subject"),
        ("deploy.<tier>.role.<role>", "each one contains <role>, but this host has no role"),
    ] {
        let mut host = on(&nats, &[subject]).launch();
        assert_eq!(host.wait_for_exit().code(), Some(2), "{subject}");
        let error = host.rest_of_log().pop().unwrap();
        assert!(text(&error).starts_with("error: ") && text(&error).contains(expected), "{subject}: {error}");
    }
}

#[test]
fn a_subject_that_its_key_may_not_use_is_logged_and_causes_a_warning() {
    let nats = NatsServer::start();
    let operator = RawClient::connect(&nats, "admin");
    let presence = operator.subscribe("deploy.responses.presence");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web")
        .args(&["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.web1"])
        .launch();
    let warning = "the server refused deploy.prod.web1: this key has no permission to subscribe there";
    let line = host.wait_for_log(warning);
    assert_eq!((&line["level"], &line["subject"]), (&json!("WARN"), &json!("deploy.prod.web1")));
    presence.next();
    let replies = operator.subscribe("deploy.responses.u-5");
    // The warning is logged first, so the query may have to be repeated.
    let reply_with_warning = crate::common::eventually("the warning", || {
        operator.publish("deploy.discover", &json!({"reply_to": "deploy.responses.u-5"}));
        let reply = replies.next().body;
        reply["warnings"].is_array().then_some(reply)
    });
    assert_eq!(reply_with_warning["warnings"], json!([warning]));
    // The listener serves the subject that its key may use.
    let reports = operator.subscribe("deploy.responses.u-6");
    operator.publish("deploy.test.web1", &request("u-6"));
    assert_eq!(reports.final_report()["status"], "completed");
}

/// The permissions of the fleet of a server.
fn permissions(nats: &NatsServer) -> String {
    let fleet = fs::read_to_string(nats.fleet_file()).unwrap();
    render_authorization(&parse_fleet_file(&fleet, "fleet.toml".as_ref()).unwrap())
}

/// A server that reloads its configuration keeps the connections.
#[test]
fn a_refused_subscription_is_made_once_the_server_permits_it() {
    let mut nats = NatsServer::start();
    let manager = ServiceManager::new();
    let host = HostBuilder::new(&nats, "web1", "test", "web").args(&[
        "--deploy-subject",
        "deploy.test.web1",
        "--deploy-subject",
        "deploy.prod.web1",
    ]);
    let _host = manager.manages(host).start();
    manager.status(&["; idle; the server refused deploy.prod.web1: this key has no permission to subscribe"]);
    let own = "\"deploy.test.web1\"";
    let permitted = permissions(&nats).replace(own, &format!("{own}, \"deploy.prod.web1\""));
    nats.reload(&permitted);
    let expected = format!("STATUS=connected to {}; idle", nats.url());
    manager.status_where("without a warning", |status| status == expected);
    let operator = RawClient::connect(&nats, "everything");
    for (id, subject) in [("u-7", "deploy.prod.web1"), ("u-8", "deploy.test.web1")] {
        let reports = operator.subscribe(&format!("deploy.responses.{id}"));
        operator.publish(subject, &request(id));
        assert_eq!(reports.final_report()["status"], "completed");
    }
}

#[test]
fn a_refused_subject_is_shown_until_the_next_connection() {
    let mut nats = NatsServer::start();
    let all = permissions(&nats);
    let other = "\"deploy.responses.other\"";
    let without = ["\"deploy.responses.presence\"", "\"deploy.responses.*\""]
        .iter()
        .fold(all.clone(), |permissions, subject| permissions.replace(subject, other));
    nats.reload(&without);
    let manager = ServiceManager::new();
    let _host = manager.manages(HostBuilder::new(&nats, "web1", "test", "web")).start();
    manager.status(&["the server refused deploy.responses.presence: this key has no permission to publish"]);
    nats.reload(&all);
    nats.stop();
    nats.restart();
    let expected = format!("STATUS=connected to {}; idle", nats.url());
    manager.status_where("without a warning", |status| status == expected);
}
