//! Settings that cannot be meant: each is refused before anything is built, with the option's name.

use crate::evaluate::{LISTENER, Library, listener_with};
use crate::fixture::public_key;

/// A setting of the listener, or a required option to leave out, and what is said.
const LISTENERS: &[(&str, &str)] = &[
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
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@soon\" ];",
        "each with `@2027-01-01` or `@2027-01-01T12:00:00Z` behind it if it expires",
    ),
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01T12:00:00\" ];",
        "each with `@2027-01-01` or `@2027-01-01T12:00:00Z` behind it if it expires",
    ),
    (
        "allowBranches = [ \"main branch\" ];",
        "listener.allowBranches must hold names of branches, such as \"main\"",
    ),
    ("metrics.openFirewall = true;", "metrics.openFirewall has no effect without"),
    ("metrics = { enable = true; address = \"localhost\"; };", "metrics.address must be a port up to 65535"),
    ("metrics = { enable = true; address = \":99999\"; };", "metrics.address must be a port up to 65535"),
    (
        "metrics = { enable = true; openFirewall = true; address = \":99999\"; };",
        "metrics.address must be a port up to 65535",
    ),
    (
        "metrics = { enable = true; openFirewall = true; address = \":0\"; };",
        "metrics.openFirewall needs a fixed port in services.homelab-deploy.listener.metrics.address",
    ),
    (
        "metrics = { enable = true; openFirewall = true; address = \"127.0.0.1:9972\"; };",
        "metrics.openFirewall has no effect: services.homelab-deploy.listener.metrics.address is reached from this host",
    ),
    (
        "metrics = { enable = true; openFirewall = true; address = \"[::1]:9972\"; };",
        "metrics.openFirewall has no effect: ",
    ),
    (
        "tls.cert = \"/etc/c.pem\";",
        "listener.tls.cert and services.homelab-deploy.listener.tls.key belong together",
    ),
    (
        "tls.key = \"/run/keys/k.pem\";",
        "listener.tls.cert and services.homelab-deploy.listener.tls.key belong together",
    ),
    (
        "publicKey = \"UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN\"; \
         nextPublicKey = \"UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN\";",
        "listener.nextPublicKey are the same key; leave nextPublicKey out",
    ),
    ("rebuildSilence = 5;", "listener.rebuildSilence has no effect without"),
    ("healthTimeout = 5;", "listener.healthTimeout has no effect without"),
    ("rebuildCommand = \"/x\"; minFree = \"1MiB\";", "listener.minFree has no effect with"),
    ("rebuildCommand = \"/x\"; activateTimeout = 5;", "listener.activateTimeout has no effect with"),
    ("hostname = null;", "services.homelab-deploy.listener.hostname must be set"),
    (
        "flakeUrl = lib.mkForce \"path:/etc/fleet\"; allowBranches = [ \"main\" ];",
        "services.homelab-deploy.listener.flakeUrl is a directory, which has no commits, so \
         services.homelab-deploy.listener.allowBranches cannot be kept to",
    ),
    (
        "flakeUrl = lib.mkForce \"path:/etc/fleet\"; commitSigners = \"/etc/signers\";",
        "so services.homelab-deploy.listener.commitSigners cannot be kept to",
    ),
    (
        "flakeUrl = lib.mkForce \"path:/etc/fleet\"; commitSigners = \"/etc/signers\"; allowBranches = [ \"main\" ];",
        "so services.homelab-deploy.listener.allowBranches and services.homelab-deploy.listener.commitSigners cannot",
    ),
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS\" \
         \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01\" ];",
        "listener.trustedKeys has UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS with two dates",
    ),
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-02-29\" ];",
        "listener.trustedKeys must hold public keys alone",
    ),
    // The right length and alphabet, but mistyped.
    (
        "trustedKeys = [ \"UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY\" ];",
        "listener.trustedKeys must hold public keys alone",
    ),
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
        for &(setting, expected) in LISTENERS {
            let settings = match setting.strip_prefix('-') {
                Some(option) => {
                    let line = LISTENER.lines().find(|line| line.contains(&format!(" {option} ="))).unwrap();
                    LISTENER.replace(line, "")
                }
                // Overrides what the listener has, so it is a definition of its own.
                None => format!(
                    "{LISTENER} imports = [ {{ services.homelab-deploy.listener = {{ {setting} }}; }} ];"
                ),
            };
            let failed = failed(&library, &settings);
            assert!(failed.len() == 1 && failed[0].contains(expected), "{setting}: {failed:?}");
        }
    }
}

