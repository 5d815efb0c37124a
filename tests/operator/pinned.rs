//! Pinning: every host builds the same commit, though the branch moves meanwhile.

use crate::common::{Broker, Ended, Gate, Host, HostBuilder, Repo, Running, held_in, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};
use std::process::Command;

fn host(broker: &Broker, repo: &Repo, name: &str, script: &str) -> Host {
    HostBuilder::new(broker, name, "test", "web").flake(&repo.url()).script(script).start()
}

fn deploy(broker: &Broker, args: &[&str]) -> Command {
    let mut command = operator(broker, "tester");
    command.args(["deploy", "web1", "web2", "--output", "json"]).args(args);
    command
}

fn commits(ended: &Ended) -> Vec<Value> {
    let result = ended.json().pop().unwrap();
    let hosts = result["value"]["hosts"].as_array().unwrap().iter();
    hosts.map(|host| host["report"]["commit"].clone()).collect()
}

#[test]
fn in_waves_every_host_builds_the_commit_of_the_beginning_unless_that_is_not_wanted() {
    let broker = Broker::start();
    let repo = Repo::new();
    let mut old = repo.commit("flake.nix", "old");
    let first = host(&broker, &repo, "web1", &held_in("build"));
    let _second = host(&broker, &repo, "web2", "");
    let gate = Gate::of(&first);
    for (flags, pinned) in [(&["--batch", "1"][..], true), (&["--batch", "1", "--no-pin"], false)] {
        let mut running = Running::start(&mut deploy(&broker, flags));
        running.tells(|line| line["value"]["phases"][1]["state"] == "running");
        let new = repo.commit("flake.nix", &format!("new {pinned}"));
        gate.pass();
        let then = if pinned { &old } else { &new };
        assert_eq!(commits(&running.ended(0)), [json!(old), json!(then)]);
        old = new;
    }
}

#[test]
fn without_waves_pinning_is_asked_for() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let answer = |name| Member::new(name, "web", How::Completes).with("flake_url", repo.url());
    let crowd = Crowd::start(&broker, vec![answer("web1"), answer("web2")]);
    let sent = |flags: &[&str]| {
        run(deploy(&broker, flags).env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything")), 0);
        [crowd.request().1, crowd.request().1]
            .map(|request| (request["commit"].clone(), request["revision"].clone()))
    };
    let (branch, commit) = (json!("master"), json!(head));
    assert_eq!(sent(&[]), [(Value::Null, branch.clone()), (Value::Null, branch.clone())]);
    assert_eq!(sent(&["--pin"]), [(commit.clone(), branch.clone()), (commit.clone(), branch)]);
    // What is a commit already needs no looking up.
    assert_eq!(sent(&["--pin", "--branch", &head]), [(Value::Null, commit.clone()), (Value::Null, commit)]);
}

#[test]
fn a_listener_that_knows_nothing_of_commits_gets_it_as_the_revision() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let ours = Member::new("web1", "web", How::Completes).with("flake_url", repo.url());
    let base = Member::new("web2", "web", How::Completes).with("version", Value::Null);
    let crowd = Crowd::start(&broker, vec![ours, base]);
    run(deploy(&broker, &["--pin"]).env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything")), 0);
    let (first, second) = (crowd.request().1, crowd.request().1);
    assert_eq!([&first["revision"], &first["commit"]], [&json!("master"), &json!(head)]);
    assert_eq!(second["revision"], json!(head));
}

#[test]
fn what_cannot_be_pinned_is_not_sent() {
    let broker = Broker::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let other = Repo::new();
    other.commit("flake.nix", "head");
    let member = |name| Member::new(name, "web", How::Completes);
    let gone = format!("{}-gone", repo.url());
    for (first, second, said) in [
        (Value::Null, Value::Null, "master could not be pinned to a commit: web1 tells no flake URL, nor does any other of the hosts".to_owned()),
        (json!(repo.url()), json!(gone), format!("could not look up \"master\" in {gone}")),
    ] {
        let members = vec![member("web1").with("flake_url", first), member("web2").with("flake_url", second)];
        let crowd = Crowd::start(&broker, members);
        let mut command = deploy(&broker, &["--batch", "1"]);
        let refused = run(command.env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything")), 2);
        refused.complains(&[&said, "nothing was sent. With --no-pin each host looks it up itself"]);
        assert_eq!(crowd.asked(), Vec::<String>::new());
    }
    run(&mut deploy(&broker, &["--pin", "--no-pin"]), 2).complains(&["--pin", "--no-pin"]);
}
