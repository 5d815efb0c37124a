//! The `nats-server` program: where it lies, and the files of a private one.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian puts it, which the path of a plain user does not name.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// The first line of the configuration. A folder without it is not ours to remove.
pub(super) const MARK: &str = "# homelab-deploy demo: this folder is removed when the demo ends";

/// Where the program is: in the path, or else where systems keep their services.
pub(super) fn find() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
}

/// The configuration in the folder of a private server.
pub(super) fn config(folder: &Path) -> PathBuf {
    folder.join("nats-server.conf")
}

/// Its log.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("nats-server.log")
}

/// The URL that the server in `folder` wrote down, once it has.
pub(super) fn url(folder: &Path) -> Option<String> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut ports = files.filter(|path| path.extension() == Some(OsStr::new("ports")));
    ports.find_map(|path| {
        // A file that is half written is no JSON.
        let ports: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(ports["nats"][0].as_str()?.to_owned())
    })
}
