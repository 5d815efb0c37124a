//! Every store path that a unit names is in the closure of the unit: NixOS copies only the closure to a host, so a path without a
//! dependency would be missing there.

use crate::evaluate::{Library, file};
use crate::options::{options, text};
use crate::store::Store;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Each option of the services that can hold a store path, set to one: the package `other`, which nothing else depends on, or a
/// file next to the configuration.
const SETTINGS: &[(&str, &str)] = &[
    ("listener.package", "package = pkgs.other;"),
    ("listener.natsUrl", "natsUrl = \"nats://${pkgs.other}\";"),
    ("listener.flakeUrl", "flakeUrl = \"path:${pkgs.other}\";"),
    ("listener.repoUrl", "engine = \"compose\"; repoUrl = \"git+file://${pkgs.other}\";"),
    ("listener.environment", "environment.A = \"x=${pkgs.other}\";"),
    ("listener.rebuildCommand", "rebuildCommand = \"${pkgs.other}/bin/rebuild\";"),
    ("listener.rebuildCommand", "rebuildCommand = FILE;"),
    ("listener.commitSigners", "commitSigners = \"${pkgs.other}/signers\";"),
    ("listener.commitSigners", "commitSigners = FILE;"),
    ("listener.healthChecks", "healthChecks = [ \"true\" \"${pkgs.other}/bin/curl --fail \\\"a\\\"\" ];"),
    ("listener.ignoreUnits", "ignoreUnits = [ \"${pkgs.other}\" ];"),
    ("listener.deploySubjects", "deploySubjects = [ \"${pkgs.other}\" ];"),
    ("listener.discoverSubject", "discoverSubject = \"${pkgs.other}\";"),
    ("listener.tls.ca", "tls.ca = FILE;"),
    ("listener.tls.cert", "tls = { cert = FILE; key = \"/run/keys/k\"; };"),
    ("builder.tls.ca", "tls.ca = FILE;"),
    ("builder.tls.cert", "tls = { cert = FILE; key = \"/run/keys/k\"; };"),
    ("builder.extraPackages", "extraPackages = [ pkgs.other ];"),
    ("flakeUpdate.notify.tls.ca", "notify.tls.ca = FILE;"),
    ("flakeUpdate.notify.tls.cert", "notify.tls = { cert = FILE; key = \"/run/keys/k\"; };"),
    ("listener.extraArgs", "extraArgs = [ \"--tls-ca\" \"${pkgs.other}/ca.pem\" ];"),
    ("builder.package", "package = pkgs.other;"),
    ("builder.natsUrl", "natsUrl = \"nats://${pkgs.other}\";"),
    ("builder.settings", "settings.repos.a.url = \"git+file://${pkgs.other}\";"),
    ("builder.configFile", "configFile = \"${pkgs.other}/builder.toml\";"),
    ("builder.configFile", "configFile = FILE;"),
    ("builder.environment", "environment.A = \"x=${pkgs.other}\";"),
    ("builder.nixMayRead", "nixMayRead = [ \"${pkgs.other}\" ];"),
    ("builder.extraArgs", "extraArgs = [ \"${pkgs.other}\" ];"),
    ("notify.package", "package = pkgs.other;"),
    ("notify.natsUrl", "natsUrl = \"nats://${pkgs.other}\";"),
    ("notify.tls.ca", "tls.ca = FILE;"),
    ("notify.tls.cert", "tls = { cert = FILE; key = \"/run/keys/k\"; };"),
    (
        "notify.settings",
        "settings = { fleet = \"${pkgs.other}/fleet.toml\"; targets.a = { kind = \"ntfy\"; url = \"https://h/t\"; }; };",
    ),
    ("notify.configFile", "configFile = \"${pkgs.other}/notify.toml\";"),
    ("notify.configFile", "configFile = FILE;"),
    ("notify.environment", "environment.A = \"x=${pkgs.other}\";"),
    ("notify.extraArgs", "extraArgs = [ \"${pkgs.other}\" ];"),
    ("flakeUpdate.package", "package = pkgs.other;"),
    ("flakeUpdate.repo", "repo = \"${pkgs.other}\";"),
    ("flakeUpdate.base", "base = \"${pkgs.other}\";"),
    (
        "flakeUpdate.notify.natsUrl",
        "notify = { enable = true; nkeyFile = \"/run/keys/u\"; natsUrl = \"nats://${pkgs.other}\"; };",
    ),
    ("flakeUpdate.environment", "environment.A = \"x=${pkgs.other}\";"),
    ("flakeUpdate.nixMayRead", "nixMayRead = [ \"${pkgs.other}\" ];"),
    ("flakeUpdate.extraArgs", "extraArgs = [ \"${pkgs.other}\" ];"),
];

