//! The real console in a pseudo-terminal: keys in, a screen out, and what the system says of the process.

use crate::broker::{Fleet, PROGRAM};
use crate::{COLUMNS, ROWS};
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before the bench gives up.
const DEADLINE: Duration = Duration::from_mins(1);

/// A console that runs.
pub(crate) struct Console {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    /// What was written, and when it was read.
    output: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
    /// Bytes that were written so far.
    pub(crate) written: usize,
}

impl Console {
    /// Starts the console on a server.
    pub(crate) fn start(fleet: &Fleet) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["tui", "--nats-url", fleet.url()]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("XDG_STATE_HOME", fleet.folder());
        command.env_remove("NO_COLOR");
        command.env_remove("HOMELAB_DEPLOY_NKEY_FILE");
        let child = pty.slave.spawn_command(command).unwrap();
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keyboard = pty.master.take_writer().unwrap();
        let (into, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if into.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        let [rows, columns] = [ROWS, COLUMNS].map(|side| NonZero::new(side).unwrap());
        Self { child, keyboard, output, screen: vt100::Parser::new(rows, columns, 0), written: 0 }
    }

    /// Types, waits until the screen is so, and gives how long that took.
    pub(crate) fn answers(&mut self, keys: &str, shown: impl Fn(&vt100::Screen) -> bool) -> Duration {
        let begun = Instant::now();
        self.types(keys);
        self.until(shown).saturating_duration_since(begun)
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until the screen is so, and gives when that came.
    pub(crate) fn until(&mut self, shown: impl Fn(&vt100::Screen) -> bool) -> Instant {
        let last = Instant::now() + DEADLINE;
        let mut at = Instant::now();
        while !shown(self.screen.screen()) {
            at = self.read(last).unwrap_or_else(|| panic!("it hangs with\n{}", self.text()));
        }
        at
    }

    /// Waits until the screen shows a text.
    pub(crate) fn shows(&mut self, text: &str) {
        self.until(|screen| screen.contents().contains(text));
    }

    /// Reads what is written for this long.
    pub(crate) fn rest(&mut self, rest: Duration) {
        let end = Instant::now() + rest;
        while self.read(end).is_some() {}
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn read(&mut self, until: Instant) -> Option<Instant> {
        let wait = until.saturating_duration_since(Instant::now());
        match self.output.recv_timeout(wait) {
            Ok((at, bytes)) => {
                self.screen.process(&bytes);
                self.written += bytes.len();
                Some(at)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("it ended with\n{}", self.text()),
        }
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.process_id().unwrap())).unwrap()
    }

    /// The processor time it has taken so far, all threads together, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        // The name before may hold blanks, but no bracket follows it.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
        // Linux tells hundredths of a second, whatever its clock.
        ticks / 100.0
    }

    /// A line of its memory in KiB: `VmRSS` is what it has, `VmHWM` the most it ever had.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Leaves, as an operator does.
    pub(crate) fn quit(mut self) {
        self.types("q");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "it ended with {status:?}:\n{}", self.text());
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
