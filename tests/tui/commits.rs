//! The commits between what hosts run and the head of their branch.

use crate::harness::{COLOUR, Harness, PLAIN, ago, answer, assert_frame, noon, presence_message};
use crate::keys::keys;
use homelab_deploy::fleet::{
    BranchHeads, CommitInfo, CommitPosition, CommitQuery, ComparedCommit, FleetCommits, HeadCommits,
    KnownFlakes,
};
use homelab_deploy::protocol::Revision;
use homelab_deploy::tui::{ConsoleEvent, Effect, Theme};
use jiff::SignedDuration;
use ratatui::layout::Size;
use std::sync::Arc;

const FLAKE: &str = "git+https://git.example.org/fleet";
/// The commit that `harness::answer` runs.
const OLD: &str = "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01";
const HEAD: &str = "b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10";

fn commit(letter: char) -> String {
    letter.to_string().repeat(40)
}

/// Hosts that run an older commit, the head, a newer commit, one of another branch, and one that nothing is known of.
fn harness(width: u16, height: u16, theme: Theme) -> Harness {
    let mut harness = Harness::new(width, height, theme);
    harness.app.options.tracked_branch = Some(Revision::new("main").unwrap());
    let known = KnownFlakes { allowed: [FLAKE.to_owned()].into(), ..KnownFlakes::default() };
    harness.app.fleet.known_flakes = Arc::new(known);
    let host = |(name, commit): (&str, String)| {
        let mut answer = answer(name, "test", "web");
        answer.flake_url = Some(FLAKE.into());
        answer.commit = Some(commit.into());
        presence_message(answer)
    };
    let hosts = [
        ("web1", OLD.to_owned()),
        ("web2", HEAD.to_owned()),
        ("web3", commit('a')),
        ("web4", commit('d')),
        ("web5", commit('e')),
    ];
    harness.receive(noon(), hosts.map(host));
    harness.clock(noon());
    harness
}

fn heads() -> ConsoleEvent {
    let of = [(FLAKE.to_owned(), Ok(HEAD.to_owned()))].into();
    ConsoleEvent::Heads(BranchHeads { branch: Revision::new("main").unwrap(), by_flake: of })
}

fn info(commit: &str, subject: &str, minutes: i64) -> CommitInfo {
    CommitInfo::new(commit, subject, "alice", ago(minutes * 60).as_second())
}

/// What was found of the flake: `web1` is this many commits behind.
fn found(behind: usize) -> ConsoleEvent {
    let newer = |n: usize| match n {
        0 => info(HEAD, "nginx: brotli", 35),
        n => info(&format!("{n:040x}"), &format!("change {n}"), 60 * i64::try_from(n).unwrap()),
    };
    let compared = |info, position, behind| ComparedCommit { info, position, behind, newer: Vec::new() };
    let on_branch = CommitPosition::OnBranch;
    let old = ComparedCommit {
        newer: (0..behind.min(20)).map(newer).collect(),
        ..compared(Some(info(OLD, "smartd: check weekly", 3000)), on_branch, behind)
    };
    let running = [
        (OLD.to_owned(), old),
        (HEAD.to_owned(), compared(Some(newer(0)), on_branch, 0)),
        (commit('a'), compared(Some(info(&commit('a'), "try zfs", 5)), CommitPosition::Ahead(1), 0)),
        (commit('d'), compared(None, CommitPosition::NotOnBranch, 0)),
        (commit('e'), compared(None, CommitPosition::Unknown, 0)),
    ];
    let head = HeadCommits { head: newer(0), running: running.into() };
    let by_flake = [(FLAKE.to_owned(), [(HEAD.to_owned(), head)].into())].into();
    ConsoleEvent::Commits(FleetCommits { by_flake, ..FleetCommits::default() })
}

fn row(harness: &mut Harness, host: &str) -> String {
    let text = harness.text();
    text.lines().find(|line| line.contains(host)).unwrap_or_else(|| panic!("no {host}: {text}")).to_owned()
}

/// The queries among the effects.
fn queries(harness: &mut Harness) -> Vec<CommitQuery> {
    let query = |effect| match effect {
        Effect::Commits(query) => Some(*query),
        _ => None,
    };
    harness.effects().into_iter().filter_map(query).collect()
}

#[test]
fn rows_show_the_number_of_commits() {
    for (theme, minus, unequal) in [(PLAIN, "−", "≠"), (Theme::new(false, false), "-", "!=")] {
        let mut harness = harness(240, 40, theme);
        harness.apply(heads());
        assert!(row(&mut harness, "web1").contains(&format!("3f2a91c {}", theme.symbols().outdated)));
        harness.apply(found(12));
        for (host, expected) in [
            ("web1", format!("3f2a91c {minus}12 ")),
            ("web2", "b04c7de  ".to_owned()),
            ("web3", "aaaaaaa +1 ".to_owned()),
            ("web4", "ddddddd not on main ".to_owned()),
            ("web5", format!("eeeeeee {} ", theme.symbols().outdated)),
        ] {
            let row = row(&mut harness, host);
            assert!(row.contains(&expected), "{row}");
        }
        harness.app.size = Size { width: 80, height: 24 };
        let narrow = row(&mut harness, "web4");
        assert!(narrow.contains(&format!("ddddddd {unequal}")), "{narrow}");
        assert!(row(&mut harness, "web1").contains(&format!("3f2a91c {minus}12 ")));
        keys(&mut harness, "jjj");
        assert!(harness.text().contains("outdated: main is at b04c7de, the host's commit is not on it"));
    }
}

