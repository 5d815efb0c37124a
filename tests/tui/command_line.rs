//! The command line: its commands, completion, history and errors.

use crate::harness::{COLOUR, Harness, PLAIN, assert_frame, name, noon};
use crossterm::event::KeyCode;
use homelab_deploy::client::{DeploymentSummary, LeftOutHost};
use homelab_deploy::protocol::{Action, HostIdentity, Inbound, Name, PresenceMismatch};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, FormKind, Overlay, Screen, SentDeploymentEvent};

/// A console with this text on its command line.
fn typed(text: &str) -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.text();
    harness.effects();
    harness.type_text(":");
    harness.type_text(text);
    harness
}

/// Runs a command.
fn run_command(text: &str) -> Harness {
    let mut harness = typed(text);
    harness.press(KeyCode::Enter);
    harness
}

fn line(harness: &Harness) -> String {
    match &harness.app.overlay {
        Some(Overlay::Command(line)) => line.input.value().to_owned(),
        other => panic!("no command line but {other:?}"),
    }
}

/// Kind, label, hosts and revision of the open form.
fn form(harness: &Harness) -> (FormKind, String, Vec<String>, String) {
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("{:?}", harness.app.overlay) };
    let hosts = form.selected_choice().hosts.iter().map(ToString::to_string).collect();
    (form.kind, form.selected_choice().label.clone(), hosts, form.revision.value().to_owned())
}

#[test]
fn snapshots_of_the_console() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        for (what, text) in [("completion", "deploy role=dns tier=p"), ("refused", "depoly web1\n")] {
            let mut harness = Harness::fleet(width, height, COLOUR);
            harness.type_text(":");
            text.chars().for_each(|c| {
                if c == '\n' {
                    harness.press(KeyCode::Enter);
                } else {
                    harness.press(KeyCode::Char(c));
                }
            });
            assert_frame!(format!("command-{what}-{width}x{height}"), harness);
        }
    }
}

#[test]
fn forms_open_for_exactly_the_named_hosts() {
    let harness = run_command("deploy role=dns branch=testing action=boot");
    let hosts = vec!["ns1".to_owned(), "ns2".to_owned()];
    assert_eq!(
        form(&harness),
        (FormKind::Deploy, "role dns".to_owned(), hosts.clone(), "testing".to_owned())
    );
    let Some(Overlay::Form(open)) = &harness.app.overlay else { panic!() };
    assert_eq!(open.kind.actions()[open.action].as_str(), "boot");
    assert_eq!(open.required_confirmation, "prod", "what must be confirmed must be typed here too");
    let (kind, _, hosts, revision) = form(&run_command("diff web1 ns1"));
    assert_eq!((kind, hosts.join(" "), revision), (FormKind::Diff, "ns1 web1".to_owned(), "main".to_owned()));
    let (kind, _, hosts, _) = form(&run_command("rollback web1 generation=139"));
    assert_eq!((kind, hosts.join(" ")), (FormKind::Rollback(Some(139)), "web1".to_owned()));
    let (kind, label, hosts, _) = form(&run_command("reboot tier=test"));
    assert_eq!((kind, label), (FormKind::Reboot, "tier test".to_owned()));
    assert_eq!(hosts.join(" "), "old1 web1 web9 web10");
    // Without names, a command applies to the same hosts as a key.
    let mut harness = run_command("mark role=dns");
    harness.type_text(":deploy");
    harness.press(KeyCode::Enter);
    let (_, label, hosts, _) = form(&harness);
    assert_eq!((label.as_str(), hosts.join(" ")), ("2 marked", "ns1 ns2".to_owned()));
}

