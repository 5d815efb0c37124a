//! How many reports per second the fleet state applies, compared with inserting the same reports into a map.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

use homelab_deploy::fleet::Fleet;
use homelab_deploy::protocol::{DeployReport, Id, Name, Phases, Progress, Status};
use jiff::Timestamp;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOSTS: u32 = 1000;
const REPORTS_EACH: u32 = 100;
const ROUNDS: usize = 7;
const BOUND: f64 = 1_000_000.0;

/// Reports as a busy fleet sends them: all hosts in turn, each one step further.
fn reports(id: &Id) -> Vec<Arc<DeployReport>> {
    let names: Vec<_> = (0..HOSTS).map(|n| Name::new(format!("host{n}")).unwrap()).collect();
    let report = |step: u32, name: &Name| {
        let mut report = DeployReport::new(name.clone(), Status::Running, "build");
        report.id = Some(id.clone());
        report.tier = Some(Name::new("prod").unwrap());
        report.revision = Some("main".into());
        report.instance = Some(format!("instance-of-{name}").into());
        report.seq = Some(1_000_000 + u64::from(step));
        report.phases = Phases::pending();
        report.progress = Some(Box::new(Progress {
            done: u64::from(step),
            expected: u64::from(REPORTS_EACH),
            activity: "building linux".to_owned(),
            ..Progress::default()
        }));
        Arc::new(report)
    };
    (0..REPORTS_EACH).flat_map(|step| names.iter().map(move |name| report(step, name))).collect()
}

/// Reports per second, from the median of the rounds.
fn rate(mut rounds: Vec<Duration>) -> f64 {
    rounds.sort_unstable();
    f64::from(HOSTS * REPORTS_EACH) / rounds[rounds.len() / 2].as_secs_f64()
}

fn main() -> ExitCode {
    let now = Timestamp::now();
    let (mut applied, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let id = Id::new(format!("round{round}")).unwrap();
        let mut fleet = Fleet::default();
        let batch = reports(&id);
        let start = Instant::now();
        for report in batch {
            fleet.apply_report(report, now);
        }
        applied.push(start.elapsed());
        assert_eq!(fleet.hosts.len(), HOSTS as usize);

        let mut map: HashMap<Name, Arc<DeployReport>> = HashMap::new();
        let batch = reports(&id);
        let start = Instant::now();
        for report in batch {
            map.insert(report.hostname.clone(), report);
        }
        baseline.push(start.elapsed());
        assert_eq!(map.len(), HOSTS as usize);
    }
    let (applied, baseline) = (rate(applied), rate(baseline));
    println!("fleet: {applied:.0} reports per second, bound {BOUND:.0}; baseline, a bare map: {baseline:.0}");
    if applied < BOUND { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
