{
  services.homelab-deploy.flakeUpdate = {
    enable = true;
    repo = "https://git.example.org/alice/fleet.git";
    base = "main";
    tokenFile = "/run/keys/flake-update.token";
    dates = "Sat 04:00";
    notify = {
      enable = true;
      natsUrl = "tls://nats.example.org";
      nkeyFile = "/run/keys/flake-update.nkey";
    };
  };
}
