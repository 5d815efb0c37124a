//! What happens to an unfinished job at the next start: on the same or another boot, in time or late, after repeated
//! crashes.

use crate::common::{RawSubscription, Repo, eventually};
use crate::stage::{SWITCH, Stage, flake};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

const HOLD: &str = "read _ < $STAGE/gate";

/// Sets the current boot of the host.
fn boot(stage: &Stage, id: &str) {
    let file = stage.at("root/proc/sys/kernel/random/boot_id");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, id).unwrap();
}

/// Changes the record of the job on disk.
fn rewrite(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut record = stage.record("j-1");
    change(&mut record);
    fs::write(stage.job_file("j-1", "state.json"), record.to_string()).unwrap();
}

/// Starts a switch to `v1` on the first boot and kills the listener during the check.
fn died_in_check(mut stage: Stage) -> (Stage, RawSubscription) {
    boot(&stage, "boot-1");
    let gate = stage.gate("gate");
    stage.fault("v1", "check", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 check");
    stage.host.kill();
    fs::remove_file(stage.at("v1.check")).unwrap();
    drop(gate);
    (stage, reports)
}

fn is_interrupted(stage: &Stage, report: &Value, says: &str) {
    assert_eq!((&report["status"], &report["error"]), (&json!("failed"), &json!("interrupted")), "{report}");
    assert_eq!(report["message"], format!("{says}; {} runs now", stage.system()), "{report}");
    assert_eq!((stage.runs().as_str(), stage.calls().as_str()), ("v0", "v1 check"));
}

#[test]
fn job_is_not_repeated_after_the_host_restarted() {
    // The record of another version has no boot id; then the boot id of the previous system counts.
    for forgets in [false, true] {
        let (mut stage, reports) = died_in_check(Stage::new());
        if forgets {
            rewrite(&stage, |record| drop(record.as_object_mut().unwrap().remove("boot_id")));
        }
        boot(&stage, "boot-2");
        stage.host.restart();
        let report = reports.final_report();
        is_interrupted(&stage, &report, "the host restarted while the job was in check");
        assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
    }
}

#[test]
fn job_that_had_not_started_does_not_start_after_its_request_expired() {
    let (mut stage, reports) = died_in_check(Stage::new());
    rewrite(&stage, |record| {
        record["request"]["expires_at"] = json!("2020-01-01T00:00:00Z");
        for phase in record["report"]["phases"].as_array_mut().unwrap() {
            phase["state"] = json!("pending");
        }
    });
    stage.host.restart();
    let says =
        "the request expired at 2020-01-01T00:00:00Z and the listener died before the job's first phase";
    is_interrupted(&stage, &reports.final_report(), says);
}

#[test]
fn job_that_had_started_on_this_boot_is_repeated_after_its_request_expired() {
    let (mut stage, reports) = died_in_check(Stage::new());
    rewrite(&stage, |record| record["request"]["expires_at"] = json!("2020-01-01T00:00:00Z"));
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!((&report["status"], stage.runs().as_str()), (&json!("completed"), "v1"), "{report}");
}

#[test]
fn repeated_job_builds_the_reported_commit() {
    let repo = Repo::new();
    fs::write(repo.path().join("switch-to-configuration"), SWITCH).unwrap();
    fs::write(repo.path().join("flake.nix"), flake()).unwrap();
    let reported = repo.commit("version", "v1");
    let (mut stage, reports) = died_in_check(Stage::with(|host| host.flake(&repo.url())));
    assert_eq!(stage.record("j-1")["report"]["commit"], reported);
    repo.commit("version", "v2");
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["commit"]), (&json!("completed"), &json!(reported)), "{report}");
    assert_eq!(stage.runs(), "v1");
}

