//! Signs of life: when a host counts as stale, offline or restarting, and when two claim one name.

use crate::fleet::{name, report};
use homelab_deploy::fleet::{Fleet, Presence};
use homelab_deploy::protocol::{HostAnswer, Inbound, Status};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(seconds)
}

fn answer() -> HostAnswer {
    HostAnswer::new(name("web1"), name("test"), None, Vec::new())
}

/// A fleet that heard this at second 0.
fn heard(answer: HostAnswer) -> Fleet {
    let mut fleet = Fleet::default();
    fleet.apply(Inbound::Presence(Box::new(answer)), at(0.0));
    fleet
}

fn presence(fleet: &Fleet, seconds: f64) -> Presence {
    fleet.hosts["web1"].presence(at(seconds))
}

#[test]
fn a_host_is_stale_after_three_intervals_and_offline_after_ten() {
    for (named, interval) in [(Some(30), 30.0), (Some(1), 1.0), (None, 60.0), (Some(0), 60.0)] {
        let fleet = heard(HostAnswer { interval_s: named, ..answer() });
        for (intervals, expected) in [
            (0.0, Presence::Online),
            (2.99, Presence::Online),
            (3.0, Presence::Stale),
            (9.99, Presence::Stale),
            (10.0, Presence::Offline),
            (1e6, Presence::Offline),
        ] {
            assert_eq!(presence(&fleet, interval * intervals), expected, "{named:?}, {intervals} intervals");
        }
    }
}

#[test]
fn an_interval_beyond_all_reason_does_no_harm() {
    let fleet = heard(HostAnswer { interval_s: Some(u64::MAX), ..answer() });
    assert_eq!(presence(&fleet, 1e9), Presence::Online);
    assert_eq!(fleet.hosts["web1"].claimants(at(1e9)).len(), 0);
}

#[test]
fn any_message_is_a_sign_of_life() {
    let mut fleet = heard(HostAnswer { interval_s: Some(10), ..answer() });
    fleet.apply_report(Arc::new(report("web1", "a", Status::Rejected, Some(1))), at(95.0));
    assert_eq!(presence(&fleet, 100.0), Presence::Online);
    assert_eq!(presence(&fleet, 125.0), Presence::Stale);
}

#[test]
fn a_host_that_says_goodbye_is_offline_until_it_speaks_again() {
    let mut fleet = heard(HostAnswer { online: Some(false), ..answer() });
    assert_eq!(presence(&fleet, 0.0), Presence::Offline);
    fleet.apply_report(Arc::new(report("web1", "a", Status::Running, Some(1))), at(1.0));
    assert_eq!(presence(&fleet, 1.0), Presence::Online);
}

#[test]
fn a_host_that_restarts_has_two_minutes() {
    let mut fleet = heard(HostAnswer { online: Some(false), restarting: Some(true), ..answer() });
    for (seconds, expected) in
        [(0.0, Presence::Restarting), (119.9, Presence::Restarting), (120.0, Presence::Offline)]
    {
        assert_eq!(presence(&fleet, seconds), expected, "{seconds}");
    }
    fleet.apply_host(answer(), at(60.0));
    assert_eq!(presence(&fleet, 60.0), Presence::Online);
}

#[test]
fn a_host_of_which_nothing_was_heard_is_offline() {
    let unknown = homelab_deploy::fleet::Host::unknown(&name("web1"));
    assert_eq!(unknown.presence(at(0.0)), Presence::Offline);
    assert_eq!(unknown.running_job(), None);
}

#[test]
fn a_host_from_the_roster_does_not_hide_what_was_heard() {
    let mut fleet = heard(answer());
    let mut old = homelab_deploy::fleet::Host::unknown(&name("web1"));
    old.left = true;
    fleet.recall(old.clone());
    assert_eq!(presence(&fleet, 0.0), Presence::Online);
    old.name = name("web2");
    fleet.recall(old);
    assert_eq!(
        fleet.hosts_by_name().iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
        ["web1", "web2"]
    );
}

#[test]
fn two_instances_claim_a_name_while_both_are_heard() {
    let of =
        |instance: &str| HostAnswer { instance: Some(instance.into()), interval_s: Some(10), ..answer() };
    let mut fleet = heard(of("one"));
    let claimants = |fleet: &Fleet, seconds: f64| fleet.hosts["web1"].claimants(at(seconds)).len();
    assert_eq!(claimants(&fleet, 0.0), 1);
    fleet.apply_host(of("two"), at(5.0));
    assert_eq!(claimants(&fleet, 5.0), 2);
    assert_eq!(claimants(&fleet, 29.0), 2);
    assert_eq!(claimants(&fleet, 30.0), 1, "the first was silent for three intervals");
    fleet.apply_host(HostAnswer { online: Some(false), ..of("two") }, at(20.0));
    assert_eq!(claimants(&fleet, 20.0), 1, "the second said goodbye");
    for n in 0..1000 {
        fleet.apply_host(of(&format!("made up {n}")), at(21.0));
    }
    assert!(claimants(&fleet, 21.0) <= 8);
}

#[test]
fn what_a_host_said_before_does_not_take_the_place_of_what_it_said_since() {
    let said = |seq: u64, revision: &str| {
        let instance = Some("one".into());
        HostAnswer { instance, seq: Some(seq), revision: Some(revision.into()), ..answer() }
    };
    let mut fleet = heard(said(7, "new"));
    fleet.apply(Inbound::Presence(Box::new(said(6, "old"))), at(100.0));
    let host = &fleet.hosts["web1"];
    assert_eq!(host.answer.as_ref().unwrap().revision.as_deref(), Some("new"));
    assert_eq!(host.seen, Some(at(0.0)), "it is no sign of life");
    // Another instance counts for itself.
    let other = HostAnswer { instance: Some("two".into()), ..said(1, "other") };
    fleet.apply(Inbound::Presence(Box::new(other)), at(100.0));
    assert_eq!(fleet.hosts["web1"].answer.as_ref().unwrap().revision.as_deref(), Some("other"));
}
