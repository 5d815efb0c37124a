//! The binary in a pseudo-terminal: what a person would see, and what a person types.

use super::DEADLINE;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(120).unwrap();

/// A command in a terminal of 24 lines of 120 columns.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
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
    /// Whether the cursor shows and text would look plain.
    pub clean: bool,
}

impl Terminal {
    /// Starts a command.
    pub fn start(command: &Command) -> Self {
        let size = PtySize { rows: ROWS.get(), cols: COLUMNS.get(), ..PtySize::default() };
        let pty = native_pty_system().openpty(size).unwrap();
        keep_output(&pty.master.tty_name().unwrap());
        let mut inside = CommandBuilder::new(command.get_program());
        inside.args(command.get_args());
        inside.env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            }
        }
        let child = pty.slave.spawn_command(inside).unwrap();
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keyboard = pty.master.take_writer().unwrap();
        let (into, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if into.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        Self { child, keyboard, output, raw: Vec::new(), screen }
    }

    /// Waits until the screen shows `text`.
    pub fn shows(&mut self, text: &str) {
        while !self.screen.screen().contents().contains(text) {
            assert!(self.read(), "it ended without {text:?}:\n{}", self.screen.screen().contents());
        }
    }

    /// Types at the keyboard.
    pub fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for the end of the command.
    pub fn ended(mut self) -> Screen {
        while self.read() {}
        let status = self.child.wait().unwrap();
        let screen = self.screen.screen();
        let colours = [screen.fgcolor(), screen.bgcolor()];
        let plain = colours == [vt100::Color::Default; 2] && !screen.bold() && !screen.inverse();
        Screen {
            code: status.exit_code(),
            text: screen.contents(),
            raw: String::from_utf8(std::mem::take(&mut self.raw)).unwrap(),
            clean: !screen.hide_cursor() && plain,
        }
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

/// A ^C that is typed would throw away what is being printed at that moment.
fn keep_output(tty: &Path) {
    let tty = open(tty, OFlags::RDONLY | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut modes = tcgetattr(&tty).unwrap();
    modes.local_modes |= LocalModes::NOFLSH;
    tcsetattr(&tty, OptionalActions::Now, &modes).unwrap();
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
