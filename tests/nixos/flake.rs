//! The flake without nixpkgs: its syntax, its lock file and its outputs.

use crate::evaluate::{Library, file, nix_instantiate};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn nix_files() -> Vec<PathBuf> {
    let modules = fs::read_dir(file("nixos")).unwrap().map(|entry| entry.unwrap().path());
    let modules = modules.filter(|path| path.extension().is_some_and(|extension| extension == "nix"));
    modules.chain([file("flake.nix")]).collect()
}

#[test]
fn every_file_parses() {
    let files = nix_files();
    assert!(files.len() > 7, "{files:?}");
    for path in files {
        let parsed = nix_instantiate().arg("--parse").arg(&path).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    }
}

/// Evaluates the flake's outputs with stand-ins for nixpkgs, without building anything.
fn outputs(expression: &str) -> Value {
    outputs_with(&Library::Little, expression)
}

fn outputs_with(library: &Library, expression: &str) -> Value {
    let stand_in = format!(
        r#"
        let
          lib = {};
          package = name: derivation {{ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; }};
          pkgs = system: {{
            stdenv.hostPlatform = {{ inherit system; }};
            callPackage = path: _: package "homelab-deploy" // {{ meta.mainProgram = "homelab-deploy"; }};
            writeShellScript = name: text: package name;
            formats.toml = _: {{ type = null; generate = name: _: package name; }};
            linkFarm = name: _: package name;
            mkShell = shell: package "shell" // shell;
            testers.runNixOSTest = test: package "vm-test";
            nixfmt-tree = package "nixfmt";
          }} // builtins.listToAttrs (map (name: {{ inherit name; value = package name; }})
            [ "nats-server" "nix" "prometheus" "python3" "cargo" "cargo-deny" "clippy" "git" "rust-analyzer" "rustc" "rustfmt" ]);
          flake = import {1}/flake.nix;
          nixpkgs = {{
            inherit lib;
            legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] pkgs;
          }};
          self = flake.outputs {{ inherit self nixpkgs; }};
          host = import {1}/tests/nixos/eval.nix;
        in {expression}"#,
        library.expression(),
        env!("CARGO_MANIFEST_DIR")
    );
    let output =
        nix_instantiate().args(["--eval", "--strict", "--json", "--expr", &stand_in]).output().unwrap();
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_has_packages_apps_shells_modules_and_checks() {
    let names = outputs("builtins.mapAttrs (_: builtins.attrNames) self");
    let systems = json!(["aarch64-darwin", "aarch64-linux", "x86_64-linux"]);
    for output in ["packages", "apps", "devShells", "formatter", "checks"] {
        assert_eq!(names[output], systems, "{output}");
    }
    assert_eq!(
        names["nixosModules"],
        json!(["builder", "default", "flakeUpdate", "listener", "monitoring", "nats", "notify", "operator"])
    );
    assert_eq!(names["homeModules"], json!(["default"]));
    assert_eq!(names["darwinModules"], json!(["default"]));
    assert_eq!(names["lib"], json!(["checks", "fleet"]));
    assert_eq!(outputs("toString self.templates.default.path"), json!(file("templates/fleet")));
    assert_eq!(names["overlays"], json!(["default"]));
    let checks = outputs("builtins.mapAttrs (_: builtins.attrNames) self.checks");
    assert_eq!(checks["x86_64-linux"], json!(["fleet", "package"]));
    assert_eq!(checks["aarch64-darwin"], json!(["package"]), "a Mac runs no virtual NixOS");
    let apps = outputs("builtins.mapAttrs (_: app: app.program) self.apps.x86_64-linux");
    let program = apps["default"].as_str().unwrap();
    assert!(program.ends_with("-homelab-deploy/bin/homelab-deploy"), "{program}");
    let shell = outputs("map (package: package.name) self.devShells.aarch64-darwin.default.packages");
    assert!(shell.as_array().unwrap().contains(&json!("nats-server")), "{shell}");
}

