# The packages of the stand-in for nixpkgs.
{ lib, system }:

let
  derive =
    name: attrs:
    derivation (
      attrs
      // {
        inherit name system;
        builder = "/bin/sh";
      }
    )
    // {
      meta.mainProgram = name;
    };
  package = name: derive name { };

  pkgs =
    lib.genAttrs [
      "bash"
      "cargo"
      "cargo-deny"
      "clippy"
      "coreutils"
      "curl"
      "docker"
      "findutils"
      "git"
      "gitMinimal"
      "gnused"
      "installShellFiles"
      "makeWrapper"
      "nats-server"
      "nix"
      "nixfmt-tree"
      "openssh"
      "prometheus"
      "python3"
      "rust-analyzer"
      "rustfmt"
      "versionCheckHook"
    ] package
    // {
      inherit lib;
      stdenv = {
        hostPlatform = {
          inherit system;
          isLinux = lib.hasSuffix "-linux" system;
        };
        buildPlatform.canExecute = _: true;
      };
      rustc = package "rustc" // {
        version = "1.95.0";
      };
      rustPlatform.buildRustPackage =
        attrs:
        derive "${attrs.pname}-${attrs.version}" { inherit (attrs) src postInstall nativeBuildInputs; }
        // {
          inherit (attrs) meta passthru;
        };
      writeText = name: text: derive name { inherit text; };
      writeTextDir = name: text: derive (baseNameOf name) { inherit text; };
      writeShellScript = name: text: derive name { inherit text; };
      mkShell = attrs: derive "shell" { inherit (attrs) packages; };
      testers.runNixOSTest = module: package (module { inherit lib pkgs; }).name;
      callPackage =
        path: arguments:
        let
          function = import path;
        in
        function (builtins.intersectAttrs (builtins.functionArgs function) pkgs // arguments);
    };
in
pkgs
