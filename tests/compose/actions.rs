//! The other actions: build, dry-activate, rollback, resume, diagnose and cancel.

use crate::stage::{Stage, checked, components, sleeper};
use serde_json::{Value, json};
use std::fs;

#[test]
fn dry_activate_names_what_would_change_and_changes_nothing() {
    let Some(stage) = Stage::new(&[("db", &sleeper("bb:1", "")), ("web", &sleeper("bb:1", ""))]) else {
        return;
    };
    stage.completes("a-1");
    let web = stage.container("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    let report = stage.deploy("a-2", json!({"action": "dry-activate"}));
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("a-2"));
    let message = report["message"].as_str().unwrap();
    assert!(message.starts_with("dry-activate done: 1 service would change (web), 1 unchanged"), "{message}");
    assert_eq!(report["changes"]["units_restarted"], json!(["web"]));
    assert_eq!(components(&report), ["db: unchanged", "web: skipped"]);
    assert_eq!(stage.container("web"), web);
    let report = stage.deploy("a-3", json!({"action": "build"}));
    assert_eq!(report["message"], "build done", "{report}");
    assert_eq!(stage.container("web"), web);
    for action in ["boot", "test"] {
        let report = stage.deploy(&format!("a-{action}"), json!({"action": action}));
        assert_eq!(report["error"], "invalid_action", "{report}");
    }
}

#[test]
fn a_rollback_deploys_the_generation_before_and_one_service_can_be_deployed_alone() {
    let Some(stage) = Stage::new(&[("db", &sleeper("bb:1", "")), ("web", &sleeper("bb:1", ""))]) else {
        return;
    };
    stage.completes("g-1");
    let (db, old) = (stage.container("db"), stage.image("web"));
    stage.commit(&[
        ("services/web/docker-compose.yml", &sleeper("bb:2", "")),
        ("services/db/docker-compose.yml", &sleeper("bb:2", "")),
    ]);
    let report = stage.deploy("g-2", json!({"services": ["web"]}));
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(components(&report), ["web: done"]);
    assert_eq!(stage.container("db"), db);
    // The old image is only known by its id now.
    stage.daemon.import("bb:1");
    let report = stage.deploy("g-3", json!({"action": "rollback", "revision": null}));
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("g-3"));
    assert_eq!((&report["generation"], stage.image("web")), (&json!(1), old.clone()));
    // The record is that of the generation which runs, also after another failed deployment.
    let record = || {
        let record = fs::read(stage.root.path().join("state/deploy/generation.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        (record["number"].clone(), record["services"]["web"]["app"].clone())
    };
    assert_eq!(record(), (json!(1), json!(old)));
    assert_eq!(stage.container("db"), db);
    let report = stage.deploy("g-4", json!({"action": "rollback", "revision": null}));
    assert_eq!(report["error"], "not_found", "{report}");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", &checked("'false'")))]);
    let report = stage.fails("g-5", "activation_failed", "health unhealthy");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!((record(), stage.image("web")), ((json!(1), json!(old)), old));
}

#[test]
fn a_changed_variable_of_the_host_is_a_difference_and_a_dry_run_shows_it() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", "environment: { A: '${A:-no}' }"))]) else {
        return;
    };
    stage.completes("va-1");
    let web = stage.container("web");
    stage.write_config("web", ".env", "A=yes\n");
    let report = stage.deploy("va-2", json!({"action": "dry-activate"}));
    assert_eq!(report["components"][0]["message"], "would change: the configuration differs", "{report:#}");
    assert_eq!(stage.container("web"), web);
    assert_eq!(components(&stage.completes("va-3")), ["web: done"]);
    let web = stage.container("web");
    assert_eq!(components(&stage.completes("va-4")), ["web: unchanged"]);
    // A container that was removed, or created by hand with other settings, differs from an unchanged configuration.
    stage.daemon.docker(&["rm", "--force", &web]);
    assert_eq!(components(&stage.completes("va-5")), ["web: done"]);
}

#[test]
fn resume_continues_a_job_that_was_left_as_it_was() {
    let Some(stage) = Stage::new(&[("a", &sleeper("bb:1", "")), ("b", &sleeper("bb:1", ""))]) else { return };
    stage.completes("u-1");
    stage.commit(&[
        ("services/a/docker-compose.yml", &sleeper("bb:2", "")),
        ("services/b/docker-compose.yml", &sleeper("bb:2", "environment: { A: '${READY:-no}' }\nhealthcheck: { test: [CMD, sh, '-c', 'test $$A = yes'], interval: 300ms, retries: 2 }")),
    ]);
    let report = stage.deploy("u-2", json!({"on_failure": "keep"}));
    assert_eq!(report["error"], "activation_failed", "{report}");
    let a = stage.container("a");
    stage.write_config("b", ".env", "READY=yes\n");
    let report = stage.deploy("u-3", json!({"action": "resume", "revision": null, "job": "u-2"}));
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("u-3"));
    assert_eq!(components(&report), ["a: unchanged", "b: done"]);
    assert_eq!(stage.container("a"), a);
}

#[test]
fn diagnose_shows_containers_logs_and_health() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("x-1");
    let report = stage.deploy("x-2", json!({"action": "diagnose", "revision": null}));
    assert_eq!(report["message"], "diagnose done: 1 service, all well", "{report}");
    let web = stage.container("web");
    stage.daemon.docker(&["stop", "--time", "0", &web]);
    let report = stage.deploy("x-3", json!({"action": "diagnose", "revision": null}));
    assert_eq!(report["message"], "diagnose done: 1 of 1 service not well: web", "{report}");
    let text = report["diagnostics"].as_str().unwrap();
    assert!(text.contains("web-app-1 exited with") && text.contains("docker system df"), "{text}");
}

#[test]
fn a_service_that_is_not_assigned_any_more_is_reported_and_pruned_on_request() {
    let Some(stage) = Stage::new(&[("a", &sleeper("bb:1", "")), ("b", &sleeper("bb:1", &checked("'true'")))])
    else {
        return;
    };
    stage.completes("q-1");
    stage.commit(&[("hosts/web1.yaml", "services: [a]\n")]);
    let report = stage.completes("q-2");
    assert!(
        report["message"].as_str().unwrap().contains("b is not a service of this host any more"),
        "{report}"
    );
    assert_eq!(stage.daemon.containers("b").len(), 1);
    let report = stage.deploy("q-3", json!({"prune": true}));
    assert_eq!(report["status"], "completed", "{report}");
    assert!(stage.daemon.containers("b").is_empty());
}
