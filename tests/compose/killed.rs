//! A listener, Compose or a daemon that dies during a job.

use crate::common::{eventually, kill_tree_of, processes};
use crate::stage::{Stage, StageBuilder, checked, components, sleeper};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Three services with the image `bb:1`.
fn stage() -> Option<Stage> {
    let compose = slow("bb:1");
    let stage = StageBuilder::new(&[("a", &compose), ("b", &compose), ("c", &compose)])?.start(&[]);
    // The containers need not be watched for a while.
    stage.commit(
        &["a", "b", "c"]
            .map(|name| format!("services/{name}/healthcheck.sh"))
            .each_ref()
            .map(|file| (file.as_str(), "exit 0\n")),
    );
    stage.completes("k-1");
    Some(stage)
}

/// Changes the image of all three.
fn change(stage: &Stage, image: &str) {
    let compose = slow(image);
    let files = ["a", "b", "c"].map(|name| format!("services/{name}/docker-compose.yml"));
    stage.commit(&files.each_ref().map(|file| (file.as_str(), compose.as_str())));
}

/// A service that takes a moment to become healthy.
fn slow(image: &str) -> String {
    let check = "healthcheck: { test: [CMD, test, '-e', /ready], interval: 300ms, timeout: 5s, retries: 30 }";
    sleeper(image, check).replace("[sleep, '1000']", "[sh, -c, 'sleep 0.5; touch /ready; exec sleep 1000']")
}

#[test]
fn a_killed_listener_continues_at_any_point_and_changes_no_service_twice() {
    let Some(mut stage) = stage() else { return };
    let mut round = 0;
    for point in [
        "\"stage\":\"prepare\"",
        "deploying commit",
        "\"stage\":\"validate\"",
        "\"stage\":\"deploy\"",
        "a: Container a-app-1  Recreate",
        "a: Container a-app-1  Started",
        "\"service\":\"a\"",
        "b: Container b-app-1  Recreated",
        "\"service\":\"b\"",
        "\"service\":\"c\"",
        "\"stage\":\"verify\"",
        "\"stage\":\"complete\"",
    ] {
        round += 1;
        let (id, image) = (format!("k-{}", round + 1), format!("bb:{}", 1 + round % 2));
        change(&stage, &image);
        let created = stage.daemon.watch_created();
        let reports = stage.send(&id, json!({}));
        stage.wait_for_line(&id, point);
        stage.restart();
        let report = reports.final_report();
        assert_eq!(report["status"], "completed", "{point}: {report:#}\n{}", stage.log(&id));
        assert_eq!(components(&report), ["a: done", "b: done", "c: done"], "{point}");
        assert_eq!(created.end(&stage.daemon), ["a", "b", "c"], "{point}\n{}", stage.log(&id));
        let wanted = stage.daemon.docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
        for name in ["a", "b", "c"] {
            assert_eq!(stage.image(name), wanted, "{point}");
            let names = stage.daemon.inspect(&stage.container(name), "{{.Name}}");
            assert_eq!(names, format!("/{name}-app-1"), "{point}");
        }
        assert!(
            reports.quiet(Duration::from_millis(300)).iter().all(|report| report.body["status"] != "failed")
        );
    }
}

#[test]
fn a_killed_compose_leaves_nothing_and_the_job_completes() {
    let Some(mut stage) = stage() else { return };
    for (id, image, point) in [
        ("k-2", "bb:2", "a: Container a-app-1  Recreate"),
        ("k-3", "bb:1", "b: Container b-app-1  Recreated"),
    ] {
        change(&stage, image);
        let reports = stage.send(id, json!({}));
        stage.wait_for_line(id, point);
        // The listener first, so that it does not see the end of Compose.
        stage.host.kill();
        let socket = stage.daemon.environment()[0].1.clone();
        let ours = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| String::from_utf8_lossy(&env).contains(&socket))
        };
        for pid in processes(|line| line.contains("--project-name")).into_iter().filter(ours) {
            kill_tree_of(pid);
        }
        stage.host.restart();
        let report = reports.final_report();
        assert_eq!(report["status"], "completed", "{point}: {report:#}\n{}", stage.log(id));
        // What it has left was removed before the next `up`, which would have failed.
        assert!(!stage.log(id).contains("Conflict"), "{point}: {}", stage.log(id));
        for name in ["a", "b", "c"] {
            assert_eq!(stage.status(name), "running", "{point}");
            assert_eq!(stage.daemon.inspect(&stage.container(name), "{{.Name}}"), format!("/{name}-app-1"));
        }
    }
}

