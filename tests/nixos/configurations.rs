//! Complete configurations, with every unit and the configuration of the NATS server as snapshots.

use crate::evaluate::{Library, file};
use crate::store::Store;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;

/// The configurations, each with the units and files that are built.
const CONFIGURATIONS: [(&str, &[&str]); 6] = [
    ("listener-minimal", &["built.homelab-deploy-listener"]),
    ("listener-full", &["built.homelab-deploy-listener"]),
    ("builder-and-listener", &["built.homelab-deploy-builder", "built.homelab-deploy-listener"]),
    ("operator", &["etc.\"xdg/homelab-deploy/config.toml\".source"]),
    // The build of this file runs the server's check of it.
    ("nats", &["built.nats", "etc.\"nats/nats.conf\".source"]),
    ("flake-update", &["built.homelab-deploy-flake-update"]),
];

/// A text with the hashes of store paths masked.
fn redacted(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("/nix/store/");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (_, rest) = part.split_at(32);
        write!(out, "/nix/store/HASH{rest}").unwrap();
    }
    out
}

/// The units of a host and the settings of its NATS server.
fn shown(host: &Value) -> String {
    let mut shown = String::new();
    for (name, unit) in host["units"].as_object().unwrap() {
        writeln!(shown, "### {name}\n{}", redacted(unit.as_str().unwrap())).unwrap();
    }
    for (name, timer) in host["timers"].as_object().unwrap() {
        writeln!(shown, "### {name}.timer\n{}", serde_json::to_string_pretty(timer).unwrap()).unwrap();
    }
    writeln!(shown, "### ports\n{}", host["ports"]).unwrap();
    if host["nats"]["enable"] == true {
        let settings = serde_json::to_string_pretty(&host["nats"]["settings"]).unwrap();
        writeln!(shown, "### nats.conf\n{settings}").unwrap();
    }
    shown
}

#[test]
fn each_configuration_generates_these_units_without_warnings() {
    for library in Library::all() {
        for (name, _) in CONFIGURATIONS {
            let path = file("tests/nixos/configurations").join(format!("{name}.nix"));
            let host = library.evaluate(&format!("imports = [ {} ];", path.display()));
            assert_eq!(host["warnings"], json!([]), "{name}");
            insta::assert_snapshot!(name, shown(&host));
        }
    }
}

#[test]
fn each_configuration_can_be_built() {
    let store = Store::new();
    for (name, parts) in CONFIGURATIONS {
        let path = file("tests/nixos/configurations").join(format!("{name}.nix"));
        for part in parts {
            let built = store.build(&Library::Little, &format!("imports = [ {} ];", path.display()), part);
            assert!(!fs::read(built).unwrap().is_empty(), "{name}: {part}");
        }
    }
}