/// What the program decides on the host, or does not mind.
#[test]
fn what_may_be_meant_is_not_refused() {
    const KEY: &str = "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS";
    for library in Library::all() {
        for setting in [
            "flakeUrl = lib.mkForce \"/etc/fleet\"; allowBranches = [ \"main\" ];".to_owned(),
            "flakeUrl = lib.mkForce \"path:/etc/fleet\";".to_owned(),
            format!("trustedKeys = [ \"{KEY}@2028-02-29\" \"{KEY}@2028-02-29\" ];"),
        ] {
            let settings = format!(
                "{LISTENER} imports = [ {{ services.homelab-deploy.listener = {{ {setting} }}; }} ];"
            );
            assert_eq!(failed(&library, &settings), [""; 0], "{setting}");
        }
    }
}

/// Every option for a file with a secret, and what it takes besides.
const SECRETS: [(&str, &str); 8] = [
    ("listener.nkeyFile", ""),
    ("listener.flakeCredentialsFile", ""),
    ("listener.tls.key", "listener.tls.cert = \"/c\";"),
    ("builder.nkeyFile", ""),
    ("builder.flakeCredentialsFile", ""),
    ("builder.tls.key", "builder.tls.cert = \"/c\";"),
    ("flakeUpdate.tokenFile", ""),
    ("flakeUpdate.flakeCredentialsFile", ""),
];

/// A host with all that gets secrets, and one more setting.
fn with_secrets(more: &str) -> String {
    format!(
        "services.homelab-deploy = {{ listener = {{ enable = true; tier = \"t\"; natsUrl = \"tls://h\"; flakeUrl = \"path:/f\"; \
         nkeyFile = lib.mkDefault \"/k\"; }}; builder = {{ enable = true; natsUrl = \"tls://h\"; configFile = \"/b\"; \
         nkeyFile = lib.mkDefault \"/k\"; }}; flakeUpdate = {{ enable = true; repo = \"h:a/b\"; }}; }}; \
         imports = [ {{ {more} }} ];"
    )
}

#[test]
fn a_secret_in_the_store_is_refused_however_it_is_written() {
    let key = "00000000000000000000000000000000-key";
    let ways = [
        format!("\"/nix/store/{key}\""),
        format!("\"/nix/../nix/store/{key}\""),
        format!("\"/nix//store/./{key}\""),
        format!("\"/nix/store/{key}/seed\""),
        "\"/nix/store\"".to_owned(),
        "\"${pkgs.other}/seed\"".to_owned(),
        "\"${builtins.toFile \"seed\" \"x\"}\"".to_owned(),
        "pkgs.other".to_owned(),
    ];
    for library in Library::all() {
        for (option, besides) in SECRETS {
            let besides =
                if besides.is_empty() { String::new() } else { format!("services.homelab-deploy.{besides}") };
            for way in &ways {
                let settings = with_secrets(&format!("services.homelab-deploy.{option} = {way}; {besides}"));
                let failed = failed(&library, &settings);
                let expected = format!("{option} is in the nix store, where everybody can read it");
                assert!(failed.len() == 1 && failed[0].contains(&expected), "{way}: {failed:?}");
            }
            for way in [format!("\"/nix/store-keys/{key}\""), format!("\"/nix/store/../{key}\"")] {
                let settings = with_secrets(&format!("services.homelab-deploy.{option} = {way}; {besides}"));
                assert_eq!(failed(&library, &settings), [""; 0], "{option}: {way}");
            }
        }
    }
}

