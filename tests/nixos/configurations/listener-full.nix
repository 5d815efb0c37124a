{ lib, pkgs, ... }:
{
  services.homelab-deploy.listener = {
    enable = true;
    hostname = "web7";
    flakeAttr = "web7-vm";
    tier = "test";
    role = "web";
    natsUrl = "tls://nats1.example.org,tls://nats2.example.org:4223";
    nkeyFile = "/run/keys/100%.nkey";
    tls = {
      ca = "/etc/ssl/fleet-ca.pem";
      cert = "/etc/ssl/web7.pem";
      key = "/run/keys/web7-key.pem";
    };
    fleetName = "home";
    flakeUrl = "git+https://git.example.org/fleet";
    flakeCredentialsFile = "/run/keys/flake-credentials";
    timeout = 900;
    deploySubjects = [
      "deploy.<tier>.<hostname>"
      "x.<role>"
    ];
    discoverSubject = "fleet.discover";
    trustedKeys = [ "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4@2027-01-01" ];
    allowBranches = [ "main" ];
    commitSigners = "/etc/homelab-deploy/signers";
    environment = {
      A = "$HOME %d \"q\"";
      B = null;
    };
    heartbeatInterval = 5;
    presenceInterval = 60;
    requireHealthy = true;
    healthChecks = [
      "${lib.getExe pkgs.curl} --fail \"http://localhost/?a=$x&b=100%\""
      "test -e '/a b'"
    ];
    healthTimeout = 90;
    preActivateScript = "bin/may-activate";
    confirmTimeout = 120;
    confirmHold = 30;
    confirmPeers = [
      "ns1"
      "ns2"
    ];
    activateTimeout = 600;
    lastResortReboot = false;
    ignoreUnits = [ "backup-*.service" ];
    rollback = false;
    localBuild = false;
    acceptFlakeConfig = true;
    minFree = "5GiB";
    debug = true;
    logFormat = "text";
    logDir = "/var/log/homelab-deploy";
    metrics = {
      enable = true;
      address = ":9100";
      openFirewall = true;
    };
  };
}
