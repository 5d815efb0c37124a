# An operator's home with home-manager, and an operator's Mac with nix-darwin, with stand-ins for the options that the modules set.
# In the settings, `inputs.homelab-deploy` is the flake of this repository.
{
  lib,
  binary,
  homeSettings,
  macSettings,
}:

let
  inherit (lib) mkOption types;
  inherit
    (import ./fleet.nix {
      inherit lib binary;
      fleet = ../../templates/fleet;
    })
    homelab-deploy
    pkgs
    ;

  list =
    type:
    mkOption {
      type = types.listOf type;
      default = [ ];
    };
  evaluate =
    modules:
    let
      inherit
        (lib.evalModules {
          inherit modules;
          specialArgs = {
            inherit pkgs;
            inputs = { inherit homelab-deploy; };
          };
        })
        config
        ;
    in
    config
    // {
      failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
    };

  home = evaluate [
    homelab-deploy.homeModules.default
    {
      options = {
        assertions = list types.unspecified;
        home.packages = list types.package;
        xdg.configFile = mkOption {
          type = types.attrsOf (types.submodule { options.source = mkOption { type = types.path; }; });
          default = { };
        };
      };
    }
    homeSettings
  ];
  mac = evaluate [
    homelab-deploy.darwinModules.default
    {
      options = {
        assertions = list types.unspecified;
        environment = {
          systemPackages = list types.package;
          pathsToLink = list types.str;
        };
      };
    }
    macSettings
  ];
  names = map (package: package.name);
in
{
  home = {
    inherit (home) failed;
    packages = names home.home.packages;
    files = builtins.attrNames home.xdg.configFile;
  };
  mac = {
    inherit (mac) failed;
    packages = names mac.environment.systemPackages;
    inherit (mac.environment) pathsToLink;
  };
  homeFile = home.xdg.configFile."homelab-deploy/config.toml".source;
  macProfile = builtins.elemAt mac.environment.systemPackages 1;
}
