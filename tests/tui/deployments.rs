//! Keys on the screens of all deployments and of one deployment.

use crate::harness::{
    Harness, PLAIN, answer, build_failure, building, name, noon, presence_message, report_message, rollout,
};
use crate::keys::keys;
use homelab_deploy::protocol::Action;
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, Overlay, Screen};

/// Two running and two past deployments.
fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    rollout(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    harness
}

/// The context, and the selected item of the screen.
fn place(harness: &mut Harness) -> (Context, String) {
    harness.apply(ConsoleEvent::Frame);
    let selected = match harness.app.screens.last() {
        Some(Screen::Deployments(screen)) => screen.cursor.selected().map(ToString::to_string),
        Some(Screen::Deployment(screen)) => screen.cursor.selected().map(|(host, _)| host.to_string()),
        _ => harness.app.host().map(|host| host.name.to_string()),
    };
    (harness.app.context(), selected.unwrap_or_default())
}

#[test]
fn keys_on_the_deployments_and_in_one() {
    use Context::{Confirm, Deployment, Deployments, Fleet, Help, Host};
    for (typed, context, selected) in [
        ("v", Deployments, "d2"),
        ("vj", Deployments, "d9"),
        ("vjjj", Deployments, "d0"),
        ("vjjjjjj", Deployments, "d0"),
        ("vGk", Deployments, "d1"),
        ("vGg", Deployments, "d2"),
        ("v?", Help, "d2"),
        ("v^", Fleet, "app1"),
        ("vq", Fleet, "app1"),
        ("vxyzd s", Deployments, "d2"),
        ("vjC", Confirm, "d9"),
        ("vj\n", Deployment, "app1"),
        ("vj\nj", Deployment, "app2"),
        ("vj\njjjjj", Deployment, "app6"),
        ("vj\njjjjjj", Deployment, "app8"),
        ("vj\njjjjjjj", Deployment, "app7"),
        ("vj\nG", Deployment, "app12"),
        ("vj\nGgJJK", Deployment, "app1"),
        ("vj\n^", Deployments, "d9"),
        ("vj\n^^", Fleet, "app1"),
        ("vj\nj\n", Host, "app2"),
        ("vj\nj\n^", Deployment, "app2"),
        // From a host screen, the deployment of its job is selected.
        ("/web1\n\nv", Deployments, "d1"),
        ("/web1\n\nv\n\nv", Deployments, "d1"),
        ("/web10\n\nv", Deployments, "d2"),
    ] {
        let mut harness = harness();
        keys(&mut harness, typed);
        assert_eq!(place(&mut harness), (context, selected.to_owned()), "{typed:?}\n{}", harness.text());
    }
}

#[test]
fn the_selection_follows_the_deployment_and_the_host() {
    let mut harness = harness();
    keys(&mut harness, "vj");
    harness.receive(noon(), [report_message(building("web1", "e1"))]);
    assert_eq!(place(&mut harness), (Context::Deployments, "d9".to_owned()));
    // A key acts on the selected item, even if it has moved in the meantime.
    harness.receive(noon(), [report_message(building("ns2", "e2"))]);
    keys(&mut harness, "\n");
    assert_eq!(place(&mut harness), (Context::Deployment, "app1".to_owned()));
    keys(&mut harness, "jjjjjjj");
    assert_eq!(place(&mut harness).1, "app7");
    harness.receive(noon(), [report_message(build_failure("app7", "d9", "foo-1.2"))]);
    assert_eq!(place(&mut harness).1, "app7");
    let text = harness.text();
    assert!(text.contains("6 hosts: build of foo-1.2 failed"), "{text}");
    assert!(text.contains("─ app7 ✗ failed, 48.2 s ─"), "{text}");
}

/// What these keys send: the action, the revision, and the hosts with the targeted jobs.
fn sent(harness: &mut Harness, typed: &str) -> Option<(Action, String, String)> {
    harness.effects();
    keys(harness, typed);
    let effects = harness.effects();
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    })?;
    let requests = plan.requests.iter().flat_map(|request| {
        let job = request.job.as_ref().map(|job| format!(":{job}")).unwrap_or_default();
        request.hosts.keys().map(move |host| format!("{host}{job}"))
    });
    let revision = plan.intent.revision.as_ref().map(ToString::to_string).unwrap_or_default();
    Some((plan.intent.action.clone(), revision, requests.collect::<Vec<_>>().join(" ")))
}

