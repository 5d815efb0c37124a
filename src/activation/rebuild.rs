//! The engine that hands build and activation to a program: `nixos-rebuild` itself, or any script.

mod environment;
mod narration;
mod run;

use super::resolve::{origin, resolve};
use super::supervised::{CommandSpec, SupervisedCommand};
use super::{
    Engine, Facts, Failure, JobLog, JobLogTail, LogPiece, Order, Outcome, Owner, ProgramKind, ServiceManager,
    Step, Steps, TransientUnit, Units, Work, follow as worker,
};
use crate::jobs::{ExternalCommand, now};
use crate::nix::{CommitPolicy, FlakeAttr, FlakeUrl, Locked};
use crate::protocol::{Action, ErrorCode, PhaseName};
use run::{Run, follow, log_failed, tell};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long a program that may be changing the host may write nothing by default.
pub const SILENT: Duration = Duration::from_hours(1);

/// Calls a program as `PROGRAM ACTION --flake LOCKED_URL#HOST`, in a transient unit or a session of its own, its output in the
/// job's log. The credentials of the flake are in its environment, where git and nix find them.
///
/// A program may tell its phases (see [`super::PhaseLine`]). One whose first line tells none counts as activating from
/// its start, and is then stopped by neither timeout nor cancel.
#[derive(Debug, Clone)]
pub struct RebuildEngine {
    /// The program.
    pub program: PathBuf,
    /// The flake to deploy.
    pub flake: FlakeUrl,
    /// Which commits of it are deployed.
    pub commits: CommitPolicy,
    /// What the flake calls the host.
    pub attr: FlakeAttr,
    /// Our own executable, which launches the program, and the host that is changed.
    pub owner: Owner,
    /// How long a program that may be changing the host may write nothing before it counts as hung.
    pub silence: Duration,
}

impl Engine for RebuildEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel]);
        actions
    }

    fn mask(&self, text: &str) -> String {
        self.flake.mask(text)
    }

    fn facts(&self) -> Facts {
        Facts::read(&self.owner.host.root)
    }

    fn failed_units(&self) -> Units {
        Box::pin(ServiceManager::new(self.owner.host.has_systemd()).failed())
    }

    fn work(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        let engine = self.clone();
        Box::pin(async move {
            tell(&steps, [Step::Enter(PhaseName::Prepare)]).await;
            let locked = tokio::select! {
                locked = resolve(&engine.commits, &engine.flake, &engine.owner, &order.request) => locked?,
                () = stop.cancelled() => return Err(run::stopped(&PhaseName::Prepare)),
            };
            tell(&steps, origin(&locked).map(Step::Origin)).await;
            tell(&steps, locked.commit.clone().map(Step::Commit)).await;
            let (command, external) = engine.start(&order, &locked, &steps, &stop).await?;
            Run::new(&order, steps, command, external, engine.flake, engine.owner.host, engine.silence)?
                .follow(stop)
                .await
        })
    }

    fn follow(&self, order: Order, steps: Steps, stop: CancellationToken) -> Work {
        Box::pin(follow_any(self.owner.clone(), self.flake.clone(), self.silence, order, steps, stop))
    }

    /// The program is started only once that is on disk, so a job without that note has changed nothing.
    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        self.owner.host.boot_id()
    }
}

/// Follows a job of an earlier listener, which may have been configured for the other engine: a worker or a program owns it.
pub(super) async fn follow_any(
    owner: Owner,
    flake: FlakeUrl,
    silence: Duration,
    order: Order,
    steps: Steps,
    stop: CancellationToken,
) -> Outcome {
    if order.folder.record().is_ok_and(|record| record.external_command.is_some()) {
        return follow(order, steps, stop, flake, owner.host, silence).await;
    }
    let tail = JobLogTail::at_end(&order.folder.log()).ok();
    worker::follow(&owner, &order.request.id, tail, &steps).await
}

impl RebuildEngine {
    /// Starts the program, once it is on disk that it is.
    async fn start(
        &self,
        order: &Order,
        locked: &Locked,
        steps: &Steps,
        stop: &CancellationToken,
    ) -> Result<(SupervisedCommand, ExternalCommand), Failure> {
        let installable = format!("{}#{}", locked.url, self.attr);
        let arguments = [order.request.action.as_str(), "--flake", &installable];
        let (said, log_offset) =
            self.announce(order, locked, &arguments).map_err(|error| log_failed(&error))?;
        tell(steps, said.into_iter().map(Step::Log)).await;
        let unit = self.owner.host.has_systemd().then(|| {
            TransientUnit::new(&format!("homelab-deploy-rebuild-{}", order.request.id))
                .output(&order.folder.log())
        });
        let external = ExternalCommand {
            program: self.program.to_string_lossy().into_owned(),
            unit: unit.as_ref().map(|unit| unit.name().to_owned()),
            boot_id: self.boot_id(),
            log_offset,
            started_at: now(),
        };
        let (answer, answered) = oneshot::channel();
        tell(steps, [Step::External(Box::new(external.clone()), answer)]).await;
        let durable = answered.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        durable.map_err(|why| Failure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        if stop.is_cancelled() {
            return Err(run::stopped(&PhaseName::Prepare));
        }
        let credentials = self.flake.environment();
        let environment = match &unit {
            Some(_) => Some(
                environment::write(order.folder.path(), &credentials)
                    .map_err(|error| run::not_started(&external, &error.to_string()))?,
            ),
            None => None,
        };
        let unit = unit.map(|unit| match &environment {
            Some(file) => unit.property("EnvironmentFile", file),
            None => unit,
        });
        let spec = CommandSpec {
            launcher: &self.owner.program,
            unit,
            program: &self.program,
            arguments: &arguments,
            kind: ProgramKind::Rebuild,
            environment: &credentials,
        };
        let started = SupervisedCommand::start(&order.folder, spec).await;
        if let Some(Err(error)) = environment.map(std::fs::remove_file) {
            tracing::warn!(%error, "failed to remove the environment of a rebuild program");
        }
        let command = started.map_err(|reason| run::not_started(&external, &reason))?;
        Ok((command, external))
    }

    /// Writes into the log what is about to be called, and gives the pieces and the offset at which the program's output
    /// begins.
    fn announce(
        &self,
        order: &Order,
        locked: &Locked,
        arguments: &[&str],
    ) -> io::Result<(Vec<LogPiece>, u64)> {
        let mut log = JobLog::open(&order.folder.log())?;
        let mut said = Vec::new();
        if let Some(note) = &locked.note {
            said.push(log.line(note)?);
        }
        let command = format!("$ {} {}", self.program.display(), arguments.join(" "));
        said.push(log.line(&self.flake.scrub(&command))?);
        Ok((said, log.length()))
    }
}
