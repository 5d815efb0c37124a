//! End-to-end: the operators' commands, the real builder, and real listeners that do not build.

use crate::assistant::{Session, server};
use crate::common::{Host, HostBuilder, Repo, RunningCommand, operator, run};
use crate::stage::{Stage, as_builder, flake};
use serde_json::{Value, json};
use std::fs;

/// Three hosts, of which one fails.
const HOSTS: &str = "web1 = sh \"web1\" \"echo one > $out\"; web2 = sh \"web2\" \"echo cc: fatal error; exit 1\"; \
                     db1 = sh \"db1\" \"echo db > $out\";";

/// A listener that must not build. It shares the builder's store, in place of a shared cache.
fn listener(stage: &Stage, name: &str, role: &str) -> Host {
    let host = HostBuilder::new(&stage.nats, name, "test", role).without("--rebuild-command");
    let host = host.flake(&stage.repo.url()).args(&["--no-local-build", "--min-free", "0"]);
    as_builder(stage.dir(), host).start()
}

fn last(lines: &[Value]) -> &Value {
    &lines.last().unwrap()["value"]
}

#[test]
fn build_reports_each_host_and_exits_by_their_results() {
    let stage = Stage::new(HOSTS);
    let build = |args: &[&str], code| run(operator(&stage.nats, "admin").arg("build").args(args), code);
    let all = build(&["--all"], 1);
    for expected in [
        "all  looking up master in infra\n",
        "db1   built in ",
        "web2  failed: ",
        "\nweb2: ",
        "cc: fatal error\n",
        &format!("commit {} of infra", stage.repo.git(&["rev-parse", "HEAD"])),
    ] {
        assert!(all.stdout.contains(expected), "no {expected:?} in {all}");
    }
    let done = build(&["db1", "web1", "--repo", "infra", "--output", "json"], 0).json();
    let hosts: Vec<_> =
        last(&done)["builds"].as_array().unwrap().iter().map(|build| &build["report"]["hosts"][0]).collect();
    for (host, name) in hosts.iter().zip(["db1", "web1"]) {
        let result = fs::canonicalize(stage.root(name)).unwrap();
        assert_eq!((&host["hostname"], &host["system"]), (&json!(name), &json!(result)), "{host}");
    }
    let unknown = build(&["--all", "--repo", "other"], 1);
    assert!(unknown.stdout.contains("no repository \"other\"; it has infra"), "{unknown}");
    let missing = build(&["web3"], 1);
    assert!(missing.stdout.contains("did you mean"), "{missing}");
}

#[test]
fn head_is_the_default_branch_of_the_repository_at_the_time() {
    let repo = Repo::new();
    let config = |name: &str, branch: &str| {
        format!("[repos.{name}]\nurl = {:?}\ndefault_branch = {branch:?}\n", repo.url())
    };
    let top = config("following", "HEAD") + &config("fixed", "trunk");
    let stage = Stage::with("", &top, |builder| builder);
    let build = |args: &[&str]| {
        let mut command = operator(&stage.nats, "admin");
        let built = run(command.args(["build", "web1", "--output", "json"]).args(args), 0).json();
        last(&built)["builds"][0]["report"]["commit"].clone()
    };
    let trunk = repo.commit("flake.nix", &flake("web1 = sh \"web1\" \"echo one > $out\";"));
    repo.git(&["branch", "--move", "trunk"]);
    assert_eq!(build(&["--repo", "following"]), json!(trunk));
    repo.git(&["switch", "--quiet", "--create", "next"]);
    let next = repo.commit("other", "changed");
    assert_eq!(build(&["--repo", "following"]), json!(next));
    assert_eq!(build(&["--repo", "fixed"]), json!(trunk));
    assert_eq!(build(&["--repo", "fixed", "--branch", "HEAD"]), json!(next));
    assert_eq!(build(&["--repo", "following", "--branch", "trunk"]), json!(trunk));
}

