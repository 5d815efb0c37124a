//! The timer that updates the flake: its unit, the effect of each option, and refused settings.

use crate::common::{binary, run};
use crate::evaluate::Library;
use crate::options::{options, text};
use crate::unit_text::{command, program};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const REPO: &str = "repo = \"https://git.example.org/alice/fleet.git\";";
/// The settings that notify the builder and hosts.
const NOTIFY: &str = "notify = { enable = true; natsUrl = \"tls://nats.example.org\"; \
    nkeyFile = \"/run/keys/update.nkey\"; builderRepo = \"infra\"; };";

fn with(lines: &str) -> String {
    format!("services.homelab-deploy.flakeUpdate = {{ enable = true; {lines} }};")
}

pub(crate) fn unit(library: &Library, lines: &str) -> String {
    let host = library.evaluate(&with(&format!("{REPO} {lines}")));
    host["units"]["homelab-deploy-flake-update"].as_str().expect("a unit of the update").to_owned()
}

const TLS: &str = "notify = { enable = true; natsUrl = \"tls://h\"; nkeyFile = \"/k\"; fleetName = \"home\"; \
    tls = { ca = \"/etc/ca.pem\"; cert = \"/etc/u.pem\"; key = \"/run/keys/u.pem\"; }; };";

/// An option other than `enable`, a setting of it, and the part that it adds to the unit.
pub(crate) const EVERY_SETTING: &[(&str, &str, &str)] = &[
    ("package", "package = pkgs.other;", "-other/bin/homelab-deploy flake-update "),
    ("base", "base = \"main\";", "--base main"),
    ("forge", "forge = \"gitea\";", "--forge gitea"),
    ("forgeUrl", "forgeUrl = \"https://forge.example.org\";", "--forge-url https://forge.example.org"),
    ("tokenFile", "tokenFile = \"/run/keys/t\";", "LoadCredential=token:/run/keys/t"),
    (
        "flakeCredentialsFile",
        "flakeCredentialsFile = \"/run/keys/c\";",
        " --flake-credentials %d/flake-credentials",
    ),
    ("notify.enable", NOTIFY, " --notify --builder-repo infra --nats-url tls://nats.example.org "),
    ("notify.nkeyFile", NOTIFY, "LoadCredential=nkey:/run/keys/update.nkey"),
    (
        "environment",
        "environment.GIT_SSH_COMMAND = \"ssh -i /k\";",
        "Environment=\"GIT_SSH_COMMAND=ssh -i /k\"",
    ),
    ("label", "label = \"update\";", "--label update"),
    ("parallel", "parallel = 4;", "--parallel 4"),
    ("timeout", "timeout = 60;", "--timeout 60"),
    ("notify.tls.ca", TLS, "--tls-ca /etc/ca.pem"),
    ("notify.tls.cert", TLS, "--tls-cert /etc/u.pem"),
    ("notify.tls.key", TLS, " --tls-key %d/tls-key"),
    ("notify.fleetName", TLS, "--fleet-name home"),
    ("sandbox", "sandbox = false;", "--no-sandbox"),
    ("nixMayRead", "nixMayRead = [ \"/etc\" \"/tmp\" ];", "--nix-may-read=/etc --nix-may-read=/tmp"),
    ("acceptFlakeConfig", "acceptFlakeConfig = true;", "--accept-flake-config"),
    ("notify.nkeyFile", NOTIFY, " --nkey-file %d/nkey"),
    ("extraArgs", "extraArgs = [ \"--label\" \"does not build\" ];", "--label \"does not build\""),
];

