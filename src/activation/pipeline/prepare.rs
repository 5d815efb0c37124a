//! Before anything is built: whether this host may be deployed to now, and what runs on it.

use super::{Failure, Pipeline, Run, Step};
use crate::activation::resolve::{origin, resolve};
use crate::jobs::{ActivationLock, System};
use crate::nix::{Generation, Locked, Nix, Profile};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// The pause between two looks at a link that is not proven.
const LINK_AGAIN: Duration = Duration::from_secs(1);

impl Run {
    /// Refuses what cannot go well, and writes down what runs.
    pub(super) async fn prepare(&self) -> Result<System, Failure> {
        let unhealthy =
            |why: String| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"));
        let state_dir = &self.pipeline.owner.state_dir;
        let held = ActivationLock::is_held(state_dir)
            .map_err(|error| unhealthy(format!("could not look at the activation lock: {error}")))?;
        if held {
            return Err(unhealthy("another activation still runs on this host".to_owned()));
        }
        for (what, path) in [
            ("the nix store", self.host().root.join("nix/store")),
            ("the state directory", state_dir.clone()),
        ] {
            self.room(what, &path).map_err(unhealthy)?;
        }
        let services = self.services();
        if self.pipeline.policy.require_healthy && services.is_degraded().await {
            return Err(unhealthy(
                "systemd calls this host degraded (`systemctl --failed` tells why)".to_owned(),
            ));
        }
        let failed: Vec<String> = services.failed().await.unwrap_or_default().into_iter().collect();
        let mut old = self.host().snapshot(failed);
        self.look_at_services(&mut old).await;
        self.tell(Step::Old(Box::new(old.clone()))).await;
        self.link(&PhaseName::Prepare).await?;
        Ok(old)
    }

    /// Waits until the link to the server is proven: what goes on without it could not be told, and could not be proven later.
    pub(super) async fn link(&self, phase: &PhaseName) -> Result<(), Failure> {
        let proven = async {
            let mut said = false;
            while !self.order.reachable.ask().await {
                if !said {
                    self.say("waiting for the server to answer").await?;
                    said = true;
                }
                sleep(LINK_AGAIN).await;
            }
            Ok(())
        };
        tokio::select! {
            proven = proven => proven,
            () = self.stop.cancelled() => {
                let stopped = self.stopped(phase).await;
                let message = format!("the server did not answer; {}", stopped.message);
                Err(Failure { message, ..stopped })
            }
        }
    }

    /// Whether enough is free where `path` lies, or its nearest folder that is there.
    fn room(&self, what: &str, path: &Path) -> Result<(), String> {
        let least = self.pipeline.policy.min_free;
        let Some(stat) = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok()) else {
            return Ok(());
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= least {
            return Ok(());
        }
        let mib = |bytes: u64| bytes >> 20;
        Err(format!("only {} MiB are free on {what}, and --min-free asks for {} MiB", mib(free), mib(least)))
    }

    /// Keeps what runs from garbage collection, for as long as this job may go back to it.
    pub(super) async fn keep_old(&self) -> Result<(), Failure> {
        let Some(old) = self.host().current_system() else { return Ok(()) };
        let kept = Nix::new().keep(self.order.folder.path(), "old", Path::new(&old)).await;
        kept.map(drop)
            .map_err(|error| Failure::new(ErrorCode::Internal, format!("{error}; nothing was changed")))
    }

    /// The one commit that the revision is.
    pub(super) async fn resolve(&self) -> Result<Locked, Failure> {
        let Pipeline { commits, flake, owner, .. } = &self.pipeline;
        let locked = tokio::select! {
            locked = resolve(commits, flake, owner, &self.order.request) => locked?,
            () = self.stop.cancelled() => return Err(self.stopped(&PhaseName::Prepare).await),
        };
        if let Some(note) = &locked.note {
            self.say(note).await?;
        }
        self.say(&format!("deploying {}", locked.url)).await?;
        if let Some(origin) = origin(&locked) {
            self.tell(Step::Origin(origin)).await;
        }
        if let Some(commit) = locked.commit.clone() {
            self.tell(Step::Commit(commit)).await;
        }
        Ok(locked)
    }

    /// The system of an earlier generation: the one that was asked for, or the one before the present.
    pub(super) async fn earlier_system(&self, old: &System) -> Result<String, Failure> {
        let refused = |why: String| Failure::new(ErrorCode::NotFound, format!("{why}; nothing was changed"));
        let profile = Profile::new(&self.host().profile);
        let all = profile.generations().map_err(|error| refused(error.to_string()))?;
        let found = match self.order.request.generation {
            Some(wanted) => all.iter().find(|generation| generation.number == wanted),
            None => self.before_last_change(&all, old.system.as_deref().map(Path::new))?,
        };
        let kept: Vec<_> = all.iter().map(|generation| generation.number.to_string()).collect();
        let Some(found) = found else {
            let kept = kept.join(", ");
            return Err(refused(match self.order.request.generation {
                Some(wanted) => format!("there is no generation {wanted}; the host keeps {kept}"),
                None => format!("no earlier generation is kept; the host keeps {kept}"),
            }));
        };
        self.say(&format!("going back to generation {}", found.number)).await?;
        self.tell(Step::Generation(found.number)).await;
        Ok(found.system.to_string_lossy().into_owned())
    }

    /// The generation before the last change of the host.
    fn before_last_change<'a>(
        &self,
        all: &'a [Generation],
        runs: Option<&Path>,
    ) -> Result<Option<&'a Generation>, Failure> {
        let Some(at) = all.iter().position(|generation| generation.current) else { return Ok(None) };
        let (current, older) = (&all[at], &all[..at]);
        let Some(runs) = runs else { return Ok(Some(current)) };
        if current.system == runs || has_specialisation(current, runs) {
            return Ok(older.last());
        }
        // The last change was a boot that no reboot has followed: what runs becomes the default again, and stays.
        if let Some(running) = older.iter().rev().find(|generation| generation.system == runs) {
            return Ok(Some(running));
        }
        if let Some(parent) = older.iter().rev().find(|generation| has_specialisation(generation, runs)) {
            let message = format!(
                "a specialisation of generation {} runs, and activating that generation would end it; to accept this, \
                 `homelab-deploy rollback {} --generation {0}`; nothing was changed",
                parent.number, self.pipeline.hostname
            );
            return Err(Failure::new(ErrorCode::Unhealthy, message));
        }
        // What runs was tried and not kept.
        Ok(Some(current))
    }
}

/// Whether `system` is a specialisation of a generation.
fn has_specialisation(generation: &Generation, system: &Path) -> bool {
    let all = fs::read_dir(generation.system.join("specialisation")).into_iter().flatten().flatten();
    all.into_iter().any(|link| link.path().canonicalize().is_ok_and(|target| target == system))
}
