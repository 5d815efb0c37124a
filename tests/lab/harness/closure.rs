//! A system to build: its units, packages and faults.

use super::fault::{Fault, Point};
use super::tree::guest;
use super::unit::{self, LISTENER, NETWORK, TARGETS};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// The settings of the listener's unit on a host.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) role: String,
    pub(crate) nats_url: String,
    pub(crate) flake_url: String,
    /// Additional arguments of every listener of the lab.
    pub(crate) arguments: Vec<String>,
}

/// The system of a host, as a flake describes it. It does not use nixpkgs and builds offline within a second.
#[derive(Debug, Clone)]
pub(crate) struct Closure {
    label: String,
    units: BTreeMap<String, String>,
    snippets: BTreeMap<&'static str, String>,
    checks: BTreeMap<String, String>,
    markers: Vec<&'static str>,
    packages: Vec<(String, String)>,
    programs: Vec<(String, String)>,
    missing: Vec<String>,
    kernel: Option<String>,
    interface: String,
    key: String,
    network: String,
    listener: Option<String>,
    arguments: Vec<String>,
    trigger: Option<String>,
}

impl Closure {
    /// A system with the listener and the network, without faults. The label makes its store path unique.
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            units: BTreeMap::new(),
            snippets: BTreeMap::new(),
            checks: BTreeMap::new(),
            markers: Vec::new(),
            packages: Vec::new(),
            programs: Vec::new(),
            missing: Vec::new(),
            kernel: None,
            interface: "2".to_owned(),
            key: "host".to_owned(),
            network: unit::network(true),
            listener: Some(unit::PROGRAM.to_owned()),
            arguments: Vec::new(),
            trigger: None,
        }
    }

    /// The same system with another label.
    pub(crate) fn named(mut self, label: &str) -> Self {
        label.clone_into(&mut self.label);
        self
    }

    /// Adds a unit that `multi-user.target` wants.
    pub(crate) fn unit(mut self, name: &str, text: &str) -> Self {
        self.units.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Adds the NATS server, for a host that has its files.
    pub(crate) fn nats_server(self) -> Self {
        let server = format!("/lab/nats-server -c /lab/nats.conf -a 0.0.0.0 -p {}", unit::NATS_PORT);
        self.service("nats", &server)
    }

    /// Adds a service that runs a long-lived command.
    pub(crate) fn service(self, name: &str, command: &str) -> Self {
        let text = format!("[Unit]\nDescription={name}\n\n[Service]\nType=exec\nExecStart={command}\n");
        self.unit(&format!("{name}.service"), &text)
    }

    /// Adds a fault.
    pub(crate) fn fault(self, fault: Fault) -> Self {
        fault.put_into(self)
    }

    /// Adds shell to run at a point, after earlier additions. It may use `exit` and `status=1`.
    pub(crate) fn at(mut self, point: Point, snippet: &str) -> Self {
        let text = self.snippets.entry(point.name()).or_default();
        text.push_str(snippet);
        text.push('\n');
        self
    }

    /// Adds a pre-switch check, as in `system.preSwitchChecks`: `$1` is the system, `$2` the action.
    pub(crate) fn check(mut self, name: &str, script: &str) -> Self {
        self.checks.insert(name.to_owned(), script.to_owned());
        self
    }

    /// Makes the checks print to standard output, as in the first NixOS version with checks.
    pub(crate) fn checks_on_stdout(mut self) -> Self {
        self.markers.push("checks-on-stdout");
        self
    }

    /// Replaces `switch-to-configuration` by the Perl program of NixOS up to 24.11.
    pub(crate) fn perl(mut self) -> Self {
        self.markers.push("perl");
        self
    }

    /// Adds a package, for the differences between closures.
    pub(crate) fn package(mut self, name: &str, version: &str) -> Self {
        self.packages.push((name.to_owned(), version.to_owned()));
        self
    }

    /// Adds a kernel, initrd and modules of this version. Without them, it is the system of a container.
    pub(crate) fn kernel(mut self, version: &str) -> Self {
        self.kernel = Some(version.to_owned());
        self
    }

    /// Adds a program, given as a shell script.
    pub(crate) fn program(mut self, name: &str, script: &str) -> Self {
        self.programs.push((name.to_owned(), format!("#!/bin/sh\n{script}\n")));
        self
    }

    /// Removes one of the files.
    pub(crate) fn without(mut self, file: &str) -> Self {
        self.missing.push(file.to_owned());
        self
    }

    /// Makes the listener's unit differ from that of every other label.
    pub(crate) fn restarts_listener(mut self) -> Self {
        self.trigger = Some(self.label.clone());
        self
    }

    /// Adds arguments of the listener, as in the unit file, which changes the unit.
    pub(crate) fn listener_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    pub(super) fn interface(mut self, version: &str) -> Self {
        version.clone_into(&mut self.interface);
        self
    }

    pub(super) fn key(mut self, name: &str) -> Self {
        name.clone_into(&mut self.key);
        self
    }

    /// Replaces the unit of the network.
    pub(super) fn network(mut self, text: String) -> Self {
        self.network = text;
        self
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn listener_program(mut self, program: &str) -> Self {
        self.listener = Some(program.to_owned());
        self
    }

    /// Removes the listener, which is then installed by other means or not at all.
    pub(crate) fn without_listener(mut self) -> Self {
        self.listener = None;
        self
    }

    /// Writes the system to a directory of the flake and replaces its contents.
    pub(super) fn write(&self, dir: &Path, site: &Site) {
        let _ = fs::remove_dir_all(dir);
        let tree = dir.join("tree");
        for part in ["bin", "lab/checks", "etc/systemd/system/multi-user.target.wants"] {
            fs::create_dir_all(tree.join(part)).unwrap();
        }
        for (from, to) in [
            ("activate", "activate"),
            ("switch-to-configuration", "bin/switch-to-configuration"),
            ("pre-switch-checks", "lab/pre-switch-checks"),
            ("unit-settings", "lab/unit-settings"),
            ("compare-units", "lab/compare-units"),
        ] {
            fs::copy(guest(from), tree.join(to)).unwrap();
        }
        let file = |name: &str, text: &str| fs::write(tree.join(name), text).unwrap();
        for (name, script) in &self.checks {
            file(&format!("lab/checks/{name}"), script);
        }
        for marker in &self.markers {
            file(&format!("lab/{marker}"), "");
        }
        file("nixos-version", &self.label);
        file("init-interface-version", &self.interface);
        file("lab/key", &self.key);
        for (point, snippet) in self.snippets.iter().filter(|(point, _)| **point != Point::Build.name()) {
            file(&format!("lab/{point}"), snippet);
        }
        let listener = self.listener.as_ref().map(|program| {
            let text = unit::listener(site, program, &self.arguments, self.trigger.as_deref());
            (LISTENER.to_owned(), text)
        });
        let network = (NETWORK.to_owned(), self.network.clone());
        let units = tree.join("etc/systemd/system");
        for (name, text) in TARGETS {
            fs::write(units.join(name), text).unwrap();
        }
        for (name, text) in self.units.clone().into_iter().chain(listener).chain([network]) {
            fs::write(units.join(&name), text).unwrap();
            symlink(format!("../{name}"), units.join("multi-user.target.wants").join(&name)).unwrap();
        }
        for (name, text) in &self.programs {
            let path = tree.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in &self.missing {
            fs::remove_file(tree.join(name)).unwrap();
        }
        let packages = self.packages.iter().map(|(name, version)| json!({"name": name, "version": version}));
        let closure = json!({
            "label": self.label,
            "kernel": self.kernel,
            "packages": packages.collect::<Vec<_>>(),
            "build": self.snippets.get(Point::Build.name()).map_or("", String::as_str),
        });
        fs::write(dir.join("closure.json"), closure.to_string()).unwrap();
    }
}
