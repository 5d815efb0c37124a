{
  imports = [ ./hardware-configuration.nix ];

  services.homelab-deploy.listener = {
    tier = "test";
    role = "web";
    publicKey = "U…"; # homelab-deploy keys new listener --host web1 --tier test
  };
}
