//! Waves in the console: the form that offers them, the deployment that shows them, and how they are aborted.

use crate::keys::keys;
use crate::orders::{end, send};
use crate::stage::{PLAIN, Stage, ago, answer, name, noon, present, report, said};
use homelab_deploy::deployer::{Outcome, Plan, Stopped, Verdict, WaveKind, WaveNews};
use homelab_deploy::protocol::{Name, Status};
use homelab_deploy::tui::{Effect, Event, OrderNews, Overlay};

const HOSTS: [&str; 5] = ["app1", "app2", "app3", "app4", "ns1"];

fn stage() -> Stage {
    let mut stage = Stage::new(120, 40, PLAIN);
    stage.app.options.brokers = vec![name("ns1")];
    stage.hear(ago(4), HOSTS.map(|host| present(answer(host, "test", "web"))));
    stage.tell(Event::Frame);
    stage
}

/// The form for all hosts with these waves typed in.
fn form(waves: &str) -> Stage {
    let mut stage = stage();
    keys(&mut stage, "ad\n\n\n");
    stage.types(waves);
    stage
}

/// The wave and the host of each row.
fn rows(stage: &Stage) -> Vec<(Option<usize>, String)> {
    let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("no form") };
    form.rows().into_iter().map(|(wave, host)| (wave, host.to_string())).collect()
}

fn waves_of(plan: &Plan) -> Vec<Vec<Name>> {
    plan.rollout.waves().iter().map(|wave| plan.hosts_of(wave)).collect()
}

fn sent(stage: &mut Stage) -> Option<Plan> {
    let effects = stage.effects();
    effects.into_iter().find_map(|effect| if let Effect::Send(plan) = effect { Some(*plan) } else { None })
}

#[test]
fn the_form_shows_the_waves_as_they_are_typed_and_sends_them() {
    let mut stage = form("canary=app3 batch=2");
    let expected = [(1, "app3"), (2, "app1"), (2, "app2"), (3, "app4"), (4, "ns1")];
    assert_eq!(rows(&stage), expected.map(|(wave, host)| (Some(wave), host.to_owned())));
    let text = stage.text();
    for shown in ["waves       canary=app3 batch=2   4 waves", "│   1  ● app3 ", "│   4  ● ns1 "] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    keys(&mut stage, "\n>\n");
    let plan = sent(&mut stage).unwrap_or_else(|| panic!("nothing was sent:\n{}", stage.text()));
    let expected = [&["app3"][..], &["app1", "app2"], &["app4"], &["ns1"]];
    assert_eq!(waves_of(&plan), expected.map(|wave| wave.iter().map(|host| name(host)).collect::<Vec<_>>()));
}

#[test]
fn without_waves_all_go_at_once_and_one_host_is_offered_none() {
    let mut stage = form("");
    assert!(stage.text().contains("waves       all at once; or batch=25% canary=1"), "{}", stage.text());
    assert_eq!(rows(&stage), HOSTS.map(|host| (None, host.to_owned())));
    keys(&mut stage, "\n>\n");
    assert_eq!(waves_of(&sent(&mut stage).unwrap()), [HOSTS.map(name)]);
    let mut one = self::stage();
    keys(&mut one, "d");
    assert!(!one.text().contains("waves"), "{}", one.text());
}

#[test]
fn waves_that_make_no_sense_are_told_and_nothing_is_sent() {
    for (typed, why) in [
        ("batch=0", "\"0\" is no size of a wave"),
        ("canary=app9", "the canary app9 is not among the hosts (did you mean app1, app2, app3?)"),
        ("all", "\"all\" says nothing about waves: write batch=, canary="),
        ("pause=3", "these are no waves without batch= or canary="),
    ] {
        let mut stage = form(typed);
        assert!(stage.text().contains(why), "{typed}: no {why:?} in\n{}", stage.text());
        keys(&mut stage, "\n>\n");
        assert_eq!(sent(&mut stage), None, "{typed}");
        let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("no form") };
        assert!(form.refused.as_ref().is_some_and(|why| why.ends_with("nothing was sent")), "{typed}");
    }
}

#[test]
fn whoever_reboots_several_does_it_one_by_one_unless_they_say_otherwise() {
    let mut stage = stage();
    keys(&mut stage, ":reboot tier=test\n");
    assert!(stage.text().contains("waves       batch=1   5 waves"), "{}", stage.text());
    keys(&mut stage, "\n^:reboot tier=test batch=100%\n");
    assert!(stage.text().contains("waves       batch=100%   2 waves"), "{}", stage.text());
}

