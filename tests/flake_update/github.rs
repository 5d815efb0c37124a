//! GitHub's ways, and which repository on which forge is meant.

use crate::forge::{Forge, Request, pull};
use crate::stage::{BAD, GOOD, Stage, TOKEN};
use serde_json::{Value, json};

fn github(request: &Request) -> Value {
    match request.method.as_str() {
        "GET" => json!([]),
        _ => pull(7, "", ""),
    }
}

#[test]
fn github_is_spoken_to_in_its_own_way() {
    let stage = Stage::new(BAD);
    let forge = Forge::new(|request, _| Some((200, String::new(), github(request))));
    let ended = stage.ended(stage.update_with(&forge).args(["--forge", "github"]), 1);
    assert!(ended.out.contains("opened the pull request"), "{ended}");
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
fn the_remote_tells_owner_and_name_and_the_forge_may_lie_deeper() {
    let stage = Stage::new(BAD);
    // git goes elsewhere than the URL says, as with a mirror.
    let remote = "https://git.example.org/bob/infra.git";
    stage.git("checkout", &["remote", "set-url", "origin", &stage.remote()]);
    stage.git("checkout", &["config", &format!("url.{}.pushInsteadOf", stage.remote()), remote]);
    let forge = Forge::gitea(|_| Some((404, String::new(), json!({"message": "none"}))));
    let page = format!("http://{}/git/alice/fleet/", forge.address());
    let mut update = stage.update();
    update.arg("--token-file").arg(stage.path("token")).args(["--forge-url", &page]);
    stage.ended(&mut update, 5);
    assert_eq!(forge.calls(), ["GET /git/api/v1/repos/alice/fleet/pulls"]);
}

#[test]
fn a_forge_that_cannot_be_meant_is_refused_before_anything_is_done() {
    let stage = Stage::new(GOOD);
    let before = stage.branches();
    for (url, why) in [
        (
            None,
            "the remote does not tell where the forge is; give --forge-url the page of the repository there",
        ),
        (Some("https://git.example.org"), "the remote does not tell owner and name of the repository"),
        (
            Some("http://git.example.org/alice/fleet"),
            "the token is not sent to http://git.example.org, for others could read it",
        ),
        (Some("ftp://git.example.org/a/b"), "--forge-url is no URL of a forge"),
        (Some("https://u:s3cret-t0ken-of-the-forge@git.example.org/a/b"), "--forge-url is no URL of a forge"),
        (Some("git.example.org/a/b"), "--forge-url is no URL of a forge"),
    ] {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token"));
        update.args(url.into_iter().flat_map(|url| ["--forge-url", url]));
        stage.ended(&mut update, 2).complains(&[why]);
    }
    assert_eq!(stage.branches(), before);
}
