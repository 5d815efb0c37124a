//! The listener's unit: it equals the text that the lab tests, options change it, and systemd accepts it.

use crate::builder::BUILDER;
use crate::common::{binary, run};
use crate::evaluate::{LISTENER, Library, file, listener_with};
use crate::settings::{COMPOSE, EVERY_SETTING};
use crate::unit_text::{Settings, command, program, settings};
use std::fs;
use std::process::Command;

/// The text of the unit, filled in as the lab does it.
fn unit_of_the_lab(program: &str, hardened: bool) -> Settings {
    let arguments = "--hostname web1 --tier test --role web --nats-url nats://nats.example.org --flake-url \
                     git+https://git.example.org/fleet";
    let read = |name: &str| fs::read_to_string(file("nixos").join(name)).unwrap();
    let mut text = read("homelab-deploy-listener.service");
    if hardened {
        text += &read("homelab-deploy-listener.hardening.conf");
    }
    settings(
        &text
            .replace("@program@", program)
            .replace("@arguments@", arguments)
            .replace("@key@", "/run/keys/web1.nkey"),
    )
}

/// The unit without what NixOS adds: the environment and the `Install` section.
fn without_surroundings(mut unit: Settings) -> Settings {
    unit.retain(|(section, key), _| section != "Install" && key != "Environment");
    unit
}

#[test]
fn the_module_generates_the_unit_that_the_lab_tests() {
    for library in Library::all() {
        let text = library.unit(LISTENER);
        let unit = settings(&text);
        let key = |section: &str, key: &str| unit[&(section.to_owned(), key.to_owned())].clone();
        assert_eq!(key("Install", "WantedBy"), ["multi-user.target"]);
        let environment = key("Service", "Environment");
        for variable in
            ["\"NIX_REMOTE=daemon\"", "\"XDG_CACHE_HOME=/var/cache/homelab-deploy\"", "\"HOME=/root\""]
        {
            assert!(environment.contains(&variable.to_owned()), "{environment:?}");
        }
        let path = environment.iter().find(|variable| variable.starts_with("\"PATH=")).unwrap();
        assert!(["-nix/bin", "-git/bin", "-openssh/bin"].iter().all(|part| path.contains(part)), "{path}");
        assert_eq!(
            without_surroundings(unit),
            without_surroundings(unit_of_the_lab(&program(&text), true)),
            "{library:?}"
        );
    }
}

#[test]
fn a_unit_with_a_rebuild_command_is_not_hardened() {
    for library in Library::all() {
        let unit = library.unit(&listener_with("rebuildCommand = \"/bin/rebuild\";"));
        let plain = unit.replace(" --rebuild-command /bin/rebuild", "");
        assert_ne!(plain, unit);
        assert_eq!(
            without_surroundings(settings(&plain)),
            without_surroundings(unit_of_the_lab(&program(&plain), false))
        );
        assert!(!unit.contains("NIX_REMOTE"), "{unit}");
    }
}

/// A host with Docker Compose has the same restrictions, and may write to the root of its services.
#[test]
fn a_unit_for_services_is_hardened_and_leaves_compose_running() {
    let of_lab = |name: &str| settings(&fs::read_to_string(file("nixos").join(name)).unwrap());
    let (hardening, compose) =
        (of_lab("homelab-deploy-listener.hardening.conf"), of_lab("homelab-deploy-listener.compose.conf"));
    for library in Library::all() {
        let text = library.unit(&listener_with(COMPOSE));
        let unit = settings(&text);
        let key = |section: &str, key: &str| unit[&(section.to_owned(), key.to_owned())].clone();
        assert_eq!(key("Service", "KillMode"), ["process"]);
        assert_eq!(key("Service", "UMask"), ["0022"]);
        assert_eq!(key("Service", "ReadWritePaths").join(" "), "/opt/homelab /run");
        for (name, value) in hardening.iter().filter(|(name, _)| !compose.contains_key(*name)) {
            if name.1 != "Environment" {
                assert_eq!(unit.get(name), Some(value), "{name:?}");
            }
        }
        assert!(key("Unit", "After").join(" ").contains("docker.service"), "{text}");
        let environment = key("Service", "Environment");
        for variable in [
            "\"BUILDX_CONFIG=/var/cache/homelab-deploy/buildx\"",
            "\"XDG_CACHE_HOME=/var/cache/homelab-deploy\"",
        ] {
            assert!(environment.contains(&variable.to_owned()), "{environment:?}");
        }
        let path = environment.iter().find(|variable| variable.starts_with("\"PATH="));
        assert!(
            ["-docker/bin", "-git/bin", "-bash/bin"].iter().all(|part| path.as_ref().unwrap().contains(part))
        );
        assert!(!text.contains("--flake-url"), "{text}");
    }
    // The module warns if no docker daemon runs on the host.
    let warnings = |more: &str| {
        let host = Library::Little.evaluate(&format!("{} {more}", listener_with(COMPOSE)));
        host["warnings"].to_string()
    };
    assert!(warnings("").contains("virtualisation.docker.enable is not set"), "{}", warnings(""));
    assert!(!warnings("virtualisation.docker.enable = true;").contains("virtualisation.docker"));
}

