# The program, with completions and manual pages. For callPackage.
{
  lib,
  stdenv,
  rustPlatform,
  rustc,
  installShellFiles,
  makeWrapper,
  versionCheckHook,
  gitMinimal,
  openssh,
  testers,
}:

let
  manifest = (lib.importTOML ../Cargo.toml).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../src
      # Cargo.toml refers to these, so cargo needs them.
      ../benches
      ../tests/lab/main.rs
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  # Packed relocations, which glibc 2.36 and later read, are 0.5 MB that an idle listener does not keep in memory.
  env = lib.optionalAttrs stdenv.hostPlatform.isLinux {
    RUSTFLAGS = "-C link-arg=-Wl,-z,pack-relative-relocs";
  };

  # The tests need a NATS server, nix, git and a terminal; run them with `make test`.
  doCheck = false;

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];
  # The program looks up branch heads with git. Programs on the PATH take precedence.
  postInstall = ''
    wrapProgram $out/bin/homelab-deploy --suffix PATH : ${
      lib.makeBinPath [
        gitMinimal
        openssh
      ]
    }
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash fish zsh; do
      $out/bin/homelab-deploy completions $shell >homelab-deploy.$shell
    done
    installShellCompletion --cmd homelab-deploy \
      --bash homelab-deploy.bash --fish homelab-deploy.fish --zsh homelab-deploy.zsh
    $out/bin/homelab-deploy man --out man
    installManPage man/*.1
  '';

  nativeInstallCheckInputs = [ versionCheckHook ];
  versionCheckProgramArg = "--version";
  doInstallCheck = true;

  passthru.tests = lib.optionalAttrs stdenv.hostPlatform.isLinux {
    fleet = testers.runNixOSTest (import ./test.nix { module = ./.; });
  };

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = "homelab-deploy";
    platforms = lib.platforms.unix;
    # NixOS 26.05 is the first release with a sufficiently new compiler.
    broken = lib.versionOlder rustc.version manifest.rust-version;
  };
}
