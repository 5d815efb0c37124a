//! Reachability: when a host counts as stale, offline or restarting, and when two hosts use the same name.

use crate::fleet::{name, report};
use homelab_deploy::fleet::{Fleet, Reachability};
use homelab_deploy::protocol::{Inbound, Presence, Status};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn at(seconds: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(seconds)
}

fn answer() -> Presence {
    Presence::new(name("web1"), name("test"), None, Vec::<String>::new())
}

/// A fleet that received this presence at second 0.
fn heard(answer: Presence) -> Fleet {
    let mut fleet = Fleet::default();
    fleet.apply(Inbound::Presence(Box::new(answer)), at(0.0));
    fleet
}

fn presence(fleet: &Fleet, seconds: f64) -> Reachability {
    fleet.hosts["web1"].reachability(at(seconds))
}

#[test]
fn a_host_is_stale_after_three_intervals_and_offline_after_ten() {
    for (named, interval) in [(Some(30), 30.0), (Some(1), 1.0), (None, 60.0), (Some(0), 60.0)] {
        let fleet = heard(Presence { interval_s: named, ..answer() });
        for (intervals, expected) in [
            (0.0, Reachability::Online),
            (2.99, Reachability::Online),
            (3.0, Reachability::Stale),
            (9.99, Reachability::Stale),
            (10.0, Reachability::Offline),
            (1e6, Reachability::Offline),
        ] {
            assert_eq!(presence(&fleet, interval * intervals), expected, "{named:?}, {intervals} intervals");
        }
    }
}

#[test]
fn a_huge_interval_is_harmless() {
    let fleet = heard(Presence { interval_s: Some(u64::MAX), ..answer() });
    assert_eq!(presence(&fleet, 1e9), Reachability::Online);
    assert_eq!(fleet.hosts["web1"].active_instances(at(1e9)).count(), 0);
}

#[test]
fn any_message_updates_last_seen() {
    let mut fleet = heard(Presence { interval_s: Some(10), ..answer() });
    fleet.apply_report(Arc::new(report("web1", "a", Status::Rejected, Some(1))), at(95.0));
    assert_eq!(presence(&fleet, 100.0), Reachability::Online);
    assert_eq!(presence(&fleet, 125.0), Reachability::Stale);
}

#[test]
fn a_host_that_announces_offline_is_offline_until_its_next_message() {
    let mut fleet = heard(Presence { online: Some(false), ..answer() });
    assert_eq!(presence(&fleet, 0.0), Reachability::Offline);
    fleet.apply_report(Arc::new(report("web1", "a", Status::Running, Some(1))), at(1.0));
    assert_eq!(presence(&fleet, 1.0), Reachability::Online);
}

#[test]
fn a_host_that_restarts_has_two_minutes() {
    let mut fleet = heard(Presence { online: Some(false), restarting: Some(true), ..answer() });
    for (seconds, expected) in
        [(0.0, Reachability::Restarting), (119.9, Reachability::Restarting), (120.0, Reachability::Offline)]
    {
        assert_eq!(presence(&fleet, seconds), expected, "{seconds}");
    }
    fleet.apply_presence(answer(), at(60.0));
    assert_eq!(presence(&fleet, 60.0), Reachability::Online);
}

#[test]
fn a_host_without_messages_is_offline() {
    let unknown = homelab_deploy::fleet::Host::unknown(&name("web1"));
    assert_eq!(unknown.reachability(at(0.0)), Reachability::Offline);
    assert_eq!(unknown.running_job(), None);
}

#[test]
fn a_host_from_the_inventory_does_not_hide_messages() {
    let mut fleet = heard(answer());
    let mut old = homelab_deploy::fleet::Host::unknown(&name("web1"));
    old.offline_announced = true;
    fleet.restore_host(old.clone());
    assert_eq!(presence(&fleet, 0.0), Reachability::Online);
    old.name = name("web2");
    fleet.restore_host(old);
    assert_eq!(
        fleet.hosts_by_name().iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
        ["web1", "web2"]
    );
}

#[test]
fn two_instances_claim_a_name_while_both_send_messages() {
    let of = |instance: &str| Presence { instance: Some(instance.into()), interval_s: Some(10), ..answer() };
    let mut fleet = heard(of("one"));
    let active_instances =
        |fleet: &Fleet, seconds: f64| fleet.hosts["web1"].active_instances(at(seconds)).count();
    assert_eq!(active_instances(&fleet, 0.0), 1);
    fleet.apply_presence(of("two"), at(5.0));
    assert_eq!(active_instances(&fleet, 5.0), 2);
    assert_eq!(active_instances(&fleet, 29.0), 2);
    assert_eq!(active_instances(&fleet, 30.0), 1, "the first was silent for three intervals");
    fleet.apply_presence(Presence { online: Some(false), ..of("two") }, at(20.0));
    assert_eq!(active_instances(&fleet, 20.0), 1, "the second went offline");
    for n in 0..1000 {
        fleet.apply_presence(of(&format!("made up {n}")), at(21.0));
    }
    assert!(active_instances(&fleet, 21.0) <= 8);
}

#[test]
fn an_older_message_does_not_replace_a_newer_one() {
    let with_revision = |seq: u64, revision: &str| {
        let instance = Some("one".into());
        Presence { instance, seq: Some(seq), revision: Some(revision.into()), ..answer() }
    };
    let mut fleet = heard(with_revision(7, "new"));
    fleet.apply(Inbound::Presence(Box::new(with_revision(6, "old"))), at(100.0));
    let host = &fleet.hosts["web1"];
    assert_eq!(host.answer.as_ref().unwrap().revision.as_deref(), Some("new"));
    assert_eq!(host.last_seen, Some(at(0.0)), "an old message does not count as contact");
    // Another instance is tracked separately.
    let other = Presence { instance: Some("two".into()), ..with_revision(1, "other") };
    fleet.apply(Inbound::Presence(Box::new(other)), at(100.0));
    assert_eq!(fleet.hosts["web1"].answer.as_ref().unwrap().revision.as_deref(), Some("other"));
}
