//! The options of all modules, compared with the list that configurations rely on.

use crate::evaluate::{LISTENER, Library, file};
use crate::settings::EVERY_SETTING;
use homelab_deploy::protocol::Name;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Every option of every module. The first ones have the names of the older tool.
const OPTIONS: [&str; 209] = [
    "listener.enable",
    "listener.package",
    "listener.hostname",
    "listener.tier",
    "listener.role",
    "listener.natsUrl",
    "listener.nkeyFile",
    "listener.publicKey",
    "listener.nextPublicKey",
    "listener.flakeUrl",
    "listener.flakeCredentialsFile",
    "listener.timeout",
    "listener.deploySubjects",
    "listener.discoverSubject",
    "listener.environment",
    "listener.metrics.enable",
    "listener.metrics.address",
    "listener.metrics.openFirewall",
    "listener.extraArgs",
    "listener.trustedKeys",
    "listener.allowBranches",
    "listener.commitSigners",
    "listener.heartbeatInterval",
    "listener.rebuildCommand",
    "listener.healthChecks",
    "listener.requireHealthy",
    "listener.confirmTimeout",
    "listener.ignoreUnits",
    "listener.rollback",
    "listener.localBuild",
    "listener.acceptFlakeConfig",
    "nats.baseSubjects",
    "nats.enable",
    "nats.hosts",
    "nats.hosts.<name>.tier",
    "nats.hosts.<name>.role",
    "nats.hosts.<name>.confirmPeers",
    "nats.hosts.<name>.publicKey",
    "nats.hosts.<name>.nextPublicKey",
    "nats.operators",
    "nats.operators.<name>.kind",
    "nats.operators.<name>.tiers",
    "nats.operators.<name>.builds",
    "nats.operators.<name>.expires",
    "nats.operators.<name>.publicKey",
    "nats.operators.<name>.nextPublicKey",
    "builder.enable",
    "builder.package",
    "builder.natsUrl",
    "builder.nkeyFile",
    "builder.flakeCredentialsFile",
    "builder.settings",
    "builder.configFile",
    "builder.environment",
    "builder.metrics.enable",
    "builder.metrics.address",
    "builder.metrics.openFirewall",
    "builder.extraArgs",
    "builder.sandbox",
    "builder.nixMayRead",
    "builder.acceptFlakeConfig",
    "monitoring.enable",
    "monitoring.targets",
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
    "flakeUpdate.flakeCredentialsFile",
    "flakeUpdate.dates",
    "flakeUpdate.notify.enable",
    "flakeUpdate.notify.natsUrl",
    "flakeUpdate.notify.nkeyFile",
    "flakeUpdate.notify.builderRepo",
    "flakeUpdate.environment",
    "flakeUpdate.extraArgs",
    "flakeUpdate.sandbox",
    "flakeUpdate.nixMayRead",
    "flakeUpdate.acceptFlakeConfig",
    "listener.tls.ca",
    "listener.tls.cert",
    "listener.tls.key",
    "listener.fleetName",
    "listener.flakeAttr",
    "listener.presenceInterval",
    "listener.rebuildSilence",
    "listener.healthTimeout",
    "listener.preActivateScript",
    "listener.confirmHold",
    "listener.confirmPeers",
    "listener.activateTimeout",
    "listener.lastResortReboot",
    "listener.minFree",
    "listener.engine",
    "listener.repoUrl",
    "listener.composeRoot",
    "listener.composeCommand",
    "listener.exposure",
    "listener.offlineOk",
    "listener.debug",
    "listener.logFormat",
    "listener.logDir",
    "builder.tls.ca",
    "builder.tls.cert",
    "builder.tls.key",
    "builder.extraPackages",
    "builder.debug",
    "builder.logFormat",
    "builder.logDir",
    "builder.settings.repos",
    "builder.settings.repos.<name>.url",
    "builder.settings.repos.<name>.default_branch",
    "builder.settings.repos.<name>.flake_attrs",
    "builder.settings.repos.<name>.default",
    "builder.settings.timeout",
    "builder.settings.parallel",
    "builder.settings.keep_going",
    "builder.settings.post_build_command",
    "builder.settings.trusted_keys",
    "builder.settings.fleet_name",
    "flakeUpdate.label",
    "flakeUpdate.parallel",
    "flakeUpdate.timeout",
    "flakeUpdate.notify.tls.ca",
    "flakeUpdate.notify.tls.cert",
    "flakeUpdate.notify.tls.key",
    "flakeUpdate.notify.fleetName",
    "operator.settings.branch",
    "operator.settings.confirm_tiers",
    "operator.settings.aliases",
    "operator.settings.context",
    "operator.settings.contexts",
    "operator.settings.console",
    "operator.settings.console.shell",
    "operator.settings.console.mouse",
    "operator.settings.console.title",
    "operator.settings.console.progress",
    "operator.settings.console.notify",
    "operator.settings.console.bell",
    "operator.settings.console.columns",
    "operator.settings.console.system_columns",
    "operator.settings.console.keys",
    "operator.settings.console.theme",
    "operator.settings.console.aliases",
    "operator.settings.contexts.<name>.branch",
    "operator.settings.contexts.<name>.confirm_tiers",
    "operator.settings.contexts.<name>.aliases",
    "operator.settings.contexts.<name>.nats_url",
    "operator.settings.contexts.<name>.nkey_file",
    "operator.settings.contexts.<name>.tls_ca",
    "operator.settings.contexts.<name>.tls_cert",
    "operator.settings.contexts.<name>.tls_key",
    "operator.settings.contexts.<name>.fleet",
    "operator.settings.contexts.<name>.fleet_name",
    "operator.settings.contexts.<name>.unproven",
    "operator.settings.contexts.<name>.flake_credentials",
    "operator.settings.contexts.<name>.nats_hosts",
    "operator.settings.contexts.<name>.allowed_flakes",
    "operator.settings.contexts.<name>.hosts",
    "operator.settings.contexts.<name>.hosts.<name>.tier",
    "operator.settings.contexts.<name>.hosts.<name>.role",
    "operator.settings.contexts.<name>.hosts.<name>.public_key",
    "operator.settings.contexts.<name>.hosts.<name>.subject",
    "notify.enable",
    "notify.package",
    "notify.natsUrl",
    "notify.nkeyFile",
    "notify.tls.ca",
    "notify.tls.cert",
    "notify.tls.key",
    "notify.settings",
    "notify.configFile",
    "notify.credentials",
    "notify.environment",
    "notify.extraArgs",
    "notify.debug",
    "notify.logFormat",
    "notify.logDir",
    "notify.settings.fleet",
    "notify.settings.fleet_name",
    "notify.settings.unproven",
    "notify.settings.end_after",
    "notify.settings.silent_after",
    "notify.settings.host_after",
    "notify.settings.targets",
    "notify.settings.targets.<name>.kind",
    "notify.settings.targets.<name>.url",
    "notify.settings.targets.<name>.url_file",
    "notify.settings.targets.<name>.token_file",
    "notify.settings.targets.<name>.secret_file",
    "notify.settings.targets.<name>.room",
    "notify.settings.targets.<name>.insecure_http",
    "notify.settings.targets.<name>.timeout",
    "notify.settings.targets.<name>.limit",
    "notify.settings.targets.<name>.events",
    "notify.settings.targets.<name>.tiers",
    "notify.settings.targets.<name>.roles",
    "notify.settings.targets.<name>.hosts",
    "notify.settings.targets.<name>.results",
    "notify.settings.targets.<name>.actions",
    "notify.settings.targets.<name>.title",
    "notify.settings.targets.<name>.message",
    "notify.settings.targets.<name>.priority",
    "notify.settings.targets.<name>.tags",
];

