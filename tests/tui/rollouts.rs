//! Rollouts of this console and of others: what is shown, what the keys do, and the question before leaving.

use crate::harness::{Harness, PLAIN, ago, answer, name, noon, presence_message, report, report_message};
use crate::keys::keys;
use homelab_deploy::client::{BatchKind, BatchStarted, DetachedProcess, DetachedRunner, Plan};
use homelab_deploy::protocol::{Action, Id, RolloutCommand, RolloutStatus, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, Overlay, SentDeploymentEvent};
use jiff::SignedDuration;
use serde_json::json;

fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness
        .receive(ago(4), ["app1", "app2", "app3"].map(|host| presence_message(answer(host, "test", "web"))));
    harness.apply(ConsoleEvent::Frame);
    harness
}

/// A status of another operator's rollout to three hosts, one after another.
fn status(seq: u64, state: &str, sent: u64) -> RolloutStatus {
    RolloutStatus { seq, ..status_of("r1", state, sent) }
}

/// The first status of the rollout with this id.
pub(crate) fn status_of(id: &str, state: &str, sent: u64) -> RolloutStatus {
    let status = json!({
        "id": id, "runner": "p1", "seq": 1, "at": noon(), "heartbeat_s": 2, "state": state,
        "issuer": "bob@desk", "action": "switch", "revision": "main", "started_at": ago(20),
        "batches": [{"kind": "batch", "hosts": 1, "count": 3}], "sent_batches": sent,
        "hosts": ["app1", "app2", "app3"],
    });
    RolloutStatus::parse(status.to_string().as_bytes()).unwrap()
}

fn announce(harness: &mut Harness, status: RolloutStatus) {
    harness.apply(ConsoleEvent::Rollout(Box::new(status)));
}

/// Opens the rollout of the other operator.
fn other() -> Harness {
    let mut harness = harness();
    announce(&mut harness, status(1, "running", 1));
    harness.receive(noon(), [report_message(report("app1", "r1", Status::Completed))]);
    keys(&mut harness, "v\n");
    harness
}

fn shows(harness: &mut Harness, texts: &[&str]) {
    let text = harness.text();
    for shown in texts {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
}

/// A rollout of this console in three batches, of which the first was sent.
fn own(background: bool) -> (Harness, Plan) {
    let mut harness = harness();
    let runner = DetachedRunner { program: "/bin/true".into(), args: Vec::new(), log_dir: "/tmp".into() };
    harness.app.options.background = background.then_some(runner);
    keys(&mut harness, ":deploy tier=test batch=1\n\n");
    let sent = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    let plan = sent.unwrap_or_else(|| panic!("nothing was sent:\n{}", harness.text()));
    let hosts = vec![name("app1")];
    let batch = BatchStarted { batch: 1, of: 3, kind: BatchKind::Batch, hosts };
    harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), SentDeploymentEvent::BatchSent(batch)));
    (harness, plan)
}

#[test]
fn the_plan_of_another_operator_is_shown() {
    let mut harness = other();
    shows(
        &mut harness,
        &[
            "switch main",
            "by alice@laptop on 3 hosts, batch 1 of 3",
            "✓ 1 done  · 2 pending",
            "in batch 2 of 3",
            "in batch 3 of 3",
        ],
    );
    announce(&mut harness, status(2, "done", 3));
    shows(&mut harness, &["batch 3 of 3"]);
    assert!(!harness.text().contains("pending"));
}

#[test]
fn a_rollout_is_known_before_any_host_has_reported() {
    let mut harness = harness();
    announce(&mut harness, status(1, "running", 1));
    keys(&mut harness, "v");
    shows(&mut harness, &["1 running, 1 known", "bob@desk", "switch", "main"]);
}

#[test]
fn the_hosts_of_a_large_rollout_arrive_in_parts() {
    let mut harness = harness();
    let mut part = status(1, "running", 1);
    part.hosts.truncate(2);
    announce(&mut harness, part.clone());
    keys(&mut harness, "v\n");
    shows(&mut harness, &["app2"]);
    assert!(!harness.text().contains("in batch 3 of 3"));
    (part.seq, part.first, part.hosts) = (2, 2, vec![name("app3")]);
    announce(&mut harness, part);
    shows(&mut harness, &["in batch 2 of 3", "in batch 3 of 3"]);
}

