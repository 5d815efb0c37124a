{
  description = "My hosts";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # The URL that this template came from. Do not add `follows`: a new nixpkgs of the hosts would recompile the program.
    homelab-deploy.url = "git+https://git.example.org/homelab-deploy";
    agenix.url = "github:ryantm/agenix";
    agenix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      homelab-deploy,
      agenix,
    }:
    let
      # Generated from the configurations of the hosts below, for the NATS server and for operators.
      fleet = homelab-deploy.lib.fleet self.nixosConfigurations;

      host =
        name:
        nixpkgs.lib.nixosSystem {
          specialArgs = { inherit fleet; };
          modules = [
            homelab-deploy.nixosModules.default
            agenix.nixosModules.default
            ./hosts/common.nix
            ./hosts/${name}
            { networking.hostName = name; }
          ];
        };

      # The machines of operators.
      forEach = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
    in
    {
      # To add a host, create a directory in ./hosts and add its name here.
      nixosConfigurations = nixpkgs.lib.genAttrs [ "ns1" "web1" ] host;

      # `nix flake check`: units, configuration files, names and keys of all hosts.
      checks = homelab-deploy.lib.checks self;

      # `nix run . -- deploy web1`: the program, set up for this fleet.
      packages = forEach (system: {
        default = import ./operator.nix {
          inherit fleet;
          pkgs = nixpkgs.legacyPackages.${system};
          program = homelab-deploy.packages.${system}.default;
        };
      });

      # `nix develop`: the tools for keys and secrets.
      devShells = forEach (system: {
        default = nixpkgs.legacyPackages.${system}.mkShell {
          packages = [
            homelab-deploy.packages.${system}.default
            agenix.packages.${system}.default
          ];
        };
      });
    };
}
