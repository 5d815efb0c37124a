//! Settings that cannot be meant: each is refused before anything is built, with the option's name.

use crate::evaluate::{LISTENER, Library, listener_with};
use crate::fixture::public_key;

/// A setting of the listener, or a required option to leave out, and what is said.
const LISTENERS: [(&str, &str); 13] = [
    ("-tier", "services.homelab-deploy.listener.tier must be set, for example to \"prod\"."),
    ("-natsUrl", "services.homelab-deploy.listener.natsUrl must be set"),
    ("-nkeyFile", "services.homelab-deploy.listener.nkeyFile must be set"),
    ("-flakeUrl", "services.homelab-deploy.listener.flakeUrl must be set"),
    ("rebuildCommand = \"/x\"; requireHealthy = true;", "listener.requireHealthy has no effect with"),
    ("rebuildCommand = \"/x\"; healthChecks = [ \"x\" ];", "listener.healthChecks has no effect with"),
    ("rebuildCommand = \"/x\"; confirmTimeout = 5;", "listener.confirmTimeout has no effect with"),
    ("rebuildCommand = \"/x\"; ignoreUnits = [ \"x\" ];", "listener.ignoreUnits has no effect with"),
    ("rebuildCommand = \"/x\"; rollback = false;", "listener.rollback has no effect with"),
    (
        "trustedKeys = [ \"alice\" ];",
        "listener.trustedKeys must hold public keys alone, the texts starting with U",
    ),
    (
        "trustedKeys = [ \"SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU\" ];",
        "listener.trustedKeys must hold public keys alone",
    ),
    ("metrics.openFirewall = true;", "metrics.openFirewall has no effect without"),
    ("metrics = { enable = true; address = \"localhost\"; };", "metrics.address must end with a port"),
];

/// What the assertions of NixOS would print.
fn failed(library: &Library, settings: &str) -> Vec<String> {
    let host = library.try_evaluate(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let failed = host["failed"].as_array().unwrap().iter();
    failed.map(|message| message.as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_missing_or_contradicts_itself_is_named() {
    for library in Library::all() {
        for (setting, expected) in LISTENERS {
            let settings = match setting.strip_prefix('-') {
                Some(option) => {
                    let line = LISTENER.lines().find(|line| line.contains(&format!(" {option} ="))).unwrap();
                    LISTENER.replace(line, "")
                }
                None => listener_with(setting),
            };
            let failed = failed(&library, &settings);
            assert!(failed.len() == 1 && failed[0].contains(expected), "{setting}: {failed:?}");
        }
    }
}

#[test]
fn a_seed_in_the_store_is_refused() {
    for library in Library::all() {
        for (file, expected) in [
            ("/nix/store/00000000000000000000000000000000-key", "where everybody can read it"),
            ("keys/web1.nkey", "must be an absolute path"),
        ] {
            let failed = failed(&library, &LISTENER.replace("/run/keys/web1.nkey", file));
            assert!(failed.len() == 1 && failed[0].contains(expected), "{failed:?}");
        }
    }
}

#[test]
fn an_open_firewall_lets_in_the_port_of_the_metrics() {
    for library in Library::all() {
        for (address, port) in [(":9972", 9972), ("[::1]:9000", 9000), ("127.0.0.1:80", 80)] {
            let metrics =
                format!("metrics = {{ enable = true; openFirewall = true; address = {address:?}; }};");
            assert_eq!(library.evaluate(&listener_with(&metrics))["ports"], serde_json::json!([port]));
        }
        assert_eq!(library.evaluate(LISTENER)["ports"], serde_json::json!([]));
    }
}

/// Needs the real module system: the little library checks no types.
#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let Some(library) = Library::nixpkgs() else { return };
    for (setting, option) in [
        ("hostname = \"web.example\";", "listener.hostname"),
        ("timeout = 0;", "listener.timeout"),
        ("timeout = \"900\";", "listener.timeout"),
        ("confirmTimeout = -1;", "listener.confirmTimeout"),
        ("deploySubjects = [ ];", "listener.deploySubjects"),
        ("rebuildCommand = \"nixos-rebuild\";", "listener.rebuildCommand"),
        ("environment.X = 1;", "listener.environment.X"),
        ("rebootNow = true;", "listener.rebootNow"),
    ] {
        let said = library.try_evaluate(&listener_with(setting)).expect_err(setting);
        assert!(said.contains(&format!("services.homelab-deploy.{option}'")), "{setting}: {said}");
    }
    for (from, to, option) in [("\"web\"", "\"web.server\"", "role"), ("\"test\"", "\"all\"", "tier")] {
        let said = library.try_evaluate(&LISTENER.replace(from, to)).expect_err(to);
        let expected =
            "is not of type `null or name of 1 to 63 letters, digits, `_` or `-`, and none of all, role,";
        assert!(said.contains(&format!("listener.{option}'")) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_fleet_that_the_server_could_not_be_told_is_refused() {
    let (one, two) = (public_key("operators.alice"), public_key("operators.dana"));
    let operator = |name: &str, entry: &str, key: &str| {
        format!("services.homelab-deploy.nats.operators.{name} = {{ {entry} publicKey = {key:?}; }};")
    };
    for (entries, expected) in [
        (String::new(), "name at least one of hosts and operators"),
        (operator("x", "kind = \"deployer\";", &one), "a deployer needs tiers; see x."),
        (
            operator("x", "kind = \"mcp\"; tiers = [ \"prod\" ];", &one),
            "an mcp deploys to the tier test alone",
        ),
        (operator("x", "kind = \"viewer\"; tiers = [ \"prod\" ];", &one), "tiers are for a deployer"),
        (operator("x", "kind = \"admin\"; builds = true;", &one), "builds for a deployer or mcp; see x."),
        (operator("\"a.b\"", "kind = \"viewer\";", &one), "a.b: a name of 1 to 63 letters"),
        (
            operator("x", "kind = \"viewer\";", &one) + &operator("y", "kind = \"viewer\";", &one),
            "two entries have the same publicKey",
        ),
        (operator("x", "kind = \"viewer\";", &one) + &operator("y", "kind = \"admin\";", &two), ""),
    ] {
        for library in Library::all() {
            let failed = failed(&library, &format!("services.homelab-deploy.nats.enable = true; {entries}"));
            if expected.is_empty() {
                assert!(failed.is_empty(), "{failed:?}");
            } else {
                assert!(failed.len() == 1 && failed[0].contains(expected), "{entries}: {failed:?}");
            }
        }
    }
}