#[test]
fn keys_send_commands_to_the_process_that_runs_the_rollout() {
    let mut paused = status(2, "paused", 1);
    paused.reason = Some("paused by alice@laptop".to_owned());
    let mut stopped = status(2, "stopped", 1);
    stopped.reason = Some("1 host failed (none allowed)".to_owned());
    for (now, key, command, line) in [
        (None, "p", RolloutCommand::Pause, ""),
        (None, "a", RolloutCommand::Abort, ""),
        (None, "^:pause\n", RolloutCommand::Pause, ""),
        (None, ":abort\n", RolloutCommand::Abort, ""),
        (Some(&paused), "c", RolloutCommand::Continue, "paused by alice@laptop; c continues, a aborts"),
        (
            Some(&stopped),
            "c",
            RolloutCommand::Continue,
            "stopped: 1 host failed (none allowed); c continues, a aborts",
        ),
        (Some(&stopped), ":continue\n", RolloutCommand::Continue, ""),
        (Some(&stopped), "a", RolloutCommand::Abort, ""),
    ] {
        let mut harness = other();
        if let Some(status) = now {
            announce(&mut harness, status.clone());
        }
        shows(&mut harness, &[line]);
        harness.effects();
        keys(&mut harness, key);
        let control = harness.effects().into_iter().find_map(|effect| match effect {
            Effect::Control(control) => Some(control),
            _ => None,
        });
        let control = control.unwrap_or_else(|| panic!("{key}: nothing was sent\n{}", harness.text()));
        assert_eq!(control.command, command, "{key}");
        assert_eq!((control.rollout.as_str(), control.runner.as_str()), ("r1", "p1"));
        assert_eq!(control.issuer.as_deref(), Some("alice@laptop"));

        // The reply, or none.
        let mut refused = status(3, "running", 1);
        refused.answer =
            serde_json::from_value(json!({"id": control.id, "error": "not\u{1b}[2J now"})).unwrap();
        announce(&mut harness, refused);
        shows(&mut harness, &["switch main: not now"]);
    }
    let mut harness = other();
    keys(&mut harness, "p");
    harness.clock(noon() + SignedDuration::from_secs(7));
    shows(&mut harness, &["switch main: no reply to pause"]);
}

#[test]
fn a_rollout_that_is_held_says_so_above_the_hosts() {
    for (state, reason, shown) in [
        ("running", None, ["▶ switch main by bob@desk", " 1 running ─"]),
        ("stopped", Some("1 host failed"), ["✗ switch main by bob@desk", " stopped: 1 host failed "]),
        ("paused", Some("paused by eve@x"), ["■ switch main by bob@desk", " paused by eve@x "]),
    ] {
        let mut harness = harness();
        let reason = reason.map(str::to_owned);
        announce(&mut harness, RolloutStatus { reason, ..status(1, state, 1) });
        harness.clock(noon() + SignedDuration::from_secs(1));
        shows(&mut harness, &shown);
        let text = harness.text();
        assert_eq!(text.contains(" 0 running, 1 held "), state != "running", "{text}");
    }
}

#[test]
fn keys_control_a_rollout_from_its_timeline() {
    for (key, command) in [("p", RolloutCommand::Pause), ("a", RolloutCommand::Abort)] {
        let mut harness = other();
        keys(&mut harness, "T");
        assert_eq!(harness.app.context(), Context::Timeline);
        shows(&mut harness, &[" p pause  a abort "]);
        harness.effects();
        keys(&mut harness, key);
        let is_sent =
            |effect: Effect| matches!(effect, Effect::Control(control) if control.command == command);
        assert!(harness.effects().into_iter().any(is_sent), "{key}\n{}", harness.text());
    }
    let mut harness = other();
    let reason = Some("1 host failed (none allowed)".to_owned());
    announce(&mut harness, RolloutStatus { reason, ..status(2, "stopped", 1) });
    keys(&mut harness, "T");
    shows(
        &mut harness,
        &["stopped: 1 host failed (none allowed); c continues, a aborts", " c continue  a abort "],
    );
    keys(&mut harness, "u");
    assert!(matches!(harness.app.overlay, Some(Overlay::Form(_))), "{}", harness.text());
}

