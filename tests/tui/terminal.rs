//! What the console tells the terminal beside its frames.

use crate::harness::{Harness, PLAIN, ago, answer, noon, presence_message, report, report_message};
use crate::sent_deployments::{end, send};
use homelab_deploy::client::ResultKind;
use homelab_deploy::protocol::{RolloutStatus, Status};
use homelab_deploy::tui::{ConsoleEvent, Effect, TerminalFeatures, TerminalProgress, TerminalStatus};
use serde_json::json;

fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(4), ["app1", "app2"].map(|host| presence_message(answer(host, "test", "app"))));
    harness.apply(ConsoleEvent::Frame);
    harness
}

fn status(harness: &Harness) -> (String, Option<TerminalProgress>) {
    let TerminalStatus { title, progress } = TerminalStatus::of(&harness.app);
    (title, progress)
}

#[test]
fn title_and_progress_follow_the_newest_deployment_of_this_console() {
    let mut harness = harness();
    assert_eq!(status(&harness), ("homelab-deploy: 2 hosts".to_owned(), None));
    harness.app.options.context = Some("home".to_owned());
    let plan = send(&mut harness, "app");
    let title = |percent: u8| format!("{percent} % switch main on 2 hosts - home");
    assert_eq!(status(&harness), (title(0), Some(TerminalProgress::Running(0))));
    harness.receive(noon(), [report_message(report("app1", plan.id.as_str(), Status::Completed))]);
    assert_eq!(status(&harness), (title(50), Some(TerminalProgress::Running(50))));
    harness.receive(noon(), [report_message(report("app2", plan.id.as_str(), Status::Failed))]);
    end(&mut harness, &plan, vec![(ResultKind::Completed, None, "app1"), (ResultKind::Failed, None, "app2")]);
    assert_eq!(status(&harness), ("home: 2 hosts".to_owned(), None));
    let notified = harness.effects().into_iter().any(|effect| {
        matches!(effect, Effect::Notify(text) if text == "switch main on 2 hosts: 1 completed, 1 failed (app2)")
    });
    assert!(notified);
}

#[test]
fn a_limit_that_holds_a_rollout_back_is_a_notification() {
    let mut harness = harness();
    let plan = send(&mut harness, "app");
    harness.effects();
    let mut stopped = json!({
        "id": plan.id, "runner": "r1", "seq": 1, "at": noon(), "heartbeat_s": 2, "state": "stopped",
        "reason": "1 host failed (none allowed)", "action": "switch", "started_at": noon(),
        "batches": [{"kind": "batch", "hosts": 1, "count": 2}], "sent_batches": 1,
    });
    let event = |status: &serde_json::Value| {
        let status = RolloutStatus::parse(status.to_string().as_bytes()).unwrap();
        ConsoleEvent::Rollout(Box::new(status))
    };
    harness.apply(event(&stopped));
    let text = "switch main: stopped: 1 host failed (none allowed); c continues, a aborts";
    assert!(harness.effects().contains(&Effect::Notify(text.to_owned())));
    assert_eq!(status(&harness).1, Some(TerminalProgress::Held(0)));
    // The heartbeat repeats the state, which must not notify a second time.
    stopped["seq"] = json!(2);
    harness.apply(event(&stopped));
    assert_eq!(harness.effects(), []);
}

#[test]
fn a_terminal_gets_only_what_it_understands() {
    let all = TerminalFeatures { title: true, progress: true, notify: true, bell: true };
    let bell = TerminalFeatures { bell: true, ..TerminalFeatures::NONE };
    for (term, program, expected) in [
        (Some("xterm-256color"), None, all),
        (Some("xterm-256color"), Some("iTerm.app"), TerminalFeatures { progress: false, ..all }),
        (Some("linux"), None, bell),
        (Some("dumb"), None, bell),
        (None, None, bell),
    ] {
        let variable = |name: &str| match name {
            "TERM" => term.map(str::to_owned),
            "TERM_PROGRAM" => program.map(str::to_owned),
            _ => None,
        };
        assert_eq!(all.supported(variable), expected, "{term:?} {program:?}");
        assert_eq!(TerminalFeatures::NONE.supported(variable), TerminalFeatures::NONE);
    }
}
