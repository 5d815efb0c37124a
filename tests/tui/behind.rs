//! Hosts that do not run the head of their branch.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, answer, noon, present, report, said};
use homelab_deploy::fleet::{Heads, KnownFlakes};
use homelab_deploy::protocol::{Revision, Status};
use homelab_deploy::tui::{Effect, Event};
use jiff::SignedDuration;
use std::sync::Arc;

const FLAKE: &str = "git+https://git.example.org/fleet";
/// What `stage::answer` runs, and what `stage::report` has deployed.
const OLD: &str = "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01";
const NEW: &str = "b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10";

/// Three hosts of one flake: two run the old commit, one the new one; and one that does not tell.
fn stage() -> Stage {
    let mut stage = Stage::new(120, 40, PLAIN);
    stage.app.options.follows = Some(Revision::new("main").unwrap());
    stage.app.fleet.known_flakes = known();
    let host = |name: &str, commit: Option<&str>| {
        let mut answer = answer(name, "test", "web");
        answer.flake_url = Some(FLAKE.into());
        answer.commit = commit.map(Into::into);
        present(answer)
    };
    let hosts = [("web1", Some(OLD)), ("web2", Some(OLD)), ("web3", Some(NEW)), ("web4", None)];
    stage.hear(noon(), hosts.map(|(name, commit)| host(name, commit)));
    stage
}

/// The flake was known before the console began.
fn known() -> Arc<KnownFlakes> {
    Arc::new(KnownFlakes { allowed: [FLAKE.to_owned()].into(), ..KnownFlakes::default() })
}

fn heads(commit: &str) -> Event {
    let of = [(FLAKE.to_owned(), Ok(commit.to_owned()))].into();
    Event::Heads(Heads { branch: Revision::new("main").unwrap(), of })
}

fn asked(stage: &mut Stage, seconds: i64) -> bool {
    stage.effects();
    stage.clock(noon() + SignedDuration::from_secs(seconds));
    stage.effects().iter().any(|effect| matches!(effect, Effect::Heads(..)))
}

#[test]
fn they_are_marked_counted_and_found() {
    let mut stage = stage();
    stage.clock(noon());
    let wanted = Effect::Heads([FLAKE.to_owned()].into(), Revision::new("main").unwrap());
    assert_eq!(stage.effects(), [wanted]);
    assert!(!stage.text().contains('↓'), "nothing is known yet");
    stage.tell(heads(NEW));
    let text = stage.text();
    assert!(text.contains("↓ 2 behind"), "{text}");
    for (host, behind) in [("web1", true), ("web2", true), ("web3", false), ("web4", false)] {
        let row = text.lines().find(|line| line.contains(host)).unwrap();
        assert_eq!(row.contains("↓ behind"), behind, "{row}");
    }
    assert!(text.contains("behind: main is at b04c7de"), "{text}");
    stage.types("/state:behind");
    let text = stage.text();
    assert!(text.contains("2 of 4 /state:behind") && !text.contains("web3"), "{text}");
}

#[test]
fn a_branch_moves_so_its_head_is_looked_up_again() {
    let mut stage = stage();
    assert!(asked(&mut stage, 0));
    stage.tell(heads(OLD));
    assert!(!asked(&mut stage, 299));
    assert!(asked(&mut stage, 300));
    // Another host may be of another flake.
    stage.hear(noon(), [present(answer("web5", "test", "web"))]);
    assert!(!asked(&mut stage, 304));
    assert!(asked(&mut stage, 305));
    // Somebody deployed a commit that is no head known here.
    stage.tell(heads(OLD));
    stage.hear(noon(), [said(report("web1", "d1", Status::Completed))]);
    assert!(asked(&mut stage, 310));
    stage.tell(heads(NEW));
    stage.hear(noon(), [said(report("web2", "d1", Status::Completed))]);
    assert!(!asked(&mut stage, 316));
}

#[test]
fn without_a_branch_nobody_is_behind() {
    let mut stage = stage();
    stage.app.options.follows = None;
    assert!(!asked(&mut stage, 1000));
}

#[test]
fn a_head_that_could_not_be_looked_up_marks_nobody() {
    let mut stage = stage();
    let of = [(FLAKE.to_owned(), Err("no answer".to_owned()))].into();
    stage.tell(Event::Heads(Heads { branch: Revision::new("main").unwrap(), of }));
    let text = stage.text();
    assert!(!text.contains("behind") && !text.contains('↓'), "{text}");
}

#[test]
fn a_flake_that_is_new_or_another_one_is_shown_and_not_asked() {
    let mut stage = stage();
    stage.app.fleet.known_flakes = Arc::default();
    assert!(!asked(&mut stage, 0));
    let text = stage.text();
    assert!(text.contains(&format!("`web1` is new here and names the flake `{FLAKE}`")), "{text}");
    let of =
        [(stage.app.fleet.hosts["web1"].name.clone(), "git+https://git.example.org/other".into())].into();
    stage.app.fleet.known_flakes = Arc::new(KnownFlakes { of, ..KnownFlakes::default() });
    assert!(!asked(&mut stage, 300));
    let text = stage.text();
    assert!(text.contains("`web1` names the flake `git+https://git.example.org/fleet`, expected"), "{text}");
}

#[test]
fn the_form_shows_the_flake_and_where_the_branch_is() {
    let mut stage = stage();
    stage.tell(heads(NEW));
    keys(&mut stage, "d");
    let text = stage.text();
    assert!(text.contains(&format!("flake       {FLAKE}, main at b04c7de ")), "{text}");
    keys(&mut stage, "^");
    // What is new is shown as new; sending it is to trust it.
    stage.app.fleet.known_flakes = Arc::default();
    keys(&mut stage, "d");
    let text = stage.text();
    assert!(text.contains(&format!("flake       {FLAKE}, main at b04c7de, new here")), "{text}");
}

#[test]
fn waves_to_a_host_with_another_flake_than_before_are_not_sent() {
    let mut stage = stage();
    let of =
        [(stage.app.fleet.hosts["web1"].name.clone(), "git+https://git.example.org/other".into())].into();
    stage.app.fleet.known_flakes = Arc::new(KnownFlakes { of, ..KnownFlakes::default() });
    stage.effects();
    keys(&mut stage, "ad\t\t\tbatch=1\t\t\n");
    let text = stage.text();
    assert!(!stage.effects().iter().any(|effect| matches!(effect, Effect::Send(_))), "{text}");
    assert!(text.contains("`web1` names the flake `git+https://git.example.org/fleet`"), "{text}");
    assert!(text.contains("nothing was sent"), "{text}");
}
