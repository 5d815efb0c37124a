//! Invalid settings: each is refused before anything is built, with the name of the option.

use crate::evaluate::{LISTENER, Library, listener_with};
use crate::fixture::public_key;

/// A setting of the listener, or a required option to leave out, and the expected message.
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
    ("trustedKeys = [ \"alice\" ];", "listener.trustedKeys must contain only public keys as printed by"),
    (
        "trustedKeys = [ \"SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU\" ];",
        "listener.trustedKeys must contain only public keys",
    ),
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@soon\" ];",
        "each followed by `@2027-01-01` or `@2027-01-01T12:00:00Z` if it expires",
    ),
    (
        "trustedKeys = [ \"UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS@2027-01-01T12:00:00\" ];",
        "each followed by `@2027-01-01` or `@2027-01-01T12:00:00Z` if it expires",
    ),
    (
        "allowBranches = [ \"main branch\" ];",
        "listener.allowBranches must contain branch names, such as \"main\"",
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
        "metrics.openFirewall has no effect: services.homelab-deploy.listener.metrics.address is reachable only from this host",
    ),
    (
        "metrics = { enable = true; openFirewall = true; address = \"[::1]:9972\"; };",
        "metrics.openFirewall has no effect: ",
    ),
    (
        "tls.cert = \"/etc/c.pem\";",
        "listener.tls.cert and services.homelab-deploy.listener.tls.key must be set together",
    ),
    (
        "tls.key = \"/run/keys/k.pem\";",
        "listener.tls.cert and services.homelab-deploy.listener.tls.key must be set together",
    ),
    (
        "publicKey = \"UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN\"; \
         nextPublicKey = \"UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN\";",
        "listener.nextPublicKey are the same key; remove nextPublicKey",
    ),
    ("rebuildSilence = 5;", "listener.rebuildSilence has no effect without"),
    ("healthTimeout = 5;", "listener.healthTimeout has no effect without"),
    ("rebuildCommand = \"/x\"; minFree = \"1MiB\";", "listener.minFree has no effect with"),
    ("rebuildCommand = \"/x\"; activateTimeout = 5;", "listener.activateTimeout has no effect with"),
    ("engine = \"compose\";", "services.homelab-deploy.listener.repoUrl must be set, for example to"),
    ("repoUrl = \"git+https://h/p\";", "listener.repoUrl has no effect without"),
    ("composeRoot = \"/srv\";", "listener.composeRoot has no effect without"),
    ("composeCommand = \"podman compose\";", "listener.composeCommand has no effect without"),
    ("exposure = \"off\";", "listener.exposure has no effect without"),
    ("offlineOk = true;", "listener.offlineOk has no effect without"),
    (
        "engine = \"compose\"; repoUrl = \"git+https://h/p\"; rebuildCommand = \"/x\";",
        "listener.rebuildCommand has no effect with services.homelab-deploy.listener.engine = \"compose\"",
    ),
    (
        "engine = \"compose\"; repoUrl = \"git+https://h/p\"; localBuild = false;",
        "listener.localBuild has no effect with",
    ),
    (
        "engine = \"compose\"; repoUrl = \"git+https://h/p\"; flakeAttr = \"x\";",
        "listener.flakeAttr has no effect with",
    ),
    ("hostname = null;", "services.homelab-deploy.listener.hostname must be set"),
    (
        "flakeUrl = lib.mkForce \"path:/etc/fleet\"; allowBranches = [ \"main\" ];",
        "services.homelab-deploy.listener.flakeUrl is a directory, which has no commits, so \
         services.homelab-deploy.listener.allowBranches cannot be enforced",
    ),
    (
        "flakeUrl = lib.mkForce \"path:/etc/fleet\"; commitSigners = \"/etc/signers\";",
        "so services.homelab-deploy.listener.commitSigners cannot be enforced",
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
        "listener.trustedKeys must contain only public keys",
    ),
    // Correct length and alphabet, but a mistyped character.
    (
        "trustedKeys = [ \"UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY\" ];",
        "listener.trustedKeys must contain only public keys",
    ),
];

