//! The engine that delegates build and activation to a program: `nixos-rebuild` itself, or any script.

mod environment;
mod output;
mod run;

use super::resolve::{origin, resolve};
use super::supervised_command::{CommandSpec, SupervisedCommand};
use super::{
    Engine, Facts, FailedUnitsFuture, JobEvent, JobEvents, JobFailure, JobFuture, JobLog, JobLogTail,
    JobResult, JobSpec, LogPiece, ProgramKind, Systemd, TransientUnit, WorkerSpawner,
    follow::follow as follow_worker,
};
use crate::clock::now;
use crate::git::CommitPolicy;
use crate::jobs::ExternalCommand;
use crate::nix::{FlakeAttr, FlakeUrl, LockedFlake};
use crate::protocol::{Action, ErrorCode, PhaseName};
use run::{ExternalRun, follow, log_failed, send_events};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Default time without output after which a program that may be changing the host counts as hung.
pub const DEFAULT_SILENCE_LIMIT: Duration = Duration::from_hours(1);

/// Runs a program as `PROGRAM ACTION --flake LOCKED_URL#HOST`, in a transient unit or a separate session. Its output
/// goes to the job's log. The credentials of the flake are in its environment, where git and nix find them.
///
/// A program may report its phases (see [`super::ProgressMarker`]). If its first line does not report one, it counts as
/// activating from its start, and then neither timeout nor cancel stops it.
#[derive(Debug, Clone)]
pub struct ExternalCommandEngine {
    /// The program to run.
    pub program: PathBuf,
    /// The flake to deploy.
    pub flake: FlakeUrl,
    /// Which commits of the flake may be deployed.
    pub commits: CommitPolicy,
    /// The name of the host in the flake.
    pub attr: FlakeAttr,
    /// Our own executable, which starts the program, and the host that is changed.
    pub spawner: WorkerSpawner,
    /// Time without output after which a program that may be changing the host counts as hung.
    pub silence_limit: Duration,
}

impl Engine for ExternalCommandEngine {
    fn actions(&self) -> Vec<Action> {
        let mut actions = Action::BASE.to_vec();
        actions.extend([Action::Build, Action::Cancel]);
        actions
    }

    fn mask(&self, text: &str) -> String {
        self.flake.mask(text)
    }

    fn facts(&self) -> Facts {
        Facts::read(&self.spawner.host.root)
    }

    fn failed_units(&self) -> FailedUnitsFuture {
        Box::pin(Systemd::new(self.spawner.host.has_systemd()).failed_units())
    }

    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let engine = self.clone();
        Box::pin(async move {
            send_events(&events, [JobEvent::PhaseStarted(PhaseName::Prepare)]).await;
            let locked = tokio::select! {
                locked = resolve(&engine.commits, &engine.flake, &engine.spawner, &job.request) => locked?,
                () = stop.cancelled() => return Err(run::stopped(&PhaseName::Prepare)),
            };
            send_events(&events, origin(&locked).map(JobEvent::Origin)).await;
            send_events(&events, locked.commit.clone().map(JobEvent::Commit)).await;
            let (command, external) = engine.start(&job, &locked, &events, &stop).await?;
            ExternalRun::new(
                &job,
                events,
                command,
                external,
                engine.flake,
                engine.spawner.host,
                engine.silence_limit,
            )?
            .follow(stop)
            .await
        })
    }

    fn follow(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        Box::pin(follow_job(self.spawner.clone(), self.flake.clone(), self.silence_limit, job, events, stop))
    }

    /// The program starts only after the record of it is on disk, so a job without that record has changed nothing.
    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        self.spawner.host.boot_id()
    }
}

/// Follows a job of an earlier listener, which may have been configured for the other engine: either the worker or an
/// external program owns it.
pub(super) async fn follow_job(
    spawner: WorkerSpawner,
    flake: FlakeUrl,
    silence_limit: Duration,
    job: JobSpec,
    events: JobEvents,
    stop: CancellationToken,
) -> JobResult {
    if job.dir.record().is_ok_and(|record| record.external_command.is_some()) {
        return follow(job, events, stop, flake, spawner.host, silence_limit).await;
    }
    let tail = JobLogTail::at_end(&job.dir.log()).ok();
    follow_worker(&spawner, &job.request.id, tail, &events).await
}

impl ExternalCommandEngine {
    /// Starts the program after the record of it is on disk.
    async fn start(
        &self,
        job: &JobSpec,
        locked: &LockedFlake,
        events: &JobEvents,
        stop: &CancellationToken,
    ) -> Result<(SupervisedCommand, ExternalCommand), JobFailure> {
        let installable = format!("{}#{}", locked.url, self.attr);
        let arguments = [job.request.action.as_str(), "--flake", &installable];
        let (pieces, log_offset) =
            self.log_command_line(job, locked, &arguments).map_err(|error| log_failed(&error))?;
        send_events(events, pieces.into_iter().map(JobEvent::Log)).await;
        let unit = self.spawner.host.has_systemd().then(|| {
            TransientUnit::new(&format!("homelab-deploy-rebuild-{}", job.request.id)).output(&job.dir.log())
        });
        let external = ExternalCommand {
            program: self.program.to_string_lossy().into_owned(),
            unit: unit.as_ref().map(|unit| unit.name().to_owned()),
            boot_id: self.boot_id(),
            log_offset,
            started_at: now(),
        };
        let (answer, answered) = oneshot::channel();
        send_events(events, [JobEvent::ExternalCommand(Box::new(external.clone()), answer)]).await;
        let saved = answered.await.unwrap_or_else(|_| Err("the listener stopped".to_owned()));
        saved.map_err(|why| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed")))?;
        if stop.is_cancelled() {
            return Err(run::stopped(&PhaseName::Prepare));
        }
        let credentials = self.flake.environment();
        let environment = match &unit {
            Some(_) => Some(
                environment::write(job.dir.path(), &credentials)
                    .map_err(|error| run::not_started(&external, &error.to_string()))?,
            ),
            None => None,
        };
        let unit = unit.map(|unit| match &environment {
            Some(file) => unit.property("EnvironmentFile", file),
            None => unit,
        });
        let spec = CommandSpec {
            supervisor: &self.spawner.program,
            unit,
            program: &self.program,
            arguments: &arguments,
            kind: ProgramKind::Rebuild,
            environment: &credentials,
        };
        let started = SupervisedCommand::start(&job.dir, spec).await;
        if let Some(Err(error)) = environment.map(std::fs::remove_file) {
            tracing::warn!(%error, "failed to remove the environment file of a rebuild program");
        }
        let command = started.map_err(|reason| run::not_started(&external, &reason))?;
        Ok((command, external))
    }

    /// Logs the command line, and returns the pieces and the offset at which the program's output starts.
    fn log_command_line(
        &self,
        job: &JobSpec,
        locked: &LockedFlake,
        arguments: &[&str],
    ) -> io::Result<(Vec<LogPiece>, u64)> {
        let mut log = JobLog::open(&job.dir.log())?;
        let mut pieces = Vec::new();
        if let Some(note) = &locked.note {
            pieces.push(log.line(note)?);
        }
        let command = format!("$ {} {}", self.program.display(), arguments.join(" "));
        pieces.push(log.line(&self.flake.redact(&command))?);
        Ok((pieces, log.length()))
    }
}