#[test]
fn build_that_crashes_the_listener_three_times_is_not_repeated() {
    let mut stage = Stage::new();
    let record = stage.host.file("state/jobs/j-1/state.json");
    let is_recorded = format!("grep -A3 '\"build\"' {} | grep -q running", record.display());
    let build = format!("echo build >> $STAGE/builds; until {is_recorded}; do :; done; kill -9 $PPID");
    stage.program_named("nix", &build);
    let reports = stage.deploy("j-1", "switch", "v1");
    for _ in 0..2 {
        stage.host.wait_for_exit();
        stage.host.relaunch();
    }
    stage.host.wait_for_exit();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(report["error"], "build_failed", "{report}");
    let expected = format!(
        "the listener died 3 times during this job, the last time in build: the host probably ran out of memory \
         (see `journalctl -k`); build on another machine (`deploy --build-first`), add memory or swap, or lower \
         `cores` and `max-jobs` of nix; nothing was changed; {} runs now",
        stage.system()
    );
    assert_eq!(report["message"], expected);
    assert_eq!(fs::read_to_string(stage.at("builds")).unwrap(), "build\n".repeat(3));
    fs::remove_file(stage.at("bin/nix")).unwrap();
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
}

#[test]
fn build_is_killed_before_the_listener_if_memory_runs_out() {
    let stage = Stage::new();
    let score = |pid: &str| -> i32 {
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    let before = score(&stage.host.process().to_string());
    let gate = stage.gate("gate");
    stage.program_named("nix", &format!("echo $$ > $STAGE/pid; {HOLD}; PATH=${{PATH#*:}} exec nix \"$@\""));
    let builder =
        format!("cat /proc/self/oom_score_adj > {}; mkdir -p $out/bin", stage.at("score").display());
    stage.change_flake("mkdir -p $out/bin", &builder);
    let reports = stage.deploy("j-1", "switch", "v1");
    let pid =
        eventually("nix", || fs::read_to_string(stage.at("pid")).ok().filter(|pid| pid.ends_with('\n')));
    eventually("a raised score of nix", || (score(pid.trim()) == before.max(500)).then_some(()));
    fs::remove_file(stage.at("bin/nix")).unwrap();
    gate.pass();
    assert_eq!(reports.final_report()["status"], "completed");
    assert_eq!(fs::read_to_string(stage.at("score")).unwrap().trim(), before.max(500).to_string());
    assert_eq!(score(&stage.host.process().to_string()), before);
}

/// Returns a host that lost power in persist of a switch to `v1`, with the profile at `v1` and the old boot loader.
fn lost_power_in_persist() -> (Stage, RawSubscription) {
    let mut stage = Stage::new();
    boot(&stage, "boot-1");
    fs::create_dir_all(stage.at("root/nix/var/nix")).unwrap();
    symlink(stage.at("profiles"), stage.at("root/nix/var/nix/profiles")).unwrap();
    let gate = stage.gate("gate");
    stage.fault("v1", "boot", HOLD);
    let reports = stage.deploy("j-1", "switch", "v1");
    stage.called("v1 boot");
    stage.host.kill();
    stage.kill_worker();
    drop(gate);
    boot(&stage, "boot-2");
    (stage, reports)
}

#[test]
fn power_loss_in_persist_completes_if_the_new_system_boots() {
    let (mut stage, reports) = lost_power_in_persist();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("completed"), &Value::Null), "{report}");
    let expected = "switch done, generation 2; the host restarted during persist and booted this system";
    assert_eq!(report["message"], expected);
    assert_eq!(stage.record("j-1")["report"]["status"], "completed");
}

#[test]
fn power_loss_in_persist_is_interrupted_if_the_old_system_boots() {
    let (mut stage, reports) = lost_power_in_persist();
    let old = fs::read_link(stage.at("profiles/system-1-link")).unwrap();
    fs::remove_file(stage.at("root/run/current-system")).unwrap();
    symlink(old, stage.at("root/run/current-system")).unwrap();
    stage.host.restart();
    let report = reports.final_report();
    assert_eq!(report["error"], "interrupted", "{report}");
    let expected = format!("the host restarted while the job was in persist; {} runs now", stage.system());
    assert_eq!(report["message"], expected);
}
