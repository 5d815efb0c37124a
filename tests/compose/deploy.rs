//! Deployments that succeed, and what they leave alone.

use crate::stage::{Stage, StageBuilder, checked, components, phases, sleeper};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_deployment_passes_all_stages_and_an_unchanged_service_is_not_touched() {
    let Some(stage) =
        Stage::new(&[("db", &sleeper("bb:1", "")), ("web", &sleeper("bb:1", &checked("'true'")))])
    else {
        return;
    };
    let report = stage.completes("d-1");
    let done =
        ["prepare: done", "build: done", "check: done", "activate: done", "verify: done", "persist: done"];
    assert_eq!(phases(&report), done);
    assert_eq!(components(&report), ["db: done", "web: done"]);
    assert_eq!(
        (&report["generation"], &report["system"]),
        (&json!(1), &json!(format!("compose:{}", report["commit"].as_str().unwrap())))
    );
    let (db, web) = (stage.container("db"), stage.container("web"));
    assert_eq!([stage.status("db"), stage.status("web")], ["running", "running"]);
    let state_dir = stage.root.path().join("state/deploy");
    for name in ["prepare", "validate", "deploy", "verify", "complete"] {
        assert!(state_dir.join(format!("stage_{name}_complete")).exists(), "{name}");
    }
    assert!(!state_dir.join("stage_diagnose_complete").exists());
    assert_eq!(fs::read_to_string(state_dir.join("current_stage")).unwrap(), "complete\n");
    assert_eq!(fs::read_to_string(state_dir.join("last_service")).unwrap(), "web\n");
    let generation: Value =
        serde_json::from_slice(&fs::read(state_dir.join("generation.json")).unwrap()).unwrap();
    assert_eq!(generation["services"]["web"]["app"], json!(stage.image("web")));
    let logs: Vec<_> = fs::read_dir(stage.root.path().join("logs/deploy"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let log = logs.iter().find(|path| path.extension().is_some_and(|end| end == "log")).unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("[STRUCT] {"), "{}", stage.log("d-1"));

    // Only one of them changes.
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:1", "environment: { A: b }"))]);
    let report = stage.completes("d-2");
    assert_eq!(components(&report), ["db: unchanged", "web: done"]);
    assert_eq!(stage.container("db"), db);
    assert_ne!(stage.container("web"), web);
    assert_eq!(report["generation"], json!(2));
    // The same commit again.
    let (web, message) = (stage.container("web"), stage.completes("d-3")["message"].clone());
    assert_eq!((stage.container("db"), stage.container("web")), (db, web));
    assert!(message.as_str().unwrap().contains("2 unchanged"), "{message}");
}

#[test]
fn a_file_of_the_repository_that_is_mounted_counts_as_a_change() {
    let mounts = "volumes: ['./app.conf:/app.conf:ro']\n";
    let Some(stage) =
        StageBuilder::new(&[("web", &sleeper("bb:1", mounts)), ("other", &sleeper("bb:1", ""))]).map(
            |stage| {
                fs::write(stage.repo.path().join("services/web/app.conf"), "one").unwrap();
                stage.repo.commit("README", "app.conf");
                stage.start(&[])
            },
        )
    else {
        return;
    };
    stage.completes("m-1");
    let (web, other) = (stage.container("web"), stage.container("other"));
    stage.commit(&[("services/web/app.conf", "two")]);
    let report = stage.completes("m-2");
    assert_eq!(components(&report), ["web: done", "other: unchanged"]);
    assert_ne!(stage.container("web"), web);
    assert_eq!(stage.container("other"), other);
    let web = stage.container("web");
    assert_eq!(stage.daemon.docker(&["exec", &web, "cat", "/app.conf"]), "two");
    stage.completes("m-3");
    assert_eq!(stage.container("web"), web);
}

#[test]
fn what_was_stopped_by_hand_stays_stopped() {
    let Some(stage) = Stage::new(&[("db", &sleeper("bb:1", "")), ("web", &sleeper("bb:1", ""))]) else {
        return;
    };
    stage.completes("s-1");
    let (db, web) = (stage.container("db"), stage.container("web"));
    stage.daemon.docker(&["stop", "--time", "0", &db, &web]);
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    let report = stage.completes("s-2");
    // The unchanged one is not touched; the changed one is created and not started.
    assert_eq!((stage.container("db"), stage.status("db").as_str()), (db.clone(), "exited"));
    assert_ne!(stage.container("web"), web);
    assert_eq!(stage.status("web"), "created");
    assert!(report["message"].as_str().unwrap().contains("left stopped: db, web"), "{report}");
    // It is still stopped after the next deployment.
    stage.completes("s-3");
    assert_eq!((stage.status("db").as_str(), stage.status("web").as_str()), ("exited", "created"));
}

#[test]
fn a_service_that_crashed_is_started_with_the_commit_that_fixes_it() {
    let crashing = sleeper("bb:1", "")
        .replace("unless-stopped", "'no'")
        .replace("[sleep, '1000']", "[sh, -c, 'exit 3']");
    let Some(stage) = Stage::new(&[("web", &crashing)]) else { return };
    let report = stage.deploy("f-1", json!({"on_failure": "keep"}));
    assert_eq!(report["error"], "activation_failed", "{report}");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:1", ""))]);
    stage.completes("f-2");
    assert_eq!(stage.status("web"), "running");
}

#[test]
fn values_of_env_files_and_overrides_are_used_and_appear_nowhere() {
    let secret = "correct-horse-battery";
    let compose = sleeper("bb:1", "environment: { TOKEN: '${TOKEN:?set TOKEN}' }");
    let Some(stage) = Stage::new(&[("web", &compose)]) else { return };
    stage.fails("e-1", "check_refused", "required variable TOKEN is missing a value: set TOKEN");
    stage.write_config("web", ".env", &format!("TOKEN=\"{secret}\"\n"));
    stage.write_config("web", "docker-compose.override.yml", "services: { app: { labels: { of: host } } }\n");
    stage.completes("e-2");
    let web = stage.container("web");
    assert_eq!(stage.daemon.inspect(&web, "{{index .Config.Labels \"of\"}}"), "host");
    assert!(stage.daemon.inspect(&web, "{{.Config.Env}}").contains(secret));
    // A container that prints it and fails, so that the log, the diagnostics and the report would show it.
    let leaky = compose
        .replace("[sleep, '1000']", "[sh, -c, 'echo token is $$TOKEN; exit 3']")
        .replace("unless-stopped", "'no'");
    stage.commit(&[
        ("services/web/docker-compose.yml", &leaky),
        ("services/web/healthcheck.sh", "echo checked with $TOKEN; exit 1\n"),
    ]);
    let report = stage.fails("e-3", "activation_failed", "token is ***");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert!(report["diagnostics"].as_str().unwrap().contains("token is ***"), "{report}");
    let printing = sleeper("bb:1", "environment: { TOKEN: '${TOKEN}' }");
    stage.commit(&[
        ("hosts/web1.yaml", "services: { web: { timeout: 2 } }\n"),
        ("services/web/docker-compose.yml", &printing.replace("1000", "1001")),
    ]);
    stage.fails("e-4", "verification_failed", "checked with ***");
    for id in ["e-1", "e-2", "e-3", "e-4"] {
        for entry in fs::read_dir(stage.job_file(id, "")).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            assert!(!text.contains(secret), "{}: {text}", path.display());
        }
    }
    assert!(!report.to_string().contains(secret));
}
