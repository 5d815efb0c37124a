//! A builder with a store of its own and a repository, and an operator who speaks plain JSON.

use crate::common::{Broker, Ears, Gate, Host, HostBuilder, Repo, Wire};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

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

/// No cache to ask, and builds as the user who runs the tests.
const NIX: &str =
    "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\nsandbox = false\n";

pub(crate) struct Stage {
    pub(crate) wire: Wire,
    pub(crate) builder: Host,
    pub(crate) repo: Repo,
    pub(crate) broker: Broker,
    folder: TempDir,
}

impl Stage {
    /// A builder of the repository `infra` with these hosts.
    pub(crate) fn new(hosts: &str) -> Self {
        Self::with(hosts, "", |builder| builder)
    }

    /// The same with more at the top of its file, and with a builder that `adapt` has changed before it starts.
    pub(crate) fn with(hosts: &str, top: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::of(hosts, top, |broker, folder, config| adapt(builder(broker, folder, config)))
    }

    fn of(hosts: &str, top: &str, make: impl FnOnce(&Broker, &Path, &str) -> HostBuilder) -> Self {
        let folder = Self::made();
        let repo = Repo::new();
        repo.commit("flake.nix", &flake(hosts));
        let broker = Broker::start();
        let config = format!("{top}\n[repos.infra]\nurl = {:?}\n", repo.url());
        let builder = make(&broker, folder.path(), &config).start();
        let wire = Wire::connect(&broker, "admin");
        Self { wire, builder, repo, broker, folder }
    }

    /// A builder whose nix runs in its sandbox, where hosts can be held by no gate.
    pub(crate) fn sandboxed(hosts: &str, flags: &[&str]) -> Self {
        Self::of(hosts, "", |broker, folder, config| {
            as_builder(folder, HostBuilder::builder(broker, config)).args(flags)
        })
    }

    pub(crate) fn made() -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        folder
    }

    /// Where the builder's nix lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the stage, for scripts of hosts.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A gate in the stage.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        Gate::at(self.at(name))
    }

    /// Commits these hosts and gives the commit.
    pub(crate) fn hosts(&self, hosts: &str) -> String {
        self.repo.commit("flake.nix", &flake(hosts))
    }

    /// Asks for a build and gives what comes back.
    pub(crate) fn build(&self, id: &str, target: &str) -> Ears {
        self.ask(id, &format!("build.{target}"), json!({"target": target}))
    }

    /// Sends a request and gives what comes back.
    pub(crate) fn ask(&self, id: &str, subject: &str, mut request: Value) -> Ears {
        let reply_to = format!("build.responses.{id}");
        let reports = self.wire.listen(&reply_to);
        request["reply_to"] = json!(reply_to);
        self.wire.say(subject, &request);
        reports
    }

    /// Runs nix's garbage collector on the store of the stage.
    pub(crate) fn collect_garbage(&self) {
        let mut command = std::process::Command::new("nix-store");
        for (name, value) in environment(self.folder.path()) {
            command.env(name, value);
        }
        assert!(command.args(["--gc", "--quiet"]).status().unwrap().success());
    }

    /// Where the newest result of a host is kept.
    pub(crate) fn root(&self, host: &str) -> PathBuf {
        self.builder.file("state/roots/infra").join(host)
    }

    /// What stands in the newest result of a host.
    pub(crate) fn result(&self, host: &str) -> String {
        fs::read_to_string(self.root(host)).unwrap().trim().to_owned()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.builder.kill();
        // What nix puts into a store is read-only, also for who wants to clear it away.
        let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(self.folder.path()).status();
    }
}

/// A nix whose store and state lie in a folder: it needs no root, no daemon and no cache.
fn environment(folder: &Path) -> [(&'static str, String); 7] {
    let at = |name: &str| folder.join(name).display().to_string();
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

/// A builder with such a nix. It runs without its sandbox, because hosts wait at gates and write files of the tests.
pub(crate) fn builder(broker: &Broker, folder: &Path, config: &str) -> HostBuilder {
    as_builder(folder, HostBuilder::builder(broker, config)).args(&["--no-sandbox"])
}

/// A service with the nix of the builder.
pub(crate) fn as_builder(folder: &Path, service: HostBuilder) -> HostBuilder {
    environment(folder).into_iter().fold(service, |service, (name, value)| service.env(name, &value))
}

/// The text of a flake with these hosts.
pub(crate) fn flake(hosts: &str) -> String {
    let system = format!("{}-linux", std::env::consts::ARCH);
    FLAKE.replace("SYSTEM", &system).replace("HOSTS", hosts)
}

/// The host of a report.
pub(crate) fn host<'a>(report: &'a Value, name: &str) -> &'a Value {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["hostname"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// That a report has this status, error and words in its message.
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
