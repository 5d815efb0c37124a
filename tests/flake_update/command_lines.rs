//! Credentials of the remote reach git but never in arguments.

use crate::server::Server;
use crate::stage::{GOOD, Stage};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// The credentials of [`Server::locked`].
const USER: &str = "deploy";
const PASSWORD: &str = "s3cret-w0rd";

/// A fleet whose remote requires a password.
fn locked() -> (Stage, Server) {
    let stage = Stage::new(GOOD);
    stage.git("fleet.git", &["config", "http.receivepack", "true"]);
    let server = Server::locked(&stage.path("."));
    (stage, server)
}

/// Updates, and asserts that no command line of git and its child processes contains the password.
fn update_without_exposure(stage: &Stage, mut update: Command) {
    let (before, trace) = (stage.at("master"), stage.path("trace"));
    let ended = stage.wait_for_exit(update.env("GIT_TRACE2_EVENT", &trace).env("GIT_TRACE2_REDACT", "0"), 0);
    assert!(!ended.to_string().contains(PASSWORD), "{ended}");
    assert_ne!(stage.at("master"), before);
    let calls = fs::read_to_string(trace).unwrap();
    assert!(calls.contains("remote-http") && calls.contains("\"push\""), "{calls}");
    for call in calls.lines() {
        assert!(!call.contains(PASSWORD), "{call}");
    }
}

#[test]
fn a_password_in_the_url_of_the_repository_is_not_exposed() {
    let (stage, server) = locked();
    let update = stage.update_of(&format!("http://{USER}:{PASSWORD}@{}/fleet.git", server.host()));
    update_without_exposure(&stage, update);
}

#[test]
fn a_password_in_the_remote_of_a_checkout_is_not_exposed() {
    let (stage, server) = locked();
    let url = format!("http://{USER}:{PASSWORD}@{}/fleet.git", server.host());
    stage.git("checkout", &["remote", "set-url", "origin", &url]);
    update_without_exposure(&stage, stage.update());
}

#[test]
fn a_password_in_a_credentials_file_is_not_exposed() {
    let (stage, server) = locked();
    let file = stage.path("credentials");
    fs::write(&file, format!("machine {} login {USER} password {PASSWORD}\n", server.host())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut update = stage.update_of(&format!("http://{}/fleet.git", server.host()));
    update.arg("--flake-credentials").arg(&file);
    update_without_exposure(&stage, update);
}

#[test]
fn credentials_on_the_command_line_cause_a_warning() {
    let (stage, server) = locked();
    let mut update = stage.update_of(&format!("http://{USER}:wr0ng-w0rd@{}/fleet.git", server.host()));
    let ended = stage.wait_for_exit(&mut update, 5);
    ended.assert_stderr(&["--repo contains credentials", "--flake-credentials", "Authentication failed"]);
    assert!(!ended.stderr.contains("wr0ng-w0rd"), "{ended}");
}
