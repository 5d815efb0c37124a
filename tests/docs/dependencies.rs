//! `scripts/deny` says what it could not check and why, and fails only if something that it checked is not allowed.

use crate::page::root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Stands in for cargo, which calls cargo-deny: what `FAIL` holds fails.
const CARGO: &str = "#!/bin/sh\necho \"ran: $*\"\ncase \" $* \" in *\" $FAIL \"*) exit 1 ;; esac\n";

/// Runs the script; gives whether it succeeded, what ran and what it says was not run.
fn deny(programs: &[&str], fail: &str) -> (bool, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        let file = folder.path().join(program);
        fs::write(&file, CARGO).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("/bin/sh")
        .arg(root().join("scripts/deny"))
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("FAIL", fail)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let not_run = err.lines().filter(|line| line.contains("NOT RUN")).collect();
    (output.status.success(), out.replace("ran: ", ""), not_run)
}

#[test]
fn what_cannot_be_checked_is_named_and_what_is_not_allowed_fails() {
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
