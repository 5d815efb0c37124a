//! The wave engine, and how hosts are cut into waves: tables, for both are pure.

use crate::fleet::name;
use homelab_deploy::deployer::{Part, Rollout, Seat, Step, Stopped, Wave, WaveKind, Waves};
use proptest::prelude::*;
use std::time::Duration;

/// `web1:web` is a host that answers, `-db1` one without a role that does not, `*ns1:dns` one that the broker runs on.
fn seats(text: &str) -> Vec<Seat> {
    let seat = |word: &str| {
        let (host, role) = word.split_once(':').map_or((word, None), |(host, role)| (host, Some(name(role))));
        let (answers, broker) = (!host.starts_with('-'), host.starts_with('*'));
        let host = name(host.trim_start_matches(['-', '*']));
        Seat { host, tier: name("test"), role, answers, broker }
    };
    text.split_whitespace().map(seat).collect()
}

/// The waves as text: `canary web1 | web2 web3`.
fn cut(waves: &str, hosts: &str) -> String {
    let waves = Waves::parse(waves.split_whitespace()).unwrap_or_else(|error| panic!("{waves}: {error}"));
    let shown = |(kind, hosts): (WaveKind, Vec<_>)| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let kind = match kind {
            WaveKind::Canary => "canary ",
            WaveKind::Batch => "",
            WaveKind::Broker => "broker ",
        };
        format!("{kind}{}", hosts.join(" "))
    };
    match waves.cut(seats(hosts)) {
        Ok(waves) => waves.into_iter().map(shown).collect::<Vec<_>>().join(" | "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hosts_are_cut_as_the_operator_says() {
    let five = "web10 web2 db1:db a:web web1";
    for (waves, hosts, expected) in [
        ("batch=2", five, "web1 web2 | web10 db1 | a"),
        ("batch=2 order=host", five, "a db1 | web1 web2 | web10"),
        ("batch=100%", five, "web1 web2 web10 db1 a"),
        ("batch=1%", five, "web1 | web2 | web10 | db1 | a"),
        ("batch=30%", five, "web1 web2 | web10 db1 | a"),
        ("batch=50", five, "web1 web2 web10 db1 a"),
        ("canary=1", five, "canary web1 | web2 web10 db1 a"),
        ("canary=a", five, "canary a | web1 web2 web10 db1"),
        ("canary=2 batch=2", five, "canary web1 web2 | web10 db1 | a"),
        ("canary=9", five, "canary web1 web2 web10 db1 a"),
        // Who does not answer comes late and is no canary; where the broker runs comes last, alone.
        ("canary=1 batch=2", "-a b *c d e", "canary b | d e | a | broker c"),
        ("batch=5", "*c *d a", "a | broker c | broker d"),
        ("canary=c", "*c a b", "canary c | a b"),
        ("canary=1", "-a *b", "a | broker b"),
        (
            "canary=wbe1",
            five,
            "the canary wbe1 is not among the hosts (did you mean web1, db1, web10?); nothing was sent",
        ),
        (
            "canary=a",
            "-a b",
            "the canary a does not answer, so it can try nothing; choose another, nothing was sent",
        ),
    ] {
        assert_eq!(cut(waves, hosts), expected, "{waves} of {hosts}");
    }
}

#[test]
fn what_says_nothing_sensible_about_waves_is_refused() {
    for (words, expected) in [
        ("batch=0", "\"0\" is no size of a wave: write a number of hosts from 1, or per cent as in 25%"),
        ("batch=101%", "\"101%\" is no size of a wave"),
        ("batch=-1", "\"-1\" is no size of a wave"),
        ("canary=0", "\"0\" is no canary: write a host, or a number of hosts from 1"),
        ("canary=a.b", "\"a.b\" is no canary"),
        ("batch=1 max-failures=x", "\"x\" is no number of failures: write one from 0"),
        ("batch=1 pause=86401", "\"86401\" is no pause: write seconds, at most 86400"),
        (
            "batch=1 order=role,role",
            "\"role,role\" is no order: write tier, role and host, with commas between them, each once",
        ),
        ("batch=1 order=name", "\"name\" is no order"),
        (
            "batch",
            "\"batch\" says nothing about waves: write batch=, canary=, max-failures=, pause= or order=",
        ),
        ("wave=2", "\"wave=2\" says nothing about waves"),
        ("pause=3", "these are no waves without batch= or canary="),
    ] {
        let error = Waves::parse(words.split_whitespace()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{words}: {error}");
    }
}

/// Waves of so many requests each.
fn rollout(sizes: &[usize], canary: bool, max_failures: usize) -> Rollout {
    let mut from = 0;
    let waves = sizes.iter().enumerate().map(|(at, size)| {
        let kind = if canary && at == 0 { WaveKind::Canary } else { WaveKind::Batch };
        from += size;
        Wave { kind, parcels: from - size..from }
    });
    Rollout::new(waves.collect(), max_failures, Duration::from_secs(5))
}

/// How requests stand, a letter each: open, passed, failed.
fn step(rollout: &Rollout, parts: &str) -> Step {
    rollout.step(|parcel| match &parts[parcel..=parcel] {
        "o" => Part::Open,
        "p" => Part::Passed,
        _ => Part::Failed,
    })
}

#[test]
fn each_wave_waits_for_the_verdicts_of_the_one_before() {
    let mut rollout = rollout(&[1, 2, 1], false, 1);
    assert_eq!(step(&rollout, ""), Step::Send { after: Duration::ZERO });
    assert_eq!(rollout.send(), 0..1);
    assert_eq!(step(&rollout, "o"), Step::Wait);
    assert_eq!(step(&rollout, "p"), Step::Send { after: Duration::from_secs(5) });
    assert_eq!(rollout.send(), 1..3);
    assert_eq!(step(&rollout, "pfo"), Step::Wait);
    assert_eq!(step(&rollout, "pff"), Step::Stop(Stopped::Failures { failed: 2, allowed: 1 }));
    assert_eq!(step(&rollout, "pfp"), Step::Send { after: Duration::from_secs(5) });
    assert_eq!(rollout.send(), 3..4);
    assert_eq!(step(&rollout, "pfpo"), Step::Wait);
    assert_eq!(step(&rollout, "pfpf"), Step::Done, "nothing is left to be stopped");
}

#[test]
fn a_canary_must_complete_whatever_else_may_fail() {
    let mut rollout = rollout(&[2, 3], true, 5);
    rollout.send();
    assert_eq!(step(&rollout, "pf"), Step::Stop(Stopped::Canary));
    assert_eq!(step(&rollout, "pp"), Step::Send { after: Duration::from_secs(5) });
    rollout.send();
    assert_eq!(step(&rollout, "ppfff"), Step::Done);
}

#[test]
fn after_an_abort_what_was_sent_is_waited_for_and_nothing_more_is_sent() {
    let mut rollout = rollout(&[1, 1], false, 0);
    rollout.send();
    rollout.abort();
    assert_eq!(step(&rollout, "o"), Step::Wait);
    assert_eq!(step(&rollout, "p"), Step::Stop(Stopped::Aborted));
}

proptest! {
    /// Whatever hosts do: never more failures than may be before a wave begins, and at the end every host was in one wave.
    #[test]
    fn no_wave_begins_once_the_budget_is_spent(
        hosts in prop::collection::vec(any::<bool>(), 1..60),
        size in 1..10_usize,
        max_failures in 0..6_usize,
    ) {
        let sizes: Vec<_> = hosts.chunks(size).map(<[bool]>::len).collect();
        let mut rollout = rollout(&sizes, false, max_failures);
        loop {
            let sent = rollout.sent_parcels();
            let failed = hosts[..sent].iter().filter(|fails| **fails).count();
            match rollout.step(|at| if hosts[at] { Part::Failed } else { Part::Passed }) {
                Step::Wait => prop_assert!(false, "every verdict is there"),
                Step::Send { .. } => {
                    prop_assert!(failed <= max_failures);
                    prop_assert_eq!(rollout.send().start, sent);
                }
                Step::Done => {
                    prop_assert_eq!(sent, hosts.len());
                    break;
                }
                Step::Stop(_) => {
                    prop_assert!(failed > max_failures && sent < hosts.len());
                    break;
                }
            }
        }
    }
}
