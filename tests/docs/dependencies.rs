//! `scripts/deny` prints which checks it could not run and why, and fails only if a check that ran finds something.

use crate::page::root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A stand-in for cargo, which calls cargo-deny: a command that contains the word in `FAIL` fails.
const CARGO: &str = "#!/bin/sh\necho \"ran: $*\"\ncase \" $* \" in *\" $FAIL \"*) exit 1 ;; esac\n";

/// Runs the script; returns whether it succeeded, the commands that ran, and its `NOT RUN` lines.
fn deny(programs: &[&str], fail: &str) -> (bool, String, String) {
    let directory = tempfile::tempdir().unwrap();
    for program in programs {
        let file = directory.path().join(program);
        fs::write(&file, CARGO).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("/bin/sh")
        .arg(root().join("scripts/deny"))
        .env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))
        .env("FAIL", fail)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let not_run = err.lines().filter(|line| line.contains("NOT RUN")).collect();
    (output.status.success(), out.replace("ran: ", ""), not_run)
}

#[test]
fn an_unavailable_check_is_named_and_a_denied_dependency_fails() {
    let both = ["cargo", "cargo-deny"];
    let rest = "deny check bans licenses sources\n";
    let all = format!("{rest}deny check advisories\n");
    let none = "##### NOT RUN: bans, licenses, sources and advisories of dependencies: ";
    let advisories =
        "##### NOT RUN: advisories: cargo-deny could not fetch the database of advisories (see above). #####";
    for (programs, fail, ok, ran, not_run) in [
        (&both[..], "nothing", true, &*all, ""),
        (&both, "advisories", false, &*all, ""),
        (&both, "bans", false, rest, ""),
        (&both, "db", true, rest, advisories),
        (&both, "fetch", true, "", &format!("{none}cargo could not fetch them (see above). #####")),
        (
            &["cargo"],
            "nothing",
            true,
            "",
            &format!("{none}cargo-deny is not installed (`cargo install cargo-deny`). #####"),
        ),
    ] {
        assert_eq!(deny(programs, fail), (ok, ran.to_owned(), not_run.to_owned()), "{fail} fails");
    }
}
