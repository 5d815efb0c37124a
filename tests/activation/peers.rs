//! A host that reaches its NATS server over its own address must be confirmed by another client.

use crate::common::{HostBuilder, RawClient, RawSubscription, Signer};
use crate::stage::Stage;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn result(reports: &RawSubscription) -> Value {
    // Some hosts wait for another client first and find none.
    reports.final_report_within(Duration::from_mins(2))
}

fn log(stage: &Stage, id: &str) -> String {
    fs::read_to_string(stage.job_file(id, "log")).unwrap()
}

#[test]
fn host_that_no_other_client_can_confirm_is_not_changed() {
    let stage = Stage::new();
    stage.operator.stop();
    let report = result(&stage.deploy("j-1", "switch", "v1"));
    assert_eq!(report["error"], "unhealthy", "{report}");
    let message = report["message"].as_str().unwrap();
    for part in
        ["through one of its own addresses", "none responded", "--health-check", "nothing was changed"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!((stage.calls().as_str(), stage.runs().as_str()), ("v1 check", "v0"));
    // These actions need no confirmation.
    assert_eq!(result(&stage.deploy("j-2", "dry-activate", "v1"))["status"], "completed");
    assert_eq!(result(&stage.deploy("j-3", "boot", "v1"))["status"], "completed");
}

#[test]
fn health_check_replaces_another_client() {
    let stage = Stage::with(|host| host.args(&["--health-check", "true"]));
    stage.operator.stop();
    let report = result(&stage.deploy("j-1", "switch", "v1"));
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn operator_that_disappears_during_the_activation_confirms_nothing() {
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "2"]));
    let gate = stage.gate("gate");
    stage.fault("v1", "test", "read _ < $STAGE/gate");
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    stage.operator.stop();
    gate.pass();
    let report = result(&reports);
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("no other client has confirmed it since the activation"), "{message}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn client_that_is_lost_before_persist_is_noticed() {
    let check = "test -e $STAGE/checked || { : > $STAGE/checked; read _ < $STAGE/gate; }";
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "2", "--health-check", check]));
    let gate = stage.gate("gate");
    let reports = stage.deploy("j-1", "switch", "v1");
    crate::common::eventually("the health check", || stage.at("checked").exists().then_some(()));
    stage.operator.stop();
    gate.pass();
    let report = result(&reports);
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    // The connection was confirmed once, and nothing was persisted.
    assert_eq!(log(&stage, "j-1").matches("connection confirmed").count(), 1);
    assert!(!stage.calls().contains("v1 boot"), "{}", stage.calls());
    assert_eq!(stage.profile(), "v0 as 1");
}

/// Deploys version `v1` to a host that trusts the key of `tester`; the follower signs with `follower`.
fn deployed_to_a_trusting_host(follower: Option<Signer>) -> (Value, Stage) {
    let signer = Signer::of("tester");
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "20", "--trusted-key", &signer.key()]));
    stage.operator.stop();
    let _follower = stage.wire.confirm_peers_as(follower);
    stage.version("v1");
    let reports = stage.wire.subscribe("deploy.responses.j-1");
    let now = Timestamp::now();
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.j-1",
        "issued_at": now, "expires_at": now + SignedDuration::from_secs(60)});
    let (subject, payload) = ("deploy.test.web1", request.to_string().into_bytes());
    stage.wire.publish_with_headers(subject, None, &signer.headers(subject, &payload), &payload);
    (result(&reports), stage)
}

#[test]
fn operator_confirms_a_host_with_trusted_keys_by_a_signature_of_one_of_them() {
    let (report, _stage) = deployed_to_a_trusting_host(Some(Signer::of("tester")));
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn confirmation_that_no_trusted_key_has_signed_does_not_count() {
    for follower in [None, Some(Signer::of("viewer"))] {
        let (report, stage) = deployed_to_a_trusting_host(follower);
        assert_eq!(report["error"], "unhealthy", "{report}");
        let message = report["message"].as_str().unwrap();
        for part in ["none responded", "with an operator whose key is trusted here", "nothing was changed"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(stage.runs(), "v0");
    }
}

/// Starts a host whose key may receive messages of others, as `confirm_peers` in the fleet file allows, and stops the
/// operator.
fn without_operator(args: &[&str]) -> Stage {
    let stage = Stage::with(|host| host.args(args));
    stage.operator.stop();
    stage
}

#[test]
fn another_host_that_announces_itself_over_a_new_connection_confirms() {
    let stage = without_operator(&["--confirm-timeout", "20"]);
    let peer = HostBuilder::new(&stage.nats, "web2", "test", "web").flag("--presence-interval", "0").start();
    let hosts = "mkdir -p $out/bin $out/etc\n        printf %s \"$version\" > $out/etc/hosts";
    stage.change_flake("mkdir -p $out/bin", hosts);
    let report = result(&stage.deploy("j-1", "switch", "v1"));
    assert_eq!(report["status"], "completed", "{report}");
    drop(peer);
    let report = result(&stage.deploy("j-2", "switch", "v2"));
    assert_eq!(report["error"], "unhealthy", "{report}");
}

#[test]
fn old_connection_does_not_confirm_an_activation_that_touched_the_connection() {
    let stage = without_operator(&["--confirm-timeout", "3", "--confirm-hold", "0"]);
    // A host of an older version announces itself unasked only. One that can also answer is present before the
    // activation.
    let peer = HostBuilder::new(&stage.nats, "web2", "test", "web").flag("--presence-interval", "0").start();
    let hosts = "mkdir -p $out/bin $out/etc\n        printf %s \"$version\" > $out/etc/hosts";
    stage.change_flake("mkdir -p $out/bin", hosts);
    let gate = stage.gate("gate");
    stage.fault("v1", "test", "read _ < $STAGE/gate");
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 test");
    drop(peer);
    let web2 = RawClient::connect(&stage.nats, "web2");
    let presence = json!({"hostname": "web2", "tier": "test", "deploy_subjects": []});
    gate.pass();
    let report = loop {
        web2.publish("deploy.responses.presence", &presence);
        if let Some(message) = reports.within(Duration::from_millis(300)) {
            if message.body["status"] == "failed" {
                break message.body;
            }
            assert_ne!(message.body["status"], "completed", "{}", message.body);
        }
    };
    assert_eq!(report["rolled_back"], true, "{report}");
    assert!(report["message"].as_str().unwrap().contains("no other client has confirmed it"), "{report}");
}
