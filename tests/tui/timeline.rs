//! The timeline of a deployment.

use crate::harness::{
    COLOUR, Harness, PLAIN, answer, assert_frame, history_entry, name, noon, presence_message, report_message,
};
use crate::keys::keys;
use homelab_deploy::client::{BatchKind, BatchStarted, Plan};
use homelab_deploy::protocol::{
    Action, DeployReport, ErrorCode, HistoryEntry, PhaseName, PhaseState, Phases, Progress, Status,
};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, SentDeploymentEvent, Theme};
use jiff::{SignedDuration, Timestamp};

const HOSTS: [&str; 8] = ["cache1", "cache2", "cache3", "cache4", "cache5", "ci1", "ci2", "ci3"];

/// The time, this many seconds after the start.
fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// A job whose phases took this many seconds each; the last one is running unless the job is over.
fn job(plan: &Plan, host: &str, status: &Status, seconds: &[u64]) -> DeployReport {
    let mut report = crate::harness::report(host, plan.id.as_str(), status.clone());
    report.phases = Phases::pending();
    for (phase, seconds) in PhaseName::PIPELINE.iter().zip(seconds) {
        report.phases.enter(phase);
        let phase = report.phases.0.iter_mut().find(|other| other.name == *phase).unwrap();
        phase.elapsed_ms = seconds * 1000;
    }
    if *status == Status::Failed {
        report.phases.0[seconds.len() - 1].state = PhaseState::Failed;
        report.error = Some(ErrorCode::VerificationFailed);
        "GET http://localhost/health: 503; rolled back to the previous system"
            .clone_into(&mut report.message);
        report.rolled_back = Some(true);
        report.phases.enter(&PhaseName::Rollback);
        report.phases.0.last_mut().unwrap().elapsed_ms = 4000;
    }
    if status.is_final() {
        report.phases.end(&PhaseState::Done);
    }
    report.seq = Some(1_000_000 + seconds.iter().sum::<u64>());
    report.elapsed_ms = Some(report.phases.0.iter().map(|phase| phase.elapsed_ms).sum());
    report
}

/// Past jobs of a host; the build of the newest one took longest.
pub(crate) fn past() -> Vec<HistoryEntry> {
    let entry = |n: u64| {
        let mut entry = history_entry(
            &format!("past-{n}"),
            Action::Switch,
            i64::try_from(n).unwrap() * 24,
            Some(100 - n),
        );
        entry.phases = Phases::pending();
        let build = if n == 0 { 91_000 } else { 24_000 + 1000 * (n % 4) };
        for (phase, ms) in entry.phases.0.iter_mut().zip([1000, build, 2000, 4000, 9000, 500]) {
            (phase.state, phase.elapsed_ms) = (PhaseState::Done, ms);
        }
        entry.elapsed_ms = entry.phases.0.iter().map(|phase| phase.elapsed_ms).sum();
        entry
    };
    (0..10).map(entry).collect()
}

/// A rollout in its second of three batches, 66 seconds after its start.
fn rollout(width: u16, height: u16, theme: Theme) -> (Harness, Plan) {
    let mut harness = Harness::new(width, height, theme);
    let role = |host: &str| host.trim_end_matches(char::is_numeric).to_owned();
    harness.receive(noon(), HOSTS.map(|host| presence_message(answer(host, "test", &role(host)))));
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    keys(&mut harness, ":deploy tier=test canary=ci1 batch=5 pause=10 max-failures=1\n");
    // The last button sends.
    harness.press(crossterm::event::KeyCode::BackTab);
    keys(&mut harness, "\n");
    let send = |effect| if let Effect::Send(plan) = effect { Some(*plan) } else { None };
    let plan = harness.effects().into_iter().find_map(send).unwrap();
    let batch = |harness: &mut Harness, batch: usize, kind| {
        let hosts = plan.hosts_of(&plan.rollout.batches()[batch - 1]);
        let event = SentDeploymentEvent::BatchSent(BatchStarted { batch, of: 3, kind, hosts });
        harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), event));
    };
    batch(&mut harness, 1, BatchKind::Canary);
    harness.receive(at(1), [report_message(job(&plan, "ci1", &Status::Running, &[1]))]);
    harness.receive(at(14), [report_message(job(&plan, "ci1", &Status::Completed, &[1, 5, 1, 2, 4, 1]))]);
    harness.clock(at(24));
    batch(&mut harness, 2, BatchKind::Batch);
    for host in &HOSTS[..5] {
        harness.receive(at(25), [report_message(job(&plan, host, &Status::Running, &[1]))]);
    }
    harness.receive(at(27), [report_message(job(&plan, "cache3", &Status::Completed, &[1, 0, 0, 1, 0, 1]))]);
    harness.receive(at(42), [report_message(job(&plan, "cache1", &Status::Completed, &[1, 6, 1, 3, 5, 2]))]);
    harness.receive(at(48), [report_message(job(&plan, "cache2", &Status::Failed, &[1, 9, 1, 3, 5]))]);
    let mut building = job(&plan, "cache5", &Status::Running, &[1, 40]);
    building.progress =
        Some(Box::new(Progress { done: 12, expected: 16, running: 1, ..Progress::default() }));
    harness.receive(
        at(65),
        [
            report_message(job(&plan, "cache4", &Status::Running, &[1, 20, 2, 6, 12])),
            report_message(building),
        ],
    );
    harness.clock(at(66));
    (harness, plan)
}

/// Answers the queries for past jobs.
fn deliver_durations(harness: &mut Harness) -> Vec<String> {
    harness.apply(ConsoleEvent::Frame);
    let mut queried = Vec::new();
    for effect in harness.effects() {
        if let Effect::Durations(hosts) = effect {
            queried.extend(hosts.iter().map(ToString::to_string));
            harness.apply(ConsoleEvent::Durations(hosts.into_iter().map(|host| (host, past())).collect()));
        }
    }
    queried
}

