{
  services.homelab-deploy.listener = {
    enable = true;
    tier = "test";
    natsUrl = "tls://nats.example.org";
    nkeyFile = "/run/keys/web1.nkey";
    flakeUrl = "git+https://git.example.org/fleet";
  };
}
