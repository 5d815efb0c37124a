//! A host that loses its connection, and what does not need one.

use crate::common::eventually;
use crate::stage::{Stage, checked, components, sleeper};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_connection_lost_in_activate_does_not_stop_the_job() {
    let Some(mut stage) = Stage::new(&[("a", &sleeper("bb:1", "")), ("b", &sleeper("bb:1", ""))]) else {
        return;
    };
    stage.completes("l-1");
    stage.commit(
        &["a", "b"]
            .map(|name| format!("services/{name}/docker-compose.yml"))
            .each_ref()
            .map(|file| (file.as_str(), sleeper("bb:2", "").leak() as &str)),
    );
    let reports = stage.send("l-2", json!({}));
    stage.wait_for_line("l-2", "a: Container a-app-1  Recreate");
    stage.nats.stop();
    stage.wait_for_line("l-2", "\"service\":\"b\"");
    stage.nats.restart();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("l-2"));
    assert_eq!(components(&report), ["a: done", "b: done"]);
}

#[test]
fn a_host_that_is_cut_off_rolls_back_and_reports_later() {
    let services = [("web", sleeper("bb:1", &checked("'true'")))];
    let services = services.each_ref().map(|(name, compose)| (*name, compose.as_str()));
    let Some(mut stage) = Stage::with(&services, &["--confirm-timeout", "3"]) else { return };
    stage.completes("v-1");
    let old = stage.image("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", &checked("'true'")))]);
    stage.send("v-2", json!({}));
    stage.wait_for_line("v-2", "\"stage\":\"deploy\"");
    stage.nats.stop();
    stage.wait_for_line("v-2", "rolled back to commit");
    assert_eq!((stage.image("web"), stage.status("web").as_str()), (old, "running"));
    // The result is on disk before it is delivered; a client that connects later would miss the message.
    let report = eventually("the result", || {
        let record: Value =
            serde_json::from_slice(&fs::read(stage.job_file("v-2", "state.json")).ok()?).ok()?;
        (record["report"]["status"] == "failed").then(|| record["report"].clone())
    });
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("verification_failed"), &json!(true)),
        "{report}"
    );
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the NATS server did not answer within 3 s"), "{message}");
    stage.nats.restart();
    eventually("the delivery", || stage.job_file("v-2", "delivered.json").exists().then_some(()));
}

#[test]
fn after_a_deployment_nothing_needs_the_servers_any_more() {
    let Some(mut stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("z-1");
    let web = stage.container("web");
    stage.nats.stop();
    stage.host.kill();
    fs::remove_dir_all(stage.repo.path().join(".git")).unwrap();
    stage.daemon.restart();
    eventually("the container running", || (stage.status("web") == "running").then_some(()));
    assert_eq!(stage.container("web"), web);
}

#[test]
fn a_job_is_cancelled_until_its_check_has_passed() {
    let Some(stage) = Stage::with(&[("web", &sleeper("bb:1", ""))], &["--health-check", "sleep 2"]) else {
        return;
    };
    let reports = stage.send("w-1", json!({}));
    reports.until(|report| report["status"] == "started");
    let cancelled = stage.deploy("w-2", json!({"action": "cancel", "job": "w-1", "revision": null}));
    assert_eq!(cancelled["status"], "completed", "{cancelled}");
    let report = reports.final_report();
    assert_eq!(report["error"], "cancelled", "{report}");
    assert!(report["message"].as_str().unwrap().ends_with("nothing was changed"), "{report}");
    assert!(stage.daemon.containers("web").is_empty());
    let reports = stage.send("w-3", json!({}));
    stage.wait_for_line("w-3", "\"stage\":\"verify\"");
    let late = stage.deploy("w-4", json!({"action": "cancel", "job": "w-3", "revision": null}));
    assert_eq!(late["error"], "too_late", "{late}");
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn a_violated_exposure_is_reported_instead_of_refused_if_that_is_set() {
    let ports = sleeper("bb:1", "ports: ['8080:80']").replace("    network_mode: none\n", "");
    let Some(stage) = Stage::with(&[("web", &ports)], &["--exposure", "warn"]) else { return };
    let report = stage.completes("y-1");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("web publishes port 8080 on all addresses, but its exposure is local-only"),
        "{message}"
    );
}
