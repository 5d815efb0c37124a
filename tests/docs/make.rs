//! The first commands of a new contributor: `make demo` announces a long build, `make static` builds a static binary or fails, and
//! missing programs are named.

use crate::common::{CommandOutput, run};
use crate::page::root;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn dry_run(target: &str) -> String {
    run(Command::new("make").args(["--dry-run", target]).env_remove("MAKEFLAGS").current_dir(root()), 0)
        .stdout
}

/// Writes a script into a directory of the search path.
fn write(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a script of the repository with only these programs on the path.
fn script(name: &str, args: &[&str], programs: &Path, code: i32) -> CommandOutput {
    for program in ["sh", "sed", "dirname", "env", "grep", "tr", "uname", "mkdir", "cp"] {
        let found = run(Command::new("sh").args(["-c", &format!("command -v {program}")]), 0).stdout;
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
        ended.assert_stderr(&["cargo from Rust 1.", found, "https://rustup.rs"]);
        assert_eq!(ended.stdout, "");
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
fn a_cross_compiler_without_the_headers_of_the_c_library_is_completed() {
    let programs = tempfile::tempdir().unwrap();
    write(programs.path(), "id", "echo 0");
    write(programs.path(), "apt-get", "echo \"$*\" >&2");
    write(programs.path(), "aarch64-linux-gnu-gcc", "exit 1");
    let wanted = "--no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
    script("need", &["aarch64-linux-gnu-gcc"], programs.path(), 0).assert_stderr(&[wanted]);
    write(programs.path(), "aarch64-linux-gnu-gcc", "exit 0");
    assert_eq!(script("need", &["aarch64-linux-gnu-gcc"], programs.path(), 0).stderr, "");
}

#[test]
fn a_program_with_shared_libraries_is_not_reported_as_static() {
    let programs = tempfile::tempdir().unwrap();
    let compiler = "case $1 in --version) echo 'cargo 1.95.0' ;; *)\n\
                    for directory in \"$CARGO_TARGET_DIR\"/*-unknown-linux-musl/debug; do\n\
                    mkdir -p \"$directory\" && cp -L /bin/sh \"$directory/homelab-deploy\"; done ;; esac";
    write(programs.path(), "cargo", compiler);
    write(programs.path(), "rustc", "echo /");
    for name in ["cc", "musl-gcc", "rustup"] {
        write(programs.path(), name, "exit 0");
    }
    let readelf = run(Command::new("sh").args(["-c", "command -v readelf"]), 0).stdout;
    symlink(readelf.trim(), programs.path().join("readelf")).unwrap();
    let target = format!("target/{}-unknown-linux-musl/debug", std::env::consts::ARCH);
    fs::create_dir_all(programs.path().join(target)).unwrap();
    script("static", &[], programs.path(), 1).assert_stderr(&["libc.so.6", "it is not static"]);
    script("static", &["z80"], programs.path(), 2).assert_stderr(&["unknown architecture `z80`"]);
}
