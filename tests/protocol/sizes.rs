//! Messages in the worst case: every string and list as long and as expensive to encode as possible.

use crate::samples::{self, bytes, id, name, with};
use homelab_deploy::protocol::{
    Action, BuildHost, BuildReport, Changes, Component, ComponentState, Components, DeployReport,
    DeployRequest, EngineKind, ErrorCode, HistoryEntry, HistoryReply, LogReply, MAX_COMPONENTS, MAX_ENCODED,
    PackageChange, Phase, PhaseName, PhaseState, Phases, Presence, Progress, Query, QueryKind, QueryReply,
    ReplyTo, Status,
};
use serde_json::{Value, json};

/// A string that takes 120 KB in JSON.
fn worst() -> String {
    "\u{1}".repeat(20_000)
}

fn worst_list() -> Vec<String> {
    vec!["\u{1}".repeat(100); 3000]
}

fn worst_component() -> Component {
    let state = ComponentState::from(&*worst());
    Component { name: worst(), state, elapsed_ms: u64::MAX, message: worst() }
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
        components: Components(vec![worst_component(); 3000]),
        progress: Some(Box::new(Progress {
            done: u64::MAX,
            expected: u64::MAX,
            running: u64::MAX,
            downloaded_bytes: u64::MAX,
            expected_bytes: u64::MAX,
            activity: worst(),
        })),
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
        cause: Some(worst()),
        ..DeployReport::new(long(), Status::from(&*worst()), worst())
    }
}

