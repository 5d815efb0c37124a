//! If a host does not build, the branch is pushed, a pull request is opened, and the base branch does not change.

use crate::common::{eventually, nix_processes};
use crate::forge::{Forge, pull};
use crate::race::fleet_with_waiting_host;
use crate::schema::valid;
use crate::stage::{BAD, Stage, TOKEN};
use serde_json::{Value, json};

#[test]
fn a_failing_host_gets_a_pull_request_with_its_log_and_a_label() {
    let stage = Stage::new(BAD);
    let before = stage.at("master");
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    let branch = Stage::today();
    assert_eq!(stage.at("master"), before);
    assert_eq!(stage.git("fleet.git", &["rev-parse", &format!("{branch}^")]), before);
    let last = "opened the pull request https://git.example.org/alice/fleet/pulls/7\n";
    assert!(ended.stdout.ends_with(last), "{ended}");
    assert!(ended.stdout.contains("1 of 3 hosts do not build: web2; master is unchanged"), "{ended}");
    assert!(ended.stdout.contains("failed with exit code 1\n  | nixos-system-web2> 2\n"), "{ended}");

    let api = "/api/v1/repos/alice/fleet";
    let calls = [
        format!("GET {api}/pulls"),
        format!("POST {api}/pulls"),
        format!("GET {api}/labels"),
        format!("POST {api}/labels"),
        format!("POST {api}/issues/7/labels"),
    ];
    assert_eq!(forge.calls(), calls);
    let requests = forge.requests();
    for request in &requests {
        assert_eq!(request.header("authorization"), format!("token {TOKEN}"), "{request:?}");
        assert_eq!(request.header("accept"), "application/json");
        assert!(!request.path.contains(TOKEN) && !request.body.to_string().contains(TOKEN));
    }
    assert!(requests[0].path.contains(&format!("state=open&head={branch}")), "{}", requests[0].path);
    let opened = &requests[1].body;
    assert_eq!((&opened["head"], &opened["base"]), (&json!(branch), &json!("master")));
    assert_eq!(opened["title"], format!("{branch}: web2 does not build"));
    let body = opened["body"].as_str().unwrap();
    for text in ["### web2", "boom of web2", "These hosts build: `db1`, `web1`", &before[..7]] {
        assert!(body.contains(text), "no {text:?} in\n{body}");
    }
    assert_eq!(requests[3].body["name"], "build-failure");
    assert_eq!(requests[4].body, json!({"labels": [42]}));
}

#[test]
fn an_existing_label_is_used() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|request| {
        let list = request.method == "GET" && request.path.contains("/labels?");
        let labels = if request.path.ends_with("page=1") {
            json!([{"id": 1, "name": "bug"}])
        } else {
            json!([{"id": 9, "name": "broken"}])
        };
        list.then(|| (200, String::new(), labels))
    });
    stage.wait_for_exit(stage.update_with(&forge).args(["--label", "broken"]), 1);
    let requests = forge.requests();
    assert_eq!(requests.last().unwrap().body, json!({"labels": [9]}));
    assert!(!forge.calls().iter().any(|call| call.starts_with("POST") && call.ends_with("fleet/labels")));
}

#[test]
fn a_failed_label_does_not_prevent_the_pull_request() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|request| {
        let label = request.path.contains("labels");
        label.then(|| (403, String::new(), json!({"message": format!("no rights for {TOKEN}")})))
    });
    let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    assert!(
        ended.stdout.contains("could not add the label build-failure to the pull request: GET http"),
        "{ended}"
    );
    assert!(ended.stdout.contains("HTTP 403: no rights for ***; the token lacks permission"), "{ended}");
    assert!(ended.stdout.contains("opened the pull request"), "{ended}");
}

#[test]
fn an_open_pull_request_is_updated_and_not_duplicated() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|request| {
        let ours = pull(5, &Stage::today(), "alice/fleet");
        let mut other_base = pull(3, &Stage::today(), "alice/fleet");
        other_base["base"]["ref"] = json!("main");
        match (request.method.as_str(), request.path.contains("/pulls")) {
            // One from a fork and one into another branch; ours is on the next page.
            ("GET", true) if request.path.contains("page=1") => {
                let list = json!([pull(2, &Stage::today(), "mallory/fleet"), other_base]);
                Some((200, String::new(), list))
            }
            ("GET", true) => Some((200, String::new(), json!([ours]))),
            ("PATCH", true) => Some((201, String::new(), ours)),
            ("POST", false) if request.path.contains("/issues/5/") => Some((200, String::new(), json!([]))),
            _ => None,
        }
    });
    let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    assert!(
        ended.stdout.ends_with("updated the pull request https://git.example.org/alice/fleet/pulls/5\n"),
        "{ended}"
    );
    let calls = forge.calls();
    assert!(calls.contains(&"PATCH /api/v1/repos/alice/fleet/pulls/5".to_owned()), "{calls:?}");
    assert!(!calls.contains(&"POST /api/v1/repos/alice/fleet/pulls".to_owned()), "{calls:?}");
}

