//! Whether the new system may be activated: it is one, its own checks agree, and it still has a listener.

use super::{Failure, Outcome, Run, Step, exists};
use crate::nix::{Nix, units_of_activation};
use crate::protocol::{Action, Changes, ErrorCode, PhaseName};
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a check of the new system may take.
const LIMIT: Duration = Duration::from_mins(2);

/// What the check of NixOS says where parts have changed that a running system cannot take up.
const INHIBITED: &str = "'switchInhibitors' failed";

impl Run {
    pub(super) async fn check(&self, system: &str) -> Result<(), Failure> {
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
            let output = self.run_of(system, script, self.order.request.action.as_str()).await?;
            if !output.status.success() {
                return Err(refused(format!("the closure's own {script} refused with {}", output.status)));
            }
        }
        let output = self.run_of(system, "bin/switch-to-configuration", "check").await?;
        self.judge_check(&output).map_err(refused)?;
        self.boot_room(system)
            .map_err(|why| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        tokio::select! {
            () = self.tell_changes(system, Changes::default()) => Ok(()),
            () = self.stop.cancelled() => Err(self.stopped(&PhaseName::Check).await),
        }
    }

    /// What `switch-to-configuration check` said.
    fn judge_check(&self, output: &Output) -> Result<(), String> {
        let said = text(&output.stderr);
        // Older ones do not know `check` and print how they are used.
        let unknown = output.status.code() == Some(1) && said.contains("Usage:");
        if output.status.success() || unknown {
            return Ok(());
        }
        let inhibited = [&said, &text(&output.stdout)].iter().any(|said| said.contains(INHIBITED));
        if inhibited && self.order.request.action == Action::Boot {
            return Ok(());
        }
        let last =
            said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
        let advice =
            if inhibited { "; it can only be taken up at boot: deploy with boot, then reboot" } else { "" };
        Err(format!("the new system's own check refused: {last}{advice}"))
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

    /// What `dry-activate` says would happen.
    pub(super) async fn dry_activate(&self, system: &str) -> Outcome {
        let output = self.run_of(system, "bin/switch-to-configuration", "dry-activate").await?;
        if !output.status.success() {
            let message = format!("dry-activate ended with {}", output.status);
            return Err(Failure::new(ErrorCode::CheckRefused, message));
        }
        let units = units_of_activation(&format!("{}\n{}", text(&output.stdout), text(&output.stderr)));
        let (stop, start, restart) = (units.stopped.len(), units.started.len(), units.restarted.len());
        let changes = Changes {
            units_stopped: units.stopped,
            units_started: units.started,
            units_restarted: units.restarted,
            ..Changes::default()
        };
        self.tell_changes(system, changes).await;
        Ok(format!("dry-activate done: {stop} units would stop, {start} start, {restart} restart"))
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

    /// Runs a program of the closure; its output goes into the log.
    async fn run_of(&self, system: &str, program: &str, argument: &str) -> Result<Output, Failure> {
        let path = Path::new(system).join(program);
        self.say(&format!("$ {} {argument}", path.display())).await?;
        let mut command = Command::new(&path);
        command.arg(argument).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        // Its children share its group, so that none is left where it is stopped.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |why: String| {
            Failure::new(ErrorCode::CheckRefused, format!("{}: {why}; nothing was changed", path.display()))
        };
        let child = command.spawn().map_err(|error| failed(format!("could not be started: {error}")))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let end_all = || group.map(|group| kill_process_group(group, Signal::KILL));
        let output = tokio::select! {
            output = timeout(LIMIT, child.wait_with_output()) => output,
            () = self.stop.cancelled() => {
                end_all();
                return Err(self.stopped(&PhaseName::Check).await);
            }
        };
        let Ok(output) = output else {
            end_all();
            return Err(failed(format!("no end after {} s", LIMIT.as_secs())));
        };
        let output = output.map_err(|error| failed(format!("could not be heard: {error}")))?;
        for line in text(&output.stdout).lines().chain(text(&output.stderr).lines()) {
            self.say(line).await?;
        }
        Ok(output)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