/// Compose would fail with a conflict, or replace the leftover instead of the container.
#[test]
fn what_a_killed_compose_has_left_is_removed_before_a_service_is_brought_up() {
    let Some(stage) = Stage::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    stage.completes("l-1");
    let old = stage.container("web");
    let name = stage.daemon.leave_behind("web");
    let report = stage.completes("l-2");
    assert_eq!(components(&report), ["web: done"]);
    let log = stage.log("l-2");
    assert!(
        log.contains(&format!("removed {name}, which a docker compose that was killed has left")),
        "{log}"
    );
    assert!(!log.contains("Conflict"), "{log}");
    assert_eq!((stage.container("web"), stage.status("web").as_str()), (old, "running"));
}

/// A listener that is started later continues at the phase of the record, and would deploy from the beginning otherwise.
#[test]
fn nothing_changes_before_the_record_has_the_phase() {
    let Some(host) = StageBuilder::new(&[("web", &sleeper("bb:1", ""))]) else { return };
    let stage = host.start_with(|host| {
        let (dir, program) = (host.dir().display().to_string(), host.dir().join("docker"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *' config --format '*) test -e {dir}/open || read go <{dir}/gate;; esac\nexec docker \"$@\"\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(host.dir().join("open"), "").unwrap();
        let command = format!("{} compose", program.display());
        host.gate("gate").args(&["--compose-command", &command])
    });
    stage.completes("w-1");
    let web = stage.container("web");
    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", ""))]);
    fs::remove_file(stage.host.file("open")).unwrap();
    stage.send("w-2", json!({}));
    stage.wait_for_line("w-2", "deploying commit");
    // From now on the record cannot be written.
    let record = stage.job_file("w-2", "state.json");
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    fs::write(stage.host.file("open"), "").unwrap();
    stage.host.open("gate");
    stage.wait_for_line("w-2", "\"event\":\"end\"");
    assert!(stage.log("w-2").contains("\"error\":\"unhealthy\""), "{}", stage.log("w-2"));
    assert_eq!(stage.container("web"), web);
}

#[test]
fn a_killed_listener_continues_a_rollback() {
    let Some(mut stage) = stage() else { return };
    change(&stage, "bb:2");
    stage.commit(&[("services/c/docker-compose.yml", &sleeper("bb:2", &checked("'false'")))]);
    let old = stage.image("a");
    for (id, point) in [("k-2", "\"stage\":\"rollback\""), ("k-3", "b: Container b-app-1  Recreate")] {
        let reports = stage.send(id, json!({}));
        stage.wait_for_line(id, "\"stage\":\"rollback\"");
        eventually(point, || {
            let log = stage.log(id);
            log.split("\"stage\":\"rollback\"")
                .nth(1)?
                .contains(point.trim_start_matches("\"stage\":\"rollback\""))
                .then_some(())
        });
        stage.restart();
        let report = reports.final_report();
        assert_eq!(
            (&report["error"], &report["rolled_back"]),
            (&json!("activation_failed"), &json!(true)),
            "{report:#}\n{}",
            stage.log(id)
        );
        assert_eq!(
            [stage.image("a"), stage.image("b"), stage.image("c")],
            [old.clone(), old.clone(), old.clone()]
        );
    }
}

#[test]
fn a_daemon_that_restarts_during_a_job_is_waited_for() {
    let Some(mut stage) = stage() else { return };
    change(&stage, "bb:2");
    let reports = stage.send("k-2", json!({}));
    stage.wait_for_line("k-2", "b: Container b-app-1  Recreate");
    stage.daemon.restart();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("k-2"));
    let wanted = stage.daemon.docker(&["image", "inspect", "--format", "{{.Id}}", "bb:2"]);
    assert_eq!(["a", "b", "c"].map(|name| stage.image(name)), [wanted.clone(), wanted.clone(), wanted]);
}

#[test]
fn a_daemon_that_stays_away_interrupts_the_job_and_resume_continues_it() {
    let Some(mut stage) = stage() else { return };
    change(&stage, "bb:2");
    let reports = stage.send("k-2", json!({}));
    stage.wait_for_line("k-2", "\"service\":\"a\"");
    let a = stage.container("a");
    stage.wait_for_line("k-2", "b: Container b-app-1  Recreate");
    stage.daemon.kill();
    // The job waits for a minute.
    let report = reports.final_report_within(Duration::from_mins(3));
    assert_eq!(report["error"], "interrupted", "{report:#}\n{}", stage.log("k-2"));
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("done so far: a; start docker, then continue with"), "{message}");
    assert!(message.contains("`homelab-deploy resume web1`"), "{message}");
    stage.daemon.restart();
    let report = stage.deploy("k-3", json!({"action": "resume", "revision": null, "job": "k-2"}));
    assert_eq!(report["status"], "completed", "{report:#}\n{}", stage.log("k-3"));
    assert_eq!(components(&report), ["a: unchanged", "b: done", "c: done"]);
    assert_eq!(stage.container("a"), a);
    let wanted = stage.daemon.docker(&["image", "inspect", "--format", "{{.Id}}", "bb:2"]);
    assert_eq!(["a", "b", "c"].map(|name| stage.image(name)), [wanted.clone(), wanted.clone(), wanted]);
}
