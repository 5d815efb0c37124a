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
      # Named in Cargo.toml, so cargo looks for them.
      ../benches
      ../tests/lab/main.rs
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  # The tests want a broker, nix, git and a terminal; `make test` has them.
  doCheck = false;

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];
  # Heads of branches are looked up with git. What is on the PATH comes first.
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
    # NixOS 26.05 is the first with a compiler that is new enough.
    broken = lib.versionOlder rustc.version manifest.rust-version;
  };
}