/// Options that cannot hold a store path: switches, numbers, names, URLs, addresses, keys, dates, and secrets, which are refused in the store.
const WITHOUT_PATHS: &[&str] = &[
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
    "listener.composeRoot",
    "listener.composeCommand",
    "listener.exposure",
    "listener.offlineOk",
    "listener.debug",
    "listener.logFormat",
    "listener.logDir",
    "builder.tls.key",
    "builder.debug",
    "builder.logFormat",
    "builder.logDir",
    "notify.enable",
    "notify.nkeyFile",
    "notify.tls.key",
    "notify.credentials",
    "notify.debug",
    "notify.logFormat",
    "notify.logDir",
    "flakeUpdate.label",
    "flakeUpdate.parallel",
    "flakeUpdate.timeout",
    "flakeUpdate.notify.tls.key",
    "flakeUpdate.notify.fleetName",
    "listener.enable",
    "listener.hostname",
    "listener.tier",
    "listener.role",
    "listener.nkeyFile",
    "listener.publicKey",
    "listener.nextPublicKey",
    "listener.flakeCredentialsFile",
    "listener.timeout",
    "listener.trustedKeys",
    "listener.allowBranches",
    "listener.heartbeatInterval",
    "listener.requireHealthy",
    "listener.confirmTimeout",
    "listener.rollback",
    "listener.localBuild",
    "listener.acceptFlakeConfig",
    "listener.metrics.enable",
    "listener.metrics.address",
    "listener.metrics.openFirewall",
    "builder.enable",
    "builder.flakeCredentialsFile",
    "builder.nkeyFile",
    "builder.sandbox",
    "builder.acceptFlakeConfig",
    "builder.metrics.enable",
    "builder.metrics.address",
    "builder.metrics.openFirewall",
    "flakeUpdate.enable",
    "flakeUpdate.forge",
    "flakeUpdate.forgeUrl",
    "flakeUpdate.tokenFile",
    "flakeUpdate.sandbox",
    "flakeUpdate.acceptFlakeConfig",
    "flakeUpdate.flakeCredentialsFile",
    "flakeUpdate.dates",
    "flakeUpdate.notify.enable",
    "flakeUpdate.notify.nkeyFile",
    "flakeUpdate.notify.builderRepo",
];

/// The required options of each service, with values.
const REQUIRED: [(&str, &[(&str, &str)]); 4] = [
    (
        "listener",
        &[
            ("tier", "\"test\""),
            ("natsUrl", "\"nats://h\""),
            ("nkeyFile", "\"/k\""),
            ("flakeUrl", "\"git+https://h/f\""),
        ],
    ),
    ("builder", &[("natsUrl", "\"nats://h\""), ("nkeyFile", "\"/k\""), ("configFile", "\"/b.toml\"")]),
    ("notify", &[("natsUrl", "\"nats://h\""), ("nkeyFile", "\"/k\""), ("configFile", "\"/n.toml\"")]),
    ("flakeUpdate", &[("repo", "\"https://h/a/b.git\"")]),
];

/// The unit of the option's service, and the configuration of a host with this setting.
fn with(option: &str, setting: &str) -> (String, String) {
    let (service, option) = option.split_once('.').unwrap();
    let file = format!("(/. + \"{}\")", file("tests/nixos/lib.nix").display());
    let mut settings = format!("enable = true; {}", setting.replace("FILE", &file));
    let (_, required) = REQUIRED.iter().find(|(name, _)| *name == service).unwrap();
    // The builder and notify accept only one of `settings` and `configFile`.
    let given = if option == "settings" { "configFile" } else { option };
    for (name, value) in required.iter().filter(|(name, _)| *name != given) {
        write!(settings, " {name} = {value};").unwrap();
    }
    let unit = if service == "flakeUpdate" { "flake-update" } else { service };
    (unit.to_owned(), format!("services.homelab-deploy.{service} = {{ {settings} }};"))
}

#[test]
fn every_store_path_that_a_unit_names_is_in_its_closure() {
    for library in Library::all() {
        let store = Store::new();
        for &(option, setting) in SETTINGS {
            let (unit, settings) = with(option, setting);
            // The context of the text must contain every path that the unit names.
            let text = library.unit_of(&unit, &settings);
            let brought = if setting.contains("FILE") { "-lib.nix" } else { "-other" };
            // The unit names the generated file, and the file names the path.
            assert!(text.contains(brought) || option.ends_with(".settings"), "{option}: {text}");
            let built = store.build(&library, &settings, &format!("built.homelab-deploy-{unit}"));
            let closure = store.closure(&built);
            assert!(closure.contains(&brought[1..]), "{option}: {setting}: {closure:?}");
            assert!(option.ends_with("package") || closure.contains("homelab-deploy"), "{closure:?}");
            let runs_nix = unit != "notify";
            for program in ["nix", "git", "openssh"].into_iter().filter(|_| runs_nix) {
                assert!(closure.contains(program), "{option}: {closure:?}");
            }
        }
    }
}

#[test]
fn each_option_of_the_services_is_tested_or_holds_no_path() {
    let tried = SETTINGS.iter().map(|(option, _)| (*option).to_owned());
    let known: BTreeSet<_> = tried.chain(WITHOUT_PATHS.iter().map(|name| (*name).to_owned())).collect();
    let options = options(&Library::Little);
    let existing = options.iter().map(|option| text(option, "name").to_owned());
    let existing: BTreeSet<_> = existing
        // These are parts of settings, which are tested.
        .filter(|name| !name.starts_with("builder.settings.") && !name.starts_with("notify.settings."))
        .filter(|name| REQUIRED.iter().any(|(service, _)| name.starts_with(&format!("{service}."))))
        .collect();
    assert_eq!(known, existing);
}
