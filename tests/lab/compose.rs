//! Hosts with Docker Compose: the unit for Debian, installed with the commands of docs/compose-start.md, and the unit that the NixOS
//! module generates, with the packages of that unit. Docker runs outside of the hosts, because it is not what is tested.

use crate::common::TestDir;
use crate::docker_daemon::Daemon;
use crate::evaluate::Library;
use crate::harness::{Closure, Host, LISTENER, Lab};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/compose-start.md";
const UNIT: &str = "docs/examples/homelab-deploy-compose.service";
/// The host that the page sets up.
const ON_HOST: &str = "root@chelsty";

/// Does not run as root, and has a mounted file of the repository and its own data. Compose waits until the file `ready` exists.
const WEB: &str = "services:
  gate:
    image: bb:1
    init: true
    network_mode: none
    restart: unless-stopped
    stop_grace_period: 0s
    volumes: ['/opt/homelab/data/web:/data']
    command: [sleep, '1000']
    healthcheck: { test: [CMD, test, '-e', /data/ready], interval: 300ms, timeout: 5s, retries: 1000 }
  app:
    image: bb:1
    init: true
    network_mode: none
    restart: unless-stopped
    stop_grace_period: 0s
    depends_on: { gate: { condition: service_healthy } }
    user: '1000'
    environment: { TOKEN: '${TOKEN:?}' }
    volumes: ['./page:/page:ro']
    command: [sleep, '1000']
    healthcheck: { test: [CMD, cat, /page], interval: 300ms, timeout: 5s, retries: 2 }
";
/// Its image is built by Compose.
const BUILT: &str = "services:
  app:
    build: .
    init: true
    network_mode: none
    restart: unless-stopped
    stop_grace_period: 0s
    command: [sleep, '1000']
";

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The settings of the host in the file that the page has the reader change.
fn settings(lab: &Lab) -> String {
    let (nats_url, repo_url) = (lab.nats.url(), lab.flake.url());
    let own = [
        ("HOST", "web1"),
        ("TIER", "test"),
        ("NATS_URL", &nats_url),
        ("REPO_URL", &repo_url),
        // The hosts share this machine's disk.
        ("MORE", "--role web --min-free 16MiB"),
    ];
    let line = |line: &str| {
        let own = line.split_once('=').and_then(|(name, _)| own.iter().find(|(own, _)| *own == name));
        own.map_or_else(|| line.to_owned(), |(name, value)| format!("{name}={value}")) + "\n"
    };
    text("docs/examples/compose.env").lines().map(line).collect()
}

/// Runs the commands of the page. Returns the text of the unit.
fn install_debian(lab: &Lab, host: &Host) -> String {
    let page = text(PAGE);
    let commands = page.lines().filter_map(|line| line.strip_prefix("    "));
    let mut copied = Vec::new();
    for command in commands {
        if let Some(files) = command.strip_prefix("scp ") {
            let (from, to) = files.split_once(&format!(" {ON_HOST}:")).expect("a file for the host");
            copied.push(from);
            match from {
                // The binary is there already.
                "target/x86_64-unknown-linux-musl/release/homelab-deploy" => {
                    assert_eq!(to, "/usr/local/bin/");
                    continue;
                }
                "chelsty.nkey" => host.lab_file("copied", &text(lab.nats.key("web1").to_str().unwrap())),
                "docs/examples/compose.env" => host.lab_file("copied", &settings(lab)),
                UNIT => host.lab_file("copied", &text(UNIT)),
                other => panic!("{PAGE} copies {other}, which this test does not know"),
            }
            host.sh(&format!("install -m 644 /lab/copied {to}"));
        } else if let Some(command) = command.strip_prefix(&format!("ssh {ON_HOST} ")) {
            host.sh(command);
        }
    }
    assert!(copied.contains(&UNIT), "{copied:?}");
    text(UNIT)
}

