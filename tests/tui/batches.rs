//! Batches in the console: the field of the form, the screen of the deployment, and the abort.

use crate::harness::{Harness, PLAIN, ago, answer, name, noon, presence_message, report, report_message};
use crate::keys::keys;
use crate::sent_deployments::{end, send};
use homelab_deploy::client::{BatchKind, BatchStarted, DeploymentSummary, Plan, ResultKind, StopReason};
use homelab_deploy::protocol::{Name, RolloutCommand, Status};
use homelab_deploy::tui::{ConsoleEvent, Effect, Overlay, SentDeploymentEvent};

const HOSTS: [&str; 5] = ["app1", "app2", "app3", "app4", "ns1"];

fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.app.options.nats_hosts = vec![name("ns1")];
    harness.receive(ago(4), HOSTS.map(|host| presence_message(answer(host, "test", "web"))));
    harness.apply(ConsoleEvent::Frame);
    harness
}

/// The form for all hosts, with these batch options typed.
fn form(options: &str) -> Harness {
    let mut harness = harness();
    keys(&mut harness, "ad\t\t\t");
    harness.type_text(options);
    harness
}

/// The batch and the host of each row.
fn rows(harness: &Harness) -> Vec<(Option<usize>, String)> {
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    form.rows().into_iter().map(|(batch, host)| (batch, host.to_string())).collect()
}

fn batches_of(plan: &Plan) -> Vec<Vec<Name>> {
    plan.rollout.batches().iter().map(|batch| plan.hosts_of(batch)).collect()
}

fn sent(harness: &mut Harness) -> Option<Plan> {
    let effects = harness.effects();
    effects.into_iter().find_map(|effect| if let Effect::Send(plan) = effect { Some(*plan) } else { None })
}

#[test]
fn the_form_shows_the_batches_as_typed_and_sends_them() {
    let mut harness = form("canary=app3 batch=2");
    let expected = [(1, "app3"), (2, "app1"), (2, "app2"), (3, "app4"), (4, "ns1")];
    assert_eq!(rows(&harness), expected.map(|(batch, host)| (Some(batch), host.to_owned())));
    let text = harness.text();
    for shown in ["batches     canary=app3 batch=2   4 batches", "│   1  ● app3 ", "│   4  ● ns1 "] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    keys(&mut harness, "\n");
    let plan = sent(&mut harness).unwrap_or_else(|| panic!("nothing was sent:\n{}", harness.text()));
    let expected = [&["app3"][..], &["app1", "app2"], &["app4"], &["ns1"]];
    assert_eq!(
        batches_of(&plan),
        expected.map(|batch| batch.iter().map(|host| name(host)).collect::<Vec<_>>())
    );
}

#[test]
fn without_batches_all_start_at_once_and_one_host_has_no_batches() {
    let mut harness = form("");
    assert!(
        harness.text().contains(
            "batches     all at once; ctrl-b presets, or batch=25% canary=1 max-failures=0 pause=60 "
        ),
        "{}",
        harness.text()
    );
    assert_eq!(rows(&harness), HOSTS.map(|host| (None, host.to_owned())));
    keys(&mut harness, "\n");
    assert_eq!(batches_of(&sent(&mut harness).unwrap()), [HOSTS.map(name)]);
    let mut one = self::harness();
    keys(&mut one, "d");
    assert!(!one.text().contains("batches"), "{}", one.text());
}

#[test]
fn invalid_batches_are_reported_and_nothing_is_sent() {
    for (typed, reason) in [
        ("batch=0", "invalid batch size \"0\""),
        ("canary=app9", "the canary app9 is not among the selected hosts (did you mean app1, app2, app3?)"),
        ("all", "unknown batch setting \"all\": expected batch=, canary="),
        ("pause=3", "missing batch size: set batch= or canary="),
    ] {
        let mut harness = form(typed);
        assert!(harness.text().contains(reason), "{typed}: no {reason:?} in\n{}", harness.text());
        keys(&mut harness, "\n");
        assert_eq!(sent(&mut harness), None, "{typed}");
        let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
        assert!(form.error.as_ref().is_some_and(|reason| reason.ends_with("nothing was sent")), "{typed}");
    }
}

