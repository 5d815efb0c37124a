//! From the screens of deployments to those of hosts and logs, and back.

use crate::keys::keys;
use crate::log_screen::key;
use crate::orders::{end, send};
use crate::stage::{
    PLAIN, Stage, ago, answer, building, history, name, noon, present, report, rollout, said,
};
use homelab_deploy::deployer::{Told, Verdict};
use homelab_deploy::protocol::{Action, ErrorCode, Id, Status};
use homelab_deploy::tui::{Context, Effect, Event, HistoryState, OrderNews};

/// Two deployments that run and two that are past.
fn stage() -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    rollout(&mut stage);
    stage.tell(Event::Frame);
    stage.effects();
    stage
}

/// Types, and lets a frame follow.
fn press(stage: &mut Stage, typed: &str) {
    keys(stage, typed);
    stage.tell(Event::Frame);
}

#[test]
fn the_log_is_that_of_the_job_in_this_deployment() {
    let mut stage = stage();
    // It has another job since.
    let mut later = building("app2", "e1");
    later.seq = Some(2_000_000);
    stage.hear(noon(), [said(later)]);
    press(&mut stage, "vjj\n");
    stage.effects();
    press(&mut stage, "jl");
    assert_eq!(stage.effects(), [Effect::WholeLog(key("app2", "d9"))]);
    let text = stage.text();
    assert!(text.contains(" app2 ▸ switch release/2026-11 b04c7de  ✗ "), "{text}");
    press(&mut stage, "q");
    assert_eq!((stage.app.context(), stage.effects()), (Context::Deployment, vec![Effect::Log(None)]));
    assert_eq!(stage.app.host().map(|host| &host.name), Some(&name("app2")));
    // What was refused never began.
    press(&mut stage, "jjjjjl");
    assert_eq!(stage.app.context(), Context::Deployment);
    assert!(stage.text().contains("app8 has no job whose log could be read"), "{}", stage.text());
    // The list tells of no log, and none is read for it.
    press(&mut stage, "^");
    press(&mut stage, "l");
    assert_eq!((stage.app.context(), stage.effects()), (Context::Deployments, Vec::new()));
}

#[test]
fn the_log_of_a_host_that_got_it_once_more_is_that_of_its_second_job() {
    let mut stage = Stage::new(120, 40, PLAIN);
    stage.hear(ago(4), ["app1", "app2"].map(|host| present(answer(host, "test", "app"))));
    stage.tell(Event::Frame);
    let plan = send(&mut stage, "app");
    press(&mut stage, "v\nl");
    // Nothing was heard of it yet.
    assert_eq!(stage.app.context(), Context::Deployment);
    let mut expired = report("app1", plan.id.as_str(), Status::Rejected);
    expired.error = Some(ErrorCode::Expired);
    let again = OrderNews::Again(name("app1"), Id::new("again").unwrap(), "sent again".to_owned());
    stage.hear(noon(), [said(expired)]);
    stage.tell(Event::Order(plan.id, again));
    stage.hear(noon(), [said(building("app1", "again"))]);
    press(&mut stage, "g");
    stage.effects();
    press(&mut stage, "l");
    assert_eq!(stage.effects(), [Effect::WholeLog(key("app1", "again"))]);
}

#[test]
fn a_host_that_is_opened_is_asked_for_its_past_and_so_is_the_one_below() {
    let mut stage = stage();
    press(&mut stage, "vj\nj");
    stage.effects();
    keys(&mut stage, "\n");
    assert_eq!(stage.effects(), [Effect::History(name("app2"))]);
    stage.tell(Event::History(name("app2"), Ok(Told::Answer(history()))));
    // Another one, over it.
    keys(&mut stage, "v\nG\n");
    assert_eq!(stage.effects(), [Effect::History(name("app12"))]);
    keys(&mut stage, "^");
    assert_eq!((stage.app.context(), stage.effects()), (Context::Deployment, vec![asks("app2")]));
    keys(&mut stage, "^^");
    assert_eq!((stage.app.context(), stage.effects()), (Context::Host, Vec::new()));
    assert_eq!(stage.host().history, HistoryState::Told);
    keys(&mut stage, "^");
    assert_eq!((stage.app.context(), stage.effects()), (Context::Deployment, Vec::new()));
}

fn asks(host: &str) -> Effect {
    Effect::History(name(host))
}

#[test]
fn from_a_past_job_to_its_deployment() {
    let mut stage = stage();
    // One that a host tells of, and that was seen here too.
    let mut tells = history();
    tells[1].id = Id::new("d9").unwrap();
    keys(&mut stage, "/web1\n\n");
    stage.tell(Event::History(name("web1"), Ok(Told::Answer(tells))));
    press(&mut stage, "jjjv\n");
    assert!(stage.text().contains("─ switch release/2026-11 b04c7de by bob@desk "), "{}", stage.text());
}

#[test]
fn what_is_selected_is_copied() {
    let mut stage = stage();
    let mut unknown = building("app7", "e1");
    unknown.commit = None;
    stage.hear(noon(), [said(unknown)]);
    for (typed, copied) in [
        ("vjjy", "b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10"),
        ("ggy", "e1"),
        ("\ny", "app7"),
        ("^jj\njy", "app2"),
    ] {
        stage.effects();
        press(&mut stage, typed);
        assert!(stage.effects().contains(&Effect::Copy(copied.to_owned())), "{typed:?}\n{}", stage.text());
        assert!(stage.text().contains(&format!("copied {copied} ")), "{}", stage.text());
    }
}

#[test]
fn what_rolls_back_or_reboots_is_not_deployed_again() {
    for action in [Action::Rollback, Action::Reboot] {
        let mut stage = stage();
        let mut failed = report("web1", "e1", Status::Failed);
        failed.action = Some(action.clone());
        stage.hear(noon(), [said(failed)]);
        press(&mut stage, "vjj\nd");
        assert_eq!(stage.app.context(), Context::Deployment, "{action}\n{}", stage.text());
        assert!(stage.text().contains("this deployed nothing; "), "{}", stage.text());
    }
}

#[test]
fn how_it_ended_waits_its_turn_on_every_screen() {
    let mut stage = stage();
    let plan = send(&mut stage, "web1");
    for host in ["web1", "web10", "web1"] {
        end(&mut stage, &plan, vec![(Verdict::Completed, None, host)]);
    }
    for (typed, screen) in [
        ("", Context::Fleet),
        ("v", Context::Deployments),
        ("\n", Context::Deployment),
        ("\n", Context::Host),
        ("^^Gk\nl", Context::Log),
    ] {
        keys(&mut stage, typed);
        let text = stage.text();
        assert_eq!((stage.app.context(), text.matches("(2 more) ").count()), (screen, 1), "{text}");
    }
}

#[test]
fn whoever_may_only_look_is_told_of_no_key_to_send() {
    let mut stage = Stage::new(120, 40, PLAIN);
    keys(&mut stage, "v");
    assert!(stage.text().contains("no deployment was heard of yet; d on the fleet screen sends one"));
    stage.app.options.read_only = true;
    let text = stage.text();
    assert!(text.contains("no deployment was heard of yet  "), "{text}");
}