/// The row of a host.
fn lane(text: &str, host: &str) -> String {
    text.lines().find(|line| line.split_whitespace().any(|word| word == host)).unwrap_or_default().to_owned()
}

#[test]
fn snapshots_of_the_timeline() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let (mut harness, _) = rollout(width, height, COLOUR);
        keys(&mut harness, "T");
        deliver_durations(&mut harness);
        keys(&mut harness, "jj");
        assert_frame!(format!("timeline-{width}x{height}"), harness);
    }
    let (mut harness, _) = rollout(80, 24, Theme::new(false, false));
    keys(&mut harness, "T");
    deliver_durations(&mut harness);
    assert_frame!("timeline-ascii-80x24".to_owned(), harness);
}

#[test]
fn lanes_show_phases_batches_and_what_is_expected() {
    let (mut harness, _) = rollout(120, 40, PLAIN);
    keys(&mut harness, "T");
    assert_eq!(harness.app.context(), Context::Timeline);
    let queried = deliver_durations(&mut harness);
    assert_eq!(queried, ["cache1", "cache2", "cache3", "cache4", "cache5", "ci1"], "the hosts with jobs");
    let text = harness.text();
    for shown in [
        "batch 1 of 3, canary",
        "batch 2 of 3, after a pause of 10 s",
        "batch 3 of 3, after a pause of 10 s  pending",
        "│0:00     │0:15     │0:30     │0:45     │1:00",
        "1.5 s per column",
        "p prepare",
        "r rollback",
        "··· expected",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    assert!(lane(&text, "ci1").contains("✓ ci1       completed 0:14   pbbbcavvvs"), "{text}");
    assert!(lane(&text, "cache2").contains("rolled back"), "{text}");
    assert!(lane(&text, "cache2").contains("vvvvrrr"), "{text}");
    assert!(lane(&text, "cache5").contains("bbbb····"), "{text}");
    // A lane whose job has not started is empty.
    assert!(lane(&text, "ci2").contains("· ci2       pending   "), "{text}");
    // The durations are asked for once.
    assert_eq!(deliver_durations(&mut harness), [] as [String; 0]);
}

#[test]
fn without_history_nothing_is_expected() {
    let (mut harness, _) = rollout(120, 40, PLAIN);
    keys(&mut harness, "T");
    let text = harness.text();
    assert!(!lane(&text, "cache4").contains('·'), "{text}");
    assert!(!text.contains("last 10 jobs"), "{text}");
}

#[test]
fn the_causes_and_the_past_of_the_selected_host_are_below() {
    let (mut harness, _) = rollout(120, 40, PLAIN);
    keys(&mut harness, "T");
    deliver_durations(&mut harness);
    let text = harness.text();
    for shown in [
        "─ why 1 cause ─",
        "cache2: verification failed: GET http://localhost/health: 503",
        "ci1  last 10 jobs",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    assert!(text.contains("build ▂▂▃▃▂▂▃▃▂█ 26.0 s, ! last 1:31 min   check ▄▄▄▄▄▄▄▄▄▄ 2.0 s"), "{text}");
}

#[test]
fn keys_pan_zoom_and_open_hosts() {
    let (mut harness, plan) = rollout(120, 40, PLAIN);
    keys(&mut harness, "T");
    harness.apply(ConsoleEvent::Frame);
    for (typed, shown) in [
        ("", "│0:00     │0:10"),
        ("+", "│0:00     │0:05     │0:10"),
        (">", "│0:15     │0:20"),
        ("<<<-", "│0:00     │0:10"),
        ("-", "│0:00     │0:15"),
        ("-", "│0:00     │0:30"),
        ("0", "│0:00     │0:10     │0:20"),
    ] {
        keys(&mut harness, typed);
        assert!(harness.text().contains(shown), "{typed}: no {shown} in\n{}", harness.text());
    }
    // The selection moves over hosts, not over headings.
    for expected in ["ci1", "cache1", "cache2"] {
        assert_eq!(harness.app.host().map(|host| host.name.clone()), Some(name(expected)));
        keys(&mut harness, "j");
    }
    keys(&mut harness, "G");
    assert_eq!(harness.app.host().unwrap().name, name("ci3"));
    keys(&mut harness, "gk\n");
    assert_eq!(harness.app.context(), Context::Host);
    assert_eq!(harness.host().host, name("ci1"));
    keys(&mut harness, "^jl");
    assert_eq!(harness.app.context(), Context::Log);
    harness.effects();
    harness.apply(ConsoleEvent::Frame);
    let key = homelab_deploy::tui::LogKey { host: name("cache1"), job: plan.id };
    assert!(harness.effects().contains(&Effect::FullLog(key)));
    // Below is the deployment, which opened when it was sent.
    keys(&mut harness, "^^");
    assert_eq!(harness.app.context(), Context::Deployment);
}

#[test]
fn without_deployments_there_is_no_timeline() {
    let mut harness = Harness::new(120, 40, PLAIN);
    keys(&mut harness, "T");
    assert_eq!(harness.app.context(), Context::Fleet);
    assert!(harness.text().contains("no deployments yet"), "{}", harness.text());
}

#[test]
fn the_deployment_of_another_operator_is_in_the_order_of_its_starts() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    crate::harness::rollout(&mut harness);
    keys(&mut harness, "vjT");
    let text = harness.text();
    assert!(!text.contains("batch 1"), "{text}");
    assert!(text.contains("release/2026-11"), "{text}");
    assert!(lane(&text, "app6").contains("rolled back"), "{text}");
}
