//! Pinning: all hosts build the same commit even if the branch changes during the deployment.

use crate::common::{
    CommandOutput, Gate, Host, HostBuilder, NatsServer, Repo, RunningCommand, hold_in_phase, operator, run,
};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};
use std::process::Command;

fn host(nats: &NatsServer, repo: &Repo, name: &str, script: &str) -> Host {
    HostBuilder::new(nats, name, "test", "web").flake(&repo.url()).script(script).start()
}

fn deploy(nats: &NatsServer, args: &[&str]) -> Command {
    let mut command = operator(nats, "tester");
    command.args(["deploy", "web1", "web2", "--output", "json"]).args(args);
    command
}

fn commits(ended: &CommandOutput) -> Vec<Value> {
    let result = ended.json().pop().unwrap();
    let hosts = result["value"]["hosts"].as_array().unwrap().iter();
    hosts.map(|host| host["report"]["commit"].clone()).collect()
}

#[test]
fn batches_pin_the_commit_unless_no_pin_is_given() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let mut old = repo.commit("flake.nix", "old");
    let first = host(&nats, &repo, "web1", &hold_in_phase("build"));
    let _second = host(&nats, &repo, "web2", "");
    let gate = Gate::of(&first);
    for (flags, pinned) in [(&["--batch", "1"][..], true), (&["--batch", "1", "--no-pin"], false)] {
        let mut running = RunningCommand::start(&mut deploy(&nats, flags));
        running.wait_for_json(|line| line["value"]["phases"][1]["state"] == "running");
        let new = repo.commit("flake.nix", &format!("new {pinned}"));
        gate.pass();
        let then = if pinned { &old } else { &new };
        assert_eq!(commits(&running.wait_for_exit(0)), [json!(old), json!(then)]);
        old = new;
    }
}

#[test]
fn without_batches_pinning_needs_the_flag() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let answer = |name| FakeHost::new(name, "web", Behavior::Completes).with("flake_url", repo.url());
    let fake_hosts = FakeHosts::start(&nats, vec![answer("web1"), answer("web2")]);
    let sent = |flags: &[&str]| {
        run(deploy(&nats, flags).env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything")), 0);
        [fake_hosts.request().1, fake_hosts.request().1]
            .map(|request| (request["commit"].clone(), request["revision"].clone()))
    };
    let (branch, commit) = (json!("master"), json!(head));
    assert_eq!(sent(&[]), [(Value::Null, branch.clone()), (Value::Null, branch.clone())]);
    assert_eq!(sent(&["--pin"]), [(commit.clone(), branch.clone()), (commit.clone(), branch)]);
    // A commit is not looked up.
    assert_eq!(sent(&["--pin", "--branch", &head]), [(Value::Null, commit.clone()), (Value::Null, commit)]);
}

#[test]
fn a_listener_without_commit_support_gets_the_commit_as_revision() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let ours = FakeHost::new("web1", "web", Behavior::Completes).with("flake_url", repo.url());
    let base = FakeHost::new("web2", "web", Behavior::Completes).with("version", Value::Null);
    let fake_hosts = FakeHosts::start(&nats, vec![ours, base]);
    run(deploy(&nats, &["--pin"]).env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything")), 0);
    let (first, second) = (fake_hosts.request().1, fake_hosts.request().1);
    assert_eq!([&first["revision"], &first["commit"]], [&json!("master"), &json!(head)]);
    assert_eq!(second["revision"], json!(head));
}

#[test]
fn a_deployment_that_cannot_be_pinned_is_not_sent() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let other = Repo::new();
    other.commit("flake.nix", "head");
    let member = |name| FakeHost::new(name, "web", Behavior::Completes);
    let gone = format!("{}-gone", repo.url());
    for (first, second, expected) in [
        (
            Value::Null,
            Value::Null,
            "failed to pin master to a commit: no flake URL is known for web1 or any other host".to_owned(),
        ),
        (json!(repo.url()), json!(gone), format!("failed to look up \"master\" in {gone}")),
    ] {
        let members = vec![member("web1").with("flake_url", first), member("web2").with("flake_url", second)];
        let fake_hosts = FakeHosts::start(&nats, members);
        let mut command = deploy(&nats, &["--batch", "1"]);
        let refused = run(command.env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything")), 2);
        refused.assert_stderr(&[&expected, "nothing was sent. With --no-pin, each host looks it up itself"]);
        assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    }
    run(&mut deploy(&nats, &["--pin", "--no-pin"]), 2).assert_stderr(&["--pin", "--no-pin"]);
}
