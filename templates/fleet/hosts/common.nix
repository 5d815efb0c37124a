# Settings of all hosts.
{
  config,
  lib,
  ...
}:

let
  mayDeploy = operator: !(builtins.elem operator.kind [ "viewer" "builder" ]);
  deployers = lib.filterAttrs (_: mayDeploy) (import ../operators.nix);
in
{
  services.homelab-deploy.listener = {
    enable = true;
    natsUrl = "nats://ns1.example.org";
    # The URL of this flake. For a private repository, set flakeCredentialsFile, or a key in environment.GIT_SSH_COMMAND.
    flakeUrl = "git+https://git.example.org/fleet";
    nkeyFile = config.age.secrets.listener.path;
    # Requests that none of these keys has signed are refused. A key with `expires` is trusted until the end of that day.
    trustedKeys = lib.mapAttrsToList (
      _: operator: operator.publicKey + lib.optionalString (operator ? expires) "@${operator.expires}"
    ) deployers;
  };

  age.secrets.listener.file = ../secrets/${config.networking.hostName}.nkey.age;
  # The unit has a copy of the key, so it must be restarted if the key changes.
  systemd.services.homelab-deploy-listener.restartTriggers = [ config.age.secrets.listener.file ];

  # agenix decrypts secrets with the ssh key of the host.
  services.openssh.enable = true;
  users.users.root.openssh.authorizedKeys.keys = [ "ssh-ed25519 …" ];

  boot.loader.systemd-boot.enable = true;

  system.stateVersion = "26.05";
}
