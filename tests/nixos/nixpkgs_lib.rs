//! Tests that need the real module system: types and their errors, and a check of the complete flake. They are ignored unless
//! `make test-nixos` runs them with `NIXPKGS_LIB`.

use crate::evaluate::{LISTENER, Library, file, listener_with};
use crate::fixture::public_key;
use crate::options::{options, text};
use crate::own_store::{CONFIGURATION, own_store};
use homelab_deploy::protocol::Name;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The error of these settings, whose evaluation must fail.
fn refused(settings: &str) -> String {
    Library::real().try_evaluate(settings).expect_err(settings)
}

/// Whether an error names an option, or an entry of its list or set.
fn names(error: &str, option: &str) -> bool {
    let name = format!("`services.homelab-deploy.{option}");
    ["'", ".\"[definition ", ".a'"].iter().any(|end| error.contains(&format!("{name}{end}")))
}

/// An option with this value, where `<name>` is a host, an operator, a repository or a context.
fn with(option: &str, value: &str) -> String {
    let entry = option.split('.').take(2).collect::<Vec<_>>().join(".");
    let required = match entry.as_str() {
        "nats.hosts" => vec![("tier", "\"t\"".to_owned())],
        "nats.operators" => vec![("kind", "\"deployer\"".to_owned())],
        _ => vec![],
    };
    let key = || ("publicKey", format!("{:?}", public_key("hosts.ns1")));
    let needed = |field: &str| option.contains('<') && !option.ends_with(&format!(".{field}"));
    let required: Vec<_> = required
        .into_iter()
        .flat_map(|first| [first, key()])
        .filter(|(field, _)| needed(field))
        .map(|(field, value)| format!("services.homelab-deploy.{entry}.x.{field} = {value};"))
        .collect();
    let mut required = required.concat();
    if option == "nats.baseSubjects" {
        // nix evaluates the option only for a host.
        let (_, key) = key();
        required = format!("services.homelab-deploy.nats.hosts.x = {{ tier = \"t\"; publicKey = {key}; }};");
    }
    if option.strip_prefix("builder.settings.repos.<name>.").is_some_and(|name| name != "url") {
        required =
            String::from("services.homelab-deploy.builder.settings.repos.x.url = \"git+https://h/p\";");
    }
    if option.strip_prefix("notify.settings.targets.<name>.").is_some_and(|name| name != "kind") {
        required = String::from("services.homelab-deploy.notify.settings.targets.x.kind = \"ntfy\";");
    }
    let enabled = option.split('.').next().unwrap();
    let enabled = if option.ends_with(".enable") && option.matches('.').count() == 1 {
        String::new()
    } else {
        format!("services.homelab-deploy.{enabled}.enable = true;")
    };
    format!("{enabled} {required} services.homelab-deploy.{} = {value};", option.replace("<name>", "x"))
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn every_option_refuses_a_value_of_another_type_and_is_named() {
    let mut unnamed = vec![];
    for option in options(&Library::real()) {
        // No option has the type of a function, but a submodule would accept a function as a module.
        let value = if text(&option, "type").contains("submodule") { "5" } else { "(x: x)" };
        let option = text(&option, "name");
        let error = refused(&with(option, value));
        if !names(&error, &option.replace("<name>", "x")) || !error.contains("is not of type `") {
            unnamed.push((option.to_owned(), error));
        }
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
}

const NAME: &str = "name of 1 to 63 letters";
const SERVER: &str = "nats://HOST[:PORT] or tls://HOST[:PORT], or a comma-separated list of them";
const FILE: &str = "absolute path on the host";
const KEY: &str = "(the last ones are a checksum), as printed by `homelab-deploy keys new`";
const WITHOUT_BRANCH: &str = "without a branch, a commit or `#`";

/// What the error says was expected, an invalid value, and the options to which it is set.
const WRONG: &[(&str, &str, &[&str])] = &[
    (
        NAME,
        "\"a b\"",
        &[
            "listener.fleetName",
            "builder.settings.fleet_name",
            "notify.settings.fleet_name",
            "operator.settings.context",
            "operator.settings.contexts.<name>.fleet_name",
            "operator.settings.contexts.<name>.hosts.<name>.tier",
            "operator.settings.contexts.<name>.hosts.<name>.role",
            "nats.hosts.<name>.tier",
            "nats.hosts.<name>.role",
            "flakeUpdate.notify.builderRepo",
            "flakeUpdate.notify.fleetName",
        ],
    ),
    (NAME, "\"web.example\"", &["listener.hostname", "listener.role"]),
    ("except all, role, discover", "\"all\"", &["listener.tier"]),
    (
        NAME,
        "[ \"a b\" ]",
        &[
            "listener.confirmPeers",
            "operator.settings.confirm_tiers",
            "operator.settings.contexts.<name>.confirm_tiers",
            "operator.settings.contexts.<name>.nats_hosts",
            "nats.operators.<name>.tiers",
            "notify.settings.targets.<name>.tiers",
            "notify.settings.targets.<name>.roles",
            "notify.settings.targets.<name>.hosts",
        ],
    ),
    ("null or value \"any\" (singular enum) or non-empty (list", "[ ]", &["listener.confirmPeers"]),
    (
        SERVER,
        "\"http://h\"",
        &[
            "listener.natsUrl",
            "builder.natsUrl",
            "notify.natsUrl",
            "operator.settings.contexts.<name>.nats_url",
            "flakeUpdate.notify.natsUrl",
        ],
    ),
    (SERVER, "\"nats://h,\"", &["listener.natsUrl"]),
    (SERVER, "\"\"", &["listener.natsUrl"]),
    ("such as git+https://HOST/PATH", "\"nixpkgs\"", &["listener.flakeUrl"]),
    ("such as git+https://HOST/PATH", "\"nixpkgs\"", &["listener.repoUrl"]),
    ("one of \"nix\", \"compose\"", "\"docker\"", &["listener.engine"]),
    ("one of \"enforce\", \"warn\", \"off\"", "\"lan\"", &["listener.exposure"]),
    ("absolute path of letters", "\"srv\"", &["listener.composeRoot"]),
    ("command without quotes", "\"docker 'compose'\"", &["listener.composeCommand"]),
    (WITHOUT_BRANCH, "\"github:o/r/main\"", &["listener.flakeUrl"]),
    (WITHOUT_BRANCH, "\"git+https://h/p?ref=x\"", &["listener.flakeUrl", "flakeUpdate.repo"]),
    (WITHOUT_BRANCH, "\"git+https://h/p#web1\"", &["listener.flakeUrl", "flakeUpdate.repo"]),
    ("flake URL of a git repository", "\"/srv/a\"", &["builder.settings.repos.<name>.url"]),
    ("URL that git can clone", "\"git.example.org/fleet\"", &["flakeUpdate.repo"]),
    ("URL such as https://HOST, without user and password", "\"https://u@h\"", &["flakeUpdate.forgeUrl"]),
    ("URL such as https://HOST", "\"git.example.org\"", &["flakeUpdate.forgeUrl"]),
    ("name of a branch", "\"-f\"", &["flakeUpdate.base"]),
    ("calendar event of systemd, such as weekly", "\"\"", &["flakeUpdate.dates"]),
    (
        FILE,
        "\"keys/web1\"",
        &[
            "listener.nkeyFile",
            "listener.flakeCredentialsFile",
            "listener.tls.key",
            "listener.logDir",
            "builder.nkeyFile",
            "builder.flakeCredentialsFile",
            "builder.tls.key",
            "builder.logDir",
            "notify.nkeyFile",
            "notify.tls.key",
            "notify.logDir",
            "notify.credentials.X",
            "flakeUpdate.tokenFile",
            "flakeUpdate.flakeCredentialsFile",
            "flakeUpdate.notify.nkeyFile",
            "flakeUpdate.notify.tls.key",
            "notify.settings.targets.<name>.url_file",
            "notify.settings.targets.<name>.token_file",
            "notify.settings.targets.<name>.secret_file",
        ],
    ),
    (FILE, "\"/keys/a\\nExecStart=b\"", &["listener.nkeyFile"]),
    (FILE, "[ \"keys/web1\" ]", &["builder.nixMayRead", "flakeUpdate.nixMayRead"]),
    (
        "null or absolute path",
        "\"a.pem\"",
        &[
            "listener.tls.ca",
            "listener.tls.cert",
            "listener.commitSigners",
            "listener.rebuildCommand",
            "builder.tls.ca",
            "builder.tls.cert",
            "builder.configFile",
            "notify.tls.ca",
            "notify.tls.cert",
            "notify.configFile",
            "notify.settings.fleet",
            "flakeUpdate.notify.tls.ca",
            "flakeUpdate.notify.tls.cert",
        ],
    ),
    (
        "null or string or absolute path or package",
        "1",
        &[
            "listener.environment.X",
            "builder.environment.X",
            "notify.environment.X",
            "flakeUpdate.environment.X",
        ],
    ),
    (
        KEY,
        // The second to last character differs.
        "\"UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY\"",
        &[
            "listener.publicKey",
            "listener.nextPublicKey",
            "operator.settings.contexts.<name>.hosts.<name>.public_key",
            "nats.hosts.<name>.publicKey",
            "nats.hosts.<name>.nextPublicKey",
            "nats.operators.<name>.publicKey",
            "nats.operators.<name>.nextPublicKey",
        ],
    ),
    (KEY, "\"alice\"", &["nats.operators.<name>.nextPublicKey"]),
    ("day such as 2027-01-01, or time such as", "\"2027-02-29\"", &["nats.operators.<name>.expires"]),
    ("one of \"deployer\", \"admin\", \"viewer\"", "\"root\"", &["nats.operators.<name>.kind"]),
    (
        "one of \"allow\", \"refuse\"",
        "\"maybe\"",
        &["operator.settings.contexts.<name>.unproven", "notify.settings.unproven"],
    ),
    ("one of \"ntfy\", \"matrix\"", "\"irc\"", &["notify.settings.targets.<name>.kind"]),
    ("one of \"failure\", \"end\"", "[ \"ends\" ]", &["notify.settings.targets.<name>.events"]),
    ("one of \"completed\", \"cancelled\"", "[ \"done\" ]", &["notify.settings.targets.<name>.results"]),
    ("between 1 and 600", "0", &["notify.settings.targets.<name>.limit"]),
    ("between 1 and 5", "{ failed = 6; }", &["notify.settings.targets.<name>.priority"]),
    (
        "time such as 90s, 15m or 1h",
        "\"soon\"",
        &[
            "notify.settings.end_after",
            "notify.settings.silent_after",
            "notify.settings.host_after",
            "notify.settings.targets.<name>.timeout",
        ],
    ),
    ("one of \"gitea\", \"github\"", "\"gitlab\"", &["flakeUpdate.forge"]),
    (
        "one of \"json\", \"text\"",
        "\"xml\"",
        &["listener.logFormat", "builder.logFormat", "notify.logFormat"],
    ),
    (
        "between 1 and 31536000",
        "0",
        &["listener.timeout", "listener.heartbeatInterval", "listener.rebuildSilence", "flakeUpdate.timeout"],
    ),
    ("between 1 and 31536000", "\"900\"", &["listener.timeout"]),
    ("between 0 and 31536000", "-1", &["listener.presenceInterval"]),
    ("between 1 and 86400", "0", &["listener.healthTimeout", "listener.activateTimeout"]),
    ("between 0 and 86400", "-1", &["listener.confirmTimeout"]),
    ("between 0 and 3600", "3601", &["listener.confirmHold"]),
    ("between 1 and 256", "0", &["builder.settings.parallel"]),
    ("between 1 and 1000", "0", &["flakeUpdate.parallel"]),
    ("time such as 90s, 30m or 4h", "\"4 weeks\"", &["builder.settings.timeout"]),
    ("non-empty (list of string)", "[ ]", &["builder.settings.post_build_command"]),
    ("name of letters, digits, `.`", "\"a b\"", &["listener.flakeAttr"]),
    ("name of letters, digits, `.`", "{ a = \"a b\"; }", &["builder.settings.repos.<name>.flake_attrs"]),
    ("1 to 50 characters on one line", "\"\"", &["flakeUpdate.label"]),
    ("non-empty (list of", "[ ]", &["listener.deploySubjects"]),
    ("NATS subject without wildcards", "[ \"deploy.>\" ]", &["listener.deploySubjects"]),
    ("NATS subject without wildcards", "\"deploy.>\"", &["listener.discoverSubject"]),
    ("`<hostname>`, `<tier>` and `<role>`", "\"deploy.<host>\"", &["listener.discoverSubject"]),
    ("path within the new system", "\"/bin/x\"", &["listener.preActivateScript"]),
    ("size such as 500MiB or 5GiB", "\"5 GB\"", &["listener.minFree"]),
];

/// Options whose type accepts any string, with what finds a wrong one.
const STRINGS: &[(&str, &[&str])] = &[
    (
        "an assertion",
        &[
            "listener.trustedKeys",
            "listener.allowBranches",
            "listener.metrics.address",
            "builder.metrics.address",
            "builder.settings.trusted_keys",
            "monitoring.targets",
        ],
    ),
    (
        "the program, when it checks the file in a build",
        &[
            "builder.settings.repos.<name>.default_branch",
            "builder.settings.post_build_command",
            "notify.settings.targets.<name>.url",
            "notify.settings.targets.<name>.room",
            "notify.settings.targets.<name>.actions",
            "notify.settings.targets.<name>.title",
            "notify.settings.targets.<name>.message",
            "operator.settings.branch",
            "operator.settings.aliases",
            "operator.settings.console.shell",
            "operator.settings.console.columns",
            "operator.settings.console.system_columns",
            "operator.settings.console.keys",
            "operator.settings.console.theme",
            "operator.settings.console.aliases",
            "operator.settings.contexts.<name>.branch",
            "operator.settings.contexts.<name>.aliases",
            "operator.settings.contexts.<name>.allowed_flakes",
            "operator.settings.contexts.<name>.hosts.<name>.subject",
        ],
    ),
    (
        "no one: it is a file of the operator, a glob, a shell command or an argument",
        &[
            "operator.settings.contexts.<name>.nkey_file",
            "operator.settings.contexts.<name>.tls_ca",
            "operator.settings.contexts.<name>.tls_cert",
            "operator.settings.contexts.<name>.tls_key",
            "operator.settings.contexts.<name>.fleet",
            "operator.settings.contexts.<name>.flake_credentials",
            "listener.healthChecks",
            "listener.ignoreUnits",
            "listener.extraArgs",
            "builder.extraArgs",
            "flakeUpdate.extraArgs",
            "notify.extraArgs",
            "notify.settings.targets.<name>.tags",
        ],
    ),
];

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn a_wrong_value_is_reported_with_its_option_and_the_expected_type() {
    let mut unhelpful = vec![];
    for (expected, value, options) in WRONG {
        for option in *options {
            let error = if option.starts_with("listener.") {
                let setting = format!("services.homelab-deploy.{option} = lib.mkForce ({value});");
                refused(&format!("{LISTENER} imports = [ {{ {setting} }} ];"))
            } else {
                refused(&with(option, value))
            };
            // Long descriptions are wrapped.
            let flat = error.split_whitespace().collect::<Vec<_>>().join(" ");
            if !names(&error, &option.replace("<name>", "x")) || !flat.contains(expected) {
                unhelpful.push(format!("{option} = {value}: expected {expected}, not {flat}"));
            }
        }
    }
    assert!(unhelpful.is_empty(), "{unhelpful:#?}");
    let error = refused(&listener_with("rebootNow = true;"));
    assert!(names(&error, "listener.rebootNow") && error.contains("does not exist"), "{error}");
}

/// Every other option is a boolean, a package or a set of options, of which only a value of another type is wrong.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn each_option_that_restricts_its_values_is_tried_with_a_wrong_one() {
    const PLAIN: [&str; 13] = [
        "null",
        "or",
        "list",
        "of",
        "attribute",
        "set",
        "boolean",
        "package",
        "open",
        "submodule",
        "TOML",
        "value",
        "string",
    ];
    let tried: Vec<_> = WRONG.iter().flat_map(|(.., options)| *options).copied().collect();
    let strings: Vec<_> = STRINGS.iter().flat_map(|(_, options)| *options).copied().collect();
    let mut missing = vec![];
    for option in options(&Library::real()) {
        let (name, of) = (text(&option, "name"), text(&option, "type"));
        let words: Vec<_> = of.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
        let is_plain = words.iter().all(|word| PLAIN.contains(word));
        let part = format!("{name}.");
        let is_tried = tried.iter().any(|tried| *tried == name || tried.starts_with(&part));
        let is_judged = strings.contains(&name) && words.contains(&"string");
        if !(is_tried || is_judged || is_plain && !words.contains(&"string")) {
            missing.push(format!("{name}: {of}"));
        }
    }
    assert!(missing.is_empty(), "no wrong value of these options is tried: {missing:#?}");
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn names_are_valid_exactly_if_the_program_accepts_them() {
    let long = "x".repeat(63);
    let longer = "x".repeat(64);
    let words = [
        "all",
        "role",
        "discover",
        "responses",
        "ask",
        "presence",
        "web",
        "web-1",
        "_x",
        "-x",
        "W",
        "web.1",
        "",
        "wéb",
        "a b",
        &long,
        &longer,
    ];
    for word in words {
        let set = listener_with(&format!("hostname = {word:?};"));
        assert_eq!(Library::real().try_evaluate(&set).is_ok(), Name::new(word).is_ok(), "{word:?}");
    }
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn an_invalid_date_is_rejected_even_if_the_server_needs_none() {
    let error = refused(&with("nats.operators.<name>.expires", "\"2027-02-29\""));
    assert!(names(&error, "nats.operators.x.expires") && error.contains("day such as 2027-01-01"), "{error}");
}

/// The stand-in for the server module of NixOS has only the options of NixOS. With more, a module could pass here and fail on a host.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn the_server_address_is_not_a_nixos_option() {
    let error = refused("services.nats.host = \"0.0.0.0\";");
    assert!(error.contains("`services.nats.host' does not exist"), "{error}");
    Library::real().evaluate("services.nats = { enable = true; port = 4223; settings.host = \"0.0.0.0\"; };");
}

/// Configurations for the older tool write them like this.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn paths_and_variables_are_converted_as_nixos_converts_them() {
    let library = Library::real();
    let unit = library.unit(&LISTENER.replace("\"/run/keys/web1.nkey\"", "/run/keys/web1.nkey"));
    assert!(unit.contains("LoadCredential=nkey:/run/keys/web1.nkey\n"), "{unit}");
    let unit = library.unit(&listener_with(
        "environment = { A = /etc; B = \"${pkgs.other}\"; C = pkgs.other; D = null; };",
    ));
    for (variable, path) in [("A", "-etc\""), ("B", "-other\""), ("C", "-other\"")] {
        assert!(
            unit.lines().any(|line| line.starts_with(&format!("Environment=\"{variable}=/nix/store/"))
                && line.ends_with(path)),
            "{unit}"
        );
    }
    assert!(!unit.contains("\"D="), "{unit}");
    // A relative path becomes a store path.
    let host = library
        .try_evaluate(&LISTENER.replace("\"/run/keys/web1.nkey\"", "(builtins.toFile \"seed\" \"x\")"))
        .unwrap();
    assert!(host["failed"][0].as_str().unwrap().contains("nkeyFile is in the nix store"), "{host}");
}

/// NixOS refuses a second definition of a setting that is not a list.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn a_host_can_add_to_a_unit_and_replace_a_part_of_it() {
    let more = "systemd.services.homelab-deploy-listener.serviceConfig = { ReadWritePaths = \"-/srv/log\"; \
                LoadCredential = [ \"fleet:/run/keys/fleet\" ]; MemoryMax = lib.mkForce \"1G\"; };";
    let unit = Library::real().unit(&format!("{LISTENER} {more}"));
    for line in [
        "ReadWritePaths=-/srv/log",
        "ReadWritePaths=/nix",
        "LoadCredential=fleet:/run/keys/fleet",
        "MemoryMax=1G",
    ] {
        assert!(unit.lines().any(|there| there == line), "{line}: {unit}");
    }
    assert!(!unit.contains("MemoryMax=75%"), "{unit}");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-r", "--dereference"]).arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{}", from.display());
}

