# One host for each directory of `hosts`: the closure as it will be in the store, and `closure.json` with what the builder
# does in addition to copying it.
{
  outputs = { self }: {
    nixosConfigurations = builtins.mapAttrs (host: _: {
      config.system.build.toplevel =
        let
          closure = builtins.fromJSON (builtins.readFile (./hosts + "/${host}/closure.json"));
          # A store path that depends only on name and version, so that closures share it.
          part = name: version: builtins.toFile "${name}-${version}" version;
          links = map (name: "ln -s ${part name closure.kernel} $out/${name}\n")
            (if closure.kernel == null then [ ] else [ "kernel" "initrd" "kernel-modules" ]);
          packages = map ({ name, version }: "echo ${part name version} >>$out/packages\n") closure.packages;
        in
        derivation {
          name = "nixos-system-${host}-${closure.label}";
          system = "@system@";
          builder = "/bin/sh";
          PATH = "/usr/bin:/bin";
          args = [
            "-euc"
            ''
              ${closure.build}
              cp -r ${builtins.path { path = ./hosts + "/${host}/tree"; name = "tree"; }} $out
              chmod -R u+w $out
              ${builtins.concatStringsSep "" (links ++ packages)}
            ''
          ];
        };
    }) (builtins.readDir ./hosts);
  };
}
