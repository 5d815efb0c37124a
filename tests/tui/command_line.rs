//! The command line: what can be said, how it is completed, and what it refuses.

use crate::stage::{COLOUR, PLAIN, Stage, name};
use crossterm::event::KeyCode;
use homelab_deploy::protocol::Action;
use homelab_deploy::tui::{Context, Effect, Overlay, Purpose, Screen};

/// A console whose command line holds this.
fn typed(text: &str) -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.text();
    stage.effects();
    stage.types(":");
    stage.types(text);
    stage
}

/// Says a line.
fn said(text: &str) -> Stage {
    let mut stage = typed(text);
    stage.press(KeyCode::Enter);
    stage
}

fn line(stage: &Stage) -> String {
    match &stage.app.overlay {
        Some(Overlay::Command(line)) => line.input.value().to_owned(),
        other => panic!("no command line but {other:?}"),
    }
}

/// What the form is about.
fn form(stage: &Stage) -> (Purpose, String, Vec<String>, String) {
    let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("{:?}", stage.app.overlay) };
    let hosts = form.chosen().hosts.iter().map(ToString::to_string).collect();
    (form.purpose, form.chosen().label.clone(), hosts, form.revision.value().to_owned())
}

#[test]
fn pictures() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        for (what, text) in [("begun", "deploy role=dns tier=p"), ("refused", "depoly web1\n")] {
            let mut stage = Stage::fleet(width, height, COLOUR);
            stage.types(":");
            text.chars().for_each(|c| {
                if c == '\n' {
                    stage.press(KeyCode::Enter);
                } else {
                    stage.press(KeyCode::Char(c));
                }
            });
            insta::assert_debug_snapshot!(format!("command-{what}-{width}x{height}"), stage.draw());
        }
    }
}

#[test]
fn forms_open_for_exactly_the_hosts_that_are_named() {
    let stage = said("deploy role=dns branch=testing action=boot");
    let hosts = vec!["ns1".to_owned(), "ns2".to_owned()];
    assert_eq!(form(&stage), (Purpose::Deploy, "role dns".to_owned(), hosts.clone(), "testing".to_owned()));
    let Some(Overlay::Form(open)) = &stage.app.overlay else { panic!() };
    assert_eq!(open.purpose.actions()[open.action].as_str(), "boot");
    assert_eq!(open.must_type, "prod", "what must be confirmed must be typed here too");
    let (purpose, _, hosts, revision) = form(&said("diff web1 ns1"));
    assert_eq!(
        (purpose, hosts.join(" "), revision),
        (Purpose::Diff, "ns1 web1".to_owned(), "main".to_owned())
    );
    let (purpose, _, hosts, _) = form(&said("rollback web1 generation=139"));
    assert_eq!((purpose, hosts.join(" ")), (Purpose::Rollback(Some(139)), "web1".to_owned()));
    let (purpose, label, hosts, _) = form(&said("reboot tier=test"));
    assert_eq!((purpose, label), (Purpose::Reboot, "tier test".to_owned()));
    assert_eq!(hosts.join(" "), "old1 web1 web9 web10");
    // Without a name it is about what a key would be about.
    let mut stage = said("mark role=dns");
    stage.types(":deploy");
    stage.press(KeyCode::Enter);
    let (_, label, hosts, _) = form(&stage);
    assert_eq!((label.as_str(), hosts.join(" ")), ("2 marked", "ns1 ns2".to_owned()));
}

#[test]
fn each_action_has_a_name() {
    assert_eq!(said("q").effects(), [Effect::Quit], "the start of a word is enough");
    assert_eq!(said("cancel ns1").app.context(), Context::Question);
    let stage = said("host ns2");
    assert!(matches!(stage.app.screens.last(), Some(Screen::Host(screen)) if screen.host == name("ns2")));
    let mut stage = said("log ns1");
    assert_eq!(stage.app.context(), Context::Log);
    stage.types(":hosts");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.app.context(), Context::Fleet);
    assert!(said("filter tier:test web").text().contains("/tier:test web"));
    assert!(said("sort state").text().contains("sort: state"));
    assert!(said("group").text().contains("tier prod, role db"));
    assert!(said("faults").text().contains("with faults"));
    assert!(said("wide").text().contains("BOOTED"));
    assert_eq!(said("deployments").app.context(), Context::Deployments);
    assert_eq!(said("help").app.context(), Context::Help);
    let mut stage = said("mark web1 tier=prod");
    assert_eq!(stage.app.table.marks.len(), 5);
    stage.types(":unmark");
    stage.press(KeyCode::Enter);
    assert!(stage.app.table.marks.is_empty());
    let mut stage = typed("context lab");
    stage.app.options.contexts = vec!["home".to_owned(), "lab".to_owned()];
    stage.press(KeyCode::Enter);
    assert_eq!(stage.effects(), [Effect::Switch("lab".to_owned())]);
}

/// The hosts of a plan that goes out at once, and why.
fn sent(text: &str) -> (Action, String, Option<String>) {
    let mut stage = said(text);
    let effects = stage.effects();
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan.clone()),
        _ => None,
    });
    let plan = plan.unwrap_or_else(|| panic!("nothing was sent: {}", stage.text()));
    let hosts: Vec<_> = plan.hosts().into_keys().map(ToString::to_string).collect();
    (plan.intent.action, hosts.join(" "), plan.intent.reason)
}