/// A host with git, docker and Compose, and the services `web` and `built`.
fn boot(lab: &Lab, daemon: &Daemon, opt: &Path) -> Host {
    for (path, content) in [
        ("inventory/topology.yaml", "nodes:\n  web1: { role: home }\n"),
        ("hosts/web1.yaml", "services:\n  web:\n  built: { after: [web] }\n"),
        ("services/web/docker-compose.yml", WEB),
        ("services/web/page", "one\n"),
        // It runs with the restrictions of the listener.
        ("services/web/healthcheck.sh", "docker version >/dev/null && ! touch /usr/hardened 2>/dev/null\n"),
        ("services/built/docker-compose.yml", BUILT),
        ("services/built/Dockerfile", "FROM bb:1\nCOPY version /version\n"),
        ("services/built/version", "one\n"),
    ] {
        lab.flake.write(path, content);
    }
    lab.flake.commit(&Closure::new("base").without_listener());
    let path = std::env::var_os("PATH").unwrap();
    let docker = std::env::split_paths(&path).map(|dir| dir.join("docker")).find(|file| file.exists());
    lab.host("web1")
        .bind(opt, "/opt")
        .bind(&daemon.socket(), "/run/docker.sock")
        .bind(&docker.expect("docker is installed"), "/usr/bin/docker")
        .bind(&daemon.compose_plugin(), "/usr/libexec/docker/cli-plugins/docker-compose")
        .boot()
}