#[test]
fn each_option_has_its_effect_on_the_unit() {
    for library in Library::all() {
        let plain = settings(&library.unit(LISTENER));
        for (option, setting, effect) in EVERY_SETTING {
            let unit = library.unit(&listener_with(setting));
            assert!(unit.contains(effect), "{option}: {unit}");
            assert_ne!(settings(&unit), plain, "{option}");
        }
    }
}

#[test]
fn running_out_of_memory_ends_nix_and_not_the_service() {
    for library in Library::all() {
        for setting in ["", "rebuildCommand = \"/bin/rebuild\";"] {
            let unit = library.unit(&listener_with(setting));
            assert!(
                unit.contains("OOMPolicy=continue\n") && unit.contains("OOMScoreAdjust=-500\n"),
                "{unit}"
            );
        }
        for unit in [library.unit_of("builder", BUILDER), crate::flake_update::unit(&library, "")] {
            assert!(unit.contains("OOMPolicy=continue\n"), "{unit}");
        }
    }
}

#[test]
fn memory_and_processes_are_limited_and_files_are_private() {
    let text = |name: &str| settings(&fs::read_to_string(file("nixos").join(name)).unwrap());
    for name in ["homelab-deploy-listener.service", "homelab-deploy-builder.service"] {
        let unit = text(name);
        for (key, value) in [("MemoryMax", "75%"), ("TasksMax", "4096"), ("UMask", "0077")] {
            let found = unit.get(&("Service".to_owned(), key.to_owned()));
            assert_eq!(found, Some(&vec![value.to_owned()]), "{name}: {key}");
        }
    }
}

/// The arguments of a unit.
fn arguments(unit: &str) -> Vec<String> {
    let command = command(unit);
    assert!(command[0].ends_with("/bin/homelab-deploy"), "{command:?}");
    command[1..].to_vec()
}

#[test]
fn the_program_understands_each_command_line() {
    for (option, setting, _) in EVERY_SETTING {
        let arguments = arguments(&Library::Little.unit(&listener_with(setting)));
        // The arguments are parsed before the key is read, which does not exist.
        run(Command::new(binary()).args(&arguments), 2)
            .assert_stderr(&["could not read the key file %d/nkey"]);
        assert!(arguments.len() >= 11, "{option}: {arguments:?}");
    }
}

#[test]
fn arguments_that_systemd_would_expand_or_split_are_escaped() {
    let hostile = "x y \"z\" $HOME %d '\\";
    let nix = format!("healthChecks = [ {} ];", serde_json::to_string(hostile).unwrap().replace('$', "\\$"));
    for library in Library::all() {
        let arguments = arguments(&library.unit(&listener_with(&nix)));
        assert!(arguments.contains(&format!("--health-check={hostile}")), "{arguments:?}");
    }
}

/// Writes the unit with a program that exists, so that systemd can verify it.
fn written(directory: &std::path::Path, settings: &str) -> std::path::PathBuf {
    let unit = Library::Little.unit(settings);
    let unit = unit.replace(&program(&unit), &binary().display().to_string());
    let path = directory.join("homelab-deploy-listener.service");
    fs::write(&path, unit).unwrap();
    path
}

pub(crate) fn systemd_analyze() -> Option<Command> {
    let command = Command::new("systemd-analyze");
    Command::new("systemd-analyze").arg("--version").output().is_ok().then_some(command)
}

#[test]
fn systemd_accepts_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut verify) = systemd_analyze() else { return };
    let output = verify.arg("verify").arg(written(directory.path(), LISTENER)).output().unwrap();
    assert_no_complaint(&String::from_utf8_lossy(&output.stderr));
}

/// Fails if systemd complained about a unit of this project.
pub(crate) fn assert_no_complaint(stderr: &str) {
    // Settings that older versions of systemd (before 254 and 256) do not know and ignore.
    let newer = ["RestartMaxDelaySec", "RestartSteps", "@sandbox"];
    let wrong = |line: &&str| line.contains("homelab-deploy") && !newer.iter().any(|key| line.contains(key));
    let wrong: Vec<_> = stderr.lines().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_unit_is_hardened_as_far_as_rebuilding_allows() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut security) = systemd_analyze() else { return };
    security.args(["security", "--offline=true", "--threshold=30", "--no-pager"]);
    // The command fails above the threshold.
    let ended = run(security.arg(written(directory.path(), LISTENER)), 0);
    let line = ended.stdout.lines().find(|line| line.contains("Overall exposure level")).unwrap().to_owned();
    let level: f32 = line.split_once(": ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!(level < 3.0, "{line}");
}