#[test]
fn each_option_has_its_effect_and_the_program_understands_it() {
    for library in Library::all() {
        let plain = unit(&library, "");
        for (option, setting, effect) in EVERY_SETTING {
            let unit = unit(&library, setting);
            assert!(unit.contains(effect) && !plain.contains(effect), "{option}: {unit}");
            // `--help` keeps the program from reading the token file and from running nix.
            let arguments = command(&unit);
            let mut program = Command::new(binary());
            run(program.args(&arguments[1..]).arg("--help").env_clear(), 0);
        }
    }
    let arguments = command(&unit(&Library::Little, "tokenFile = \"/run/keys/t\";"));
    let ended = run(Command::new(binary()).args(&arguments[1..]), 2);
    ended.assert_stderr(&["could not read the token file %d/token"]);
    let tried = |name: &str| name == "dates" || EVERY_SETTING.iter().any(|(option, ..)| *option == name);
    for option in options(&Library::Little) {
        let Some(name) = text(&option, "name").strip_prefix("flakeUpdate.") else { continue };
        assert!(
            tried(name) || ["enable", "repo", "notify.natsUrl", "notify.builderRepo"].contains(&name),
            "{name}"
        );
    }
}

#[test]
fn the_timer_follows_the_dates_and_a_failing_host_fails_no_unit() {
    for library in Library::all() {
        let timer = |lines: &str| {
            let host = library.evaluate(&with(&format!("{REPO} {lines}")));
            host["timers"]["homelab-deploy-flake-update"].clone()
        };
        assert_eq!(timer("")["wantedBy"], json!(["timers.target"]));
        assert_eq!(timer("")["timerConfig"]["OnCalendar"], "weekly");
        assert_eq!(timer("dates = \"Sat 04:00\";")["timerConfig"]["OnCalendar"], "Sat 04:00");
        assert!(unit(&library, "").contains("SuccessExitStatus=1\n"));
        let off = library.evaluate("");
        assert_eq!((&off["timers"], &off["units"]), (&json!({}), &json!({})));
    }
}

#[test]
fn invalid_settings_are_named() {
    for library in Library::all() {
        for (lines, expected) in [
            ("", "services.homelab-deploy.flakeUpdate.repo must be set"),
            (
                "repo = \"https://u:p@h/a/b\";",
                "flakeUpdate.repo contains a user name or a password, which everyone could read",
            ),
            (
                "repo = \"h:a/b\"; sandbox = false; nixMayRead = [ \"/x\" ];",
                "flakeUpdate.nixMayRead has no effect without services.homelab-deploy.flakeUpdate.sandbox.",
            ),
            ("repo = \"h:a/b\"; notify.enable = true;", "flakeUpdate.notify needs natsUrl and nkeyFile."),
            ("repo = \"h:a/b\"; notify.natsUrl = \"nats://h\";", "have no effect without"),
            ("repo = \"h:a/b\"; tokenFile = \"/nix/store/x\";", "flakeUpdate.tokenFile is in the nix store"),
            (
                "repo = \"https://ghp_x@github.com/a/b\";",
                "flakeUpdate.repo contains a user name or a password",
            ),
            (
                "repo = \"h:a/b\"; notify.tls.cert = \"/c\";",
                "flakeUpdate.notify.tls.cert and services.homelab-deploy.flakeUpdate.notify.tls.key must be set together",
            ),
        ] {
            let host = library.try_evaluate(&with(lines)).unwrap();
            let failed: Vec<&Value> = host["failed"].as_array().unwrap().iter().collect();
            let is_expected = |message: &&&Value| message.as_str().unwrap().contains(expected);
            assert_eq!(failed.iter().filter(is_expected).count(), 1, "{lines}: {failed:?}");
            assert_eq!(failed.len(), 1, "{failed:?}");
        }
    }
}

#[test]
fn systemd_accepts_the_unit_and_it_is_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(&Library::Little, "tokenFile = \"/run/keys/t\";");
    let path = directory.path().join("homelab-deploy-flake-update.service");
    fs::write(&path, unit.replace(&program(&unit), &binary().display().to_string())).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrong: Vec<_> = stderr.lines().filter(|line| line.contains("flake-update")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(&path);
    // The command fails above the threshold.
    run(&mut security, 0);
}