#[test]
fn several_reboots_default_to_batches_of_one() {
    let mut harness = harness();
    keys(&mut harness, ":reboot tier=test\n");
    assert!(harness.text().contains("batches     batch=1   5 batches"), "{}", harness.text());
    keys(&mut harness, "\n^:reboot tier=test batch=100%\n");
    assert!(harness.text().contains("batches     batch=100%   2 batches"), "{}", harness.text());
}

#[test]
fn the_command_line_accepts_batches() {
    let mut harness = harness();
    keys(&mut harness, ":deploy tier=test batch=50% max-failures=1\n");
    assert!(
        harness.text().contains("batches     batch=50% max-failures=1   3 batches"),
        "{}",
        harness.text()
    );
    let mut harness = self::harness();
    keys(&mut harness, ":deploy tier=test batch=much\n");
    assert!(harness.text().contains("invalid batch size \"much\""), "{}", harness.text());
    let mut harness = self::harness();
    keys(&mut harness, ":diff tier=test batch=1\n");
    assert!(harness.text().contains("unknown key \"batch=\""), "{}", harness.text());
}

fn send_batch(harness: &mut Harness, plan: &Plan, at: usize) {
    let batches = plan.rollout.batches();
    let hosts = plan.hosts_of(&batches[at - 1]);
    let event = BatchStarted { batch: at, of: batches.len(), kind: BatchKind::Batch, hosts };
    harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), SentDeploymentEvent::BatchSent(event)));
}

/// A deployment in four batches, of which the first was sent.
fn under_way() -> (Harness, Plan) {
    let mut harness = form("canary=app3 batch=2");
    keys(&mut harness, "\n");
    let plan = sent(&mut harness).unwrap();
    send_batch(&mut harness, &plan, 1);
    (harness, plan)
}

#[test]
fn the_deployment_shows_the_batch_of_each_host() {
    let (mut harness, plan) = under_way();
    harness.receive(noon(), [report_message(report("app3", plan.id.as_str(), Status::Completed))]);
    send_batch(&mut harness, &plan, 2);
    let text = harness.text();
    for shown in [
        "on 5 hosts, batch 2 of 4, ",
        "✓ 1 done  · 2 waiting  · 2 pending",
        "app1    · waiting ",
        "app4    · pending ",
        "in batch 3 of 4",
        "in batch 4 of 4",
        "app3    ✓ completed",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    // The last request is too old for its hosts to start; the batches that were not sent are unaffected.
    harness.clock(noon() + jiff::SignedDuration::from_secs(300));
    let text = harness.text();
    assert!(text.contains("· 2 waiting  · 2 pending") && text.contains("app1    ○ no answer"), "{text}");
}

#[test]
fn a_stopped_rollout_lists_skipped_hosts_which_can_be_deployed() {
    let (mut harness, plan) = under_way();
    let mut outcome = DeploymentSummary::new(plan.id.clone(), Vec::new());
    (outcome.stopped, outcome.not_started) =
        (Some(StopReason::Canary), ["app1", "app2", "app4", "ns1"].map(name).into());
    harness.receive(noon(), [report_message(report("app3", plan.id.as_str(), Status::Failed))]);
    harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), SentDeploymentEvent::Finished(outcome)));
    assert!(harness.text().contains("4 not started: the canary did not complete"), "{}", harness.text());
    let text = harness.text();
    for shown in [
        "✗ 1 failed  ! 4 not started",
        "no further batch was sent: the canary did not complete",
        "app1    ! not started",
        "batch 2 of 4 was not sent",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    keys(&mut harness, "d");
    assert!(harness.text().contains("5 that did not complete"), "{}", harness.text());
}

