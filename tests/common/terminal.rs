//! The binary in a pseudo-terminal: what a person would see, and what a person types.

use super::{DEADLINE, Tty};
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
    /// Every byte that was written.
    pub raw: String,
    /// What of the terminal is not as it was before.
    pub left: Vec<&'static str>,
    /// Whether nothing is: the cursor shows and text would look plain.
    pub clean: bool,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, ..PtySize::default() }
}

fn sides(columns: u16, rows: u16) -> (NonZero<u16>, NonZero<u16>) {
    (NonZero::new(rows).unwrap(), NonZero::new(columns).unwrap())
}

impl Terminal {
    /// Starts a command in a terminal of 24 lines of 120 columns.
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
        if let Some(folder) = command.get_current_dir() {
            inside.cwd(folder);
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
        // What nobody reads must not hold up whoever waits for the screen.
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

    /// Waits until the screen does not show `text` any more.
    pub fn hides(&mut self, text: &str) {
        self.until(&format!("the end of {text:?}"), |screen| !screen.contents().contains(text));
    }

    /// Waits until one line of the screen shows all of `texts`; gives that line.
    pub fn line(&mut self, texts: &[&str]) -> String {
        let wanted = |line: &String| texts.iter().all(|text| line.contains(text));
        self.until(&format!("a line with {texts:?}"), |screen| lines(screen).iter().any(wanted));
        self.lines().into_iter().find(wanted).unwrap()
    }

    /// Waits until a line with `start` was written, on the screen or gone from it; gives what follows in the line.
    pub fn wrote(&mut self, start: &str) -> String {
        let begun = Instant::now();
        loop {
            let raw = String::from_utf8_lossy(&self.raw);
            if let Some((rest, _)) = raw.split_once(start).and_then(|(_, rest)| rest.split_once('\n')) {
                return rest.trim_end().to_owned();
            }
            assert!(begun.elapsed() < DEADLINE && self.read(), "no {start:?} in {:?}", self.raw);
        }
    }

    /// Waits until the screen is as wanted.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        while !wanted(self.screen.screen()) {
            let contents = || self.screen.screen().contents();
            assert!(begun.elapsed() < DEADLINE, "no {what} in\n{}", contents());
            assert!(self.read(), "it ended without {what}:\n{}", self.screen.screen().contents());
        }
    }

    /// The lines on the screen once the console has taken every key. It draws all of it anew for that, and hides the cursor behind
    /// each frame: before that the screen may be half of one and half of another.
    pub fn settled(&mut self) -> Vec<String> {
        const ANEW: &[u8] = b"\x1b[2J";
        const WHOLE: &[u8] = b"\x1b[?25l";
        let drawn = |raw: &[u8]| raw.windows(ANEW.len()).filter(|bytes| *bytes == ANEW).count();
        let before = drawn(&self.raw);
        // ctrl-l.
        self.types("\u{c}");
        let begun = Instant::now();
        while drawn(&self.raw) == before || !self.raw.ends_with(WHOLE) {
            let goes_on = begun.elapsed() < DEADLINE && self.read();
            assert!(goes_on, "it is not drawn anew:\n{}", self.screen.screen().contents());
        }
        self.lines()
    }

    /// The lines on the screen as far as it was read.
    pub fn lines(&self) -> Vec<String> {
        lines(self.screen.screen())
    }

    /// Types at the keyboard.
    pub fn types(&mut self, text: &str) {
        // A command that has ended hears nothing.
        let _ = self.keyboard.send(text.to_owned());
    }

    /// Makes the terminal larger or smaller, as a person who drags its corner.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let (lines, width) = sides(columns, rows);
        self.screen.screen_mut().set_size(lines, width);
        self.pty.resize(size(columns, rows)).unwrap();
    }

    /// Writes to the screen behind the command's back, as others do that have the same terminal.
    pub fn scribble(&mut self, text: &str) {
        self.screen.process(text.as_bytes());
    }

    /// The process that was started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.0.process_id().unwrap()).unwrap()).unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What of the terminal is not as it was before.
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

    /// Waits for the end of the command.
    pub fn ended(mut self) -> Screen {
        let begun = Instant::now();
        while self.read() {
            // It may go on drawing for ever.
            assert!(begun.elapsed() < 2 * DEADLINE, "it does not end:\n{}", self.screen.screen().contents());
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

    /// Closes the terminal, as a person who closes its window; waits for the end of the command and gives its exit code.
    /// It must write something by itself now and then: only then the last hand is taken off the terminal.
    pub fn closed(self) -> u32 {
        let Self { mut process, pty, keyboard, output, hung_up, .. } = self;
        hung_up.store(true, Ordering::SeqCst);
        while output.recv_timeout(DEADLINE).is_ok() {}
        drop((pty, keyboard));
        super::eventually("the command ending", || process.0.try_wait().unwrap()).exit_code()
    }

    /// Reads on; `false` at the end.
    fn read(&mut self) -> bool {
        match self.output.recv_timeout(DEADLINE) {
            Ok(bytes) => {
                self.screen.process(&bytes);
                self.raw.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("it hangs with\n{}", self.screen.screen().contents())
            }
        }
    }
}

/// The lines on a screen, without the blanks at their ends.
pub fn lines(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    screen.rows(0, columns.get()).collect()
}

/// Killed with its owner.
struct Process(Box<dyn Child + Send + Sync>);

impl Drop for Process {
    fn drop(&mut self) {
        // What was collected already may have left its number to another.
        if let Ok(None) = self.0.try_wait() {
            if let Some(pid) = self.0.process_id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}
