//! Keys on the screen of all deployments, and on that of one.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, answer, building, name, noon, present, rollout, said, unbuilt};
use homelab_deploy::protocol::Action;
use homelab_deploy::tui::{Context, Effect, Event, Overlay, Screen};

/// Two deployments that run and two that are past.
fn stage() -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    rollout(&mut stage);
    stage.tell(Event::Frame);
    stage.effects();
    stage
}

/// The context, and what is selected on the screen.
fn place(stage: &mut Stage) -> (Context, String) {
    stage.tell(Event::Frame);
    let selected = match stage.app.screens.last() {
        Some(Screen::Deployments(screen)) => screen.cursor.selected().map(ToString::to_string),
        Some(Screen::Deployment(screen)) => screen.cursor.selected().map(|(host, _)| host.to_string()),
        _ => stage.app.host().map(|host| host.name.to_string()),
    };
    (stage.app.context(), selected.unwrap_or_default())
}

#[test]
fn keys_on_the_deployments_and_in_one() {
    use Context::{Deployment, Deployments, Fleet, Help, Host, Question};
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
        ("vjc", Question, "d9"),
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
        // From a host, at the deployment of its job.
        ("/web1\n\nv", Deployments, "d1"),
        ("/web1\n\nv\n\nv", Deployments, "d1"),
        ("/web10\n\nv", Deployments, "d2"),
    ] {
        let mut stage = stage();
        keys(&mut stage, typed);
        assert_eq!(place(&mut stage), (context, selected.to_owned()), "{typed:?}\n{}", stage.text());
    }
}

#[test]
fn the_selection_follows_the_deployment_and_the_host() {
    let mut stage = stage();
    keys(&mut stage, "vj");
    stage.hear(noon(), [said(building("web1", "e1"))]);
    assert_eq!(place(&mut stage), (Context::Deployments, "d9".to_owned()));
    // A key acts on what is selected, wherever that has moved meanwhile.
    stage.hear(noon(), [said(building("ns2", "e2"))]);
    keys(&mut stage, "\n");
    assert_eq!(place(&mut stage), (Context::Deployment, "app1".to_owned()));
    keys(&mut stage, "jjjjjjj");
    assert_eq!(place(&mut stage).1, "app7");
    stage.hear(noon(), [said(unbuilt("app7", "d9", "foo-1.2"))]);
    assert_eq!(place(&mut stage).1, "app7");
    let text = stage.text();
    assert!(text.contains("6 hosts: build of foo-1.2 failed"), "{text}");
    assert!(text.contains("─ app7 ✗ failed, 48.2 s ─"), "{text}");
}

/// What is sent by these keys: the action, the revision, and the hosts with the jobs that are meant.
fn sent(stage: &mut Stage, typed: &str) -> Option<(Action, String, String)> {
    stage.effects();
    keys(stage, typed);
    let effects = stage.effects();
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    })?;
    let parcels = plan.parcels.iter().flat_map(|parcel| {
        let job = parcel.job.as_ref().map(|job| format!(":{job}")).unwrap_or_default();
        parcel.hosts.keys().map(move |host| format!("{host}{job}"))
    });
    let revision = plan.intent.revision.as_ref().map(ToString::to_string).unwrap_or_default();
    Some((plan.intent.action.clone(), revision, parcels.collect::<Vec<_>>().join(" ")))
}

#[test]
fn cancelling_a_deployment_asks_for_exactly_what_still_runs_of_it() {
    let cancel = |hosts: &str| Some((Action::Cancel, String::new(), hosts.to_owned()));
    for (typed, cancelled) in [
        ("vjc\n", None),
        ("vjcn", None),
        ("vjcy", cancel("app7:d9")),
        ("vj\ncy", cancel("app7:d9")),
        ("vj\nc>\n", cancel("app7:d9")),
        ("vcy", cancel("ns1:d2")),
        ("vGcy", None),
    ] {
        assert_eq!(sent(&mut stage(), typed), cancelled, "{typed:?}");
    }
    // One has begun another job since, and one does not answer any more.
    let mut stage = stage();
    stage.hear(
        noon(),
        ["app9", "app10", "app11"].map(|host| {
            let mut report = building(host, "e1");
            report.seq = Some(1_500_000);
            said(report)
        }),
    );
    let mut next = building("app10", "e2");
    next.seq = Some(2_000_000);
    let mut bye = answer("app11", "test", "app");
    bye.online = Some(false);
    stage.hear(noon(), [said(next), present(bye)]);
    keys(&mut stage, "vjc");
    let text = stage.text();
    let words: Vec<_> = text.split_whitespace().filter(|word| *word != "│").collect();
    let text = words.join(" ");
    let question = "Cancel switch main on app9? What has begun to activate goes on. Not asked, for they are silent \
                    or at another job: app10, app11.";
    assert!(text.contains(question), "{text}");
    assert_eq!(sent(&mut stage, "y"), cancel("app9:e1"));
}

#[test]
fn what_did_not_complete_is_deployed_again_and_nothing_else() {
    let mut stage = stage();
    keys(&mut stage, "vj\nd");
    let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("no form:\n{}", stage.text()) };
    let missed = ["app1", "app2", "app3", "app4", "app5", "app6", "app8"];
    assert_eq!(form.chosen().hosts, missed.map(name));
    assert_eq!((form.choices.len(), form.revision.value()), (1, "release/2026-11"));
    let again = (Action::Switch, "release/2026-11".to_owned(), missed.join(" "));
    assert_eq!(sent(&mut stage, "\n\n\n\n>\n"), Some(again));
    // Where all have completed there is nothing to do.
    keys(&mut stage, "^Gk");
    keys(&mut stage, "G\nd");
    assert!(stage.app.overlay.is_none());
    let text = stage.text();
    assert!(text.contains("every host of this deployment has completed or is still at work"), "{text}");
}

#[test]
fn the_action_is_that_of_the_deployment() {
    let mut stage = stage();
    let mut tried = unbuilt("web1", "t1", "foo-1.2");
    tried.action = Some(Action::DryActivate);
    stage.hear(noon(), [said(tried)]);
    keys(&mut stage, "vjj\nd");
    assert_eq!(
        sent(&mut stage, "\n\n\n>\n"),
        Some((Action::DryActivate, "main".to_owned(), "web1".to_owned())),
        "{}",
        stage.text()
    );
}

#[test]
fn what_may_only_look_has_no_keys_that_change_something() {
    let mut stage = stage();
    stage.app.options.read_only = true;
    for typed in ["vj", "c", "\n", "c", "d"] {
        keys(&mut stage, typed);
        assert!(stage.app.overlay.is_none(), "{typed}");
    }
    let text = stage.text();
    assert!(!text.contains("c cancel") && !text.contains("d deploy"), "{text}");
}
