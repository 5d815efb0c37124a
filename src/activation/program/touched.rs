//! Whether an activation touched what the connection depends on. What it changes there may take effect seconds later, so
//! its confirmation is held back.

use crate::nix::Units;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wildmatch::WildMatch;

/// Units of network, firewall, name resolution, VPN, time and NATS.
const UNITS: [&str; 39] = [
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

/// Files and directories below `/etc` with the same meaning.
const FILES: [&str; 22] = [
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
const DEPTH: usize = 4;

/// What two systems and one activation of them are compared by.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    /// The system that ran before.
    pub(super) old: &'a Path,
    /// The system that runs now.
    pub(super) new: &'a Path,
    /// The units that the activation touched.
    pub(super) units: &'a Units,
    /// The listener's own unit.
    pub(super) listener_unit: Option<&'a str>,
}

impl Comparison<'_> {
    /// The first thing that was touched and that the connection depends on.
    pub(super) fn touched(&self) -> Option<String> {
        let units = self.units;
        let lists = [&units.stopped, &units.started, &units.restarted, &units.reloaded];
        let unit = lists.into_iter().flatten().find(|unit| self.matters(unit));
        unit.cloned().or_else(|| self.changed_file())
    }

    fn matters(&self, unit: &str) -> bool {
        self.listener_unit == Some(unit)
            || UNITS.iter().any(|pattern| WildMatch::new_case_insensitive(pattern).matches(unit))
    }

    fn changed_file(&self) -> Option<String> {
        let etc = |system: &Path| system.join("etc");
        let differs = |name: &str| !is_same(&etc(self.old).join(name), &etc(self.new).join(name), DEPTH);
        let file = FILES.into_iter().find(|file| differs(file)).map(|file| format!("/etc/{file}"));
        file.or_else(|| {
            let units = |system: &Path| entries(&etc(system).join("systemd/system"));
            let (old, new) = (units(self.old), units(self.new));
            // Drop-ins are in a directory with the unit's name and `.d`.
            let mut named =
                old.keys().chain(new.keys()).filter(|name| self.matters(name.trim_end_matches(".d")));
            named.find(|name| !are_same(old.get(*name), new.get(*name), DEPTH)).cloned()
        })
    }
}

/// The entries of a directory.
fn entries(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn are_same(a: Option<&PathBuf>, b: Option<&PathBuf>, depth: usize) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => is_same(a, b, depth),
        (None, None) => true,
        _ => false,
    }
}

/// Whether two files or directories hold the same. What cannot be read is the same only where both cannot be.
fn is_same(a: &Path, b: &Path, depth: usize) -> bool {
    let (real_a, real_b) = (fs::canonicalize(a).ok(), fs::canonicalize(b).ok());
    if real_a == real_b {
        // The same path of the store, or neither is there; a link that leads nowhere from here is compared by its text.
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

/// The files that systemd hands to the listener as credentials, and what they hold: a change reaches the listener with
/// its next start only.
pub(super) fn credentials(system: &Path, unit: &str) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let text = fs::read_to_string(system.join("etc/systemd/system").join(unit)).unwrap_or_default();
    let file = |line: &str| {
        let (_, file) = line.strip_prefix("LoadCredential=")?.split_once(':')?;
        Some(PathBuf::from(file.trim()))
    };
    text.lines().filter_map(file).map(|file| (file.clone(), fs::read(&file).ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    struct Trial {
        folder: TempDir,
        units: Units,
    }

    impl Trial {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            for system in ["old", "new"] {
                let units = folder.path().join(system).join("etc/systemd/system");
                fs::create_dir_all(&units).unwrap();
                fs::create_dir_all(folder.path().join(system).join("etc/systemd/network")).unwrap();
                fs::write(units.join("web.service"), format!("of {system}")).unwrap();
                fs::write(units.join("firewall.service"), "the same in both").unwrap();
                fs::write(folder.path().join(system).join("etc/systemd/network/10-lan.network"), "dhcp")
                    .unwrap();
                symlink("/nowhere/resolv.conf", folder.path().join(system).join("etc/resolv.conf")).unwrap();
            }
            Self { folder, units: Units::default() }
        }

        fn write(&self, file: &str, text: &str) {
            fs::create_dir_all(self.folder.path().join("new/etc").join(file).parent().unwrap()).unwrap();
            fs::write(self.folder.path().join("new/etc").join(file), text).unwrap();
        }

        fn touched(&self) -> Option<String> {
            let (old, new) = (self.folder.path().join("old"), self.folder.path().join("new"));
            let listener_unit = Some("homelab-deploy-listener.service");
            Comparison { old: &old, new: &new, units: &self.units, listener_unit }.touched()
        }
    }

    #[test]
    fn change_of_another_service_touches_nothing() {
        let mut trial = Trial::new();
        trial.units.restarted.push("web.service".to_owned());
        assert_eq!(trial.touched(), None);
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
            let mut trial = Trial::new();
            trial.units.restarted.push(unit.to_owned());
            assert_eq!(trial.touched().as_deref(), Some(unit));
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
            let trial = Trial::new();
            trial.write(file, "changed");
            assert_eq!(trial.touched().as_deref(), Some(expected), "{file}");
        }
    }

    #[test]
    fn credentials_are_those_of_the_unit() {
        let trial = Trial::new();
        let key = trial.folder.path().join("key");
        fs::write(&key, "seed").unwrap();
        trial.write(
            "systemd/system/l.service",
            &format!("[Service]\nLoadCredential=nkey:{}\n", key.display()),
        );
        let read = credentials(&trial.folder.path().join("new"), "l.service");
        assert_eq!(read, BTreeMap::from([(key, Some(b"seed".to_vec()))]));
    }
}