#[test]
fn cancelling_a_deployment_targets_only_its_running_jobs() {
    let cancel = |hosts: &str| Some((Action::Cancel, String::new(), hosts.to_owned()));
    for (typed, cancelled) in [
        ("vjC\n", None),
        ("vjCn", None),
        ("vjCy", cancel("app7:d9")),
        ("vj\nCy", cancel("app7:d9")),
        ("vj\nC>\n", cancel("app7:d9")),
        ("vCy", cancel("ns1:d2")),
        ("vGCy", None),
    ] {
        assert_eq!(sent(&mut harness(), typed), cancelled, "{typed:?}");
    }
    // One host has started another job, and one is offline.
    let mut harness = harness();
    harness.receive(
        noon(),
        ["app9", "app10", "app11"].map(|host| {
            let mut report = building(host, "e1");
            report.seq = Some(1_500_000);
            report_message(report)
        }),
    );
    let mut next = building("app10", "e2");
    next.seq = Some(2_000_000);
    let mut bye = answer("app11", "test", "app");
    bye.online = Some(false);
    harness.receive(noon(), [report_message(next), presence_message(bye)]);
    keys(&mut harness, "vjC");
    let text = harness.text();
    let words: Vec<_> = text.split_whitespace().filter(|word| *word != "│").collect();
    let text = words.join(" ");
    let question = "Cancel switch main on app9? Jobs that have started to activate continue. Not included, \
                    because they do not answer or run another job: app10, app11.";
    assert!(text.contains(question), "{text}");
    assert_eq!(sent(&mut harness, "y"), cancel("app9:e1"));
}

#[test]
fn only_incomplete_hosts_are_deployed_again() {
    let mut harness = harness();
    keys(&mut harness, "vj\nd");
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form:\n{}", harness.text()) };
    let missed = ["app1", "app2", "app3", "app4", "app5", "app6", "app8"];
    assert_eq!(form.selected_choice().hosts, missed.map(name));
    assert_eq!((form.choices.len(), form.revision.value()), (1, "release/2026-11"));
    let again = (Action::Switch, "release/2026-11".to_owned(), missed.join(" "));
    assert_eq!(sent(&mut harness, "\n"), Some(again));
    // If all hosts have completed, nothing can be deployed again.
    keys(&mut harness, "^");
    assert_eq!(place(&mut harness).0, Context::Deployment);
    keys(&mut harness, "^G\nd");
    assert!(harness.app.overlay.is_none());
    let text = harness.text();
    assert!(text.contains("every host of this deployment has completed or is still running"), "{text}");
}

#[test]
fn the_action_is_that_of_the_deployment() {
    let mut harness = harness();
    let mut tried = build_failure("web1", "t1", "foo-1.2");
    tried.action = Some(Action::DryActivate);
    harness.receive(noon(), [report_message(tried)]);
    keys(&mut harness, "vjj\nd");
    assert_eq!(
        sent(&mut harness, "\n"),
        Some((Action::DryActivate, "main".to_owned(), "web1".to_owned())),
        "{}",
        harness.text()
    );
}

#[test]
fn a_read_only_console_has_no_keys_that_change_something() {
    let mut harness = harness();
    harness.app.options.read_only = true;
    for typed in ["vj", "c", "\n", "c", "d"] {
        keys(&mut harness, typed);
        assert!(harness.app.overlay.is_none(), "{typed}");
    }
    let text = harness.text();
    assert!(!text.contains("c cancel") && !text.contains("d deploy"), "{text}");
}

#[test]
fn the_selection_of_a_deployment_stays_on_the_worst_host_until_it_is_moved() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(noon(), ["app1", "app2"].map(|host| presence_message(answer(host, "test", "app"))));
    harness.receive(noon(), ["app1", "app2"].map(|host| report_message(building(host, "d9"))));
    keys(&mut harness, "v\n");
    assert_eq!(place(&mut harness), (Context::Deployment, "app1".to_owned()));
    let mut broken = build_failure("app2", "d9", "foo-1.2");
    broken.seq = Some(9_000_000);
    harness.receive(noon(), [report_message(broken)]);
    assert_eq!(place(&mut harness), (Context::Deployment, "app2".to_owned()));
    assert!(harness.text().contains("─ app2 ✗ failed"), "{}", harness.text());
    // A selection of the operator stays on its host.
    keys(&mut harness, "j");
    let mut done = crate::harness::report("app1", "d9", homelab_deploy::protocol::Status::Completed);
    done.seq = Some(9_000_000);
    harness.receive(noon(), [report_message(done)]);
    assert_eq!(place(&mut harness), (Context::Deployment, "app1".to_owned()));
}
