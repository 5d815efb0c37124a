//! What keys do: to the rows, in the form, in a question.

use crate::stage::{PLAIN, Stage, answer, name, noon, present};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use homelab_deploy::protocol::Action;
use homelab_deploy::tui::{Context, Effect, Event, KEYS, LinkState, LogKey};

fn stage() -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.tell(Event::Frame);
    stage.effects();
    stage
}

/// Types each character; `\n` is enter, `\t` tab, `^` escape, `>` right, `<` left, `\u{12}` ctrl-r.
pub(crate) fn keys(stage: &mut Stage, keys: &str) {
    for c in keys.chars() {
        if c == '\u{12}' {
            stage.tell(Event::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)));
            continue;
        }
        stage.press(match c {
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
    // Which keys, the selected host, the marked ones, and the first row after sorting.
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
        ("ssssss", "db1", "", "db1"),
        ("jjjjjjjjjjjjjjjjjjjjj", "web10", "", "db1"),
        ("xyzZ9", "db1", "", "db1"),
    ] {
        let mut stage = stage();
        keys(&mut stage, typed);
        stage.tell(Event::Frame);
        let table = &stage.app.table;
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
        (Context::Question, "jjc"),
        (Context::Help, "?"),
        (Context::Log, "jjl"),
        (Context::Search, "jjl/"),
    ] {
        let mut stage = stage();
        keys(&mut stage, typed);
        assert_eq!(stage.app.context(), context);
        stage.effects();
        let ctrl = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        for (key, effect) in [('l', Effect::Redraw), ('z', Effect::Suspend), ('c', Effect::Quit)] {
            stage.tell(ctrl(key));
            assert_eq!(stage.effects(), [effect], "{context:?}");
        }
        assert_eq!(stage.app.context(), context);
    }
    let mut stage = stage();
    keys(&mut stage, "q");
    assert_eq!(stage.effects(), [Effect::Quit]);
}

#[test]
fn a_key_that_is_let_go_does_nothing() {
    let mut stage = stage();
    let released = KeyEvent::new_with_kind(KeyCode::Char('q'), KeyModifiers::NONE, KeyEventKind::Release);
    stage.tell(Event::Key(released));
    assert_eq!(stage.effects(), []);
}

#[test]
fn the_log_of_the_selected_host_is_followed_once() {
    let mut stage = stage();
    let key =
        |host: &str, job: &str| Effect::Log(Some(LogKey { host: name(host), job: job.parse().unwrap() }));
    keys(&mut stage, "jj");
    stage.tell(Event::Frame);
    assert_eq!(stage.effects(), [key("ns1", "d2")]);
    stage.tell(Event::Frame);
    assert_eq!(stage.effects(), []);
    keys(&mut stage, "j");
    stage.tell(Event::Frame);
    assert_eq!(stage.effects(), [key("ns2", "d0")]);
    // A host without a job has none.
    keys(&mut stage, "g");
    stage.tell(Event::Frame);
    assert_eq!(stage.effects(), [Effect::Log(None)]);
}

/// What is sent by these keys: the action, the revision and the hosts.
fn sent(stage: &mut Stage, typed: &str) -> Option<(Action, String, String)> {
    stage.effects();
    keys(stage, typed);
    let effects = stage.effects();
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
        // The default is to send nothing.
        ("/web1\nd\n\n\n\n", None),
        ("/web1\nd^", None),
        ("/web1\nd\n\n\n\t\n", to(Action::Switch, "main", "web1")),
        ("/web1\nd\n\n\n>\n", to(Action::Switch, "main", "web1")),
        ("/web1\nd\n\n\n>>\n", None),
        ("/web1\nd\n\n>\n>\n", to(Action::Boot, "main", "web1")),
        ("/web1\nd\n\n<\n>\n", to(Action::Build, "main", "web1")),
        ("/web1\nd\n-2.0\n\n>\n", to(Action::Switch, "main-2.0", "web1")),
        // The role, then the whole tier.
        ("/web1\nd>\n\n\n\n>\n", to(Action::Switch, "main", test)),
        ("/web1\nd>>\n\n\n\n>\n", to(Action::Switch, "main", &format!("old1 {test}"))),
        // Marks come first, also those that a filter hides.
        ("/web\na^/zzz^d\n\n\n\n>\n", to(Action::Switch, "main", test)),
        // A tier that matters is typed.
        ("d\n\n\n\nprod\t>\n", None),
        ("d\n\n\nprod\n>\n", to(Action::Switch, "main", "db1")),
        ("d\n\n\nprof\n>\n", None),
        ("d\n\n\n\n>\n", None),
        ("d>\n\n\n\n prod \n>\n", to(Action::Switch, "main", "db1 gw1 ns1 ns2")),
    ] {
        let mut stage = stage();
        assert_eq!(sent(&mut stage, typed), expected, "{typed:?}\n{}", stage.text());
    }
}

