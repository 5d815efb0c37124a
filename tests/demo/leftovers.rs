//! The visible traces of a server: its port, its process and its directory.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// One user with a password.
pub(crate) const AUTHORIZATION: &str = "authorization { users = [ { user: \"u\", password: \"p\" } ] }\n";

/// Whether a server accepts connections at this URL.
pub(crate) fn answers(url: &str) -> bool {
    TcpStream::connect(url.strip_prefix("nats://").unwrap()).is_ok()
}

/// The traces of a running server.
pub(crate) struct Leftovers {
    url: String,
    directory: PathBuf,
    server: Pid,
}

impl Leftovers {
    /// Finds the traces while the server is running.
    pub(crate) fn of(url: &str, directory: &Path) -> Self {
        let files =
            fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let pid = files.into_iter().find_map(|name| {
            Some(name.strip_prefix("nats-server_")?.strip_suffix(".ports")?.parse().unwrap())
        });
        let server = Pid::from_raw(pid.unwrap()).unwrap();
        let leftovers = Self { url: url.to_owned(), directory: directory.to_owned(), server };
        assert_eq!(leftovers.left(), ["port", "process", "directory"]);
        leftovers
    }

    /// Kills only the server.
    pub(crate) fn kill_server(&self) {
        kill_process(self.server, Signal::KILL).unwrap();
    }

    /// The traces that still exist.
    pub(crate) fn left(&self) -> Vec<&'static str> {
        let process = PathBuf::from(format!("/proc/{}", self.server));
        [("port", answers(&self.url)), ("process", process.exists()), ("directory", self.directory.exists())]
            .into_iter()
            .filter_map(|(name, left)| left.then_some(name))
            .collect()
    }

    /// Waits until no trace exists.
    pub(crate) fn wait_until_gone(&self) {
        crate::common::eventually("the removal of all traces", || self.left().is_empty().then_some(()));
    }
}