#[test]
fn each_action_has_a_name() {
    assert_eq!(run_command("q").effects(), [Effect::Quit], "the start of a word is enough");
    assert_eq!(run_command("cancel ns1").app.context(), Context::Confirm);
    let harness = run_command("host ns2");
    assert!(matches!(harness.app.screens.last(), Some(Screen::Host(screen)) if screen.host == name("ns2")));
    let mut harness = run_command("log ns1");
    assert_eq!(harness.app.context(), Context::Log);
    harness.type_text(":hosts");
    harness.press(KeyCode::Enter);
    assert_eq!(harness.app.context(), Context::Fleet);
    assert!(run_command("filter tier:test web").text().contains("/tier:test web"));
    assert!(run_command("sort state").text().contains("sort: state"));
    assert!(run_command("group").text().contains("tier prod, role db"));
    assert!(run_command("faults").text().contains("with faults"));
    assert!(run_command("wide").text().contains("BOOTED"));
    assert_eq!(run_command("deployments").app.context(), Context::Deployments);
    assert_eq!(run_command("help").app.context(), Context::Help);
    let mut harness = run_command("mark web1 tier=prod");
    assert_eq!(harness.app.table.marks.len(), 5);
    harness.type_text(":unmark");
    harness.press(KeyCode::Enter);
    assert!(harness.app.table.marks.is_empty());
    let mut harness = typed("context lab");
    harness.app.options.contexts = vec!["home".to_owned(), "lab".to_owned()];
    harness.press(KeyCode::Enter);
    assert_eq!(harness.effects(), [Effect::SwitchContext("lab".to_owned())]);
}

/// The action, hosts and reason of a plan that is sent without a form.
fn sent(text: &str) -> (Action, String, Option<String>) {
    let mut harness = run_command(text);
    let effects = harness.effects();
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan.clone()),
        _ => None,
    });
    let plan = plan.unwrap_or_else(|| panic!("nothing was sent: {}", harness.text()));
    let hosts: Vec<_> = plan.hosts().into_keys().map(ToString::to_string).collect();
    (plan.intent.action, hosts.join(" "), plan.intent.reason)
}

#[test]
fn a_hold_and_a_release_are_sent_without_a_form() {
    let reason = Some("the disk is being replaced".to_owned());
    assert_eq!(sent("hold ns1  the disk is  being replaced"), (Action::Hold, "ns1".to_owned(), reason));
    assert_eq!(sent("release db1"), (Action::Release, "db1".to_owned(), None));
    assert_eq!(sent("release role=dns"), (Action::Release, "ns1 ns2".to_owned(), None));
    let mut harness = typed("hold ns1 why");
    harness.app.connection.up = false;
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("; nothing was sent"), "{}", harness.text());
    let mut harness = typed("release db1");
    harness.app.options.read_only = true;
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("the console is read-only: release is not available"));
}

#[test]
fn a_changed_host_is_left_out_of_a_release_of_several_hosts() {
    let changed = |text: &str| {
        let mut harness = typed(text);
        let differs = Some(Box::new(PresenceMismatch::Tier { known: name("test"), now: name("prod") }));
        let identity = HostIdentity { differs, ..HostIdentity::default() };
        harness.receive(noon(), [Inbound::Identity(name("ns1"), identity)]);
        harness.press(KeyCode::Enter);
        harness
    };
    let mut harness = changed("release role=dns");
    let sent = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    });
    let sent = sent.unwrap_or_else(|| panic!("nothing was sent: {}", harness.text()));
    assert_eq!(sent.hosts().into_keys().map(Name::as_str).collect::<Vec<_>>(), ["ns2"]);
    let left_out =
        LeftOutHost { host: name("ns1"), reason: sent.left_out[&name("ns1")].to_string(), is_denied: false };
    let summary =
        DeploymentSummary { left_out: vec![left_out], ..DeploymentSummary::new(sent.id.clone(), vec![]) };
    let finished = SentDeploymentEvent::Finished(summary);
    harness.apply(ConsoleEvent::SentDeployment(sent.id.clone(), finished));
    assert!(
        harness.text().contains("ns1: left out: changed: it is known in tier test"),
        "{}",
        harness.text()
    );
    // A named host is still refused.
    let harness = changed("release ns1 ns2");
    assert!(line(&harness).contains("release"), "the line was sent");
}

