//! A private `nats-server` with keys for a small fleet.

use super::eventually;
use homelab_deploy::keys::{UserSeed, parse_fleet_file, render_authorization};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// The hosts that every server knows: name, tier, role.
pub const HOSTS: [(&str, &str, &str); 6] = [
    ("ns1", "prod", "dns"),
    ("ns2", "prod", "dns"),
    ("web1", "test", "web"),
    ("web2", "test", "web"),
    ("db1", "test", "db"),
    ("old1", "test", "legacy"),
];

/// The host that may receive presence of other hosts.
const PEER_CONFIRMER: &str = "web1";

/// The operators that every server knows: name, and the rest of the entry.
const OPERATORS: [(&str, &str); 5] = [
    ("admin", "kind = \"admin\""),
    ("tester", "kind = \"deployer\"\ntiers = [\"test\"]"),
    ("viewer", "kind = \"viewer\""),
    ("mcp", "kind = \"mcp\""),
    ("builder", "kind = \"builder\""),
];

/// A key for each, an unknown key, and a key for a superuser, for tests that play both sides. They are generated only
/// once, because that takes longer than the start of a server.
static SEEDS: LazyLock<HashMap<&str, UserSeed>> = LazyLock::new(|| {
    let hosts = HOSTS.into_iter().map(|(name, ..)| name);
    let operators = OPERATORS.into_iter().map(|(name, _)| name);
    let names = hosts.chain(operators).chain(["stranger", "everything"]);
    names.map(|name| (name, UserSeed::generate().unwrap())).collect()
});

/// The seed of a host or operator.
pub(super) fn seed(user: &str) -> &'static str {
    SEEDS[user].expose()
}

/// A server that is killed on drop.
pub struct NatsServer {
    dir: TempDir,
    server: Child,
    address: String,
    /// The addresses that the server has written to its ports file.
    ports: Value,
    authorization: String,
    keys: HashMap<String, PathBuf>,
}

