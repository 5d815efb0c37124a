//! The unit for hosts with Docker Compose: it is the unit for other hosts with the restrictions of NixOS, and systemd accepts it.

use crate::page::root;
use std::collections::BTreeSet;
use std::fs;

const UNIT: &str = "docs/examples/homelab-deploy-compose.service";
const SETTINGS: &str = "docs/examples/compose.env";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The settings of a unit.
fn lines(unit: &str) -> BTreeSet<String> {
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn keys(lines: &BTreeSet<String>, without: &BTreeSet<String>) -> Vec<String> {
    let names = (lines - without).into_iter().map(|line| line.split('=').next().unwrap().to_owned());
    let names: BTreeSet<_> = names.collect();
    names.into_iter().collect()
}

#[test]
fn the_unit_has_the_restrictions_of_nixos() {
    let own = lines(&text(UNIT));
    let host = lines(&text("docs/examples/homelab-deploy-listener.service"));
    let compose = text("nixos/homelab-deploy-listener.compose.conf").replace("@root@", "/opt/homelab");
    let restrictions = &lines(&text("nixos/homelab-deploy-listener.hardening.conf")) | &lines(&compose);
    assert_eq!(
        keys(&own, &(&host | &restrictions)),
        ["After", "Environment", "ExecStart", "ExecStartPre", "ReadWritePaths", "SystemCallFilter", "Wants",]
    );
    // nix needs its own cache and the filter of its sandbox; the umask and the paths differ.
    assert_eq!(keys(&restrictions, &own), ["Environment", "ReadWritePaths", "SystemCallFilter"]);
    assert_eq!(keys(&host, &own), ["After", "ExecStart", "UMask", "Wants"]);
    let settings = text(SETTINGS);
    let names =
        settings.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    for (name, _) in names {
        assert!(
            text(UNIT).contains(&format!("${name}")) || text(UNIT).contains(&format!("${{{name}}}")),
            "{name}"
        );
    }
}

#[test]
fn systemd_accepts_the_unit_for_services() {
    crate::page::assert_systemd_accepts(&text(UNIT));
}
