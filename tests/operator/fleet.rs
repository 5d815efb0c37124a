//! Folding reports into a fleet: order and repetition do not change the result.

use homelab_deploy::fleet::{Deployment, Fleet, Host};
use homelab_deploy::protocol::{
    Action, DeployReport, Id, Inbound, JobReply, Name, QueryKind, QueryReply, Status,
};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

/// Limit of the deployments in memory.
const MOST_DEPLOYMENTS: usize = 1000;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// A report of `host` about job `job`.
pub(crate) fn report(host: &str, job: &str, status: Status, seq: Option<u64>) -> DeployReport {
    let mut report = DeployReport::new(name(host), status, format!("report {seq:?}"));
    (report.id, report.seq, report.action) = (Some(id(job)), seq, Some(Action::Switch));
    report.instance = Some("one".into());
    report
}

/// The reports of a job in order, numbered from `first`. The final report, if any, is last.
fn job(job: &'static str, first: u64) -> impl Strategy<Value = Vec<DeployReport>> {
    let final_status = prop_oneof![Just(None), Just(Some(Status::Completed)), Just(Some(Status::Failed))];
    (0..8_usize, final_status).prop_map(move |(beats, final_status)| {
        let initial = [Status::Accepted, Status::Started];
        let statuses = initial.into_iter().chain(vec![Status::Running; beats]).chain(final_status);
        statuses.zip(first..).map(|(status, seq)| report("web1", job, status, Some(seq))).collect()
    })
}

/// The same reports in any order, with some of them repeated.
fn disturbed(reports: Vec<DeployReport>) -> impl Strategy<Value = (Vec<DeployReport>, Vec<DeployReport>)> {
    let again = prop::collection::vec(prop::sample::select(reports.clone()), 0..10);
    again.prop_flat_map(move |again| {
        let all = reports.iter().cloned().chain(again).collect::<Vec<_>>();
        (Just(reports.clone()), Just(all).prop_shuffle())
    })
}

/// The state of a fleet after these reports.
fn folded(reports: impl IntoIterator<Item = DeployReport>) -> (HashMap<Name, Host>, HashMap<Id, Deployment>) {
    let mut fleet = Fleet::default();
    for report in reports {
        fleet.apply(Inbound::Report(Box::new(report)), Timestamp::UNIX_EPOCH);
    }
    (fleet.hosts, fleet.deployments)
}

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select([Status::ALL, &[Status::from("paused")]].concat())
}

proptest! {
    #[test]
    fn order_and_repetition_of_one_job_s_reports_do_not_matter(
        (made, heard) in job("a", 1).prop_flat_map(disturbed),
    ) {
        let last = made.last().cloned().map(Arc::new);
        let (hosts, deployments) = folded(heard);
        prop_assert_eq!(&hosts[&name("web1")].job, &last, "the highest seq, and a final report above all");
        prop_assert_eq!((hosts, deployments), folded(made));
    }

    #[test]
    fn order_and_repetition_do_not_change_the_last_of_two_jobs(
        (made, heard) in (job("a", 1), job("b", 1_000_001))
            .prop_map(|(first, second)| [first, second].concat())
            .prop_flat_map(disturbed),
    ) {
        let (hosts, deployments) = folded(heard);
        let (expected_hosts, expected_deployments) = folded(made);
        prop_assert_eq!(&hosts[&name("web1")].job, &expected_hosts[&name("web1")].job);
        prop_assert_eq!(deployments, expected_deployments);
    }

    #[test]
    fn a_result_is_final(
        before in prop::collection::vec((any_status(), prop::option::of(0..100_u64)), 0..5),
        final_status in prop::sample::select(vec![Status::Completed, Status::Failed, Status::Rejected]),
        after in prop::collection::vec((any_status(), prop::option::of(0..100_u64)), 0..10),
    ) {
        let mut fleet = Fleet::default();
        let mut apply = |(status, seq)| {
            fleet.apply_report(Arc::new(report("web1", "a", status, seq)), Timestamp::UNIX_EPOCH);
            let (host, deployment) = (&fleet.hosts["web1"], &fleet.deployments["a"]);
            (host.job.clone(), deployment.job(&host.name).unwrap().report.clone())
        };
        // The earlier reports may include a final one.
        for latest in before {
            apply(latest);
        }
        let (job, latest) = apply((final_status, Some(50)));
        prop_assert!(latest.status.is_final());
        for later in after {
            let now = apply(later);
            prop_assert_eq!(&now.1, &latest);
            if latest.status != Status::Rejected {
                prop_assert_eq!(&now.0, &job);
            }
        }
    }

    #[test]
    fn a_rejected_request_does_not_hide_the_running_job(
        others in prop::collection::vec((0..4_usize, any_status(), prop::option::of(0..100_u64)), 1..10),
    ) {
        let mut fleet = Fleet::default();
        let running = Arc::new(report("web1", "a", Status::Running, Some(1)));
        fleet.apply_report(running.clone(), Timestamp::UNIX_EPOCH);
        for (kind, status, seq) in others {
            let mut other = report("web1", "b", status, seq);
            match kind {
                0 => other.action = Some(Action::Cancel),
                1 => other.action = Some(Action::Hold),
                2 => other.action = Some(Action::Release),
                _ => other.status = Status::Rejected,
            }
            fleet.apply_report(Arc::new(other), Timestamp::UNIX_EPOCH);
            prop_assert_eq!(fleet.hosts["web1"].running_job(), Some(&running));
        }
    }

    #[test]
    fn no_message_removes_a_host(
        heard in prop::collection::vec((0..6_u8, 0..300_u16, any_status(), prop::option::of(0..50_u64)), 1..100),
    ) {
        let mut fleet = Fleet::default();
        let mut known = std::collections::HashSet::new();
        for (host, job, status, seq) in heard {
            let host = format!("host{host}");
            fleet.apply_report(Arc::new(report(&host, &format!("job{job}"), status, seq)), Timestamp::UNIX_EPOCH);
            known.insert(host);
            prop_assert!(known.iter().all(|host| fleet.hosts.contains_key(host.as_str())));
            prop_assert_eq!(fleet.hosts.len(), known.len());
        }
    }
}

