//! Several deployments of our own at once: what becomes of each.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, ago, answer, building, name, noon, present, report, said, unbuilt};
use crossterm::event::KeyCode;
use homelab_deploy::deployer::{HostResult, Outcome, Plan, Verdict};
use homelab_deploy::protocol::{DeployReport, ErrorCode, Id, Status};
use homelab_deploy::tui::{Effect, Event, Field, OrderNews, Overlay, Screen};
use jiff::SignedDuration;
use std::sync::Arc;

/// Sends what the form offers first for the hosts that a filter shows.
pub(crate) fn send(stage: &mut Stage, filter: &str) -> Plan {
    stage.effects();
    keys(stage, &format!("/{filter}\na^d"));
    while let Some(Overlay::Form(form)) = &stage.app.overlay
        && form.field != Field::Cancel
    {
        stage.press(KeyCode::Enter);
    }
    keys(stage, ">\n");
    let sent = stage.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(*plan),
        _ => None,
    });
    sent.unwrap_or_else(|| panic!("nothing was sent:\n{}", stage.text()))
}

pub(crate) fn end(stage: &mut Stage, plan: &Plan, results: Vec<(Verdict, Option<DeployReport>, &str)>) {
    let hosts = results.into_iter().map(|(verdict, report, host)| HostResult {
        host: name(host),
        instance: None,
        verdict,
        seen: None,
        report: report.map(Arc::new),
    });
    let outcome = Outcome::new(plan.id.clone(), hosts.collect());
    stage.tell(Event::Order(plan.id.clone(), OrderNews::Ended(outcome)));
}

fn stage() -> Stage {
    let mut stage = Stage::new(120, 40, PLAIN);
    let hosts = ["app1", "app2", "app3", "app4", "app5", "app6", "web1"];
    stage.hear(ago(4), hosts.map(|host| present(answer(host, "test", &host[..3]))));
    stage.tell(Event::Frame);
    stage
}

#[test]
fn two_that_end_at_the_same_time_are_both_told() {
    let mut stage = stage();
    let (apps, web) = (send(&mut stage, "app1"), send(&mut stage, "web1"));
    end(&mut stage, &apps, vec![(Verdict::Completed, None, "app1")]);
    end(&mut stage, &web, vec![(Verdict::Silent, None, "web1")]);
    let (first, second) = ("switch main on app1: 1 completed", "switch main on web1: 1 silent (web1)");
    let text = stage.text();
    assert!(text.contains(first) && text.contains("1 more") && !text.contains(second), "{text}");
    // What comes between takes neither away.
    keys(&mut stage, "c");
    assert!(stage.text().contains("no job runs on "), "{}", stage.text());
    keys(&mut stage, "^");
    assert!(stage.text().contains(first));
    let later = |stage: &mut Stage, seconds| {
        stage.clock(noon() + SignedDuration::from_secs(seconds));
        stage.text()
    };
    assert!(later(&mut stage, 4).contains(first));
    let text = later(&mut stage, 5);
    assert!(text.contains(second) && !text.contains("1 more"), "{text}");
    assert!(later(&mut stage, 17).contains(second), "alone it stands longer");
    assert!(!later(&mut stage, 18).contains(second));
}

#[test]
fn an_end_is_told_on_the_screen_of_a_host_too() {
    let mut stage = stage();
    let plan = send(&mut stage, "app1");
    keys(&mut stage, "\n");
    end(&mut stage, &plan, vec![(Verdict::Completed, None, "app1")]);
    assert!(stage.text().contains("switch main on app1: 1 completed"), "{}", stage.text());
}

#[test]
fn what_failed_alike_is_told_once() {
    let bad = |host: &str, package: &str| (Verdict::Failed, Some(unbuilt(host, "d", package)));
    for (results, told) in [
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
        let mut stage = stage();
        let plan = send(&mut stage, "app");
        let results = results.into_iter().map(|(host, package)| {
            let (verdict, report) = bad(host, package);
            (verdict, report, host)
        });
        end(&mut stage, &plan, results.collect());
        let text = stage.text();
        assert!(text.contains(&format!("switch main on 6 hosts: {told} ")), "{told}\n{text}");
    }
}

#[test]
fn the_header_tells_of_more_than_one() {
    let mut stage = stage();
    let counted = |stage: &mut Stage, now| {
        stage.clock(now);
        stage.text().lines().nth(1).unwrap().trim().to_owned()
    };
    let mut first = building("app1", "d1");
    first.heartbeat_s = Some(15);
    stage.hear(noon(), [said(first)]);
    assert_eq!(counted(&mut stage, noon()), "7 hosts  ● 7 online  ▶ 1 deploying");
    // Another that was only just sent, and then runs.
    let plan = send(&mut stage, "web1");
    let both = "7 hosts  2 deployments  ● 7 online  ▶ 1 deploying";
    assert_eq!(counted(&mut stage, noon()), both);
    stage.hear(noon(), [said(building("web1", plan.id.as_str()))]);
    assert_eq!(counted(&mut stage, noon()), both.replace("1 deploying", "2 deploying"));
    stage.hear(noon(), [said(report("web1", plan.id.as_str(), Status::Completed))]);
    assert_eq!(counted(&mut stage, noon()), "7 hosts  ● 7 online  ▶ 1 deploying");
    // A cancel is no deployment, and one whose hosts are lost does not run.
    let mut cancel = report("web1", "c1", Status::Running);
    cancel.action = Some(homelab_deploy::protocol::Action::Cancel);
    stage.hear(noon(), [said(cancel), said(building("app2", "d2"))]);
    assert!(counted(&mut stage, noon()).contains("2 deployments"));
    assert!(!counted(&mut stage, noon() + SignedDuration::from_secs(46)).contains("deployments"));
}