/// Each setting of the unit whose value systemd shows as it is written.
fn assert_restricted(host: &Host, unit: &str) {
    let settings = unit.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let is_shown = |value: &str| ["true", "strict", "read-only", "process"].contains(&value);
    let mut count = 0;
    for (name, value) in settings.filter(|(name, value)| !name.starts_with("X-") && is_shown(value)) {
        let shown = host.sh(&format!("systemctl show --property={name} --value {LISTENER}"));
        assert_eq!(shown, value.replace("true", "yes"), "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
    let status = host.sh(&format!("cat /proc/{}/status", host.unit(LISTENER).pid));
    let has = |line: &str| status.lines().any(|field| field.replace('\t', " ") == line);
    assert!(has("NoNewPrivs: 1") && has("Seccomp: 2") && has("CapBnd: 000000000000000f"), "{status}");
}

/// The programs of Debian in the place of a package of nixpkgs; none if no service here needs them.
fn programs_of(package: &str) -> &'static str {
    match package {
        "bash" => "/usr/bin/bash /usr/bin/sh",
        "docker" => "/usr/bin/docker",
        "git" => "$(dpkg -L git | grep ^/usr/bin/)",
        "curl" | "nix" | "openssh" => "",
        other => panic!("the unit has {other} on its PATH, which this test does not know"),
    }
}

/// Installs the unit that the NixOS module generates, with only the packages of its PATH and those that NixOS adds to every unit.
/// Returns the text of the unit.
fn install_nixos(lab: &Lab, host: &Host) -> String {
    let settings = format!(
        "virtualisation.docker.enable = true;
         services.homelab-deploy.listener = {{
           enable = true; tier = \"test\"; role = \"web\"; minFree = \"16MiB\"; engine = \"compose\";
           natsUrl = \"{}\"; repoUrl = \"{}\"; nkeyFile = \"/run/keys/web1.nkey\";
         }};",
        lab.nats.url(),
        lab.flake.url()
    );
    let evaluated = Library::Little.evaluate(&settings);
    let unit = evaluated["units"]["homelab-deploy-listener"].as_str().unwrap();
    let between = |start: &str, end: &str| unit.split_once(start).unwrap().1.split_once(end).unwrap().0;
    for dir in between("\"PATH=", "\"").split(':') {
        let package = dir.strip_suffix("/bin").unwrap().rsplit_once('-').unwrap().1;
        let programs = programs_of(package);
        host.sh(&format!("mkdir -p {dir} && for file in {programs}; do ln -s $file {dir}; done"));
    }
    // NixOS adds these packages.
    let added = "/nix/store/added/bin";
    let packages = "coreutils findutils grep sed systemd";
    host.sh(&format!("mkdir -p {added} && ln -s $(dpkg -L {packages} | grep ^/usr/bin/) {added}"));
    let program = between("ExecStart=", " ");
    let text = unit.replace(program, "/usr/local/bin/homelab-deploy");
    let text = text.replace("\"PATH=", &format!("\"PATH={added}:"));
    host.lab_file("unit", &text);
    host.lab_file("tmpfiles", evaluated["tmpfiles"].as_array().unwrap()[0].as_str().unwrap());
    host.sh(
        "install -D -m 400 /lab/keys/host /run/keys/web1.nkey && systemd-tmpfiles --create /lab/tmpfiles",
    );
    host.sh(&format!(
        "install -m 644 /lab/unit /etc/systemd/system/{LISTENER} && systemctl enable --now {LISTENER}"
    ));
    text
}

fn components(report: &Value) -> Vec<(&str, &str)> {
    let components = report["components"].as_array().unwrap().iter();
    components.map(|one| (one["name"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

/// Deploys to a host whose unit `install` installs.
fn deploys(install: fn(&Lab, &Host) -> String) {
    let opt = TestDir::new();
    let Some(daemon) = Daemon::sharing_opt(opt.path()) else { return };
    let lab = Lab::with(&Closure::new("base").without_listener());
    let host = boot(&lab, &daemon, opt.path());
    let unit = install(&lab, &host);
    lab.online("web1");
    assert_restricted(&host, &unit);
    host.sh("cd /opt/homelab && install -d config/web data/web && umask 077 && echo TOKEN=of-the-host >config/web/.env");
    let ready = opt.path().join("homelab/data/web/ready");
    fs::write(&ready, "").unwrap();

    let report = lab.request("web1", "c-1", &json!({})).final_report();
    let log =
        |id: &str| fs::read_to_string(host.on_disk(&format!("state/jobs/{id}/log"))).unwrap_or_default();
    assert_eq!(report["status"], "completed", "{report:#}\n{}", log("c-1"));
    assert_eq!(components(&report), [("web", "done"), ("built", "done")]);
    let page = || daemon.docker(&["exec", "web-app-1", "cat", "/page"]);
    let version = || daemon.docker(&["exec", "built-app-1", "cat", "/version"]);
    assert_eq!((page().as_str(), version().as_str()), ("one", "one"));
    assert_eq!(host.sh("cat /opt/homelab/state/deploy/last_service"), "built");

    // A restart of the unit does not end Compose, and the next listener continues.
    lab.flake.write("services/web/docker-compose.yml", &WEB.replace("bb:1", "bb:2"));
    lab.flake.write("services/built/version", "two\n");
    lab.flake.commit(&Closure::new("base").without_listener());
    fs::remove_file(&ready).unwrap();
    let reports = lab.request("web1", "c-2", &json!({}));
    host.wait_for_log("c-2", "web: Container web-gate-1  Waiting");
    host.sh(&format!("systemctl restart {LISTENER}"));
    host.wait_for_log("c-2", "waiting for the docker compose of the earlier listener");
    fs::write(&ready, "").unwrap();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report:#}\n{}", log("c-2"));
    assert_eq!(components(&report), [("web", "done"), ("built", "done")]);
    assert_eq!(version(), "two");

    // The services go back.
    let images = || ["web-app-1", "built-app-1"].map(|name| daemon.inspect(name, "{{.Image}}"));
    let before = images();
    lab.flake.write("services/web/page", "three\n");
    let unhealthy = "    healthcheck: { test: [CMD, 'false'], interval: 300ms, retries: 2 }\n";
    lab.flake.write("services/built/docker-compose.yml", &format!("{BUILT}{unhealthy}"));
    lab.flake.commit(&Closure::new("base").without_listener());
    let report = lab.request("web1", "c-3", &json!({})).final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("activation_failed"), &json!(true)),
        "{report:#}\n{}",
        log("c-3")
    );
    assert_eq!(images(), before);
    assert_eq!((page().as_str(), version().as_str()), ("one", "two"));
    assert_eq!(host.failed_units(), [""; 0]);
}

#[test]
fn debian_host_deploys_services_with_the_unit_of_the_docs() {
    deploys(install_debian);
}

#[test]
fn nixos_host_deploys_services_with_the_unit_and_the_packages_of_the_module() {
    deploys(install_nixos);
}
