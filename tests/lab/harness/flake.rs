//! The flake that hosts are deployed from: a git repository behind a real remote on the bridge.

use super::closure::{Closure, Site};
use super::net::Net;
use super::tree::guest;
use crate::common::{Broker, HOSTS};
use crate::repository::Repository;
use crate::server::Server;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository, its remote, and the hosts in it.
pub(crate) struct Flake {
    repository: Repository,
    server: Server,
    nats_url: String,
    arguments: Vec<String>,
}

impl Flake {
    /// A remote on the bridge, with nothing in it yet. Every listener gets these arguments.
    pub(super) fn open(net: &Net, broker: &Broker, arguments: &[&str]) -> Self {
        let repository = Repository::empty_in(net.folder());
        let server = Server::open_at(net.address(), repository.remotes());
        let text = fs::read_to_string(guest("flake.nix")).unwrap();
        repository
            .write("flake.nix", &text.replace("@system@", &format!("{}-linux", std::env::consts::ARCH)));
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { repository, server, nats_url: broker.url(), arguments }
    }

    /// Where hosts find it.
    pub(crate) fn url(&self) -> String {
        self.server.flake()
    }

    /// Tells listeners of another server, with the next commit.
    pub(super) fn reach_nats_at(&mut self, url: &str) {
        url.clone_into(&mut self.nats_url);
    }

    /// Gives every host this closure, on `main`, and gives the commit.
    pub(crate) fn commit(&self, closure: &Closure) -> String {
        let all: Vec<_> = HOSTS.iter().map(|(name, ..)| (*name, closure)).collect();
        self.commit_each(&all)
    }

    /// Gives some hosts closures of their own; the others keep theirs.
    pub(crate) fn commit_each(&self, closures: &[(&str, &Closure)]) -> String {
        for (name, closure) in closures {
            closure.write(&self.folder().join("hosts").join(name), &self.site(name));
        }
        // Also what changes nothing is a commit of its own.
        let commit = self.repository.commit(&uuid::Uuid::now_v7().to_string());
        self.repository.push();
        commit
    }

    /// Runs git in the clone; push with [`Flake::push`].
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.repository.git(args)
    }

    /// Makes branches and tags known to the remote.
    pub(crate) fn push(&self) {
        self.repository.push();
    }

    /// The clone.
    pub(super) fn folder(&self) -> PathBuf {
        Path::new(&self.repository.git(&["rev-parse", "--show-toplevel"])).to_owned()
    }

    fn site(&self, host: &str) -> Site {
        let (name, tier, role) =
            *HOSTS.iter().find(|(name, ..)| *name == host).expect("a host of the broker");
        Site {
            name: name.to_owned(),
            tier: tier.to_owned(),
            role: role.to_owned(),
            nats_url: self.nats_url.clone(),
            flake_url: self.url(),
            arguments: self.arguments.clone(),
        }
    }
}
