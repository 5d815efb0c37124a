//! The modes of a terminal, checked from outside.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::path::PathBuf;

/// A terminal with its initial modes.
pub struct Tty {
    path: PathBuf,
    before: Termios,
}

impl Tty {
    pub fn of(path: PathBuf) -> Self {
        let tty = open_it(&path);
        let mut before = tcgetattr(&tty).unwrap();
        // Otherwise a typed ^C would discard pending output.
        before.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&tty, OptionalActions::Now, &before).unwrap();
        Self { path, before }
    }

    fn now(&self) -> Termios {
        tcgetattr(open_it(&self.path)).unwrap()
    }

    /// Whether all modes and special keys are as at the start.
    pub fn is_as_before(&self) -> bool {
        format!("{:?}", self.now()) == format!("{:?}", self.before)
    }

    /// Whether input is unbuffered and without echo, and no key sends a signal.
    pub fn is_raw(&self) -> bool {
        !self.now().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Restores the initial modes, as a shell does after a command.
    pub fn restore(&self) {
        tcsetattr(open_it(&self.path), OptionalActions::Now, &self.before).unwrap();
    }
}

fn open_it(path: &PathBuf) -> OwnedFd {
    open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}
