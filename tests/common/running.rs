//! The binary run as a command: what it prints while it runs, and how it ends.

use super::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

/// A command that runs; killed with its owner.
pub struct Running {
    child: Child,
    out: Lines,
    err: Lines,
}

/// How a command ended and what it printed.
pub struct Ended {
    /// The exit code; negative where a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end, which must be with `code`.
pub fn run(command: &mut Command, code: i32) -> Ended {
    Running::start(command).ended(code)
}

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for a line on standard output that contains `text`.
    pub fn says(&mut self, text: &str) -> String {
        while let Some(line) = self.out.next() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it did not say {text:?} but\n{}{}", self.out.seen, self.err.rest())
    }

    /// Waits for a JSON line that `wanted` accepts.
    pub fn tells(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        while let Some(line) = self.out.next() {
            let line: Value = serde_json::from_str(&line).expect("a JSON line");
            if wanted(&line) {
                return line;
            }
        }
        panic!("it did not tell so but\n{}{}", self.out.seen, self.err.rest())
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// Waits for its end, which must be with `code`.
    pub fn ended(mut self, code: i32) -> Ended {
        let (out, err) = (self.out.rest(), self.err.rest());
        let status = super::eventually("the command ending", || self.child.try_wait().unwrap());
        let signal = || status.signal().map(|signal| -signal);
        let ended = Ended { code: status.code().or_else(signal).unwrap(), out, err };
        assert_eq!(ended.code, code, "{ended}");
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Each line of standard output, which must be one JSON object.
    pub fn json(&self) -> Vec<Value> {
        let object = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(value.is_object(), "{line}");
            value
        };
        self.out.lines().map(object).collect()
    }

    /// The error must hold each of these texts.
    pub fn complains(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in\n{self}");
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

/// What comes out of a pipe, line by line.
struct Lines {
    pipe: Receiver<String>,
    /// When it must have ended, also where it never stops printing.
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

    /// The next line; `None` at the end.
    fn next(&mut self) -> Option<String> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.pipe.recv_timeout(left.min(DEADLINE)) {
            Ok(line) => {
                self.seen.push_str(&line);
                self.seen.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it does not go on after\n{}", self.seen),
        }
    }

    /// All lines, once it has ended.
    fn rest(&mut self) -> String {
        while self.next().is_some() {}
        self.seen.clone()
    }
}
