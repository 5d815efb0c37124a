# A test with three virtual machines, a NATS server and two hosts: it discovers, deploys and scrapes the hosts, and covers an automatic
# rollback and a manual one. For `pkgs.testers.runNixOSTest`; it needs hardware virtualisation.
{ module }:
{ lib, pkgs, ... }:

let
  # Keys in the format of `homelab-deploy keys new`. They are public, and only for this test.
  keys = {
    host1 = {
      seed = "SUADGD2JSYLH7ZDBHJG4PWV7XV7MIPFY3YEAEZ5TZHKUB4ZTWLHH7VYM5Y";
      publicKey = "UBB3MH6C73Y22Y727SUA4MJDEJHRYAS2C2ZAUKF2EOYX7MUV2HEAISII";
    };
    host2 = {
      seed = "SUAE5JC25YJPD6EFPK3KSYFO7F4M5OV2A5GFELAOA4BN3WNWVX5DVCPIJE";
      publicKey = "UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN";
    };
    operator = {
      seed = "SUAC3VA6VSNR7WPDIVK5RMZYU72CB3ZSDQ7H6TJB6DENKU75KVWHQVETUE";
      publicKey = "UAQJ3KB67Q32YGOFMSJJFG6SHQ46CR6YCCUNWGWDPNZ27OZON6KQIZGR";
    };
  };
  keyFile = name: pkgs.writeText "${name}.nkey" "${keys.${name}.seed}\n";
  system = pkgs.stdenv.hostPlatform.system;

  host =
    name:
    { config, ... }:
    {
      imports = [ module ];
      # Test machines cannot be switched by default.
      system.switch.enable = true;
      virtualisation.writableStore = true;
      nix.settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        substituters = lib.mkForce [ ];
        # The closures below refer to store paths that are not inputs of their builds.
        sandbox = false;
      };
      environment.systemPackages = [ pkgs.gitMinimal ];
      # The module refuses keys in the store, so the key is installed like a secret.
      systemd.tmpfiles.rules = [ "C /run/keys/${name}.nkey 0400 root root - ${keyFile name}" ];
      systemd.services.homelab-deploy-listener.after = [ "systemd-tmpfiles-setup.service" ];
      services.homelab-deploy.listener = {
        enable = true;
        hostname = name;
        tier = "test";
        role = "web";
        natsUrl = "nats://server:4222";
        nkeyFile = "/run/keys/${name}.nkey";
        flakeUrl = "git+file:///srv/fleet";
        metrics = {
          enable = true;
          openFirewall = true;
        };
        extraArgs = [
          "--min-free"
          "16MiB"
        ];
      };
      # The systems that the flake deploys.
      specialisation = {
        next.configuration.environment.etc."release".text = "next";
        broken.configuration.systemd.services.broken = {
          wantedBy = [ "multi-user.target" ];
          serviceConfig.ExecStart = "${pkgs.coreutils}/bin/false";
        };
      };
    };

  # A flake whose host closures are copies of closures that are already in the store: virtual machines have no access to a cache, so
  # nothing can be built from nixpkgs there. Store paths have equal length, so sed can replace them in place.
  flake =
    toplevels:
    let
      copy =
        name: toplevel:
        ''
          nixosConfigurations.${name}.config.system.build.toplevel = derivation {
            name = "${toplevel.name}";
            system = "${system}";
            builder = "${pkgs.bash}/bin/bash";
            PATH = "${lib.makeBinPath [ pkgs.coreutils pkgs.gnused pkgs.findutils ]}";
            args = [
              "-euc"
              "cp -a ${toplevel}/. $out; chmod -R u+w $out; find $out -type f -exec sed -i s,${toplevel},$out,g {} +"
            ];
          };
        '';
    in
    pkgs.writeTextDir "flake.nix" ''
      {
        outputs = _: {
          ${lib.concatStrings (lib.mapAttrsToList copy toplevels)}
        };
      }
    '';
