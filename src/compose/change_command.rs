//! A command that changes containers. It outlives the listener: it has its own session, writes to a file, and holds a
//! lock through an inherited descriptor, so that a restarted listener waits for it.

use super::error::{DockerError, is_daemon_lost, last_lines};
use crate::private_file;
use crate::unattended::spawn;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How often the output of a running command is read.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a command may take to exit after SIGTERM.
const GRACE_PERIOD: Duration = Duration::from_secs(20);
/// How much of the output is kept for the error message, in bytes.
const MAX_KEPT: usize = 16 << 10;

/// The lock that each running command holds, so that at most one changes containers at a time.
#[derive(Debug)]
pub struct ChangeLock {
    file: File,
}

impl ChangeLock {
    /// Takes the lock. Waits until a command of an earlier listener has ended.
    pub async fn acquire(path: &Path) -> io::Result<Self> {
        loop {
            if let Some(file) = private_file::lock(path)? {
                return Ok(Self { file });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether a command holds the lock.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        Ok(private_file::lock(path)?.is_none())
    }
}

/// A command that is about to start.
#[derive(Debug)]
pub struct ChangeCommand {
    pub(super) command: Command,
    /// The command for messages, such as `docker compose up`.
    pub(super) what: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct ChangeEnd {
    /// The end of its output.
    pub output: String,
    /// Why it failed, if it did.
    pub error: Option<DockerError>,
}

impl ChangeEnd {
    /// Whether Compose refused to start because of a container that an earlier, killed Compose has left.
    pub fn is_conflict(&self) -> bool {
        self.error.is_some() && self.output.contains("Conflict") && self.output.contains("already in use")
    }
}

impl ChangeCommand {
    /// Runs the command and passes each line of its output to `on_line`. Dropping the future does not end the command.
    ///
    /// The output goes to the file `output`, which is replaced. After `limit` the command gets SIGTERM.
    pub async fn run(
        mut self,
        lock: ChangeLock,
        output: &Path,
        limit: Duration,
        mut on_line: impl FnMut(&str),
    ) -> ChangeEnd {
        let failed = |what: &str, error| ChangeEnd {
            output: String::new(),
            error: Some(DockerError::Io(what.to_owned(), error)),
        };
        let opened = open(output);
        let (written, reader) = match opened {
            Ok(files) => files,
            Err(error) => return failed(&self.what, error),
        };
        let streams = written.try_clone().map(|other| (written, other));
        let (stdout, stderr) = match streams {
            Ok(streams) => streams,
            Err(error) => return failed(&self.what, error),
        };
        // The lock is an empty file, so as stdin it is like /dev/null, and all descendants inherit it.
        self.command.stdin(Stdio::from(lock.file)).stdout(stdout).stderr(stderr);
        let spawned = spawn(&mut self.command);
        let program = self.command.as_std().get_program().to_string_lossy().into_owned();
        // Closes our copies of the lock and the output.
        drop(self.command);
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return ChangeEnd { output: String::new(), error: Some(DockerError::Missing(program)) };
            }
            Err(error) => return failed(&self.what, error),
        };
        let mut tail = OutputTail { reader, rest: Vec::new(), kept: String::new() };
        let deadline = Instant::now() + limit;
        let status = loop {
            tail.read(&mut on_line);
            match timeout(POLL_INTERVAL, child.wait()).await {
                Ok(status) => break status,
                Err(_) if Instant::now() >= deadline => {
                    end(&mut child).await;
                    tail.finish(&mut on_line);
                    let error = Some(DockerError::TimedOut { what: self.what, limit });
                    return ChangeEnd { output: tail.kept, error };
                }
                Err(_) => {}
            }
        };
        tail.finish(&mut on_line);
        let error = match status {
            Ok(status) if status.success() => None,
            Ok(_) if is_daemon_lost(&tail.kept) => Some(DockerError::NotResponding(last_lines(&tail.kept))),
            Ok(status) => {
                let lines = last_lines(&tail.kept);
                Some(DockerError::Failed(self.what, format!("{lines} ({status})")))
            }
            Err(error) => Some(DockerError::Io(self.what, error)),
        };
        ChangeEnd { output: tail.kept, error }
    }
}

/// Opens the file of the output for writing and for reading.
fn open(path: &Path) -> io::Result<(File, File)> {
    match fs::remove_file(path) {
        // A command of an earlier listener may still write to the old file.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let path = PathBuf::from(path);
    let written = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
    Ok((written, File::open(path)?))
}

/// Ends the process group of a command.
async fn end(child: &mut Child) {
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    for (signal, wait) in [(Signal::TERM, GRACE_PERIOD), (Signal::KILL, GRACE_PERIOD)] {
        if let Some(leader) = leader {
            // Fails if the group has already exited.
            let _ = kill_process_group(leader, signal);
        }
        if timeout(wait, child.wait()).await.is_ok() {
            return;
        }
    }
}

/// Reads the lines of a file that grows.
struct OutputTail {
    reader: File,
    rest: Vec<u8>,
    /// The end of the output.
    kept: String,
}

impl OutputTail {
    fn read(&mut self, on_line: &mut impl FnMut(&str)) {
        let at = self.reader.stream_position();
        // If the read fails, the next one repeats it.
        if self.reader.read_to_end(&mut self.rest).is_err() {
            let _ = at.and_then(|at| self.reader.seek(SeekFrom::Start(at)));
            return;
        }
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(&String::from_utf8_lossy(&line), on_line);
        }
    }

    fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        self.read(on_line);
        if !self.rest.is_empty() {
            let line = std::mem::take(&mut self.rest);
            self.line(&String::from_utf8_lossy(&line), on_line);
        }
    }

    fn line(&mut self, line: &str, on_line: &mut impl FnMut(&str)) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        on_line(line);
        self.kept.push_str(line);
        self.kept.push('\n');
        if self.kept.len() > MAX_KEPT {
            let from = self.kept.ceil_char_boundary(self.kept.len() - MAX_KEPT);
            self.kept.drain(..from);
        }
    }
}
