//! The token as git credentials: it is sent only to a remote on the forge, and never shown.

use crate::common::binary;
use crate::server::Server;
use crate::stage::{GOOD, Stage, TOKEN};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// The HTTP basic authentication header for `homelab-deploy:TOKEN`.
const BASIC: &str = "Basic aG9tZWxhYi1kZXBsb3k6czNjcmV0LXQwa2VuLW9mLXRoZS1mb3JnZQ==";

/// A fleet whose remote requires the token.
fn locked() -> (Stage, Server) {
    let stage = Stage::new(GOOD);
    fs::create_dir(stage.path("alice")).unwrap();
    symlink(stage.path("fleet.git"), stage.path("alice/fleet.git")).unwrap();
    stage.git("fleet.git", &["config", "http.receivepack", "true"]);
    let server = Server::with_authorization(&stage.path("."), BASIC);
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
    // The user's own credential helper is not called, and no command line contains the token.
    let (recorded, trace) = (stage.path("recorded"), stage.path("trace"));
    let helper = format!("!f() {{ cat >> '{}'; }}; f", recorded.display());
    fs::create_dir_all(stage.path("home")).unwrap();
    stage.git(".", &["config", "--file", "home/.gitconfig", "credential.helper", &helper]);
    stage.wait_for_exit(update(&stage, &server).env("GIT_TRACE", &trace), 0);
    assert_ne!(stage.at("master"), before);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("push") && !trace.contains(TOKEN), "{trace}");
    assert!(!recorded.exists(), "{}", fs::read_to_string(recorded).unwrap());
}

#[test]
fn a_wrong_token_is_refused_by_the_remote() {
    let (stage, server) = locked();
    fs::write(stage.path("token"), "another-token").unwrap();
    let ended = stage.wait_for_exit(&mut update(&stage, &server), 5);
    ended.assert_stderr(&["could not look up the branches of http://", "Authentication failed"]);
    assert!(!ended.stderr.contains("another-token"), "{ended}");
}

#[test]
fn the_token_is_sent_to_no_other_host() {
    let (stage, server) = locked();
    let elsewhere = ["--forge-url", "http://127.0.0.1:1"];
    let ended = stage.wait_for_exit(update(&stage, &server).args(elsewhere), 5);
    ended.assert_stderr(&["could not look up the branches of http://", "could not read Username"]);
}

/// The script of the documented workflow, extracted as a CI runner does.
fn script() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/flake-update.yml");
    let text = fs::read_to_string(&file).unwrap();
    let (_, block) = text.split_once("        run: |\n").expect("a script");
    // If a YAML parser is installed, the result must be the same.
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
fn the_documented_workflow_works_as_written() {
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
    stage.wait_for_exit(&mut job, 0);
    assert_ne!(stage.at("main"), before);
    assert_eq!(fs::read_dir(temp).unwrap().count(), 0, "the token is left");
}
