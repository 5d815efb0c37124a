//! The module of notifications: its unit, the effect of each option, its secrets, and refused settings.

use crate::common::{binary, run};
use crate::evaluate::{Library, file};
use crate::operator::has_options;
use crate::options::{options, text};
use crate::settings::TLS;
use crate::store::Store;
use crate::unit::{assert_no_complaint, systemd_analyze};
use crate::unit_text::{Settings, command, program, settings};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub(crate) const NOTIFY: &str = r#"
    services.homelab-deploy.notify = {
      enable = true;
      natsUrl = "nats://nats.example.org";
      nkeyFile = "/run/keys/notify.nkey";
      configFile = "/etc/notify.toml";
    };
"#;

/// Settings instead of a file, with a secret of each kind.
const SETTINGS: &str = "settings = { fleet = \"/etc/fleet.toml\"; end_after = \"30s\"; targets = { \
    phone = { kind = \"ntfy\"; url = \"https://ntfy.example.org/fleet\"; token_file = \"/run/keys/100%.token\"; }; \
    chat = { kind = \"slack\"; url_file = \"/run/keys/slack.url\"; events = [ \"end\" ]; limit = 5; }; \
    hook = { kind = \"webhook\"; url = \"https://h/x\"; secret_file = \"/run/keys/hook\"; }; }; };";

/// Option, setting, and the part that it adds to the unit.
pub(crate) const EVERY_SETTING: &[(&str, &str, &str)] = &[
    ("package", "package = pkgs.other;", "-other/bin/homelab-deploy notify "),
    ("tls.ca", "tls.ca = \"/etc/ca.pem\";", "--tls-ca /etc/ca.pem"),
    ("tls.cert", TLS, "--tls-cert /etc/web1.pem"),
    ("tls.key", TLS, "--tls-key %d/tls-key"),
    ("debug", "debug = true;", "--debug"),
    ("logFormat", "logFormat = \"text\";", "--log-format text"),
    ("credentials", "credentials.slack = \"/run/keys/s\";", "LoadCredential=slack:/run/keys/s\n"),
    ("environment", "environment.https_proxy = \"http://p\";", "Environment=\"https_proxy=http://p\""),
    ("extraArgs", "extraArgs = [ \"--debug\" ];", " --debug "),
];

fn with(line: &str) -> String {
    NOTIFY.replacen("enable = true;", &format!("enable = true; {line}"), 1)
}

fn with_settings() -> String {
    NOTIFY.replace("configFile = \"/etc/notify.toml\";", SETTINGS)
}

/// A unit without the environment and the `Install` section, to which NixOS adds.
fn plain(mut unit: Settings) -> Settings {
    unit.retain(|(section, key), _| section != "Install" && key != "Environment");
    unit
}

#[test]
fn the_module_generates_the_unit_of_the_repository() {
    let text = fs::read_to_string(file("nixos/homelab-deploy-notify.service")).unwrap();
    for library in Library::all() {
        let made = library.unit_of("notify", NOTIFY);
        let expected = settings(
            &text
                .replace("@program@", &program(&made))
                .replace("@arguments@", "--nats-url nats://nats.example.org")
                .replace("@config@", "/etc/notify.toml")
                .replace("@key@", "/run/keys/notify.nkey"),
        );
        let unit = settings(&made);
        let wanted = unit[&("Install".to_owned(), "WantedBy".to_owned())].clone();
        assert_eq!(wanted, ["multi-user.target"]);
        assert_eq!(plain(unit), plain(expected), "{library:?}");
    }
}

#[test]
fn the_example_for_other_systems_has_the_same_limits() {
    let unit = settings(&fs::read_to_string(file("nixos/homelab-deploy-notify.service")).unwrap());
    let example = settings(&fs::read_to_string(file("docs/examples/homelab-deploy-notify.service")).unwrap());
    let differ =
        ["ExecStart", "LoadCredential", "Environment", "RestartSteps", "RestartMaxDelaySec", "Description"];
    for (key, value) in unit.iter().filter(|((_, key), _)| !differ.contains(&key.as_str())) {
        assert_eq!(example.get(key), Some(value), "{key:?}");
    }
}

#[test]
fn each_option_has_its_effect_on_the_unit() {
    for library in Library::all() {
        let before = settings(&library.unit_of("notify", NOTIFY));
        for (option, setting, effect) in EVERY_SETTING {
            let unit = library.unit_of("notify", &with(setting));
            assert!(unit.contains(effect), "{option}: {unit}");
            assert_ne!(settings(&unit), before, "{option}");
        }
        let unit = library.unit_of("notify", &with("logDir = \"/var/log/a/b\";"));
        assert!(unit.contains("LogsDirectory=a/b\n") && unit.contains("--log-dir /var/log/a/b"), "{unit}");
    }
    let required = ["enable", "natsUrl", "nkeyFile", "configFile"];
    for option in options(&Library::Little) {
        let Some(name) = text(&option, "name").strip_prefix("notify.") else { continue };
        let tried = EVERY_SETTING.iter().any(|(tried, ..)| *tried == name);
        let is_known = required.contains(&name) || ["settings", "logDir"].contains(&name);
        assert!(tried || is_known || name.starts_with("settings."), "{name}");
    }
}

