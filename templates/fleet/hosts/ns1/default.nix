# The host of the NATS server.
{ fleet, ... }:

{
  imports = [ ./hardware-configuration.nix ];

  services.homelab-deploy.listener = {
    tier = "prod";
    role = "dns";
    publicKey = "U…"; # homelab-deploy keys new listener --host ns1 --tier prod
  };

  services.homelab-deploy.nats = {
    enable = true;
    inherit (fleet) hosts;
    operators = import ../../operators.nix;
  };
  networking.firewall.allowedTCPPorts = [ 4222 ];
}