fn worst_host() -> Presence {
    let text = || Some(worst().into());
    Presence {
        query: Some(QueryKind::from(&*worst())),
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
        last_change: Some(worst_report().into()),
        capabilities: vec![Action::from(&*worst()); 3000],
        components: worst_list(),
        engine: Some(EngineKind::from(&*worst())),
        ..Presence::new(name(&"x".repeat(63)), name(&"t".repeat(63)), Some(name("r")), worst_list())
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
    let job = QueryReply::parse(&bytes(&samples::job_reply())).unwrap();
    let QueryReply::Job(mut job) = job else { panic!("{job:?}") };
    job.report = Some(report.clone().into());
    for (kind, message) in [
        ("report", report.encode()),
        ("host answer", worst_host().encode()),
        ("job answer", QueryReply::Job(job).encode()),
        ("build report of one", build_report(1).encode()),
        ("build report of 50", build_report(50).encode()),
    ] {
        assert!(message.len() < MAX_ENCODED, "{kind}: {} bytes", message.len());
        serde_json::from_slice::<Value>(&message).unwrap();
    }
}

#[test]
fn the_components_of_a_job_are_limited() {
    let mut components = Components::default();
    for n in 0..MAX_COMPONENTS + 50 {
        let message = worst();
        let name = format!("service{n}");
        components.update(Component { message, ..Component::new(name, ComponentState::Failed) });
    }
    assert_eq!(components.0.len(), MAX_COMPONENTS);
    assert!(components.0.iter().all(|component| component.message.len() < 512));
    // A known component is still updated.
    assert!(components.update(Component::new("service7", ComponentState::Done)));
    assert!(!components.update(Component::new("service7", ComponentState::Done)));
    assert_eq!(components.0[7].state, ComponentState::Done);

    let mut report = DeployReport::new(name("web1"), Status::Running, "activate");
    (report.components, report.diagnostics) = (components, Some(worst()));
    let encoded = report.encode();
    assert!(encoded.len() < MAX_ENCODED, "{} bytes", encoded.len());
    let read = DeployReport::parse(&encoded).unwrap();
    assert!(read.components.0.len() > 10, "{}", read.components.0.len());
    assert!(report.brief().components.0.len() < read.components.0.len());
}

#[test]
fn diagnostics_keep_their_end_and_a_message_its_start() {
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
fn long_diagnostics_do_not_shorten_lists_that_fit() {
    let failed_units = vec!["some-unit-with-a-long-name.service".to_owned(); 400];
    let mut report = DeployReport::new(name("web1"), Status::Failed, "it failed");
    (report.failed_units, report.diagnostics) = (failed_units, Some("x".repeat(100_000)));
    assert_eq!(DeployReport::parse(&report.encode()).unwrap().failed_units.len(), 400);
}

#[test]
fn a_truncated_history_page_has_a_cursor_and_is_never_empty() {
    let entry = |n: usize, issuer: String| HistoryEntry {
        id: id(&format!("d{n}")),
        at: "2026-11-21T09:00:00Z".parse().unwrap(),
        action: Action::Switch,
        status: Status::Failed,
        error: None,
        issuer: Some(issuer.clone()),
        key: None,
        revision: None,
        commit: None,
        generation: None,
        reason: None,
        elapsed_ms: 1,
        phases: Phases::pending(),
        components: vec![issuer],
    };
    for (count, issuer) in [(1000, "alice".to_owned()), (150, worst()), (1, worst())] {
        let entries: Vec<_> = (0..count).map(|n| entry(n, issuer.clone())).collect();
        let page = HistoryReply { query: QueryKind::History, hostname: name("web1"), entries, next: None };
        let QueryReply::History(read) = QueryReply::parse(&QueryReply::History(page).encode()).unwrap()
        else {
            panic!()
        };
        let included = read.entries.len();
        assert!(included > 0 && (included == count) == (count == 1), "{included} of {count}");
        assert_eq!(read.next, (included < count).then(|| read.entries[included - 1].id.clone()));
    }
}

#[test]
fn a_query_for_too_many_hosts_queries_all_hosts() {
    let mut query = Query::new(ReplyTo::replies(id("q1")));
    query.hosts = (0..1500).map(|n| name(&format!("{n}-{}", "x".repeat(50)))).collect();
    assert!(Query::parse(&query.encode()).unwrap().hosts.is_empty());
}

#[test]
fn the_rejection_of_a_hostile_request_fits_into_a_report() {
    let hostile = with(samples::request(), "action", json!("\u{7f}\"".repeat(20_000)));
    let refused = DeployRequest::parse(&bytes(&hostile)).unwrap_err();
    let mut report = DeployReport::new(name("web1"), Status::Rejected, refused.message);
    (report.error, report.id, report.action) = (Some(refused.code), refused.id, refused.action);
    let report = report.encode();
    assert!(report.len() < 8 * 1024, "{} bytes", report.len());
    assert_eq!(DeployReport::parse(&report).unwrap().error, Some(ErrorCode::InvalidAction));
}

#[test]
fn a_log_read_in_chunks_has_no_gap_and_ends_with_the_last_chunk() {
    let whole = "a line with \u{1b}[31mcolour and 🚀\n".repeat(4000);
    let (mut read, mut pieces, mut eof) = (String::new(), 0, false);
    while !eof {
        let rest = LogReply {
            query: QueryKind::Log,
            id: Some(id("d1")),
            hostname: name("web1"),
            offset: Some(read.len() as u64),
            text: Some(whole[read.len()..].to_owned()),
            eof: true,
            running: false,
        };
        let QueryReply::Log(piece) = QueryReply::parse(&QueryReply::Log(rest).encode()).unwrap() else {
            panic!()
        };
        read.push_str(&piece.text.unwrap());
        (pieces, eof) = (pieces + 1, piece.eof);
    }
    assert!(read == whole && pieces > 1, "{pieces} pieces, {} of {} bytes", read.len(), whole.len());
}

#[test]
fn a_request_of_every_length_near_the_limit_fits() {
    for length in MAX_ENCODED - 400..MAX_ENCODED + 10 {
        let mut request = DeployRequest::new(Action::Switch, None, id("d1"));
        request.issuer = Some("x".repeat(length));
        let size = request.encode().len();
        assert!(size < MAX_ENCODED, "{size} bytes with an issuer of {length}");
    }
}
