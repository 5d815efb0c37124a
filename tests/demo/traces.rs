//! What a server leaves to be seen: its port, its process, its folder.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// One user with a password.
pub(crate) const AUTHORIZATION: &str = "authorization { users = [ { user: \"u\", password: \"p\" } ] }\n";

/// Whether something listens there.
pub(crate) fn answers(url: &str) -> bool {
    TcpStream::connect(url.strip_prefix("nats://").unwrap()).is_ok()
}

/// The traces of one running server.
pub(crate) struct Traces {
    url: String,
    folder: PathBuf,
    server: Pid,
}

impl Traces {
    /// Takes them down while it runs.
    pub(crate) fn of(url: &str, folder: &Path) -> Self {
        let files =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let pid = files.into_iter().find_map(|name| {
            Some(name.strip_prefix("nats-server_")?.strip_suffix(".ports")?.parse().unwrap())
        });
        let server = Pid::from_raw(pid.unwrap()).unwrap();
        let traces = Self { url: url.to_owned(), folder: folder.to_owned(), server };
        assert_eq!(traces.left(), ["port", "process", "folder"]);
        traces
    }

    /// Kills the server alone.
    pub(crate) fn kill_server(&self) {
        kill_process(self.server, Signal::KILL).unwrap();
    }

    /// Which of them are left.
    pub(crate) fn left(&self) -> Vec<&'static str> {
        let process = PathBuf::from(format!("/proc/{}", self.server));
        [("port", answers(&self.url)), ("process", process.exists()), ("folder", self.folder.exists())]
            .into_iter()
            .filter_map(|(name, left)| left.then_some(name))
            .collect()
    }

    /// Waits until none is left.
    pub(crate) fn wait_until_gone(&self) {
        crate::common::eventually("the end of everything", || self.left().is_empty().then_some(()));
    }
}