/// A module, its settings, and the expression for what it installs.
const INSTALLERS: [(&str, &str, &str); 5] = [
    (
        "listener",
        "tier = \"t\"; natsUrl = \"n\"; nkeyFile = \"/k\"; flakeUrl = \"path:/f\";",
        "units.homelab-deploy-listener",
    ),
    ("builder", "natsUrl = \"n\"; nkeyFile = \"/k\"; configFile = \"/c\";", "units.homelab-deploy-builder"),
    ("notify", "natsUrl = \"n\"; nkeyFile = \"/k\"; configFile = \"/c\";", "units.homelab-deploy-notify"),
    ("flakeUpdate", "repo = \"https://h/a/b.git\";", "units.homelab-deploy-flake-update"),
    ("operator", "", "programs"),
];

#[test]
fn its_modules_install_its_own_package_unless_another_is_set() {
    for library in Library::all() {
        let installed = |modules: &str, module: usize, further: &str, overlay: &str| {
            let (name, settings, at) = INSTALLERS[module];
            let settings =
                format!("services.homelab-deploy.{name} = {{ enable = true; {settings} {further} }};");
            let text = outputs_with(
                &library,
                &format!(
                    "\"${{toString (host {{ inherit lib; modules = {modules}; \
                     settings = {{ pkgs, lib, ... }}: {{ {settings} }}; overlay = {overlay}; }}).{at}}}\""
                ),
            );
            text.as_str().unwrap().to_owned()
        };
        let flakes = outputs_with(&library, "\"${self.packages.x86_64-linux.default}/\"");
        let is_the_flakes = |text: &str| text.contains(flakes.as_str().unwrap().trim_end_matches('/'));
        let overlay = "{ stdenv.hostPlatform.system = \"x86_64-linux\"; homelab-deploy = derivation { name = \"overlaid\"; \
                       system = \"x86_64-linux\"; builder = \"/bin/sh\"; }; }";
        let linux = "{ stdenv.hostPlatform.system = \"x86_64-linux\"; }";
        let foreign = "{ stdenv.hostPlatform.system = \"riscv64-linux\"; }";
        let here = format!("[ {}/nixos ]", env!("CARGO_MANIFEST_DIR"));
        for (module, (name, ..)) in INSTALLERS.iter().enumerate() {
            let own = format!("[ self.nixosModules.{name} ]");
            // One module, all modules, and both at once.
            for modules in
                [&own, "[ self.nixosModules.default ]", &format!("{own} ++ [ self.nixosModules.default ]")]
            {
                for overlay in [linux, overlay] {
                    let text = installed(modules, module, "", overlay);
                    assert!(is_the_flakes(&text), "{name}: {modules}: {text}");
                }
            }
            let other = installed(&own, module, "package = lib.mkDefault pkgs.other;", linux);
            assert!(other.contains("-other") && !is_the_flakes(&other), "{name}: {other}");
            // A system without a package, and a module that was imported as a file.
            for (modules, platform) in [(&own, foreign), (&here, linux)] {
                let text = installed(modules, module, "", platform);
                assert!(text.contains("-homelab-deploy") && !is_the_flakes(&text), "{name}: {text}");
            }
            let overlaid = installed(&here, module, "", overlay);
            assert!(overlaid.contains("-overlaid"), "{name}: {overlaid}");
        }
    }
}

#[test]
fn the_lock_file_matches_the_flake() {
    let lock: Value = serde_json::from_slice(&fs::read(file("flake.lock")).unwrap()).unwrap();
    let nixpkgs = &lock["nodes"]["nixpkgs"];
    let url = format!(
        "github:{}/{}/{}",
        nixpkgs["original"]["owner"].as_str().unwrap(),
        nixpkgs["original"]["repo"].as_str().unwrap(),
        nixpkgs["original"]["ref"].as_str().unwrap()
    );
    assert_eq!(outputs("flake.inputs.nixpkgs.url"), json!(url));
    assert_eq!(lock["nodes"]["root"]["inputs"], json!({"nixpkgs": "nixpkgs"}));
}
