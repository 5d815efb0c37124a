//! Order of builds: joining, queueing, moved branches, and repeated ids.

use crate::common::{Host, RawSubscription, Repo, eventually};
use crate::stage::{Stage, flake, host, says, text};
use serde_json::{Value, json};
use std::fs;

/// One host that waits at the gate of the stage, and one that does not.
fn gated_hosts(stage: &Stage, version: &str) -> String {
    let gate = stage.at("gate");
    stage.hosts(&format!(
        "web1 = sh \"web1\" \"echo start_count >> {0}; read _ < {1}; echo {version} > $out\";
         web2 = sh \"web2\" \"echo {version} > $out\";",
        stage.at("start_count").display(),
        gate.display(),
    ))
}

fn start_count(stage: &Stage) -> usize {
    fs::read_to_string(stage.at("start_count")).unwrap_or_default().lines().count()
}

/// Waits until a host is being built.
fn runs(replies: &RawSubscription, name: &str) -> Value {
    replies.until(|report| {
        report["hosts"]
            .as_array()
            .is_some_and(|hosts| hosts.iter().any(|h| h["hostname"] == name && h["state"] == "running"))
    })
}

#[test]
fn the_same_commit_and_target_joins_the_running_build() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let first = stage.build("b-1", "web1");
    runs(&first, "web1");
    let second = stage.build("b-2", "web1");
    runs(&second, "web1");
    gate.pass();
    for (replies, id) in [(&first, "b-1"), (&second, "b-2")] {
        let report = replies.final_report();
        says(&report, "completed", "", &["web1 built"]);
        assert_eq!(report["id"], id);
    }
    assert_eq!(start_count(&stage), 1);
}

#[test]
fn a_job_for_one_host_of_a_running_build_finishes_when_that_host_is_built() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let all = stage.build("b-1", "all");
    all.until(|report| report["done"] == 1);
    let one = stage.build("b-2", "web2").final_report();
    says(&one, "completed", "", &["web2 built"]);
    assert_eq!(one["hosts"].as_array().unwrap().len(), 1, "{one}");
    let missing = stage.build("b-3", "web9").final_report();
    says(&missing, "failed", "evaluation_failed", &["no host \"web9\" at this commit"]);
    let other = stage.build("b-4", "web1");
    runs(&other, "web1");
    gate.pass();
    says(&all.final_report(), "completed", "", &["2 of 2 built"]);
    says(&other.final_report(), "completed", "", &["web1 built"]);
    assert_eq!(start_count(&stage), 1);
}

#[test]
fn a_moved_branch_is_a_separate_build_that_waits() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let old = gated_hosts(&stage, "v1");
    let first = stage.build("b-1", "web1");
    runs(&first, "web1");
    let new = gated_hosts(&stage, "v2");
    let second = stage.build("b-2", "web1");
    let waits = second.until(|report| report["status"] == "progress");
    says(&waits, "progress", "", &["waiting for the build of web1 at ", &old]);
    assert_eq!(waits["commit"], json!(new));
    // This request joins the waiting one.
    let third = stage.build("b-3", "web1");
    third.until(|report| report["status"] == "progress");
    gate.pass();
    assert_eq!(first.final_report()["commit"], json!(old));
    assert_eq!(stage.result("web1"), "v1");
    runs(&second, "web1");
    runs(&third, "web1");
    gate.pass();
    assert_eq!(second.final_report()["commit"], json!(new));
    assert_eq!(third.final_report()["commit"], json!(new));
    assert_eq!(stage.result("web1"), "v2");
    assert_eq!(start_count(&stage), 2);
}

#[test]
fn another_branch_is_built_if_it_is_named() {
    let stage = Stage::new("web1 = sh \"web1\" \"echo master > $out\";");
    stage.repo.git(&["switch", "--quiet", "--create", "feature/x"]);
    let commit = stage.hosts("web1 = sh \"web1\" \"echo feature > $out\";");
    stage.repo.git(&["switch", "--quiet", "master"]);
    let report =
        stage.ask("b-1", "build.web1", json!({"target": "web1", "branch": "feature/x"})).final_report();
    assert_eq!(report["commit"], json!(commit), "{report}");
    assert_eq!(stage.result("web1"), "feature");
    says(&stage.build("b-2", "web1").final_report(), "completed", "", &[]);
    assert_eq!(stage.result("web1"), "master");
}