/// The messages of the assertions that fail.
fn failed(library: &Library, settings: &str) -> Vec<String> {
    let host = library.try_evaluate(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let failed = host["failed"].as_array().unwrap().iter();
    failed.map(|message| message.as_str().unwrap().to_owned()).collect()
}

#[test]
fn missing_or_contradictory_settings_are_named() {
    for library in Library::all() {
        for &(setting, expected) in LISTENERS {
            let settings = match setting.strip_prefix('-') {
                Some(option) => {
                    let line = LISTENER.lines().find(|line| line.contains(&format!(" {option} ="))).unwrap();
                    LISTENER.replace(line, "")
                }
                // A separate definition, because it overrides a setting of the listener.
                None => format!(
                    "{LISTENER} imports = [ {{ services.homelab-deploy.listener = {{ {setting} }}; }} ];"
                ),
            };
            let failed = failed(&library, &settings);
            assert!(failed.len() == 1 && failed[0].contains(expected), "{setting}: {failed:?}");
        }
    }
}

/// Settings that only the program can judge on the host, or that it accepts.
#[test]
fn plausible_settings_are_accepted() {
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

/// Every option for a file with a secret, and the setting that it also requires.
const SECRETS: [(&str, &str); 12] = [
    ("notify.nkeyFile", ""),
    ("notify.tls.key", "notify.tls.cert = \"/c\";"),
    ("listener.nkeyFile", ""),
    ("listener.flakeCredentialsFile", ""),
    ("listener.tls.key", "listener.tls.cert = \"/c\";"),
    ("builder.nkeyFile", ""),
    ("builder.flakeCredentialsFile", ""),
    ("builder.tls.key", "builder.tls.cert = \"/c\";"),
    ("flakeUpdate.tokenFile", ""),
    ("flakeUpdate.flakeCredentialsFile", ""),
    ("flakeUpdate.notify.nkeyFile", "flakeUpdate.notify = { enable = true; natsUrl = \"tls://h\"; };"),
    ("flakeUpdate.notify.tls.key", "flakeUpdate.notify.tls.cert = \"/c\";"),
];

/// A host with all services that have secrets, and one more setting.
fn with_secrets(more: &str) -> String {
    format!(
        "services.homelab-deploy = {{ listener = {{ enable = true; tier = \"t\"; natsUrl = \"tls://h\"; flakeUrl = \"path:/f\"; \
         nkeyFile = lib.mkDefault \"/k\"; }}; builder = {{ enable = true; natsUrl = \"tls://h\"; configFile = \"/b\"; \
         nkeyFile = lib.mkDefault \"/k\"; }}; notify = {{ enable = true; natsUrl = \"tls://h\"; configFile = \"/n\"; \
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
                let expected = format!("{option} is in the nix store, where everyone can read it");
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
fn specifiers_in_the_path_of_a_secret_are_escaped() {
    for library in Library::all() {
        let unit = library.unit(&LISTENER.replace("/run/keys/web1.nkey", "/run/keys/100% of %d"));
        assert!(unit.contains("LoadCredential=nkey:/run/keys/100%% of %%d\n"), "{unit}");
        let unit = library.unit(&listener_with("flakeCredentialsFile = \"/run/%h\";"));
        assert!(unit.contains("LoadCredential=flake-credentials:/run/%%h\n"), "{unit}");
    }
}

#[test]
fn a_host_without_a_name_gets_advice_to_set_one() {
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
            "builder.metrics.address and services.homelab-deploy.listener.metrics.address use the same port";
        assert!(refused.len() == 1 && refused[0].contains(expected), "{refused:?}");
        for (listener, builder) in [(":9972", ":9973"), (":0", ":0")] {
            assert_eq!(failed(&library, &metrics(listener, builder)), [""; 0]);
        }
    }
}

#[test]
fn a_daemon_that_rejects_the_unit_is_reported() {
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

/// A setting, and the start of its only warning, or an empty string.
const WARNINGS: [(&str, &str); 18] = [
    ("", ""),
    ("listener.natsUrl = lib.mkForce \"nats://localhost, nats://127.0.0.1:4222,nats://[::1]:4222\";", ""),
    ("listener.natsUrl = lib.mkForce \"nats://h\";", "listener.natsUrl: the connection to h can be read"),
    (
        "listener.natsUrl = lib.mkForce \"tls://a,h:4222\";",
        "listener.natsUrl: the connection to h:4222 can be read",
    ),
    (
        "listener.natsUrl = lib.mkForce \"tls://u:p@h\";",
        "listener.natsUrl contains a user name or a password",
    ),
    (
        "listener.natsUrl = lib.mkForce \"tls://token@h\";",
        "listener.natsUrl contains a user name or a password",
    ),
    ("builder.natsUrl = lib.mkForce \"nats://h\";", "builder.natsUrl: the connection to h can be read"),
    (
        "flakeUpdate.notify = { enable = true; nkeyFile = \"/k\"; natsUrl = \"nats://h\"; };",
        "flakeUpdate.notify.natsUrl: the connection to h can be read",
    ),
    ("listener.flakeUrl = lib.mkForce \"git+ssh://git@h/p\";", ""),
    ("listener.flakeUrl = lib.mkForce \"github:o/r\";", ""),
    (
        "listener.flakeUrl = lib.mkForce \"git+https://u:p@h/p\";",
        "listener.flakeUrl contains a user name or a password",
    ),
    (
        "listener.flakeUrl = lib.mkForce \"git+https://ghp_x@h/p\";",
        "listener.flakeUrl contains a user name or a password",
    ),
    (
        "listener.flakeUrl = lib.mkForce \"git+ssh://u:p@h/p\";",
        "listener.flakeUrl contains a user name or a password",
    ),
    (
        "builder = { configFile = lib.mkForce null; settings.repos.a.url = \"git+https://u:p@h/p\"; };",
        "builder.settings.repos.a.url contains a user name or a password",
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
fn unwise_settings_cause_warnings() {
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
fn open_firewall_opens_the_port_of_the_metrics() {
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
fn a_fleet_that_the_server_cannot_represent_is_rejected() {
    let (one, two) = (public_key("operators.alice"), public_key("operators.dana"));
    let operator = |name: &str, entry: &str, key: &str| {
        format!("services.homelab-deploy.nats.operators.{name} = {{ {entry} publicKey = {key:?}; }};")
    };
    for (entries, expected) in [
        (String::new(), "set at least one of hosts and operators"),
        (operator("x", "kind = \"deployer\";", &one), "a deployer needs tiers; see x."),
        (
            operator("x", "kind = \"mcp\"; tiers = [ \"prod\" ];", &one),
            "an mcp deploys only to the tier test",
        ),
        (operator("x", "kind = \"viewer\"; tiers = [ \"prod\" ];", &one), "tiers are only for a deployer"),
        (
            operator("x", "kind = \"admin\"; builds = true;", &one),
            "builds only for a deployer or mcp; see x.",
        ),
        (operator("\"a.b\"", "kind = \"viewer\";", &one), "a.b: expected a name of 1 to 63 letters"),
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
    // With the real library, the type of the option refuses it.
    let failed = failed(&Library::Little, &format!("services.homelab-deploy.nats.enable = true; {entry}"));
    let expected =
        "operators: expires must be a day such as 2027-01-01, or time such as 2027-01-01T12:00:00Z; see x.";
    assert!(failed.len() == 1 && failed[0].ends_with(expected), "{failed:?}");
}