/// The options with their defaults, examples and descriptions.
pub(crate) fn options(library: &Library) -> Vec<Value> {
    library.evaluate("")["options"].as_array().unwrap().clone()
}

pub(crate) fn text<'a>(option: &'a Value, field: &str) -> &'a str {
    option[field].as_str().unwrap_or_default()
}

#[test]
fn the_options_are_exactly_these() {
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
fn each_option_of_the_listener_is_tested() {
    let tried = |option: &str| {
        let short = option.strip_prefix("listener.").unwrap();
        LISTENER.contains(&format!(" {short} =")) || EVERY_SETTING.iter().any(|(name, ..)| *name == short)
    };
    let listener = OPTIONS.iter().filter(|option| option.starts_with("listener."));
    let missing: Vec<_> = listener.filter(|option| !tried(option)).collect();
    let elsewhere =
        ["listener.publicKey", "listener.nextPublicKey", "listener.metrics.openFirewall", "listener.logDir"];
    assert_eq!(missing, elsewhere.each_ref(), "tried elsewhere");
}

#[test]
fn defaults_are_those_of_the_program() {
    let help = crate::common::run(
        Command::new(crate::common::binary()).args(["listener", "--help"]).env("COLUMNS", "300"),
        0,
    );
    // The help on one line, because it can be wrapped anywhere.
    let help = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = options(&Library::Little);
    for (option, flag) in [
        ("listener.timeout", "--timeout"),
        ("listener.deploySubjects", "--deploy-subject"),
        ("listener.discoverSubject", "--discover-subject"),
        ("listener.heartbeatInterval", "--heartbeat-interval"),
        ("listener.confirmTimeout", "--confirm-timeout"),
        ("listener.presenceInterval", "--presence-interval"),
        ("listener.rebuildSilence", "--rebuild-silence"),
        ("listener.healthTimeout", "--health-timeout"),
        ("listener.preActivateScript", "--pre-activate-script"),
        ("listener.confirmHold", "--confirm-hold"),
        ("listener.activateTimeout", "--activate-timeout"),
        ("listener.minFree", "--min-free"),
        ("listener.engine", "--engine"),
        ("listener.composeRoot", "--compose-root"),
        ("listener.composeCommand", "--compose-command"),
        ("listener.exposure", "--exposure"),
        ("listener.logFormat", "--log-format"),
        ("listener.metrics.address", "--metrics-addr"),
    ] {
        let after = help.split_once(&format!("{flag} ")).unwrap_or_else(|| panic!("no {flag}"));
        let printed = after.1.split_once("[default: ").unwrap().1.split(']').next().unwrap();
        let printed = printed.replace('"', "");
        let default = options.iter().find(|known| known["name"] == option).unwrap();
        let default = text(default, "default").replace(['"', '[', ']', ','], "");
        let words: Vec<_> = default.split_whitespace().collect();
        assert_eq!(
            words,
            printed.split([' ', ',']).filter(|word| !word.is_empty()).collect::<Vec<_>>(),
            "{option}"
        );
    }
}

#[test]
fn names_are_valid_exactly_if_the_program_accepts_them() {
    let text = fs::read_to_string(file("nixos/token.nix")).unwrap();
    let (_, list) = text.split_once("reserved = [").unwrap();
    let reserved: Vec<_> = list.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
    assert_eq!(reserved.len(), 6);
    for word in &reserved {
        assert!(Name::new(*word).is_err(), "{word}");
    }
}
