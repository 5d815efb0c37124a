//! A gate that holds a rebuild program until the test lets it pass.

use super::Host;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

/// The line of a rebuild program that waits.
pub const WAIT: &str = "read go < $DIR/gate || exit 1";

/// A rebuild program that tells its phase and waits.
pub fn held_in(phase: &str) -> String {
    format!("echo '@homelab-deploy {{\"phase\":\"{phase}\"}}'\n{WAIT}")
}

/// A fifo in the folder of a host. Whoever still waits at it when it is dropped fails.
pub struct Gate {
    path: PathBuf,
    fifo: File,
}

impl Gate {
    /// Makes the gate, shut.
    pub fn of(host: &Host) -> Self {
        Self::at(host.file("gate"))
    }

    /// Makes a gate there, shut.
    pub fn at(path: PathBuf) -> Self {
        mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        // Open for both, so that neither side blocks in opening it.
        let fifo = open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap();
        Self { path, fifo: fifo.into() }
    }

    /// Lets one program pass, now or when it comes.
    pub fn pass(&self) {
        (&self.fifo).write_all(b"go\n").unwrap();
    }

    /// Waits until a program has written an empty line to it.
    pub fn told(&self) {
        super::eventually("the program telling", || (&self.fifo).read_exact(&mut [0]).ok());
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Who comes later finds no gate; who waits reads its end.
        let _ = std::fs::remove_file(&self.path);
    }
}
