//! The options that exist, against the list that people build on.

use crate::evaluate::{LISTENER, Library, file};
use crate::settings::EVERY_SETTING;
use homelab_deploy::protocol::Name;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Every option of every module. The first ones have always been there under these names.
const OPTIONS: [&str; 64] = [
    "listener.enable",
    "listener.package",
    "listener.hostname",
    "listener.tier",
    "listener.role",
    "listener.natsUrl",
    "listener.nkeyFile",
    "listener.flakeUrl",
    "listener.timeout",
    "listener.deploySubjects",
    "listener.discoverSubject",
    "listener.environment",
    "listener.metrics.enable",
    "listener.metrics.address",
    "listener.metrics.openFirewall",
    "listener.extraArgs",
    "listener.trustedKeys",
    "listener.heartbeatInterval",
    "listener.rebuildCommand",
    "listener.healthChecks",
    "listener.requireHealthy",
    "listener.confirmTimeout",
    "listener.ignoreUnits",
    "listener.rollback",
    "listener.localBuild",
    "nats.enable",
    "nats.hosts",
    "nats.hosts.<name>.tier",
    "nats.hosts.<name>.role",
    "nats.hosts.<name>.confirmPeers",
    "nats.hosts.<name>.publicKey",
    "nats.operators",
    "nats.operators.<name>.kind",
    "nats.operators.<name>.tiers",
    "nats.operators.<name>.builds",
    "nats.operators.<name>.publicKey",
    "builder.enable",
    "builder.package",
    "builder.natsUrl",
    "builder.nkeyFile",
    "builder.settings",
    "builder.configFile",
    "builder.environment",
    "builder.metrics.enable",
    "builder.metrics.address",
    "builder.metrics.openFirewall",
    "builder.extraArgs",
    "operator.enable",
    "operator.package",
    "operator.settings",
    "flakeUpdate.enable",
    "flakeUpdate.package",
    "flakeUpdate.repo",
    "flakeUpdate.base",
    "flakeUpdate.forge",
    "flakeUpdate.forgeUrl",
    "flakeUpdate.tokenFile",
    "flakeUpdate.dates",
    "flakeUpdate.notify.enable",
    "flakeUpdate.notify.natsUrl",
    "flakeUpdate.notify.nkeyFile",
    "flakeUpdate.notify.builderRepo",
    "flakeUpdate.environment",
    "flakeUpdate.extraArgs",
];

/// The options with their defaults, examples and descriptions.
pub(crate) fn options(library: &Library) -> Vec<Value> {
    library.evaluate("")["options"].as_array().unwrap().clone()
}

pub(crate) fn text<'a>(option: &'a Value, field: &str) -> &'a str {
    option[field].as_str().unwrap_or_default()
}

#[test]
fn there_are_these_options_and_no_others() {
    for library in Library::all() {
        let there: BTreeSet<_> =
            options(&library).iter().map(|option| text(option, "name").to_owned()).collect();
        assert_eq!(there, OPTIONS.map(str::to_owned).into(), "{library:?}");
    }
}

#[test]
fn each_has_a_type_an_example_a_description_and_a_default_unless_it_must_be_set() {
    for library in Library::all() {
        for option in options(&library) {
            let required = text(&option, "description").contains("Required.");
            assert!(!text(&option, "type").is_empty(), "{option}");
            assert!(!text(&option, "example").is_empty(), "{option}");
            assert!(text(&option, "description").trim().ends_with('.'), "{option}");
            let default = text(&option, "default");
            assert!(if required { ["", "null"].contains(&default) } else { !default.is_empty() }, "{option}");
        }
    }
}

#[test]
fn each_option_of_the_listener_is_tried() {
    let tried = |option: &str| {
        let short = option.strip_prefix("listener.").unwrap();
        LISTENER.contains(&format!(" {short} =")) || EVERY_SETTING.iter().any(|(name, ..)| *name == short)
    };
    let listener = OPTIONS.iter().filter(|option| option.starts_with("listener."));
    let missing: Vec<_> = listener.filter(|option| !tried(option)).collect();
    assert_eq!(missing, [&"listener.metrics.openFirewall"], "tried elsewhere");
}

#[test]
fn defaults_are_those_of_the_program() {
    let help = crate::common::run(
        Command::new(crate::common::binary()).args(["listener", "--help"]).env("COLUMNS", "300"),
        0,
    );
    // The help on one line, for it breaks lines anywhere.
    let help = help.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = options(&Library::Little);
    for (option, flag) in [
        ("listener.timeout", "--timeout"),
        ("listener.deploySubjects", "--deploy-subject"),
        ("listener.discoverSubject", "--discover-subject"),
        ("listener.heartbeatInterval", "--heartbeat-interval"),
        ("listener.confirmTimeout", "--confirm-timeout"),
        ("listener.metrics.address", "--metrics-addr"),
    ] {
        let Some(after) = help.split_once(&format!("{flag} ")) else {
            assert_eq!(flag, "--metrics-addr", "the program has no {flag}");
            continue;
        };
        let told = after.1.split_once("[default: ").unwrap().1.split(']').next().unwrap();
        let default = options.iter().find(|known| known["name"] == option).unwrap();
        let default = text(default, "default").replace(['"', '[', ']', ','], "");
        let words: Vec<_> = default.split_whitespace().collect();
        assert_eq!(
            words,
            told.split([' ', ',']).filter(|word| !word.is_empty()).collect::<Vec<_>>(),
            "{option}"
        );
    }
}

#[test]
fn a_name_is_what_the_program_takes_for_one() {
    let text = fs::read_to_string(file("nixos/token.nix")).unwrap();
    let (_, list) = text.split_once("reserved = [").unwrap();
    let reserved: Vec<_> = list.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert_eq!(reserved.len(), 6);
    for word in &reserved {
        assert!(Name::new(*word).is_err(), "{word}");
    }
    let Some(library) = Library::nixpkgs() else { return };
    let long = "x".repeat(63);
    let longer = "x".repeat(64);
    let others = ["web", "web-1", "_x", "-x", "W", "web.1", "", "wéb", "a b", &long, &longer];
    for word in reserved.into_iter().chain(others) {
        let set = crate::evaluate::listener_with(&format!("hostname = {word:?};"));
        assert_eq!(library.try_evaluate(&set).is_ok(), Name::new(word).is_ok(), "{word:?}");
    }
}
