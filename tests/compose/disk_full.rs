//! A host whose disk is full.

use crate::common::{SmallDisk, eventually};
use crate::stage::{Stage, StageBuilder, sleeper};
use serde_json::json;

/// Starts a host with a small disk for the Compose root. The disk must be dropped first.
fn on_small_disk(host: StageBuilder, min_free: &str) -> (Stage, SmallDisk) {
    let disk = SmallDisk::mount(host.root.path(), 8).expect("root can mount");
    (host.start(&["--min-free", min_free]), disk)
}

#[test]
fn a_full_disk_is_refused_before_anything_changes_and_a_later_job_completes() {
    let Some(host) = StageBuilder::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let (stage, disk) = on_small_disk(host, "1M");
    stage.completes("f-1");
    let web = stage.container("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    disk.fill();
    let report =
        stage.fails("f-2", "unhealthy", "are free on the Compose root, but --min-free requires 1.0 MiB");
    assert!(report["message"].as_str().unwrap().ends_with("nothing was changed"), "{report}");
    assert_eq!(stage.container("web"), web);
    disk.relieve();
    stage.completes("f-3");
    assert_ne!(stage.container("web"), web);
}

#[test]
fn a_disk_that_fills_up_during_a_job_ends_with_one_result() {
    let Some(host) = StageBuilder::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let (stage, disk) = on_small_disk(host, "0");
    stage.completes("f-1");
    let web = stage.container("web");
    stage.commit(&[
        ("services/web/docker-compose.yml", &sleeper("bb:2", "")),
        ("services/web/large", &"large ".repeat(20_000)),
    ]);
    disk.fill();
    // The clone cannot take the commit.
    let report = stage.deploy("f-2", json!({}));
    assert_eq!(report["status"], "failed", "{report:#}");
    assert!(report["message"].as_str().unwrap().contains("nothing was changed"), "{report:#}");
    assert_eq!(stage.container("web"), web);
    disk.relieve();
    let report = stage.completes("f-3");
    assert_ne!(stage.container("web"), web, "{report}");
    eventually("the end of the container", || (stage.status("web") == "running").then_some(()));
}
