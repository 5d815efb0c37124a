//! Messages at their worst: every text, list and word as long and as hard to encode as can be.

use crate::samples::{self, bytes, id, name, with};
use homelab_deploy::protocol::{
    Action, Answer, Ask, BuildHost, BuildReport, Changes, DeployReport, DeployRequest, ErrorCode,
    HistoryAnswer, HistoryEntry, HostAnswer, LogAnswer, MAX_ENCODED, PackageChange, Phase, PhaseName,
    PhaseState, Phases, Progress, ReplyTo, Status, Want,
};
use serde_json::{Value, json};

/// A text that JSON needs 120 KB for.
fn worst() -> String {
    "\u{1}".repeat(20_000)
}

fn worst_list() -> Vec<String> {
    vec!["\u{1}".repeat(100); 3000]
}

fn worst_report() -> DeployReport {
    let long = || name(&"x".repeat(63));
    let phase =
        Phase { name: PhaseName::from(&*worst()), state: PhaseState::from(&*worst()), elapsed_ms: u64::MAX };
    let package =
        PackageChange { name: "p".repeat(100), from: Some("1".repeat(100)), to: Some("2".repeat(100)) };
    DeployReport {
        error: Some(ErrorCode::from(&*worst())),
        id: Some(id(&"d".repeat(63))),
        tier: Some(long()),
        role: Some(long()),
        action: Some(Action::from(&*worst())),
        revision: Some(worst().into()),
        issuer: Some(worst().into()),
        instance: Some(worst().into()),
        seq: Some(u64::MAX),
        at: Some("2026-11-21T09:00:00.123456789Z".parse().unwrap()),
        elapsed_ms: Some(u64::MAX),
        heartbeat_s: Some(u64::MAX),
        commit: Some(worst().into()),
        system: Some(worst().into()),
        generation: Some(u64::MAX),
        phases: Phases(vec![phase; 40]),
        progress: Some(Progress {
            done: u64::MAX,
            expected: u64::MAX,
            running: u64::MAX,
            downloaded_bytes: u64::MAX,
            expected_bytes: u64::MAX,
            activity: worst(),
        }),
        rolled_back: Some(false),
        reboot_needed: Some(false),
        changes: Some(Box::new(Changes {
            units_stopped: worst_list(),
            units_started: worst_list(),
            units_restarted: worst_list(),
            packages: vec![package; 3000],
            bytes: Some(i64::MIN),
        })),
        failed_units: worst_list(),
        running_job: Some(id(&"d".repeat(63))),
        diagnostics: Some(worst()),
        ..DeployReport::new(long(), Status::from(&*worst()), worst())
    }
}

fn worst_host() -> HostAnswer {
    let text = || Some(worst().into());
    HostAnswer {
        want: Some(Want::from(&*worst())),
        id: Some(id(&"q".repeat(63))),
        instance: text(),
        version: text(),
        os_version: text(),
        revision: text(),
        commit: text(),
        system: text(),
        booted_system: text(),
        flake_url: text(),
        public_key: text(),
        trusted_keys: Some(worst_list()),
        held: Some(worst()),
        failed_units: worst_list(),
        warnings: worst_list(),
        job: Some(worst_report().into()),
        capabilities: vec![Action::from(&*worst()); 3000],
        ..HostAnswer::new(name(&"x".repeat(63)), name(&"t".repeat(63)), Some(name("r")), worst_list())
    }
}

fn build_report(hosts: usize) -> BuildReport {
    let host = BuildHost {
        hostname: name(&"x".repeat(63)),
        state: PhaseState::Failed,
        elapsed_ms: u64::MAX,
        system: Some(worst()),
        error: Some(worst()),
        log_tail: Some(worst()),
    };
    BuildReport {
        target: worst(),
        message: worst(),
        commit: Some(worst()),
        hosts: vec![host; hosts],
        ..BuildReport::parse(&bytes(&samples::build_report())).unwrap()
    }
}

#[test]
fn the_worst_messages_fit() {
    let report = worst_report();
    let job = Answer::parse(&bytes(&samples::job_answer())).unwrap();
    let Answer::Job(mut job) = job else { panic!("{job:?}") };
    job.report = Some(report.clone().into());
    for (kind, message) in [
        ("report", report.encode()),
        ("host answer", worst_host().encode()),
        ("job answer", Answer::Job(job).encode()),
        ("build report of one", build_report(1).encode()),
        ("build report of 50", build_report(50).encode()),
    ] {
        assert!(message.len() < MAX_ENCODED, "{kind}: {} bytes", message.len());
        serde_json::from_slice::<Value>(&message).unwrap();
    }
}