in
{
  name = "homelab-deploy";

  nodes = {
    host1 = host "host1";
    host2 = host "host2";

    server = {
      imports = [ module ];
      networking.firewall.allowedTCPPorts = [ 4222 ];
      services.nats.settings.host = lib.mkForce "0.0.0.0";
      services.homelab-deploy.nats = {
        enable = true;
        hosts = lib.genAttrs [ "host1" "host2" ] (name: {
          tier = "test";
          role = "web";
          inherit (keys.${name}) publicKey;
        });
        operators.alice = {
          kind = "deployer";
          tiers = [ "test" ];
          inherit (keys.operator) publicKey;
        };
      };
      systemd.tmpfiles.rules = [ "C /run/keys/operator.nkey 0400 root root - ${keyFile "operator"}" ];
      services.homelab-deploy.operator = {
        enable = true;
        settings.contexts.test = {
          nats_url = "nats://127.0.0.1:4222";
          nkey_file = "/run/keys/operator.nkey";
          branch = "main";
        };
      };
    };
  };

  testScript =
    { nodes, ... }:
    let
      of = name: lib.mapAttrs (_: node: node.specialisation.${name}.configuration.system.build.toplevel) {
        inherit (nodes) host1 host2;
      };
    in
    ''
      import json

      hosts = [host1, host2]


      def commit(flake):
          for host in hosts:
              host.succeed(
                  "mkdir -p /srv/fleet && cd /srv/fleet && git init -q -b main . && "
                  f"cp -f {flake}/flake.nix . && git add . && "
                  "git -c user.name=t -c user.email=t@example.org commit -q -m next"
              )


      start_all()
      server.wait_for_unit("nats.service")
      server.wait_for_open_port(4222)
      for host in hosts:
          host.wait_for_unit("homelab-deploy-listener.service")
          # Virtual machines boot without a system profile, but a rollback needs a previous generation.
          host.succeed("nix-env -p /nix/var/nix/profiles/system --set $(readlink -f /run/current-system)")

      with subtest("systemctl status shows the state of a listener"):
          for host in hosts:
              host.wait_until_succeeds(
                  "systemctl status homelab-deploy-listener.service | grep 'Status: \"connected to nats://server:4222; idle\"'"
              )

      with subtest("both hosts are discovered"):
          output = server.succeed("homelab-deploy hosts --output json")
          assert "host1" in output and "host2" in output, output

      with subtest("a revision is deployed"):
          commit("${flake (of "next")}")
          server.succeed("homelab-deploy deploy --role web --tier test --yes >&2")
          for host in hosts:
              host.succeed("grep next /etc/release")
              host.wait_for_unit("homelab-deploy-listener.service")

      with subtest("the metrics count the deployment across the restart of the listener"):
          for name in ["host1", "host2"]:
              page = server.succeed(f"${lib.getExe pkgs.curl} -fsS http://{name}:9972/metrics")
              counted = [
                  line
                  for line in page.splitlines()
                  if line.startswith("homelab_deploy_deployments_total{")
                  and 'status="completed"' in line
                  and 'action="switch"' in line
              ]
              assert counted and counted[0].endswith(" 1"), counted
              server.succeed(f"${lib.getExe pkgs.curl} -fsS http://{name}:9972/health")

      with subtest("a system with a failing unit is rolled back automatically"):
          commit("${flake (of "broken")}")
          status, output = server.execute("homelab-deploy deploy host1 --yes --output json 2>&1")
          assert status == 1, f"{status}: {output}"
          assert "rolled_back" in output and "broken.service" in output, output
          host1.succeed("grep next /etc/release")
          host1.fail("systemctl is-active broken.service")

      with subtest("a host is rolled back to the previous generation"):
          server.succeed("homelab-deploy rollback host2 --yes >&2")
          host2.fail("grep next /etc/release")
          assert json.loads(server.succeed("homelab-deploy history host2 --limit 1 --output json").splitlines()[0])
    '';
}
