//! Images that Compose builds, and images that no generation needs any more.

use crate::stage::{Stage, StageBuilder, components, sleeper};
use serde_json::json;
use std::fs;

/// A service whose image Compose builds from its directory.
fn built() -> String {
    sleeper("x", "").replace("image: x", "build: .")
}

fn has_image(stage: &Stage, id: &str) -> bool {
    stage.daemon.docker(&["image", "ls", "--all", "--no-trunc", "--quiet"]).lines().any(|image| image == id)
}

#[test]
fn an_image_is_built_and_the_old_one_returns_if_the_new_one_fails() {
    let Some(host) = StageBuilder::new(&[("web", &built())]) else { return };
    fs::write(host.repo.path().join("services/web/Dockerfile"), "FROM bb:1\nCOPY version /version\n")
        .unwrap();
    fs::write(host.repo.path().join("services/web/version"), "one\n").unwrap();
    host.repo.commit("README", "a built image");
    let stage = host.start(&[]);
    stage.completes("b-1");
    let read = |stage: &Stage| stage.daemon.docker(&["exec", &stage.container("web"), "cat", "/version"]);
    assert_eq!(read(&stage), "one");
    let (first, container) = (stage.image("web"), stage.container("web"));
    // Nothing is built if nothing changed.
    assert_eq!(components(&stage.completes("b-2")), ["web: unchanged"]);
    assert_eq!(stage.container("web"), container);
    assert!(!stage.log("b-2").contains("building"), "{}", stage.log("b-2"));
    // The build fails, so nothing is changed.
    stage.commit(&[
        ("services/web/Dockerfile", "FROM bb:1\nCOPY missing /version\n"),
        ("services/web/docker-compose.yml", &built().replace("1000", "1001")),
    ]);
    let report = stage.fails("b-3", "build_failed", "could not get the image web-app");
    assert!(report["message"].as_str().unwrap().contains("nothing was changed"), "{report}");
    assert_eq!(stage.container("web"), container);
    // The image is built, its container fails, and the old image returns although the name is the same.
    stage.commit(&[
        ("services/web/Dockerfile", "FROM bb:1\nCOPY version /version\n"),
        ("services/web/version", "two\n"),
        (
            "services/web/docker-compose.yml",
            &built().replace("[sleep, '1000']", "[sh, -c, 'exit 4']").replace("unless-stopped", "'no'"),
        ),
    ]);
    let report = stage.fails("b-4", "activation_failed", "exited with 4");
    assert_eq!(report["rolled_back"], true, "{report}");
    assert_eq!((stage.image("web"), read(&stage).as_str()), (first, "one"));
    // The sources of an image changed, and nothing else.
    stage.commit(&[("services/web/docker-compose.yml", &built())]);
    assert_eq!(components(&stage.completes("b-5")), ["web: done"], "{}", stage.log("b-5"));
    assert_eq!(read(&stage), "two");
    stage.commit(&[("services/web/version", "three\n")]);
    assert_eq!(components(&stage.completes("b-6")), ["web: done"], "{}", stage.log("b-6"));
    assert_eq!(read(&stage), "three");
}

#[test]
fn images_that_no_kept_generation_uses_are_removed() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", "")), ("db", &sleeper("bb:1", ""))]) else {
        return;
    };
    stage.completes("i-0");
    let mut images = Vec::new();
    for round in 1..=6 {
        let tag = format!("app:{round}");
        images.push(stage.daemon.import(&tag));
        stage.commit(&[("services/web/docker-compose.yml", &sleeper(&tag, ""))]);
        stage.completes(&format!("i-{round}"));
    }
    // Five generations are kept: those with the images 2 to 6.
    assert!(!has_image(&stage, &images[0]), "{}", stage.log("i-6"));
    assert!(stage.log("i-6").contains(&format!("removed the image {}", images[0])), "{}", stage.log("i-6"));
    for image in &images[1..] {
        assert!(has_image(&stage, image), "{image}");
    }
    // Of the generations that are not kept, this one is used by another service.
    assert!(has_image(&stage, &stage.image("db")));
    let report = stage.deploy("i-7", json!({"action": "rollback", "revision": null, "generation": 3}));
    assert_eq!(report["status"], "completed", "{report:#}");
    assert_eq!(stage.image("web"), images[1]);
}

#[test]
fn deployments_that_change_nothing_displace_no_generation() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("n-1");
    let old = stage.image("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    stage.completes("n-2");
    for round in 3..=8 {
        // A commit that changes no service is deployed, too.
        let commit = stage.commit(&[("README", &round.to_string())]);
        let report = stage.completes(&format!("n-{round}"));
        assert_eq!((&report["generation"], &report["commit"]), (&json!(2), &json!(commit)), "{report}");
    }
    let report = stage.deploy("n-9", json!({"action": "rollback", "revision": null}));
    assert_eq!((&report["status"], &report["generation"]), (&json!("completed"), &json!(1)), "{report:#}");
    assert_eq!(stage.image("web"), old);
}

#[test]
fn a_deployment_leaves_no_volumes_of_an_image() {
    let Some(host) = StageBuilder::new(&[("db", sleeper("volume:1", "").as_str())]) else { return };
    for version in ["1", "2"] {
        let from = format!("bb:{version}");
        host.daemon.docker(&["create", "--name", "made", &from, "true"]);
        host.daemon.docker(&["commit", "--change", "VOLUME /data", "made", &format!("volume:{version}")]);
        host.daemon.docker(&["rm", "made"]);
    }
    let stage = host.start(&[]);
    stage.completes("v-1");
    let volumes = || stage.daemon.docker(&["volume", "ls", "--quiet"]);
    let before = volumes();
    assert_eq!(before.lines().count(), 1, "{before}");
    stage.commit(&[("services/db/docker-compose.yml", &sleeper("volume:2", ""))]);
    stage.completes("v-2");
    assert_eq!(volumes(), before, "Compose keeps the volume of the service");
}