#[test]
fn a_build_is_followed_live_and_continues_without_its_follower() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let wait = format!("read _ < {}", stage.at("gate").display());
    stage.hosts(&format!(
        "web1 = sh \"web1\" \"{wait}; echo one > $out\"; web2 = sh \"web2\" \"echo two > $out\";"
    ));
    let mut command = operator(&stage.nats, "admin");
    let mut following = RunningCommand::start(command.args(["build", "--all"]));
    following.wait_for_line("web2  built in ");
    following.interrupt();
    let left = following.wait_for_exit(130);
    assert!(left.stderr.contains("interrupted"), "{left}");
    let mut again = RunningCommand::start(&mut command);
    again.wait_for_line("web2  built in ");
    gate.pass();
    let done = again.wait_for_exit(0);
    assert!(done.stdout.contains("\nweb1  completed"), "{done}");
    assert_eq!(stage.result("web1"), "one");
}

#[test]
fn a_builder_that_stops_during_a_build_is_reported_and_the_build_resumes() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo one > $out\";", stage.at("gate").display()));
    let mut command = operator(&stage.nats, "admin");
    let mut following = RunningCommand::start(command.args(["build", "web1"]));
    following.wait_for_line("web1  building");
    stage.builder.kill();
    stage.nats.stop();
    stage.nats.restart();
    following.wait_for_line("note: reconnected; asking for the current state");
    following.wait_for_line(
        "note: no builder is running at the moment; a builder resumes its builds when it restarts",
    );
    stage.builder.restart();
    gate.pass();
    let done = following.wait_for_exit(0);
    assert!(done.stdout.contains("\nweb1  completed"), "{done}");
}

#[test]
fn built_hosts_are_deployed_at_that_commit_and_the_others_are_not() {
    let stage = Stage::new(HOSTS);
    let listeners =
        [("web1", "web"), ("web2", "web"), ("db1", "db")].map(|(name, role)| listener(&stage, name, role));
    let deploy = |args: &[&str], code| {
        let mut command = operator(&stage.nats, "admin");
        run(command.args(["deploy", "--action", "build"]).args(args), code)
    };
    // The commit has not been built, and the host must not build it.
    let refused = deploy(&["web1", "--yes"], 1);
    assert!(refused.stdout.contains("(--no-local-build): let the builder build it first"), "{refused}");
    let first = stage.repo.git(&["rev-parse", "HEAD"]);
    let ended = deploy(&["--all", "--tier", "test", "--build-first", "--yes", "--output", "json"], 1);
    let lines = ended.json();
    let hosts = last(&lines)["hosts"].as_array().unwrap();
    let results: Vec<_> =
        hosts.iter().map(|host| (host["host"].as_str().unwrap(), host["result"].as_str().unwrap())).collect();
    assert_eq!(results, [("db1", "completed"), ("web1", "completed")], "{ended}");
    assert!(hosts.iter().all(|host| host["report"]["commit"] == json!(first)), "{ended}");
    assert_eq!(
        (&last(&lines)["not_built"], &lines.last().unwrap()["exit"]),
        (&json!(["web2"]), &json!(1)),
        "{ended}"
    );
    let partial = deploy(&["web1", "web2", "--build-first", "--yes"], 1);
    assert!(
        partial.stdout.contains("not deployed because the builder did not build it: web2\n"),
        "{partial}"
    );
    // After the fix, all hosts are built and deployed.
    stage.hosts(&HOSTS.replace("cc: fatal error; exit 1", "two > $out"));
    let fixed = deploy(&["--all", "--tier", "test", "--build-first", "--yes"], 0);
    for name in ["db1", "web1", "web2"] {
        assert!(fixed.stdout.contains(&format!("\n{name}")), "{fixed}");
    }
    drop(listeners);
}

#[test]
fn an_assistant_can_build() {
    let stage = Stage::new(HOSTS);
    let mut command = server(&stage.nats);
    let mut session = Session::with(
        command.arg("--enable-builds").env("HOMELAB_DEPLOY_NKEY_FILE", stage.nats.key("admin")),
    );
    let answer = session.call("build", &json!({"target": "all"}));
    let failed = answer.failed();
    let states: Vec<_> =
        failed["hosts"].as_array().unwrap().iter().map(|host| (&host["hostname"], &host["state"])).collect();
    assert_eq!(json!(states), json!([["db1", "done"], ["web1", "done"], ["web2", "failed"]]), "{failed:#}");
    let answer = session.call("build", &json!({"target": "db1", "repo": "infra"}));
    assert_eq!(answer.done()["hosts"][0]["system"], json!(fs::canonicalize(stage.root("db1")).unwrap()));
}