#[test]
fn the_command_line_takes_waves() {
    let mut stage = stage();
    keys(&mut stage, ":deploy tier=test batch=50% max-failures=1\n");
    assert!(stage.text().contains("waves       batch=50% max-failures=1   3 waves"), "{}", stage.text());
    let mut stage = self::stage();
    keys(&mut stage, ":deploy tier=test batch=much\n");
    assert!(stage.text().contains("\"much\" is no size of a wave"), "{}", stage.text());
    let mut stage = self::stage();
    keys(&mut stage, ":diff tier=test batch=1\n");
    assert!(stage.text().contains("no key \"batch=\""), "{}", stage.text());
}

fn wave(stage: &mut Stage, plan: &Plan, at: usize) {
    let waves = plan.rollout.waves();
    let hosts = plan.hosts_of(&waves[at - 1]);
    let news = WaveNews { wave: at, of: waves.len(), kind: WaveKind::Batch, hosts };
    stage.tell(Event::Order(plan.id.clone(), OrderNews::Wave(news)));
}

/// A deployment in four waves whose first was sent.
fn under_way() -> (Stage, Plan) {
    let mut stage = form("canary=app3 batch=2");
    keys(&mut stage, "\n>\n");
    let plan = sent(&mut stage).unwrap();
    wave(&mut stage, &plan, 1);
    (stage, plan)
}

#[test]
fn the_deployment_shows_which_wave_each_host_is_in() {
    let (mut stage, plan) = under_way();
    stage.hear(noon(), [said(report("app3", plan.id.as_str(), Status::Completed))]);
    wave(&mut stage, &plan, 2);
    keys(&mut stage, "v\n");
    let text = stage.text();
    for shown in [
        "on 5 hosts, wave 2 of 4, ",
        "✓ 1 done  · 2 waiting  · 2 to come",
        "app1    · waiting ",
        "app4    · to come ",
        "in wave 3 of 4",
        "in wave 4 of 4",
        "app3    ✓ completed",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    // What was sent long ago may not begin any more; what was not sent can.
    stage.clock(noon() + jiff::SignedDuration::from_secs(300));
    let text = stage.text();
    assert!(text.contains("· 2 waiting  · 2 to come") && text.contains("app1    ○ silent"), "{text}");
}

#[test]
fn a_stop_tells_what_was_left_out_and_that_can_be_deployed() {
    let (mut stage, plan) = under_way();
    let mut outcome = Outcome::new(plan.id.clone(), Vec::new());
    (outcome.stopped, outcome.untouched) =
        (Some(Stopped::Canary), ["app1", "app2", "app4", "ns1"].map(name).into());
    stage.hear(noon(), [said(report("app3", plan.id.as_str(), Status::Failed))]);
    stage.tell(Event::Order(plan.id.clone(), OrderNews::Ended(outcome)));
    assert!(stage.text().contains("4 untouched, for the canary did not complete"), "{}", stage.text());
    keys(&mut stage, "v\n");
    let text = stage.text();
    for shown in [
        "✗ 1 failed  ! 4 untouched",
        "no further wave began, for the canary did not complete",
        "app1    ! untouched",
        "wave 2 of 4 was not sent",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    keys(&mut stage, "d");
    assert!(stage.text().contains("5 that did not complete"), "{}", stage.text());
}

#[test]
fn no_further_wave_begins_after_an_abort() {
    for typed in ["va", "v\na", ":abort\n"] {
        let (mut stage, plan) = under_way();
        stage.effects();
        keys(&mut stage, typed);
        let aborts = stage.effects().into_iter().filter(|effect| *effect == Effect::Abort(plan.id.clone()));
        assert_eq!(aborts.count(), 1, "{typed}");
        assert!(stage.text().contains("no further wave begins; what was sent goes on"), "{}", stage.text());
    }
}

#[test]
fn what_has_no_waves_left_cannot_be_aborted() {
    let mut stage = stage();
    let plan = send(&mut stage, "app");
    keys(&mut stage, "va");
    assert!(
        stage.text().contains("this deployment went out at once; c cancels what still runs"),
        "{}",
        stage.text()
    );
    end(&mut stage, &plan, vec![(Verdict::Silent, None, "app1")]);
    keys(&mut stage, ":abort\n");
    assert!(stage.text().contains("no deployment of ours has waves left"), "{}", stage.text());

    let (mut stage, plan) = under_way();
    (2..=4).for_each(|at| wave(&mut stage, &plan, at));
    stage.effects();
    keys(&mut stage, "va");
    assert!(stage.text().contains("no wave of this deployment is left to be sent"), "{}", stage.text());
    assert!(!stage.effects().iter().any(|effect| matches!(effect, Effect::Abort(_))));
}

#[test]
fn whoever_may_only_look_aborts_nothing() {
    let (mut stage, _) = under_way();
    stage.app.options.read_only = true;
    stage.effects();
    keys(&mut stage, "va");
    assert!(!stage.effects().iter().any(|effect| matches!(effect, Effect::Abort(_))));
    keys(&mut stage, ":abort\n");
    assert!(
        stage.text().contains("this console may only look; abort would do something on a host"),
        "{}",
        stage.text()
    );
}
