//! The status of a rollout: its size, its parts, and damaged ones.

use crate::samples::name;
use homelab_deploy::protocol::{
    MAX_ENCODED, RolloutCommand, RolloutControl, RolloutState, RolloutStatus, rollout_control_subject,
    rollout_subject,
};
use serde_json::{Value, json};

fn status() -> Value {
    json!({
        "id": "d1", "runner": "r1", "seq": 1, "at": "2026-11-21T09:00:00Z", "heartbeat_s": 2, "state": "running",
        "action": "switch", "started_at": "2026-11-21T09:00:00Z",
        "batches": [{"kind": "canary", "hosts": 1, "count": 1}, {"kind": "batch", "hosts": 2500, "count": 4}],
        "sent_batches": 1,
    })
}

fn parse(status: &Value) -> RolloutStatus {
    RolloutStatus::parse(status.to_string().as_bytes()).unwrap()
}

#[test]
fn ten_thousand_hosts_with_the_longest_names_fit_into_messages() {
    let all: Vec<_> = (0..10_001).map(|n| name(&format!("{n:063}"))).collect();
    let mut status = parse(&status());
    (status.reason, status.issuer) = (Some("r".repeat(100_000)), Some("é".repeat(100_000)));
    let (mut seen, mut first, mut messages) = (Vec::new(), 0, 0);
    loop {
        let next = status.set_hosts(&all, first);
        let bytes = status.encode();
        assert!(bytes.len() < MAX_ENCODED, "{}", bytes.len());
        let read = RolloutStatus::parse(&bytes).unwrap();
        assert_eq!((read.first, read.hosts.len()), (first as u64, status.hosts.len()));
        seen.extend(read.hosts);
        (first, messages) = (next, messages + 1);
        if next == 0 {
            break;
        }
    }
    assert_eq!(seen, all);
    assert!(messages <= 15, "{messages} messages");
}

#[test]
fn a_small_rollout_fits_into_one_message() {
    let all: Vec<_> = (0..3000).map(|n| name(&format!("web{n}"))).collect();
    let mut status = parse(&status());
    assert_eq!(status.set_hosts(&all, 0), 0);
    assert_eq!(RolloutStatus::parse(&status.encode()).unwrap().hosts, all);
    assert_eq!(status.set_hosts(&all, 5000), 0);
    assert!(status.hosts.is_empty());
}

#[test]
fn the_batch_of_a_host_follows_from_its_position() {
    let status = parse(&status());
    assert_eq!((status.batch_count(), status.host_count()), (5, 10_001));
    for (position, batch) in
        [(0, Some(0)), (1, Some(1)), (2500, Some(1)), (2501, Some(2)), (10_000, Some(4)), (10_001, None)]
    {
        assert_eq!(status.batch_at(position), batch, "{position}");
    }
}

#[test]
fn numbers_that_make_no_sense_do_no_harm() {
    let mut status = status();
    let most = u64::MAX;
    status["batches"] = json!([
        {"kind": "batch", "hosts": 0, "count": most}, {"kind": "odd", "hosts": most, "count": most},
        {"kind": "batch", "hosts": most, "count": 2},
    ]);
    let status = parse(&status);
    assert_eq!((status.batch_count(), status.host_count()), (most, most));
    status.batch_at(most);
    status.batch_at(1);
}

#[test]
fn unknown_states_and_commands_are_kept() {
    let mut status = status();
    (status["state"], status["more"]) = (json!("sleeping"), json!(1));
    assert_eq!(parse(&status).state, RolloutState::from("sleeping"));
    assert!(parse(&status).state.is_open());
    let control = json!({
        "id": "c1", "rollout": "d1", "runner": "r1", "command": "explode", "issued_at": "2026-11-21T09:00:00Z",
        "expires_at": "2026-11-21T09:01:00Z",
    });
    let control = RolloutControl::parse(control.to_string().as_bytes()).unwrap();
    assert_eq!(control.command, RolloutCommand::from("explode"));
    assert_eq!(rollout_subject(&control.rollout), "rollouts.status.d1");
    assert_eq!(rollout_control_subject(&control.rollout), "rollouts.control.d1");
}
