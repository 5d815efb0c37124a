//! Runs the binary in a pseudo-terminal, to test the screen and the keyboard.

use super::{DEADLINE, Tty, kill_tree_of};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// A command in a terminal.
pub struct Terminal {
    process: Process,
    pty: Box<dyn MasterPty + Send>,
    pub tty: Tty,
    keyboard: Sender<String>,
    output: Receiver<Vec<u8>>,
    hung_up: Arc<AtomicBool>,
    raw: Vec<u8>,
    screen: vt100::Parser,
}

/// A terminal after its command has ended.
pub struct Screen {
    pub code: u32,
    /// The lines on the screen.
    pub text: String,
    /// All bytes that were written.
    pub raw: String,
    /// The terminal settings that were not restored.
    pub left: Vec<&'static str>,
    /// Whether the screen is restored: the cursor is visible and text is unstyled.
    pub clean: bool,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, ..PtySize::default() }
}

fn sides(columns: u16, rows: u16) -> (NonZero<u16>, NonZero<u16>) {
    (NonZero::new(rows).unwrap(), NonZero::new(columns).unwrap())
}

impl Terminal {
    /// Starts a command in a terminal of 24 lines and 120 columns.
    pub fn start(command: &Command) -> Self {
        Self::sized(command, 120, 24)
    }

