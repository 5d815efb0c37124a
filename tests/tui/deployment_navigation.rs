//! Navigation between the screens of deployments, hosts and logs.

use crate::harness::{
    Harness, PLAIN, ago, answer, building, history, name, noon, presence_message, report, report_message,
    rollout,
};
use crate::keys::keys;
use crate::log_screen::key;
use crate::sent_deployments::{end, send};
use homelab_deploy::client::{Reply, ResultKind};
use homelab_deploy::protocol::{Action, ErrorCode, Id, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, HistoryState, SentDeploymentEvent};

/// Two running and two past deployments.
fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    rollout(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    harness
}

/// Types these keys and draws a frame.
fn press(harness: &mut Harness, typed: &str) {
    keys(harness, typed);
    harness.apply(ConsoleEvent::Frame);
}

#[test]
fn the_log_is_that_of_the_job_in_this_deployment() {
    let mut harness = harness();
    // The host has a newer job.
    let mut later = building("app2", "e1");
    later.seq = Some(2_000_000);
    harness.receive(noon(), [report_message(later)]);
    press(&mut harness, "vjj\n");
    harness.effects();
    press(&mut harness, "jl");
    assert_eq!(harness.effects(), [Effect::FullLog(key("app2", "d9"))]);
    let text = harness.text();
    assert!(text.contains(" app2 ▸ switch release/2026-11 b04c7de  ✗ "), "{text}");
    press(&mut harness, "q");
    assert_eq!((harness.app.context(), harness.effects()), (Context::Deployment, vec![Effect::Log(None)]));
    assert_eq!(harness.app.host().map(|host| &host.name), Some(&name("app2")));
    // A rejected job has no log.
    press(&mut harness, "jjjjjl");
    assert_eq!(harness.app.context(), Context::Deployment);
    assert!(harness.text().contains("app8 has no job with a log"), "{}", harness.text());
    // The list of deployments shows no log, so none is read.
    press(&mut harness, "^");
    press(&mut harness, "l");
    assert_eq!((harness.app.context(), harness.effects()), (Context::Deployments, Vec::new()));
}

#[test]
fn the_log_after_a_resend_is_that_of_the_second_job() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(4), ["app1", "app2"].map(|host| presence_message(answer(host, "test", "app"))));
    harness.apply(ConsoleEvent::Frame);
    let plan = send(&mut harness, "app");
    press(&mut harness, "l");
    // No report has arrived yet.
    assert_eq!(harness.app.context(), Context::Deployment);
    let mut expired = report("app1", plan.id.as_str(), Status::Rejected);
    expired.error = Some(ErrorCode::Expired);
    let again = SentDeploymentEvent::Resent(name("app1"), Id::new("again").unwrap(), "sent again".to_owned());
    harness.receive(noon(), [report_message(expired)]);
    harness.apply(ConsoleEvent::SentDeployment(plan.id, again));
    harness.receive(noon(), [report_message(building("app1", "again"))]);
    press(&mut harness, "g");
    harness.effects();
    press(&mut harness, "l");
    assert_eq!(harness.effects(), [Effect::FullLog(key("app1", "again"))]);
}

#[test]
fn opening_and_closing_host_screens_queries_their_history() {
    let mut harness = harness();
    press(&mut harness, "vj\nj");
    harness.effects();
    keys(&mut harness, "\n");
    assert_eq!(harness.effects(), [Effect::History(name("app2"))]);
    harness.apply(ConsoleEvent::History(name("app2"), Ok(Reply::Ok(history()))));
    // Another host screen above it.
    keys(&mut harness, "v\nG\n");
    assert_eq!(harness.effects(), [Effect::History(name("app12"))]);
    keys(&mut harness, "^");
    assert_eq!(
        (harness.app.context(), harness.effects()),
        (Context::Deployment, vec![history_query("app2")])
    );
    keys(&mut harness, "^^");
    assert_eq!((harness.app.context(), harness.effects()), (Context::Host, Vec::new()));
    assert_eq!(harness.host().history, HistoryState::Loaded);
    keys(&mut harness, "^");
    assert_eq!((harness.app.context(), harness.effects()), (Context::Deployment, Vec::new()));
}

fn history_query(host: &str) -> Effect {
    Effect::History(name(host))
}

#[test]
fn a_history_entry_opens_its_deployment() {
    let mut harness = harness();
    // A deployment that is in the history of a host and was also seen by the console.
    let mut entries = history();
    entries[1].id = Id::new("d9").unwrap();
    keys(&mut harness, "/web1\n\n");
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(entries))));
    press(&mut harness, "jjjv\n");
    assert!(harness.text().contains("─ switch release/2026-11 b04c7de by bob@desk "), "{}", harness.text());
}

#[test]
fn the_selected_entry_is_copied() {
    let mut harness = harness();
    let mut unknown = building("app7", "e1");
    unknown.commit = None;
    harness.receive(noon(), [report_message(unknown)]);
    for (typed, copied) in [
        ("vjjy", "b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10"),
        ("ggy", "e1"),
        ("\ny", "app7"),
        ("^jj\njy", "app2"),
    ] {
        harness.effects();
        press(&mut harness, typed);
        assert!(
            harness.effects().contains(&Effect::Copy(copied.to_owned())),
            "{typed:?}\n{}",
            harness.text()
        );
        assert!(harness.text().contains(&format!("copied {copied} ")), "{}", harness.text());
    }
}

#[test]
fn rollbacks_and_reboots_are_not_repeated() {
    for action in [Action::Rollback, Action::Reboot] {
        let mut harness = harness();
        let mut failed = report("web1", "e1", Status::Failed);
        failed.action = Some(action.clone());
        harness.receive(noon(), [report_message(failed)]);
        press(&mut harness, "vjj\nd");
        assert_eq!(harness.app.context(), Context::Deployment, "{action}\n{}", harness.text());
        assert!(harness.text().contains("this was not a deployment of a revision; "), "{}", harness.text());
    }
}

#[test]
fn results_are_queued_on_every_screen() {
    let mut harness = harness();
    let plan = send(&mut harness, "web1");
    keys(&mut harness, "^");
    for host in ["web1", "web10", "web1"] {
        end(&mut harness, &plan, vec![(ResultKind::Completed, None, host)]);
    }
    for (typed, screen) in [
        ("", Context::Fleet),
        ("v", Context::Deployments),
        ("\n", Context::Deployment),
        ("\n", Context::Host),
        ("^^Gk\nl", Context::Log),
    ] {
        keys(&mut harness, typed);
        let text = harness.text();
        assert_eq!((harness.app.context(), text.matches("(2 more) ").count()), (screen, 1), "{text}");
    }
}

#[test]
fn a_read_only_console_shows_no_key_that_sends() {
    let mut harness = Harness::new(120, 40, PLAIN);
    keys(&mut harness, "v");
    assert!(harness.text().contains("no deployments yet; press d on the fleet screen to deploy"));
    harness.app.options.read_only = true;
    let text = harness.text();
    assert!(text.contains("no deployments yet  "), "{text}");
}
