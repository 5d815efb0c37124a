//! Checks whether the new system may be activated: it is a NixOS system, its own checks succeed, and it still has a
//! listener.

mod command;
mod refusal;

use super::{JobEvent, JobFailure, JobResult, PipelineRun, exists};
use crate::activation::worker::{BOOT_REQUIRED, BUSY};
use crate::nix::{Nix, Profile, parse_unit_changes};
use crate::protocol::{Action, Changes, ErrorCode, PhaseName};
use command::ProgramResult;
use refusal::{CheckRefusal, quote};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The advice for a system that cannot be switched to while the host runs.
const BOOT_ADVICE: &str = "it can only be activated at boot: deploy with boot, then reboot";
/// The files that a boot loader copies.
const BOOT_FILES: [&str; 2] = ["kernel", "initrd"];

impl PipelineRun {
    /// Checks a system. Returns the reason why a switch would be refused, if the requested action is not affected by
    /// it.
    pub(super) async fn check(&self, system: &str) -> Result<Option<String>, JobFailure> {
        self.send_event(JobEvent::PhaseStarted(PhaseName::Check)).await;
        let refused =
            |why: String| JobFailure::new(ErrorCode::CheckRefused, format!("{why}; nothing was changed"));
        for file in ["nixos-version", "bin/switch-to-configuration"] {
            if !exists(system, file) {
                return Err(refused(format!("{system} is not a NixOS system: it has no {file}")));
            }
        }
        self.require_listener(system).map_err(refused)?;
        let script = &self.pipeline.policy.pre_activate_script;
        if exists(system, script) {
            let result = self.run_program(system, script, self.job.request.action.as_str()).await?;
            if !result.status.success() {
                let lines: Vec<&str> = result.output.lines().filter(|line| !line.trim().is_empty()).collect();
                let details = if lines.is_empty() { String::new() } else { format!(": {}", quote(&lines)) };
                return Err(refused(format!(
                    "the closure's own {script} refused with {}{details}",
                    result.status
                )));
            }
        }
        let result = self.run_program(system, "bin/switch-to-configuration", "check").await?;
        let note = self.classify_check(&result).map_err(refused)?;
        self.check_boot_space(system)
            .map_err(|why| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        tokio::select! {
            () = self.send_changes(system, Changes::default()) => Ok(note),
            () = self.stop.cancelled() => Err(self.stopped(&PhaseName::Check).await),
        }
    }

    /// Interprets the result of `switch-to-configuration check`. The switch inhibitors of NixOS concern a running
    /// system, so they do not affect actions that leave it alone.
    fn classify_check(&self, result: &ProgramResult) -> Result<Option<String>, String> {
        if result.status.success() {
            return Ok(None);
        }
        let refusal = CheckRefusal::parse(&result.output);
        if refusal == CheckRefusal::Unknown && result.status.code() == Some(1) {
            return Ok(None);
        }
        let why = refusal.reason("the new system's own check");
        if !refusal.is_inhibited() {
            return Err(why);
        }
        match self.job.request.action {
            Action::Boot => Ok(None),
            Action::DryActivate => Ok(Some(format!("a switch would be refused: {why}; {BOOT_ADVICE}"))),
            _ => Err(format!("{why}; {BOOT_ADVICE}")),
        }
    }

    /// Refuses a new system without the listener, because it could never be reached again.
    fn require_listener(&self, system: &str) -> Result<(), String> {
        let Some(unit) = &self.pipeline.listener_unit else { return Ok(()) };
        let file = format!("etc/systemd/system/{unit}");
        let is_affected = matches!(self.job.request.action, Action::Switch | Action::Test | Action::Rollback);
        let old = self.host().current_system();
        let had = old.is_some_and(|old| exists(&old, &file));
        if !is_affected || self.pipeline.policy.confirm_timeout.is_zero() || !had || exists(system, &file) {
            return Ok(());
        }
        Err(format!(
            "the new system has no {unit}, so this host would become unreachable; deploy with boot and reboot, or set \
             --confirm-timeout 0"
        ))
    }

    /// Reports what `dry-activate` would change, with the note of the check.
    pub(super) async fn dry_activate(&self, system: &str, note: Option<String>) -> JobResult {
        let result = self.run_program(system, "bin/switch-to-configuration", "dry-activate").await?;
        if !result.status.success() {
            let why = match result.status.code() {
                Some(100) => BOOT_REQUIRED.to_owned(),
                _ => match CheckRefusal::parse(&result.output).reason("dry-activate") {
                    why if why == BUSY => why,
                    why => format!("{why} ({})", result.status),
                },
            };
            return Err(JobFailure::new(ErrorCode::CheckRefused, format!("{why}; nothing was changed")));
        }
        let units = parse_unit_changes(&result.output);
        let (stop, start, restart) = (units.stopped.len(), units.started.len(), units.restarted.len());
        let changes = Changes {
            units_stopped: units.stopped,
            units_started: units.started,
            units_restarted: units.restarted,
            ..Changes::default()
        };
        self.send_changes(system, changes).await;
        let note = note.map_or_else(String::new, |note| format!("; {note}"));
        Ok(format!("dry-activate done: {stop} units would stop, {start} start, {restart} restart{note}"))
    }

    /// Sends the differences between the running system and the new one. They are informative only, so errors are
    /// ignored.
    async fn send_changes(&self, system: &str, changes: Changes) {
        let Some(old) = self.host().current_system().filter(|old| old != system) else { return };
        let nix = Nix::new();
        let (Ok(before), Ok(after)) =
            tokio::join!(nix.closure(Path::new(&old)), nix.closure(Path::new(system)))
        else {
            return;
        };
        let closure = before.changes(&after);
        let changes = Changes { packages: closure.packages, bytes: closure.bytes, ..changes };
        self.send_event(JobEvent::Changes(Box::new(changes))).await;
    }

    /// Only files that no generation has copied yet need space. A system without a kernel, as in a container, has no
    /// boot loader either.
    fn check_boot_space(&self, system: &str) -> Result<(), String> {
        let persists = matches!(self.job.request.action, Action::Switch | Action::Boot | Action::Rollback);
        let Ok(stat) = rustix::fs::statvfs(self.host().root.join("boot")) else { return Ok(()) };
        if !persists {
            return Ok(());
        }
        let generations = Profile::new(&self.host().profile).generations().unwrap_or_default();
        let existing: HashSet<PathBuf> =
            generations.iter().flat_map(|generation| boot_files(&generation.system)).collect();
        let new = boot_files(Path::new(system)).filter(|file| !existing.contains(file));
        let needed: u64 = new.filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum();
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed <= free {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(format!(
            "only {} MiB are free on /boot, but the new kernel and initrd take {} MiB; delete old generations",
            free >> 20,
            mib(needed)
        ))
    }
}

fn boot_files(system: &Path) -> impl Iterator<Item = PathBuf> {
    BOOT_FILES.into_iter().filter_map(|name| fs::canonicalize(system.join(name)).ok())
}
