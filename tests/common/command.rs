//! Runs the binary as a command, with its output and its exit code.

use super::{DEADLINE, kill_tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// A running command, which is killed on drop with all processes that it has started.
pub struct RunningCommand {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// The output and the exit code of a finished command.
pub struct CommandOutput {
    /// The exit code; negative if a signal killed the command.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command, which must exit with `code`.
pub fn run(command: &mut Command, code: i32) -> CommandOutput {
    RunningCommand::start(command).wait_for_exit(code)
}

impl RunningCommand {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Waits for a line on standard output that contains `text`.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        while let Some(line) = self.stdout.next() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line contains {text:?}:\n{}{}", self.stdout.seen, self.stderr.rest())
    }

    /// Waits for a JSON line that `wanted` accepts.
    pub fn wait_for_json(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        while let Some(line) = self.stdout.next() {
            let line: Value = serde_json::from_str(&line).expect("a JSON line");
            if wanted(&line) {
                return line;
            }
        }
        panic!("no line was accepted:\n{}{}", self.stdout.seen, self.stderr.rest())
    }

    /// Sends an interrupt, like Ctrl-C.
    pub fn interrupt(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Kills the process without its descendants.
    pub fn kill_alone(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the command, which must exit with `code`.
    pub fn wait_for_exit(mut self, code: i32) -> CommandOutput {
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let status = super::eventually("the exit of the command", || self.child.try_wait().unwrap());
        let signal = || status.signal().map(|signal| -signal);
        let ended = CommandOutput { code: status.code().or_else(signal).unwrap(), stdout, stderr };
        assert_eq!(ended.code, code, "{ended}");
        ended
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
    }
}

impl CommandOutput {
    /// Returns the lines of standard output, each of which must be a JSON object.
    pub fn json(&self) -> Vec<Value> {
        let object = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(value.is_object(), "{line}");
            value
        };
        self.stdout.lines().map(object).collect()
    }

    /// Asserts that standard error contains each of these texts.
    pub fn assert_stderr(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in\n{self}");
        }
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// The output from a pipe, line by line.
struct Lines {
    pipe: Receiver<String>,
    /// The deadline, for a command that never stops printing.
    until: Instant,
    /// All lines so far.
    seen: String,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (into, received) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { return };
                if into.send(String::from_utf8(line).expect("UTF-8")).is_err() {
                    return;
                }
            }
        });
        Self { pipe: received, until: Instant::now() + 2 * DEADLINE, seen: String::new() }
    }

    /// Returns the next line; `None` at the end.
    fn next(&mut self) -> Option<String> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.pipe.recv_timeout(left.min(DEADLINE)) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no more output after\n{}", self.seen),
        }
    }

    /// Returns all lines, at the end of the output.
    fn rest(&mut self) -> String {
        while self.next().is_some() {}
        self.seen.clone()
    }
}
