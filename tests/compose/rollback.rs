//! Deployments that fail after the first change.

use crate::common::eventually;
use crate::stage::{Stage, checked, components, sleeper};
use serde_json::{Value, json};

#[test]
fn a_service_that_does_not_become_healthy_returns_to_its_old_image() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", &checked("'true'")))]) else { return };
    let first = stage.completes("r-1")["commit"].clone();
    let old = stage.image("web");
    // The tag moves too, so only the id can bring the old image back.
    stage.daemon.import("bb:1");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:1", &checked("'false'")))]);
    let report = stage.fails("r-2", "activation_failed", "health unhealthy");
    assert_eq!(report["rolled_back"], true);
    assert_eq!(components(&report), ["web: failed"]);
    assert!(report["message"].as_str().unwrap().contains("rolled back to commit"), "{report}");
    assert_eq!((stage.image("web"), stage.status("web").as_str()), (old, "running"));
    let head = std::fs::read_to_string(stage.root.path().join("repo/.git/HEAD")).unwrap();
    assert_eq!(json!(head.trim()), first);
    assert!(report["diagnostics"].as_str().unwrap().contains("last health check"), "{report}");
    assert!(stage.root.path().join("state/deploy/stage_diagnose_complete").exists());
}

#[test]
fn if_the_second_of_three_fails_the_first_returns_too_and_the_third_is_not_touched() {
    let services = [("a", sleeper("bb:1", "")), ("b", sleeper("bb:1", "")), ("c", sleeper("bb:1", ""))];
    let services: Vec<_> = services.iter().map(|(name, compose)| (*name, compose.as_str())).collect();
    let Some(stage) = Stage::new(&services) else { return };
    stage.completes("t-1");
    let (old, third) = (stage.image("a"), stage.container("c"));
    let broken = sleeper("bb:2", "").replace("sleep,", "no-such-program,").replace("    init: true\n", "");
    stage.commit(&[
        ("services/a/docker-compose.yml", &sleeper("bb:2", "")),
        ("services/b/docker-compose.yml", &broken),
        ("services/c/docker-compose.yml", &sleeper("bb:2", "")),
        ("services/new/docker-compose.yml", &sleeper("bb:2", "")),
    ]);
    let report = stage.fails("t-2", "activation_failed", "b: ");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!(components(&report), ["a: skipped", "b: failed", "c: skipped"]);
    assert_eq!([stage.image("a"), stage.image("b")], [old.clone(), old]);
    assert_eq!([stage.status("a"), stage.status("b")], ["running", "running"]);
    assert_eq!(stage.container("c"), third);
    let history = || {
        let lines = std::fs::read_to_string(stage.host.file("state/history.jsonl")).ok()?;
        let entry: Value = serde_json::from_str(lines.lines().find(|line| line.contains("\"t-2\""))?).ok()?;
        Some(entry["components"].clone())
    };
    assert_eq!(eventually("the entry of the history", history), json!(["a", "b"]));
}

#[test]
fn a_new_service_that_fails_is_removed_and_no_rollback_leaves_everything() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("n-1");
    stage.commit(&[
        ("hosts/web1.yaml", "services: [web, new]\n"),
        ("services/new/docker-compose.yml", &sleeper("bb:2", &checked("'false'"))),
    ]);
    let report = stage.fails("n-2", "activation_failed", "new: ");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert!(stage.daemon.containers("new").is_empty());
    let report = stage.deploy("n-3", json!({"on_failure": "keep"}));
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(false)),
        "{report}"
    );
    assert_eq!(stage.daemon.containers("new").len(), 1);
    assert!(report["message"].as_str().unwrap().ends_with("not rolled back, as requested"), "{report}");
}

#[test]
fn a_failing_health_check_script_rolls_back_and_a_later_success_does_not() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.commit(&[
        ("hosts/web1.yaml", "services: { web: { timeout: 20 } }\n"),
        ("services/web/healthcheck.sh", "echo . >>attempts; test $(wc -l <attempts) -gt 2\n"),
    ]);
    stage.completes("h-1");
    let old = stage.container("web");
    stage.commit(&[
        ("hosts/web1.yaml", "services: { web: { timeout: 2 } }\n"),
        ("services/web/healthcheck.sh", "echo no answer; exit 7\n"),
        ("services/web/docker-compose.yml", &sleeper("bb:2", "")),
    ]);
    let report = stage.fails("h-2", "verification_failed", "healthcheck.sh did not succeed within 2 s");
    assert!(report["message"].as_str().unwrap().contains("no answer"), "{report}");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_ne!(stage.container("web"), old);
    assert_eq!(stage.image("web"), stage.daemon.docker(&["image", "inspect", "--format", "{{.Id}}", "bb:1"]));
}