#[test]
fn keys_without_effect_say_why() {
    let mut paused = status(2, "paused", 1);
    paused.reason = Some("paused by bob@desk".to_owned());
    for (now, key, reason) in [
        (status(2, "running", 1), "c", "this rollout is not paused"),
        (paused, "p", "this rollout is already held back; c continues it"),
        (status(2, "ended", 1), "a", "this rollout has ended"),
        (status(2, "done", 3), "p", "this deployment has no batch left to send"),
    ] {
        let mut harness = other();
        announce(&mut harness, now);
        harness.effects();
        keys(&mut harness, key);
        shows(&mut harness, &[reason]);
        assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Control(_))), "{key}");
    }
    let mut harness = other();
    harness.app.options.read_only = true;
    harness.effects();
    keys(&mut harness, "pca");
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Control(_))));
}

#[test]
fn a_silent_process_is_shown_with_what_is_not_sent() {
    let mut harness = other();
    harness.clock(noon() + SignedDuration::from_secs(10));
    shows(&mut harness, &["· 2 pending"]);
    harness.clock(noon() + SignedDuration::from_secs(11));
    shows(
        &mut harness,
        &[
            "interrupted: the process that ran it is gone, silent for 11 s; d deploys to the rest; not sent: app2, app3",
            "! 2 not started",
            "batch 2 of 3 was not sent",
        ],
    );
    keys(&mut harness, "d");
    shows(&mut harness, &["2 that did not complete"]);
    keys(&mut harness, "^");
    // Another process has taken over.
    let mut taken = status(1, "running", 2);
    (taken.runner, taken.at) = (Id::new("p2").unwrap(), noon() + SignedDuration::from_secs(12));
    announce(&mut harness, taken);
    shows(&mut harness, &["in batch 3 of 3", "· 1 pending"]);
}

#[test]
fn while_our_connection_is_down_no_process_is_lost() {
    use homelab_deploy::tui::ConnectionStatus;
    let mut harness = other();
    harness.connect(ConnectionStatus { connects: 1, ..ConnectionStatus::default() });
    harness.clock(noon() + SignedDuration::from_secs(60));
    assert!(!harness.text().contains("is gone"));
    harness.connect(ConnectionStatus { up: true, connects: 2, ..ConnectionStatus::default() });
    harness.clock(noon() + SignedDuration::from_secs(65));
    assert!(!harness.text().contains("is gone"), "it had no time for a heartbeat");
    harness.clock(noon() + SignedDuration::from_secs(71));
    shows(&mut harness, &["is gone"]);
}

#[test]
fn what_is_done_can_be_rolled_back() {
    let mut harness = other();
    harness.effects();
    keys(&mut harness, "u");
    let paused = harness
        .effects()
        .into_iter()
        .any(|effect| matches!(effect, Effect::Control(control) if control.command == RolloutCommand::Pause));
    assert!(paused, "a running rollout is paused first");
    shows(&mut harness, &["─ roll back ─", "[1 that are done]"]);
    keys(&mut harness, ">\n");
    let sent = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    let plan = sent.unwrap();
    assert_eq!((plan.intent.action.clone(), plan.hosts().len()), (Action::Rollback, 1));
}

