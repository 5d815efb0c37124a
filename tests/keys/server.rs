//! A real NATS server with the permissions of a fleet.

use crate::common::eventually;
use crate::fixture::{fleet_file, pair};
use crate::raw_client::RawClient;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A user with all permissions, who receives all messages.
pub(crate) const WITNESS: &str = "witness";

/// The server, which is killed on drop.
pub(crate) struct Server {
    process: Child,
    dir: TempDir,
    address: String,
}

impl Server {
    /// Starts a server with the permissions of the whole fixture, and a witness.
    pub(crate) fn start() -> Self {
        Self::of(fleet_file())
    }

    /// Starts a server with the permissions of another fleet file.
    pub(crate) fn of(fleet_file: &str) -> Self {
        let users = render_authorization(&parse_fleet_file(fleet_file, "fleet.toml".as_ref()).unwrap());
        let witness = format!("  users = [\n    {{ nkey: {:?} }}\n", pair(WITNESS).public_key());
        let config = users.replacen("  users = [\n", &witness, 1);
        assert!(config.contains(&witness));

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(dir.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { process, dir, address: String::new() };
        server.address = server.wait();
        server
    }

    /// Connects with the key of an entry; the error is the reply of the server.
    pub(crate) fn connect(&self, entry: &str) -> Result<RawClient, String> {
        RawClient::open(&self.address, &pair(entry))
    }

    /// Returns the address, as soon as the server has written it.
    fn wait(&mut self) -> String {
        let ports = self.dir.path().join(format!("nats-server_{}.ports", self.process.id()));
        eventually("the start of the server", || {
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(self.process.try_wait().unwrap().is_none(), "no server: {}", log());
            // A partially written file is not JSON.
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
