# Every module; each does nothing until it is enabled.
{
  imports = [
    ./listener.nix
    ./nats.nix
    ./operator.nix
  ];
}
