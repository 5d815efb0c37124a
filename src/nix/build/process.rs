//! A running nix build: follows its output until it ends, or terminates it.

use super::diagnosis::Diagnosis;
use super::lines::LineReader;
use super::{BuildContext, BuildError};
use crate::nix::fetch_cache::NixFailure;
use crate::nix::{FlakeUrl, NixLine, ProgressReader};
use crate::unattended::{ProcessGroup, read_limited, spawn};
use rustix::process::{Signal, kill_process_group};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long nix may take to end its builds after SIGTERM.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);
/// How often SIGTERM is repeated.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait for the last lines after nix has ended. An ssh connection that outlives nix keeps its pipe open.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of nix's stdout, in bytes. Enough for the names of many hosts.
const MAX_RESULT: u64 = 1 << 20;

/// A running nix process.
pub(super) struct BuildProcess {
    // Declared before the child and so dropped before it: until the child is reaped, its process id is not reused.
    group: ProcessGroup,
    child: Child,
    lines: LineReader<ChildStderr>,
    diagnosis: Diagnosis,
}

impl BuildProcess {
    /// Spawns nix.
    pub(super) fn start(mut command: Command, context: &BuildContext) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Io { host: context.host.clone(), source };
        let mut child = spawn(&mut command).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BuildError::NixNotFound,
            _ => failed(error),
        })?;
        let group = ProcessGroup::of(&child);
        let stderr = child.stderr.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { group, child, lines: LineReader::new(stderr), diagnosis: Diagnosis::default() })
    }

    /// Forwards nix's messages to `output` and returns its stdout.
    pub(super) async fn follow(
        mut self,
        context: &BuildContext,
        output: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, NixFailure<BuildError>> {
        let host = || context.host.clone();
        let stdout = self.child.stdout.take();
        let exited = tokio::select! {
            exited = async { tokio::join!(self.forward_output(context, &output), read_limited(stdout, MAX_RESULT)) } => Some(exited),
            () = stop.cancelled() => None,
        };
        let Some((status, result)) = exited else {
            self.terminate().await.map_err(|source| BuildError::Io { host: host(), source })?;
            return Err(BuildError::Stopped { host: host() }.into());
        };
        let status = status.map_err(|source| BuildError::Io { host: host(), source })?;
        self.group.disarm();
        if !status.success() {
            let damage = self.diagnosis.damage();
            return Err(NixFailure { error: self.diagnosis.into_error(context, status), damage });
        }
        result.map_err(|source| BuildError::Io { host: host(), source }.into())
    }

    /// Forwards nix's messages until it ends.
    async fn forward_output(
        &mut self,
        context: &BuildContext,
        output: &mpsc::Sender<NixLine>,
    ) -> io::Result<ExitStatus> {
        let mut reader = ProgressReader::new();
        let diagnosis = &mut self.diagnosis;
        let mut handle_line = async |line: String| {
            let event = reader.line(&line).map(|event| redacted(&context.flake, event));
            diagnosis.record(&line, event.as_ref(), &context.flake);
            if let Some(event) = event {
                // The build continues even if the receiver was dropped.
                let _ = output.send(event).await;
            }
        };
        let status = loop {
            tokio::select! {
                line = self.lines.next() => match line? {
                    Some(line) => handle_line(line).await,
                    None => break self.child.wait().await?,
                },
                status = self.child.wait() => break status?,
            }
        };
        while let Ok(Some(line)) = timeout(DRAIN_TIMEOUT, self.lines.next()).await.unwrap_or(Ok(None)) {
            handle_line(line).await;
        }
        Ok(status)
    }

    /// Terminates the process group: SIGTERM first, so that nix ends its builds, then SIGKILL after [`TERMINATION_GRACE`].
    async fn terminate(mut self) -> io::Result<()> {
        if self.child.id().is_none() {
            // nix has already exited; only its last lines were outstanding.
            self.group.disarm();
            return Ok(());
        }
        let signalled = async {
            let mut ticks = interval(SIGNAL_INTERVAL);
            loop {
                tokio::select! {
                    status = self.child.wait() => return status,
                    // Repeated because nix misses a signal that arrives just before it waits for its builds.
                    _ = ticks.tick() => self.group.signal(Signal::TERM),
                    // A full pipe would keep nix from exiting.
                    () = self.lines.drain() => {}
                }
            }
        };
        if timeout(TERMINATION_GRACE, signalled).await.is_err() {
            for group_id in self.group.descendant_groups() {
                // Fails if the group has already exited.
                let _ = kill_process_group(group_id, Signal::KILL);
            }
            self.group.signal(Signal::KILL);
            self.child.wait().await?;
        }
        // Descendants may have ignored SIGTERM.
        self.group.signal(Signal::KILL);
        self.group.disarm();
        Ok(())
    }
}

fn redacted(flake: &FlakeUrl, event: NixLine) -> NixLine {
    match event {
        NixLine::Log(text) => NixLine::Log(flake.redact(&text)),
        NixLine::Progress(mut progress) => {
            progress.activity = flake.redact(&progress.activity);
            NixLine::Progress(progress)
        }
    }
}