#[test]
fn pane_and_host_screen_list_the_commits() {
    let mut harness = harness(120, 40, PLAIN);
    harness.apply(heads());
    harness.apply(found(23));
    let text = harness.text();
    assert!(text.contains("outdated: main is at b04c7de, 23 commits behind"), "{text}");
    assert!(text.contains("runs 3f2a91c smartd: check weekly by alice, 2 d ago"), "{text}");
    assert!(text.contains("then b04c7de nginx: brotli by alice, 35 min ago"), "{text}");
    assert!(text.contains("and 20 older commits") && !text.contains("change 3 "), "{text}");
    harness.app.size = Size { width: 120, height: 60 };
    harness.open("web1");
    let text = harness.text();
    assert!(text.contains("Commits") && text.contains("change 19 by alice, 19 h ago"), "{text}");
    assert!(text.contains("and 3 older commits"), "{text}");
    // The age of a commit increases.
    harness.clock(noon() + SignedDuration::from_secs(60));
    assert!(harness.text().contains("then b04c7de nginx: brotli by alice, 36 min ago"));
}

#[test]
fn frames_with_commits() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = harness(width, height, COLOUR);
        harness.apply(heads());
        harness.apply(found(23));
        assert_frame!(format!("commits-{width}x{height}"), harness);
        keys(&mut harness, "d");
        assert_frame!(format!("commits-form-{width}x{height}"), harness);
        keys(&mut harness, "^");
        harness.open("web1");
        assert_frame!(format!("commits-host-{width}x{height}"), harness);
    }
}

#[test]
fn the_form_shows_the_commit() {
    let mut harness = harness(120, 40, PLAIN);
    harness.apply(heads());
    keys(&mut harness, "d");
    assert!(!harness.text().contains("nginx: brotli"));
    // It arrives while the form is open.
    harness.apply(found(2));
    let text = harness.text();
    assert!(text.contains("commit      b04c7de nginx: brotli by alice, 35 min ago"), "{text}");
}

#[test]
fn commits_are_read_when_heads_or_hosts_change() {
    let mut harness = harness(120, 40, PLAIN);
    assert_eq!(queries(&mut harness), [], "no head is known yet");
    harness.apply(heads());
    let [query] = queries(&mut harness).try_into().unwrap();
    assert_eq!(query.flakes[FLAKE].keys().collect::<Vec<_>>(), [HEAD]);
    assert_eq!(query.flakes[FLAKE][HEAD].len(), 5);
    // No further query starts while the commits are read, or if nothing has changed.
    let mut web1 = answer("web1", "test", "web");
    web1.flake_url = Some(FLAKE.into());
    web1.commit = Some(commit('f').into());
    harness.receive(noon(), [presence_message(web1)]);
    harness.clock(noon() + SignedDuration::from_secs(10));
    assert_eq!(queries(&mut harness), []);
    harness.apply(found(2));
    harness.clock(noon() + SignedDuration::from_secs(20));
    let [query] = queries(&mut harness).try_into().unwrap();
    assert!(query.flakes[FLAKE][HEAD].contains(&commit('f')));
    harness.apply(found(2));
    harness.clock(noon() + SignedDuration::from_secs(30));
    harness.apply(heads());
    assert_eq!(queries(&mut harness), []);
}

#[test]
fn a_failure_is_shown_once_and_tried_again_with_the_heads() {
    let mut harness = harness(120, 40, PLAIN);
    harness.apply(heads());
    assert_eq!(queries(&mut harness).len(), 1);
    let failed = || {
        let failures = [(FLAKE.to_owned(), "commits of the fleet are unknown: no answer".to_owned())].into();
        ConsoleEvent::Commits(FleetCommits { failures, ..FleetCommits::default() })
    };
    harness.apply(failed());
    assert!(harness.text().contains("commits of the fleet are unknown: no answer"));
    assert!(row(&mut harness, "web1").contains("3f2a91c ↓"));
    harness.clock(noon() + SignedDuration::from_secs(60));
    assert_eq!(queries(&mut harness), []);
    harness.apply(heads());
    assert_eq!(queries(&mut harness).len(), 1);
    harness.apply(failed());
    assert_eq!(harness.app.messages.len(), 1, "{:?}", harness.app.messages);
    harness.apply(heads());
    harness.apply(found(2));
    assert!(row(&mut harness, "web1").contains("3f2a91c −2"));
}

#[test]
fn hostile_subjects_do_not_reach_the_screen() {
    let hostile = format!("\u{1b}[31m\u{202e}evil\r\n\u{7}\u{200b}{}", "m".repeat(10_000));
    let info = CommitInfo::new(HEAD, &hostile, &hostile, i64::MAX);
    for text in [&info.subject, &info.author] {
        assert!(text.starts_with("evil") && text.len() < 210 && text.ends_with('…'), "{text}");
        assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{200b}'), "{text}");
    }
}