#[test]
fn a_pull_request_opened_concurrently_is_updated() {
    for status in [409, 422] {
        let stage = Stage::new(BAD);
        let forge = Forge::new(move |request, before| {
            let response = |status, body: Value| Some((status, String::new(), body));
            match (request.method.as_str(), before) {
                ("GET", 0) => response(200, json!([])),
                ("POST", 1) => response(status, json!({"message": "pull request already exists"})),
                ("GET", 2) => response(200, json!([pull(5, &Stage::today(), "Alice/Fleet")])),
                ("PATCH", 3) => response(201, pull(5, "", "")),
                ("GET", _) => response(200, json!([{"id": 3, "name": "build-failure"}])),
                _ => response(200, json!([])),
            }
        });
        let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 1);
        assert!(ended.stdout.contains("updated the pull request"), "{ended}");
    }
}

#[test]
fn without_a_token_the_branch_is_pushed_and_the_next_step_is_shown() {
    let stage = Stage::new(BAD);
    let ended = stage.wait_for_exit(&mut stage.update(), 1);
    let branch = Stage::today();
    let next_step = format!(
        "no pull request was opened because --token-file is not set; open one from {branch} into master\n"
    );
    assert!(ended.stdout.ends_with(&next_step), "{ended}");
    stage.at(&branch);
}

#[test]
fn json_contains_each_host_and_the_pull_request() {
    let stage = Stage::new(BAD);
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(stage.update_with(&forge).args(["--output", "json"]), 1);
    let lines = valid(&ended);
    let built = lines.iter().filter(|line| line["event"] == "built");
    let failed: Vec<_> = built.filter(|line| line["value"]["state"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{ended}");
    assert!(failed[0]["value"]["log_tail"].as_str().unwrap().contains("boom of web2"), "{ended}");
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(1)));
    let value = &result["value"];
    assert_eq!((&value["state"], &value["pushed"]), (&json!("failed"), &json!(Stage::today())));
    assert_eq!(value["pull_request"]["number"], 7);
}

#[test]
fn an_update_that_does_not_evaluate_gets_a_pull_request() {
    let stage = Stage::new(BAD);
    let text =
        stage.flake(BAD).replace("builtins.mapAttrs sh", "assert dep.number == \"1\"; builtins.mapAttrs sh");
    std::fs::write(stage.path("checkout/flake.nix"), text).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "picky"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 1);
    assert!(ended.stdout.contains("could not list the hosts: "), "{ended}");
    let opened = &forge.requests()[1].body;
    assert!(opened["title"].as_str().unwrap().ends_with(": the flake does not evaluate"), "{opened}");
    assert!(opened["body"].as_str().unwrap().contains("assert"), "{opened}");
}

#[test]
fn an_endless_evaluation_times_out_and_gets_a_pull_request() {
    let stage = Stage::new(BAD);
    let endless = "if dep.number == \"1\" then builtins.mapAttrs sh else let f = n: f (n + 1); in builtins.seq (builtins.foldl' (a: n: builtins.seq (builtins.genList (x: x) 100000) a) 0 (builtins.genList (x: x) 100000000)) (f 0)";
    let text = stage.flake(BAD).replace("builtins.mapAttrs sh", &format!("({endless})"));
    std::fs::write(stage.path("checkout/flake.nix"), text).unwrap();
    stage.git("checkout", &["commit", "--quiet", "--all", "--message", "endless"]);
    stage.git("checkout", &["push", "--quiet", "origin", "master"]);
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(stage.update_with(&forge).args(["--timeout", "2"]), 1);
    assert!(ended.stdout.contains("could not list the hosts: nix did not finish within 2 s"), "{ended}");
    assert!(forge.requests()[1].body["title"].as_str().unwrap().ends_with(": the flake does not evaluate"));
    let work = stage.path("").display().to_string();
    eventually("nix ending", || nix_processes(&work).is_empty().then_some(()));
}

#[test]
fn builds_fail_at_the_timeout() {
    let (stage, _gate) = fleet_with_waiting_host();
    let ended = stage.wait_for_exit(stage.update().args(["--timeout", "1"]), 1);
    assert!(ended.stdout.contains("web1  failed after "), "{ended}");
    assert!(ended.stdout.contains("not built within 1 s, the timeout of all builds together"), "{ended}");
}
