//! nix with a separate store, and flakes to build in it: no root, no daemon, no network.

use crate::common::TestDir;
use crate::own_store::{CONFIGURATION, own_store};
use crate::resolve::pin;
use homelab_deploy::nix::{BuildError, HostBuildSpec, Nix, NixLine};
use std::path::PathBuf;
use std::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A store and a directory for flakes. Both are removed on drop.
pub(crate) struct Store {
    home: TestDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { home: TestDir::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn nix(&self) -> Nix {
        let nix = Nix::new().env("NIX_CONFIG", CONFIGURATION);
        own_store(self.home.path()).into_iter().fold(nix, |nix, (name, value)| nix.env(name, value))
    }

    /// A script instead of `nix`, for behavior that the real one cannot be made to show.
    pub(crate) fn instead_of_nix(&self, script: &str) -> Nix {
        std::fs::create_dir_all(self.path("bin")).unwrap();
        std::fs::write(self.path("nix"), format!("#!/bin/sh\n{script}\n")).unwrap();
        // A file written by this process may still be open in a child of another test, and then cannot be executed.
        let mut install = Command::new("install");
        assert!(install.arg(self.path("nix")).arg(self.path("bin/nix")).status().unwrap().success());
        self.nix().env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
    }

    /// Runs a program of nix directly and returns its stdout.
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

    /// Adds a file with this name and content to the store.
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

    /// Writes a flake. Each host is `HOST = TOPLEVEL;`, and `sh NAME SCRIPT` is a derivation.
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

    /// The build spec for a host of a flake, by default of the flake in this store.
    pub(crate) async fn spec(&self, flake: Option<&str>, host: &str) -> HostBuildSpec {
        let own = self.path("flake");
        let flake = flake.unwrap_or(own.to_str().unwrap());
        let locked = pin(flake, "main", None).await.unwrap();
        let (flake, host, attr) = (flake.parse().unwrap(), host.parse().unwrap(), host.parse().unwrap());
        HostBuildSpec { flake, locked, host, attr, out_link: self.path("result") }
    }

    /// Builds a host of the flake in this store.
    pub(crate) async fn build(&self, host: &str) -> Built {
        Built::of(&self.nix(), self.spec(None, host).await).await
    }

    /// Builds a host of the flake in this store and returns its system.
    pub(crate) async fn system(&self, host: &str) -> PathBuf {
        self.build(host).await.result.unwrap()
    }
}

/// The result and the output of a build.
pub(crate) struct Built {
    pub(crate) result: Result<PathBuf, BuildError>,
    pub(crate) lines: Vec<NixLine>,
}

impl Built {
    pub(crate) async fn of(nix: &Nix, spec: HostBuildSpec) -> Self {
        let (sender, mut receiver) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let receive = async {
            let mut lines = Vec::new();
            while let Some(line) = receiver.recv().await {
                lines.push(line);
            }
            lines
        };
        let (result, lines) = tokio::join!(nix.build(spec, sender, &stop), receive);
        Self { result, lines }
    }

    pub(crate) fn log(&self) -> Vec<&str> {
        self.lines
            .iter()
            .filter_map(|line| match line {
                NixLine::Log(text) => Some(text.as_str()),
                NixLine::Progress(_) => None,
            })
            .collect()
    }

    pub(crate) fn error(&self) -> &BuildError {
        self.result.as_ref().unwrap_err()
    }
}
