//! nix while it builds: heard to its end, or brought to it.

use super::findings::Findings;
use super::lines::Lines;
use super::{About, BuildError};
use crate::nix::fetch_cache::Damage;
use crate::nix::process::{Group, read, spawn};
use crate::nix::{FlakeUrl, NixLine, ProgressReader};
use rustix::process::{Signal, kill_process_group};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long nix may take to end its builds once it is asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is asked.
const AGAIN: Duration = Duration::from_millis(250);
/// How long the last lines may take once nix has ended: a connection of ssh that outlives it holds its pipe.
const LAST_LINES: Duration = Duration::from_secs(1);
/// The most of the result that is read, in bytes: room for the names of many hosts.
const MAX_RESULT: u64 = 1 << 20;

/// Why nix gave no result.
pub(super) struct Unbuilt {
    pub(super) error: BuildError,
    /// What of nix's cache is damaged, if that may be the reason.
    pub(super) damage: Option<Damage>,
}

impl From<BuildError> for Unbuilt {
    fn from(error: BuildError) -> Self {
        Self { error, damage: None }
    }
}

/// nix at work.
pub(super) struct Running {
    // Before the child, so dropped before it: the number is then still its own.
    group: Group,
    child: Child,
    lines: Lines<ChildStderr>,
    findings: Findings,
}

impl Running {
    /// Starts nix.
    pub(super) fn start(mut command: Command, about: &About) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Run { host: about.host.clone(), source };
        let mut child = spawn(&mut command).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BuildError::NoNix,
            _ => failed(error),
        })?;
        let group = Group::of(&child);
        let stderr = child.stderr.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { group, child, lines: Lines::new(stderr), findings: Findings::default() })
    }

    /// Tells what nix says, and gives what it prints.
    pub(super) async fn follow(
        mut self,
        about: &About,
        told: mpsc::Sender<NixLine>,
        stop: &CancellationToken,
    ) -> Result<String, Unbuilt> {
        let host = || about.host.clone();
        let stdout = self.child.stdout.take();
        let ended = tokio::select! {
            ended = async { tokio::join!(self.listen(about, &told), read(stdout, MAX_RESULT)) } => Some(ended),
            () = stop.cancelled() => None,
        };
        let Some((status, result)) = ended else {
            self.end().await.map_err(|source| BuildError::Run { host: host(), source })?;
            return Err(BuildError::Stopped { host: host() }.into());
        };
        let status = status.map_err(|source| BuildError::Run { host: host(), source })?;
        self.group.ended();
        if !status.success() {
            let damage = self.findings.damage();
            return Err(Unbuilt { error: self.findings.conclude(about, status), damage });
        }
        result.map_err(|source| BuildError::Run { host: host(), source }.into())
    }

    /// Tells what nix says until it ends.
    async fn listen(&mut self, about: &About, told: &mpsc::Sender<NixLine>) -> io::Result<ExitStatus> {
        let mut reader = ProgressReader::new();
        let findings = &mut self.findings;
        let mut hear = async |line: String| {
            let meaning = reader.line(&line).map(|meaning| scrubbed(&about.flake, meaning));
            findings.hear(&line, meaning.as_ref(), &about.flake);
            if let Some(meaning) = meaning {
                // Nobody listens any more, and the result is wanted all the same.
                let _ = told.send(meaning).await;
            }
        };
        let status = loop {
            tokio::select! {
                line = self.lines.next() => match line? {
                    Some(line) => hear(line).await,
                    None => break self.child.wait().await?,
                },
                status = self.child.wait() => break status?,
            }
        };
        while let Ok(Some(line)) = timeout(LAST_LINES, self.lines.next()).await.unwrap_or(Ok(None)) {
            hear(line).await;
        }
        Ok(status)
    }

    /// Ends the whole group: SIGTERM first, so that nix ends its builds; SIGKILL after the grace for what is left.
    async fn end(mut self) -> io::Result<()> {
        if self.child.id().is_none() {
            // It ended by itself, and only its last lines were waited for.
            self.group.ended();
            return Ok(());
        }
        let heeded = async {
            let mut again = interval(AGAIN);
            loop {
                tokio::select! {
                    status = self.child.wait() => return status,
                    // nix misses a signal that comes just before it waits for its builds.
                    _ = again.tick() => self.group.signal(Signal::TERM),
                    // Nobody may wait for room in the pipe.
                    () = self.lines.drain() => {}
                }
            }
        };
        if timeout(GRACE, heeded).await.is_err() {
            for family in self.group.families() {
                // Gone already is as good.
                let _ = kill_process_group(family, Signal::KILL);
            }
            self.group.signal(Signal::KILL);
            self.child.wait().await?;
        }
        // What heeded less than nix did.
        self.group.signal(Signal::KILL);
        self.group.ended();
        Ok(())
    }
}

fn scrubbed(flake: &FlakeUrl, meaning: NixLine) -> NixLine {
    match meaning {
        NixLine::Log(text) => NixLine::Log(flake.scrub(&text)),
        NixLine::Progress(mut progress) => {
            progress.activity = flake.scrub(&progress.activity);
            NixLine::Progress(progress)
        }
    }
}
