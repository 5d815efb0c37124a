//! The builder's module: its unit, the effect of each option, and refused settings.

use crate::common::{binary, run};
use crate::evaluate::{Library, file, listener_with};
use crate::operator::has_options;
use crate::options::{options, text};
use crate::settings::TLS;
use crate::store::Store;
use crate::unit::{assert_no_complaint, systemd_analyze};
use crate::unit_text::{Settings, command, program, settings};
use serde_json::json;
use std::fs;
use std::process::Command;

pub(crate) const BUILDER: &str = r#"
    services.homelab-deploy.builder = {
      enable = true;
      natsUrl = "nats://nats.example.org";
      nkeyFile = "/run/keys/builder.nkey";
      configFile = "/etc/builder.toml";
    };
"#;

/// Option, setting, and the part that it adds to the unit.
pub(crate) const EVERY_SETTING: &[(&str, &str, &str)] = &[
    ("package", "package = pkgs.other;", "-other/bin/homelab-deploy builder "),
    (
        "flakeCredentialsFile",
        "flakeCredentialsFile = \"/run/keys/c\";",
        " --flake-credentials %d/flake-credentials",
    ),
    ("tls.ca", "tls.ca = \"/etc/ca.pem\";", "--tls-ca /etc/ca.pem"),
    ("tls.cert", TLS, "--tls-cert /etc/web1.pem"),
    ("tls.key", TLS, "--tls-key %d/tls-key"),
    ("debug", "debug = true;", "--debug"),
    ("logFormat", "logFormat = \"text\";", "--log-format text"),
    ("extraPackages", "extraPackages = [ pkgs.other ];", "-other/bin"),
    (
        "environment",
        "environment.GIT_SSH_COMMAND = \"ssh -i /k\";",
        "Environment=\"GIT_SSH_COMMAND=ssh -i /k\"",
    ),
    ("metrics.enable", "metrics.enable = true;", "--metrics-enabled --metrics-addr :9973"),
    (
        "metrics.address",
        "metrics = { enable = true; address = \"[::1]:9000\"; };",
        "--metrics-addr \"[::1]:9000\"",
    ),
    ("sandbox", "sandbox = false;", "--no-sandbox"),
    ("nixMayRead", "nixMayRead = [ \"/etc\" \"/tmp\" ];", "--nix-may-read=/etc --nix-may-read=/tmp"),
    ("acceptFlakeConfig", "acceptFlakeConfig = true;", "--accept-flake-config"),
    ("extraArgs", "extraArgs = [ \"--debug\" ];", " --debug "),
];

fn with(line: &str) -> String {
    BUILDER.replacen("enable = true;", &format!("enable = true; {line}"), 1)
}

/// A unit without the environment and the `Install` section, to which NixOS adds.
fn plain(mut unit: Settings) -> Settings {
    unit.retain(|(section, key), _| section != "Install" && key != "Environment");
    unit
}

#[test]
fn the_module_generates_the_unit_of_the_repository() {
    let text = fs::read_to_string(file("nixos/homelab-deploy-builder.service")).unwrap();
    for library in Library::all() {
        let made = library.unit_of("builder", BUILDER);
        let expected = settings(
            &text
                .replace("@program@", &program(&made))
                .replace("@arguments@", "--nats-url nats://nats.example.org")
                .replace("@config@", "/etc/builder.toml")
                .replace("@key@", "/run/keys/builder.nkey"),
        );
        let unit = settings(&made);
        let key = |section: &str, key: &str| unit[&(section.to_owned(), key.to_owned())].clone();
        assert_eq!(key("Install", "WantedBy"), ["multi-user.target"]);
        let environment = key("Service", "Environment");
        for variable in ["\"NIX_REMOTE=daemon\"", "\"XDG_CACHE_HOME=/var/cache/homelab-deploy-builder\""] {
            assert!(environment.contains(&variable.to_owned()), "{environment:?}");
        }
        let path = environment.iter().find(|variable| variable.starts_with("\"PATH=")).unwrap();
        assert!(["-nix/bin", "-git/bin", "-openssh/bin"].iter().all(|part| path.contains(part)), "{path}");
        assert_eq!(plain(unit), plain(expected), "{library:?}");
    }
}

