//! `default.nix` has the same outputs as the flake.

use crate::evaluate::{LISTENER, Library, file, nix_instantiate};
use serde_json::Value;

/// Evaluates an expression over the result of `default.nix` with these packages.
fn evaluate(library: &Library, pkgs: &str, expression: &str) -> Value {
    let expression = format!(
        "let lib = {}; plain = import {} {{ pkgs = {pkgs}; }}; in {expression}",
        library.expression(),
        file("default.nix").display()
    );
    let output =
        nix_instantiate().args(["--eval", "--strict", "--json", "--expr", &expression]).output().unwrap();
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_has_the_package_an_overlay_the_modules_and_the_library() {
    for library in Library::all() {
        let pkgs = "{ inherit lib; callPackage = path: _: toString path; }";
        let package = file("nixos/package.nix").display().to_string();
        assert_eq!(evaluate(&library, pkgs, "plain.homelab-deploy"), package.as_str());
        let overlaid = evaluate(
            &library,
            pkgs,
            "(plain.overlay { callPackage = path: _: toString path; } { }).homelab-deploy",
        );
        assert_eq!(overlaid, package.as_str());
        let flake = format!(
            "(import {}).outputs {{ self = {{ }}; nixpkgs = {{ inherit lib; legacyPackages = {{ }}; }}; }}",
            file("flake.nix").display()
        );
        for output in ["nixosModules", "homeModules", "darwinModules", "lib"] {
            let same = format!("builtins.attrNames plain.{output} == builtins.attrNames ({flake}).{output}");
            assert_eq!(evaluate(&library, pkgs, &same), true, "{output}");
        }
    }
}

#[test]
fn its_modules_work_without_this_package() {
    for library in Library::all() {
        let host = format!(
            "(import {} {{ inherit lib; modules = [ plain.nixosModules.default ]; settings = {{ {LISTENER} }}; }}).units",
            file("tests/nixos/eval.nix").display()
        );
        let units = evaluate(&library, "throw \"not needed\"", &host);
        assert!(units["homelab-deploy-listener"].as_str().unwrap().contains("--hostname web1"), "{units}");
    }
}
