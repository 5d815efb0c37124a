{
  services.homelab-deploy.nats = {
    enable = true;
    hosts.ns1 = {
      tier = "prod";
      role = "dns";
      confirmPeers = true;
      publicKey = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
      nextPublicKey = "UCNZ24GVCGUP5GTCPYXXFSRL4MFMJHBQFJDKIRDQ53YTWOKNPJ3PL64D";
    };
    operators.alice = {
      kind = "deployer";
      tiers = [ "prod" ];
      builds = true;
      publicKey = "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS";
    };
  };
  services.nats.settings.host = "0.0.0.0";
}