#[test]
fn diagnostics_keep_their_end_and_a_sentence_its_start() {
    let lines = (0..10_000).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
    let report = DeployReport {
        diagnostics: Some(lines.clone()),
        ..DeployReport::new(name("web1"), Status::Failed, lines)
    };
    let read = DeployReport::parse(&report.encode()).unwrap();
    assert!(read.message.starts_with("line 0\n") && read.message.len() > 3000);
    let diagnostics = read.diagnostics.unwrap();
    assert!(diagnostics.ends_with("line 9999\n") && diagnostics.len() > 14_000);
}

#[test]
fn long_diagnostics_cost_no_list_its_entries_while_there_is_room() {
    let failed_units = vec!["some-unit-with-a-long-name.service".to_owned(); 400];
    let mut report = DeployReport::new(name("web1"), Status::Failed, "it failed");
    (report.failed_units, report.diagnostics) = (failed_units, Some("x".repeat(100_000)));
    assert_eq!(DeployReport::parse(&report.encode()).unwrap().failed_units.len(), 400);
}

#[test]
fn a_page_of_history_that_is_cut_says_where_to_read_on_and_is_never_empty() {
    let entry = |n: usize, issuer: String| HistoryEntry {
        id: id(&format!("d{n}")),
        at: "2026-11-21T09:00:00Z".parse().unwrap(),
        action: Action::Switch,
        status: Status::Failed,
        error: None,
        issuer: Some(issuer),
        key: None,
        revision: None,
        commit: None,
        generation: None,
        reason: None,
        elapsed_ms: 1,
    };
    for (count, issuer) in [(1000, "alice".to_owned()), (150, worst()), (1, worst())] {
        let entries: Vec<_> = (0..count).map(|n| entry(n, issuer.clone())).collect();
        let page = HistoryAnswer { want: Want::History, hostname: name("web1"), entries, next: None };
        let Answer::History(read) = Answer::parse(&Answer::History(page).encode()).unwrap() else { panic!() };
        let kept = read.entries.len();
        assert!(kept > 0 && (kept == count) == (count == 1), "{kept} of {count}");
        assert_eq!(read.next, (kept < count).then(|| read.entries[kept - 1].id.clone()));
    }
}

#[test]
fn an_ask_for_too_many_hosts_asks_them_all() {
    let mut ask = Ask::new(ReplyTo::answers(id("q1")));
    ask.hosts = (0..1500).map(|n| name(&format!("{n}-{}", "x".repeat(50)))).collect();
    assert!(Ask::parse(&ask.encode()).unwrap().hosts.is_empty());
}

#[test]
fn the_refusal_of_a_hostile_request_fits_into_a_report() {
    let hostile = with(samples::request(), "action", json!("\u{7f}\"".repeat(20_000)));
    let refused = DeployRequest::parse(&bytes(&hostile)).unwrap_err();
    let mut report = DeployReport::new(name("web1"), Status::Rejected, refused.message);
    (report.error, report.id, report.action) = (Some(refused.code), refused.id, refused.action);
    let report = report.encode();
    assert!(report.len() < 8 * 1024, "{} bytes", report.len());
    assert_eq!(DeployReport::parse(&report).unwrap().error, Some(ErrorCode::InvalidAction));
}

#[test]
fn a_log_that_is_read_piece_by_piece_joins_without_gap_and_ends_only_with_the_last() {
    let whole = "a line with \u{1b}[31mcolour and 🚀\n".repeat(4000);
    let (mut read, mut pieces, mut eof) = (String::new(), 0, false);
    while !eof {
        let rest = LogAnswer {
            want: Want::Log,
            id: Some(id("d1")),
            hostname: name("web1"),
            offset: Some(read.len() as u64),
            text: Some(whole[read.len()..].to_owned()),
            eof: true,
            running: false,
        };
        let Answer::Log(piece) = Answer::parse(&Answer::Log(rest).encode()).unwrap() else { panic!() };
        read.push_str(&piece.text.unwrap());
        (pieces, eof) = (pieces + 1, piece.eof);
    }
    assert!(read == whole && pieces > 1, "{pieces} pieces, {} of {} bytes", read.len(), whole.len());
}
