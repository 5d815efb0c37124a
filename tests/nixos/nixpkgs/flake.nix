# In place of nixpkgs, for a check of our flake: its library, which a test puts beside this file, and as many packages as the flake
# names. Nothing of it is built.
{
  outputs =
    _:
    let
      library = import ./lib;
      # Before 2.14 nix has too little for sets of files.
      lib =
        if builtins ? readFileType then
          library
        else
          library
          // {
            fileset = {
              unions = files: files;
              toSource = { root, ... }: root;
            };
          };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ] (system: import ./pkgs.nix { inherit lib system; });
    };
}
