//! Several deployments of this console at the same time.

use crate::harness::{
    Harness, PLAIN, ago, answer, build_failure, building, name, noon, presence_message, report,
    report_message,
};
use crate::keys::keys;
use crossterm::event::KeyCode;
use homelab_deploy::client::{DeploymentSummary, HostResult, Plan, ResultKind};
use homelab_deploy::protocol::{DeployReport, ErrorCode, Id, Status};
use homelab_deploy::tui::{ConsoleEvent, Effect, Screen, SentDeploymentEvent, Tone};
use jiff::SignedDuration;
use std::sync::Arc;

/// Sends the default form for the hosts that a filter shows.
pub(crate) fn send(harness: &mut Harness, filter: &str) -> Plan {
    harness.effects();
    keys(harness, &format!("/{filter}\na^d"));
    harness.press(KeyCode::Enter);
    let sent = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    sent.unwrap_or_else(|| panic!("nothing was sent:\n{}", harness.text()))
}

pub(crate) fn end(
    harness: &mut Harness,
    plan: &Plan,
    results: Vec<(ResultKind, Option<DeployReport>, &str)>,
) {
    let hosts = results.into_iter().map(|(result, report, host)| HostResult {
        host: name(host),
        instance: None,
        result,
        last_seen: None,
        report: report.map(Arc::new),
    });
    let outcome = DeploymentSummary::new(plan.id.clone(), hosts.collect());
    harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), SentDeploymentEvent::Finished(outcome)));
}

fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    let hosts = ["app1", "app2", "app3", "app4", "app5", "app6", "web1"];
    harness.receive(ago(4), hosts.map(|host| presence_message(answer(host, "test", &host[..3]))));
    harness.apply(ConsoleEvent::Frame);
    harness
}

#[test]
fn two_simultaneous_results_are_both_shown() {
    let mut harness = harness();
    let (apps, web) = (send(&mut harness, "app1"), send(&mut harness, "web1"));
    end(&mut harness, &apps, vec![(ResultKind::Completed, None, "app1")]);
    end(&mut harness, &web, vec![(ResultKind::Silent, None, "web1")]);
    let (first, second) = ("switch main on app1: 1 completed", "switch main on web1: 1 silent (web1)");
    let text = harness.text();
    assert!(text.contains(first) && text.contains("1 more") && !text.contains(second), "{text}");
    // A notice in between removes neither result.
    keys(&mut harness, "c");
    assert!(harness.text().contains("no job runs on "), "{}", harness.text());
    keys(&mut harness, "^");
    assert!(harness.text().contains(first));
    let later = |harness: &mut Harness, seconds| {
        harness.clock(noon() + SignedDuration::from_secs(seconds));
        harness.text()
    };
    assert!(later(&mut harness, 4).contains(first));
    let text = later(&mut harness, 5);
    assert!(text.contains(second) && !text.contains("1 more"), "{text}");
    assert!(later(&mut harness, 17).contains(second), "a single notice is shown longer");
    assert!(!later(&mut harness, 18).contains(second));
}

#[test]
fn a_result_is_shown_on_the_host_screen_too() {
    let mut harness = harness();
    let plan = send(&mut harness, "app1");
    keys(&mut harness, "\n");
    end(&mut harness, &plan, vec![(ResultKind::Completed, None, "app1")]);
    assert!(harness.text().contains("switch main on app1: 1 completed"), "{}", harness.text());
}

