//! `cancel`: cancelling running jobs.

use crate::common::{Gate, HostBuilder, NatsServer, RunningCommand, hold_in_phase, operator, run};

#[test]
fn a_job_that_builds_is_stopped_and_its_deployment_fails_as_cancelled() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let _gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  build");
    let cancelled = run(operator(&nats, "tester").args(["cancel", "web1"]), 0);
    assert!(cancelled.stdout.contains("cancelling in build"), "{cancelled}");
    assert!(cancelled.stdout.contains("\nweb1  completed"), "{cancelled}");
    let failed = deploy.wait_for_exit(1);
    let expected = "\nweb1  failed (cancelled): stopped in build; nothing was changed\n";
    assert!(failed.stdout.contains(expected), "{failed}");
}

#[test]
fn a_cancel_prints_json() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let _gate = Gate::of(&host);
    let mut command = operator(&nats, "tester");
    let mut deploy = RunningCommand::start(command.args(["deploy", "web1", "--output", "json"]));
    deploy.wait_for_json(|line| line["value"]["message"] == "build");
    let lines = run(operator(&nats, "tester").args(["cancel", "web1", "--output", "json"]), 0).json();
    assert_eq!(lines[0]["value"]["action"], "cancel");
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&"result".into(), &0.into()));
    let report = deploy.wait_for_exit(1).json().last().unwrap()["value"]["hosts"][0]["report"].clone();
    assert_eq!((&report["status"], &report["error"]), (&"failed".into(), &"cancelled".into()));
    assert_ne!(lines[0]["value"]["id"], report["id"], "a cancel has a separate id");
}

#[test]
fn an_activating_job_is_not_cancelled() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("activate")).start();
    let gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  activate");
    let late = run(operator(&nats, "tester").args(["cancel", "web1"]), 1);
    assert!(late.stdout.contains("web1  rejected (too late): job "), "{late}");
    assert!(
        late.stdout.contains("is in activate; an activation that has started is not interrupted"),
        "{late}"
    );
    gate.pass();
    deploy.wait_for_exit(0);
}

#[test]
fn a_cancel_without_a_running_job_is_refused() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let cancel = |host: &str, code| run(operator(&nats, "tester").args(["cancel", host]), code);
    cancel("web1", 1).assert_stderr(&["no job runs on web1; nothing was sent"]);
    run(operator(&nats, "tester").args(["deploy", "web1"]), 0);
    cancel("web1", 1).assert_stderr(&["no job runs on web1; nothing was sent"]);
    cancel("web2", 2).assert_stderr(&["unknown host web2 (did you mean web1?)"]);
    drop(host);
    let silent = cancel("web1", 3);
    silent.assert_stderr(&["web1 does not reply, so its running job is unknown; nothing was sent"]);
}

#[test]
fn a_viewer_cannot_cancel() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  build");
    let refused = run(operator(&nats, "viewer").args(["cancel", "web1"]), 5);
    refused.assert_stderr(&["the server refused deploy.test.web1"]);
    gate.pass();
    deploy.wait_for_exit(0);
}

#[test]
fn aliases_subjects_and_tiers_are_accepted() {
    let nats = NatsServer::start();
    let hosts = ["web1", "web2"]
        .map(|name| HostBuilder::new(&nats, name, "test", "web").script(&hold_in_phase("build")).start());
    let _gates = hosts.each_ref().map(Gate::of);
    let _idle = HostBuilder::new(&nats, "db1", "test", "db").start();
    let cancel = |target: &[&str], code| {
        let mut command = operator(&nats, "tester");
        run(command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1").arg("cancel").args(target), code)
    };
    for (target, running) in [
        (&["site"][..], &["web1"][..]),
        (&["deploy.test.all"], &["web1", "web2"]),
        (&["--role", "web", "--tier", "test"], &["web1", "web2"]),
        (&["--all", "--tier", "test"], &["web2"]),
    ] {
        let mut deploy = RunningCommand::start(operator(&nats, "tester").arg("deploy").args(running));
        // The hosts may start in any order.
        for _ in running {
            deploy.wait_for_line("  build");
        }
        let output = cancel(target, 0);
        assert_eq!(
            output.stdout.matches("  completed: cancelling in build").count(),
            running.len(),
            "{target:?} {output}"
        );
        deploy.wait_for_exit(1);
    }
    cancel(&["--all", "--tier", "test"], 1)
        .assert_stderr(&["no job runs on any of these hosts; nothing was sent"]);
    cancel(&["site"], 1).assert_stderr(&["no job runs on web1; nothing was sent"]);
}
