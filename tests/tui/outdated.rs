//! Hosts that do not run the head of their branch.

use crate::harness::{Harness, PLAIN, answer, noon, presence_message, report, report_message};
use crate::keys::keys;
use homelab_deploy::fleet::{BranchHeads, KnownFlakes};
use homelab_deploy::protocol::{Revision, Status};
use homelab_deploy::tui::{ConsoleEvent, Effect};
use jiff::SignedDuration;
use std::sync::Arc;

const FLAKE: &str = "git+https://git.example.org/fleet";
/// The commit that `harness::answer` runs and `harness::report` has deployed.
const OLD: &str = "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01";
const NEW: &str = "b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10";

/// Four hosts of one flake: two run the old commit, one the new one, and one does not report its commit.
fn harness() -> Harness {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.app.options.tracked_branch = Some(Revision::new("main").unwrap());
    harness.app.fleet.known_flakes = known();
    let host = |name: &str, commit: Option<&str>| {
        let mut answer = answer(name, "test", "web");
        answer.flake_url = Some(FLAKE.into());
        answer.commit = commit.map(Into::into);
        presence_message(answer)
    };
    let hosts = [("web1", Some(OLD)), ("web2", Some(OLD)), ("web3", Some(NEW)), ("web4", None)];
    harness.receive(noon(), hosts.map(|(name, commit)| host(name, commit)));
    harness
}

/// The flake, known before the console started.
fn known() -> Arc<KnownFlakes> {
    Arc::new(KnownFlakes { allowed: [FLAKE.to_owned()].into(), ..KnownFlakes::default() })
}

fn heads(commit: &str) -> ConsoleEvent {
    let of = [(FLAKE.to_owned(), Ok(commit.to_owned()))].into();
    ConsoleEvent::Heads(BranchHeads { branch: Revision::new("main").unwrap(), by_flake: of })
}

fn looks_up_heads(harness: &mut Harness, seconds: i64) -> bool {
    harness.effects();
    harness.clock(noon() + SignedDuration::from_secs(seconds));
    harness.effects().iter().any(|effect| matches!(effect, Effect::Heads(..)))
}

#[test]
fn outdated_hosts_are_marked_counted_and_found() {
    let mut harness = harness();
    harness.clock(noon());
    let wanted = Effect::Heads([FLAKE.to_owned()].into(), Revision::new("main").unwrap());
    assert_eq!(harness.effects(), [wanted]);
    assert!(!harness.text().contains('↓'), "no head is known yet");
    harness.apply(heads(NEW));
    let text = harness.text();
    assert!(text.contains("↓ 2 outdated"), "{text}");
    for (host, outdated) in [("web1", true), ("web2", true), ("web3", false), ("web4", false)] {
        let row = text.lines().find(|line| line.contains(host)).unwrap();
        assert_eq!(row.contains("3f2a91c ↓"), outdated, "{row}");
    }
    assert!(text.contains("outdated: main is at b04c7de"), "{text}");
    harness.type_text("/state:outdated");
    let text = harness.text();
    assert!(text.contains("2 of 4 /state:outdated") && !text.contains("web3"), "{text}");
}

#[test]
fn heads_are_looked_up_again() {
    let mut harness = harness();
    assert!(looks_up_heads(&mut harness, 0));
    harness.apply(heads(OLD));
    assert!(!looks_up_heads(&mut harness, 299));
    assert!(looks_up_heads(&mut harness, 300));
    // Another host may use another flake.
    harness.receive(noon(), [presence_message(answer("web5", "test", "web"))]);
    assert!(!looks_up_heads(&mut harness, 304));
    assert!(looks_up_heads(&mut harness, 305));
    // A deployed commit that is not a known head means that the branch has moved.
    harness.apply(heads(OLD));
    harness.receive(noon(), [report_message(report("web1", "d1", Status::Completed))]);
    assert!(looks_up_heads(&mut harness, 310));
    harness.apply(heads(NEW));
    harness.receive(noon(), [report_message(report("web2", "d1", Status::Completed))]);
    assert!(!looks_up_heads(&mut harness, 316));
}

#[test]
fn without_a_branch_no_host_is_outdated() {
    let mut harness = harness();
    harness.app.options.tracked_branch = None;
    assert!(!looks_up_heads(&mut harness, 1000));
}

#[test]
fn a_failed_head_lookup_marks_no_host_outdated() {
    let mut harness = harness();
    let of = [(FLAKE.to_owned(), Err("no answer".to_owned()))].into();
    harness.apply(ConsoleEvent::Heads(BranchHeads { branch: Revision::new("main").unwrap(), by_flake: of }));
    let text = harness.text();
    assert!(!text.contains("outdated") && !text.contains('↓'), "{text}");
}

#[test]
fn an_untrusted_flake_is_shown_and_not_queried() {
    let mut harness = harness();
    harness.app.fleet.known_flakes = Arc::default();
    assert!(!looks_up_heads(&mut harness, 0));
    let text = harness.text();
    assert!(text.contains(&format!("`web1` is new here and names the flake `{FLAKE}`")), "{text}");
    let of =
        [(harness.app.fleet.hosts["web1"].name.clone(), "git+https://git.example.org/other".into())].into();
    harness.app.fleet.known_flakes = Arc::new(KnownFlakes { by_host: of, ..KnownFlakes::default() });
    assert!(!looks_up_heads(&mut harness, 300));
    let text = harness.text();
    assert!(text.contains("`web1` names the flake `git+https://git.example.org/fleet`, expected"), "{text}");
}

#[test]
fn the_form_shows_the_flake_and_the_head_of_the_branch() {
    let mut harness = harness();
    harness.apply(heads(NEW));
    keys(&mut harness, "d");
    let text = harness.text();
    assert!(text.contains(&format!("flake       {FLAKE}, main at b04c7de ")), "{text}");
    keys(&mut harness, "^");
    // A new flake is shown as new; the operator trusts it by sending the deployment.
    harness.app.fleet.known_flakes = Arc::default();
    keys(&mut harness, "d");
    let text = harness.text();
    assert!(text.contains(&format!("flake       {FLAKE}, main at b04c7de, new here")), "{text}");
}

#[test]
fn batches_to_a_host_with_a_changed_flake_are_not_sent() {
    let mut harness = harness();
    let of =
        [(harness.app.fleet.hosts["web1"].name.clone(), "git+https://git.example.org/other".into())].into();
    harness.app.fleet.known_flakes = Arc::new(KnownFlakes { by_host: of, ..KnownFlakes::default() });
    harness.effects();
    keys(&mut harness, "ad\t\t\tbatch=1\t\t\n");
    let text = harness.text();
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))), "{text}");
    assert!(text.contains("`web1` names the flake `git+https://git.example.org/fleet`"), "{text}");
    assert!(text.contains("nothing was sent"), "{text}");
}