#[test]
fn ended_deployments_are_forgotten_oldest_first() {
    let mut fleet = Fleet::default();
    for n in 0..1000 {
        let ended = report("web1", &format!("job{n}"), Status::Completed, Some(n));
        fleet.apply_report(Arc::new(ended), Timestamp::UNIX_EPOCH);
    }
    assert_eq!(fleet.deployments.len(), 200);
    assert!((800..1000).all(|n| fleet.deployments.contains_key(format!("job{n}").as_str())));
    assert_eq!(fleet.hosts.len(), 1);
}

#[test]
fn unfinished_deployments_are_limited_and_removed_once_finished() {
    let mut fleet = Fleet::default();
    let mut apply = |n: u64, status: Status| {
        // Fewer hosts than the limit for unknown hosts.
        let latest = report(&format!("host{}", n % 900), &format!("job{n}"), status, Some(n));
        fleet.apply_report(Arc::new(latest), Timestamp::UNIX_EPOCH);
        fleet.deployments.len()
    };
    let most = u64::try_from(MOST_DEPLOYMENTS).unwrap();
    for n in 0..most + 200 {
        assert!(apply(n, Status::Running) <= MOST_DEPLOYMENTS, "{n}");
    }
    // Running deployments are kept up to the limit, and the newest is always kept.
    assert_eq!(apply(most + 200, Status::Running), MOST_DEPLOYMENTS);
    for n in 201..=most + 200 {
        assert_eq!(apply(n, Status::Completed), MOST_DEPLOYMENTS, "{n} was not kept");
    }
    assert_eq!(apply(most + 201, Status::Running), 200);
}

#[test]
fn a_reply_to_a_job_query_counts_as_a_report() {
    let mut fleet = Fleet::default();
    let mut answer = |report: Option<DeployReport>| {
        let answer = JobReply {
            query: QueryKind::Job,
            id: None,
            hostname: name("web1"),
            report: report.map(Arc::new),
        };
        fleet.apply(Inbound::Reply(id("question"), QueryReply::Job(answer)), Timestamp::UNIX_EPOCH)
    };
    assert!(!answer(None));
    assert!(answer(Some(report("web1", "a", Status::Running, Some(1)))));
    assert!(!answer(Some(report("web1", "a", Status::Running, Some(1)))), "nothing new");
    assert!(answer(Some(report("web1", "a", Status::Completed, Some(2)))));
    assert_eq!(fleet.hosts["web1"].running_job(), None);
}

#[test]
fn a_result_from_a_presence_message_is_completed_by_its_report() {
    let mut fleet = Fleet::default();
    let brief = report("web1", "a", Status::Failed, Some(3));
    let whole = DeployReport { diagnostics: Some("last words".to_owned()), ..brief.clone() };
    let other = DeployReport { seq: Some(4), ..whole.clone() };
    let mut apply =
        |report: &DeployReport| fleet.apply_report(Arc::new(report.clone()), Timestamp::UNIX_EPOCH);
    assert!(apply(&brief));
    assert!(!apply(&other), "another result");
    assert!(apply(&whole));
    assert!(!apply(&whole) && !apply(&brief));
    assert_eq!(*fleet.deployments["a"].job(&name("web1")).unwrap().report, whole);
    assert_eq!(fleet.hosts["web1"].job.as_deref(), Some(&whole));
}