#[test]
fn identical_failures_are_grouped() {
    let bad = |host: &str, package: &str| (ResultKind::Failed, Some(build_failure(host, "d", package)));
    for (results, expected) in [
        (vec![("app1", "foo-1.2")], "1 failed (app1)"),
        (vec![("app1", "foo-1.2"), ("app2", "bar-1.0")], "2 failed (app1, app2)"),
        (vec![("app1", "foo-1.2"), ("app2", "foo-1.2")], "2 failed (build of foo-1.2 failed)"),
        (
            vec![("app1", "foo-1.2"), ("app2", "foo-1.2"), ("app3", "bar-1.0")],
            "3 failed (2: build of foo-1.2 failed; app3)",
        ),
        (
            vec![("app1", "a"), ("app2", "a"), ("app3", "b"), ("app4", "b"), ("app5", "c"), ("app6", "c")],
            "6 failed (2: build of a failed; 2: build of b failed; app5, app6)",
        ),
    ] {
        let mut harness = harness();
        let plan = send(&mut harness, "app");
        let results = results.into_iter().map(|(host, package)| {
            let (result, report) = bad(host, package);
            (result, report, host)
        });
        end(&mut harness, &plan, results.collect());
        let text = harness.text();
        assert!(text.contains(&format!("switch main on 6 hosts: {expected} ")), "{expected}\n{text}");
    }
}

#[test]
fn a_cancel_is_not_counted_as_a_failure() {
    let cancelled = |host: &str| {
        let error = Some(ErrorCode::Cancelled);
        let report = DeployReport { error, ..report(host, "d", Status::Failed) };
        (ResultKind::Failed, Some(report), "")
    };
    let failed = |host: &str| (ResultKind::Failed, Some(build_failure(host, "d", "foo-1.2")), "");
    for (mut results, expected) in [
        (vec![cancelled("app1")], "on 6 hosts: 1 cancelled (app1) "),
        (vec![cancelled("app1"), failed("app2")], "on 6 hosts: 1 failed (app2), 1 cancelled (app1) "),
    ] {
        let mut harness = harness();
        let plan = send(&mut harness, "app");
        for ((_, report, host), name) in results.iter_mut().zip(["app1", "app2"]) {
            assert_eq!(report.as_ref().unwrap().hostname.as_str(), name);
            *host = name;
        }
        let is_warning = results.len() == 1;
        end(&mut harness, &plan, results);
        assert!(harness.text().contains(expected), "{expected}\n{}", harness.text());
        let tone = harness.app.notice.as_ref().unwrap().tone;
        assert_eq!(tone, if is_warning { Tone::Warn } else { Tone::Bad }, "{expected}");
    }
}

#[test]
fn replies_to_a_cancel_and_a_hold_say_what_happens() {
    for (typed, message, expected) in [
        ("c", "cancelling in build", "app1: cancelling in build "),
        (
            ":hold app1 disk\n",
            "held until `homelab-deploy release app1`",
            "app1: held until `:release app1` ",
        ),
    ] {
        let mut harness = harness();
        harness.receive(noon(), [report_message(building("app1", "d1"))]);
        harness.go_to("app1");
        harness.effects();
        keys(&mut harness, typed);
        if typed == "c" {
            keys(&mut harness, "y");
        }
        let plan = harness.effects().into_iter().find_map(|effect| match effect {
            Effect::Send(plan) => Some(*plan),
            _ => None,
        });
        let plan = plan.unwrap_or_else(|| panic!("nothing was sent:\n{}", harness.text()));
        let mut reply = report("app1", plan.id.as_str(), Status::Completed);
        message.clone_into(&mut reply.message);
        end(&mut harness, &plan, vec![(ResultKind::Completed, Some(reply), "app1")]);
        let text = harness.text();
        assert!(text.contains(&format!(" {expected}")) && !text.contains("completed"), "{text}");
    }
}

