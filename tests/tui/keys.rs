//! Keys on the fleet screen, in the form and in the prompt.

use crate::harness::{Harness, PLAIN, answer, name, noon, presence_message};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use homelab_deploy::protocol::Action;
use homelab_deploy::tui::{ConnectionStatus, ConsoleEvent, Context, Effect, KEYS, LogKey};

fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    harness
}

/// Types each character; `\n` is enter, `\t` tab, `^` escape, `>` right, `<` left, `\u{12}` ctrl-r.
pub(crate) fn keys(harness: &mut Harness, keys: &str) {
    for c in keys.chars() {
        if c == '\u{12}' {
            harness.apply(ConsoleEvent::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)));
            continue;
        }
        harness.press(match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '^' => KeyCode::Esc,
            '>' => KeyCode::Right,
            '<' => KeyCode::Left,
            c => KeyCode::Char(c),
        });
    }
}

#[test]
fn keys_on_the_fleet_screen() {
    // The keys, the selected host, the marked hosts, and the first row.
    for (typed, selected, marked, first) in [
        ("", "db1", "", "db1"),
        ("j", "gw1", "", "db1"),
        ("jjk", "gw1", "", "db1"),
        ("kkk", "db1", "", "db1"),
        ("G", "web10", "", "db1"),
        ("Gg", "db1", "", "db1"),
        ("  ", "ns1", "db1 gw1", "db1"),
        ("  kk ", "gw1", "gw1", "db1"),
        ("a", "db1", "db1 gw1 ns1 ns2 old1 web1 web10 web9", "db1"),
        ("aa", "db1", "", "db1"),
        ("  ^", "ns1", "", "db1"),
        ("S", "web10", "", "web10"),
        ("s", "db1", "", "db1"),
        ("sss", "web1", "", "web1"),
        ("jksssS", "db1", "", "old1"),
        ("sssss", "db1", "", "db1"),
        ("sssssssssss", "db1", "", "db1"),
        ("jjjjjjjjjjjjjjjjjjjjj", "web10", "", "db1"),
        ("yzZ9", "db1", "", "db1"),
    ] {
        let mut harness = harness();
        keys(&mut harness, typed);
        harness.apply(ConsoleEvent::Frame);
        let table = &harness.app.table;
        assert_eq!(table.host(), Some(&name(selected)), "{typed:?}");
        let marks: Vec<_> = table.marks.iter().map(ToString::to_string).collect();
        assert_eq!(marks.join(" "), marked, "{typed:?}");
        assert_eq!(table.rows()[0].host(), Some(&name(first)), "{typed:?}: {:?}", table.rows());
    }
}

#[test]
fn keys_that_leave() {
    for (context, typed) in [
        (Context::Fleet, ""),
        (Context::Filter, "/"),
        (Context::Form, "d"),
        (Context::Confirm, "jjc"),
        (Context::Help, "?"),
        (Context::Log, "jjl"),
        (Context::Search, "jjl/"),
    ] {
        let mut harness = harness();
        keys(&mut harness, typed);
        assert_eq!(harness.app.context(), context);
        harness.effects();
        let ctrl = |c| ConsoleEvent::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        for (key, effect) in [('l', Effect::Redraw), ('z', Effect::Suspend), ('c', Effect::Quit)] {
            harness.apply(ctrl(key));
            assert_eq!(harness.effects(), [effect], "{context:?}");
        }
        assert_eq!(harness.app.context(), context);
    }
    let mut harness = harness();
    keys(&mut harness, "q");
    assert_eq!(harness.effects(), [Effect::Quit]);
}

#[test]
fn a_released_key_does_nothing() {
    let mut harness = harness();
    let released = KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    harness.apply(ConsoleEvent::Key(released));
    assert_eq!(harness.effects(), []);
}

#[test]
fn the_log_of_the_selected_host_is_followed_once() {
    let mut harness = harness();
    let key =
        |host: &str, job: &str| Effect::Log(Some(LogKey { host: name(host), job: job.parse().unwrap() }));
    keys(&mut harness, "jj");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.effects(), [key("ns1", "d2")]);
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.effects(), []);
    keys(&mut harness, "j");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.effects(), [key("ns2", "d0")]);
    // A host without a job has no log.
    keys(&mut harness, "g");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.effects(), [Effect::Log(None)]);
}

/// What these keys send: the action, the revision and the hosts.
fn sent(harness: &mut Harness, typed: &str) -> Option<(Action, String, String)> {
    harness.effects();
    keys(harness, typed);
    let effects = harness.effects();
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    })?;
    assert_eq!(plan.intent.issuer, "alice@laptop");
    let hosts: Vec<_> = plan.hosts().keys().map(ToString::to_string).collect();
    let revision = plan.intent.revision.as_ref().map(ToString::to_string).unwrap_or_default();
    Some((plan.intent.action.clone(), revision, hosts.join(" ")))
}

