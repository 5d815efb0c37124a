//! Hosts with Docker Compose: the running service in the tables, and a line for each service.

use crate::harness::{Harness, PLAIN, answer, noon, presence_message, report, report_message};
use crate::keys::keys;
use homelab_deploy::protocol::{
    Component, ComponentState, Components, DeployReport, EngineKind, PhaseName, Phases, Presence, Status,
};

fn presence() -> Presence {
    let services = ["mosquitto", "zigbee2mqtt", "homeassistant", "grafana", "postgres"];
    Presence {
        engine: Some(EngineKind::Compose),
        components: services.map(str::to_owned).to_vec(),
        os_version: Some("Debian 13".into()),
        failed_units: vec!["grafana".to_owned()],
        ..answer("chelsty", "test", "home")
    }
}

fn component(name: &str, state: ComponentState, elapsed_ms: u64, message: &str) -> Component {
    Component { elapsed_ms, message: message.to_owned(), ..Component::new(name, state) }
}

/// A deployment that brings up the second of three services.
fn deploying() -> DeployReport {
    let mut report = report("chelsty", "c1", Status::Running);
    report.phases = Phases::pending();
    for phase in [PhaseName::Prepare, PhaseName::Build, PhaseName::Check, PhaseName::Activate] {
        report.phases.enter(&phase);
    }
    "activate".clone_into(&mut report.message);
    (report.at, report.elapsed_ms) = (Some(noon()), Some(4000));
    report.components = Components(vec![
        component("mosquitto", ComponentState::Unchanged, 0, ""),
        component("zigbee2mqtt", ComponentState::Running, 1900, ""),
        component("homeassistant", ComponentState::Pending, 0, ""),
    ]);
    report
}

/// The same deployment, after that service failed.
fn failed() -> DeployReport {
    let mut report = deploying();
    report.status = Status::Failed;
    report.error = Some("activation_failed".into());
    "zigbee2mqtt is unhealthy".clone_into(&mut report.message);
    report.components.0[1] = component("zigbee2mqtt", ComponentState::Failed, 12_000, "it is unhealthy");
    report.components.0[2].state = ComponentState::Skipped;
    report
}

fn harness(width: u16, job: DeployReport) -> Harness {
    let mut harness = Harness::fleet(width, 50, PLAIN);
    harness.receive(noon(), [presence_message(presence()), report_message(job)]);
    harness
}

#[test]
fn the_table_of_hosts_shows_the_running_service() {
    let mut harness = harness(120, deploying());
    let text = harness.text();
    let row = text.lines().find(|line| line.contains("chelsty")).unwrap();
    assert!(row.contains("deploy 2/3") && row.contains("zigbee2mqtt"), "{row}");
}

#[test]
fn the_screen_of_a_host_has_a_line_for_each_service() {
    let mut harness = harness(120, failed());
    harness.open("chelsty");
    let text = harness.text();
    for line in [
        "Services",
        "✓ mosquitto      unchanged",
        "✗ zigbee2mqtt    failed 12.0 s: it is unhealthy",
        "homeassistant  skipped",
        "✗ grafana        is not well",
        "postgres       not part of the last job",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_deployment_shows_the_service_and_its_pane_all_of_them() {
    let mut harness = harness(160, deploying());
    keys(&mut harness, "v");
    harness.text();
    keys(&mut harness, "g\n");
    let text = harness.text();
    assert!(text.contains("chelsty"), "{text}");
    let row = text.lines().find(|line| line.contains("chelsty") && line.contains("deploy")).unwrap();
    assert!(row.contains("deploy 2/3 zigbee2mqtt"), "{row}");
    for line in ["✓ mosquitto      unchanged", "▶ zigbee2mqtt    running 1.9 s", "homeassistant  pending"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_narrow_table_never_cuts_the_count() {
    for width in [60, 80, 100] {
        let mut harness = harness(width, deploying());
        let text = harness.text();
        let row = text.lines().find(|line| line.contains("chelsty")).unwrap();
        let count = row.split("deploy").nth(1).map(str::trim_start).unwrap_or_default();
        let is_whole = count.starts_with("2/3");
        assert!(is_whole || !count.starts_with('2'), "{width}: {row}");
    }
}

#[test]
fn a_service_that_was_deployed_and_is_not_well_any_more_says_so() {
    let mut job = deploying();
    job.status = Status::Completed;
    job.components.0.push(component("grafana", ComponentState::Done, 1000, ""));
    let mut harness = harness(120, job);
    harness.open("chelsty");
    let text = harness.text();
    assert!(text.contains("✗ grafana        is not well") && !text.contains("grafana        done"), "{text}");
}

#[test]
fn services_that_are_not_well_are_not_called_units() {
    let mut harness = harness(140, deploying());
    harness.open("chelsty");
    let text = harness.text();
    assert!(!text.contains("ailed units") && text.contains("✗ grafana        is not well"), "{text}");
    keys(&mut harness, "^");
    let text = harness.text();
    assert!(text.contains("services not well: grafana"), "{text}");
}

#[test]
fn a_failed_job_is_resumed_and_a_host_is_diagnosed_from_the_command_line() {
    let mut harness = harness(140, failed());
    keys(&mut harness, ":resume chelsty\n");
    let text = harness.text();
    assert!(text.contains("Resume on 1 host"), "{text}");
    keys(&mut harness, "^:diagnose chelsty\n");
    let text = harness.text();
    assert!(text.contains("Diagnose 1 host"), "{text}");
}

#[test]
fn services_that_are_not_well_are_counted_apart_from_failed_units() {
    let mut harness = harness(200, report("chelsty", "c1", Status::Completed));
    let text = harness.text();
    assert!(text.contains("1 failed service ") && !text.contains("2 failed units"), "{text}");
    let row = text.lines().find(|line| line.contains("chelsty")).unwrap();
    assert!(row.contains("not well") && row.contains("grafana"), "{row}");
}