/// `nix flake check`, with a small stand-in for nixpkgs that has the real library.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn nix_flake_check_passes_for_all_systems() {
    let directory = tempfile::tempdir().unwrap();
    let (flake, nixpkgs) = (directory.path().join("flake"), directory.path().join("nixpkgs"));
    for path in [
        "flake.nix",
        "flake.lock",
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "nixos",
        "benches",
        "tests/lab/main.rs",
    ] {
        fs::create_dir_all(flake.join(path).parent().unwrap()).unwrap();
        copy(&file(path), &flake.join(path));
    }
    copy(&file("tests/nixos/nixpkgs"), &nixpkgs);
    copy(&Library::real().directory(), &nixpkgs.join("lib"));
    let nix = |arguments: &[&str]| {
        let mut nix = Command::new("nix");
        nix.args(arguments).args(["--override-input", "nixpkgs"]).arg(format!("path:{}", nixpkgs.display()));
        nix.args(["--no-write-lock-file"]).current_dir(&flake);
        let configuration = format!("{CONFIGURATION}\nexperimental-features = nix-command flakes\n");
        nix.envs(own_store(directory.path())).env("NIX_CONFIG", configuration);
        let output = nix.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), stderr, String::from_utf8(output.stdout).unwrap())
    };
    let flake = format!("path:{}", flake.display());
    // Newer versions check other systems only with `--all-systems`.
    let tried = Command::new("nix").args(["flake", "check", "--all-systems", "--version"]).output().unwrap();
    let mut check = vec!["flake", "check", "--no-build", &flake];
    check.extend(tried.status.success().then_some("--all-systems"));
    let (passed, stderr, _) = nix(&check);
    assert!(passed, "{stderr}");
    let attribute = format!("{flake}#packages.aarch64-linux.default");
    let (read, stderr, package) = nix(&["eval", "--json", &format!("{attribute}.meta")]);
    assert!(read, "{stderr}");
    let package: Value = serde_json::from_str(&package).unwrap();
    assert_eq!((&package["mainProgram"], &package["broken"]), (&"homelab-deploy".into(), &false.into()));
    // Store paths are read-only, which would prevent their removal.
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(directory.path()).status();
}
