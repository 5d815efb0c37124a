//! What only the real module system does: types and their errors, and a check of the whole flake. These tests are ignored unless
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

/// What is said of these settings, which cannot be evaluated.
fn refused(settings: &str) -> String {
    Library::real().try_evaluate(settings).expect_err(settings)
}

fn names(error: &str, option: &str) -> bool {
    error.contains(&format!("`services.homelab-deploy.{option}'"))
}

/// An option with this value, where `<name>` is a host, an operator, a repository or a context.
fn with(option: &str, value: &str) -> String {
    let entry = option.split('.').take(2).collect::<Vec<_>>().join(".");
    let required = match entry.as_str() {
        "nats.hosts" => vec![("tier", "\"t\"".to_owned())],
        "nats.operators" => vec![("kind", "\"viewer\"".to_owned())],
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
        // Nix looks at it only for a host.
        let (_, key) = key();
        required = format!("services.homelab-deploy.nats.hosts.x = {{ tier = \"t\"; publicKey = {key}; }};");
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
        // No option is a function, but a set of options would take one for a module.
        let value = if text(&option, "type").contains("submodule") { "5" } else { "(x: x)" };
        let option = text(&option, "name");
        let error = refused(&with(option, value));
        if !names(&error, &option.replace("<name>", "x")) || !error.contains("is not of type `") {
            unnamed.push((option.to_owned(), error));
        }
    }
    assert!(unnamed.is_empty(), "{unnamed:#?}");
}

/// A setting of the listener, the option that is wrong, and what is expected there.
const WRONG: &[(&str, &str, &str)] = &[
    ("hostname = \"web.example\";", "hostname", "name of 1 to 63 letters"),
    ("role = lib.mkForce \"web.server\";", "role", "none of all, role, discover"),
    ("tier = lib.mkForce \"all\";", "tier", "none of all, role, discover"),
    ("natsUrl = lib.mkForce \"http://h\";", "natsUrl", "nats://HOST[:PORT] or tls://HOST[:PORT]"),
    ("natsUrl = lib.mkForce \"nats://h,\";", "natsUrl", "or a comma list of them"),
    ("natsUrl = lib.mkForce \"\";", "natsUrl", "URL of a NATS server"),
    ("flakeUrl = lib.mkForce \"nixpkgs\";", "flakeUrl", "such as git+https://HOST/PATH"),
    ("flakeUrl = lib.mkForce \"github:o/r/main\";", "flakeUrl", "without a branch, a commit or `#`"),
    ("flakeUrl = lib.mkForce \"git+https://h/p?ref=x\";", "flakeUrl", "without a branch, a commit or `#`"),
    ("flakeUrl = lib.mkForce \"git+https://h/p#web1\";", "flakeUrl", "without a branch, a commit or `#`"),
    ("nkeyFile = lib.mkForce \"keys/web1\";", "nkeyFile", "absolute path on the host"),
    ("nkeyFile = lib.mkForce \"/keys/a\\nExecStart=b\";", "nkeyFile", "absolute path on the host"),
    ("tls.key = \"key.pem\";", "tls.key", "absolute path on the host"),
    ("logDir = \"logs\";", "logDir", "absolute path on the host"),
    ("logFormat = \"xml\";", "logFormat", "one of \"json\", \"text\""),
    ("timeout = 0;", "timeout", "between 1 and 31536000"),
    ("timeout = \"900\";", "timeout", "between 1 and 31536000"),
    ("confirmTimeout = -1;", "confirmTimeout", "between 0 and 86400"),
    ("confirmPeers = [ ];", "confirmPeers", "null or value \"any\" (singular enum) or"),
    ("deploySubjects = [ ];", "deploySubjects", "non-empty (list of"),
    ("discoverSubject = \"deploy.>\";", "discoverSubject", "subject of NATS without wildcards"),
    ("discoverSubject = \"deploy.<host>\";", "discoverSubject", "`<hostname>`, `<tier>` and `<role>`"),
    ("rebuildCommand = \"nixos-rebuild\";", "rebuildCommand", "absolute path"),
    ("preActivateScript = \"/bin/x\";", "preActivateScript", "path within the new system"),
    ("minFree = \"5 GB\";", "minFree", "size such as 500MiB or 5GiB"),
    ("environment.X = 1;", "environment.X", "null or string or absolute path or package"),
];

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn a_wrong_value_is_told_with_its_option_and_what_is_expected() {
    for (setting, option, expected) in WRONG {
        let said =
            refused(&format!("{LISTENER} imports = [ {{ services.homelab-deploy.listener.{setting} }} ];"));
        // Long descriptions are wrapped.
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(names(&said, &format!("listener.{option}")) && flat.contains(expected), "{setting}: {said}");
    }
    let said = refused(&listener_with("rebootNow = true;"));
    assert!(names(&said, "listener.rebootNow") && said.contains("does not exist"), "{said}");
    for (option, value, expected) in [
        ("builder.settings.repos.a.url", "\"/srv/a\"", "flake URL of a git repository"),
        ("builder.settings.parallel", "0", "between 1 and 256"),
        ("builder.settings.timeout", "\"4 weeks\"", "time such as 90s, 30m or 4h"),
        ("builder.settings.post_build_command", "[ ]", "non-empty (list of string)"),
        ("builder.settings.fleet_name", "\"a b\"", "name of 1 to 63 letters"),
        ("operator.settings.contexts.a.unproven", "\"maybe\"", "one of \"allow\", \"refuse\""),
        ("operator.settings.contexts.a.nats_url", "\"http://h\"", "URL of a NATS server"),
        ("operator.settings.contexts.a.hosts.b.tier", "\"a b\"", "name of 1 to 63 letters"),
        ("flakeUpdate.parallel", "0", "between 1 and 1000"),
        ("flakeUpdate.label", "\"\"", "1 to 50 characters"),
        // The last character but one is another.
        (
            "nats.hosts.a.publicKey",
            "\"UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY\"",
            "(the last ones are a checksum)",
        ),
        ("nats.operators.a.nextPublicKey", "\"alice\"", "that `homelab-deploy keys new` prints"),
    ] {
        let said = refused(&with(option, value));
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(names(&said, option) && flat.contains(expected), "{option}: {said}");
    }
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn a_name_is_what_the_program_takes_for_one() {
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
fn a_day_that_is_none_is_refused_though_the_server_needs_no_date() {
    let said = refused(&with("nats.operators.<name>.expires", "\"2027-02-29\""));
    assert!(names(&said, "nats.operators.x.expires") && said.contains("day such as 2027-01-01"), "{said}");
}

/// The stand-in for NixOS's server has what NixOS has: a module that takes more would pass here and fail on a host.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn the_address_of_the_server_is_no_option_of_nixos() {
    let said = refused("services.nats.host = \"0.0.0.0\";");
    assert!(said.contains("`services.nats.host' does not exist"), "{said}");
    Library::real().evaluate("services.nats = { enable = true; port = 4223; settings.host = \"0.0.0.0\"; };");
}

/// As the older tool took them.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn paths_and_variables_are_taken_as_nixos_takes_them() {
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
    // A relative path is one in the store.
    let host = library
        .try_evaluate(&LISTENER.replace("\"/run/keys/web1.nkey\"", "(builtins.toFile \"seed\" \"x\")"))
        .unwrap();
    assert!(host["failed"][0].as_str().unwrap().contains("nkeyFile is in the nix store"), "{host}");
}

