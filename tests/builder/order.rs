//! Which build comes when: joining, queueing, moving branches, and the same id again.

use crate::common::{Ears, Host, Repo, eventually};
use crate::stage::{Stage, flake, host, says, text};
use serde_json::{Value, json};
use std::fs;

/// One host that waits at the gate of the stage, and one that does not.
fn held(stage: &Stage, version: &str) -> String {
    let gate = stage.at("gate");
    stage.hosts(&format!(
        "web1 = sh \"web1\" \"echo begun >> {0}; read _ < {1}; echo {version} > $out\";
         web2 = sh \"web2\" \"echo {version} > $out\";",
        stage.at("begun").display(),
        gate.display(),
    ))
}

fn begun(stage: &Stage) -> usize {
    fs::read_to_string(stage.at("begun")).unwrap_or_default().lines().count()
}

/// Waits until a host runs.
fn runs(ears: &Ears, name: &str) -> Value {
    ears.until(|report| {
        report["hosts"]
            .as_array()
            .is_some_and(|hosts| hosts.iter().any(|h| h["hostname"] == name && h["state"] == "running"))
    })
}

#[test]
fn the_same_commit_and_target_joins_the_running_build() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let first = stage.build("b-1", "web1");
    runs(&first, "web1");
    let second = stage.build("b-2", "web1");
    runs(&second, "web1");
    gate.pass();
    for (ears, id) in [(&first, "b-1"), (&second, "b-2")] {
        let report = ears.verdict();
        says(&report, "completed", "", &["web1 built"]);
        assert_eq!(report["id"], id);
    }
    assert_eq!(begun(&stage), 1);
}

#[test]
fn a_host_of_a_running_build_of_all_has_its_verdict_when_it_is_built() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let all = stage.build("b-1", "all");
    all.until(|report| report["done"] == 1);
    let one = stage.build("b-2", "web2").verdict();
    says(&one, "completed", "", &["web2 built"]);
    assert_eq!(one["hosts"].as_array().unwrap().len(), 1, "{one}");
    let missing = stage.build("b-3", "web9").verdict();
    says(&missing, "failed", "evaluation_failed", &["no host \"web9\" at this commit"]);
    let other = stage.build("b-4", "web1");
    runs(&other, "web1");
    gate.pass();
    says(&all.verdict(), "completed", "", &["2 of 2 built"]);
    says(&other.verdict(), "completed", "", &["web1 built"]);
    assert_eq!(begun(&stage), 1);
}

#[test]
fn a_moved_branch_is_another_build_which_waits_and_says_so() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let old = held(&stage, "v1");
    let first = stage.build("b-1", "web1");
    runs(&first, "web1");
    let new = held(&stage, "v2");
    let second = stage.build("b-2", "web1");
    let waits = second.until(|report| report["status"] == "progress");
    says(&waits, "progress", "", &["waits for the build of web1 at ", &old]);
    assert_eq!(waits["commit"], json!(new));
    // Joins what waits.
    let third = stage.build("b-3", "web1");
    third.until(|report| report["status"] == "progress");
    gate.pass();
    assert_eq!(first.verdict()["commit"], json!(old));
    assert_eq!(stage.result("web1"), "v1");
    runs(&second, "web1");
    runs(&third, "web1");
    gate.pass();
    assert_eq!(second.verdict()["commit"], json!(new));
    assert_eq!(third.verdict()["commit"], json!(new));
    assert_eq!(stage.result("web1"), "v2");
    assert_eq!(begun(&stage), 2);
}

#[test]
fn another_branch_is_built_where_it_is_named() {
    let stage = Stage::new("web1 = sh \"web1\" \"echo master > $out\";");
    stage.repo.git(&["switch", "--quiet", "--create", "feature/x"]);
    let commit = stage.hosts("web1 = sh \"web1\" \"echo feature > $out\";");
    stage.repo.git(&["switch", "--quiet", "master"]);
    let report = stage.ask("b-1", "build.web1", json!({"target": "web1", "branch": "feature/x"})).verdict();
    assert_eq!(report["commit"], json!(commit), "{report}");
    assert_eq!(stage.result("web1"), "feature");
    says(&stage.build("b-2", "web1").verdict(), "completed", "", &[]);
    assert_eq!(stage.result("web1"), "master");
}

