//! A private `nats-server` with keys for a small fleet.

use super::eventually;
use homelab_deploy::keys::{Seed, parse_fleet_file, render_authorization};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// The hosts every broker knows: name, tier, role.
pub const HOSTS: [(&str, &str, &str); 6] = [
    ("ns1", "prod", "dns"),
    ("ns2", "prod", "dns"),
    ("web1", "test", "web"),
    ("web2", "test", "web"),
    ("db1", "test", "db"),
    ("old1", "test", "legacy"),
];

/// The one that hears the others.
const HEARS_HOSTS: &str = "web1";

/// The operators every broker knows: name, and the rest of its entry.
const OPERATORS: [(&str, &str); 5] = [
    ("admin", "kind = \"admin\""),
    ("tester", "kind = \"deployer\"\ntiers = [\"test\"]"),
    ("viewer", "kind = \"viewer\""),
    ("mcp", "kind = \"mcp\""),
    ("builder", "kind = \"builder\""),
];

/// A key of each, a key nobody knows, and one that may do everything, for tests that speak for both sides. Made once:
/// that takes longer than a server needs to start.
static SEEDS: LazyLock<HashMap<&str, Seed>> = LazyLock::new(|| {
    let hosts = HOSTS.into_iter().map(|(name, ..)| name);
    let operators = OPERATORS.into_iter().map(|(name, _)| name);
    let names = hosts.chain(operators).chain(["stranger", "everything"]);
    names.map(|name| (name, Seed::generate().unwrap())).collect()
});

/// The seed of a host or operator.
pub(super) fn seed(user: &str) -> &'static str {
    SEEDS[user].expose()
}

/// A server that ends with its owner.
pub struct Broker {
    folder: TempDir,
    server: Child,
    address: String,
    /// Where it listens for whom, as it has written down.
    ports: Value,
    authorization: String,
    keys: HashMap<String, PathBuf>,
}

impl Broker {
    /// Starts a server on a free port of the loopback.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1", &std::env::temp_dir())
    }

    /// Starts a server on a free port of an address of this machine, with its files below `parent`.
    pub fn start_at(address: &str, parent: &Path) -> Self {
        Self::configured(address, parent, "")
    }

    /// The same with more in its configuration file.
    pub fn configured(address: &str, parent: &Path, config: &str) -> Self {
        let folder = TempDir::new_in(parent).unwrap();
        let mut keys = HashMap::new();
        let mut fleet = String::new();
        let mut key = |name: &str| {
            let seed = &SEEDS[name];
            let file = folder.path().join(format!("{name}.nkey"));
            seed.write_new(&file).unwrap();
            keys.insert(name.to_owned(), file);
            seed.public_key().to_owned()
        };
        for (name, tier, role) in HOSTS {
            let key = key(name);
            writeln!(fleet, "[hosts.{name}]\ntier = {tier:?}\nrole = {role:?}\npublic_key = {key:?}")
                .unwrap();
            if name == HEARS_HOSTS {
                writeln!(fleet, "confirm_peers = true").unwrap();
            }
        }
        for (name, entry) in OPERATORS {
            let key = key(name);
            writeln!(fleet, "[operators.{name}]\n{entry}\npublic_key = {key:?}").unwrap();
        }
        key("stranger");
        fs::write(folder.path().join("fleet.toml"), &fleet).unwrap();
        key("everything");
        let authorization = with_everything(&render_authorization(&parse_fleet_file(&fleet).unwrap()));
        let address = address.to_owned();
        configure(folder.path(), &authorization, config);
        let server = launch(folder.path(), &address, -1);
        let ports = ports_of(folder.path(), &server);
        Self { folder, server, address, ports, authorization, keys }
    }

    /// A server that lets everybody do everything.
    pub fn without_keys() -> Self {
        let mut broker = Self::start();
        broker.stop();
        broker.authorization.clear();
        broker.restart_with("");
        broker
    }

    /// A server whose hosts publish on subjects of their own name only.
    pub fn without_base_subjects() -> Self {
        let mut broker = Self::start();
        let fleet = format!("base_subjects = false\n{}", fs::read_to_string(broker.fleet_file()).unwrap());
        fs::write(broker.fleet_file(), &fleet).unwrap();
        broker.reload(&render_authorization(&parse_fleet_file(&fleet).unwrap()));
        broker
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://{}", self.place("nats"))
    }

    /// Address and port for one sort of connection: `nats`, `cluster` or `monitoring`.
    pub fn place(&self, sort: &str) -> String {
        format!("{}:{}", self.address, self.port(sort))
    }

    fn port(&self, sort: &str) -> u16 {
        self.ports[sort][0].as_str().and_then(|url| url.rsplit(':').next()?.parse().ok()).expect("a port")
    }

    /// What it writes to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("nats.log")).unwrap()
    }

    /// The number of the server's process.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// The key file of a host or operator.
    pub fn key(&self, name: &str) -> &Path {
        &self.keys[name]
    }

    /// A folder that lives as long as the broker.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What another server needs to let the same users in.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.folder.path().join("nats.conf")).unwrap()
    }

    /// The fleet file that its permissions come from.
    pub fn fleet_file(&self) -> PathBuf {
        self.folder.path().join("fleet.toml")
    }

    /// Gives it other permissions while it runs, as `keys nats-config` prints them.
    pub fn reload(&mut self, authorization: &str) {
        const RELOADED: &str = "Reloaded server configuration";
        let before = self.log().matches(RELOADED).count();
        self.authorization = with_everything(authorization);
        configure(self.folder.path(), &self.authorization, "");
        self.signal(Signal::HUP);
        eventually("the server reloading", || (self.log().matches(RELOADED).count() > before).then_some(()));
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends the server, without a word.
    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub fn restart(&mut self) {
        self.server = launch(self.folder.path(), &self.address, self.port("nats").into());
        self.ports = ports_of(self.folder.path(), &self.server);
    }

    /// The same with something else in its configuration file.
    pub fn restart_with(&mut self, config: &str) {
        configure(self.folder.path(), &self.authorization, config);
        self.restart();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The permissions with one user more, who may do everything.
fn with_everything(authorization: &str) -> String {
    let everything = format!("    {{ nkey: {} }}\n", SEEDS["everything"].public_key());
    let list = "users = [";
    let at = authorization.find(list).expect("a list of users") + list.len();
    format!("{}\n{everything}{}", &authorization[..at], &authorization[at..])
}

fn launch(folder: &Path, address: &str, port: i32) -> Child {
    let log = fs::File::create(folder.join("nats.log")).unwrap();
    Command::new("nats-server")
        .args(["-a", address, "-p", &port.to_string(), "-c"])
        .arg(folder.join("nats.conf"))
        .arg("--ports_file_dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("nats-server starts; `make test` installs it")
}

fn configure(folder: &Path, authorization: &str, config: &str) {
    fs::write(folder.join("nats.conf"), format!("{authorization}\n{config}")).unwrap();
}

/// What the server writes down once it is ready.
fn ports_of(folder: &Path, server: &Child) -> Value {
    let file = folder.join(format!("nats-server_{}.ports", server.id()));
    eventually("the broker starting", || serde_json::from_slice(&fs::read(&file).ok()?).ok())
}
