//! Files of the listener are readable only by their owner, regardless of the umask. Programs choose the mode of their
//! files.

use crate::common::{HostBuilder, binary};
use crate::stage::Stage;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// All files and directories below a directory, including itself, without links.
fn all(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(all(&path));
        } else if !path.is_symlink() {
            found.push(path);
        }
    }
    found
}

fn only_ours(state: &Path) {
    for path in all(state) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{} has the mode {:o}", path.display(), mode(&path));
    }
}

/// Starts the listener with this umask.
fn under(umask: &'static str) -> impl FnOnce(HostBuilder) -> HostBuilder {
    move |host| {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        host.through(&["sh", "-c", &script, binary().to_str().unwrap()])
    }
}

#[test]
fn the_state_directory_is_private_for_any_umask() {
    let mut stage = Stage::with("echo made > $DIR/made; exit $(cat $DIR/code)", under("000"));
    fs::write(stage.host.file("code"), "0").unwrap();
    stage.completes("m-1");
    // A failed job leaves more files.
    fs::write(stage.host.file("code"), "1").unwrap();
    assert_eq!(stage.deploy("m-2", serde_json::json!({})).final_report()["status"], "failed");
    stage.wait_delivered("m-2");
    let state_dir = stage.host.file("state");
    only_ours(&state_dir);
    assert_eq!(mode(&stage.host.file("made")), 0o666);
    // An earlier version created files that others could read.
    for path in all(&state_dir) {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
    }
    stage.restart();
    only_ours(&state_dir);
}

#[test]
fn a_rebuild_program_has_the_umask_of_the_listener() {
    let stage = Stage::with("umask > $DIR/umask; echo made > $DIR/made", under("022"));
    stage.completes("m-3");
    assert_eq!(mode(&stage.host.file("made")), 0o644);
    assert_eq!(fs::read_to_string(stage.host.file("umask")).unwrap().trim(), "0022");
    only_ours(&stage.host.file("state"));
}