#[test]
fn leaving_asks_while_batches_are_not_sent() {
    for typed in ["^q", ":quit\n"] {
        let (mut harness, _) = own(true);
        keys(&mut harness, typed);
        assert_eq!(harness.app.context(), Context::Leave, "{typed:?}");
        shows(
            &mut harness,
            &[
                "switch main on 3 hosts: 2 batches with 2 hosts not sent yet",
                "[ Continue in the background ]  [ Stop ]  [ Stay ]",
            ],
        );
        harness.effects();
        // The default is to stay.
        keys(&mut harness, "\n");
        assert_ne!(harness.app.context(), Context::Leave);
        assert_eq!(harness.effects(), []);
    }
    let quits = |harness: &mut Harness, typed: &str| {
        harness.effects();
        keys(harness, typed);
        harness.effects()
    };
    for stop in ["^qs", "^q<\n", "^q>>\n"] {
        assert_eq!(quits(&mut own(true).0, stop), [Effect::Quit], "{stop:?}");
    }
    for background in ["^qb", "^q>\n", "^q<<\n"] {
        let (mut harness, plan) = own(true);
        assert_eq!(quits(&mut harness, background), [Effect::HandOver], "{background:?}");
        shows(&mut harness, &["starting a background process"]);
        let process = DetachedProcess { pid: 7, log: "/log".into() };
        harness.apply(ConsoleEvent::HandedOver(vec![(plan.id.clone(), Ok(process))]));
        assert_eq!(harness.effects(), [Effect::Quit]);
    }
    // A hand-over that fails keeps the console.
    let (mut harness, plan) = own(true);
    quits(&mut harness, "^qb");
    harness.apply(ConsoleEvent::HandedOver(vec![(plan.id, Err("no server".to_owned()))]));
    assert_eq!((harness.effects(), harness.app.context()), (vec![], Context::ErrorDialog));
    shows(&mut harness, &["the rollout continues in this console: no server"]);
    // Where no background process is possible, as in the demo, only the other choices are offered.
    let (mut harness, _) = own(false);
    keys(&mut harness, "^qb");
    let text = harness.text();
    assert!(text.contains("[ Stop ]  [ Stay ]") && !text.contains("background"), "{text}");
}

#[test]
fn leaving_does_not_ask_without_unsent_batches() {
    let (mut harness, plan) = own(true);
    let mut ended = status(1, "ended", 1);
    ended.id = plan.id.clone();
    harness.apply(ConsoleEvent::SentDeployment(plan.id, SentDeploymentEvent::Rollout(Box::new(ended))));
    harness.effects();
    keys(&mut harness, "^q");
    assert_eq!(harness.effects(), [Effect::Quit]);
    // The rollout of another operator needs nothing from us.
    let mut harness = other();
    harness.effects();
    keys(&mut harness, "^^q");
    assert!(harness.effects().contains(&Effect::Quit));
}

#[test]
fn the_form_knows_what_it_would_deploy() {
    let mut harness = harness();
    let mut failed = report("app2", "d1", Status::Failed);
    failed.seq = Some(9_000_000);
    harness.receive(noon(), [report_message(failed)]);
    let mut held = answer("app3", "test", "web");
    held.held = Some("the disk is being replaced".to_owned());
    (held.seq, held.commit) = (Some(9_000_000), Some("0123456789abcdef0123456789abcdef01234567".into()));
    harness.receive(noon(), [presence_message(held)]);
    keys(&mut harness, ":deploy tier=test branch=0123456789abcdef0123456789abcdef01234567\n");
    shows(
        &mut harness,
        &[
            "in all      3 hosts: test 3; 1 failed last time, 1 held, 1 runs it already",
            "failed last time",
            "held, runs it already",
        ],
    );
}

#[test]
fn presets_split_hosts_into_batches() {
    let mut harness = harness();
    keys(&mut harness, ":deploy tier=test\n\t\t\t");
    shows(&mut harness, &["batches     all at once"]);
    keys(&mut harness, ">");
    shows(&mut harness, &["batches     canary=1 batch=25%   3 batches: canary, then 25 %"]);
    keys(&mut harness, ">>>");
    shows(&mut harness, &["batches     batch=1   3 batches: one by one"]);
    keys(&mut harness, ">");
    shows(&mut harness, &["batches     all at once"]);
    keys(&mut harness, "<");
    shows(&mut harness, &["one by one"]);
    // Other options can be typed, and then the keys move the cursor.
    keys(&mut harness, " pause=5<<");
    shows(&mut harness, &["batches     batch=1 pause=5   3 batches"]);
}

#[test]
fn many_hosts_start_with_a_canary() {
    for (count, expected) in [(20, "all at once"), (21, "canary=1 batch=25%   5 batches")] {
        let mut harness = Harness::new(120, 40, PLAIN);
        let hosts = (1..=count).map(|n| presence_message(answer(&format!("app{n}"), "test", "web")));
        harness.receive(ago(4), hosts);
        keys(&mut harness, ":deploy tier=test\n");
        shows(&mut harness, &[expected]);
        keys(&mut harness, "^:deploy tier=test batch=50%\n");
        shows(&mut harness, &["batches     batch=50%"]);
    }
}

