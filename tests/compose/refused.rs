//! Deployments that are refused before anything changes.

use crate::common::{SigningKey, TestDir};
use crate::stage::{Stage, StageBuilder, phases, sleeper};
use serde_json::{Value, json};
use std::fs;

fn unchanged(report: &Value) {
    assert!(report["message"].as_str().unwrap().contains("nothing was changed"), "{report}");
    assert!(report["rolled_back"].is_null(), "{report}");
}

#[test]
fn each_mistake_in_the_repository_is_named() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("c-0");
    let web = stage.container("web");
    let fails = |id: &str, files: &[(&str, &str)], part: &str| {
        stage.commit(files);
        let report = stage.fails(id, "check_refused", part);
        unchanged(&report);
        assert_eq!(phases(&report)[2], "check: failed", "{report}");
        stage.repo.git(&["revert", "--no-edit", "--quiet", "HEAD"]);
    };
    fails(
        "c-1",
        &[("services/web/docker-compose.yml", "services: [\n")],
        "web: docker compose config failed: yaml: line",
    );
    fails(
        "c-2",
        &[("hosts/web1.yaml", "services:\n  web: { exposure: lan }\n")],
        "hosts/web1.yaml, line 2: ",
    );
    fails(
        "c-3",
        &[("inventory/topology.yaml", "nodes: { web2: {} }\n")],
        "web1 is not one of its nodes (did you mean web2?)",
    );
    fails(
        "c-4",
        &[("hosts/web1.yaml", "services: [web, wep]\n")],
        "wep has no services/wep/docker-compose.yml",
    );
    fails(
        "c-5",
        &[("hosts/web1.yaml", "services: { web: { after: [db] } }\n")],
        "web is after db, which is not a service of this node",
    );
    fails(
        "c-6",
        &[
            ("hosts/web1.yaml", "services: { web: { after: [b] }, b: { after: [web] } }\n"),
            ("services/b/docker-compose.yml", &sleeper("bb:1", "")),
        ],
        "services are after each other: web → b → web",
    );
    let ports =
        |port: &str| sleeper("bb:1", &format!("ports: ['{port}']")).replace("    network_mode: none\n", "");
    fails(
        "c-7",
        &[
            ("hosts/web1.yaml", "services: [web, b]\n"),
            ("services/web/docker-compose.yml", &ports("127.0.0.1:8080:80")),
            ("services/b/docker-compose.yml", &ports("127.0.0.1:8080:81")),
        ],
        "port 8080/tcp is published twice, by web (app) and b (app)",
    );
    fails(
        "c-8",
        &[("services/web/docker-compose.yml", &ports("8080:80"))],
        "web publishes port 8080 on all addresses, but its exposure is local-only: bind it to loopback (127.0.0.1:8080:80)",
    );
    let report = stage.deploy("c-9", json!({"services": ["wed"]}));
    assert_eq!(report["status"], "failed", "{report}");
    assert!(report["message"].as_str().unwrap().contains("wed is not a service of web1"), "{report}");
    assert_eq!(stage.container("web"), web);
    assert!(!stage.job_file("c-8", "tree").exists());
}

#[test]
fn an_image_that_is_not_here_and_cannot_be_pulled_fails_in_build() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("p-1");
    let web = stage.container("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("registry.invalid/app:1", ""))]);
    let report = stage.fails("p-2", "source_unreachable", "could not get the image registry.invalid/app:1");
    unchanged(&report);
    assert_eq!(phases(&report)[..2], ["prepare: done", "build: failed"]);
    assert_eq!(stage.container("web"), web);
}

#[test]
fn local_changes_and_a_dead_daemon_are_refused() {
    let Some(mut stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("l-1");
    let file = stage.root.path().join("repo/services/web/docker-compose.yml");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, "changed by hand\n").unwrap();
    let report = stage.fails("l-2", "unhealthy", "has local changes in services/web/docker-compose.yml");
    unchanged(&report);
    fs::write(&file, before).unwrap();
    stage.completes("l-3");
    stage.daemon.kill();
    unchanged(&stage.fails("l-4", "unhealthy", "docker does not respond"));
    stage.daemon.restart();
    stage.completes("l-5");
}

#[test]
fn without_the_remote_what_is_in_the_clone_is_deployed() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let commit = stage.completes("o-1")["commit"].clone();
    let web = stage.container("web");
    let away = stage.repo.path().with_extension("away");
    fs::rename(stage.repo.path(), &away).unwrap();
    stage.fails("o-2", "source_unreachable", "--offline-ok");
    let report = stage.deploy("o-3", json!({"commit": commit}));
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("o-3"));
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("the repository is unreachable: deployed commit"), "{message}");
    assert!(message.contains("from the clone, fetched "), "{message}");
    assert_eq!(stage.container("web"), web);
    let report = stage.deploy("o-4", json!({"commit": "0123456789012345678901234567890123456789"}));
    assert_eq!(report["error"], "source_unreachable", "{report}");
    fs::rename(&away, stage.repo.path()).unwrap();
}

#[test]
fn without_the_remote_an_older_commit_that_is_named_alone_is_refused() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let older = stage.completes("ol-1")["commit"].clone();
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    stage.completes("ol-2");
    let web = stage.container("web");
    let away = stage.repo.path().with_extension("away");
    fs::rename(stage.repo.path(), &away).unwrap();
    let report = stage.deploy("ol-3", json!({"revision": older, "commit": older}));
    assert_eq!(report["error"], "source_unreachable", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("is older than") && message.contains("`deploy --allow-older`"), "{message}");
    assert_eq!(stage.container("web"), web);
    let report = stage.deploy("ol-4", json!({"revision": older, "commit": older, "allow_older": true}));
    assert_eq!(report["status"], "completed", "{report:#}");
    fs::rename(&away, stage.repo.path()).unwrap();
}

#[test]
fn without_the_remote_an_unsigned_commit_is_refused_and_a_deployed_one_is_not() {
    let Some(host) = StageBuilder::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let keys = TestDir::new();
    let key = SigningKey::generate(keys.path());
    let stage = host.start(&["--offline-ok", "--commit-signers", key.signers.to_str().unwrap()]);
    stage.fails("si-1", "invalid_revision", "is not signed; expected a signature by alice@example.org");
    fs::write(stage.repo.path().join("README"), "signed").unwrap();
    let deployed = stage.repo.commit_signed(&key, "signed");
    stage.completes("si-2");
    let web = stage.container("web");
    // Another one is in the clone, but was never deployed.
    fs::write(stage.repo.path().join("hosts/web1.yaml"), "services: [web, missing]\n").unwrap();
    let fetched = stage.repo.commit_signed(&key, "signed too");
    stage.fails("si-3", "check_refused", "missing has no services/missing");
    let away = stage.repo.path().with_extension("away");
    fs::rename(stage.repo.path(), &away).unwrap();
    let unverified = "the signature of a commit is verified only while the repository is reachable";
    for revision in [json!({}), json!({"commit": fetched})] {
        let report = stage.deploy(&format!("si-{revision}").replace(['{', '}', '"', ':'], ""), revision);
        assert_eq!(report["error"], "source_unreachable", "{report}");
        assert!(report["message"].as_str().unwrap().contains(unverified), "{report}");
    }
    let report = stage.deploy("si-6", json!({"commit": deployed, "allow_older": true}));
    assert_eq!(report["status"], "completed", "{report:#}");
    assert_eq!(stage.container("web"), web);
    fs::rename(&away, stage.repo.path()).unwrap();
}