#[test]
fn what_systemd_would_expand_in_the_path_of_a_secret_stays_as_it_is() {
    for library in Library::all() {
        let unit = library.unit(&LISTENER.replace("/run/keys/web1.nkey", "/run/keys/100% of %d"));
        assert!(unit.contains("LoadCredential=nkey:/run/keys/100%% of %%d\n"), "{unit}");
        let unit = library.unit(&listener_with("flakeCredentialsFile = \"/run/%h\";"));
        assert!(unit.contains("LoadCredential=flake-credentials:/run/%%h\n"), "{unit}");
    }
}

#[test]
fn a_host_without_a_name_is_told_to_set_one() {
    for library in Library::all() {
        let failed = failed(&library, &format!("{LISTENER} networking.hostName = \"\";"));
        assert!(failed.len() == 1 && failed[0].contains("listener.hostname must be set"), "{failed:?}");
    }
}

#[test]
fn two_services_on_one_port_are_refused() {
    let metrics = |listener: &str, builder: &str| {
        with_secrets(&format!(
            "services.homelab-deploy.listener.metrics = {{ enable = true; address = {listener:?}; }}; \
             services.homelab-deploy.builder.metrics = {{ enable = true; address = {builder:?}; }};"
        ))
    };
    for library in Library::all() {
        let refused = failed(&library, &metrics("127.0.0.1:9973", ":9973"));
        let expected =
            "builder.metrics.address and services.homelab-deploy.listener.metrics.address have the same port";
        assert!(refused.len() == 1 && refused[0].contains(expected), "{refused:?}");
        for (listener, builder) in [(":9972", ":9973"), (":0", ":0")] {
            assert_eq!(failed(&library, &metrics(listener, builder)), [""; 0]);
        }
    }
}

#[test]
fn a_daemon_that_would_not_build_for_the_unit_is_told() {
    let allowed = |names: &str| with_secrets(&format!("nix.settings.allowed-users = {names};"));
    for library in Library::all() {
        let refused = failed(&library, &allowed("[ \"@users\" \"root\" ]"));
        assert_eq!(refused.len(), 2, "{refused:?}");
        for user in ["homelab-deploy-builder", "homelab-deploy-flake-update"] {
            let expected = format!("nix.settings.allowed-users = [ \"{user}\" ]");
            assert!(refused.iter().any(|message| message.contains(&expected)), "{refused:?}");
        }
        for names in ["[ \"*\" ]", "[ \"homelab-deploy-builder\" \"@homelab-deploy-flake-update\" ]"] {
            assert_eq!(failed(&library, &allowed(names)), [""; 0]);
        }
        let trusted = "nix.settings.trusted-users = [ \"*\" ];";
        let both = with_secrets(&format!("nix.settings.allowed-users = [ \"@wheel\" ]; {trusted}"));
        assert_eq!(failed(&library, &both), [""; 0]);
    }
}

