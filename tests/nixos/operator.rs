//! The operator's machine: the program, and a configuration for all users.

use crate::common::{binary, run};
use crate::evaluate::Library;
use crate::options::{options, text};
use crate::store::Store;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const SETTINGS: &str = r#"
    services.homelab-deploy.operator = {
      enable = true;
      settings.contexts.home.nats_url = "nats://nats.example.org";
    };
"#;

#[test]
fn it_installs_the_program_and_the_file() {
    for library in Library::all() {
        let host = library.evaluate(SETTINGS);
        assert_eq!(host["packages"], json!(["homelab-deploy"]));
        assert!(host["etc"].get("xdg/homelab-deploy/config.toml").is_some(), "{host}");
        let store = Store::new();
        let file = store.build(&library, SETTINGS, "etc.\"xdg/homelab-deploy/config.toml\".source");
        let file: Value = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(file, json!({"contexts": {"home": {"nats_url": "nats://nats.example.org"}}}));
        let host = library.evaluate("services.homelab-deploy.operator.enable = true;");
        assert_eq!(host["etc"], json!({}));
    }
}

#[test]
fn an_invalid_file_is_refused_at_build_time() {
    let store = Store::new();
    for (wrong, expected) in [
        ("settings.contexts.home.natsurl = \"nats://h\";", "unknown key \"natsurl\" in [contexts.home]"),
        ("settings = { context = \"hmoe\"; contexts.home = { }; };", "names the context hmoe"),
        ("settings.aliases.a = \"a\";", "alias \"a\" refers to itself"),
    ] {
        let settings = format!("services.homelab-deploy.operator = {{ enable = true; {wrong} }};");
        let made =
            store.try_build_of(&Library::Little, &settings, "etc.\"xdg/homelab-deploy/config.toml\".source");
        let error = made.unwrap_err();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

/// The known keys of a section, from the error for an unknown key. `check` is the command that reads the file.
fn known(check: &[&str], section: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{section}\nzzzzzzzz = 1\n")).unwrap();
    let checked = run(Command::new(binary()).args(check).arg(file.path()), 2);
    let output = format!("{}{}", checked.stdout, checked.stderr);
    let (_, keys) = output.split_once("expected one of ").unwrap_or_else(|| panic!("{checked}"));
    let mut keys: Vec<_> = keys.lines().next().unwrap().split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

/// Asserts that the keys of a section are the options below a prefix.
pub(crate) fn has_options(check: &[&str], section: &str, prefix: &str) {
    let options = options(&Library::Little);
    let names = options.iter().filter_map(|option| text(option, "name").strip_prefix(prefix));
    let mut names: Vec<_> = names.filter(|name| !name.contains('.')).map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, known(check, section), "{section}");
}

#[test]
fn every_key_that_the_program_knows_has_an_option() {
    for (section, prefix) in [
        ("", "operator.settings."),
        ("[contexts.x]", "operator.settings.contexts.<name>."),
        ("[console]", "operator.settings.console."),
    ] {
        has_options(&["config", "check", "--file"], section, prefix);
    }
}
