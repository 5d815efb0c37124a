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

      # A module whose package is the one that this flake pins: a new nixpkgs of the host does not compile it again. `options` is
      # where the module's options are. Weaker than any `mkDefault`; on other systems the module's own default holds.
      withPackage =
        options: file:
        { lib, pkgs, ... }:
        let
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default or null;
        in
        {
          _file = toString file;
          # However often and from wherever it is imported, it counts once.
          key = "${toString file}#package";
          imports = [ file ];
          config = lib.mkIf (package != null) (
            lib.setAttrByPath (options ++ [ "package" ]) (lib.mkOverride 1400 package)
          );
        };
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
            pkgs.nix
            pkgs.prometheus
            pkgs.python3
            pkgs.rust-analyzer
            pkgs.rustc
            pkgs.rustfmt
          ];
          # For `make test-nixos`.
          NIXPKGS_LIB = "${nixpkgs}/lib";
        };
      });

      overlays.default = final: _: {
        homelab-deploy = final.callPackage ./nixos/package.nix { };
      };

      nixosModules =
        let
          modules = {
            monitoring.imports = [ ./nixos/monitoring.nix ];
            nats.imports = [ ./nixos/nats.nix ];
          }
          // lib.mapAttrs (name: withPackage [ "services" "homelab-deploy" name ]) {
            builder = ./nixos/builder.nix;
            flakeUpdate = ./nixos/flake-update.nix;
            listener = ./nixos/listener.nix;
            operator = ./nixos/operator.nix;
          };
        in
        modules // { default.imports = lib.attrValues modules; };

      # For operators: home-manager, and nix-darwin.
      homeModules.default = withPackage [ "programs" "homelab-deploy" ] ./nixos/home-manager.nix;
      darwinModules.default = withPackage [ "services" "homelab-deploy" "operator" ] ./nixos/darwin.nix;

      # `fleet` and `checks`: what a flake with a fleet takes from its own hosts.
      lib = import ./nixos/fleet.nix { inherit lib; };

      templates.default = {
        path = ./templates/fleet;
        description = "A fleet: two hosts, one of them with the NATS server, secrets by agenix, and an operator";
        welcomeText = "Read README.md: it leads from here to the first deployment.";
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
