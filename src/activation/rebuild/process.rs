//! A program in a session of its own, killed as a whole group.

use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a program may take to heed SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A running program. Dropping it leaves the program alone.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    /// Starts `launcher activation launch PROGRAM ARGUMENTS…` with both outputs into `log`.
    pub(super) fn start(launcher: &Path, program: &Path, arguments: &[&str], log: File) -> io::Result<Self> {
        let child = Command::new(launcher)
            .args(["activation", "launch"])
            .arg(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// Waits for the end of the program itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the whole group: SIGTERM first, SIGKILL for what is left after 5 s.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        if !self.signal(Signal::TERM) {
            // The launcher has not made its session yet, so there is only itself.
            self.child.start_kill()?;
        }
        let heeded = timeout(GRACE, self.child.wait()).await;
        // What the program has started may be deafer than itself.
        self.signal(Signal::KILL);
        if heeded.is_err() {
            self.child.wait().await?;
        }
        Ok(())
    }

    /// Signals the group; `false` where there is none.
    fn signal(&self, signal: Signal) -> bool {
        self.group.is_some_and(|group| kill_process_group(group, signal).is_ok())
    }
}