#[test]
fn an_error_is_shown_and_the_line_stays() {
    for (text, reason) in [
        ("depoly web1", "unknown command \"depoly\"; did you mean deploy?"),
        ("h", "ambiguous command \"h\": could be hold or hosts or host or history or heatmap or help"),
        ("deploy wbe1", "unknown host \"wbe1\"; did you mean web1"),
        ("deploy role=dsn", "no host has role dsn"),
        ("deploy brnach=x", "unknown key \"brnach=\"; did you mean branch=, batch=?"),
        ("deploy action=swich", "unknown action \"swich\"; did you mean switch?"),
        ("deploy a.b", "\"a.b\": "),
        ("rollback generation=x", "invalid generation \"x\": expected a number"),
        ("reboot branch=x", "unknown key \"branch=\""),
        ("sort colour", "unknown column \"colour\""),
        ("sort", "sort takes a column"),
        ("sort host tier", "unexpected argument \"tier\": sort takes only a column"),
        ("quit now", "unexpected argument \"now\": quit takes no arguments"),
        ("filter seen>x", "invalid age \"seen>x\""),
        ("hold", "hold takes a host and a reason"),
        ("hold wbe1 because", "unknown host \"wbe1\"; did you mean web1"),
        ("hold web1", "the hold reason is empty: give a reason of at most 300 characters"),
        ("release generation=1", "unknown key \"generation=\""),
        ("log db1", "db1 has no job with a log"),
        ("context lab", "no contexts available"),
        ("cancel db1", ""),
    ] {
        let mut harness = run_command(text);
        if reason.is_empty() {
            assert!(
                harness.text().contains("nothing runs on db1") || harness.text().contains("no job"),
                "{}",
                harness.text()
            );
            continue;
        }
        let shown = harness.text();
        assert!(shown.contains(reason), "{text}: no {reason:?} in\n{shown}");
        assert_eq!(line(&harness), text);
        assert_eq!(harness.effects().iter().filter(|effect| !matches!(effect, Effect::Log(_))).count(), 0);
        harness.press(KeyCode::Backspace);
        assert!(!harness.text().contains(reason), "{text}");
        harness.press(KeyCode::Esc);
        assert_eq!(harness.app.context(), Context::Fleet);
    }
    let mut harness = typed("deploy web1");
    harness.app.options.read_only = true;
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("the console is read-only: deploy is not available"));
}

#[test]
fn tab_completes() {
    for (text, whole) in [
        ("dep", "deploy"),
        ("d", "d"),
        ("dif", "diff "),
        ("dia", "diagnose "),
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
        ("sort sta", "sort state "),
        ("nothing ", "nothing "),
        ("deploy x", "deploy x"),
        ("", ""),
    ] {
        let mut harness = typed(text);
        harness.press(KeyCode::Tab);
        assert_eq!(line(&harness), whole, "{text:?}");
    }
    let mut harness = typed("h");
    let text = harness.text();
    for candidate in ["hold", "hosts", "host", "history", "help"] {
        assert!(text.contains(candidate), "no {candidate} in\n{text}");
    }
    // In the middle of a line, the word before the cursor is completed.
    let mut harness = typed("dep web1");
    (0..5).for_each(|_| harness.press(KeyCode::Left));
    harness.press(KeyCode::Tab);
    assert_eq!(line(&harness), "deploy web1");
    let mut harness = typed("re");
    harness.app.options.read_only = true;
    harness.press(KeyCode::Tab);
    assert_eq!(line(&harness), "re");
}

#[test]
fn entered_commands_can_be_recalled() {
    let mut harness = run_command("sort state");
    for text in ["group", "sort state", "depoly"] {
        harness.type_text(":");
        harness.type_text(text);
        harness.press(KeyCode::Enter);
    }
    harness.press(KeyCode::Esc);
    harness.type_text(":wid");
    for (key, shown) in [
        (KeyCode::Up, "sort state"),
        (KeyCode::Up, "group"),
        (KeyCode::Up, "group"),
        (KeyCode::Down, "sort state"),
        (KeyCode::Down, "wid"),
        (KeyCode::Down, "wid"),
    ] {
        harness.press(key);
        assert_eq!(line(&harness), shown);
    }
}
