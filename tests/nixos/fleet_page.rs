//! Every code block on the page about fleets is a part of the template, or is evaluated, or is a command that a shell can parse.

use crate::builder::BUILDER;
use crate::common::run;
use crate::evaluate::{LISTENER, Library, file, nix_instantiate};
use crate::unit_text::settings;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A page of the documentation.
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        Self(fs::read_to_string(file(name)).unwrap())
    }

    /// The blocks of nix, each with the comment before it.
    pub(crate) fn blocks(&self) -> Vec<(&str, &str)> {
        let block = |text: &str| text.find("\n```\n").unwrap();
        let parts: Vec<_> = self.0.split("```nix\n").collect();
        let marked = parts.windows(2).map(|parts| {
            let mark = parts[0].trim_end().rsplit('\n').next().unwrap();
            let mark = mark.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->"));
            (mark.unwrap_or_else(|| panic!("no mark before {}", parts[1])), &parts[1][..block(parts[1])])
        });
        marked.collect()
    }

    /// The only block with this mark.
    pub(crate) fn block(&self, mark: &str) -> String {
        let blocks: Vec<_> = self.blocks().into_iter().filter(|(found, _)| *found == mark).collect();
        let [(_, block)] = blocks[..] else { panic!("{mark}: {blocks:?}") };
        block.to_owned()
    }

    /// The only block with this mark that contains `part`.
    pub(crate) fn block_with(&self, mark: &str, part: &str) -> String {
        let mut blocks = self.blocks();
        blocks.retain(|(found, block)| *found == mark && block.contains(part));
        let [(_, block)] = blocks[..] else { panic!("{mark}: {blocks:?}") };
        block.to_owned()
    }

    /// The blocks of commands.
    fn commands(&self) -> Vec<String> {
        let mut commands = vec![String::new()];
        // Fenced blocks are nix.
        let prose = self.0.split("```").step_by(2).flat_map(str::lines);
        for line in prose {
            match line.strip_prefix("    ") {
                Some(command) => *commands.last_mut().unwrap() += &(command.trim_start().to_owned() + "\n"),
                None => commands.push(String::new()),
            }
        }
        commands.retain(|command| !command.is_empty());
        commands
    }
}

fn page() -> Page {
    Page::read("docs/nixos-fleet.md")
}

/// Evaluates a host with a block; `fleet` is a stand-in for the result of `lib.fleet`.
fn host(library: &Library, listener: &str, block: &str) -> Value {
    library.evaluate(&format!(
        "imports = [ {} ({{ config, ... }}: let fleet = {{ targets = [ \"ns1:9972\" ]; }}; in {{ {block} }}) ]; {listener}",
        stand_ins()
    ))
}

/// The module with stand-ins for the options of other projects that the pages set.
pub(crate) fn stand_ins() -> String {
    file("tests/nixos/fleet_page.nix").display().to_string()
}

#[test]
fn quotes_of_the_template_exist() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown = 0;
    for (mark, block) in page().blocks() {
        if let Some(name) = mark.strip_prefix("template ") {
            let text = fs::read_to_string(file("templates/fleet").join(name)).unwrap();
            assert!(words(&text).contains(&words(block)), "{name} has no\n{block}");
            shown += 1;
        }
    }
    assert_eq!(shown, 4);
}

#[test]
fn every_block_is_tested() {
    const TRIED: [&str; 7] =
        ["home", "mac", "host", "host acme", "host monitoring", "host impermanence", "without flakes"];
    let page = page();
    let marks: Vec<_> = page.blocks().into_iter().map(|(mark, _)| mark).collect();
    let tried = |mark: &&str| mark.starts_with("template ") || TRIED.contains(mark);
    assert!(marks.iter().all(tried), "{marks:?}");
    assert_eq!(marks.iter().filter(|mark| **mark == "host").count(), 3, "agenix, sops-nix and the firewall");
    let commands = page.commands();
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        run(Command::new("sh").args(["-n", "-c", &command]), 0);
    }
}

#[test]
fn secrets_reach_the_listener() {
    let listener = LISTENER.replace("nkeyFile = \"/run/keys/web1.nkey\";", "");
    assert_ne!(listener, LISTENER);
    for library in Library::all() {
        for (tool, credential) in
            [("age.secrets", "/run/agenix/listener"), ("sops.secrets", "/run/secrets/listener")]
        {
            let host = host(&library, &listener, &page().block_with("host", tool));
            let unit = settings(host["units"]["homelab-deploy-listener"].as_str().unwrap());
            let setting = |section: &str, key: &str| unit[&(section.to_owned(), key.to_owned())].clone();
            assert_eq!(setting("Service", "LoadCredential"), [format!("nkey:{credential}")], "{library:?}");
            let waits = setting("Unit", "After")[0].contains("sops-install-secrets.service");
            assert_eq!(waits, tool == "sops.secrets");
        }
    }
}

