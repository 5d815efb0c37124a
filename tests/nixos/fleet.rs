//! The template of a fleet, set up as its README describes, and the functions that it uses: `lib.fleet` and `lib.checks`.

use crate::common::{binary, eventually, run};
use crate::evaluate::{Library, file, nix_instantiate};
use crate::fixture::public_key;
use crate::nats::users;
use crate::store::Store;
use crate::unit_text::command;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A stand-in for agenix that encrypts nothing: it copies a key file to where the real program writes the encrypted file.
const AGENIX: &str = "#!/bin/sh\ntest \"$1\" = -e && cat >\"$2\"\n";

/// A flake created from the template, removed on drop.
struct Fleet {
    home: TempDir,
}

impl Fleet {
    /// The template without changes.
    fn untouched() -> Self {
        let home = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-r").arg(file("templates/fleet")).arg(home.path()).status();
        assert!(copied.unwrap().success());
        Self { home }
    }

    /// The template with keys and secrets, created by the commands of its README.
    fn new() -> Self {
        let fleet = Self::untouched();
        let keys = fleet.runs("homelab-deploy keys new");
        let keys: Vec<_> = keys.lines().collect();
        let [ns1, web1, admin] = keys[..] else { panic!("{keys:?}") };
        for (name, key) in
            [("hosts/ns1/default.nix", ns1), ("hosts/web1/default.nix", web1), ("operators.nix", admin)]
        {
            fleet.edit(name, "U…", key);
        }
        // A listener that a test starts needs the unencrypted key.
        fs::copy(fleet.path("web1.nkey"), fleet.home.path().join("web1.nkey")).unwrap();
        fleet.runs("agenix -e");
        fleet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("fleet").join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    /// Runs the commands of the README's step that contains a command with this start; returns their output.
    fn runs(&self, command: &str) -> String {
        let steps = readme_steps();
        let step = steps.iter().find(|step| step.contains(command)).expect(command);
        let programs = self.home.path().join("bin");
        if !programs.exists() {
            fs::create_dir(&programs).unwrap();
            symlink(binary(), programs.join("homelab-deploy")).unwrap();
            fs::write(programs.join("agenix"), AGENIX).unwrap();
            fs::set_permissions(programs.join("agenix"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut shell = Command::new("sh");
        shell.args(["-euc", step]).current_dir(self.path("")).env("HOME", self.home.path());
        shell.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
        run(&mut shell, 0).stdout
    }

    /// The arguments of nix that evaluate an attribute of the fleet.
    fn arguments(&self, library: &Library, attribute: &str) -> Vec<String> {
        let stand_ins = file("tests/nixos/fleet.nix").display().to_string();
        let binary = format!("{:?}", binary().display().to_string());
        let fleet = self.path("").display().to_string();
        let fleet = fleet.trim_end_matches('/').to_owned();
        let mut arguments = vec![stand_ins, "--attr".into(), attribute.into()];
        for (name, value) in [("lib", library.expression()), ("fleet", fleet), ("binary", binary)] {
            arguments.extend(["--arg".into(), name.into(), value]);
        }
        arguments
    }

    fn try_evaluate(&self, library: &Library, attribute: &str) -> Result<Value, String> {
        let arguments = self.arguments(library, attribute);
        let output =
            nix_instantiate().args(["--eval", "--strict", "--json"]).args(arguments).output().unwrap();
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn evaluate(&self, library: &Library, attribute: &str) -> Value {
        self.try_evaluate(library, attribute).unwrap_or_else(|error| panic!("{attribute}: {error}"))
    }

    /// The text of its fleet file.
    fn file(&self, library: &Library) -> String {
        let store = Store::new();
        fs::read_to_string(store.try_build(&self.arguments(library, "fleetFile")).unwrap()).unwrap()
    }

    /// The text of its fleet file, and the users of the NATS server.
    fn file_and_server(&self, library: &Library) -> (String, Value) {
        let nats = self.evaluate(library, "hosts.ns1.nats");
        (self.file(library), nats["settings"]["authorization"]["users"].clone())
    }
}

/// The commands of each step in the template's README.
fn readme_steps() -> Vec<String> {
    let readme = fs::read_to_string(file("templates/fleet/README.md")).unwrap();
    let mut steps = vec![String::new()];
    for line in readme.lines() {
        if let Some(command) = line.strip_prefix("       ") {
            steps.last_mut().unwrap().extend([command, "\n"]);
        } else if !line.is_empty() {
            steps.push(String::new());
        }
    }
    steps.retain(|step| !step.is_empty());
    steps
}

/// A process that is killed on drop.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A NATS server on a free port with this configuration, and its URL.
fn nats_server(directory: &Path, configuration: &Value) -> (Ends, String) {
    fs::write(directory.join("nats.json"), configuration.to_string()).unwrap();
    let mut server = Command::new("nats-server");
    server.args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"]).arg(directory).arg("-c");
    server.arg(directory.join("nats.json")).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Ends(server.spawn().expect("nats-server starts; `make test` installs it"));
    let ports = directory.join(format!("nats-server_{}.ports", server.0.id()));
    let ports: Value =
        eventually("the server starting", || serde_json::from_slice(&fs::read(&ports).ok()?).ok());
    (server, ports["nats"][0].as_str().unwrap().to_owned())
}

#[test]
fn the_template_is_a_fleet() {
    let fleet = Fleet::new();
    for library in Library::all() {
        let hosts = fleet.evaluate(&library, "hosts");
        for (name, tier, role) in [("ns1", "prod", "dns"), ("web1", "test", "web")] {
            let host = &hosts[name];
            assert_eq!(host["failed"], json!([]), "{library:?}: {name}");
            assert!(host["unbound"].as_object().unwrap().values().all(|paths| *paths == json!([])), "{host}");
            let unit = host["unit"].as_str().unwrap();
            let words = command(unit)[2..].join(" ");
            let expected = format!(
                "--hostname {name} --tier {tier} --role {role} --nats-url nats://ns1.example.org --flake-url \
                 git+https://git.example.org/fleet --trusted-key=U"
            );
            assert!(words.starts_with(&expected), "{words}");
            assert!(unit.contains("\nLoadCredential=nkey:/run/agenix/listener\n"), "{unit}");
            let secret = fleet.path(&format!("secrets/{name}.nkey.age"));
            assert_eq!(host["triggers"], json!([secret]), "{name}");
        }
        assert_eq!((&hosts["ns1"]["ports"], &hosts["web1"]["ports"]), (&json!([4222]), &json!([])));
        assert_eq!(hosts["web1"]["nats"]["enable"], false);
        let users = hosts["ns1"]["nats"]["settings"]["authorization"]["users"].as_array().unwrap();
        assert_eq!(users.len(), 3, "{users:?}");
    }
    assert_eq!(fleet.evaluate(&Library::Little, "tools"), json!(["homelab-deploy", "agenix"]));
}

/// Real nix evaluates and checks the fleet; nixpkgs and agenix are stand-ins.
#[test]
fn nix_evaluates_and_checks_the_fleet() {
    let (store, directory) = (Store::new(), tempfile::tempdir().unwrap());
    let input = |name: &str| format!("path:{}", directory.path().join(name).display());
    let ours = directory.path().join("homelab-deploy");
    fs::create_dir(&ours).unwrap();
    for name in ["flake.nix", "flake.lock", "nixos", "templates", "Cargo.toml"] {
        assert!(Command::new("cp").arg("-r").arg(file(name)).arg(&ours).status().unwrap().success());
    }
    let made = directory.path().join("made");
    fs::create_dir(&made).unwrap();
    store.nix(&made, &["flake".into(), "init".into(), "-t".into(), input("homelab-deploy")]);
    run(Command::new("diff").arg("-r").arg(file("templates/fleet")).arg(&made), 0);

    let fleet = Fleet::new();
    for library in Library::all() {
        for name in ["nixpkgs", "agenix"] {
            fs::create_dir_all(directory.path().join(name)).unwrap();
            let outputs = format!(
                "{{ outputs = _: (import {} {{ lib = {}; fleet = /.; binary = \"{}\"; }}).inputs.{name}; }}",
                file("tests/nixos/fleet.nix").display(),
                library.expression(),
                binary().display()
            );
            fs::write(directory.path().join(name).join("flake.nix"), outputs).unwrap();
        }
        let mut check = ["flake", "check", "--impure", "--no-write-lock-file"].map(str::to_owned).to_vec();
        for (name, from) in [
            ("nixpkgs", "nixpkgs"),
            ("agenix", "agenix"),
            ("homelab-deploy", "homelab-deploy"),
            ("homelab-deploy/nixpkgs", "nixpkgs"),
        ] {
            check.extend(["--override-input".into(), name.into(), input(from)]);
        }
        check.push(format!("path:{}", fleet.path("").display()));
        store.nix(&fleet.path(""), &check);
    }
}

#[test]
fn its_seeds_stay_out_of_git() {
    let fleet = Fleet::new();
    fs::copy(fleet.home.path().join("web1.nkey"), fleet.path("web1.nkey")).unwrap();
    let git =
        |arguments: &[&str]| run(Command::new("git").args(arguments).current_dir(fleet.path("")), 0).stdout;
    git(&["init", "--quiet"]);
    let step = readme_steps().into_iter().find(|step| step.starts_with("git")).unwrap();
    assert_eq!(step, "git add --all\nnix flake check\n");
    git(&["add", "--all"]);
    let known = git(&["ls-files"]);
    assert!(known.contains("secrets/web1.nkey.age\n") && !known.contains(".nkey\n"), "{known}");
}

#[test]
fn its_operator_sees_its_hosts_on_a_real_server() {
    let fleet = Fleet::new();
    let library = Library::all().pop().unwrap();
    let hosts = fleet.evaluate(&library, "hosts");
    let directory = tempfile::tempdir().unwrap();
    let (_server, url) = nats_server(directory.path(), &hosts["ns1"]["nats"]["settings"]);

    let arguments = command(hosts["web1"]["unit"].as_str().unwrap());
    let seed = fleet.home.path().join("web1.nkey").display().to_string();
    let arguments = arguments[1..].iter().map(|argument| match argument.as_str() {
        "nats://ns1.example.org" => &url,
        "%d/nkey" => &seed,
        _ => argument,
    });
    let mut listener = Command::new(binary());
    listener.args(arguments).arg("--state-dir").arg(directory.path().join("state"));
    listener.arg("--root").arg(directory.path().join("root")).stdout(Stdio::null()).stderr(Stdio::null());
    let _listener = Ends(listener.spawn().unwrap());

    let store = Store::new();
    let operator = store.try_build(&fleet.arguments(&library, "operator")).unwrap();
    eventually("the operator seeing web1", || {
        let mut hosts = Command::new(operator.join("bin/homelab-deploy"));
        hosts.args(["hosts", "--nats-url", &url, "--output", "json"]);
        hosts.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CONFIG_DIRS").env_remove("XDG_STATE_HOME");
        let output = hosts.env("HOME", fleet.home.path()).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let hosts: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(hosts.len(), 2, "{printed}{}", String::from_utf8_lossy(&output.stderr));
        let host = |name: &str| hosts.iter().find(|host| host["host"]["name"] == name).unwrap();
        assert_eq!(host("ns1")["presence"], "offline", "{printed}");
        (host("web1")["presence"] == "online")
            .then(|| assert_eq!(host("web1")["host"]["identity"]["proven"], true))
    });
}

#[test]
fn missing_values_of_the_template_are_named() {
    let Some(library) = Library::nixpkgs() else { return };
    let fleet = Fleet::untouched();
    for host in ["ns1", "web1"] {
        fs::write(fleet.path(&format!("secrets/{host}.nkey.age")), "").unwrap();
    }
    let error = fleet.try_evaluate(&library, "hosts").unwrap_err();
    assert!(
        error.contains("services.homelab-deploy.listener.publicKey")
            && error.contains("public key of a user"),
        "{error}"
    );
}

#[test]
fn each_host_is_configured_in_one_place() {
    let fleet = Fleet::new();
    let metrics = "metrics.enable = true;\n    tier = \"test\";";
    fleet.edit("hosts/web1/default.nix", "tier = \"test\";", metrics);
    let next = public_key("next of web1");
    fleet.edit("hosts/web1/default.nix", "role", &format!("nextPublicKey = \"{next}\";\n    role"));
    let builder = "services.homelab-deploy.builder.metrics = { enable = true; address = \"10.0.0.1:9000\"; };\n  \
                   services.homelab-deploy.builder.enable = true;\n  networking";
    fleet.edit("hosts/ns1/default.nix", "networking", builder);
    let loopback = "metrics = { enable = true; address = \"127.0.0.1:9972\"; };\n    tier = \"prod\";";
    fleet.edit("hosts/ns1/default.nix", "tier = \"prod\";", loopback);
    for library in Library::all() {
        let outputs = fleet.evaluate(&library, "fleet");
        assert_eq!(outputs["targets"], json!(["10.0.0.1:9000", "web1:9972"]), "{library:?}");
        assert_eq!(outputs["hosts"]["web1"]["nextPublicKey"], next);
        // Only another client can confirm the host of the server.
        assert_eq!(outputs["hosts"]["ns1"]["confirmPeers"], true);
        assert_eq!(outputs["hosts"]["web1"]["confirmPeers"], false);
        let context = &outputs["context"];
        assert_eq!(context["nats_hosts"], json!(["ns1"]));
        let hosts = json!({"ns1": {"tier": "prod", "role": "dns"}, "web1": {"tier": "test", "role": "web"}});
        assert_eq!(context["hosts"], hosts);
        assert_eq!(context["fleet"], outputs["file"]);
    }
}

#[test]
fn the_fleet_file_is_that_of_the_nats_server() {
    let fleet = Fleet::new();
    let next = public_key("next of web1");
    fleet.edit("hosts/web1/default.nix", "role", &format!("nextPublicKey = \"{next}\";\n    role"));
    let deployer = format!(
        "  dana = {{\n    kind = \"deployer\";\n    tiers = [ \"test\" ];\n    builds = true;\n    publicKey = \"{}\";\n  \
         }};\n  admin",
        public_key("dana")
    );
    fleet.edit("operators.nix", "  admin", &deployer);
    for library in Library::all() {
        let (file, at_server) = fleet.file_and_server(&library);
        assert_eq!(users(&file), at_server, "{library:?}");
    }
}

#[test]
fn the_fleet_file_is_that_of_a_server_without_base_subjects_too() {
    for (setting, has) in [("baseSubjects = false;", true), ("baseSubjects = true;", false)] {
        let fleet = Fleet::new();
        fleet.edit(
            "hosts/ns1/default.nix",
            "inherit (fleet) hosts;",
            &format!("inherit (fleet) hosts; {setting}"),
        );
        for library in Library::all() {
            let (file, at_server) = fleet.file_and_server(&library);
            assert_eq!(file.starts_with("base_subjects = false\n"), has, "{file}");
            assert_eq!(users(&file), at_server, "{library:?}");
        }
    }
}

/// Two servers, one of which lets hosts publish on the base subjects.
#[test]
fn the_fleet_file_has_base_subjects_as_long_as_one_server_has_them() {
    let fleet = Fleet::new();
    fleet.edit(
        "hosts/ns1/default.nix",
        "inherit (fleet) hosts;",
        "inherit (fleet) hosts; baseSubjects = false;",
    );
    let server = "services.homelab-deploy.nats = { enable = true; operators = import ../../operators.nix; };\n  imports";
    fleet.edit("hosts/web1/default.nix", "imports", server);
    for library in Library::all() {
        let file = fleet.file(&library);
        assert!(!file.contains("base_subjects"), "{file}");
    }
}

/// The module has no clock, so it keeps an operator that `keys nats-config` omits after the expiry; hosts check the expiry themselves.
#[test]
fn an_expired_operator_is_omitted_by_keys_nats_config_and_kept_by_the_module() {
    let fleet = Fleet::new();
    fleet.edit("operators.nix", "kind = \"admin\";", "kind = \"admin\";\n    expires = \"2020-01-01\";");
    for library in Library::all() {
        let (file, at_server) = fleet.file_and_server(&library);
        let parsed = parse_fleet_file(&file, "fleet.toml".as_ref()).unwrap();
        let admin = parsed.iter().find(|user| user.entry == "operators.admin").unwrap();
        assert_eq!(admin.expires_at, Some("2020-01-02T00:00:00Z".parse().unwrap()), "{file}");
        assert_eq!(users(&file), at_server, "{library:?}");
        let printed = render_authorization(&parsed);
        assert!(
            printed.contains("left out: expired at") && !printed.contains(&admin.public_key),
            "{printed}"
        );
        assert!(at_server.to_string().contains(&admin.public_key), "{at_server}");
        let unit = fleet.evaluate(&library, "hosts.web1.unit");
        let trusted = format!(" --trusted-key={}@2020-01-01 ", admin.public_key);
        assert!(unit.as_str().unwrap().contains(&trusted), "{unit}");
    }
}

/// The warning of a new fleet, as quoted in the README and on the page, and the setting that removes it.
#[test]
fn the_template_warns_of_a_server_without_tls() {
    const WARNING: &str = "can be read and changed in transit";
    let readme = fs::read_to_string(file("templates/fleet/README.md")).unwrap();
    let page = fs::read_to_string(file("docs/nixos-fleet.md")).unwrap();
    let fleet = Fleet::new();
    for library in Library::all() {
        for name in ["ns1", "web1"] {
            let warnings = fleet.evaluate(&library, &format!("hosts.{name}.warnings"));
            let [warning] = &warnings.as_array().unwrap()[..] else { panic!("{warnings}") };
            let warning = warning.as_str().unwrap();
            let (before, after) = warning.split_once("ns1.example.org").unwrap();
            assert!(after.trim_start().starts_with(WARNING), "{warning}");
            assert!(readme.contains(&format!("`{before}… {WARNING}`")), "{warning}");
            assert!(page.contains(&format!("`{WARNING}`")), "{page}");
        }
    }
    fleet.edit("hosts/common.nix", "nats://", "tls://");
    for library in Library::all() {
        for name in ["ns1", "web1"] {
            assert_eq!(fleet.evaluate(&library, &format!("hosts.{name}.warnings")), json!([]));
        }
    }
}

/// A change of the fleet, the host whose check fails, and its message.
const MISTAKES: [(&str, &str, &str, &str, &str); 8] = [
    (
        "hosts/web1/default.nix",
        "tier = \"test\";",
        "tier = \"test\";\n    hostname = \"ns1\";",
        "web1",
        "ns1, web1 have the same services.homelab-deploy.listener.hostname, ns1: give each host its own name",
    ),
    (
        "hosts/web1/default.nix",
        "tier = \"test\";",
        "tier = \"test\";\n    nextPublicKey = (import ../../operators.nix).admin.publicKey;",
        "ns1",
        "services.homelab-deploy.nats: two entries have the same publicKey",
    ),
    (
        "hosts/ns1/default.nix",
        "inherit (fleet) hosts;",
        "hosts = removeAttrs fleet.hosts [ \"web1\" ];",
        "web1",
        "services.homelab-deploy.nats.hosts of ns1 has no web1: the NATS server refuses the host",
    ),
    (
        "hosts/ns1/default.nix",
        "inherit (fleet) hosts;",
        "hosts = fleet.hosts // { web1 = fleet.hosts.web1 // { publicKey = \"UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4\"; }; };",
        "web1",
        "services.homelab-deploy.nats.hosts of ns1 has another key for web1 than services.homelab-deploy.listener.publicKey of web1",
    ),
    (
        "hosts/ns1/default.nix",
        "inherit (fleet) hosts;",
        "hosts = fleet.hosts // { web1 = fleet.hosts.web1 // { tier = \"prod\"; }; };",
        "web1",
        "services.homelab-deploy.nats.hosts of ns1 has another tier or role for web1 than services.homelab-deploy.listener of web1",
    ),
    (
        "hosts/web1/default.nix",
        "tier = \"test\";",
        "tier = \"test\";\n    hostname = \"www\";",
        "web1",
        "services.homelab-deploy.listener of web1 deploys nixosConfigurations.www: set its hostname to web1",
    ),
    (
        "hosts/web1/default.nix",
        "publicKey = \"",
        "publicKey = null; # \"",
        "web1",
        "services.homelab-deploy.listener.publicKey of web1 is not set: set it to the public key that `homelab-deploy keys \
         new listener --host web1` printed",
    ),
    (
        "hosts/common.nix",
        "enable = true;",
        "enable = true;\n    confirmTimeout = 5;\n    rebuildCommand = \"/bin/rebuild\";",
        "web1",
        "services.homelab-deploy.listener.confirmTimeout has no effect",
    ),
];

#[test]
fn the_checks_find_mistakes() {
    for (name, from, to, host, expected) in MISTAKES {
        let fleet = Fleet::new();
        fleet.edit(name, from, to);
        for library in Library::all() {
            let error = fleet.try_evaluate(&library, &format!("checks.homelab-deploy-{host}")).unwrap_err();
            assert!(error.contains(expected), "{library:?}: {to}: {error}");
        }
    }
}

#[test]
fn a_removed_host_has_no_key_at_the_server() {
    let fleet = Fleet::new();
    fleet.edit("flake.nix", "[ \"ns1\" \"web1\" ]", "[ \"ns1\" ]");
    for library in Library::all() {
        let users = &fleet.evaluate(&library, "hosts.ns1.nats")["settings"]["authorization"]["users"];
        assert_eq!(users.as_array().unwrap().len(), 2, "ns1 and the operator: {users}");
    }
}

#[test]
fn two_hosts_with_one_name_are_rejected() {
    let fleet = Fleet::new();
    fleet.edit("hosts/web1/default.nix", "tier =", "hostname = \"ns1\";\n    tier =");
    for library in Library::all() {
        let error = fleet.try_evaluate(&library, "fleet.hosts").unwrap_err();
        assert!(
            error.contains("ns1, web1 have the same services.homelab-deploy.listener.hostname, ns1"),
            "{error}"
        );
    }
}

#[test]
fn two_hosts_with_one_key_are_found() {
    let fleet = Fleet::new();
    let ns1 = fs::read_to_string(fleet.path("hosts/ns1/default.nix")).unwrap();
    let key = ns1.split("publicKey = \"").nth(1).unwrap().split('"').next().unwrap();
    fleet.edit("hosts/web1/default.nix", "publicKey = \"", &format!("publicKey = \"{key}\"; # \""));
    for library in Library::all() {
        for host in ["ns1", "web1"] {
            let error = fleet.try_evaluate(&library, &format!("checks.homelab-deploy-{host}")).unwrap_err();
            let expected = "ns1, web1 have the same services.homelab-deploy.listener.publicKey or nextPublicKey: give each host its own key";
            assert!(error.contains(expected), "{library:?}: {error}");
        }
    }
}

#[test]
fn the_checks_of_a_valid_fleet_build() {
    let fleet = Fleet::new();
    let operator = "services.homelab-deploy.operator.enable = true;\n  services.homelab-deploy.operator.settings.contexts.home \
                    = fleet.context // { nats_url = \"nats://ns1\"; };\n  networking";
    fleet.edit("hosts/ns1/default.nix", "networking", operator);
    for library in Library::all() {
        for host in ["ns1", "web1"] {
            let store = Store::new();
            store.try_build(&fleet.arguments(&library, &format!("checks.homelab-deploy-{host}"))).unwrap();
        }
    }
}

/// A mistake that only a build finds, and the message of the check.
const BUILT_MISTAKES: [(&str, &str, &str); 3] = [
    (
        "networking",
        "services.homelab-deploy.operator.enable = true;\n  services.homelab-deploy.operator.settings.contexts.home.nats = 1;\n  \
         networking",
        "unknown key \"nats\" in [contexts.home]",
    ),
    (
        "networking",
        "services.nats.settings.authorization.timout = 1;\n  networking",
        "unknown field \"timout\"",
    ),
    (
        "networking",
        "systemd.services.homelab-deploy-listener.environment.A = \
         builtins.unsafeDiscardStringContext \"${builtins.storeDir}/00000000000000000000000000000000-lost\";\n  networking",
        "00000000000000000000000000000000-lost, which is not in its closure",
    ),
];

#[test]
fn the_checks_find_mistakes_that_only_a_build_shows() {
    for (from, to, expected) in BUILT_MISTAKES {
        let fleet = Fleet::new();
        fleet.edit("hosts/ns1/default.nix", from, to);
        let store = Store::new();
        let library = Library::all().pop().unwrap();
        let error = store.try_build(&fleet.arguments(&library, "checks.homelab-deploy-ns1")).unwrap_err();
        assert!(error.contains(expected), "{to}: {error}");
    }
}
