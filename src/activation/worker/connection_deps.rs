//! Whether an activation touched a dependency of the connection. The effect may come seconds later, so the last
//! confirmation waits then.

use crate::nix::UnitChanges;
use crate::ordered::CollectOrdered;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// Units of network, firewall, name resolution, VPN, time and NATS.
const CONNECTION_UNITS: [&str; 39] = [
    "*network*",
    "*firewall*",
    "*resolv*",
    "*vpn*",
    "systemd-timesyncd*",
    "ModemManager*",
    "wpa_supplicant*",
    "iwd*",
    "hostapd*",
    "dhcpcd*",
    "dhclient*",
    "*-netdev.*",
    "sys-subsystem-net-*",
    "nftables*",
    "iptables*",
    "ip6tables*",
    "ufw*",
    "fail2ban*",
    "nscd*",
    "nsncd*",
    "dnsmasq*",
    "unbound*",
    "kresd*",
    "bind*",
    "coredns*",
    "adguardhome*",
    "pihole*",
    "*wireguard*",
    "wg-quick-*",
    "*tailscale*",
    "zerotierone*",
    "nebula*",
    "netbird*",
    "strongswan*",
    "ipsec*",
    "chronyd*",
    "ntpd*",
    "openntpd*",
    "nats*",
];

/// Files and directories below `/etc` of the same services.
const CONNECTION_FILES: [&str; 22] = [
    "systemd/network",
    "systemd/networkd.conf",
    "systemd/resolved.conf",
    "systemd/timesyncd.conf",
    "NetworkManager",
    "wpa_supplicant",
    "wpa_supplicant.conf",
    "dhcpcd.conf",
    "resolv.conf",
    "resolvconf.conf",
    "hosts",
    "nsswitch.conf",
    "host.conf",
    "gai.conf",
    "nftables.conf",
    "nftables",
    "sysctl.d",
    "wireguard",
    "openvpn",
    "chrony.conf",
    "ntp.conf",
    "ssl/certs",
];

/// How deep directories are compared.
const MAX_DEPTH: usize = 4;

/// The systems before and after an activation.
#[derive(Debug)]
pub(super) struct SystemComparison<'a> {
    /// The system that ran before.
    pub(super) old: &'a Path,
    /// The system that runs now.
    pub(super) new: &'a Path,
    /// The units that the activation touched.
    pub(super) units: &'a UnitChanges,
    /// The listener's own unit.
    pub(super) listener_unit: Option<&'a str>,
}

impl SystemComparison<'_> {
    /// Returns the first touched unit or file that the connection depends on.
    pub(super) fn changed_dependency(&self) -> Option<String> {
        let units = self.units;
        let lists = [&units.stopped, &units.started, &units.restarted, &units.reloaded];
        let unit = lists.into_iter().flatten().find(|unit| self.is_dependency(unit));
        unit.cloned().or_else(|| self.changed_file())
    }

    fn is_dependency(&self, unit: &str) -> bool {
        self.listener_unit == Some(unit)
            || CONNECTION_UNITS.iter().any(|pattern| WildMatch::new_case_insensitive(pattern).matches(unit))
    }

    fn changed_file(&self) -> Option<String> {
        let etc = |system: &Path| system.join("etc");
        let differs = |name: &str| !is_same(&etc(self.old).join(name), &etc(self.new).join(name), MAX_DEPTH);
        let file = CONNECTION_FILES.into_iter().find(|file| differs(file)).map(|file| format!("/etc/{file}"));
        file.or_else(|| {
            let units = |system: &Path| entries(&etc(system).join("systemd/system"));
            let (old, new) = (units(self.old), units(self.new));
            // Drop-ins are in a directory with the unit's name and `.d`.
            let mut named =
                old.keys().chain(new.keys()).filter(|name| self.is_dependency(name.trim_end_matches(".d")));
            named.find(|name| !are_same(old.get(*name), new.get(*name), MAX_DEPTH)).cloned()
        })
    }
}

/// Lists a directory by file name.
fn entries(dir: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect_map()
}

fn are_same(a: Option<&PathBuf>, b: Option<&PathBuf>, depth: usize) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => is_same(a, b, depth),
        (None, None) => true,
        _ => false,
    }
}

