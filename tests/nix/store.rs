//! nix with a store of its own, and flakes to build in it: no root, no daemon, no network.

use crate::own_store::{CONFIGURATION, own_store};
use crate::resolve::ask;
use homelab_deploy::nix::{BuildError, BuildOrder, Nix, NixLine};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A store and a folder for flakes. Both go away with it.
pub(crate) struct Store {
    home: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn nix(&self) -> Nix {
        let nix = Nix::new().env("NIX_CONFIG", CONFIGURATION);
        own_store(self.home.path()).into_iter().fold(nix, |nix, (name, value)| nix.env(name, value))
    }

    /// A script in the place of `nix`, for what the real one cannot be made to do.
    pub(crate) fn instead_of_nix(&self, script: &str) -> Nix {
        std::fs::create_dir_all(self.path("bin")).unwrap();
        std::fs::write(self.path("nix"), format!("#!/bin/sh\n{script}\n")).unwrap();
        // A file that this process wrote may still be open in a child that another test starts, and then cannot be run.
        let mut install = Command::new("install");
        assert!(install.arg(self.path("nix")).arg(self.path("bin/nix")).status().unwrap().success());
        self.nix().env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
    }

    /// Runs a program of nix by itself and gives what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .envs(own_store(self.home.path()))
            .env("NIX_CONFIG", CONFIGURATION)
            .output()
            .expect("nix must be installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file in the store by the name, with the content.
    pub(crate) fn add(&self, name: &str, content: &str) -> PathBuf {
        let file = self.path(name);
        std::fs::write(&file, content).unwrap();
        self.run("nix-store", &["--add", file.to_str().unwrap()]).trim().into()
    }

    /// Writes a file of the flake.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path("flake")).unwrap();
        std::fs::write(self.path("flake").join(name), text).unwrap();
    }

    /// Writes a flake whose hosts are `HOST = TOPLEVEL;` each. `sh NAME SCRIPT` is a derivation.
    pub(crate) fn hosts(&self, hosts: &str) {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let flake = r#"{
  outputs = { self }: let
    sh = name: script: derivation {
      inherit name;
      system = "SYSTEM";
      builder = "/bin/sh";
      args = [ "-c" script ];
    };
    host = toplevel: { config.system.build.toplevel = toplevel; };
  in { nixosConfigurations = builtins.mapAttrs (_: host) {
HOSTS
  }; };
}"#;
        self.write("flake.nix", &flake.replace("SYSTEM", &system).replace("HOSTS", hosts));
    }

    /// What to build of a flake, by default of the one that was written here.
    pub(crate) async fn order(&self, flake: Option<&str>, host: &str) -> BuildOrder {
        let own = self.path("flake");
        let flake = flake.unwrap_or(own.to_str().unwrap());
        let locked = ask(flake, "main", None).await.unwrap();
        let (flake, host, attr) = (flake.parse().unwrap(), host.parse().unwrap(), host.parse().unwrap());
        BuildOrder { flake, locked, host, attr, out_link: self.path("result") }
    }

    /// Builds a host of the flake that was written here.
    pub(crate) async fn build(&self, host: &str) -> Built {
        Built::of(&self.nix(), self.order(None, host).await).await
    }

    /// The system of a host of the flake that was written here.
    pub(crate) async fn system(&self, host: &str) -> PathBuf {
        self.build(host).await.outcome.unwrap()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What nix puts into a store is read-only, also for who wants to clear it away.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.home.path()).status();
    }
}

/// A build that has ended, and what it told.
pub(crate) struct Built {
    pub(crate) outcome: Result<PathBuf, BuildError>,
    pub(crate) told: Vec<NixLine>,
}

impl Built {
    pub(crate) async fn of(nix: &Nix, order: BuildOrder) -> Self {
        let (told, mut heard) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let hear = async {
            let mut told = Vec::new();
            while let Some(line) = heard.recv().await {
                told.push(line);
            }
            told
        };
        let (outcome, told) = tokio::join!(nix.build(order, told, &stop), hear);
        Self { outcome, told }
    }

    pub(crate) fn log(&self) -> Vec<&str> {
        self.told
            .iter()
            .filter_map(|line| match line {
                NixLine::Log(text) => Some(text.as_str()),
                NixLine::Progress(_) => None,
            })
            .collect()
    }

    pub(crate) fn error(&self) -> &BuildError {
        self.outcome.as_ref().unwrap_err()
    }
}
