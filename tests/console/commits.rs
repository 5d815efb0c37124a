//! The commits between what a host runs and the head of its branch, in a terminal.

use crate::common::{
    FakeListener, NatsServer, Repo, base_presence, base_report, eventually, is_running, operator, run,
};
use crate::harness::{Console, console};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A host of this flake that runs a commit, known to the operator, and that completes every job.
fn host(nats: &NatsServer, repo: &Repo, commit: &str) -> FakeListener {
    let mut answer = base_presence("web1", "test", "web");
    answer["commit"] = json!(commit);
    answer["flake_url"] = json!(repo.url());
    let peer = FakeListener::start(nats, answer, |request| {
        let mut report = base_report("web1", "completed", None, "switch done");
        report["id"] = request["id"].clone();
        vec![report]
    });
    run(operator(nats, "admin").arg("hosts"), 0);
    peer
}

#[test]
fn the_console_shows_the_commits() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "smartd: check weekly");
    let _host = host(&nats, &repo, &old);
    repo.commit("flake.nix", "openssl: 3.3.3");
    let head = repo.commit("flake.nix", "\u{1b}[31mnginx\u{202e}: brotli");
    let mut command = console(&nats, "admin");
    let mut console = Console::of(command.args(["--branch", "master"]), 120, 40);
    console.row("web1", &[&format!("{} −2", &old[..7])]);
    console.shows("2 commits behind");
    console.line(&["runs ", &old[..7], "smartd: check weekly by test"]);
    console.line(&["then ", &head[..7], "nginx: brotli by test"]);
    console.shows("openssl: 3.3.3 by test");
    console.types("d");
    console.line(&["commit ", &head[..7], "nginx: brotli by test"]);
    console.wrote_only_its_own();
}

#[test]
fn a_fetch_that_hangs_delays_nothing() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let host = host(&nats, &repo, &old);
    repo.commit("flake.nix", "new");
    let [config, hook, pid] = ["gitconfig", "hook", "pid"].map(|name| nats.dir().join(name));
    let script = format!("#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nexec sleep 600\n", pid.display());
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&config, format!("[uploadpack]\npackObjectsHook = {}\n", hook.display())).unwrap();
    let mut command = console(&nats, "admin");
    let mut console =
        Console::of(command.args(["--branch", "master"]).env("GIT_CONFIG_GLOBAL", &config), 120, 40);
    let server: u32 = eventually("the fetch", || fs::read_to_string(&pid).ok()?.trim().parse().ok());
    console.row("web1", &[&format!("{} ↓", &old[..7])]);
    console.deploy();
    assert_eq!(host.request()["action"], "switch");
    console.shows("1 completed");
    assert!(is_running(server));
    console.wrote_only_its_own();
    eventually("the end of git", || (!is_running(server)).then_some(()));
}