#[test]
fn the_header_counts_several_deployments() {
    let mut harness = harness();
    let counted = |harness: &mut Harness, now| {
        harness.clock(now);
        harness.text().lines().nth(1).unwrap().trim().to_owned()
    };
    let mut first = building("app1", "d1");
    first.heartbeat_s = Some(15);
    harness.receive(noon(), [report_message(first)]);
    assert_eq!(counted(&mut harness, noon()), "7 hosts  ░░░░░░░░░░░▒  ▶ 1 deploying  ● 7 online");
    // A deployment that was just sent, and then runs.
    let plan = send(&mut harness, "web1");
    let both = "7 hosts  ░░░░░░░░░░░▒  ▶ 1 deploying  ● 7 online";
    assert_eq!(counted(&mut harness, noon()), both);
    harness.receive(noon(), [report_message(building("web1", plan.id.as_str()))]);
    assert_eq!(counted(&mut harness, noon()), both.replace("░░▒  ▶ 1", "▒▒▒  ▶ 2"));
    harness.receive(noon(), [report_message(report("web1", plan.id.as_str(), Status::Completed))]);
    assert_eq!(counted(&mut harness, noon()), "7 hosts  ░░░░░░░░░░░▒  ▶ 1 deploying  ● 7 online");
    // A cancel is not a deployment, and a deployment whose hosts are lost is not running.
    let mut cancel = report("web1", "c1", Status::Running);
    cancel.action = Some(homelab_deploy::protocol::Action::Cancel);
    harness.receive(noon(), [report_message(cancel), report_message(building("app2", "d2"))]);
    counted(&mut harness, noon());
    assert!(harness.text().contains("rollouts 2 running"), "{}", harness.text());
    counted(&mut harness, noon() + SignedDuration::from_secs(46));
    assert!(!harness.text().contains("rollouts"), "{}", harness.text());
}

#[test]
fn progress_is_shown_below_the_table() {
    let mut harness = harness();
    let plan = send(&mut harness, "app");
    let id = plan.id.as_str();
    assert!(harness.text().contains("sending switch of main to 6 hosts"), "{}", harness.text());
    let shows = |harness: &mut Harness, expected: &str| {
        let text = harness.text();
        assert!(text.contains(&format!(" switch main on 6 hosts: {expected} ─")), "{expected}\n{text}");
        assert!(!text.contains("sending "), "{text}");
    };
    harness.receive(noon(), [report_message(building("app1", id))]);
    shows(&mut harness, "0 of 6 done");
    harness.receive(noon(), [report_message(report("app2", id, Status::Completed))]);
    shows(&mut harness, "1 of 6 done");
    let mut refused = report("app3", id, Status::Rejected);
    refused.error = Some(ErrorCode::Held);
    harness.receive(noon(), [report_message(refused), report_message(build_failure("app4", id, "foo-1.2"))]);
    shows(&mut harness, "3 of 6 done, 1 failed, 1 rejected");
    // Another notice appears and expires, and the progress stays.
    keys(&mut harness, "y");
    assert!(harness.text().contains("copied "), "{}", harness.text());
    harness.clock(noon() + SignedDuration::from_secs(13));
    shows(&mut harness, "3 of 6 done, 1 failed, 1 rejected");
    let done =
        ["app1", "app2", "app3", "app4", "app5", "app6"].map(|host| (ResultKind::Completed, None, host));
    end(&mut harness, &plan, done.into());
    assert!(harness.text().contains(" switch main on 6 hosts: 6 completed ─"), "{}", harness.text());

    // The progress of a single host is visible in its row.
    let plan = send(&mut harness, "web1");
    harness.receive(harness.app.now, [report_message(building("web1", plan.id.as_str()))]);
    assert!(!harness.text().contains(" of 1 done"), "{}", harness.text());
}

