//! A gate that blocks a rebuild program until the test opens it.

use super::Host;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

/// The line of a rebuild program that waits at the gate.
pub const WAIT: &str = "read go < $DIR/gate || exit 1";

/// A rebuild program that prints its phase and waits.
pub fn hold_in_phase(phase: &str) -> String {
    format!("echo '@homelab-deploy {{\"phase\":\"{phase}\"}}'\n{WAIT}")
}

/// A fifo in the directory of a host. When it is dropped, programs that wait at it fail.
pub struct Gate {
    path: PathBuf,
    fifo: File,
}

impl Gate {
    /// Creates a closed gate in the directory of a host.
    pub fn of(host: &Host) -> Self {
        Self::at(host.file("gate"))
    }

    /// Creates a closed gate at this path.
    pub fn at(path: PathBuf) -> Self {
        mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        // Opened for reading and writing, so that neither side blocks when it opens the fifo.
        let fifo = open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap();
        Self { path, fifo: fifo.into() }
    }

    /// Lets one program pass, now or when it arrives.
    pub fn pass(&self) {
        (&self.fifo).write_all(b"go\n").unwrap();
    }

    /// Waits until a program has written an empty line to the gate.
    pub fn wait_for_line(&self) {
        super::eventually("a line from the program", || (&self.fifo).read_exact(&mut [0]).ok());
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A program that arrives later finds no gate, and a waiting program reads the end of the fifo.
        let _ = std::fs::remove_file(&self.path);
    }
}
