//! A command that outlives the listener: a supervisor of ours runs it and notes how it ended, in a transient unit if systemd
//! runs the host, else in a session of its own. Any later listener finds it by its state file.

mod state_file;

use super::{ProgramKind, ServiceManager, TransientUnit};
use crate::jobs::JobFolder;
use crate::private;
use crate::protocol::{PhaseName, fit_start};
use crate::unattended;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
pub(super) use state_file::{CommandEnd, CommandState, StateFile};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a command is looked at.
pub(super) const POLL: Duration = Duration::from_millis(50);
/// How long a command may take to heed SIGTERM before its processes are killed.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long a supervisor may take to appear after it was started.
const APPEARS: Duration = Duration::from_secs(3);
/// How long processes may take to be gone after SIGKILL.
const GONE: Duration = Duration::from_secs(30);
/// Has a supervisor read all that its command has written.
pub(super) const CATCH_UP: Signal = Signal::USR1;
/// The longest reason that a state file takes, in bytes.
const REASON: usize = 200;

/// What to start, and where.
pub(super) struct CommandSpec<'a> {
    /// Our own executable, which supervises the command.
    pub(super) launcher: &'a Path,
    /// The unit, if systemd runs the host. Its output goes into the job's log.
    pub(super) unit: Option<TransientUnit>,
    /// The program.
    pub(super) program: &'a Path,
    /// Its arguments.
    pub(super) arguments: &'a [&'a str],
    /// What it is.
    pub(super) kind: ProgramKind,
    /// Further variables, where it runs in no unit; values may be secret.
    pub(super) environment: &'a [(String, String)],
}

/// A command of a job: at most one at a time. Dropping it leaves the command alone.
#[derive(Debug)]
pub(super) struct SupervisedCommand {
    file: PathBuf,
    unit: Option<String>,
    /// Since when it is expected to be there.
    since: Instant,
}

impl SupervisedCommand {
    /// Starts a command. One that an earlier listener left in this job is ended first.
    pub(super) async fn start(folder: &JobFolder, spec: CommandSpec<'_>) -> Result<Self, String> {
        let left = Self::attach(folder);
        if left.state().is_some_and(|state| state.end.is_none()) {
            left.end(Duration::ZERO).await;
        }
        let unit = spec.unit.as_ref().map(|unit| unit.name().to_owned());
        let command = Self { file: folder.command_file(), unit: unit.clone(), since: Instant::now() };
        StateFile::create(&command.file, unit)
            .map_err(|error| format!("could not write {}: {error}", command.file.display()))?;
        let mut arguments: Vec<OsString> = ["activation", "supervise", "--state"].map(OsString::from).into();
        arguments.extend([command.file.clone().into(), "--log".into(), folder.log().into()]);
        arguments.extend((spec.kind == ProgramKind::Check).then(|| "--check".into()));
        // The end of its unit is the end of all that runs there.
        arguments.extend(spec.unit.is_none().then(|| "--stay".into()));
        arguments.push(spec.program.into());
        arguments.extend(spec.arguments.iter().map(OsString::from));
        let started = match &spec.unit {
            Some(unit) => unit.start(spec.launcher, &arguments).await.map_err(|error| error.to_string()),
            None => detached(spec.launcher, &arguments, spec.environment, &folder.log())
                .map_err(|error| format!("could not start {}: {error}", spec.launcher.display())),
        };
        match started {
            Err(reason) if command.forestall(&reason) => Err(reason),
            // A service manager may have done what it says it could not.
            _ => Ok(Self { since: Instant::now(), ..command }),
        }
    }

    /// The command that this or an earlier listener started in a job.
    pub(super) fn attach(folder: &JobFolder) -> Self {
        let file = folder.command_file();
        let unit = StateFile::peek(&file).and_then(|state| state.unit);
        Self { file, unit, since: Instant::now() }
    }

    /// The unit that it runs in.
    pub(super) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// How it ended, once it has. What it wrote is in the log by then.
    pub(super) fn ended(&self) -> Option<CommandEnd> {
        let state = self.state();
        if let Some(end) = state.as_ref().and_then(|state| state.end.clone()) {
            return Some(end);
        }
        let began = state.is_some_and(|state| state.pid.is_some());
        if !began && self.since.elapsed() < APPEARS {
            return None;
        }
        match StateFile::lock(&self.file) {
            // Nobody holds it, so nobody supervises the command.
            Ok(Some(file)) => Some(settle(&file, "its supervisor did not start")),
            Ok(None) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(CommandEnd::Lost),
            Err(error) => {
                tracing::warn!(%error, file = %self.file.display(), "failed to look at a running command");
                None
            }
        }
    }

