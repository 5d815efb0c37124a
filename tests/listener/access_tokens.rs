//! A private repository on a forge: git gets the access token that nix is configured with.

use crate::common::{Repo, TestDir};
use crate::server::Server;
use crate::stage::{Stage, text};
use serde_json::json;
use std::fs;
use std::process::Command;

/// Basic authentication with `x-access-token:ghp_t0ken`.
const GITHUB: &str = "Basic eC1hY2Nlc3MtdG9rZW46Z2hwX3Qwa2Vu";
/// Basic authentication with `oauth2:glpat-t0ken`.
const GITLAB: &str = "Basic b2F1dGgyOmdscGF0LXQwa2Vu";

/// A listener whose flake is on a forge that requires these credentials, with settings for nix. `HOST` is replaced by
/// the forge's address.
fn on(basic: &'static str, flake: &str, settings: &str) -> (Stage, TestDir, Server, String) {
    let repo = Repo::new();
    let inside = repo.commit("flake.nix", "inside");
    repo.commit("flake.nix", "head");
    let dir = TestDir::new();
    let bare = dir.path().join("me/fleet.git");
    let (from, to) = (repo.path().display().to_string(), bare.display().to_string());
    assert!(Command::new("git").args(["clone", "--quiet", "--bare", &from, &to]).status().unwrap().success());
    let server = Server::with_authorization(dir.path(), basic);
    let host = server.host();
    let (flake, settings) = (flake.replace("HOST", &host), settings.replace("HOST", &host));
    let plain = format!("url.http://{host}/.insteadOf");
    let stage = Stage::with("echo \"$@\" > $DIR/called", |builder| {
        builder
            .flake(&flake)
            .env("NIX_CONFIG", &settings)
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", &plain)
            .env("GIT_CONFIG_VALUE_0", &format!("https://{host}/"))
    });
    (stage, dir, server, inside)
}

#[test]
fn git_gets_the_token_that_nix_has_for_the_forge() {
    for (n, (basic, flake, settings)) in [
        (GITHUB, "github:me/fleet?host=HOST", "access-tokens = github.com=other HOST=ghp_t0ken"),
        (GITHUB, "github:me/fleet?host=HOST", "access-tokens = HOST=other HOST/me=ghp_t0ken"),
        (GITLAB, "gitlab:me/fleet?host=HOST", "access-tokens = HOST=PAT:glpat-t0ken"),
        (GITLAB, "gitlab:me/fleet?host=HOST", "access-tokens = HOST=OAuth2:glpat-t0ken"),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut stage, _dir, server, inside) = on(basic, flake, settings);
        let shown = flake.split('?').next().unwrap();
        // A commit that is not the head requires the history, too.
        for (id, revision) in [(format!("t-{n}"), "master"), (format!("i-{n}"), inside.as_str())] {
            let report = stage.deploy(&id, json!({"revision": revision, "allow_older": true})).final_report();
            assert_eq!(report["status"], "completed", "{flake}: {report}");
            let called = fs::read_to_string(stage.host.file("called")).unwrap();
            let commit = text(&report["commit"]);
            let expected = format!("switch --flake {shown}/{commit}?host={}#web1", server.host());
            assert_eq!(called.trim(), expected);
            assert!(!report.to_string().contains("t0ken"), "{report}");
        }
        stage.host.terminate();
        let log = stage.host.rest_of_log();
        assert!(!format!("{log:?}").contains("t0ken"), "{log:?}");
    }
}

#[test]
fn without_a_token_or_with_a_wrong_one_the_advice_is_a_token() {
    for (n, settings) in ["", "access-tokens = HOST=wr0ng-t0ken"].into_iter().enumerate() {
        let (stage, _dir, server, _) = on(GITHUB, "github:me/fleet?host=HOST", settings);
        let report = stage.deploy(&format!("w-{n}"), json!({})).final_report();
        assert_eq!(report["error"], "source_unreachable", "{report}");
        let message = text(&report["message"]);
        let start = format!("could not look up \"master\" in github:me/fleet?host={}: ", server.host());
        assert!(message.starts_with(&start), "{message}");
        assert!(
            message.contains("`access-tokens = HOST=TOKEN`") && !message.contains("deploy key"),
            "{message}"
        );
        assert!(!report.to_string().contains("t0ken"), "{report}");
    }
}
