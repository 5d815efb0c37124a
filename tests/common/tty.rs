//! The modes of a terminal, looked at from outside.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::path::PathBuf;

/// A terminal by its name, and how it was when it was first looked at.
pub struct Tty {
    path: PathBuf,
    before: Termios,
}

impl Tty {
    pub fn of(path: PathBuf) -> Self {
        let tty = open_it(&path);
        let mut before = tcgetattr(&tty).unwrap();
        // A ^C that is typed would throw away what is being printed at that moment.
        before.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&tty, OptionalActions::Now, &before).unwrap();
        Self { path, before }
    }

    fn now(&self) -> Termios {
        tcgetattr(open_it(&self.path)).unwrap()
    }

    /// Whether every mode and key is as it was at first.
    pub fn is_as_before(&self) -> bool {
        format!("{:?}", self.now()) == format!("{:?}", self.before)
    }

    /// Whether keys arrive one by one, unseen, and none of them is a signal.
    pub fn is_raw(&self) -> bool {
        !self.now().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Gives it the modes that it had at first, as a shell does when it takes its terminal back.
    pub fn restore(&self) {
        tcsetattr(open_it(&self.path), OptionalActions::Now, &self.before).unwrap();
    }
}

fn open_it(path: &PathBuf) -> OwnedFd {
    open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}
