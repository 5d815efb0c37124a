//! A builder with a separate store and a repository, and an operator that sends plain JSON.

use crate::common::{Gate, Host, HostBuilder, NatsServer, RawClient, RawSubscription, Repo, TestDir};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// `sh NAME SCRIPT` is a derivation; `HOSTS` are `HOST = DERIVATION;` each.
const FLAKE: &str = r#"{
  outputs = { self }: let
    sh = name: script: derivation {
      inherit name;
      system = "SYSTEM";
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    };
    host = toplevel: { config.system.build.toplevel = toplevel; };
  in { nixosConfigurations = builtins.mapAttrs (_: host) {
HOSTS
  }; };
}"#;

/// No binary cache, and builds as the user who runs the tests.
const NIX: &str =
    "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\nsandbox = false\n";

pub(crate) struct Stage {
    pub(crate) wire: RawClient,
    pub(crate) builder: Host,
    pub(crate) repo: Repo,
    pub(crate) nats: NatsServer,
    directory: TestDir,
}

impl Stage {
    /// A builder of the repository `infra` with these hosts.
    pub(crate) fn new(hosts: &str) -> Self {
        Self::with(hosts, "", |builder| builder)
    }

    /// Like [`Stage::new`], with `top` before the repositories of the configuration file, and a builder adapted by
    /// `adapt`.
    pub(crate) fn with(hosts: &str, top: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::of(hosts, top, |nats, directory, config| adapt(builder(nats, directory, config)))
    }

    fn of(hosts: &str, top: &str, make: impl FnOnce(&NatsServer, &Path, &str) -> HostBuilder) -> Self {
        let directory = Self::made();
        let repo = Repo::new();
        repo.commit("flake.nix", &flake(hosts));
        let nats = NatsServer::start();
        let config = format!("{top}\n[repos.infra]\nurl = {:?}\n", repo.url());
        let builder = make(&nats, directory.path(), &config).start();
        let wire = RawClient::connect(&nats, "admin");
        Self { wire, builder, repo, nats, directory }
    }

    /// A builder whose nix runs in its sandbox, so that gates cannot hold its hosts.
    pub(crate) fn sandboxed(hosts: &str, flags: &[&str]) -> Self {
        Self::of(hosts, "", |nats, directory, config| {
            as_builder(directory, HostBuilder::builder(nats, config)).args(flags)
        })
    }

    pub(crate) fn made() -> TestDir {
        let directory = TestDir::new();
        fs::create_dir(directory.path().join("home")).unwrap();
        directory
    }

    /// Directory of the builder's nix.
    pub(crate) fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// A file of the stage, for the build scripts of hosts.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A gate in the stage.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        Gate::at(self.at(name))
    }

    /// Commits these hosts and returns the commit.
    pub(crate) fn hosts(&self, hosts: &str) -> String {
        self.repo.commit("flake.nix", &flake(hosts))
    }

    /// Requests a build and returns the subscription to its reports.
    pub(crate) fn build(&self, id: &str, target: &str) -> RawSubscription {
        self.ask(id, &format!("build.{target}"), json!({"target": target}))
    }

    /// Sends a request and returns the subscription to its reports.
    pub(crate) fn ask(&self, id: &str, subject: &str, mut request: Value) -> RawSubscription {
        let reply_to = format!("build.responses.{id}");
        let reports = self.wire.subscribe(&reply_to);
        request["reply_to"] = json!(reply_to);
        self.wire.publish(subject, &request);
        reports
    }

    /// Runs nix's garbage collector on the store of the stage.
    pub(crate) fn collect_garbage(&self) {
        let mut command = std::process::Command::new("nix-store");
        for (name, value) in environment(self.directory.path()) {
            command.env(name, value);
        }
        assert!(command.args(["--gc", "--quiet"]).status().unwrap().success());
    }

    /// GC root of the newest result of a host.
    pub(crate) fn root(&self, host: &str) -> PathBuf {
        self.builder.file("state/roots/infra").join(host)
    }

    /// Content of the newest result of a host.
    pub(crate) fn result(&self, host: &str) -> String {
        fs::read_to_string(self.root(host)).unwrap().trim().to_owned()
    }
}

/// Environment for a nix with its store and state in a directory: it needs no root, no daemon and no cache.
fn environment(directory: &Path) -> [(&'static str, String); 7] {
    let at = |name: &str| directory.join(name).display().to_string();
    [
        ("HOME", at("home")),
        ("XDG_CACHE_HOME", at("cache")),
        ("NIX_STORE_DIR", at("store")),
        ("NIX_STATE_DIR", at("var")),
        ("NIX_LOG_DIR", at("log")),
        ("NIX_REMOTE", "local".to_owned()),
        ("NIX_CONFIG", NIX.to_owned()),
    ]
}

/// A builder with such a nix. It runs without the sandbox, because hosts wait at gates and write files of the tests.
pub(crate) fn builder(nats: &NatsServer, directory: &Path, config: &str) -> HostBuilder {
    as_builder(directory, HostBuilder::builder(nats, config)).args(&["--no-sandbox"])
}

/// A service with the builder's nix.
pub(crate) fn as_builder(directory: &Path, service: HostBuilder) -> HostBuilder {
    environment(directory).into_iter().fold(service, |service, (name, value)| service.env(name, &value))
}

/// Source of a flake with these hosts.
pub(crate) fn flake(hosts: &str) -> String {
    let system = format!("{}-linux", std::env::consts::ARCH);
    FLAKE.replace("SYSTEM", &system).replace("HOSTS", hosts)
}

/// A host in a report.
pub(crate) fn host<'a>(report: &'a Value, name: &str) -> &'a Value {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["hostname"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

/// Asserts the status and error of a report, and that its message contains `words`.
pub(crate) fn says(report: &Value, status: &str, error: &str, words: &[&str]) {
    assert_eq!(
        (&report["status"], report["error"].as_str().unwrap_or_default()),
        (&json!(status), error),
        "{report:#}"
    );
    for word in words {
        assert!(text(&report["message"]).contains(word), "no {word:?} in {report:#}");
    }
}
