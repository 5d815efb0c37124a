//! A lab: a network with a NATS server and a git remote, hosts to boot on it, and an operator that sends plain JSON.

use super::closure::Closure;
use super::flake::Flake;
use super::host::{Host, HostBuilder};
use super::net::Net;
use super::unit::NATS_PORT;
use crate::common::{HOSTS, NatsServer, RawClient, RawSubscription, eventually, operator};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a reply may take before the query is repeated.
const REPLY_TIMEOUT: Duration = Duration::from_millis(300);

/// A lab. Declare it before its hosts, so that they are dropped first.
pub(crate) struct Lab {
    /// The client of the deployer of tier `test`.
    pub(crate) wire: RawClient,
    pub(crate) flake: Flake,
    pub(crate) nats: NatsServer,
    net: Arc<Net>,
    hosts: AtomicU8,
}

impl Lab {
    /// A lab whose hosts start with the closure `base`.
    pub(crate) fn new() -> Self {
        Self::with(&Closure::new("base"))
    }

    /// A lab whose hosts start with this closure.
    pub(crate) fn with(closure: &Closure) -> Self {
        Self::listening(&["--rebuild-command /lab/rebuild"], closure)
    }

    /// A lab whose listeners use the pipeline, with these additional arguments.
    pub(crate) fn deploying(arguments: &[&str]) -> Self {
        // The hosts share this machine's disk.
        let arguments: Vec<_> = ["--min-free 16MiB"].iter().chain(arguments).copied().collect();
        Self::listening(&arguments, &Closure::new("base").service("web", "sleep 1001"))
    }

    /// A lab with this closure and these additional arguments of every listener.
    pub(crate) fn listening(arguments: &[&str], closure: &Closure) -> Self {
        let net = Net::new();
        let nats = NatsServer::start_at(&net.address().to_string(), net.dir());
        net.cgroup().child("nats").adopt(nats.pid());
        let wire = RawClient::connect(&nats, "tester");
        let flake = Flake::open(&net, &nats, arguments);
        flake.commit(closure);
        Self { wire, flake, nats, net, hosts: AtomicU8::new(0) }
    }

    /// A host to install, one of those that the NATS server knows.
    pub(crate) fn host<'a>(&'a self, name: &'a str) -> HostBuilder<'a> {
        let index = self.hosts.fetch_add(1, Ordering::Relaxed);
        let (net, nats, flake) = (Arc::clone(&self.net), &self.nats, &self.flake);
        HostBuilder { net, nats, flake, name, index, disk: None, runs_nats: false, binds: Vec::new() }
    }

    /// Makes the first host run the NATS server of the lab, which starts with that host. All hosts get this closure;
    /// the first host's also needs [`Closure::nats_server`].
    pub(crate) fn nats_on_first_host(&mut self, closure: &Closure) -> String {
        let address = self.net.host_address(0);
        let url = format!("nats://{}:{NATS_PORT}", address.split('/').next().expect("an address"));
        self.flake.reach_nats_at(&url);
        self.flake.commit(closure);
        url
    }

    /// Connects the client to another NATS server.
    pub(crate) fn connect_to(&mut self, url: &str) {
        self.wire = eventually("the server on a host", || {
            std::net::TcpStream::connect(url.trim_start_matches("nats://")).ok()?;
            Some(RawClient::with_key(url, self.nats.key("tester")))
        });
    }

    /// Boots a host and waits until it answers.
    pub(crate) fn boot(&self, name: &str) -> Host {
        let host = self.host(name).boot();
        self.online(name);
        host
    }

    /// Boots several hosts in parallel.
    pub(crate) fn boot_all<const N: usize>(&self, names: [&str; N]) -> [Host; N] {
        let builders = names.map(|name| self.host(name));
        let hosts = std::thread::scope(|scope| {
            builders.map(|host| scope.spawn(|| host.boot())).map(|host| host.join().expect("a host boots"))
        });
        for name in names {
            self.online(name);
        }
        hosts
    }

    /// Stops the NATS server; connections are refused from now on.
    pub(crate) fn stop_nats(&mut self) {
        self.nats.stop();
    }

    /// Starts the NATS server again.
    pub(crate) fn start_nats(&mut self) {
        self.nats.restart();
        self.net.cgroup().child("nats").adopt(self.nats.pid());
    }

    /// Shell that succeeds if the NATS server can be reached within five seconds.
    pub(crate) fn connect_command(&self) -> String {
        let address = self.nats.url().replace("nats://", "").replace(':', "/");
        format!("timeout 5 bash -c ': </dev/tcp/{address}'")
    }

    /// Our binary with the settings of an operator.
    pub(crate) fn operator(&self, name: &str) -> Command {
        operator(&self.nats, name)
    }

    /// Requests a switch to `main`, changed by `fields`, and returns the reports.
    pub(crate) fn request(&self, host: &str, id: &str, fields: &Value) -> RawSubscription {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.subscribe(&reply_to);
        let mut request = json!({"action": "switch", "revision": "main", "reply_to": reply_to});
        for (name, value) in fields.as_object().expect("fields") {
            request[name] = value.clone();
        }
        let (_, tier, _) =
            HOSTS.iter().find(|(name, ..)| *name == host).expect("a host that the NATS server knows");
        self.wire.publish(&format!("deploy.{tier}.{host}"), &request);
        reports
    }

    /// Sends one query to a host.
    pub(crate) fn query(&self, host: &str, fields: &Value) -> Option<Value> {
        let reply_to = format!("deploy.responses.ask.{}", uuid::Uuid::now_v7());
        let answers = self.wire.subscribe(&reply_to);
        let mut query = json!({"reply_to": reply_to, "hosts": [host]});
        for (name, value) in fields.as_object().expect("fields") {
            query[name] = value.clone();
        }
        self.wire.publish("deploy.discover", &query);
        Some(answers.within(REPLY_TIMEOUT)?.body)
    }

    /// Queries the newest job of a host until it has a final report, as a client does that missed it.
    pub(crate) fn final_report(&self, host: &str) -> Value {
        eventually(&format!("a final report of {host}"), || {
            let report = self.query(host, &json!({"query": "job"}))?["report"].clone();
            ["completed", "failed"].iter().any(|word| report["status"] == *word).then_some(report)
        })
    }

    /// Waits for the presence of a host.
    pub(crate) fn online(&self, host: &str) -> Value {
        eventually(&format!("an answer of {host}"), || self.query(host, &json!({})))
    }
}
