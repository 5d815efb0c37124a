//! `hosts`: hosts, their status and what they run.

use crate::common::{Gate, HostBuilder, NatsServer, Repo, RunningCommand, WAIT, operator, redacted, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_table_shows_the_state_of_each_host() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "{ }");
    let marker = r#"echo '@homelab-deploy {"phase":"build","done":1,"expected":3}'"#;
    let held = format!("{marker}\n{WAIT}");
    let builds = HostBuilder::new(&nats, "web1", "test", "web").script(&held).start();
    let gate = Gate::of(&builds);
    let _done = HostBuilder::new(&nats, "ns1", "prod", "dns").flake(&repo.url()).start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("exit 1").start();
    let _idle = HostBuilder::new(&nats, "ns2", "prod", "dns").start();
    let gone = HostBuilder::new(&nats, "web2", "test", "web").start();
    let mut deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    deploy.wait_for_line("build 1/3");
    drop(gone);
    run(operator(&nats, "admin").args(["deploy", "ns1", "--yes"]), 0);
    run(operator(&nats, "admin").args(["deploy", "db1"]), 1);

    let hosts = run(operator(&nats, "admin").arg("hosts"), 0);
    let commit = &repo.git(&["rev-parse", "HEAD"])[..7];
    insta::assert_snapshot!(redacted(&hosts.stdout, &builds).replace(commit, "<comm.>"));
    gate.pass();
    deploy.wait_for_exit(0);
}

#[test]
fn json_has_one_object_a_host() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").args(&["--presence-interval", "7"]).start();
    run(operator(&nats, "tester").args(["deploy", "web1", "--branch", "v2"]), 0);
    let hosts = run(operator(&nats, "tester").args(["hosts", "--output", "json"]), 0).json();
    let [host] = &hosts[..] else { panic!("{hosts:?}") };
    assert_eq!(host["presence"], "online");
    assert_eq!(host["name_conflict"], false);
    let host = &host["host"];
    assert_eq!([&host["name"], &host["tier"], &host["role"]], ["web1", "test", "web"]);
    assert_eq!(host["job"]["status"], "completed");
    assert_eq!(host["job"]["revision"], "v2");
    let answer = &host["answer"];
    assert_eq!(answer["interval_s"], 7);
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer["capabilities"], json!(["build", "cancel", "hold", "release"]));
    let subjects = json!(["deploy.test.web1", "deploy.test.all", "deploy.test.role.web"]);
    assert_eq!(answer["deploy_subjects"], subjects);
}

#[test]
fn tier_and_role_filter() {
    let nats = NatsServer::start();
    let _hosts = [("web1", "test", "web"), ("db1", "test", "db"), ("ns1", "prod", "dns")]
        .map(|(name, tier, role)| HostBuilder::new(&nats, name, tier, role).start());
    let names = |flags: &[&str]| -> Vec<String> {
        let listed = run(operator(&nats, "viewer").arg("hosts").args(flags), 0);
        let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        listed.stdout.lines().skip(1).map(first).collect()
    };
    assert_eq!(names(&[]), ["db1", "ns1", "web1"]);
    assert_eq!(names(&["--tier", "test"]), ["db1", "web1"]);
    assert_eq!(names(&["--role", "dns"]), ["ns1"]);
    assert_eq!(names(&["--tier", "test", "--role", "web"]), ["web1"]);
}

#[test]
fn no_hosts_end_with_exit_3() {
    let nats = NatsServer::start();
    let unanswered = run(operator(&nats, "viewer").arg("hosts"), 3);
    assert!(
        unanswered.stdout.starts_with("no host answered: check that a listener is running"),
        "{unanswered}"
    );
    let unanswered = run(operator(&nats, "viewer").args(["hosts", "--output", "json"]), 3);
    assert_eq!(unanswered.stdout, "");
}

#[test]
fn warnings_of_a_host_are_printed() {
    let nats = NatsServer::start();
    fs::set_permissions(nats.key("web1"), fs::Permissions::from_mode(0o644)).unwrap();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let hosts = run(operator(&nats, "viewer").arg("hosts"), 0);
    assert!(hosts.stdout.contains("\nnote: web1: the key file "), "{hosts}");
    assert!(hosts.stdout.contains("is readable by all users"), "{hosts}");
}
