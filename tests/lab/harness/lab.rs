//! A lab: a network with a broker and a git remote, hosts to boot on it, and an operator who speaks plain JSON.

use super::closure::Closure;
use super::flake::Flake;
use super::host::{Host, HostBuilder};
use super::net::Net;
use super::unit::NATS_PORT;
use crate::common::{Broker, Ears, HOSTS, Wire, eventually, operator};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long an answer may take before the question is asked again.
const ANSWER: Duration = Duration::from_millis(300);

/// Declare it before its hosts, so that they are dropped first.
pub(crate) struct Lab {
    /// The deployer of the tier `test`.
    pub(crate) wire: Wire,
    pub(crate) flake: Flake,
    pub(crate) broker: Broker,
    net: Arc<Net>,
    hosts: AtomicU8,
}

impl Lab {
    /// A lab whose hosts start out with the closure `base`.
    pub(crate) fn new() -> Self {
        Self::with(&Closure::new("base"))
    }

    /// A lab whose hosts start out with this closure.
    pub(crate) fn with(closure: &Closure) -> Self {
        Self::listening(&["--rebuild-command /lab/rebuild"], closure)
    }

    /// A lab whose listeners deploy by the pipeline, with these further arguments.
    pub(crate) fn deploying(arguments: &[&str]) -> Self {
        // The hosts share this machine's disk.
        let arguments: Vec<_> = ["--min-free 16MiB"].iter().chain(arguments).copied().collect();
        Self::listening(&arguments, &Closure::new("base").service("web", "sleep 1001"))
    }

    /// The same with these arguments of every listener, beyond those that say who and where it is.
    pub(crate) fn listening(arguments: &[&str], closure: &Closure) -> Self {
        let net = Net::new();
        let broker = Broker::start_at(&net.address().to_string(), net.folder());
        net.cgroup().child("broker").adopt(broker.pid());
        let wire = Wire::connect(&broker, "tester");
        let flake = Flake::open(&net, &broker, arguments);
        flake.commit(closure);
        Self { wire, flake, broker, net, hosts: AtomicU8::new(0) }
    }

    /// A host to be, one of those that the broker knows.
    pub(crate) fn host<'a>(&'a self, name: &'a str) -> HostBuilder<'a> {
        let index = self.hosts.fetch_add(1, Ordering::Relaxed);
        let (net, broker, flake) = (Arc::clone(&self.net), &self.broker, &self.flake);
        HostBuilder { net, broker, flake, name, index, disk: None, nats: false }
    }

    /// Has the host that is made first run the NATS server of all, which is not up before that host is. This closure is
    /// everybody's from now on; that of the first host needs [`Closure::nats_server`] as well.
    pub(crate) fn nats_on_first_host(&mut self, closure: &Closure) -> String {
        let address = self.net.host_address(0);
        let url = format!("nats://{}:{NATS_PORT}", address.split('/').next().expect("an address"));
        self.flake.reach_nats_at(&url);
        self.flake.commit(closure);
        url
    }

    /// Speaks through another server from now on.
    pub(crate) fn connect_to(&mut self, url: &str) {
        self.wire = eventually("the server on a host", || {
            std::net::TcpStream::connect(url.trim_start_matches("nats://")).ok()?;
            Some(Wire::with_key(url, self.broker.key("tester")))
        });
    }

    /// Boots a host and waits until it answers.
    pub(crate) fn boot(&self, name: &str) -> Host {
        let host = self.host(name).boot();
        self.online(name);
        host
    }

    /// Boots several at once.
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

    /// Stops the broker without a word: connections are refused from now on.
    pub(crate) fn stop_broker(&mut self) {
        self.broker.stop();
    }

    /// Starts it again.
    pub(crate) fn start_broker(&mut self) {
        self.broker.restart();
        self.net.cgroup().child("broker").adopt(self.broker.pid());
    }

    /// Shell that succeeds where the broker can be reached, within five seconds.
    pub(crate) fn knock(&self) -> String {
        let address = self.broker.url().replace("nats://", "").replace(':', "/");
        format!("timeout 5 bash -c ': </dev/tcp/{address}'")
    }

    /// Our binary as an operator calls it.
    pub(crate) fn operator(&self, name: &str) -> Command {
        operator(&self.broker, name)
    }

    /// Asks a host to switch to `main`, changed by `fields`, and gives what comes back.
    pub(crate) fn request(&self, host: &str, id: &str, fields: &Value) -> Ears {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.listen(&reply_to);
        let mut request = json!({"action": "switch", "revision": "main", "reply_to": reply_to});
        for (name, value) in fields.as_object().expect("fields") {
            request[name] = value.clone();
        }
        let (_, tier, _) = HOSTS.iter().find(|(name, ..)| *name == host).expect("a host of the broker");
        self.wire.say(&format!("deploy.{tier}.{host}"), &request);
        reports
    }

    /// Asks a host something once.
    pub(crate) fn ask(&self, host: &str, fields: &Value) -> Option<Value> {
        let reply_to = format!("deploy.responses.ask.{}", uuid::Uuid::now_v7());
        let answers = self.wire.listen(&reply_to);
        let mut question = json!({"reply_to": reply_to, "hosts": [host]});
        for (name, value) in fields.as_object().expect("fields") {
            question[name] = value.clone();
        }
        self.wire.say("deploy.discover", &question);
        Some(answers.within(ANSWER)?.body)
    }

    /// The report of a host's newest job, once it is final; asked for, as whoever missed it does.
    pub(crate) fn verdict(&self, host: &str) -> Value {
        eventually(&format!("a verdict of {host}"), || {
            let report = self.ask(host, &json!({"want": "job"}))?["report"].clone();
            ["completed", "failed"].iter().any(|word| report["status"] == *word).then_some(report)
        })
    }

    /// What a host says of itself, once it answers.
    pub(crate) fn online(&self, host: &str) -> Value {
        eventually(&format!("an answer of {host}"), || self.ask(host, &json!({})))
    }
}
