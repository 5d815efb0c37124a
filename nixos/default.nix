# All modules; each does nothing until it is enabled.
{
  imports = [
    ./builder.nix
    ./flake-update.nix
    ./listener.nix
    ./monitoring.nix
    ./nats.nix
    ./notify.nix
    ./operator.nix
  ];
}