#[test]
fn how_far_a_deployment_is_stands_below_the_table() {
    let mut stage = stage();
    let plan = send(&mut stage, "app");
    let id = plan.id.as_str();
    assert!(stage.text().contains("sending switch of main to 6 hosts"), "{}", stage.text());
    let told = |stage: &mut Stage, expected: &str| {
        let text = stage.text();
        assert!(text.contains(&format!(" switch main on 6 hosts: {expected} ─")), "{expected}\n{text}");
        assert!(!text.contains("sending "), "{text}");
    };
    stage.hear(noon(), [said(building("app1", id))]);
    told(&mut stage, "0 of 6 done");
    stage.hear(noon(), [said(report("app2", id, Status::Completed))]);
    told(&mut stage, "1 of 6 done");
    let mut refused = report("app3", id, Status::Rejected);
    refused.error = Some(ErrorCode::Held);
    stage.hear(noon(), [said(refused), said(unbuilt("app4", id, "foo-1.2"))]);
    told(&mut stage, "3 of 6 done, 1 failed, 1 rejected");
    // What is said meanwhile goes again, and this stays.
    keys(&mut stage, "y");
    assert!(stage.text().contains("copied "), "{}", stage.text());
    stage.clock(noon() + SignedDuration::from_secs(13));
    told(&mut stage, "3 of 6 done, 1 failed, 1 rejected");
    let done = ["app1", "app2", "app3", "app4", "app5", "app6"].map(|host| (Verdict::Completed, None, host));
    end(&mut stage, &plan, done.into());
    assert!(stage.text().contains(" switch main on 6 hosts: 6 completed ─"), "{}", stage.text());

    // Of one host the row tells.
    let plan = send(&mut stage, "web1");
    stage.hear(stage.app.now, [said(building("web1", plan.id.as_str()))]);
    assert!(!stage.text().contains(" of 1 done"), "{}", stage.text());
}

/// The state of each host on the screen of a deployment.
fn states(stage: &mut Stage) -> Vec<String> {
    let text = stage.text();
    let rows = text.lines().skip_while(|line| !line.contains(" HOST ")).skip(1);
    let rows = rows.take_while(|line| !line.starts_with('└'));
    let words =
        rows.map(|row| row.replace(['│', '▸'], "").split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    words.filter(|row| !row.is_empty()).collect()
}

#[test]
fn hosts_that_never_answer_are_first_waited_for_and_then_silent() {
    let mut stage = stage();
    let plan = send(&mut stage, "app");
    keys(&mut stage, "v");
    let text = stage.text();
    assert!(text.contains("· 6 waiting") && text.contains("1 running, 1 known"), "{text}");
    keys(&mut stage, "\n");
    assert_eq!(states(&mut stage)[0], "app1 · waiting");
    assert!(stage.text().contains("not answered yet; last heard of 4 s ago"));
    stage.hear(noon(), [said(report("app3", plan.id.as_str(), Status::Completed))]);
    assert_eq!(states(&mut stage)[4..], ["app6 · waiting", "app3 ✓ completed"]);
    stage.clock(noon() + SignedDuration::from_secs(61));
    assert_eq!(states(&mut stage)[0], "app1 ○ silent", "a request expires");
    stage.clock(noon());
    end(&mut stage, &plan, vec![]);
    assert_eq!(states(&mut stage)[0], "app1 ○ silent", "given up");
    let text = stage.text();
    assert!(text.contains("✓ 1 done  ○ 5 silent") && text.contains("never answered"), "{text}");
}

#[test]
fn what_was_not_sent_says_so_on_its_screen() {
    let mut stage = stage();
    let plan = send(&mut stage, "web1");
    stage.tell(Event::Order(plan.id, OrderNews::Failed("the server refused deploy.test.web1".to_owned())));
    stage.press(KeyCode::Esc);
    keys(&mut stage, "v\n");
    let text = stage.text();
    assert!(text.contains("│ the server refused deploy.test.web1"), "{text}");
    assert_eq!(states(&mut stage), ["web1 ○ silent"]);
}

#[test]
fn a_host_that_got_it_once_more_for_its_clock_is_one_host_of_one_deployment() {
    let mut stage = stage();
    let plan = send(&mut stage, "app1");
    let mut expired = report("app1", plan.id.as_str(), Status::Rejected);
    expired.error = Some(ErrorCode::Expired);
    stage.hear(noon(), [said(expired)]);
    let note = "the clock of app1 is 9 h ahead of ours; sent again by its clock".to_owned();
    let again = OrderNews::Again(name("app1"), Id::new("again").unwrap(), note.clone());
    stage.tell(Event::Order(plan.id.clone(), again));
    stage.hear(noon(), [said(building("app1", "again"))]);
    assert!(stage.text().contains(&note));
    keys(&mut stage, "v");
    stage.tell(Event::Frame);
    let Some(Screen::Deployments(screen)) = stage.app.screens.last() else { panic!() };
    assert_eq!(screen.cursor.rows(), [plan.id]);
    assert!(stage.text().contains("▶ 1 running"), "{}", stage.text());
    keys(&mut stage, "\n");
    assert_eq!(states(&mut stage), ["app1 ▶ build"]);
    keys(&mut stage, "c");
    assert!(stage.text().contains("Cancel switch main on app1?"));
}
