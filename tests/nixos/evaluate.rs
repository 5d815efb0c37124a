//! Evaluates the modules with the configuration of a host.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A listener with the required options.
pub(crate) const LISTENER: &str = r#"
    services.homelab-deploy.listener = {
      enable = true;
      tier = "test";
      role = "web";
      natsUrl = "nats://nats.example.org";
      nkeyFile = "/run/keys/web1.nkey";
      flakeUrl = "git+https://git.example.org/fleet";
    };
"#;

/// A library to evaluate with.
#[derive(Debug, Clone)]
pub(crate) enum Library {
    /// `lib.nix` in this directory, which checks no types.
    Little,
    /// A checkout of the library of nixpkgs.
    Nixpkgs(PathBuf),
}

impl Library {
    /// The libraries that are available here.
    pub(crate) fn all() -> Vec<Self> {
        [Self::Little].into_iter().chain(Self::nixpkgs()).collect()
    }

    /// The library of nixpkgs, if the environment names it.
    pub(crate) fn nixpkgs() -> Option<Self> {
        let directory = PathBuf::from(std::env::var_os("NIXPKGS_LIB").filter(|value| !value.is_empty())?);
        Some(Self::Nixpkgs(directory.canonicalize().expect("NIXPKGS_LIB must name an existing directory")))
    }

    /// The library of nixpkgs, for tests that are ignored without it.
    pub(crate) fn real() -> Self {
        Self::nixpkgs().expect("run by make test-nixos with NIXPKGS_LIB")
    }

    /// The directory of the library: `NIXPKGS_LIB` is a checkout of nixpkgs or its directory `lib`.
    pub(crate) fn directory(&self) -> PathBuf {
        match self {
            Self::Little => file("tests/nixos/lib.nix"),
            Self::Nixpkgs(directory) if directory.join("lib/default.nix").exists() => directory.join("lib"),
            Self::Nixpkgs(directory) => directory.clone(),
        }
    }

    pub(crate) fn expression(&self) -> String {
        format!("import {}", self.directory().display())
    }

    /// The arguments of nix that evaluate a host with these settings.
    pub(crate) fn arguments(&self, settings: &str) -> [String; 7] {
        let settings = format!("{{ lib, pkgs, ... }}: {{ {settings} }}");
        let arg = || "--arg".to_owned();
        let eval = file("tests/nixos/eval.nix").display().to_string();
        [eval, arg(), "lib".to_owned(), self.expression(), arg(), "settings".to_owned(), settings]
    }

    /// Evaluates a host with these settings; returns the error of nix if that fails.
    pub(crate) fn try_evaluate(&self, settings: &str) -> Result<Value, String> {
        let output = nix_instantiate()
            .args(["--eval", "--strict", "--json"])
            .args(self.arguments(settings))
            .output()
            .expect("nix-instantiate runs");
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Evaluates a host with these settings. No assertion may fail, and the closure must contain every path that a unit names.
    pub(crate) fn evaluate(&self, settings: &str) -> Value {
        let host =
            self.try_evaluate(settings).unwrap_or_else(|error| panic!("{self:?}: {error}\n{settings}"));
        assert_eq!(host["failed"], serde_json::json!([]), "{self:?}\n{settings}");
        for (unit, paths) in host["unbound"].as_object().unwrap() {
            assert_eq!(paths, &serde_json::json!([]), "{unit} does not depend on what it names\n{settings}");
        }
        host
    }

    /// The text of the listener's unit.
    pub(crate) fn unit(&self, settings: &str) -> String {
        self.unit_of("listener", settings)
    }

    /// The text of a service's unit.
    pub(crate) fn unit_of(&self, service: &str, settings: &str) -> String {
        self.unit_named(&format!("homelab-deploy-{service}"), settings)
    }

    /// The text of a unit.
    pub(crate) fn unit_named(&self, unit: &str, settings: &str) -> String {
        self.evaluate(settings)["units"][unit].as_str().expect("a unit").to_owned()
    }
}

/// nix with a dummy store: nothing is built, and this machine does not change.
pub(crate) fn nix_instantiate() -> Command {
    let mut command = Command::new("nix-instantiate");
    command.args(["--store", "dummy://"]).env("HOMELAB_DEPLOY_BINARY", crate::common::binary());
    command
}

/// [`LISTENER`] with one more line.
pub(crate) fn listener_with(line: &str) -> String {
    LISTENER.replacen("enable = true;", &format!("enable = true; {line}"), 1)
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
