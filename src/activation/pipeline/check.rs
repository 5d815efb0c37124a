//! Whether the new system may be activated: it is one, its own checks agree, and it still has a listener.

mod command;
mod refusal;

use super::{Failure, Outcome, Run, Step, exists};
use crate::activation::program::{AT_BOOT, BUSY};
use crate::nix::{Nix, units_of_activation};
use crate::protocol::{Action, Changes, ErrorCode, PhaseName};
use command::Ran;
use refusal::{Refusal, quote};
use std::path::Path;

/// What to do about a system that only a boot can take up.
const BOOT: &str = "it can only be taken up at boot: deploy with boot, then reboot";

impl Run {
    /// Checks a system. Gives what would refuse a switch, if that matters to nobody now.
    pub(super) async fn check(&self, system: &str) -> Result<Option<String>, Failure> {
        self.tell(Step::Enter(PhaseName::Check)).await;
        let refused =
            |why: String| Failure::new(ErrorCode::CheckRefused, format!("{why}; nothing was changed"));
        for file in ["nixos-version", "bin/switch-to-configuration"] {
            if !exists(system, file) {
                return Err(refused(format!("{system} is no NixOS system: it has no {file}")));
            }
        }
        self.has_listener(system).map_err(refused)?;
        let script = &self.pipeline.policy.pre_activate_script;
        if exists(system, script) {
            let ran = self.run_of(system, script, self.order.request.action.as_str()).await?;
            if !ran.status.success() {
                let lines: Vec<&str> = ran.output.lines().filter(|line| !line.trim().is_empty()).collect();
                let said = if lines.is_empty() { String::new() } else { format!(": {}", quote(&lines)) };
                return Err(refused(format!("the closure's own {script} refused with {}{said}", ran.status)));
            }
        }
        let ran = self.run_of(system, "bin/switch-to-configuration", "check").await?;
        let note = self.judge_check(&ran).map_err(refused)?;
        self.boot_room(system)
            .map_err(|why| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        tokio::select! {
            () = self.tell_changes(system, Changes::default()) => Ok(note),
            () = self.stop.cancelled() => Err(self.stopped(&PhaseName::Check).await),
        }
    }

    /// What `switch-to-configuration check` printed. The checks of NixOS that compare what a running system cannot take up
    /// do not concern the actions that leave it alone.
    fn judge_check(&self, ran: &Ran) -> Result<Option<String>, String> {
        if ran.status.success() {
            return Ok(None);
        }
        let refusal = Refusal::read(&ran.output);
        if refusal == Refusal::Unknown && ran.status.code() == Some(1) {
            return Ok(None);
        }
        let why = refusal.why("the new system's own check");
        if !refusal.is_inhibited() {
            return Err(why);
        }
        match self.order.request.action {
            Action::Boot => Ok(None),
            Action::DryActivate => Ok(Some(format!("a switch would be refused: {why}; {BOOT}"))),
            _ => Err(format!("{why}; {BOOT}")),
        }
    }

    /// A new system without the listener would never be heard of again.
    fn has_listener(&self, system: &str) -> Result<(), String> {
        let Some(unit) = &self.pipeline.listener_unit else { return Ok(()) };
        let file = format!("etc/systemd/system/{unit}");
        let matters = matches!(self.order.request.action, Action::Switch | Action::Test | Action::Rollback);
        let old = self.host().current_system();
        let had = old.is_some_and(|old| exists(&old, &file));
        if !matters || self.pipeline.policy.confirm_timeout.is_zero() || !had || exists(system, &file) {
            return Ok(());
        }
        Err(format!(
            "the new system has no {unit}, so this host could not be reached any more; deploy with boot and reboot, or set \
             --confirm-timeout 0"
        ))
    }

    /// What `dry-activate` says would happen, and what the check had to say.
    pub(super) async fn dry_activate(&self, system: &str, note: Option<String>) -> Outcome {
        let ran = self.run_of(system, "bin/switch-to-configuration", "dry-activate").await?;
        if !ran.status.success() {
            let why = match ran.status.code() {
                Some(100) => AT_BOOT.to_owned(),
                _ => match Refusal::read(&ran.output).why("dry-activate") {
                    why if why == BUSY => why,
                    why => format!("{why} ({})", ran.status),
                },
            };
            return Err(Failure::new(ErrorCode::CheckRefused, format!("{why}; nothing was changed")));
        }
        let units = units_of_activation(&ran.output);
        let (stop, start, restart) = (units.stopped.len(), units.started.len(), units.restarted.len());
        let changes = Changes {
            units_stopped: units.stopped,
            units_started: units.started,
            units_restarted: units.restarted,
            ..Changes::default()
        };
        self.tell_changes(system, changes).await;
        let note = note.map_or_else(String::new, |note| format!("; {note}"));
        Ok(format!("dry-activate done: {stop} units would stop, {start} start, {restart} restart{note}"))
    }

    /// Tells what changes between the running system and the new one. That is good to know and never worth a failure.
    async fn tell_changes(&self, system: &str, changes: Changes) {
        let Some(old) = self.host().current_system().filter(|old| old != system) else { return };
        let nix = Nix::new();
        let (Ok(before), Ok(after)) =
            tokio::join!(nix.closure(Path::new(&old)), nix.closure(Path::new(system)))
        else {
            return;
        };
        let closure = before.changes(&after);
        let changes = Changes { packages: closure.packages, bytes: closure.bytes, ..changes };
        self.tell(Step::Changes(Box::new(changes))).await;
    }
}