impl NatsServer {
    /// Starts a server on a free loopback port.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1", &std::env::temp_dir())
    }

    /// Starts a server on a free port of a local address, with its files below `parent`.
    pub fn start_at(address: &str, parent: &Path) -> Self {
        Self::configured(address, parent, "")
    }

    /// Starts a server with additional configuration.
    pub fn configured(address: &str, parent: &Path, config: &str) -> Self {
        let dir = TempDir::new_in(parent).unwrap();
        let mut keys = HashMap::new();
        let mut fleet = String::new();
        let mut key = |name: &str| {
            let seed = &SEEDS[name];
            let file = dir.path().join(format!("{name}.nkey"));
            seed.write_new(&file).unwrap();
            keys.insert(name.to_owned(), file);
            seed.public_key().to_owned()
        };
        for (name, tier, role) in HOSTS {
            let key = key(name);
            writeln!(fleet, "[hosts.{name}]\ntier = {tier:?}\nrole = {role:?}\npublic_key = {key:?}")
                .unwrap();
            if name == PEER_CONFIRMER {
                writeln!(fleet, "confirm_peers = true").unwrap();
            }
        }
        for (name, entry) in OPERATORS {
            let key = key(name);
            writeln!(fleet, "[operators.{name}]\n{entry}\npublic_key = {key:?}").unwrap();
        }
        key("stranger");
        fs::write(dir.path().join("fleet.toml"), &fleet).unwrap();
        key("everything");
        let authorization =
            add_superuser(&render_authorization(&parse_fleet_file(&fleet, "fleet.toml".as_ref()).unwrap()));
        let address = address.to_owned();
        configure(dir.path(), &authorization, config);
        let server = launch(dir.path(), &address, -1);
        let ports = read_ports(dir.path(), &server);
        Self { dir, server, address, ports, authorization, keys }
    }

    /// Starts a server that gives everyone all permissions.
    pub fn without_keys() -> Self {
        let mut nats = Self::start();
        nats.stop();
        nats.authorization.clear();
        nats.restart_with("");
        nats
    }

    /// Starts a server whose hosts may only publish on subjects with their own name.
    pub fn without_base_subjects() -> Self {
        let mut nats = Self::start();
        let fleet = format!("base_subjects = false\n{}", fs::read_to_string(nats.fleet_file()).unwrap());
        fs::write(nats.fleet_file(), &fleet).unwrap();
        nats.reload(&render_authorization(&parse_fleet_file(&fleet, "fleet.toml".as_ref()).unwrap()));
        nats
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address("nats"))
    }

    /// The address and port for one kind of connection: `nats`, `cluster` or `monitoring`.
    pub fn address(&self, sort: &str) -> String {
        format!("{}:{}", self.address, self.port(sort))
    }

    fn port(&self, sort: &str) -> u16 {
        self.ports[sort][0].as_str().and_then(|url| url.rsplit(':').next()?.parse().ok()).expect("a port")
    }

    /// The content of the log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("nats.log")).unwrap()
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// The seed file of a host or operator.
    pub fn key(&self, name: &str) -> &Path {
        &self.keys[name]
    }

    /// A directory that exists as long as the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration that lets another server accept the same users.
    pub fn config_text(&self) -> String {
        fs::read_to_string(self.dir.path().join("nats.conf")).unwrap()
    }

    /// The fleet file that the permissions are generated from.
    pub fn fleet_file(&self) -> PathBuf {
        self.dir.path().join("fleet.toml")
    }

    /// Reloads the server with other permissions, as printed by `keys nats-config`.
    pub fn reload(&mut self, authorization: &str) {
        const RELOADED: &str = "Reloaded server configuration";
        let before = self.log().matches(RELOADED).count();
        self.authorization = add_superuser(authorization);
        configure(self.dir.path(), &self.authorization, "");
        self.signal(Signal::HUP);
        eventually("the server reloading", || (self.log().matches(RELOADED).count() > before).then_some(()));
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Suspends the server and waits until none of its threads runs; `SIGCONT` resumes it.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.server.id());
        let is_stopped = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        eventually("a suspended server", || {
            fs::read_dir(&threads).unwrap().map(Result::unwrap).all(is_stopped).then_some(())
        });
    }

    /// Kills the server with SIGKILL.
    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts the server again on the same port.
    pub fn restart(&mut self) {
        self.server = launch(self.dir.path(), &self.address, self.port("nats").into());
        self.ports = read_ports(self.dir.path(), &self.server);
    }

    /// Starts the server again with other additional configuration.
    pub fn restart_with(&mut self, config: &str) {
        configure(self.dir.path(), &self.authorization, config);
        self.restart();
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Adds a user with all permissions.
fn add_superuser(authorization: &str) -> String {
    let everything = format!("    {{ nkey: {} }}\n", SEEDS["everything"].public_key());
    let list = "users = [";
    let at = authorization.find(list).expect("a list of users") + list.len();
    format!("{}\n{everything}{}", &authorization[..at], &authorization[at..])
}

fn launch(dir: &Path, address: &str, port: i32) -> Child {
    let log = fs::File::create(dir.join("nats.log")).unwrap();
    Command::new("nats-server")
        .args(["-a", address, "-p", &port.to_string(), "-c"])
        .arg(dir.join("nats.conf"))
        .arg("--ports_file_dir")
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("nats-server starts; `make test` installs it")
}

fn configure(dir: &Path, authorization: &str, config: &str) {
    fs::write(dir.join("nats.conf"), format!("{authorization}\n{config}")).unwrap();
}

/// Returns the content of the ports file, as soon as the server is ready.
fn read_ports(dir: &Path, server: &Child) -> Value {
    let file = dir.join(format!("nats-server_{}.ports", server.id()));
    eventually("the start of the server", || serde_json::from_slice(&fs::read(&file).ok()?).ok())
}
