# A stand-in for nixpkgs, to check this repository's flake: the real library, which a test copies here, and the packages that the
# flake names. Nothing is built.
{
  outputs =
    _:
    let
      library = import ./lib;
      # nix before 2.14 lacks functions that file sets need.
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
