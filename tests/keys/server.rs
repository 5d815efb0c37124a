//! A real NATS server with a fleet's permissions.

use crate::common::eventually;
use crate::fixture::{fleet_file, pair};
use crate::line::Line;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A user whom the server lets do everything, the one to see what arrives.
pub(crate) const WITNESS: &str = "witness";

/// The server; it dies with this.
pub(crate) struct Server {
    process: Child,
    folder: TempDir,
    address: String,
}

impl Server {
    /// Starts one with the permissions of the whole fixture, and a witness.
    pub(crate) fn start() -> Self {
        Self::of(fleet_file())
    }

    /// The same for another fleet file.
    pub(crate) fn of(fleet_file: &str) -> Self {
        let users = render_authorization(&parse_fleet_file(fleet_file).unwrap());
        let witness = format!("  users = [\n    {{ nkey: {:?} }}\n", pair(WITNESS).public_key());
        let config = users.replacen("  users = [\n", &witness, 1);
        assert!(config.contains(&witness));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { process, folder, address: String::new() };
        server.address = server.wait();
        server
    }

    /// Connects under an entry's key; the error is what the server says instead.
    pub(crate) fn connect(&self, entry: &str) -> Result<Line, String> {
        Line::open(&self.address, &pair(entry))
    }

    /// Its address, once it has written it down.
    fn wait(&mut self) -> String {
        let ports = self.folder.path().join(format!("nats-server_{}.ports", self.process.id()));
        eventually("the server starting", || {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(self.process.try_wait().unwrap().is_none(), "no server: {}", log());
            // Half a file is no JSON.
            let ports: Value = serde_json::from_slice(&fs::read(&ports).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.trim_start_matches("nats://").to_owned())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
