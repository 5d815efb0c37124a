//! A service manager that receives the notifications of a listener or a builder.

use super::{DEADLINE, HostBuilder};
use std::os::unix::net::UnixDatagram;
use tempfile::TempDir;

/// The socket of a service manager.
pub struct ServiceManager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl ServiceManager {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, dir }
    }

    /// A service that notifies this service manager.
    pub fn manages(&self, service: HostBuilder) -> HostBuilder {
        service.env("NOTIFY_SOCKET", self.dir.path().join("notify").to_str().unwrap())
    }

    /// The next notification.
    pub fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a notification from the service");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    /// The next status that contains these strings. Every status must be one line.
    pub fn status(&self, parts: &[&str]) -> String {
        self.status_where(&format!("with {parts:?}"), |status| parts.iter().all(|part| status.contains(part)))
    }

    /// The next status for which `matches` returns true.
    pub fn status_where(&self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let mut statuses = Vec::new();
        loop {
            let status = self.next();
            assert!(!status.contains('\n'), "{status:?}");
            statuses.push(status.clone());
            assert!(statuses.len() < 200, "none {what}: {statuses:#?}");
            if status.starts_with("STATUS=") && matches(&status) {
                return status;
            }
        }
    }
}