/// NixOS refuses a second definition of a setting that is no list.
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

/// The flake as nix itself sees it, with a small nixpkgs that has the real library.
#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn nix_flake_check_passes_for_all_systems() {
    let folder = tempfile::tempdir().unwrap();
    let (flake, nixpkgs) = (folder.path().join("flake"), folder.path().join("nixpkgs"));
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
    copy(&Library::real().folder(), &nixpkgs.join("lib"));
    let nix = |arguments: &[&str]| {
        let mut nix = Command::new("nix");
        nix.args(arguments).args(["--override-input", "nixpkgs"]).arg(format!("path:{}", nixpkgs.display()));
        nix.args(["--no-write-lock-file"]).current_dir(&flake);
        let configuration = format!("{CONFIGURATION}\nexperimental-features = nix-command flakes\n");
        nix.envs(own_store(folder.path())).env("NIX_CONFIG", configuration);
        let output = nix.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said, String::from_utf8(output.stdout).unwrap())
    };
    let flake = format!("path:{}", flake.display());
    // Newer ones look at other systems only if they are told to.
    let tried = Command::new("nix").args(["flake", "check", "--all-systems", "--version"]).output().unwrap();
    let mut check = vec!["flake", "check", "--no-build", &flake];
    check.extend(tried.status.success().then_some("--all-systems"));
    let (passed, said, _) = nix(&check);
    assert!(passed, "{said}");
    let attribute = format!("{flake}#packages.aarch64-linux.default");
    let (read, said, package) = nix(&["eval", "--json", &format!("{attribute}.meta")]);
    assert!(read, "{said}");
    let package: Value = serde_json::from_str(&package).unwrap();
    assert_eq!((&package["mainProgram"], &package["broken"]), (&"homelab-deploy".into(), &false.into()));
    // What nix puts into a store is read-only, also for who wants to clear it away.
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(folder.path()).status();
}