#[test]
fn each_option_has_its_effect_on_the_unit() {
    for library in Library::all() {
        let before = settings(&library.unit_of("builder", BUILDER));
        for (option, setting, effect) in EVERY_SETTING {
            let unit = library.unit_of("builder", &with(setting));
            assert!(unit.contains(effect), "{option}: {unit}");
            assert_ne!(settings(&unit), before, "{option}");
        }
    }
    let required = ["enable", "natsUrl", "nkeyFile", "configFile"];
    // Other tests cover these.
    let elsewhere = ["settings", "metrics.openFirewall", "logDir"];
    for option in options(&Library::Little) {
        let Some(name) = text(&option, "name").strip_prefix("builder.") else { continue };
        if name.starts_with("settings.") {
            continue;
        }
        let tried = EVERY_SETTING.iter().any(|(tried, ..)| *tried == name);
        assert!(tried || required.contains(&name) || elsewhere.contains(&name), "{name}");
    }
}

#[test]
fn settings_become_the_file() {
    let line = "configFile = \"/etc/builder.toml\";";
    let instead = "settings = { parallel = 4; repos.fleet.url = \"git+https://git.example.org/fleet\"; };";
    for library in Library::all() {
        let store = Store::new();
        let unit = store.build(&library, &BUILDER.replace(line, instead), "built.homelab-deploy-builder");
        // Only the unit was built, so the file exists only if it is in the unit's closure.
        let command = command(&fs::read_to_string(unit).unwrap());
        let at = command.iter().position(|word| word == "--config").unwrap();
        let written: serde_json::Value =
            toml::from_str(&fs::read_to_string(&command[at + 1]).unwrap()).unwrap();
        let repos = json!({"fleet": {"url": "git+https://git.example.org/fleet"}});
        assert_eq!(written, json!({"parallel": 4, "repos": repos}));
    }
}

#[test]
fn every_key_that_the_program_knows_has_an_option() {
    for (section, prefix) in [("", "builder.settings."), ("[repos.x]", "builder.settings.repos.<name>.")] {
        has_options(&["builder", "--check", "--config"], section, prefix);
    }
}

#[test]
fn trusted_keys_and_the_name_of_the_fleet_become_part_of_the_file() {
    let settings = "settings = { repos.a.url = \"git+https://h/a\"; fleet_name = \"home\"; trusted_keys = [ \
                    \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01\" ]; };";
    for library in Library::all() {
        let store = Store::new();
        let settings = BUILDER.replace("configFile = \"/etc/builder.toml\";", settings);
        let unit = store.build(&library, &settings, "built.homelab-deploy-builder");
        let command = command(&fs::read_to_string(unit).unwrap());
        let at = command.iter().position(|word| word == "--config").unwrap();
        let written = fs::read_to_string(&command[at + 1]).unwrap();
        let written: serde_json::Value = toml::from_str(&written).unwrap();
        assert_eq!(written["fleet_name"], "home");
        let key = "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01";
        assert_eq!(written["trusted_keys"], json!([key]));
    }
}

#[test]
fn the_program_understands_each_command_line() {
    for (_, setting, _) in EVERY_SETTING {
        let command = command(&Library::Little.unit_of("builder", &with(setting)));
        let complaint = "failed to read builder configuration /etc/builder.toml";
        run(Command::new(binary()).args(&command[1..]), 2).assert_stderr(&[complaint]);
    }
}

#[test]
fn defaults_are_those_of_the_program() {
    let help = run(Command::new(binary()).args(["builder", "--help"]), 0).stdout;
    assert!(help.split_whitespace().collect::<String>().contains("[default::9973]"), "{help}");
    let options = options(&Library::Little);
    let address = options.iter().find(|option| option["name"] == "builder.metrics.address").unwrap();
    assert_eq!(text(address, "default"), "\":9973\"");
}

