//! Complete JSON output of each command, with variable parts replaced.

use crate::common::{Host, HostBuilder, NatsServer, Repo, Signer, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};
use std::process::Command;

/// The output lines of a command as pretty JSON, with these replacements.
fn lines(command: &mut Command, code: i32, texts: &[(&str, &str)]) -> String {
    let mut lines = run(command.args(["--output", "json"]), code).json();
    lines.iter_mut().for_each(redact);
    // The number of heartbeats depends on timing.
    lines.retain(|line| line["value"]["status"] != "running");
    let text = lines.iter().map(|line| format!("{line:#}")).collect::<Vec<_>>().join("\n");
    texts.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // Failed units are those of the machine that runs the test.
            fields.remove("failed_units");
            for (name, value) in fields {
                match (name.as_str(), &*value) {
                    ("id" | "running_job", Value::String(_)) => *value = json!("ID"),
                    ("at" | "last_seen" | "booted_at" | "deployed_at", Value::String(_)) => {
                        *value = json!("TIME");
                    }
                    ("instance" | "version" | "os_version", Value::String(_)) => {
                        *value = json!(name.to_uppercase());
                    }
                    ("instances", _) => *value = json!([["INSTANCE", "TIME"]]),
                    ("issuer", Value::String(issuer)) => {
                        *value = json!(format!("{}@MACHINE", issuer.split('@').next().unwrap()));
                    }
                    (
                        "elapsed_ms" | "seq" | "offset" | "nix_free_bytes" | "boot_free_bytes"
                        | "state_free_bytes",
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

fn host(nats: &NatsServer, repo: &Repo, name: &str, script: &str) -> Host {
    HostBuilder::new(nats, name, "test", "web").flake(&repo.url()).script(script).start()
}

#[test]
fn the_json_of_queries_and_deployments_is_stable() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let build = "echo '@homelab-deploy {\"phase\":\"build\"}'\necho building\n";
    let good = host(&nats, &repo, "web1", build);
    let bad = host(&nats, &repo, "web2", &format!("{build}echo no space >&2; exit 3"));
    let directories = [&good, &bad].map(|host| host.dir().to_str().unwrap());
    let url = repo.url();
    let keys = ["web1", "web2"].map(|host| Signer::of(host).key());
    let texts = [
        (directories[0], "$DIR"),
        (directories[1], "$DIR"),
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
        insta::assert_snapshot!(name, lines(operator(&nats, "tester").args(args), code, &texts));
    }
}

#[test]
fn the_json_of_a_stopped_rollout_is_stable() {
    let nats = NatsServer::start();
    let members = [("web1", Behavior::Completes), ("web2", Behavior::Fails), ("web3", Behavior::Completes)];
    let members = members.map(|(name, how)| FakeHost::new(name, "web", how).with("reboot_needed", true));
    let _fake_hosts = FakeHosts::start(&nats, members.into());
    let all = ["--all", "--tier", "test", "--canary", "web1", "--batch", "1"];
    let mut deploy = operator(&nats, "everything");
    insta::assert_snapshot!("deploy-batches", lines(deploy.args(["deploy", "--no-pin"]).args(all), 1, &[]));
    let mut reboot = operator(&nats, "everything");
    insta::assert_snapshot!("reboot", lines(reboot.args(["reboot", "--needed"]), 1, &[]));
}
