//! The units of every closure: the listener, with the unit that the NixOS module installs too, and the network.

use super::closure::Site;

/// The name of the listener's unit.
pub(crate) const LISTENER: &str = "homelab-deploy-listener.service";
/// The name of the network's unit.
pub(super) const NETWORK: &str = "lab-network.service";

/// The targets of every closure: the default target, and the one that `switch-to-configuration` restarts each time.
pub(super) const TARGETS: [(&str, &str); 2] = [
    (
        "multi-user.target",
        "[Unit]\nDescription=The system\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n",
    ),
    ("sysinit-reactivation.target", "[Unit]\nDescription=Reactivation before other units start\n"),
];

/// The port of the NATS server on a host.
pub(super) const NATS_PORT: u16 = 4222;

const TEXT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/nixos/homelab-deploy-listener.service"));

/// The hardening of the listener, unless a rebuild command runs inside it.
const HARDENING: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/nixos/homelab-deploy-listener.hardening.conf"));

/// The path of our binary on a host.
pub(super) const PROGRAM: &str = "/usr/local/bin/homelab-deploy";

/// The unit of a host's listener. A changed unit restarts the listener.
pub(super) fn listener(site: &Site, program: &str, additional: &[String], trigger: Option<&str>) -> String {
    let Site { name, tier, role, nats_url, flake_url, arguments } = site;
    let mut all = format!(
        "--hostname {name} --tier {tier} --role {role} --nats-url {nats_url} --flake-url {flake_url}"
    );
    for argument in arguments.iter().chain(additional) {
        all.push(' ');
        // systemd expands both characters.
        all.push_str(&argument.replace('%', "%%").replace('$', "$$"));
    }
    let hardening = if all.contains("--rebuild-command") { "" } else { HARDENING };
    let text = format!("{TEXT}\n{hardening}")
        .replace("@program@", program)
        .replace("@arguments@", &all)
        .replace("@key@", "/run/homelab-deploy.nkey");
    match trigger {
        Some(trigger) => text.replacen("[Service]", &format!("X-Restart-Triggers={trigger}\n\n[Service]"), 1),
        None => text,
    }
}

/// The network of a host, up or down.
pub(super) fn network(up: bool) -> String {
    let command = if up {
        "ip link set host0 up && exec ip address replace $$(cat /lab/address) dev host0"
    } else {
        "exec ip link set host0 down"
    };
    format!(
        "[Unit]\nDescription=The network\nBefore=network-online.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{command}'\n"
    )
}

/// The network of a host, which goes down after this many seconds unless it is stopped before.
pub(super) fn late_cut(seconds: u32) -> String {
    let up = network(true);
    let cut = "systemd-run --quiet --collect --unit=lab-late-cut";
    format!(
        "{up}ExecStartPost={cut} --on-active={seconds} --timer-property=AccuracySec=100ms ip link set host0 down\n\
         ExecStop=-systemctl stop lab-late-cut.timer\n"
    )
}