/// A setting, and the beginning of the only warning, or nothing.
const WARNINGS: [(&str, &str); 18] = [
    ("", ""),
    ("listener.natsUrl = lib.mkForce \"nats://localhost, nats://127.0.0.1:4222,nats://[::1]:4222\";", ""),
    ("listener.natsUrl = lib.mkForce \"nats://h\";", "listener.natsUrl: the connection to h can be read"),
    (
        "listener.natsUrl = lib.mkForce \"tls://a,h:4222\";",
        "listener.natsUrl: the connection to h:4222 can be read",
    ),
    ("listener.natsUrl = lib.mkForce \"tls://u:p@h\";", "listener.natsUrl holds a user or a password"),
    ("listener.natsUrl = lib.mkForce \"tls://token@h\";", "listener.natsUrl holds a user or a password"),
    ("builder.natsUrl = lib.mkForce \"nats://h\";", "builder.natsUrl: the connection to h can be read"),
    (
        "flakeUpdate.notify = { enable = true; nkeyFile = \"/k\"; natsUrl = \"nats://h\"; };",
        "flakeUpdate.notify.natsUrl: the connection to h can be read",
    ),
    ("listener.flakeUrl = lib.mkForce \"git+ssh://git@h/p\";", ""),
    ("listener.flakeUrl = lib.mkForce \"github:o/r\";", ""),
    (
        "listener.flakeUrl = lib.mkForce \"git+https://u:p@h/p\";",
        "listener.flakeUrl holds a user or a password",
    ),
    (
        "listener.flakeUrl = lib.mkForce \"git+https://ghp_x@h/p\";",
        "listener.flakeUrl holds a user or a password",
    ),
    (
        "listener.flakeUrl = lib.mkForce \"git+ssh://u:p@h/p\";",
        "listener.flakeUrl holds a user or a password",
    ),
    (
        "builder = { configFile = lib.mkForce null; settings.repos.a.url = \"git+https://u:p@h/p\"; };",
        "builder.settings.repos.a.url holds a user or a password",
    ),
    ("builder = { configFile = lib.mkForce null; settings.repos.a.url = \"git+https://h/p@x\"; };", ""),
    ("flakeUpdate.repo = lib.mkForce \"git@h:a/b\";", ""),
    ("flakeUpdate.repo = lib.mkForce \"ssh://git@h/a/b\";", ""),
    (
        "autoUpgrade",
        "system.autoUpgrade.enable and services.homelab-deploy.listener.enable both change the system",
    ),
];

#[test]
fn what_works_and_is_unwise_is_warned_of() {
    for library in Library::all() {
        for (setting, expected) in WARNINGS {
            let more = match setting {
                "" => String::new(),
                "autoUpgrade" => "system.autoUpgrade.enable = true;".to_owned(),
                setting => format!("services.homelab-deploy.{setting}"),
            };
            let host = library.evaluate(&with_secrets(&more));
            let warnings: Vec<_> =
                host["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            if expected.is_empty() {
                assert_eq!(warnings, [""; 0], "{setting}");
            } else {
                let named = if setting == "autoUpgrade" {
                    String::new()
                } else {
                    "services.homelab-deploy.".to_owned()
                };
                assert!(
                    warnings.len() == 1 && warnings[0].starts_with(&(named + expected)),
                    "{setting}: {warnings:?}"
                );
                assert!(!warnings[0].contains(":p@") && !warnings[0].contains("ghp_x"), "{warnings:?}");
            }
        }
    }
}

#[test]
fn an_open_firewall_lets_in_the_port_of_the_metrics() {
    for library in Library::all() {
        for (address, port) in
            [(":9972", 9972), ("[2001:db8::1]:9000", 9000), ("192.0.2.1:80", 80), (":00080", 80)]
        {
            let metrics =
                format!("metrics = {{ enable = true; openFirewall = true; address = {address:?}; }};");
            assert_eq!(library.evaluate(&listener_with(&metrics))["ports"], serde_json::json!([port]));
        }
        assert_eq!(library.evaluate(LISTENER)["ports"], serde_json::json!([]));
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
        (operator("x", "kind = \"viewer\"; expires = \"2028-02-29\";", &one), ""),
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
    let entry = operator("x", "kind = \"viewer\"; expires = \"2027-02-29\";", &one);
    // With the real library by its type.
    let failed = failed(&Library::Little, &format!("services.homelab-deploy.nats.enable = true; {entry}"));
    let expected =
        "operators: expires is a day such as 2027-01-01, or time such as 2027-01-01T12:00:00Z; see x.";
    assert!(failed.len() == 1 && failed[0].ends_with(expected), "{failed:?}");
}