    /// The last phase that it named.
    pub(super) fn phase(&self) -> Option<PhaseName> {
        self.state()?.phase
    }

    /// Waits until its supervisor has read all that it has written by now, so that `phase` is the last that it named. Gives up
    /// on a supervisor that does not do so in time.
    pub(super) async fn catch_up(&self) {
        let Some(CommandState { pid: Some(pid), caught_up: Some(before), end: None, .. }) = self.state()
        else {
            return;
        };
        let Some(supervisor) = Pid::from_raw(pid) else { return };
        let begun = Instant::now();
        while begun.elapsed() < GRACE && self.ended().is_none() {
            let _ = kill_process(supervisor, CATCH_UP);
            sleep(POLL).await;
            if self.state().and_then(|state| state.caught_up).is_some_and(|now| now != before) {
                return;
            }
        }
    }

    /// How long it has written nothing, to the second, as far as that can be seen.
    pub(super) fn silence(&self) -> Option<Duration> {
        fs::metadata(&self.file).ok()?.modified().ok()?.elapsed().ok()
    }

    /// Ends it with everything it started: SIGTERM first, SIGKILL for what is left after `grace`.
    pub(super) async fn end(&self, grace: Duration) -> CommandEnd {
        if self.forestall("it was stopped before it began") {
            return self.state().and_then(|state| state.end).unwrap_or(CommandEnd::Lost);
        }
        self.signal(Signal::TERM).await;
        let heeded = self.ends_within(grace).await;
        // What the command has started may ignore SIGTERM where the command does not.
        self.signal(Signal::KILL).await;
        match heeded {
            Some(end) => end,
            None => self.ends_within(GONE).await.unwrap_or(CommandEnd::Lost),
        }
    }

    /// Why systemd says that its unit ended, if it says so.
    pub(super) async fn reason_of_systemd(&self) -> Option<String> {
        let journal = ServiceManager::new(true).journal(self.unit()?, 20).await;
        let line = journal.lines().rev().find(|line| line.contains("Failed with result"))?;
        line.split_once(".service: ").map(|(_, reason)| reason.trim_end_matches('.').to_owned())
    }

    async fn ends_within(&self, limit: Duration) -> Option<CommandEnd> {
        let begun = Instant::now();
        loop {
            if let Some(end) = self.ended() {
                return Some(end);
            }
            if begun.elapsed() >= limit {
                return None;
            }
            sleep(POLL).await;
        }
    }

    fn state(&self) -> Option<CommandState> {
        StateFile::peek(&self.file)
    }

    /// Makes sure that a command which has not begun never does; `false` if it has.
    fn forestall(&self, reason: &str) -> bool {
        let Ok(Some(file)) = StateFile::lock(&self.file) else { return false };
        matches!(settle(&file, reason), CommandEnd::NotStarted(_))
    }

    async fn signal(&self, signal: Signal) {
        if let Some(unit) = self.unit() {
            ServiceManager::new(true).signal(unit, signal).await;
        } else if let Some(group) = self.state().and_then(|state| Pid::from_raw(state.pid?)) {
            // Gone already is as good.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Writes down what is known of a command that nobody supervises.
fn settle(file: &StateFile, reason: &str) -> CommandEnd {
    let mut state = file.read().unwrap_or_default();
    if let Some(end) = state.end {
        return end;
    }
    let end = match state.pid {
        Some(_) => CommandEnd::Lost,
        None => CommandEnd::NotStarted(fit_start(reason, REASON).to_owned()),
    };
    state.end = Some(end.clone());
    if let Err(error) = file.write(&state) {
        tracing::error!(%error, "failed to note how a command ended");
    }
    end
}

fn detached(
    launcher: &Path,
    arguments: &[OsString],
    environment: &[(String, String)],
    log: &Path,
) -> io::Result<()> {
    let log = private::options().append(true).open(log)?;
    let mut child = unattended::command(launcher)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // So that it leaves no zombie where it ends before us.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}
