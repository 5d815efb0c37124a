//! The fake `switch-to-configuration` of a stage behaves as `tests/lab/switch-to-configuration.md` describes the one of
//! NixOS, except for rows that need systemd.

use crate::common::CommandOutput;
use crate::stage::SWITCH;
use crate::switch_table::{Row, rows};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use tempfile::TempDir;

/// Returns the steps and scripts that bring a stage into a situation.
fn faults(situation: &str) -> Vec<(&'static str, &'static str)> {
    let check = "echo 'the disk layout has changed' >&2; name=layout; exit 1";
    let part_fails = ("activate", "echo \"Activation script snippet 'secrets' failed (1)\"; status=1");
    let script_ends = ("activate", "exit 1");
    let chronic = ("units", "echo 'warning: the following units failed: chronic.service' >&2; code=4");
    match situation {
        "the action is unknown" | "no fault" | "nothing changed" => vec![],
        "a check refuses" | "a check refuses, with `NIXOS_NO_CHECK=1`" => vec![("check", check)],
        "a check refuses on standard output" => {
            vec![("check", "exec 2>&1; echo 'the disk layout has changed'; name=layout; exit 1")]
        }
        "only a boot can activate it" => {
            let inhibited =
                "case $action in boot | dry-activate) ;; *) name=switchInhibitors; exit 1 ;; esac";
            vec![("check", inhibited)]
        }
        "the boot loader fails" => vec![("boot", "echo 'no space on /boot' >&2; exit 1")],
        "a snippet of the activation script fails" => vec![part_fails],
        "the activation script ends early" => vec![script_ends],
        "a snippet of the activation script fails, and a unit as always" => vec![part_fails, chronic],
        "the activation script ends early, and a unit fails as always" => vec![script_ends, chronic],
        "a unit fails as always" => vec![chronic],
        other => panic!("no faults are defined for {other:?}"),
    }
}

#[test]
fn fake_program_behaves_as_the_table_describes() {
    let rows: Vec<_> = rows().into_iter().filter(|row| !row.lab_only).collect();
    assert!(!rows.is_empty());
    for row in &rows {
        for action in &row.actions {
            check_row(row, action);
        }
    }
}

fn check_row(row: &Row, action: &str) {
    let dir = TempDir::new().unwrap();
    let at = |path: &str| dir.path().join(path);
    for path in ["root/run", "new/bin", "old"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    let (old, new) = (at("old"), at("new").canonicalize().unwrap());
    symlink(&old, at("root/run/current-system")).unwrap();
    fs::write(at("bootloader"), format!("{}\n", old.display())).unwrap();
    fs::write(at("new/nixos-version"), "v1").unwrap();
    let program = at("new/bin/switch-to-configuration");
    fs::write(&program, SWITCH).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for (step, script) in faults(row.situation) {
        fs::write(at(&format!("v1.{step}")), script).unwrap();
    }
    let mut command = Command::new("sh");
    command
        .args([&program.display().to_string(), action])
        .env("STAGE", dir.path())
        .env_remove("NIXOS_NO_CHECK");
    if row.situation.contains("NIXOS_NO_CHECK=1") {
        command.env("NIXOS_NO_CHECK", "1");
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    let ended = CommandOutput { code, stdout: text(output.stdout), stderr: text(output.stderr) };
    row.holds(action, &ended);
    let case = format!("{}, {action}: {ended}", row.situation);
    let pick = |is_new| if is_new { &new } else { &old };
    assert_eq!(
        &fs::read_link(at("root/run/current-system")).unwrap(),
        pick(row.runs_new),
        "runs after {case}"
    );
    let boots = fs::read_to_string(at("bootloader")).unwrap();
    assert_eq!(boots.trim_end(), pick(row.boots_new).to_str().unwrap(), "boots after {case}");
}
