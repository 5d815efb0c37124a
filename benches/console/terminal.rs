//! The real console in a pseudo-terminal: sends keys, reads the screen, and queries the process's resources.

use crate::nats_server::{Fleet, PROGRAM};
use crate::{COLUMNS, ROWS};
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time for any event.
const DEADLINE: Duration = Duration::from_mins(1);
/// Maximum time for a key to take effect.
const KEY_DEADLINE: Duration = Duration::from_secs(5);

/// A running console.
pub(crate) struct Console {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    /// Output, with the time it was read.
    output: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
    /// Number of bytes written so far.
    pub(crate) written: usize,
}

impl Console {
    /// Starts the console on the server of a fleet.
    pub(crate) fn start(fleet: &Fleet) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["tui", "--nats-url", fleet.url()]);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("XDG_STATE_HOME", fleet.directory());
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

    /// Types keys, waits until `shown` holds for the screen, and returns the time it took.
    pub(crate) fn answers(&mut self, keys: &str, shown: impl Fn(&vt100::Screen) -> bool) -> Duration {
        let start = Instant::now();
        self.types(keys);
        self.until_within(KEY_DEADLINE, shown).saturating_duration_since(start)
    }

    /// Types keys.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until `shown` holds for the screen and returns when the last output was read.
    pub(crate) fn until(&mut self, shown: impl Fn(&vt100::Screen) -> bool) -> Instant {
        self.until_within(DEADLINE, shown)
    }

    fn until_within(&mut self, limit: Duration, shown: impl Fn(&vt100::Screen) -> bool) -> Instant {
        let last = Instant::now() + limit;
        let mut at = Instant::now();
        while !shown(self.screen.screen()) {
            at = self.read(last).unwrap_or_else(|| panic!("the console hangs with\n{}", self.text()));
        }
        at
    }

    /// Waits until the screen contains a text.
    pub(crate) fn shows(&mut self, text: &str) {
        self.until(|screen| screen.contents().contains(text));
    }

    /// Reads output for this duration.
    pub(crate) fn idle(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        while self.read(end).is_some() {}
    }

    /// What the terminal shows.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// The content of the screen.
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
            Err(RecvTimeoutError::Disconnected) => panic!("the console ended with\n{}", self.text()),
        }
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.process_id().unwrap())).unwrap()
    }

    /// CPU time of all threads so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        // The process name may contain spaces, but no parenthesis follows it.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum();
        // Linux reports hundredths of a second, independent of its clock frequency.
        ticks / 100.0
    }

    /// A value of the process's memory status in KiB: `VmRSS` is the current size, `VmHWM` the maximum.
    pub(crate) fn memory(&self, what: &str) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Quits, like an operator.
    pub(crate) fn quit(mut self) {
        self.types("q");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the console ended with {status:?}:\n{}", self.text());
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
