//! Table tests for splitting hosts into batches and for the rollout state machine.

use crate::fleet::name;
use homelab_deploy::client::{
    Batch, BatchKind, Candidate, RequestState, Rollout, RolloutStep, RolloutStrategy, StopReason,
};
use homelab_deploy::protocol::{RolloutCommand, RolloutState};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

/// Parses candidates: `web1:web` is a responding host with a role, `-db1` a host without an answer, `*ns1:dns` a host
/// that runs the NATS server.
fn candidates(text: &str) -> Vec<Candidate> {
    let candidate = |word: &str| {
        let (host, role) = word.split_once(':').map_or((word, None), |(host, role)| (host, Some(name(role))));
        let (is_responding, runs_nats) = (!host.starts_with('-'), host.starts_with('*'));
        let host = name(host.trim_start_matches(['-', '*']));
        Candidate { host, tier: name("test"), role, is_responding, runs_nats }
    };
    text.split_whitespace().map(candidate).collect()
}

/// Splits the hosts and formats the batches, such as `canary web1 | web2 web3`.
fn split(batches: &str, hosts: &str) -> String {
    let batches = RolloutStrategy::parse(batches.split_whitespace())
        .unwrap_or_else(|error| panic!("{batches}: {error}"));
    let shown = |(kind, hosts): (BatchKind, Vec<_>)| {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let kind = match kind {
            BatchKind::Canary => "canary ",
            BatchKind::Batch => "",
            BatchKind::NatsServer => "nats ",
        };
        format!("{kind}{}", hosts.join(" "))
    };
    match batches.split(candidates(hosts)) {
        Ok(batches) => batches.into_iter().map(shown).collect::<Vec<_>>().join(" | "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn hosts_are_split_into_batches_by_the_strategy() {
    let five = "web10 web2 db1:db a:web web1";
    for (batches, hosts, expected) in [
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
        // Hosts without an answer come late and are never canaries. Hosts of the NATS server come last, each alone.
        ("canary=1 batch=2", "-a b *c d e", "canary b | d e | a | nats c"),
        ("batch=5", "*c *d a", "a | nats c | nats d"),
        ("canary=c", "*c a b", "canary c | a b"),
        ("canary=1", "-a *b", "a | nats b"),
        (
            "canary=wbe1",
            five,
            "the canary wbe1 is not among the selected hosts (did you mean web1, db1, web10?); nothing was sent",
        ),
        ("canary=a", "-a b", "the canary a does not reply: choose another one; nothing was sent"),
    ] {
        assert_eq!(split(batches, hosts), expected, "{batches} of {hosts}");
    }
}

#[test]
fn an_invalid_rollout_is_refused() {
    for (words, expected) in [
        (
            "batch=0",
            "invalid batch size \"0\": expected a number of hosts (1 or more) or a percentage such as 25%",
        ),
        ("batch=101%", "invalid batch size \"101%\""),
        ("batch=-1", "invalid batch size \"-1\""),
        ("canary=0", "invalid canary \"0\": expected a host or a number of hosts (1 or more)"),
        ("canary=a.b", "invalid canary \"a.b\""),
        ("batch=1 max-failures=x", "invalid number of failures \"x\": expected 0 or more"),
        ("batch=1 pause=86401", "invalid pause \"86401\": expected seconds, at most 86400"),
        (
            "batch=1 order=role,role",
            "invalid order \"role,role\": expected tier, role or host, separated by commas, each at most once",
        ),
        ("batch=1 order=name", "invalid order \"name\""),
        (
            "batch",
            "unknown batch setting \"batch\": expected batch=, canary=, max-failures=, pause= or order=",
        ),
        ("wave=2", "unknown batch setting \"wave=2\""),
        ("pause=3", "missing batch size: set batch= or canary="),
    ] {
        let error = RolloutStrategy::parse(words.split_whitespace()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{words}: {error}");
    }
}

/// A rollout with batches of these sizes.
fn rollout(sizes: &[usize], canary: bool, max_failures: usize) -> Rollout {
    let mut from = 0;
    let batches = sizes.iter().enumerate().map(|(at, size)| {
        let kind = if canary && at == 0 { BatchKind::Canary } else { BatchKind::Batch };
        from += size;
        Batch { kind, requests: from - size..from }
    });
    Rollout::new(batches.collect(), max_failures, Duration::from_secs(5))
}

/// The next step for these request states, one letter each: open, passed, cancelled, failed.
fn step(rollout: &Rollout, states: &str) -> RolloutStep {
    rollout.next_step(|request| match &states[request..=request] {
        "o" => RequestState::Pending,
        "p" => RequestState::Passed,
        "c" => RequestState::Cancelled,
        _ => RequestState::Failed,
    })
}

#[test]
fn each_batch_waits_for_the_results_of_the_previous_one() {
    let mut rollout = rollout(&[1, 2, 1], false, 1);
    assert_eq!(step(&rollout, ""), RolloutStep::Send { after: Duration::ZERO });
    assert_eq!(rollout.start_next_batch(), 0..1);
    assert_eq!(step(&rollout, "o"), RolloutStep::Wait);
    assert_eq!(step(&rollout, "p"), RolloutStep::Send { after: Duration::from_secs(5) });
    assert_eq!(rollout.start_next_batch(), 1..3);
    assert_eq!(step(&rollout, "pfo"), RolloutStep::Wait);
    assert_eq!(
        step(&rollout, "pff"),
        RolloutStep::Stop(StopReason::Failures { failed: 2, cancelled: 0, allowed: 1 })
    );
    assert_eq!(step(&rollout, "pfp"), RolloutStep::Send { after: Duration::from_secs(5) });
    assert_eq!(rollout.start_next_batch(), 3..4);
    assert_eq!(step(&rollout, "pfpo"), RolloutStep::Wait);
    assert_eq!(step(&rollout, "pfpf"), RolloutStep::Done, "nothing is left to stop");
}

#[test]
fn a_cancelled_job_holds_the_rollout_and_is_not_called_a_failure() {
    let mut rollout = rollout(&[3, 1], false, 0);
    rollout.wait_at_limit();
    rollout.start_next_batch();
    for (states, reason) in [
        ("ccp", "2 hosts cancelled (none allowed)"),
        ("cpf", "1 host failed, 1 cancelled (none allowed)"),
        ("fpp", "1 host failed (none allowed)"),
    ] {
        let RolloutStep::Stop(stopped) = step(&rollout, states) else { panic!("{states} continues") };
        assert_eq!(stopped.to_string(), reason);
    }
    let encoded = |reason: StopReason| serde_json::to_value(reason).unwrap();
    let (failed, allowed) = (1, 0);
    assert_eq!(
        encoded(StopReason::Failures { failed, cancelled: 0, allowed }),
        json!({"reason": "failures", "failed": 1, "allowed": 0}),
    );
    assert_eq!(encoded(StopReason::Failures { failed, cancelled: 2, allowed })["cancelled"], 2);
}

#[test]
fn a_canary_must_complete_even_if_failures_are_allowed() {
    let mut rollout = rollout(&[2, 3], true, 5);
    rollout.start_next_batch();
    for states in ["pf", "pc"] {
        assert_eq!(step(&rollout, states), RolloutStep::Stop(StopReason::Canary));
    }
    assert_eq!(step(&rollout, "pp"), RolloutStep::Send { after: Duration::from_secs(5) });
    rollout.start_next_batch();
    assert_eq!(step(&rollout, "ppfff"), RolloutStep::Done);
}

#[test]
fn after_an_abort_sent_requests_are_awaited_and_no_more_are_sent() {
    let mut rollout = rollout(&[1, 1], false, 0);
    rollout.start_next_batch();
    rollout.abort("aborted".to_owned());
    assert_eq!(step(&rollout, "o"), RolloutStep::Wait);
    assert_eq!(step(&rollout, "p"), RolloutStep::Stop(StopReason::Aborted));
}

proptest! {
    /// For any results: a batch starts only within the failure limit, and a completed rollout sent each request once.
    #[test]
    fn no_batch_starts_beyond_the_failure_limit(
        hosts in prop::collection::vec(any::<bool>(), 1..60),
        size in 1..10_usize,
        max_failures in 0..6_usize,
    ) {
        let sizes: Vec<_> = hosts.chunks(size).map(<[bool]>::len).collect();
        let mut rollout = rollout(&sizes, false, max_failures);
        loop {
            let sent = rollout.sent_requests();
            let failed = hosts[..sent].iter().filter(|fails| **fails).count();
            match rollout.next_step(|at| if hosts[at] { RequestState::Failed } else { RequestState::Passed }) {
                RolloutStep::Wait | RolloutStep::Paused => prop_assert!(false, "all results are known"),
                RolloutStep::Send { .. } => {
                    prop_assert!(failed <= max_failures);
                    prop_assert_eq!(rollout.start_next_batch().start, sent);
                }
                RolloutStep::Done => {
                    prop_assert_eq!(sent, hosts.len());
                    break;
                }
                RolloutStep::Stop(_) => {
                    prop_assert!(failed > max_failures && sent < hosts.len());
                    break;
                }
            }
        }
    }
}

#[test]
fn a_pause_holds_the_next_batch_and_results_still_count() {
    let mut rollout = rollout(&[1, 1, 1], false, 0);
    rollout.start_next_batch();
    rollout.apply(&RolloutCommand::Pause, "alice", 0).unwrap();
    assert_eq!(rollout.state(), (RolloutState::Paused, Some("paused by alice".to_owned())));
    assert_eq!(step(&rollout, "o"), RolloutStep::Wait);
    assert_eq!(step(&rollout, "p"), RolloutStep::Paused);
    assert_eq!(
        step(&rollout, "f"),
        RolloutStep::Stop(StopReason::Failures { failed: 1, cancelled: 0, allowed: 0 })
    );
    let again = rollout.apply(&RolloutCommand::Pause, "alice", 0);
    assert_eq!(again, Err("the rollout is already paused".to_owned()));
    rollout.apply(&RolloutCommand::Continue, "alice", 0).unwrap();
    assert_eq!(step(&rollout, "p"), RolloutStep::Send { after: Duration::from_secs(5) });
    let again = rollout.apply(&RolloutCommand::Continue, "alice", 0);
    assert_eq!(again, Err("the rollout is not paused".to_owned()));
    rollout.apply(&RolloutCommand::Abort, "al\u{1b}[31mice\n", 0).unwrap();
    assert_eq!(rollout.state(), (RolloutState::Ended, Some("aborted by alice ".to_owned())));
    for command in [RolloutCommand::Pause, RolloutCommand::Continue, RolloutCommand::Abort] {
        assert_eq!(rollout.apply(&command, "alice", 0), Err("the rollout has already ended".to_owned()));
    }
}
