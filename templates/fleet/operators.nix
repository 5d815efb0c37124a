# Who may deploy, and what. The NATS server lets them in, and the hosts take requests that they have signed.
{
  admin = {
    kind = "admin";
    publicKey = "U…"; # homelab-deploy keys new admin
  };
}