/// Whether two files or directories have the same contents. Two unreadable paths are equal.
fn is_same(a: &Path, b: &Path, depth: usize) -> bool {
    let (real_a, real_b) = (fs::canonicalize(a).ok(), fs::canonicalize(b).ok());
    if real_a == real_b {
        // Both are the same store path, or neither exists. Dangling links are compared by their targets.
        return real_a.is_some() || fs::read_link(a).ok() == fs::read_link(b).ok();
    }
    let (Some(a), Some(b)) = (real_a, real_b) else { return false };
    if !a.is_dir() || !b.is_dir() {
        return fs::read(&a).ok() == fs::read(&b).ok();
    }
    let (in_a, in_b) = (entries(&a), entries(&b));
    depth > 0
        && in_a.len() == in_b.len()
        && in_a.iter().all(|(name, a)| in_b.get(name).is_some_and(|b| is_same(a, b, depth - 1)))
}

/// Returns the credential files of the listener's unit with their contents. A changed credential reaches the listener
/// only at its next start.
pub(super) fn credentials(system: &Path, unit: &str) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let text = fs::read_to_string(system.join("etc/systemd/system").join(unit)).unwrap_or_default();
    let file = |line: &str| {
        let (_, file) = line.strip_prefix("LoadCredential=")?.split_once(':')?;
        Some(PathBuf::from(file.trim()))
    };
    text.lines().filter_map(file).map(|file| (file.clone(), fs::read(&file).ok())).collect_map()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    struct ComparisonFixture {
        dir: TempDir,
        units: UnitChanges,
    }

    impl ComparisonFixture {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            for system in ["old", "new"] {
                let units = dir.path().join(system).join("etc/systemd/system");
                fs::create_dir_all(&units).unwrap();
                fs::create_dir_all(dir.path().join(system).join("etc/systemd/network")).unwrap();
                fs::write(units.join("web.service"), format!("of {system}")).unwrap();
                fs::write(units.join("firewall.service"), "the same in both").unwrap();
                fs::write(dir.path().join(system).join("etc/systemd/network/10-lan.network"), "dhcp")
                    .unwrap();
                symlink("/nowhere/resolv.conf", dir.path().join(system).join("etc/resolv.conf")).unwrap();
            }
            Self { dir, units: UnitChanges::default() }
        }

        fn write(&self, file: &str, text: &str) {
            fs::create_dir_all(self.dir.path().join("new/etc").join(file).parent().unwrap()).unwrap();
            fs::write(self.dir.path().join("new/etc").join(file), text).unwrap();
        }

        fn changed_dependency(&self) -> Option<String> {
            let (old, new) = (self.dir.path().join("old"), self.dir.path().join("new"));
            let listener_unit = Some("homelab-deploy-listener.service");
            SystemComparison { old: &old, new: &new, units: &self.units, listener_unit }.changed_dependency()
        }
    }

    #[test]
    fn change_of_another_service_touches_nothing() {
        let mut fixture = ComparisonFixture::new();
        fixture.units.restarted.push("web.service".to_owned());
        assert_eq!(fixture.changed_dependency(), None);
    }

    #[test]
    fn units_of_the_network_and_the_listener_matter() {
        for unit in [
            "firewall.service",
            "network-addresses-eth0.service",
            "wg-quick-wg0.service",
            "nats.service",
            "homelab-deploy-listener.service",
        ] {
            let mut fixture = ComparisonFixture::new();
            fixture.units.restarted.push(unit.to_owned());
            assert_eq!(fixture.changed_dependency().as_deref(), Some(unit));
        }
    }

    #[test]
    fn changed_files_matter_also_if_no_unit_was_named() {
        for (file, expected) in [
            ("systemd/network/10-lan.network", "/etc/systemd/network"),
            ("systemd/network/20-wan.network", "/etc/systemd/network"),
            ("hosts", "/etc/hosts"),
            ("systemd/system/firewall.service", "firewall.service"),
            ("systemd/system/tailscaled.service.d/overrides.conf", "tailscaled.service.d"),
        ] {
            let fixture = ComparisonFixture::new();
            fixture.write(file, "changed");
            assert_eq!(fixture.changed_dependency().as_deref(), Some(expected), "{file}");
        }
    }

    #[test]
    fn credentials_are_those_of_the_unit() {
        let fixture = ComparisonFixture::new();
        let key = fixture.dir.path().join("key");
        fs::write(&key, "seed").unwrap();
        fixture.write(
            "systemd/system/l.service",
            &format!("[Service]\nLoadCredential=nkey:{}\n", key.display()),
        );
        let read = credentials(&fixture.dir.path().join("new"), "l.service");
        assert_eq!(read, BTreeMap::from([(key, Some(b"seed".to_vec()))]));
    }
}