#[test]
fn a_hold_and_a_release_go_out_without_a_form() {
    let why = Some("the disk is being replaced".to_owned());
    assert_eq!(sent("hold ns1  the disk is  being replaced"), (Action::Hold, "ns1".to_owned(), why));
    assert_eq!(sent("release db1"), (Action::Release, "db1".to_owned(), None));
    assert_eq!(sent("release role=dns"), (Action::Release, "ns1 ns2".to_owned(), None));
    let mut stage = typed("hold ns1 why");
    stage.app.link.up = false;
    stage.press(KeyCode::Enter);
    assert!(stage.text().contains("; nothing was sent"), "{}", stage.text());
    let mut stage = typed("release db1");
    stage.app.options.read_only = true;
    stage.press(KeyCode::Enter);
    assert!(stage.text().contains("this console may only look; release would do something on a host"));
}

#[test]
fn what_is_wrong_is_told_and_the_line_stays() {
    for (text, why) in [
        ("depoly web1", "no command \"depoly\"; did you mean deploy?"),
        ("h", "h may be hold or hosts or host or history or help"),
        ("deploy wbe1", "no host \"wbe1\"; did you mean web1"),
        ("deploy role=dsn", "no host is of role dsn"),
        ("deploy brnach=x", "no key \"brnach=\"; did you mean branch=, batch=?"),
        ("deploy action=swich", "no action \"swich\"; did you mean switch?"),
        ("deploy a.b", "\"a.b\": "),
        ("rollback generation=x", "\"x\" is no number of a generation"),
        ("reboot branch=x", "no key \"branch=\""),
        ("sort colour", "no column \"colour\""),
        ("sort", "sort takes a column"),
        ("sort host tier", "sort takes a column and nothing more: \"tier\""),
        ("quit now", "quit takes nothing more: \"now\""),
        ("filter seen>x", "\"seen>x\" is no age"),
        ("hold", "hold takes a host and then why"),
        ("hold wbe1 because", "no host \"wbe1\"; did you mean web1"),
        ("hold web1", "a hold must say why: the reason is empty"),
        ("release generation=1", "no key \"generation=\""),
        ("log db1", "db1 has no job whose log could be read"),
        ("context lab", "no context can be gone to"),
        ("cancel db1", ""),
    ] {
        let mut stage = said(text);
        if why.is_empty() {
            assert!(
                stage.text().contains("nothing runs on db1") || stage.text().contains("no job"),
                "{}",
                stage.text()
            );
            continue;
        }
        let shown = stage.text();
        assert!(shown.contains(why), "{text}: no {why:?} in\n{shown}");
        assert_eq!(line(&stage), text);
        assert_eq!(stage.effects().iter().filter(|effect| !matches!(effect, Effect::Log(_))).count(), 0);
        stage.press(KeyCode::Backspace);
        assert!(!stage.text().contains(why), "{text}");
        stage.press(KeyCode::Esc);
        assert_eq!(stage.app.context(), Context::Fleet);
    }
    let mut stage = typed("deploy web1");
    stage.app.options.read_only = true;
    stage.press(KeyCode::Enter);
    assert!(stage.text().contains("this console may only look; deploy would do something on a host"));
}

#[test]
fn tab_completes() {
    for (text, whole) in [
        ("dep", "deploy"),
        ("d", "d"),
        ("di", "diff "),
        ("deploy ro", "deploy role="),
        ("deploy role=d", "deploy role=d"),
        ("deploy role=dn", "deploy role=dns "),
        ("deploy w", "deploy web"),
        ("deploy web1", "deploy web10 "),
        ("deploy branch=ma", "deploy branch=main "),
        ("deploy action=dry", "deploy action=dry-activate "),
        ("hol", "hold "),
        ("hold db", "hold db1 "),
        ("hold web1 db", "hold web1 db"),
        ("rel", "release "),
        ("release role=dn", "release role=dns "),
        ("host ns", "host ns"),
        ("sort st", "sort state "),
        ("nothing ", "nothing "),
        ("deploy x", "deploy x"),
        ("", ""),
    ] {
        let mut stage = typed(text);
        stage.press(KeyCode::Tab);
        assert_eq!(line(&stage), whole, "{text:?}");
    }
    let mut stage = typed("h");
    let text = stage.text();
    for candidate in ["hold", "hosts", "host", "history", "help"] {
        assert!(text.contains(candidate), "no {candidate} in\n{text}");
    }
    // In the middle of a line the word before the cursor.
    let mut stage = typed("dep web1");
    (0..5).for_each(|_| stage.press(KeyCode::Left));
    stage.press(KeyCode::Tab);
    assert_eq!(line(&stage), "deploy web1");
    let mut stage = typed("re");
    stage.app.options.read_only = true;
    stage.press(KeyCode::Tab);
    assert_eq!(line(&stage), "re");
}

#[test]
fn lines_that_were_said_come_back() {
    let mut stage = said("sort state");
    for text in ["group", "sort state", "depoly"] {
        stage.types(":");
        stage.types(text);
        stage.press(KeyCode::Enter);
    }
    stage.press(KeyCode::Esc);
    stage.types(":wid");
    for (key, shown) in [
        (KeyCode::Up, "sort state"),
        (KeyCode::Up, "group"),
        (KeyCode::Up, "group"),
        (KeyCode::Down, "sort state"),
        (KeyCode::Down, "wid"),
        (KeyCode::Down, "wid"),
    ] {
        stage.press(key);
        assert_eq!(line(&stage), shown);
    }
}
