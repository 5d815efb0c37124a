//! Presence messages and reports as of real hosts, with every optional field.

use homelab_deploy::client::Inventory;
use homelab_deploy::protocol::{
    Action, DeployReport, ErrorCode, Id, Name, PhaseName, PhaseState, Phases, Presence, Progress, Status,
    host_subject, role_subject, tier_subject,
};
use jiff::Timestamp;
use std::sync::Arc;

const TIERS: [&str; 3] = ["prod", "stage", "test"];
const ROLES: [&str; 5] = ["dns", "web", "db", "proxy", "build"];
const COMMIT: &str = "3f2a91c0d5e84b7690fd1ab3c2e47785961d0f2e";
const SYSTEM: &str =
    "/nix/store/0c5yz8ba1mqfk9a6lpkr4p9vxy2w7d3h-nixos-system-host-26.05.20260401.3f2a91c0d5e8";

/// The deployment that is running in every bench.
pub(crate) fn deployment() -> Id {
    Id::new("019a0d5e-84b7-7690-8d1a-b3c2e4778596").unwrap()
}

fn name(n: usize) -> Name {
    Name::new(format!("host-{n:05}")).unwrap()
}

fn instance(n: usize) -> String {
    format!("0b9f6c1e-4c7d-4f0e-9a55-{n:012}")
}

/// A report of the running deployment at a step. If `last`, it is final; every second host has failed.
pub(crate) fn report(n: usize, step: u64, last: bool) -> DeployReport {
    let failed = last && n % 2 == 1;
    let status = match last {
        false => Status::Running,
        true if failed => Status::Failed,
        true => Status::Completed,
    };
    let mut phases = Phases::pending();
    phases.enter(&PhaseName::Prepare);
    phases.enter(&PhaseName::Build);
    for phase in phases.0.iter_mut().take(2) {
        phase.elapsed_ms = 1200 + step;
    }
    if last {
        phases.end(if failed { &PhaseState::Failed } else { &PhaseState::Done });
    }
    let message = if last { "the new system runs" } else { "building linux-6.12.9" };
    let mut report = DeployReport::new(name(n), status, message);
    report.error = failed.then_some(ErrorCode::BuildFailed);
    report.id = Some(deployment());
    report.tier = Some(Name::new(TIERS[n % TIERS.len()]).unwrap());
    report.role = Some(Name::new(ROLES[n % ROLES.len()]).unwrap());
    report.action = Some(Action::Switch);
    report.revision = Some("main".into());
    report.issuer = Some("alice@workstation".into());
    report.instance = Some(instance(n).into());
    report.seq = Some(3_000_000 + step);
    report.at = Some(Timestamp::UNIX_EPOCH);
    report.elapsed_ms = Some(52_000 + step);
    report.heartbeat_s = Some(15);
    report.commit = Some(COMMIT.into());
    report.system = Some(SYSTEM.into());
    report.phases = phases;
    report.progress = Some(Box::new(Progress {
        done: step % 120,
        expected: 120,
        running: 3,
        downloaded_bytes: 412 << 20,
        expected_bytes: 1200 << 20,
        activity: format!("building linux-6.12.9, step {step}"),
    }));
    report
}

/// Adds this many hosts to an inventory: a console keeps no more than some times the hosts that it knows.
pub(crate) fn expect(inventory: &mut Inventory, count: usize) {
    for n in 0..count {
        let answer = answer(n);
        inventory.add_expected(&answer.hostname, &answer.tier, answer.role.as_ref());
    }
}

/// Presence of a host, with its last job. Some hosts need a reboot, some are held, some have warnings.
pub(crate) fn answer(n: usize) -> Presence {
    let mut job = report(n, 0, true);
    job.id = Some(Id::new(format!("before-{}", n % 50)).unwrap());
    job.seq = Some(2_000_000);
    // A few jobs of an older deployment have failed.
    if job.status == Status::Failed && n % 20 != 1 {
        (job.status, job.error) = (Status::Completed, None);
    }
    let (tier, role) = (job.tier.clone().unwrap(), job.role.clone().unwrap());
    let subjects = vec![host_subject(&tier, &name(n)), tier_subject(&tier), role_subject(&tier, &role)];
    let mut answer = Presence::new(name(n), tier, Some(role), subjects);
    answer.instance = Some(instance(n).into());
    answer.version = Some("0.1.0".into());
    answer.os_version = Some("NixOS 26.05 (Yarara)".into());
    answer.revision = Some("main".into());
    answer.commit = Some(COMMIT.into());
    answer.system = Some(SYSTEM.into());
    answer.generation = Some(142);
    answer.booted_system = Some(SYSTEM.into());
    answer.reboot_needed = Some(n.is_multiple_of(10));
    answer.booted_at = Some(Timestamp::UNIX_EPOCH);
    answer.flake_url = Some("git+ssh://git@forge.example.org/infrastructure/fleet.git".into());
    answer.nix_free_bytes = Some(48 << 30);
    answer.boot_free_bytes = Some(310 << 20);
    answer.held = (n % 50 == 7).then(|| "disk is being replaced".to_owned());
    if n.is_multiple_of(5) {
        answer.warnings.push("/boot has space for only two more generations".to_owned());
    }
    if n % 8 == 3 {
        answer.failed_units.push("restic-backups-home.service".to_owned());
    }
    answer.job = Some(Arc::new(job));
    answer.capabilities =
        vec![Action::Build, Action::Rollback, Action::Cancel, Action::Reboot, Action::Hold, Action::Release];
    answer.interval_s = Some(60);
    answer
}
