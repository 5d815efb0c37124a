# The operators and their permissions. The NATS server accepts their keys, and the hosts accept requests that they have signed.
{
  admin = {
    kind = "admin";
    publicKey = "U…"; # homelab-deploy keys new admin
  };
}