#[test]
fn the_firewall_is_opened_for_the_server() {
    for library in Library::all() {
        let host = host(&library, "", &page().block_with("host", "4222"));
        assert_eq!(host["ports"], json!([4222]));
    }
}

#[test]
fn the_server_can_read_the_certificate_and_has_the_other_settings() {
    let server = "services.homelab-deploy.nats = { enable = true; operators.admin = { kind = \"admin\"; publicKey = \
                  \"UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN\"; }; };";
    for library in Library::all() {
        let host = host(&library, server, &page().block("host acme"));
        let nats = &host["nats"];
        assert_eq!(nats["validateConfig"], false);
        assert_eq!(host["ports"], json!([80, 4222]), "{library:?}");
        let unit = settings(host["units"]["nats"].as_str().unwrap());
        let after = &unit[&("Unit".to_owned(), "After".to_owned())];
        assert_eq!(after, &["acme-nats.example.org.service"]);
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("nats.json");
        fs::write(&configuration, nats["settings"].to_string()).unwrap();
        let check = Command::new("nats-server").arg("-t").arg("-c").arg(&configuration).output().unwrap();
        let objection = String::from_utf8(check.stderr).unwrap();
        let missing = "open /var/lib/acme/nats.example.org/fullchain.pem: no such file or directory";
        assert!(objection.trim().ends_with(missing) && objection.trim().lines().count() == 1, "{objection}");
    }
}

#[test]
fn prometheus_and_grafana_have_what_they_need() {
    for library in Library::all() {
        let host = host(&library, "", &page().block("host monitoring"));
        let targets = &host["prometheus"]["scrapeConfigs"][0]["static_configs"][0]["targets"];
        assert_eq!(targets, &json!(["ns1:9972"]));
        let provision = &host["grafana"]["provision"];
        assert_eq!(provision["datasources"]["settings"]["datasources"][0]["type"], "prometheus");
        assert_eq!(provision["dashboards"]["settings"]["providers"][0]["name"], "homelab-deploy");
        let key = &host["grafana"]["settings"]["security"]["secret_key"];
        assert_eq!(key, "$__file{/run/keys/grafana-secret-key}");
    }
}

#[test]
fn backups_cover_the_state_of_every_service() {
    let update = "services.homelab-deploy.flakeUpdate = { enable = true; repo = \"https://h/a/b\"; };";
    for library in Library::all() {
        let services = format!("{LISTENER} {BUILDER} {update}");
        let host = host(&library, &services, &page().block("host impermanence"));
        let of = |service: &str| {
            let unit = settings(host["units"][format!("homelab-deploy-{service}")].as_str().unwrap());
            move |key: &str| unit.get(&("Service".to_owned(), key.to_owned())).map(|values| values[0].clone())
        };
        let listener = of("listener");
        assert_eq!(listener("DynamicUser"), None);
        let directory = format!("/var/lib/{}", listener("StateDirectory").unwrap());
        let kept = json!([
            {"directory": directory, "mode": listener("StateDirectoryMode").unwrap()},
            // systemd keeps the state of dynamic users here, with this mode.
            {"directory": "/var/lib/private", "mode": "0700"},
            // The time stamps of timers with `Persistent=`.
            "/var/lib/systemd/timers",
        ]);
        assert_eq!(host["persistence"]["/persist"]["directories"], kept);
        let text = fs::read_to_string(file("docs/nixos-fleet.md")).unwrap();
        for service in ["builder", "flake-update"] {
            let setting = of(service);
            assert_eq!(setting("DynamicUser").as_deref(), Some("true"));
            let directory = setting("StateDirectory").unwrap();
            assert!(text.contains(&format!("`{directory}` with ")), "{directory}");
        }
        let timer = &host["timers"]["homelab-deploy-flake-update"]["timerConfig"];
        assert_eq!(timer["Persistent"], true);
    }
}

#[test]
fn it_works_without_flakes() {
    let block = page().block("without flakes");
    let module = block.replace("./homelab-deploy", env!("CARGO_MANIFEST_DIR"));
    assert_ne!(module, block);
    for library in Library::all() {
        let expression = format!(
            "(import {} {{ lib = {}; modules = [ ({module}) ]; settings = {{ {LISTENER} }}; }}).failed",
            file("tests/nixos/eval.nix").display(),
            library.expression()
        );
        let output =
            nix_instantiate().args(["--eval", "--strict", "--json", "--expr", &expression]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.trim_ascii(), b"[]");
    }
}
