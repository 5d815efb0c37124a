//! The token for git: offered to the remote where that is on the forge, over no other road, and never shown.

use crate::common::binary;
use crate::server::Server;
use crate::stage::{GOOD, Stage, TOKEN};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// `homelab-deploy:TOKEN`, as HTTP's basic authentication says it.
const BASIC: &str = "Basic aG9tZWxhYi1kZXBsb3k6czNjcmV0LXQwa2VuLW9mLXRoZS1mb3JnZQ==";

/// A fleet whose remote wants the token.
fn locked() -> (Stage, Server) {
    let stage = Stage::new(GOOD);
    fs::create_dir(stage.path("alice")).unwrap();
    symlink(stage.path("fleet.git"), stage.path("alice/fleet.git")).unwrap();
    stage.git("fleet.git", &["config", "http.receivepack", "true"]);
    let server = Server::asking(&stage.path("."), BASIC);
    (stage, server)
}

fn update(stage: &Stage, server: &Server) -> Command {
    let mut update = stage.update_of(&format!("http://{}/alice/fleet.git", server.host()));
    update.arg("--token-file").arg(stage.path("token"));
    update
}

#[test]
fn git_fetches_and_pushes_with_the_token_of_the_forge() {
    let (stage, server) = locked();
    let before = stage.at("master");
    // Another helper of the user hears nothing of it, and no command line shows it.
    let (heard, trace) = (stage.path("heard"), stage.path("trace"));
    let helper = format!("!f() {{ cat >> '{}'; }}; f", heard.display());
    fs::create_dir_all(stage.path("home")).unwrap();
    stage.git(".", &["config", "--file", "home/.gitconfig", "credential.helper", &helper]);
    stage.ended(update(&stage, &server).env("GIT_TRACE", &trace), 0);
    assert_ne!(stage.at("master"), before);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("push") && !trace.contains(TOKEN), "{trace}");
    assert!(!heard.exists(), "{}", fs::read_to_string(heard).unwrap());
}

#[test]
fn without_the_right_token_the_remote_is_not_reached() {
    let (stage, server) = locked();
    fs::write(stage.path("token"), "another-token").unwrap();
    let ended = stage.ended(&mut update(&stage, &server), 5);
    ended.complains(&["could not look up the branches of http://", "Authentication failed"]);
    assert!(!ended.err.contains("another-token"), "{ended}");
}

#[test]
fn the_token_is_offered_to_no_other_host() {
    let (stage, server) = locked();
    let elsewhere = ["--forge-url", "http://127.0.0.1:1"];
    let ended = stage.ended(update(&stage, &server).args(elsewhere), 5);
    ended.complains(&["could not look up the branches of http://", "could not read Username"]);
}

/// The script of the workflow in the documentation, as a runner takes it out of the file.
fn script() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/flake-update.yml");
    let text = fs::read_to_string(&file).unwrap();
    let (_, block) = text.split_once("        run: |\n").expect("a script");
    // Where a reader of YAML is at hand it has the last word.
    let parse = "import json, sys, yaml; job = yaml.safe_load(open(sys.argv[1]))['jobs']['flake-update']; \
                 print(json.dumps(job['steps'][0]['run']))";
    let parsed = Command::new("python3").args(["-c", parse]).arg(&file).output();
    let lines = block.lines().map(|line| line.strip_prefix("          ").expect("the end of the file"));
    let script: String = lines.flat_map(|line| [line, "\n"]).collect();
    if let Ok(parsed) = parsed
        && parsed.status.success()
    {
        assert_eq!(serde_json::from_slice::<String>(&parsed.stdout).unwrap(), script);
    }
    script
}

#[test]
fn the_workflow_of_the_documentation_works_as_it_is_written() {
    let (stage, server) = locked();
    stage.git("checkout", &["push", "--quiet", "origin", "master:main"]);
    let before = stage.at("main");
    let (bin, temp) = (binary().parent().unwrap().display(), stage.path("runner"));
    fs::create_dir(&temp).unwrap();
    let mut job = stage.environment(Command::new("bash"));
    job.args(["-e", "-c", &script()])
        .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
        .env("RUNNER_TEMP", &temp)
        .env("TOKEN", TOKEN)
        .env("REPO", format!("http://{}/alice/fleet.git", server.host()));
    stage.ended(&mut job, 0);
    assert_ne!(stage.at("main"), before);
    assert_eq!(fs::read_dir(temp).unwrap().count(), 0, "the token is left");
}
