//! The whole road: operators' own commands, the real builder, real listeners that build nothing themselves.

use crate::assistant::{Session, server};
use crate::common::{Host, HostBuilder, Running, operator, run};
use crate::stage::{Stage, as_builder};
use serde_json::{Value, json};
use std::fs;

/// Three hosts, of which one fails.
const HOSTS: &str = "web1 = sh \"web1\" \"echo one > $out\"; web2 = sh \"web2\" \"echo cc: fatal error; exit 1\"; \
                     db1 = sh \"db1\" \"echo db > $out\";";

/// A listener that may build nothing, and shares the store of the builder as it else shares its cache.
fn listener(stage: &Stage, name: &str, role: &str) -> Host {
    let host = HostBuilder::new(&stage.broker, name, "test", role).without("--rebuild-command");
    let host = host.flake(&stage.repo.url()).args(&["--no-local-build", "--min-free", "0"]);
    as_builder(stage.folder(), host).start()
}

fn last(lines: &[Value]) -> &Value {
    &lines.last().unwrap()["value"]
}

#[test]
fn build_tells_each_host_and_exits_by_what_became_of_them() {
    let stage = Stage::new(HOSTS);
    let build = |args: &[&str], code| run(operator(&stage.broker, "admin").arg("build").args(args), code);
    let all = build(&["--all"], 1);
    for said in [
        "all  looks up master in infra\n",
        "db1   built in ",
        "web2  failed: ",
        "\nweb2: ",
        "cc: fatal error\n",
        &format!("commit {} of infra", stage.repo.git(&["rev-parse", "HEAD"])),
    ] {
        assert!(all.out.contains(said), "no {said:?} in {all}");
    }
    let done = build(&["db1", "web1", "--repo", "infra", "--output", "json"], 0).json();
    let hosts: Vec<_> =
        last(&done)["builds"].as_array().unwrap().iter().map(|build| &build["report"]["hosts"][0]).collect();
    for (host, name) in hosts.iter().zip(["db1", "web1"]) {
        let result = fs::canonicalize(stage.root(name)).unwrap();
        assert_eq!((&host["hostname"], &host["system"]), (&json!(name), &json!(result)), "{host}");
    }
    let unknown = build(&["--all", "--repo", "other"], 1);
    assert!(unknown.out.contains("no repository \"other\"; it has infra"), "{unknown}");
    let missing = build(&["web3"], 1);
    assert!(missing.out.contains("did you mean"), "{missing}");
}

#[test]
fn a_build_is_followed_live_and_whoever_stops_following_stops_nothing() {
    let stage = Stage::new("");
    let gate = stage.gate("gate");
    let wait = format!("read _ < {}", stage.at("gate").display());
    stage.hosts(&format!(
        "web1 = sh \"web1\" \"{wait}; echo one > $out\"; web2 = sh \"web2\" \"echo two > $out\";"
    ));
    let mut command = operator(&stage.broker, "admin");
    let mut following = Running::start(command.args(["build", "--all"]));
    following.says("web2  built in ");
    following.interrupt();
    let left = following.ended(130);
    assert!(left.err.contains("goes on"), "{left}");
    let mut again = Running::start(&mut command);
    again.says("web2  built in ");
    gate.pass();
    let done = again.ended(0);
    assert!(done.out.contains("\nweb1  completed"), "{done}");
    assert_eq!(stage.result("web1"), "one");
}

#[test]
fn a_builder_that_goes_away_in_the_middle_is_told_and_waited_for() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo one > $out\";", stage.at("gate").display()));
    let mut command = operator(&stage.broker, "admin");
    let mut following = Running::start(command.args(["build", "web1"]));
    following.says("web1  building");
    stage.builder.kill();
    stage.broker.stop();
    stage.broker.restart();
    following.says("note: connected again; asking what happened meanwhile");
    following
        .says("note: no builder is there at the moment; one that comes back goes on with what it has begun");
    stage.builder.restart();
    gate.pass();
    let done = following.ended(0);
    assert!(done.out.contains("\nweb1  completed"), "{done}");
}

#[test]
fn what_was_built_first_is_deployed_at_that_commit_and_the_rest_is_left_alone() {
    let stage = Stage::new(HOSTS);
    let listeners =
        [("web1", "web"), ("web2", "web"), ("db1", "db")].map(|(name, role)| listener(&stage, name, role));
    let deploy = |args: &[&str], code| {
        let mut command = operator(&stage.broker, "admin");
        run(command.args(["deploy", "--action", "build"]).args(args), code)
    };
    // Nobody has built it, and the host may not.
    let refused = deploy(&["web1", "--yes"], 1);
    assert!(refused.out.contains("(--no-local-build): have the builder build it first"), "{refused}");
    let first = stage.repo.git(&["rev-parse", "HEAD"]);
    let ended = deploy(&["--all", "--tier", "test", "--build-first", "--yes", "--output", "json"], 1);
    let lines = ended.json();
    let hosts = last(&lines)["hosts"].as_array().unwrap();
    let verdicts: Vec<_> = hosts
        .iter()
        .map(|host| (host["host"].as_str().unwrap(), host["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("db1", "completed"), ("web1", "completed")], "{ended}");
    assert!(hosts.iter().all(|host| host["report"]["commit"] == json!(first)), "{ended}");
    assert_eq!(
        (&last(&lines)["unbuilt"], &lines.last().unwrap()["exit"]),
        (&json!(["web2"]), &json!(1)),
        "{ended}"
    );
    let told = deploy(&["web1", "web2", "--build-first", "--yes"], 1);
    assert!(told.out.contains("not deployed, for the builder has not built it: web2\n"), "{told}");
    // Mended, and all of them are built and deployed.
    stage.hosts(&HOSTS.replace("cc: fatal error; exit 1", "two > $out"));
    let mended = deploy(&["--all", "--tier", "test", "--build-first", "--yes"], 0);
    for name in ["db1", "web1", "web2"] {
        assert!(mended.out.contains(&format!("\n{name}")), "{mended}");
    }
    drop(listeners);
}

#[test]
fn an_assistant_builds_too() {
    let stage = Stage::new(HOSTS);
    let mut command = server(&stage.broker);
    let mut session = Session::of(
        command.arg("--enable-builds").env("HOMELAB_DEPLOY_NKEY_FILE", stage.broker.key("admin")),
    );
    let answer = session.call("build", &json!({"target": "all"}));
    let failed = answer.failed();
    let states: Vec<_> =
        failed["hosts"].as_array().unwrap().iter().map(|host| (&host["hostname"], &host["state"])).collect();
    assert_eq!(json!(states), json!([["db1", "done"], ["web1", "done"], ["web2", "failed"]]), "{failed:#}");
    let answer = session.call("build", &json!({"target": "db1", "repo": "infra"}));
    assert_eq!(answer.done()["hosts"][0]["system"], json!(fs::canonicalize(stage.root("db1")).unwrap()));
}