#[test]
fn no_further_batch_starts_after_an_abort() {
    for typed in ["a", "^va", ":abort\n"] {
        let (mut harness, plan) = under_way();
        harness.effects();
        keys(&mut harness, typed);
        let abort = Effect::LocalControl(plan.id.clone(), RolloutCommand::Abort);
        let aborts = harness.effects().into_iter().filter(|effect| *effect == abort);
        assert_eq!(aborts.count(), 1, "{typed}");
        assert!(
            harness.text().contains("no further batch is sent; jobs that were sent continue"),
            "{}",
            harness.text()
        );
    }
}

#[test]
fn a_deployment_without_remaining_batches_cannot_be_aborted() {
    let mut harness = harness();
    let plan = send(&mut harness, "app");
    keys(&mut harness, "va");
    assert!(
        harness.text().contains("this deployment has no batches; C cancels its running jobs"),
        "{}",
        harness.text()
    );
    end(&mut harness, &plan, vec![(ResultKind::Silent, None, "app1")]);
    keys(&mut harness, ":abort\n");
    assert!(harness.text().contains("no deployment has batches left to send"), "{}", harness.text());

    let (mut harness, plan) = under_way();
    (2..=4).for_each(|at| send_batch(&mut harness, &plan, at));
    harness.effects();
    keys(&mut harness, "va");
    assert!(harness.text().contains("this deployment has no batch left to send"), "{}", harness.text());
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::LocalControl(..))));
}

#[test]
fn a_read_only_console_cannot_abort() {
    let (mut harness, _) = under_way();
    harness.app.options.read_only = true;
    harness.effects();
    keys(&mut harness, "va");
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::LocalControl(..))));
    keys(&mut harness, ":abort\n");
    assert!(
        harness.text().contains("the console is read-only: abort is not available"),
        "{}",
        harness.text()
    );
}

/// The batch options in the form.
fn options(harness: &Harness) -> String {
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    form.batches.value().to_owned()
}

#[test]
fn one_key_selects_a_preset_from_any_field_and_the_last_one_is_remembered() {
    let mut harness = harness();
    keys(&mut harness, "ad");
    assert_eq!(options(&harness), "");
    assert!(harness.text().contains("ctrl-b"), "{}", harness.text());
    harness.press_ctrl('b');
    assert_eq!(options(&harness), "canary=1 batch=25%");
    keys(&mut harness, "\n");
    assert!(sent(&mut harness).is_some_and(|plan| plan.rollout.batches().len() > 2));
    // It is saved with the view state, and the next form starts with it.
    harness.clock(noon());
    let is_saved = |effect: &Effect| matches!(effect, Effect::SaveViewState(_));
    assert!(harness.effects().iter().any(is_saved));
    keys(&mut harness, "qad");
    assert_eq!(options(&harness), "canary=1 batch=25%");
    // Of options that are not a preset, the next one is the first preset.
    keys(&mut harness, "\t\t\t");
    harness.type_text(" pause=5");
    harness.press_ctrl('b');
    assert_eq!(options(&harness), "");
    keys(&mut harness, "\n");
    assert!(sent(&mut harness).is_some_and(|plan| plan.rollout.batches().len() == 1));
    keys(&mut harness, "qad");
    assert_eq!(options(&harness), "");
}

#[test]
fn many_hosts_are_never_all_at_once_by_default() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let hosts = (1..=30).map(|n| presence_message(answer(&format!("app{n}"), "test", "web")));
    harness.receive(ago(4), hosts);
    harness.apply(ConsoleEvent::Frame);
    for (typed, expected) in [("  d", ""), ("^ad", "canary=1 batch=25%")] {
        keys(&mut harness, typed);
        assert_eq!(options(&harness), expected);
    }
    // A deployment to two hosts, all at once, does not change that.
    keys(&mut harness, "^^  d\n");
    assert!(sent(&mut harness).is_some());
    keys(&mut harness, "qad");
    assert_eq!(options(&harness), "canary=1 batch=25%");
    // Another preset does.
    harness.press_ctrl('b');
    keys(&mut harness, "\n");
    keys(&mut harness, "qad");
    assert_eq!(options(&harness), "canary=1");
}
