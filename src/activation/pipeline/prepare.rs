//! Checks whether this host may be deployed to now, and records what runs on it. This happens before the build.

use super::{JobEvent, JobFailure, Pipeline, PipelineRun};
use crate::activation::resolve::{origin, resolve};
use crate::jobs::{ActivationLock, PreviousSystem};
use crate::nix::{Generation, LockedFlake, Nix, Profile};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// The pause between two checks of the connection.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl PipelineRun {
    /// Refuses a host on which the deployment cannot succeed, and records what runs.
    pub(super) async fn prepare(&self) -> Result<PreviousSystem, JobFailure> {
        let unhealthy =
            |why: String| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"));
        let state_dir = &self.pipeline.spawner.state_dir;
        let held = ActivationLock::is_held(state_dir)
            .map_err(|error| unhealthy(format!("could not check the activation lock: {error}")))?;
        if held {
            return Err(unhealthy("another activation is still running on this host".to_owned()));
        }
        for (what, path) in [
            ("the nix store", self.host().root.join("nix/store")),
            ("the state directory", state_dir.clone()),
        ] {
            self.check_free_space(what, &path).map_err(unhealthy)?;
        }
        let services = self.services();
        if self.pipeline.policy.require_healthy && services.is_degraded().await {
            return Err(unhealthy(
                "systemd reports this host as degraded (`systemctl --failed` shows why)".to_owned(),
            ));
        }
        let failed: Vec<String> = services.failed_units().await.unwrap_or_default().into_iter().collect();
        let mut old = self.host().snapshot(failed);
        self.record_looping_services(&mut old).await;
        self.send_event(JobEvent::PreviousSystem(Box::new(old.clone()))).await;
        self.wait_for_connection(&PhaseName::Prepare).await?;
        Ok(old)
    }

    /// Waits until the server answers. Without a connection, the job could neither be reported nor confirmed later.
    pub(super) async fn wait_for_connection(&self, phase: &PhaseName) -> Result<(), JobFailure> {
        let connected = async {
            let mut has_logged = false;
            while !self.job.reachable.run().await {
                if !has_logged {
                    self.log_line("waiting for the NATS server to answer").await?;
                    has_logged = true;
                }
                sleep(RETRY_INTERVAL).await;
            }
            Ok(())
        };
        tokio::select! {
            connected = connected => connected,
            () = self.stop.cancelled() => {
                let stopped = self.stopped(phase).await;
                let message = format!("the NATS server did not answer; {}", stopped.message);
                Err(JobFailure { message, ..stopped })
            }
        }
    }

    /// Checks the free space of the file system of `path`, or of its nearest existing parent directory.
    fn check_free_space(&self, what: &str, path: &Path) -> Result<(), String> {
        let required = self.pipeline.policy.min_free;
        let Some(stat) = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok()) else {
            return Ok(());
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= required {
            return Ok(());
        }
        let mib = |bytes: u64| bytes >> 20;
        Err(format!(
            "only {} MiB are free on {what}, but --min-free requires {} MiB",
            mib(free),
            mib(required)
        ))
    }

    /// Adds a garbage collection root for the running system, so that this job can return to it.
    pub(super) async fn keep_old_system(&self) -> Result<(), JobFailure> {
        let Some(old) = self.host().current_system() else { return Ok(()) };
        let added = Nix::new().add_root(self.job.dir.path(), "old", Path::new(&old)).await;
        added
            .map(drop)
            .map_err(|error| JobFailure::new(ErrorCode::Internal, format!("{error}; nothing was changed")))
    }

    /// Resolves the revision to a commit.
    pub(super) async fn resolve(&self) -> Result<LockedFlake, JobFailure> {
        let Pipeline { commits, flake, spawner, .. } = &self.pipeline;
        let locked = tokio::select! {
            locked = resolve(commits, flake, spawner, &self.job.request) => locked?,
            () = self.stop.cancelled() => return Err(self.stopped(&PhaseName::Prepare).await),
        };
        if let Some(note) = &locked.note {
            self.log_line(note).await?;
        }
        self.log_line(&format!("deploying {}", locked.url)).await?;
        if let Some(origin) = origin(&locked) {
            self.send_event(JobEvent::Origin(origin)).await;
        }
        if let Some(commit) = locked.commit.clone() {
            self.send_event(JobEvent::Commit(commit)).await;
        }
        Ok(locked)
    }

    /// Finds the system of an earlier generation: the requested one, or the one before the current.
    pub(super) async fn earlier_system(&self, old: &PreviousSystem) -> Result<String, JobFailure> {
        let refused =
            |why: String| JobFailure::new(ErrorCode::NotFound, format!("{why}; nothing was changed"));
        let profile = Profile::new(&self.host().profile);
        let all = profile.generations().map_err(|error| refused(error.to_string()))?;
        let found = match self.job.request.generation {
            Some(number) => all.iter().find(|generation| generation.number == number),
            None => self.before_last_change(&all, old.system.as_deref().map(Path::new))?,
        };
        let available: Vec<_> = all.iter().map(|generation| generation.number.to_string()).collect();
        let Some(found) = found else {
            let available = available.join(", ");
            return Err(refused(match self.job.request.generation {
                Some(number) => format!("generation {number} does not exist; the host has {available}"),
                None => {
                    format!("the host has no earlier generation than the current one; it has {available}")
                }
            }));
        };
        self.log_line(&format!("rolling back to generation {}", found.number)).await?;
        self.send_event(JobEvent::Generation(found.number)).await;
        Ok(found.system.to_string_lossy().into_owned())
    }

    /// Finds the generation before the last change of the host.
    fn before_last_change<'a>(
        &self,
        all: &'a [Generation],
        runs: Option<&Path>,
    ) -> Result<Option<&'a Generation>, JobFailure> {
        let Some(at) = all.iter().position(|generation| generation.current) else { return Ok(None) };
        let (current, older) = (&all[at], &all[..at]);
        let Some(runs) = runs else { return Ok(Some(current)) };
        if current.system == runs || has_specialisation(current, runs) {
            return Ok(older.last());
        }
        // The last change was a boot without a reboot yet: the running generation becomes the default again and keeps
        // running.
        if let Some(running) = older.iter().rev().find(|generation| generation.system == runs) {
            return Ok(Some(running));
        }
        if let Some(parent) = older.iter().rev().find(|generation| has_specialisation(generation, runs)) {
            let message = format!(
                "a specialisation of generation {} is running, and activating that generation would leave it; to accept \
                 this, run `homelab-deploy rollback {} --generation {0}`; nothing was changed",
                parent.number, self.pipeline.hostname
            );
            return Err(JobFailure::new(ErrorCode::Unhealthy, message));
        }
        // The running system was only tested.
        Ok(Some(current))
    }
}

/// Whether `system` is a specialisation of a generation.
fn has_specialisation(generation: &Generation, system: &Path) -> bool {
    let all = fs::read_dir(generation.system.join("specialisation")).into_iter().flatten().flatten();
    all.into_iter().any(|link| link.path().canonicalize().is_ok_and(|target| target == system))
}
