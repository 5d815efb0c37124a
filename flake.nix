{
  description = "Deploy, watch and rescue a fleet of NixOS machines over NATS";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      # On a Mac there is no listener, but operators use the program.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      forEach = systems: f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      linux = lib.filter (lib.hasSuffix "-linux") systems;

      # A module that defaults to the package that this flake pins, so that a new nixpkgs of the host does not recompile it. `options` is
      # the path of the module's options. It has lower priority than `mkDefault`; on other systems the module's own default applies.
      withPackage =
        options: file:
        { lib, pkgs, ... }:
        let
          package = self.packages.${pkgs.stdenv.hostPlatform.system}.default or null;
        in
        {
          _file = toString file;
          # With the same key, several imports of the module count as one.
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
            meta.description = "The console with a private NATS server and simulated hosts";
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
            notify = ./nixos/notify.nix;
            operator = ./nixos/operator.nix;
          };
        in
        modules // { default.imports = lib.attrValues modules; };

      # For operators, with home-manager or nix-darwin.
      homeModules.default = withPackage [ "programs" "homelab-deploy" ] ./nixos/home-manager.nix;
      darwinModules.default = withPackage [ "services" "homelab-deploy" "operator" ] ./nixos/darwin.nix;

      # `fleet` and `checks`, for the flake of a fleet.
      lib = import ./nixos/fleet.nix { inherit lib; };

      templates.default = {
        path = ./templates/fleet;
        description = "A fleet with two hosts, one of them with the NATS server, secrets with agenix, and an operator";
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
