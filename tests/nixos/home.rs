//! The operator's configuration with home-manager, and with nix-darwin on a Mac.

use crate::common::{binary, run};
use crate::evaluate::{Library, file, nix_instantiate};
use crate::fleet_page::Page;
use crate::store::Store;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const SETTINGS: &str = r#"{
    enable = true;
    nkeyFile = "~/.config/homelab-deploy/deployer.nkey";
    settings.branch = "next";
    settings.contexts.home.nats_url = "nats://nats.example.org";
    settings.contexts.lab = { nats_url = "nats://lab.example.org"; nkey_file = "/run/keys/lab.nkey"; };
}"#;

/// The options of the module in home-manager and in nix-darwin.
const OF: [(&str, &str); 2] =
    [("home", "programs.homelab-deploy"), ("mac", "services.homelab-deploy.operator")];

fn arguments(library: &Library, settings: &str, attribute: &str) -> Vec<String> {
    let [home, mac] = OF.map(|(_, option)| format!("{option} = {settings};"));
    whole(library, &home, &mac, attribute)
}

/// The arguments of nix that evaluate a home and a Mac with these settings.
fn whole(library: &Library, home: &str, mac: &str, attribute: &str) -> Vec<String> {
    let stand_ins = file("tests/nixos/home.nix").display().to_string();
    let mut arguments = vec![stand_ins, "--attr".into(), attribute.into()];
    let module = |settings: &str| format!("{{ inputs, ... }}: {{ {settings} }}");
    for (name, value) in [
        ("lib", library.expression()),
        ("binary", format!("{:?}", binary().display().to_string())),
        ("homeSettings", module(home)),
        ("macSettings", module(mac)),
    ] {
        arguments.extend(["--arg".into(), name.into(), value]);
    }
    arguments
}

fn evaluate(library: &Library, settings: &str, attribute: &str) -> Value {
    evaluate_with(&arguments(library, settings, attribute))
}

/// The same with the arguments from [`whole`].
fn evaluate_with(arguments: &[String]) -> Value {
    let output = nix_instantiate().args(["--eval", "--strict", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_home_has_the_program_and_its_file() {
    for library in Library::all() {
        let home = evaluate(&library, SETTINGS, "home");
        let expected =
            json!({"failed": [], "packages": ["homelab-deploy"], "files": ["homelab-deploy/config.toml"]});
        assert_eq!(home, expected, "{library:?}");
        let store = Store::new();
        let file = store.try_build(&arguments(&library, SETTINGS, "homeFile")).unwrap();
        let file: toml::Table = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let contexts = &file["contexts"];
        assert_eq!(contexts["home"]["nkey_file"].as_str(), Some("~/.config/homelab-deploy/deployer.nkey"));
        assert_eq!(contexts["lab"]["nkey_file"].as_str(), Some("/run/keys/lab.nkey"));
        let bare = evaluate(&library, "{ enable = true; }", "home");
        assert_eq!(bare, json!({"failed": [], "packages": ["homelab-deploy"], "files": []}));
        let off = evaluate(&library, &SETTINGS.replace("true", "false"), "home");
        assert_eq!(off, json!({"failed": [], "packages": [], "files": []}));
    }
}

#[test]
fn the_program_finds_its_file_on_a_mac() {
    for library in Library::all() {
        let mac = evaluate(&library, SETTINGS, "mac");
        assert_eq!(mac["failed"], json!([]));
        assert_eq!(mac["packages"], json!(["homelab-deploy", "homelab-deploy-config"]), "{library:?}");
        assert_eq!(mac["pathsToLink"], json!(["/etc/xdg"]));
        // nix-darwin sets XDG_CONFIG_DIRS to `etc/xdg` of its profiles.
        let store = Store::new();
        let profile = store.try_build(&arguments(&library, SETTINGS, "macProfile")).unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut show = Command::new(binary());
        show.args(["config", "show", "--context", "home"]).env_clear().env("HOME", home.path());
        let shown = run(show.env("XDG_CONFIG_DIRS", profile.join("etc/xdg")), 0).stdout;
        assert!(shown.contains("nats://nats.example.org"), "{shown}");
        let bare = evaluate(&library, "{ enable = true; }", "mac");
        assert_eq!(bare["packages"], json!(["homelab-deploy"]));
    }
}

#[test]
fn the_page_shows_both() {
    let page = Page::read("docs/nixos-fleet.md");
    for library in Library::all() {
        let arguments = |of: &str| whole(&library, &page.block("home"), &page.block("mac"), of);
        let home = evaluate_with(&arguments("home"));
        let files = json!(["homelab-deploy/config.toml"]);
        assert_eq!((&home["failed"], &home["files"]), (&json!([]), &files), "{library:?}");
        let mac = evaluate_with(&arguments("mac"));
        assert_eq!(mac["failed"], json!([]));
        assert_eq!(mac["packages"], json!(["homelab-deploy", "homelab-deploy-config"]));
    }
}

#[test]
fn an_invalid_nkey_file_is_refused() {
    for library in Library::all() {
        for (file, expected) in [
            ("\"admin.nkey\"", "nkeyFile must be a path that starts with / or ~/"),
            (
                "\"${builtins.storeDir}/00000000000000000000000000000000-admin.nkey\"",
                "nkeyFile is in the nix store",
            ),
        ] {
            let settings = SETTINGS.replace("\"~/.config/homelab-deploy/deployer.nkey\"", file);
            for (of, option) in OF {
                let failed = &evaluate(&library, &settings, of)["failed"];
                assert_eq!(failed.as_array().unwrap().len(), 1, "{failed}");
                assert!(failed[0].as_str().unwrap().starts_with(&format!("{option}.{expected}")), "{failed}");
            }
        }
        let without = evaluate(&library, "{ enable = true; nkeyFile = \"/k\"; }", "home");
        let expected = "programs.homelab-deploy.nkeyFile has no effect without programs.homelab-deploy.settings.contexts.";
        assert_eq!(without["failed"], json!([expected]));
    }
}
