//! What nix can say of the flake here, where nixpkgs cannot be had: its syntax, its lock, and what it offers.

use crate::evaluate::{file, nix_instantiate};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn nix_files() -> Vec<PathBuf> {
    let modules = fs::read_dir(file("nixos")).unwrap().map(|entry| entry.unwrap().path());
    let modules = modules.filter(|path| path.extension().is_some_and(|extension| extension == "nix"));
    modules.chain([file("flake.nix")]).collect()
}

#[test]
fn every_file_can_be_read() {
    let files = nix_files();
    assert!(files.len() > 7, "{files:?}");
    for path in files {
        let parsed = nix_instantiate().arg("--parse").arg(&path).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    }
}

/// Evaluates the flake's outputs with stand-ins for nixpkgs, without building anything.
fn outputs(expression: &str) -> Value {
    let stand_in = format!(
        r#"
        let
          lib = import {0}/tests/nixos/lib.nix // {{
            genAttrs = names: f: builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) names);
            hasSuffix = end: text: builtins.match ".*${{end}}" text != null;
            getExe = package: "${{package}}/bin/${{package.name}}";
          }};
          package = name: {{ type = "derivation"; inherit name; outPath = "/nix/store/${{name}}"; }};
          pkgs = system: {{
            stdenv.hostPlatform = {{ inherit system; }};
            callPackage = path: _: package "homelab-deploy";
            writeShellScript = name: text: {{ inherit name text; outPath = "/nix/store/${{name}}"; }};
            mkShell = shell: package "shell" // shell;
            testers.runNixOSTest = test: package "vm-test";
            nixfmt-tree = package "nixfmt";
          }} // builtins.listToAttrs (map (name: {{ inherit name; value = package name; }})
            [ "nats-server" "cargo" "cargo-deny" "clippy" "git" "rust-analyzer" "rustc" "rustfmt" ]);
          flake = import {0}/flake.nix;
          nixpkgs = {{
            inherit lib;
            legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] pkgs;
          }};
          self = flake.outputs {{ inherit self nixpkgs; }};
        in {expression}"#,
        env!("CARGO_MANIFEST_DIR")
    );
    let output =
        nix_instantiate().args(["--eval", "--strict", "--json", "--expr", &stand_in]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_offers_packages_apps_shells_modules_and_checks() {
    let names = outputs("builtins.mapAttrs (_: builtins.attrNames) self");
    let systems = json!(["aarch64-darwin", "aarch64-linux", "x86_64-linux"]);
    for output in ["packages", "apps", "devShells", "formatter", "checks"] {
        assert_eq!(names[output], systems, "{output}");
    }
    assert_eq!(
        names["nixosModules"],
        json!(["builder", "default", "flakeUpdate", "listener", "nats", "operator"])
    );
    assert_eq!(names["overlays"], json!(["default"]));
    let checks = outputs("builtins.mapAttrs (_: builtins.attrNames) self.checks");
    assert_eq!(checks["x86_64-linux"], json!(["fleet", "package"]));
    assert_eq!(checks["aarch64-darwin"], json!(["package"]), "a Mac runs no virtual NixOS");
    let apps = outputs("builtins.mapAttrs (_: app: app.program) self.apps.x86_64-linux");
    assert_eq!(apps["default"], "/nix/store/homelab-deploy/bin/homelab-deploy");
    let shell = outputs("map (package: package.name) self.devShells.aarch64-darwin.default.packages");
    assert!(shell.as_array().unwrap().contains(&json!("nats-server")), "{shell}");
    let modules = outputs("builtins.mapAttrs (_: path: builtins.pathExists path) self.nixosModules");
    assert!(modules.as_object().unwrap().values().all(|there| there == true), "{modules}");
}

#[test]
fn the_lock_belongs_to_the_flake() {
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
