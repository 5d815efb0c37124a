# Defines which ssh keys can decrypt each secret: the operator's and the host's. Only the command `agenix` reads this file.
let
  admin = "ssh-ed25519 …"; # cat ~/.ssh/id_ed25519.pub
  ns1 = "ssh-ed25519 …"; # ssh-keyscan -t ed25519 ns1
  web1 = "ssh-ed25519 …"; # ssh-keyscan -t ed25519 web1
in
{
  "ns1.nkey.age".publicKeys = [
    admin
    ns1
  ];
  "web1.nkey.age".publicKeys = [
    admin
    web1
  ];
}