#[test]
fn another_repository_is_built_at_the_same_time() {
    let other = Repo::new();
    let commit = other.commit("flake.nix", &flake("web1 = sh \"other\" \"echo other > $out\";"));
    let top = format!("[repos.other]\nurl = {:?}\n", other.url());
    let stage = Stage::with("", &top, |builder| builder);
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let asked =
        |id: &str, repo: &str| stage.ask(id, &format!("build.{repo}.web1"), json!({"target": "web1"}));
    let first = asked("b-1", "infra");
    runs(&first, "web1");
    let second = asked("b-2", "other").verdict();
    says(&second, "completed", "", &["web1 built"]);
    assert_eq!((&second["repo"], &second["commit"]), (&json!("other"), &json!(commit)));
    gate.pass();
    says(&first.verdict(), "completed", "", &[]);
}

#[test]
fn the_same_id_again_gets_the_present_report_and_begins_nothing() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let ears = stage.build("b-1", "web1");
    runs(&ears, "web1");
    let again = stage.build("b-1", "web2").next().body;
    assert_eq!(
        (&again["target"], &host(&again, "web1")["state"]),
        (&json!("web1"), &json!("running")),
        "{again}"
    );
    gate.pass();
    let verdict = ears.verdict();
    let again = stage.build("b-1", "web1").next().body;
    assert_eq!(again, verdict);
    assert_eq!(begun(&stage), 1);
}

fn restarted(builder: &mut Host) {
    builder.kill();
    builder.restart();
}

#[test]
fn a_build_goes_on_after_the_builder_was_killed() {
    let mut stage = Stage::with("", "parallel = 1", |builder| builder);
    let gate = stage.gate("gate");
    let old = held(&stage, "v1");
    let ears = stage.build("b-1", "all");
    let before = runs(&ears, "web1");
    let joined = stage.build("b-2", "web1");
    runs(&joined, "web1");
    stage.builder.kill();
    // The branch moves meanwhile; what was accepted is built.
    held(&stage, "v2");
    stage.builder.restart();
    let after = runs(&ears, "web1");
    assert!(after["seq"].as_u64() > before["seq"].as_u64(), "{after}");
    assert_eq!(after["id"], "b-1");
    gate.pass();
    // Whoever of the killed builder's programs still waits at the gate may have taken the first.
    gate.pass();
    let verdict = ears.verdict();
    says(&verdict, "completed", "", &["2 of 2 built"]);
    assert_eq!(verdict["commit"], json!(old));
    says(&joined.verdict(), "completed", "", &["web1 built"]);
    assert_eq!(stage.result("web1"), "v1");
    restarted(&mut stage.builder);
    let again = stage.build("b-1", "all").next().body;
    assert_eq!(again, verdict);
}

#[test]
fn a_stop_ends_what_is_built_within_five_seconds_and_the_next_start_goes_on() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let ears = stage.build("b-1", "web1");
    runs(&ears, "web1");
    eventually("the build begins", || (begun(&stage) == 1).then_some(()));
    let asked = std::time::Instant::now();
    stage.builder.terminate();
    let said = ears.until(|report| text(&report["message"]).contains("the builder stops"));
    assert_eq!(said["status"], "progress");
    assert_eq!(stage.builder.ended().code(), Some(0));
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    stage.builder.restart();
    runs(&ears, "web1");
    gate.pass();
    says(&ears.verdict(), "completed", "", &["web1 built"]);
    assert_eq!(begun(&stage), 2);
}

#[test]
fn a_verdict_that_nobody_could_hear_is_told_once_the_link_is_back() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    held(&stage, "v1");
    let ears = stage.build("b-1", "web1");
    runs(&ears, "web1");
    stage.broker.stop();
    stage.builder.logged("not connected");
    gate.pass();
    stage.builder.logged("a build has ended");
    stage.builder.kill();
    stage.broker.restart();
    let wire = crate::common::Wire::connect(&stage.broker, "admin");
    let ears = wire.listen("build.responses.b-1");
    stage.builder.restart();
    says(&ears.verdict(), "completed", "", &["web1 built"]);
    // Once it has arrived it is told no more.
    wire.round_trip();
    crate::common::eventually("the verdict being noted", || {
        let record = fs::read_to_string(stage.builder.file("state/builds/b-1.json")).ok()?;
        record.contains("\"told\": true").then_some(())
    });
    stage.builder.kill();
    ears.arrived();
    stage.builder.restart();
    says(
        &{
            let reply = wire.listen("build.responses.b-9");
            wire.say("build.web2", &json!({"target": "web2", "reply_to": "build.responses.b-9"}));
            reply.verdict()
        },
        "completed",
        "",
        &[],
    );
    assert_eq!(ears.arrived(), []);
}
