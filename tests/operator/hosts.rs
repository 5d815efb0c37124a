//! Who is there, and what they run.

use crate::common::{Broker, Gate, HostBuilder, Repo, Running, WAIT, operator, redacted, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_table_tells_each_host_s_state() {
    let broker = Broker::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "{ }");
    let told = r#"echo '@homelab-deploy {"phase":"build","done":1,"expected":3}'"#;
    let held = format!("{told}\n{WAIT}");
    let builds = HostBuilder::new(&broker, "web1", "test", "web").script(&held).start();
    let gate = Gate::of(&builds);
    let _done = HostBuilder::new(&broker, "ns1", "prod", "dns").flake(&repo.url()).start();
    let _bad = HostBuilder::new(&broker, "db1", "test", "db").script("exit 1").start();
    let _idle = HostBuilder::new(&broker, "ns2", "prod", "dns").start();
    let gone = HostBuilder::new(&broker, "web2", "test", "web").start();
    let mut deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    deploy.says("build 1/3");
    drop(gone);
    run(operator(&broker, "admin").args(["deploy", "ns1", "--yes"]), 0);
    run(operator(&broker, "admin").args(["deploy", "db1"]), 1);

    let hosts = run(operator(&broker, "admin").arg("hosts"), 0);
    let commit = &repo.git(&["rev-parse", "HEAD"])[..7];
    insta::assert_snapshot!(redacted(&hosts.out, &builds).replace(commit, "<comm.>"));
    gate.pass();
    deploy.ended(0);
}

#[test]
fn json_has_one_object_a_host() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").args(&["--presence-interval", "7"]).start();
    run(operator(&broker, "tester").args(["deploy", "web1", "--branch", "v2"]), 0);
    let hosts = run(operator(&broker, "tester").args(["hosts", "--output", "json"]), 0).json();
    let [host] = &hosts[..] else { panic!("{hosts:?}") };
    assert_eq!(host["presence"], "online");
    assert_eq!(host["two_of_one_name"], false);
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
fn tier_and_role_choose() {
    let broker = Broker::start();
    let _hosts = [("web1", "test", "web"), ("db1", "test", "db"), ("ns1", "prod", "dns")]
        .map(|(name, tier, role)| HostBuilder::new(&broker, name, tier, role).start());
    let names = |flags: &[&str]| -> Vec<String> {
        let listed = run(operator(&broker, "viewer").arg("hosts").args(flags), 0);
        let first = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        listed.out.lines().skip(1).map(first).collect()
    };
    assert_eq!(names(&[]), ["db1", "ns1", "web1"]);
    assert_eq!(names(&["--tier", "test"]), ["db1", "web1"]);
    assert_eq!(names(&["--role", "dns"]), ["ns1"]);
    assert_eq!(names(&["--tier", "test", "--role", "web"]), ["web1"]);
}

#[test]
fn nobody_is_told_as_exit_3() {
    let broker = Broker::start();
    let nobody = run(operator(&broker, "viewer").arg("hosts"), 3);
    assert!(nobody.out.starts_with("no host answered; is a listener running"), "{nobody}");
    let nobody = run(operator(&broker, "viewer").args(["hosts", "--output", "json"]), 3);
    assert_eq!(nobody.out, "");
}

#[test]
fn warnings_of_a_host_are_told() {
    let broker = Broker::start();
    fs::set_permissions(broker.key("web1"), fs::Permissions::from_mode(0o644)).unwrap();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let hosts = run(operator(&broker, "viewer").arg("hosts"), 0);
    assert!(hosts.out.contains("\nnote: web1: the key file "), "{hosts}");
    assert!(hosts.out.contains("can be read by everybody"), "{hosts}");
}