#[test]
fn missing_or_contradictory_settings_are_named() {
    let one =
        "set exactly one of services.homelab-deploy.builder.settings, for example to { repos.fleet.url = ";
    for (from, to, expected) in [
        ("natsUrl = \"nats://nats.example.org\";", "", "builder.natsUrl must be set"),
        ("nkeyFile = \"/run/keys/builder.nkey\";", "", "builder.nkeyFile must be set"),
        ("configFile = \"/etc/builder.toml\";", "", one),
        ("enable = true;", "enable = true; settings.repos.a.url = \"git+https://h/a\";", one),
        (
            "configFile = \"/etc/builder.toml\";",
            "settings.parallel = 2;",
            "settings.repos must name at least one",
        ),
        (
            "enable = true;",
            "enable = true; metrics = { enable = true; address = \":80\"; };",
            "builder.metrics.address: the unit may not listen on a port below 1024",
        ),
        ("enable = true;", "enable = true; logDir = \"/srv/log\";", "builder.logDir must be below /var/log"),
        (
            "configFile = \"/etc/builder.toml\";",
            "settings.repos.\"a b\".url = \"git+https://h/a\";",
            "builder.settings.repos: a b: expected a name of 1 to 63 letters",
        ),
        // The message has the name of the option and no part of the seed.
        (
            "configFile = \"/etc/builder.toml\";",
            "settings = { repos.a.url = \"git+https://h/a\"; trusted_keys = [ \
             \"SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU\" ]; };",
            "builder.settings.trusted_keys must contain only public keys as printed by",
        ),
        (
            "configFile = \"/etc/builder.toml\";",
            "settings = { repos.a.url = \"git+https://h/a\"; trusted_keys = [ \
             \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS\" \
             \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01\" ]; };",
            "builder.settings.trusted_keys has UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS with two dates",
        ),
        (
            "enable = true;",
            "enable = true; metrics.openFirewall = true;",
            "openFirewall has no effect without",
        ),
        (
            "enable = true;",
            "enable = true; metrics = { enable = true; address = \"localhost\"; };",
            "metrics.address must be a port up to 65535, for all addresses",
        ),
        (
            "/run/keys/builder.nkey",
            "/nix/store/00000000000000000000000000000000-key",
            "where everyone can read it",
        ),
    ] {
        for library in Library::all() {
            let settings = BUILDER.replacen(from, to, 1);
            let host = library.try_evaluate(&settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
            let failed = host["failed"].as_array().unwrap();
            assert!(
                failed.len() == 1 && text(&json!({"x": failed[0]}), "x").contains(expected),
                "{to}: {failed:?}"
            );
        }
    }
}

#[test]
fn open_firewall_opens_the_port_of_the_metrics() {
    for library in Library::all() {
        let open = "metrics = { enable = true; openFirewall = true; address = \"192.0.2.1:9000\"; };";
        assert_eq!(library.evaluate(&with(open))["ports"], json!([9000]));
        assert_eq!(library.evaluate(BUILDER)["ports"], json!([]));
    }
}

#[test]
fn systemd_accepts_the_unit_and_it_is_hardened() {
    let directory = tempfile::tempdir().unwrap();
    let (Some(mut verify), Some(mut security)) = (systemd_analyze(), systemd_analyze()) else { return };
    let unit = Library::Little.unit_of("builder", BUILDER);
    let path = directory.path().join("homelab-deploy-builder.service");
    fs::write(&path, unit.replace(&program(&unit), &binary().display().to_string())).unwrap();
    let output = verify.arg("verify").arg(&path).output().unwrap();
    assert_no_complaint(&String::from_utf8_lossy(&output.stderr));
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    // The command fails above the threshold.
    run(security.arg(&path), 0);
}

#[test]
fn an_invalid_file_is_refused_at_build_time() {
    let store = Store::new();
    let line = "configFile = \"/etc/builder.toml\";";
    for (more, expected) in [
        ("paralel = 3;", "unknown key \"paralel\" in the file; did you mean parallel?"),
        ("repos.b.url = \"git+https://h/b?ref=x\";", "names a revision (ref=x)"),
    ] {
        let settings = format!("settings = {{ repos.a.url = \"git+https://h/a\"; {more} }};");
        let made = store.try_build_of(
            &Library::Little,
            &BUILDER.replace(line, &settings),
            "built.homelab-deploy-builder",
        );
        let error = made.unwrap_err();
        assert!(error.contains("homelab-deploy-builder.toml:") && error.contains(expected), "{error}");
    }
}

#[test]
fn log_files_have_a_directory_that_the_unit_may_write_to() {
    for library in Library::all() {
        for (service, unit) in [
            ("builder", library.unit_of("builder", &with("logDir = \"/var/log/a/b\";"))),
            ("listener", library.unit(&listener_with("logDir = \"/var/log/a/b\";"))),
        ] {
            assert!(
                unit.contains("LogsDirectory=a/b\n") && unit.contains("--log-dir /var/log/a/b"),
                "{service}: {unit}"
            );
        }
        let unit = library.unit(&listener_with("logDir = \"/srv/log\";"));
        assert!(
            unit.contains("ReadWritePaths=-/srv/log\n") && unit.contains("ReadWritePaths=/nix\n"),
            "{unit}"
        );
    }
}