#[test]
fn a_mistyped_branch_is_said_in_the_form() {
    let mut harness = harness();
    let reason = "\"mian\" is not a branch or tag of git+https://git.example.org/fleet";
    let mut app1 = answer("app1", "test", "web");
    (app1.flake_url, app1.seq) = (Some("git+https://git.example.org/fleet".into()), Some(9_000_000));
    harness.receive(noon(), [presence_message(app1)]);
    harness.missing_revision = Some(reason.to_owned());
    keys(&mut harness, ":deploy app1 branch=mian\n\n");
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
    shows(&mut harness, &[reason, "nothing was sent"]);
    assert!(matches!(harness.app.overlay, Some(Overlay::Form(_))));
    // A branch that hosts run needs no lookup.
    keys(&mut harness, "^:deploy app1 branch=main\n\n");
    assert!(harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
    // If it exists, or cannot be looked up from here, it is sent.
    harness.missing_revision = None;
    keys(&mut harness, ":deploy app1 branch=other\n\n");
    assert!(harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
}

#[test]
fn an_interrupted_rollout_is_shown_at_once_and_can_be_continued_or_removed() {
    let interrupted = || {
        let mut harness = harness();
        harness.app.options.rollout_directory = Some("/nonexistent".into());
        harness.app.restore_rollouts(vec![status(4, "running", 1)]);
        harness.clock(noon());
        harness
    };
    let mut harness = interrupted();
    shows(
        &mut harness,
        &["1 interrupted", "✗ switch main by bob@desk  batch 1/3", "interrupted, 2 not sent", "v shows it"],
    );
    keys(&mut harness, "v\n");
    shows(
        &mut harness,
        &["interrupted: the process that ran it is gone", "c continues, a aborts", "not sent: app2, app3"],
    );
    shows(&mut harness, &["! not started", "c continue", "a abort"]);
    harness.effects();
    keys(&mut harness, "p");
    shows(&mut harness, &["d deploys to the rest"]);
    keys(&mut harness, "c");
    assert_eq!(harness.effects(), [Effect::ResumeRollout(Id::new("r1").unwrap())]);
    // The console that continues it announces it.
    let text = "another process continues the rollout r1";
    harness.apply(ConsoleEvent::Resumed(Id::new("r1").unwrap(), Err(text.to_owned())));
    shows(&mut harness, &[text]);
    keys(&mut harness, "\n");
    let mut running = status(1, "running", 2);
    running.runner = Id::new("p2").unwrap();
    announce(&mut harness, running);
    shows(&mut harness, &["batch 2 of 3", "in batch 3 of 3"]);
    assert!(!harness.text().contains("interrupted"), "{}", harness.text());

    let mut harness = interrupted();
    keys(&mut harness, "v\n");
    harness.effects();
    keys(&mut harness, "a");
    assert_eq!(harness.effects(), [Effect::DiscardRollout(Id::new("r1").unwrap())]);
    shows(&mut harness, &["no further batch was sent: aborted by alice@laptop after its process had died"]);
    // Without a connection, nothing can be continued.
    let mut harness = interrupted();
    harness.connect(homelab_deploy::tui::ConnectionStatus::default());
    keys(&mut harness, "v\n");
    shows(&mut harness, &["interrupted: the process"]);
    harness.effects();
    keys(&mut harness, "c");
    assert_eq!(harness.effects(), []);
    shows(&mut harness, &["not connected"]);
}

#[test]
fn the_timeline_of_another_operator_s_rollout_has_its_batches() {
    let mut harness = harness();
    let mut announced = status(1, "running", 1);
    announced.batches[0].count = 1;
    announced.batches[0].kind = "canary".to_owned();
    announced.batches.push(homelab_deploy::protocol::BatchRun {
        kind: "batch".to_owned(),
        hosts: 2,
        count: 1,
    });
    announce(&mut harness, announced.clone());
    harness.receive(noon(), [report_message(report("app1", "r1", Status::Completed))]);
    keys(&mut harness, "v\nT");
    shows(&mut harness, &["batch 1 of 2, canary", "batch 2 of 2  pending", "· app3 "]);
    // Its process dies.
    harness.clock(noon() + SignedDuration::from_secs(11));
    shows(&mut harness, &["batch 2 of 2  not sent", "! app3 "]);
}