#[test]
fn settings_become_the_file_and_their_secrets_credentials() {
    for library in Library::all() {
        let store = Store::new();
        let unit = store.build(&library, &with_settings(), "built.homelab-deploy-notify");
        let unit = fs::read_to_string(unit).unwrap();
        for credential in [
            "nkey:/run/keys/notify.nkey",
            "phone-token_file:/run/keys/100%%.token",
            "chat-url_file:/run/keys/slack.url",
            "hook-secret_file:/run/keys/hook",
        ] {
            assert!(unit.contains(&format!("LoadCredential={credential}\n")), "{unit}");
        }
        let command = command(&unit);
        let at = command.iter().position(|word| word == "--config").unwrap();
        let written: Value = toml::from_str(&fs::read_to_string(&command[at + 1]).unwrap()).unwrap();
        let targets = json!({
            "phone": {"kind": "ntfy", "url": "https://ntfy.example.org/fleet", "token_file": "%d/phone-token_file"},
            "chat": {"kind": "slack", "url_file": "%d/chat-url_file", "events": ["end"], "limit": 5},
            "hook": {"kind": "webhook", "url": "https://h/x", "secret_file": "%d/hook-secret_file"},
        });
        let expected = json!({"fleet": "/etc/fleet.toml", "end_after": "30s", "targets": targets});
        assert_eq!(written, expected);
    }
}

#[test]
fn every_key_that_the_program_knows_has_an_option() {
    for (section, prefix) in [("", "notify.settings."), ("[targets.x]", "notify.settings.targets.<name>.")] {
        has_options(&["notify", "--check", "--config"], section, prefix);
    }
}

#[test]
fn an_invalid_file_is_refused_at_build_time() {
    let store = Store::new();
    let settings = with_settings().replace("kind = \"webhook\";", "kind = \"webhook\"; room = \"!r:h\";");
    let made = store.try_build_of(&Library::Little, &settings, "built.homelab-deploy-notify");
    let error = made.unwrap_err();
    assert!(error.contains("a target of the kind webhook has no room, only matrix"), "{error}");
}

#[test]
fn the_program_understands_each_command_line() {
    for (_, setting, _) in EVERY_SETTING {
        let command = command(&Library::Little.unit_of("notify", &with(setting)));
        run(Command::new(binary()).args(&command[1..]), 2)
            .assert_stderr(&["failed to read notify configuration /etc/notify.toml"]);
    }
}

#[test]
fn missing_or_contradictory_settings_are_named() {
    let one = "set exactly one of services.homelab-deploy.notify.settings, for example to { targets.phone = ";
    let in_store = "\"/nix/store/00000000000000000000000000000000-key\"";
    for (from, to, expected) in [
        ("natsUrl = \"nats://nats.example.org\";", "", "notify.natsUrl must be set"),
        ("nkeyFile = \"/run/keys/notify.nkey\";", "", "notify.nkeyFile must be set"),
        ("configFile = \"/etc/notify.toml\";", "", one),
        ("enable = true;", &format!("enable = true; {SETTINGS}"), one),
        (
            "configFile = \"/etc/notify.toml\";",
            "settings.end_after = \"1m\";",
            "settings.targets must name at least one",
        ),
        (
            "configFile = \"/etc/notify.toml\";",
            "settings.targets.\"a b\".kind = \"ntfy\";",
            "notify.settings.targets: a b: expected a name of 1 to 63 letters",
        ),
        ("enable = true;", "enable = true; logDir = \"/srv/log\";", "notify.logDir must be below /var/log"),
        (
            "configFile = \"/etc/notify.toml\";",
            &format!("settings.targets.a = {{ kind = \"slack\"; url_file = {in_store}; }};"),
            "notify.settings.targets.a.url_file is in the nix store, where everyone can read it",
        ),
        (
            "enable = true;",
            &format!("enable = true; credentials.x = {in_store};"),
            "notify.credentials.x is in the nix store",
        ),
    ] {
        for library in Library::all() {
            let settings = NOTIFY.replacen(from, to, 1);
            let host = library.try_evaluate(&settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
            let failed = host["failed"].as_array().unwrap();
            assert!(failed.len() == 1 && failed[0].as_str().unwrap().contains(expected), "{to}: {failed:?}");
        }
    }
}

#[test]
fn systemd_accepts_the_unit_and_it_is_hardened() {
    let directory = tempfile::tempdir().unwrap();
    let (Some(mut verify), Some(mut security)) = (systemd_analyze(), systemd_analyze()) else { return };
    let unit = Library::Little.unit_of("notify", NOTIFY);
    let path = directory.path().join("homelab-deploy-notify.service");
    fs::write(&path, unit.replace(&program(&unit), &binary().display().to_string())).unwrap();
    let output = verify.arg("verify").arg(&path).output().unwrap();
    assert_no_complaint(&String::from_utf8_lossy(&output.stderr));
    security.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    // The command fails above the threshold.
    run(security.arg(&path), 0);
}
