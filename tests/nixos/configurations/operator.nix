{
  services.homelab-deploy.operator = {
    enable = true;
    settings.contexts.home = {
      nats_url = "tls://nats.example.org";
      nkey_file = "~/.config/homelab-deploy/deployer.nkey";
      branch = "main";
      hosts.ns1.tier = "prod";
    };
  };
}