    /// Starts a command in a terminal of this size.
    pub fn sized(command: &Command, columns: u16, rows: u16) -> Self {
        let pty = native_pty_system().openpty(size(columns, rows)).unwrap();
        let tty = Tty::of(pty.master.tty_name().unwrap());
        let mut inside = CommandBuilder::new(command.get_program());
        inside.args(command.get_args());
        inside.env("TERM", "xterm-256color");
        if let Some(dir) = command.get_current_dir() {
            inside.cwd(dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            }
        }
        let process = Process(pty.slave.spawn_command(inside).unwrap());
        let mut reader = pty.master.try_clone_reader().unwrap();
        let mut writer = pty.master.take_writer().unwrap();
        let (keyboard, typed) = channel::<String>();
        // A separate thread reads the output, so that the command never blocks on it.
        std::thread::spawn(move || {
            while let Ok(text) = typed.recv()
                && writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).is_ok()
            {}
        });
        let (into, output) = channel();
        let hung_up = Arc::new(AtomicBool::new(false));
        let stop = hung_up.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if stop.load(Ordering::SeqCst) || into.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let (lines, width) = sides(columns, rows);
        let screen = vt100::Parser::new(lines, width, 0);
        Self { process, pty: pty.master, tty, keyboard, output, hung_up, raw: Vec::new(), screen }
    }

    /// Waits until the screen shows `text`.
    pub fn shows(&mut self, text: &str) {
        self.until(&format!("{text:?}"), |screen| screen.contents().contains(text));
    }

    /// Waits until the screen no longer shows `text`.
    pub fn hides(&mut self, text: &str) {
        self.until(&format!("the end of {text:?}"), |screen| !screen.contents().contains(text));
    }

    /// Waits until a line of the screen contains all of `texts`, and returns the line.
    pub fn line(&mut self, texts: &[&str]) -> String {
        let wanted = |line: &String| texts.iter().all(|text| line.contains(text));
        self.until(&format!("a line with {texts:?}"), |screen| lines(screen).iter().any(wanted));
        self.lines().into_iter().find(wanted).unwrap()
    }

    /// Waits until a line with `start` was written, on or off the screen, and returns the rest of the line.
    pub fn wrote(&mut self, start: &str) -> String {
        let started = Instant::now();
        loop {
            let raw = String::from_utf8_lossy(&self.raw);
            if let Some((rest, _)) = raw.split_once(start).and_then(|(_, rest)| rest.split_once('\n')) {
                return rest.trim_end().to_owned();
            }
            assert!(started.elapsed() < DEADLINE && self.read(), "no {start:?} in {:?}", self.raw);
        }
    }

    /// Waits until the screen is as wanted.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let started = Instant::now();
        while !wanted(self.screen.screen()) {
            let contents = || self.screen.screen().contents();
            assert!(started.elapsed() < DEADLINE, "no {what} in\n{}", contents());
            assert!(self.read(), "the command ended without {what}:\n{}", self.screen.screen().contents());
        }
    }

    /// Returns the lines on the screen after the console has handled every key. It forces a full redraw, at the end of
    /// which the cursor is hidden; before that, the screen may be a mix of two frames.
    pub fn settled(&mut self) -> Vec<String> {
        const REDRAW: &[u8] = b"\x1b[2J";
        const WHOLE: &[u8] = b"\x1b[?25l";
        let drawn = |raw: &[u8]| raw.windows(REDRAW.len()).filter(|bytes| *bytes == REDRAW).count();
        let before = drawn(&self.raw);
        // ctrl-l.
        self.types("\u{c}");
        let started = Instant::now();
        while drawn(&self.raw) == before || !self.raw.ends_with(WHOLE) {
            let has_more = started.elapsed() < DEADLINE && self.read();
            assert!(has_more, "the screen was not redrawn:\n{}", self.screen.screen().contents());
        }
        self.lines()
    }

    /// Returns the lines on the screen as read so far.
    pub fn lines(&self) -> Vec<String> {
        lines(self.screen.screen())
    }

    /// Types text.
    pub fn types(&mut self, text: &str) {
        // A command that has ended ignores the input.
        let _ = self.keyboard.send(text.to_owned());
    }

    /// Resizes the terminal, as if its window were resized.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let (lines, width) = sides(columns, rows);
        self.screen.screen_mut().set_size(lines, width);
        self.pty.resize(size(columns, rows)).unwrap();
    }

    /// Writes to the screen from another process, as other users of the same terminal do.
    pub fn scribble(&mut self, text: &str) {
        self.screen.process(text.as_bytes());
    }

    /// The process id of the command.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.0.process_id().unwrap()).unwrap()).unwrap()
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Returns the terminal settings that were not restored.
    pub fn left(&self) -> Vec<&'static str> {
        use vt100::{Color, MouseProtocolMode};
        let screen = self.screen.screen();
        let coloured = [screen.fgcolor(), screen.bgcolor()] != [Color::Default; 2];
        let states = [
            ("modes", !self.tty.is_as_before()),
            ("alternate screen", screen.alternate_screen()),
            ("bracketed paste", screen.bracketed_paste()),
            ("mouse", screen.mouse_protocol_mode() != MouseProtocolMode::None),
            ("hidden cursor", screen.hide_cursor()),
            ("look", coloured || screen.bold() || screen.dim() || screen.underline() || screen.inverse()),
        ];
        states.into_iter().filter_map(|(name, left)| left.then_some(name)).collect()
    }

    /// Waits for the exit of the command.
    pub fn wait_for_exit(mut self) -> Screen {
        let started = Instant::now();
        while self.read() {
            // The command may never stop drawing.
            assert!(
                started.elapsed() < 2 * DEADLINE,
                "the command does not exit:\n{}",
                self.screen.screen().contents()
            );
        }
        let status = self.process.0.wait().unwrap();
        let left = self.left();
        Screen {
            code: status.exit_code(),
            text: self.screen.screen().contents(),
            raw: String::from_utf8(std::mem::take(&mut self.raw)).unwrap(),
            clean: left.is_empty(),
            left,
        }
    }

    /// Closes the terminal, as if its window were closed, waits for the exit of the command, and returns its exit code.
    /// The command must write regularly, because only a write detects the closed terminal.
    pub fn closed(self) -> u32 {
        let Self { mut process, pty, keyboard, output, hung_up, .. } = self;
        hung_up.store(true, Ordering::SeqCst);
        while output.recv_timeout(DEADLINE).is_ok() {}
        drop((pty, keyboard));
        super::eventually("the exit of the command", || process.0.try_wait().unwrap()).exit_code()
    }

    /// Reads more output; `false` at the end.
    fn read(&mut self) -> bool {
        match self.output.recv_timeout(DEADLINE) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.raw.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no more output after\n{}", self.screen.screen().contents())
            }
        }
    }
}

/// Returns the lines of a screen without trailing blanks.
pub fn lines(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    screen.rows(0, columns.get()).collect()
}

/// A process that is killed on drop with all processes that it has started.
struct Process(Box<dyn Child + Send + Sync>);

impl Drop for Process {
    fn drop(&mut self) {
        // After the process has been waited for, its id may belong to another process.
        if let Ok(None) = self.0.try_wait() {
            self.0.process_id().into_iter().for_each(kill_tree_of);
            let _ = self.0.wait();
        }
    }
}
