//! Requests for GitHub, and how forge and repository are determined.

use crate::forge::{Forge, Request, pull};
use crate::server::Server;
use crate::stage::{BAD, GOOD, Stage, TOKEN};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

fn github(request: &Request) -> Value {
    match request.method.as_str() {
        "GET" => json!([]),
        _ => pull(7, "", ""),
    }
}

#[test]
fn github_gets_its_own_requests() {
    let stage = Stage::new(BAD);
    let forge = Forge::new(|request, _| Some((200, String::new(), github(request))));
    let ended = stage.wait_for_exit(stage.update_with(&forge).args(["--forge", "github"]), 1);
    assert!(ended.stdout.contains("opened the pull request"), "{ended}");
    let api = "/api/v3/repos/alice/fleet";
    let calls =
        [format!("GET {api}/pulls"), format!("POST {api}/pulls"), format!("POST {api}/issues/7/labels")];
    assert_eq!(forge.calls(), calls);
    let requests = forge.requests();
    for request in &requests {
        assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"));
        assert_eq!(request.header("accept"), "application/vnd.github+json");
        assert_eq!(request.header("x-github-api-version"), "2022-11-28");
        assert!(request.header("user-agent").starts_with("homelab-deploy/"), "{request:?}");
    }
    let head = format!("state=open&head=alice:{}&base=master", Stage::today());
    assert!(requests[0].path.contains(&head), "{}", requests[0].path);
    assert_eq!(requests[2].body, json!({"labels": ["build-failure"]}));
}

#[test]
fn the_forge_and_its_repository_are_found() {
    let stage = Stage::new(BAD);
    fs::create_dir_all(stage.path("git/alice")).unwrap();
    symlink(stage.path("fleet.git"), stage.path("git/alice/fleet.git")).unwrap();
    stage.git("fleet.git", &["config", "http.receivepack", "true"]);
    let server = Server::open(&stage.path("."));
    let forge = Forge::gitea(|_| None);
    let hosted = format!("http://{}/git/alice/fleet.git", server.host());
    let at = forge.address();
    for (repo, url, called) in [
        // A local path has neither owner nor forge.
        (stage.remote(), format!("http://{at}/git/alice/fleet/"), "/git/api/v1/repos/alice/fleet/pulls"),
        // A URL has owner and name, and `--forge-url` sets the forge.
        (hosted.clone(), format!("http://{at}"), "/api/v1/repos/alice/fleet/pulls"),
        (hosted.clone(), format!("http://{at}/git/"), "/git/api/v1/repos/alice/fleet/pulls"),
        (hosted, format!("http://{at}/alice/fleet"), "/api/v1/repos/alice/fleet/pulls"),
    ] {
        let before = forge.calls().len();
        let mut update = stage.update_of(&repo);
        update.arg("--token-file").arg(stage.path("token")).args(["--forge-url", &url]);
        // The fake forge only knows the API at the top.
        stage.wait_for_exit(&mut update, if called.starts_with("/git") { 5 } else { 1 });
        assert_eq!(forge.calls()[before], format!("GET {called}"), "{repo} {url}");
    }
}

#[test]
fn an_invalid_forge_url_is_refused_first() {
    let stage = Stage::new(GOOD);
    let before = stage.branches();
    for (url, error) in [
        (
            None,
            "the remote's URL does not show where the forge is; set --forge-url to the page of the repository there",
        ),
        (
            Some("https://git.example.org"),
            "the remote's URL does not contain owner and name of the repository",
        ),
        (
            Some("http://git.example.org/alice/fleet"),
            "the token is not sent to http://git.example.org because the connection is not encrypted",
        ),
        (Some("ftp://git.example.org/a/b"), "invalid --forge-url: expected a URL"),
        (
            Some("https://u:s3cret-t0ken-of-the-forge@git.example.org/a/b"),
            "invalid --forge-url: expected a URL",
        ),
        (Some("git.example.org/a/b"), "invalid --forge-url: expected a URL"),
    ] {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token"));
        update.args(url.into_iter().flat_map(|url| ["--forge-url", url]));
        stage.wait_for_exit(&mut update, 2).assert_stderr(&[error]);
    }
    assert_eq!(stage.branches(), before);
}
