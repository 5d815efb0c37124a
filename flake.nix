{
  description = "Deploy, watch and rescue a fleet of NixOS machines over NATS";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      # A Mac has no listener, but an operator.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forEach = systems: f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      linux = lib.filter (lib.hasSuffix "-linux") systems;
    in
    {
      packages = forEach systems (pkgs: rec {
        homelab-deploy = pkgs.callPackage ./nixos/package.nix { };
        default = homelab-deploy;
      });

      apps = forEach systems (
        pkgs:
        let
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          demo = pkgs.writeShellScript "homelab-deploy-demo" ''
            export PATH=${lib.makeBinPath [ pkgs.nats-server ]}:$PATH
            exec ${lib.getExe package} demo "$@"
          '';
        in
        {
          default = {
            type = "app";
            program = lib.getExe package;
            meta.description = "Deploy, watch and rescue a fleet";
          };
          demo = {
            type = "app";
            program = "${demo}";
            meta.description = "The console on a private broker and simulated hosts";
          };
        }
      );

      devShells = forEach systems (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.cargo-deny
            pkgs.clippy
            pkgs.git
            pkgs.nats-server
            pkgs.rust-analyzer
            pkgs.rustc
            pkgs.rustfmt
          ];
        };
      });

      overlays.default = final: _: {
        homelab-deploy = final.callPackage ./nixos/package.nix { };
      };

      nixosModules = {
        default = ./nixos;
        builder = ./nixos/builder.nix;
        flakeUpdate = ./nixos/flake-update.nix;
        listener = ./nixos/listener.nix;
        nats = ./nixos/nats.nix;
        operator = ./nixos/operator.nix;
      };

      formatter = forEach systems (pkgs: pkgs.nixfmt-tree);

      checks =
        lib.recursiveUpdate (forEach systems (pkgs: {
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        }))
          (
            forEach linux (pkgs: {
              fleet = pkgs.testers.runNixOSTest (import ./nixos/test.nix { module = self.nixosModules.default; });
            })
          );
    };
}
