//! The commands that a newcomer types first: `make demo` shows what takes minutes, `make static` makes a static binary or fails,
//! and what is missing is named.

use crate::common::{Ended, run};
use crate::page::root;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn dry_run(target: &str) -> String {
    run(Command::new("make").args(["--dry-run", target]).env_remove("MAKEFLAGS").current_dir(root()), 0).out
}

/// A script on the path.
fn write(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a script of the project with these programs alone.
fn script(name: &str, args: &[&str], programs: &Path, code: i32) -> Ended {
    for program in ["sh", "sed", "dirname", "env", "grep", "tr", "uname", "mkdir", "cp"] {
        let found = run(Command::new("sh").args(["-c", &format!("command -v {program}")]), 0).out;
        let _ = symlink(found.trim(), programs.join(program));
    }
    let mut command = Command::new(root().join("scripts").join(name));
    command.args(args).env("PATH", programs).env("CARGO_TARGET_DIR", programs.join("target"));
    run(command.env("STATIC_PROFILE", "dev"), code)
}

#[test]
fn the_demo_shows_its_build_and_how_long_it_takes() {
    let demo = dry_run("demo");
    assert!(demo.contains("minutes") && demo.contains("\ncargo build\n"), "{demo}");
    assert!(!demo.contains("--quiet"), "{demo}");
    let test = dry_run("test");
    assert!(test.contains("minutes") && test.contains("cargo test --no-fail-fast"), "{test}");
}

#[test]
fn rust_that_is_missing_or_too_old_is_named_before_anything_is_installed() {
    let programs = tempfile::tempdir().unwrap();
    write(programs.path(), "apt-get", "echo must not be called; exit 7");
    let needed = |found: &str| {
        let ended = script("need", &["cargo", "nowhere-to-be-found"], programs.path(), 1);
        ended.complains(&["cargo is needed from Rust 1.", found, "https://rustup.rs"]);
        assert_eq!(ended.out, "");
    };
    needed("not installed");
    for version in ["cargo 0.66.0", "cargo 1.94.1 (deadbeef 2026-01-01)"] {
        write(programs.path(), "cargo", &format!("echo '{version}'"));
        needed(version);
    }
    write(programs.path(), "cargo", "echo 'cargo 1.95.0 (deadbeef 2026-01-01)'");
    script("need", &["cargo"], programs.path(), 0);
}

#[test]
fn what_needs_a_shared_library_is_not_taken_for_static() {
    let programs = tempfile::tempdir().unwrap();
    let compiler = "case $1 in --version) echo 'cargo 1.95.0' ;; *)\n\
                    for folder in \"$CARGO_TARGET_DIR\"/*-unknown-linux-musl/debug; do\n\
                    mkdir -p \"$folder\" && cp -L /bin/sh \"$folder/homelab-deploy\"; done ;; esac";
    write(programs.path(), "cargo", compiler);
    write(programs.path(), "rustc", "echo /");
    for name in ["cc", "musl-gcc", "rustup"] {
        write(programs.path(), name, "exit 0");
    }
    let readelf = run(Command::new("sh").args(["-c", "command -v readelf"]), 0).out;
    symlink(readelf.trim(), programs.path().join("readelf")).unwrap();
    let target = format!("target/{}-unknown-linux-musl/debug", std::env::consts::ARCH);
    fs::create_dir_all(programs.path().join(target)).unwrap();
    script("static", &[], programs.path(), 1).complains(&["libc.so.6", "it is not static"]);
    script("static", &["z80"], programs.path(), 2).complains(&["unknown architecture `z80`"]);
}
