//! What programs read, whole: the JSON of each command, with what differs from run to run made the same.

use crate::common::{Broker, Host, HostBuilder, Repo, Signer, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};
use std::process::Command;

/// The lines of a command, each as pretty JSON, with these texts as others.
fn lines(command: &mut Command, code: i32, texts: &[(&str, &str)]) -> String {
    let mut lines = run(command.args(["--output", "json"]), code).json();
    lines.iter_mut().for_each(redact);
    // How often a job tells of itself while it runs is a matter of time.
    lines.retain(|line| line["value"]["status"] != "running");
    let text = lines.iter().map(|line| format!("{line:#}")).collect::<Vec<_>>().join("\n");
    texts.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // Of this machine, where it has a service manager.
            fields.remove("failed_units");
            for (name, value) in fields {
                match (name.as_str(), &*value) {
                    ("id" | "running_job", Value::String(_)) => *value = json!("ID"),
                    ("at" | "seen" | "boot_at", Value::String(_)) => *value = json!("TIME"),
                    ("instance" | "version" | "os_version", Value::String(_)) => {
                        *value = json!(name.to_uppercase());
                    }
                    ("instances", _) => *value = json!([["INSTANCE", "TIME"]]),
                    ("issuer", Value::String(issuer)) => {
                        *value = json!(format!("{}@MACHINE", issuer.split('@').next().unwrap()));
                    }
                    (
                        "elapsed_ms" | "seq" | "offset" | "nix_free_bytes" | "boot_free_bytes",
                        Value::Number(_),
                    ) => {
                        *value = json!(0);
                    }
                    _ => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

fn host(broker: &Broker, repo: &Repo, name: &str, script: &str) -> Host {
    HostBuilder::new(broker, name, "test", "web").flake(&repo.url()).script(script).start()
}

#[test]
fn of_commands_that_ask_and_deploy() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let build = "echo '@homelab-deploy {\"phase\":\"build\"}'\necho building\n";
    let good = host(&broker, &repo, "web1", build);
    let bad = host(&broker, &repo, "web2", &format!("{build}echo no space >&2; exit 3"));
    let folders = [&good, &bad].map(|host| host.folder().to_str().unwrap());
    let url = repo.url();
    let keys = ["web1", "web2"].map(|host| Signer::of(host).key());
    let texts = [
        (folders[0], "$DIR"),
        (folders[1], "$DIR"),
        (url.as_str(), "FLAKE"),
        (head.as_str(), "COMMIT"),
        (keys[0].as_str(), "KEY1"),
        (keys[1].as_str(), "KEY2"),
    ];
    for (name, args, code) in [
        ("deploy", &["deploy", "web1"][..], 0),
        ("deploy-failed", &["deploy", "web2"], 1),
        ("hosts", &["hosts"], 0),
        ("status", &["status", "web1"], 0),
        ("history", &["history"], 0),
        ("logs", &["logs", "web1"], 0),
    ] {
        insta::assert_snapshot!(name, lines(operator(&broker, "tester").args(args), code, &texts));
    }
}

#[test]
fn of_waves_that_stop() {
    let broker = Broker::start();
    let members = [("web1", How::Completes), ("web2", How::Fails), ("web3", How::Completes)];
    let members = members.map(|(name, how)| Member::new(name, "web", how).with("reboot_needed", true));
    let _crowd = Crowd::start(&broker, members.into());
    let all = ["--all", "--tier", "test", "--canary", "web1", "--batch", "1"];
    let mut deploy = operator(&broker, "everything");
    insta::assert_snapshot!("deploy-waves", lines(deploy.args(["deploy", "--no-pin"]).args(all), 1, &[]));
    let mut reboot = operator(&broker, "everything");
    insta::assert_snapshot!("reboot", lines(reboot.args(["reboot", "--needed"]), 1, &[]));
}