#[test]
fn another_repository_is_built_at_the_same_time() {
    let other = Repo::new();
    let commit = other.commit("flake.nix", &flake("web1 = sh \"other\" \"echo other > $out\";"));
    let top = format!("[repos.other]\nurl = {:?}\n", other.url());
    let stage = Stage::with("", &top, |builder| builder);
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let asked =
        |id: &str, repo: &str| stage.ask(id, &format!("build.{repo}.web1"), json!({"target": "web1"}));
    let first = asked("b-1", "infra");
    runs(&first, "web1");
    let second = asked("b-2", "other").final_report();
    says(&second, "completed", "", &["web1 built"]);
    assert_eq!((&second["repo"], &second["commit"]), (&json!("other"), &json!(commit)));
    gate.pass();
    says(&first.final_report(), "completed", "", &[]);
}

#[test]
fn a_repeated_id_gets_the_current_report_and_starts_nothing() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let replies = stage.build("b-1", "web1");
    runs(&replies, "web1");
    let again = stage.build("b-1", "web2").next().body;
    assert_eq!(
        (&again["target"], &host(&again, "web1")["state"]),
        (&json!("web1"), &json!("running")),
        "{again}"
    );
    gate.pass();
    let final_report = replies.final_report();
    let again = stage.build("b-1", "web1").next().body;
    assert_eq!(again, final_report);
    assert_eq!(start_count(&stage), 1);
}

fn restarted(builder: &mut Host) {
    builder.kill();
    builder.restart();
}

#[test]
fn a_build_continues_after_the_builder_was_killed() {
    let mut stage = Stage::with("", "parallel = 1", |builder| builder);
    let gate = stage.gate("gate");
    let old = gated_hosts(&stage, "v1");
    let replies = stage.build("b-1", "all");
    let before = runs(&replies, "web1");
    let joined = stage.build("b-2", "web1");
    runs(&joined, "web1");
    stage.builder.kill();
    // The branch moves, but the accepted commit is built.
    gated_hosts(&stage, "v2");
    stage.builder.restart();
    let after = runs(&replies, "web1");
    assert!(after["seq"].as_u64() > before["seq"].as_u64(), "{after}");
    assert_eq!(after["id"], "b-1");
    gate.pass();
    // A leftover process of the killed builder that waits at the gate may have consumed the first pass.
    gate.pass();
    let final_report = replies.final_report();
    says(&final_report, "completed", "", &["2 of 2 built"]);
    assert_eq!(final_report["commit"], json!(old));
    says(&joined.final_report(), "completed", "", &["web1 built"]);
    assert_eq!(stage.result("web1"), "v1");
    restarted(&mut stage.builder);
    let again = stage.build("b-1", "all").next().body;
    assert_eq!(again, final_report);
}

#[test]
fn a_stop_ends_builds_within_five_seconds_and_the_next_start_resumes_them() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let replies = stage.build("b-1", "web1");
    runs(&replies, "web1");
    eventually("a started build", || (start_count(&stage) == 1).then_some(()));
    let asked = std::time::Instant::now();
    stage.builder.terminate();
    let report = replies.until(|report| text(&report["message"]).contains("the builder is stopping"));
    assert_eq!(report["status"], "progress");
    assert_eq!(stage.builder.wait_for_exit().code(), Some(0));
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    stage.builder.restart();
    runs(&replies, "web1");
    gate.pass();
    says(&replies.final_report(), "completed", "", &["web1 built"]);
    assert_eq!(start_count(&stage), 2);
}

#[test]
fn an_undelivered_result_is_sent_after_reconnecting() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    gated_hosts(&stage, "v1");
    let replies = stage.build("b-1", "web1");
    runs(&replies, "web1");
    stage.nats.stop();
    stage.builder.wait_for_log("not connected");
    gate.pass();
    stage.builder.wait_for_log("build finished");
    stage.builder.kill();
    stage.nats.restart();
    let wire = crate::common::RawClient::connect(&stage.nats, "admin");
    let replies = wire.subscribe("build.responses.b-1");
    stage.builder.restart();
    says(&replies.final_report(), "completed", "", &["web1 built"]);
    // Once it is delivered, it is not sent again.
    wire.round_trip();
    crate::common::eventually("a delivered result", || {
        let record = fs::read_to_string(stage.builder.file("state/builds/b-1.json")).ok()?;
        record.contains("\"delivered\": true").then_some(())
    });
    stage.builder.kill();
    replies.received();
    stage.builder.restart();
    says(
        &{
            let reply = wire.subscribe("build.responses.b-9");
            wire.publish("build.web2", &json!({"target": "web2", "reply_to": "build.responses.b-9"}));
            reply.final_report()
        },
        "completed",
        "",
        &[],
    );
    assert_eq!(replies.received(), []);
}
