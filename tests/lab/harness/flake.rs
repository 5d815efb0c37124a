//! The flake of the hosts: a git repository with a real remote on the bridge.

use super::closure::{Closure, Site};
use super::net::Net;
use super::tree::guest;
use crate::common::{HOSTS, NatsServer};
use crate::repository::Repository;
use crate::server::Server;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository, its remote, and its hosts.
pub(crate) struct Flake {
    repository: Repository,
    server: Server,
    nats_url: String,
    arguments: Vec<String>,
}

impl Flake {
    /// Creates an empty remote on the bridge. Every listener gets these arguments.
    pub(super) fn open(net: &Net, nats: &NatsServer, arguments: &[&str]) -> Self {
        let repository = Repository::empty_in(net.dir());
        let server = Server::open_at(net.address(), repository.remotes());
        let text = fs::read_to_string(guest("flake.nix")).unwrap();
        repository
            .write("flake.nix", &text.replace("@system@", &format!("{}-linux", std::env::consts::ARCH)));
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { repository, server, nats_url: nats.url(), arguments }
    }

    /// The URL for hosts.
    pub(crate) fn url(&self) -> String {
        self.server.flake()
    }

    /// Makes listeners use another NATS server from the next commit on.
    pub(super) fn reach_nats_at(&mut self, url: &str) {
        url.clone_into(&mut self.nats_url);
    }

    /// Commits this closure for every host to `main`, and returns the commit.
    pub(crate) fn commit(&self, closure: &Closure) -> String {
        let all: Vec<_> = HOSTS.iter().map(|(name, ..)| (*name, closure)).collect();
        self.commit_each(&all)
    }

    /// Commits separate closures for some hosts; the others keep theirs.
    pub(crate) fn commit_each(&self, closures: &[(&str, &Closure)]) -> String {
        for (name, closure) in closures {
            closure.write(&self.dir().join("hosts").join(name), &self.site(name));
        }
        // A commit is created even if nothing has changed.
        let commit = self.repository.commit(&uuid::Uuid::now_v7().to_string());
        self.repository.push();
        commit
    }

    /// Writes a file of the clone, for the next commit.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs git in the clone; push with [`Flake::push`].
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.repository.git(args)
    }

    /// Pushes branches and tags to the remote.
    pub(crate) fn push(&self) {
        self.repository.push();
    }

    /// The directory of the clone.
    pub(super) fn dir(&self) -> PathBuf {
        Path::new(&self.repository.git(&["rev-parse", "--show-toplevel"])).to_owned()
    }

    fn site(&self, host: &str) -> Site {
        let (name, tier, role) =
            *HOSTS.iter().find(|(name, ..)| *name == host).expect("a host that the NATS server knows");
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
