//! A host whose disk is full.

use crate::common::{SmallDisk, eventually};
use crate::daemon::Daemon;
use crate::stage::{Stage, StageBuilder, components, sleeper};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

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

/// A service that is healthy when the test lets it pass.
fn gated(image: &str) -> String {
    let check =
        "healthcheck: { test: [CMD, test, '-e', /run/ready], interval: 300ms, timeout: 5s, retries: 1000 }";
    sleeper(image, &format!("tmpfs: [/run]\n{check}"))
}

/// The services `a`, `b` and `c`.
fn three() -> Option<StageBuilder> {
    let compose = sleeper("bb:1", "");
    StageBuilder::new(&["a", "b", "c"].map(|name| (name, compose.as_str())))
}

/// The containers of the three services.
fn containers(stage: &Stage) -> [String; 3] {
    ["a", "b", "c"].map(|name| stage.container(name))
}

/// The images of the three services; all must run.
fn images(stage: &Stage) -> [String; 3] {
    ["a", "b", "c"].map(|name| {
        assert_eq!(stage.status(name), "running", "{name}");
        stage.image(name)
    })
}

/// Changes all three services and these files, and fills the disk after the first service is brought up. The job must fail with this
/// error and message, and the services must go back. After space is free, the job is continued.
fn fill_after_the_first(stage: &Stage, disk: &SmallDisk, files: &[(&str, &str)], error: &str, part: &str) {
    let old = images(stage);
    let compose = sleeper("bb:2", "");
    let mut all = vec![
        ("services/a/docker-compose.yml", gated("bb:2")),
        ("services/b/docker-compose.yml", compose.clone()),
        ("services/c/docker-compose.yml", compose),
    ];
    all.extend(files.iter().map(|(path, content)| (*path, (*content).to_owned())));
    stage.commit(&all.iter().map(|(path, content)| (*path, content.as_str())).collect::<Vec<_>>());
    let pass = || {
        stage.daemon.docker(&["exec", "a-app-1", "touch", "/run/ready"]);
    };
    let reports = stage.send("f-2", json!({}));
    stage.wait_for_line("f-2", "a: Container a-app-1  Started");
    disk.fill();
    pass();
    let report = reports.final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!(error), &json!(true)),
        "{report:#}\n{}",
        stage.log("f-2")
    );
    let message = report["message"].as_str().unwrap();
    assert!(message.contains(part) && message.contains("; rolled back to commit "), "{message}");
    assert_eq!(images(stage), old);
    assert!(reports.quiet(Duration::from_millis(300)).is_empty());
    disk.relieve();
    assert!(!stage.daemon.docker(&["ps", "--all"]).contains("homelab-deploy-reserve"));
    let reports = stage.send("f-3", json!({"action": "resume", "revision": null, "job": "f-2"}));
    stage.wait_for_line("f-3", "a: Container a-app-1  Started");
    pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("f-3"));
    assert_eq!(components(&report), ["a: done", "b: done", "c: done"]);
    let new = stage.daemon.docker(&["image", "inspect", "--format", "{{.Id}}", "bb:2"]);
    assert_eq!(images(stage), [new.clone(), new.clone(), new]);
    assert!(!stage.daemon.docker(&["ps", "--all"]).contains("homelab-deploy-reserve"));
}

#[test]
fn if_the_state_directory_fills_up_after_the_first_service_it_goes_back_and_resume_continues() {
    let Some(host) = three() else { return };
    let mut disk = None;
    let stage = host.start_with(|host| {
        disk = SmallDisk::mount(&host.dir().join("state"), 4);
        host.args(&["--min-free", "0"])
    });
    let disk = disk.expect("root can mount");
    stage.completes("f-1");
    let before = containers(&stage);
    let part = "compose.json: No space left on device (os error 28); free disk space, then deploy again";
    fill_after_the_first(&stage, &disk, &[], "activation_failed", part);
    assert_ne!(containers(&stage), before);
    // The listener has the result of the failed job also after a restart.
    let record: Value =
        serde_json::from_slice(&fs::read(stage.job_file("f-2", "state.json")).unwrap()).unwrap();
    assert_eq!(record["report"]["rolled_back"], true, "{record:#}");
    drop(disk);
}

#[test]
fn if_the_root_fills_up_after_the_first_service_the_old_work_tree_has_room() {
    let Some(host) = three() else { return };
    let large = "services/c/large";
    fs::write(host.repo.path().join(large), "large ".repeat(200_000)).unwrap();
    host.repo.commit("README", "a large file");
    let disk = SmallDisk::mount(host.root.path(), 16).expect("root can mount");
    let root = host.root.path().to_owned();
    let (stage, disk) = (host.start(&["--min-free", "0"]), disk);
    stage.completes("f-1");
    fs::remove_file(stage.repo.path().join(large)).unwrap();
    let needs_space = format!("head -c 100000 /dev/zero >{}/probe\n", root.display());
    let files = [
        ("hosts/web1.yaml", "services: { a: {}, b: {}, c: { timeout: 2 } }\n"),
        ("services/c/healthcheck.sh", needs_space.as_str()),
    ];
    fill_after_the_first(&stage, &disk, &files, "verification_failed", "No space left on device");
    assert!(!root.join("repo/.git/homelab-deploy-reserve").exists());
    drop(disk);
}

#[test]
fn if_the_disk_of_docker_fills_up_after_the_first_service_its_old_container_has_room() {
    let Some(mut host) = three() else { return };
    let Some((daemon, disk)) = Daemon::on_small_disk(64) else { return };
    host.daemon = daemon;
    let (stage, disk) = (host.start(&[]), disk);
    stage.completes("f-1");
    let part = "no space left on device (exit status: 1); free disk space, then deploy again";
    fill_after_the_first(&stage, &disk, &[], "activation_failed", part);
    drop(disk);
}
