{ pkgs, ... }:
{
  services.homelab-deploy = {
    listener = {
      enable = true;
      tier = "prod";
      natsUrl = "tls://nats.example.org";
      nkeyFile = "/run/keys/cache.nkey";
      flakeUrl = "git+https://git.example.org/fleet";
      metrics.enable = true;
    };
    builder = {
      enable = true;
      natsUrl = "tls://nats.example.org";
      nkeyFile = "/run/keys/builder.nkey";
      settings = {
        repos.fleet.url = "git+https://git.example.org/fleet";
        post_build_command = [
          "attic"
          "push"
          "fleet"
        ];
      };
      extraPackages = [ pkgs.other ];
      metrics.enable = true;
    };
  };
  systemd.services.homelab-deploy-builder.serviceConfig.LoadCredential = [ "fleet:/run/keys/fleet" ];
}