#[test]
fn the_form_says_why_nothing_is_sent() {
    for (typed, why) in [
        ("/web1\nd\t\u{8}x y\t\t>\n", "nothing was sent"),
        ("d\n\n\n\n>\n", "type prod to deploy there; nothing was sent"),
    ] {
        let mut stage = stage();
        assert_eq!(sent(&mut stage, typed), None);
        let text = stage.text();
        assert!(text.contains(why), "{typed:?}\n{text}");
        assert_eq!(stage.app.context(), Context::Form);
    }
    let mut stage = stage();
    stage.link(LinkState { reason: Some("the connection was lost".to_owned()), ..LinkState::default() });
    assert_eq!(sent(&mut stage, "/web1\nd\n\n\n>\n"), None);
    assert!(stage.text().contains("not connected (the connection was lost); nothing was sent"));
}

#[test]
fn whoever_takes_cancel_is_told_that_nothing_was_sent() {
    let mut stage = stage();
    assert_eq!(sent(&mut stage, "/web1\nd\n\n\n\n"), None);
    assert_eq!(stage.app.context(), Context::Fleet);
    assert!(stage.text().contains("└─ nothing was sent ─"), "{}", stage.text());
}

#[test]
fn the_form_completes_revisions() {
    let mut stage = stage();
    stage.app.options.branch = Some("release/2026-11".to_owned());
    keys(&mut stage, "/web1\nd\n");
    for _ in 0.."2026-11".len() {
        stage.press(KeyCode::Backspace);
    }
    assert!(stage.text().contains("release/2026-11"), "what completes it is shown");
    assert_eq!(
        sent(&mut stage, ">\n\n>\n"),
        Some((Action::Switch, "release/2026-11".to_owned(), "web1".to_owned()))
    );
}

#[test]
fn cancelling_asks_first() {
    for (typed, cancelled) in [
        ("jjc\n", None),
        ("jjc^", None),
        ("jjcn", None),
        ("jjcy", Some("ns1")),
        ("jjc>\n", Some("ns1")),
        ("jjc\t\t\n", None),
        // Of the marked ones, those that have something to cancel.
        ("acy", Some("ns1")),
    ] {
        let mut stage = stage();
        let sent = sent(&mut stage, typed);
        let hosts = sent.map(|(action, _, hosts)| {
            assert_eq!(action, Action::Cancel);
            hosts
        });
        assert_eq!(hosts.as_deref(), cancelled, "{typed:?}");
        assert_eq!(stage.app.context(), Context::Fleet);
    }
    let mut stage = stage();
    keys(&mut stage, "c");
    assert!(stage.text().contains("no job runs on db1; nothing was sent"));
}

#[test]
fn help_holds_every_key_of_the_fleet_screen() {
    let mut stage = Stage::fleet(120, 60, PLAIN);
    stage.types("?");
    let text = stage.text();
    for binding in KEYS.iter().filter(|binding| binding.contexts.contains(&Context::Fleet)) {
        assert!(text.contains(&binding.names()) && text.contains(binding.does), "{}\n{text}", binding.does);
    }
    keys(&mut stage, "^");
    assert_eq!(stage.app.context(), Context::Fleet);
}

#[test]
fn help_scrolls_to_its_end_and_no_further() {
    let mut stage = Stage::fleet(80, 10, PLAIN);
    stage.types("?");
    let first = stage.text();
    stage.types("G");
    let last = stage.text();
    assert_ne!(first, last);
    stage.types("jj");
    assert_eq!(stage.text(), last);
    stage.types("g");
    assert_eq!(stage.text(), first);
}

#[test]
fn until_a_host_is_chosen_the_first_is_selected() {
    let mut stage = Stage::new(120, 40, PLAIN);
    let arrives = |stage: &mut Stage, host: &str| {
        stage.hear(noon(), [present(answer(host, "test", "web"))]);
        stage.tell(Event::Frame);
        stage.app.table.host().cloned()
    };
    assert_eq!(arrives(&mut stage, "web2"), Some(name("web2")));
    assert_eq!(arrives(&mut stage, "web1"), Some(name("web1")));
    stage.types("j");
    assert_eq!(arrives(&mut stage, "web0"), Some(name("web2")));
}