#[test]
fn the_form_sends_exactly_what_it_shows() {
    let to =
        |action: Action, revision: &str, hosts: &str| Some((action, revision.to_owned(), hosts.to_owned()));
    let test = "web1 web10 web9";
    for (typed, expected) in [
        // Enter sends if nothing must be typed.
        ("/web1\nd\n", to(Action::Switch, "main", "web1")),
        ("/web1\nd^", None),
        ("/web1\nd\t\t\t\n", None),
        ("/web1\nd\t\t\t\t\n", to(Action::Switch, "main", "web1")),
        ("/web1\nd\t\t\t>\n", to(Action::Switch, "main", "web1")),
        ("/web1\nd\t\t\t>>\n", None),
        ("/web1\nd\t\t>\n", to(Action::Boot, "main", "web1")),
        ("/web1\nd\t\t<\n", to(Action::Build, "main", "web1")),
        ("/web1\nd\t-2.0\n", to(Action::Switch, "main-2.0", "web1")),
        // The role, then the whole tier.
        ("/web1\nd>\n", to(Action::Switch, "main", test)),
        ("/web1\nd>>\n", to(Action::Switch, "main", &format!("old1 {test}"))),
        // Marked hosts come first, even if a filter hides them.
        ("/web\na^/zzz^d\n", to(Action::Switch, "main", test)),
        // The name of a tier that needs a confirmation can be typed at once.
        ("d\n", None),
        ("dprod\n", to(Action::Switch, "main", "db1")),
        ("d\nprod\n", to(Action::Switch, "main", "db1")),
        ("dprof\n", None),
        ("dprod\t\n", None),
        ("d\t\t\t\t\tprod\n", to(Action::Switch, "main", "db1")),
        ("d> prod \n", to(Action::Switch, "main", "db1 gw1 ns1 ns2")),
    ] {
        let mut harness = harness();
        assert_eq!(sent(&mut harness, typed), expected, "{typed:?}\n{}", harness.text());
    }
}

#[test]
fn the_form_explains_why_nothing_is_sent() {
    for (typed, reason) in
        [("/web1\nd\t\u{8}x y\n", "nothing was sent"), ("d\n", "type prod to deploy there; nothing was sent")]
    {
        let mut harness = harness();
        assert_eq!(sent(&mut harness, typed), None);
        let text = harness.text();
        assert!(text.contains(reason), "{typed:?}\n{text}");
        assert_eq!(harness.app.context(), Context::Form);
    }
    let mut harness = harness();
    harness.connect(ConnectionStatus {
        reason: Some("the connection was lost".to_owned()),
        ..ConnectionStatus::default()
    });
    assert_eq!(sent(&mut harness, "/web1\nd\n"), None);
    assert!(harness.text().contains("not connected (the connection was lost); nothing was sent"));
}

#[test]
fn cancelling_the_form_confirms_that_nothing_was_sent() {
    let mut harness = harness();
    assert_eq!(sent(&mut harness, "/web1\nd\t\t\t\n"), None);
    assert_eq!(harness.app.context(), Context::Fleet);
    assert!(harness.text().contains("└─ nothing was sent ─"), "{}", harness.text());
}

#[test]
fn the_form_completes_revisions() {
    let mut harness = harness();
    harness.app.options.branch = Some("release/2026-11".to_owned());
    keys(&mut harness, "/web1\nd\t");
    for _ in 0.."2026-11".len() {
        harness.press(KeyCode::Backspace);
    }
    assert!(harness.text().contains("release/2026-11"), "the completion is shown");
    assert_eq!(
        sent(&mut harness, ">\n"),
        Some((Action::Switch, "release/2026-11".to_owned(), "web1".to_owned()))
    );
}

#[test]
fn cancelling_needs_confirmation() {
    for (typed, cancelled) in [
        ("jjc\n", None),
        ("jjc^", None),
        ("jjcn", None),
        ("jjcy", Some("ns1")),
        ("jjc>\n", Some("ns1")),
        ("jjc\t\t\n", None),
        // Of the marked hosts, only those with a running job.
        ("acy", Some("ns1")),
    ] {
        let mut harness = harness();
        let sent = sent(&mut harness, typed);
        let hosts = sent.map(|(action, _, hosts)| {
            assert_eq!(action, Action::Cancel);
            hosts
        });
        assert_eq!(hosts.as_deref(), cancelled, "{typed:?}");
        assert_eq!(harness.app.context(), Context::Fleet);
    }
    let mut harness = harness();
    keys(&mut harness, "c");
    assert!(harness.text().contains("no job runs on db1; nothing was sent"));
}

#[test]
fn help_lists_every_key_of_the_fleet_screen() {
    let mut harness = Harness::fleet(120, 60, PLAIN);
    harness.type_text("?");
    let text = harness.text();
    for binding in KEYS.iter().filter(|binding| binding.contexts.contains(Context::Fleet)) {
        assert!(text.contains(&binding.names()) && text.contains(binding.help), "{}\n{text}", binding.help);
    }
    keys(&mut harness, "^");
    assert_eq!(harness.app.context(), Context::Fleet);
}

#[test]
fn help_scrolls_to_its_end_and_no_further() {
    let mut harness = Harness::fleet(80, 10, PLAIN);
    harness.type_text("?");
    let first = harness.text();
    harness.type_text("G");
    let last = harness.text();
    assert_ne!(first, last);
    harness.type_text("jj");
    assert_eq!(harness.text(), last);
    harness.type_text("g");
    assert_eq!(harness.text(), first);
}

#[test]
fn the_first_host_is_selected_until_another_is_chosen() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let arrives = |harness: &mut Harness, host: &str| {
        harness.receive(noon(), [presence_message(answer(host, "test", "web"))]);
        harness.apply(ConsoleEvent::Frame);
        harness.app.table.host().cloned()
    };
    assert_eq!(arrives(&mut harness, "web2"), Some(name("web2")));
    assert_eq!(arrives(&mut harness, "web1"), Some(name("web1")));
    harness.type_text("j");
    assert_eq!(arrives(&mut harness, "web0"), Some(name("web2")));
}
