//! The paths that nix, git and ssh need on any system. Everything else stays inaccessible, such as home directories, credentials
//! of services, host keys and disks.

use std::env::var_os;
use std::fs;
use std::path::{Path, PathBuf};

/// Programs, libraries and system configuration, all without secrets.
const SYSTEM: [&str; 53] = [
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr",
    "/nix/store",
    "/run/current-system",
    "/run/booted-system",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/netconfig",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssh/ssh_config",
    "/etc/ssh/ssh_config.d",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static",
    "/etc/zoneinfo",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/var/lib/ca-certificates",
    "/var/db/timezone",
];

/// Devices that may be read and written. Disks are not among them.
const DEVICES: [&str; 6] = ["/dev/full", "/dev/null", "/dev/ptmx", "/dev/pts", "/dev/shm", "/dev/tty"];

/// Variables that name a file or directory of CA certificates.
const CERTIFICATES: [&str; 5] =
    ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE"];

/// The paths that may be read.
pub(super) fn readable() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SYSTEM.map(PathBuf::from).into();
    paths.extend(CERTIFICATES.into_iter().filter_map(var_os).map(PathBuf::from));
    paths.extend(settings(&path_from_env("NIX_CONF_DIR", "/etc/nix")));
    paths.extend([store(), state()]);
    paths
}

/// The paths that may be read and written. Missing directories are created because nix could not create them in the sandbox.
pub(super) fn writable(cache: &Path, has_daemon: bool) -> Vec<PathBuf> {
    let mut paths = vec![cache.to_owned()];
    if !has_daemon {
        paths.extend([store(), state(), path_from_env("NIX_LOG_DIR", "/nix/var/log/nix")]);
    }
    for path in &paths {
        // Fails for system directories of another user, which already exist.
        let _ = fs::create_dir_all(path);
    }
    paths.extend(DEVICES.map(PathBuf::from));
    paths
}

/// Whether the daemon's socket exists.
pub(super) fn has_daemon() -> bool {
    let socket = state().join("daemon-socket/socket");
    path_from_env("NIX_DAEMON_SOCKET_PATH", &socket.to_string_lossy()).exists()
}

fn store() -> PathBuf {
    path_from_env("NIX_STORE_DIR", "/nix/store")
}

fn state() -> PathBuf {
    path_from_env("NIX_STATE_DIR", "/nix/var/nix")
}

fn path_from_env(variable: &str, usual: &str) -> PathBuf {
    var_os(variable).map_or_else(|| usual.into(), PathBuf::from)
}

/// nix's configuration files. Other files in the directory may be secret, such as a netrc file or a signing key.
fn settings(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_setting = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "machines")
            || path.extension().is_some_and(|extension| extension == "conf" || extension == "json")
    };
    entries.filter(is_setting).collect()
}