/// The state of each host on the deployment screen.
fn states(harness: &mut Harness) -> Vec<String> {
    let text = harness.text();
    let rows = text.lines().skip_while(|line| !line.contains(" HOST ")).skip(1);
    let rows = rows.take_while(|line| !line.starts_with('└'));
    let words =
        rows.map(|row| row.replace(['│', '▸'], "").split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    words.filter(|row| !row.is_empty()).collect()
}

#[test]
fn hosts_without_an_answer_are_waiting_and_then_no_answer() {
    let mut harness = harness();
    let plan = send(&mut harness, "app");
    keys(&mut harness, "^v");
    let text = harness.text();
    assert!(text.contains("· 6 waiting") && text.contains("1 running, 1 known"), "{text}");
    keys(&mut harness, "\n");
    assert_eq!(states(&mut harness)[0], "app1 · waiting");
    assert!(harness.text().contains("no answer yet; last seen 4 s ago"));
    harness.receive(noon(), [report_message(report("app3", plan.id.as_str(), Status::Completed))]);
    assert_eq!(states(&mut harness)[4..], ["app6 · waiting", "app3 ✓ completed"]);
    harness.clock(noon() + SignedDuration::from_secs(61));
    assert_eq!(states(&mut harness)[0], "app1 ○ no", "a request expires");
    harness.clock(noon());
    end(&mut harness, &plan, vec![]);
    assert_eq!(states(&mut harness)[0], "app1 ○ no", "timed out");
    let text = harness.text();
    assert!(text.contains("✓ 1 done  ○ 5 no answer") && text.contains("did not answer"), "{text}");
}

#[test]
fn a_failed_send_is_shown_on_its_screen() {
    let mut harness = harness();
    let plan = send(&mut harness, "web1");
    harness.apply(ConsoleEvent::SentDeployment(
        plan.id,
        SentDeploymentEvent::Failed("the server refused deploy.test.web1".to_owned()),
    ));
    harness.press(KeyCode::Esc);
    keys(&mut harness, "v\n");
    let text = harness.text();
    assert!(text.contains("│ the server refused deploy.test.web1"), "{text}");
    assert_eq!(states(&mut harness), ["web1 ○ no"]);
}

#[test]
fn a_resend_for_a_wrong_clock_stays_one_host_of_one_deployment() {
    let mut harness = harness();
    let plan = send(&mut harness, "app1");
    let mut expired = report("app1", plan.id.as_str(), Status::Rejected);
    expired.error = Some(ErrorCode::Expired);
    harness.receive(noon(), [report_message(expired)]);
    let note = "the clock of app1 is 9 h ahead of ours; sent again with an expiry by its clock".to_owned();
    let again = SentDeploymentEvent::Resent(name("app1"), Id::new("again").unwrap(), note.clone());
    harness.apply(ConsoleEvent::SentDeployment(plan.id.clone(), again));
    harness.receive(noon(), [report_message(building("app1", "again"))]);
    assert!(harness.text().contains(&note));
    keys(&mut harness, "v");
    harness.apply(ConsoleEvent::Frame);
    let Some(Screen::Deployments(screen)) = harness.app.screens.last() else { panic!() };
    assert_eq!(screen.cursor.rows(), [plan.id]);
    assert!(harness.text().contains("▶ 1 running"), "{}", harness.text());
    keys(&mut harness, "\n");
    assert_eq!(states(&mut harness), ["app1 ▶ build"]);
    keys(&mut harness, "C");
    assert!(harness.text().contains("Cancel switch main on app1?"));
}

#[test]
fn the_rejection_of_a_request_that_was_sent_again_is_no_cause() {
    let mut harness = harness();
    let plan = send(&mut harness, "app1");
    let mut expired = report("app1", plan.id.as_str(), Status::Rejected);
    (expired.error, expired.message) = (Some(ErrorCode::Expired), "the request has expired".to_owned());
    harness.receive(noon(), [report_message(expired)]);
    keys(&mut harness, "v\n");
    let cause = "app1: expired: the request has expired";
    assert!(harness.text().contains(cause), "{}", harness.text());
    let again = SentDeploymentEvent::Resent(name("app1"), Id::new("again").unwrap(), "sent again".to_owned());
    harness.apply(ConsoleEvent::SentDeployment(plan.id, again));
    assert!(harness.text().contains(cause), "{}", harness.text());
    harness.receive(noon(), [report_message(building("app1", "again"))]);
    assert!(!harness.text().contains(cause), "{}", harness.text());
}
