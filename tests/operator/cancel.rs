//! Stopping what runs.

use crate::common::{Broker, Gate, HostBuilder, Running, held_in, operator, run};

#[test]
fn a_job_that_builds_is_stopped_and_its_deployment_fails_as_cancelled() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let _gate = Gate::of(&host);
    let mut deploy = Running::start(operator(&broker, "tester").args(["deploy", "web1"]));
    deploy.says("web1  build");
    let cancelled = run(operator(&broker, "tester").args(["cancel", "web1"]), 0);
    assert!(cancelled.out.contains("is being stopped in build"), "{cancelled}");
    assert!(cancelled.out.contains("\nweb1  completed"), "{cancelled}");
    let failed = deploy.ended(1);
    let said = "\nweb1  failed (cancelled): stopped in build; nothing was changed\n";
    assert!(failed.out.contains(said), "{failed}");
}

#[test]
fn a_cancel_is_told_as_json() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let _gate = Gate::of(&host);
    let mut command = operator(&broker, "tester");
    let mut deploy = Running::start(command.args(["deploy", "web1", "--output", "json"]));
    deploy.tells(|line| line["value"]["message"] == "build");
    let lines = run(operator(&broker, "tester").args(["cancel", "web1", "--output", "json"]), 0).json();
    assert_eq!(lines[0]["value"]["action"], "cancel");
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&"result".into(), &0.into()));
    let report = deploy.ended(1).json().last().unwrap()["value"]["hosts"][0]["report"].clone();
    assert_eq!((&report["status"], &report["error"]), (&"failed".into(), &"cancelled".into()));
    assert_ne!(lines[0]["value"]["id"], report["id"], "a cancel is a request of its own");
}

#[test]
fn what_activates_is_not_stopped() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("activate")).start();
    let gate = Gate::of(&host);
    let mut deploy = Running::start(operator(&broker, "tester").args(["deploy", "web1"]));
    deploy.says("web1  activate");
    let late = run(operator(&broker, "tester").args(["cancel", "web1"]), 1);
    assert!(late.out.contains("web1  rejected (too_late): job "), "{late}");
    assert!(late.out.contains("is in activate, and what has begun to activate is not interrupted"), "{late}");
    gate.pass();
    deploy.ended(0);
}

#[test]
fn where_nothing_runs_there_is_nothing_to_cancel() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let cancel = |host: &str, code| run(operator(&broker, "tester").args(["cancel", host]), code);
    cancel("web1", 1).complains(&["no job runs on web1; nothing was sent"]);
    run(operator(&broker, "tester").args(["deploy", "web1"]), 0);
    cancel("web1", 1).complains(&["no job runs on web1; nothing was sent"]);
    cancel("web2", 2).complains(&["no host web2 answers or is known (did you mean web1?)"]);
    drop(host);
    let silent = cancel("web1", 3);
    silent.complains(&["web1 does not answer, so nobody knows what runs there; nothing was sent"]);
}

#[test]
fn a_viewer_cannot_cancel() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    let mut deploy = Running::start(operator(&broker, "tester").args(["deploy", "web1"]));
    deploy.says("web1  build");
    let refused = run(operator(&broker, "viewer").args(["cancel", "web1"]), 5);
    refused.complains(&["the server refused deploy.test.web1"]);
    gate.pass();
    deploy.ended(0);
}

#[test]
fn aliases_subjects_and_tiers_are_taken_as_by_other_commands() {
    let broker = Broker::start();
    let hosts = ["web1", "web2"]
        .map(|name| HostBuilder::new(&broker, name, "test", "web").script(&held_in("build")).start());
    let _gates = hosts.each_ref().map(Gate::of);
    let _idle = HostBuilder::new(&broker, "db1", "test", "db").start();
    let cancel = |target: &[&str], code| {
        let mut command = operator(&broker, "tester");
        run(command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1").arg("cancel").args(target), code)
    };
    for (target, running) in [
        (&["site"][..], &["web1"][..]),
        (&["deploy.test.all"], &["web1", "web2"]),
        (&["--role", "web", "--tier", "test"], &["web1", "web2"]),
        (&["--all", "--tier", "test"], &["web2"]),
    ] {
        let mut deploy = Running::start(operator(&broker, "tester").arg("deploy").args(running));
        // In whichever order.
        for _ in running {
            deploy.says("  build");
        }
        let told = cancel(target, 0);
        assert_eq!(told.out.matches("  completed: job ").count(), running.len(), "{target:?} {told}");
        deploy.ended(1);
    }
    cancel(&["--all", "--tier", "test"], 1)
        .complains(&["no job runs on any of these hosts; nothing was sent"]);
    cancel(&["site"], 1).complains(&["no job runs on web1; nothing was sent"]);
}
