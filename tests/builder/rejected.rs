//! Rejected requests, each with its reason.

use crate::common::{DEADLINE, Repo};
use crate::stage::{Stage, says};
use serde_json::{Value, json};

const ONE: &str = "web1 = sh \"web1\" \"echo one > $out\";";

#[test]
fn an_invalid_request_is_rejected_with_the_reason() {
    let other = Repo::new();
    let top = format!("[repos.other]\nurl = {:?}\ndefault = true\n", other.url());
    let stage = Stage::with(ONE, &top, |builder| builder);
    let cases = [
        (
            "build.nope.web1",
            json!({"target": "web1"}),
            "unknown_repo",
            "no repository \"nope\"; it has infra, other",
        ),
        ("build.web1", json!({"target": "web1", "repo": "nope"}), "unknown_repo", "no repository \"nope\""),
        (
            "build.web1",
            json!({"target": "web1", "repo": "infra"}),
            "invalid_request",
            "`repo`: got \"infra\", but the subject means \"other\"",
        ),
        (
            "build.infra.web1",
            json!({"target": "web1", "repo": "other"}),
            "invalid_request",
            "`repo`: got \"other\", but the subject names \"infra\"",
        ),
        (
            "build.infra.web1",
            json!({"target": "web2"}),
            "invalid_request",
            "`target`: got \"web2\", but the subject names \"web1\"",
        ),
        ("build.infra.web1", json!({"target": "web1; rm -rf /"}), "invalid_request", "`target`"),
        ("build.infra.web1", json!({"target": "$(id)"}), "invalid_request", "`target`"),
        ("build.infra.web1", json!({"target": "../web1"}), "invalid_request", "`target`"),
        ("build.infra.web1", json!({"target": 7}), "invalid_request", "`target`"),
        ("build.infra.web1", json!({}), "invalid_request", "`target`: it is missing"),
        ("build.infra.web1", json!({"target": "web1", "branch": "a..b"}), "invalid_revision", "`branch`"),
        (
            "build.infra.web1",
            json!({"target": "web1", "branch": "--upload-pack=id"}),
            "invalid_revision",
            "`branch`",
        ),
        (
            "build.infra.web1",
            json!({"target": "web1", "branch": "deadbeef"}),
            "invalid_revision",
            "short commit",
        ),
        ("build.infra.web1", json!({"target": "web1", "id": "a.b"}), "invalid_request", "`id`"),
        (
            "build.infra.web1",
            json!({"target": "web1", "expires_at": "2020-01-01T00:00:00Z"}),
            "expired",
            "by this host's clock",
        ),
        (
            "build.infra.web1",
            json!({"target": "web1", "expires_at": "soon"}),
            "invalid_request",
            "`expires_at`",
        ),
    ];
    for (n, (subject, request, code, words)) in cases.into_iter().enumerate() {
        let report = stage.ask(&format!("r-{n}"), subject, request.clone()).next().body;
        says(&report, "rejected", code, &[words]);
        assert!(report["seq"].is_u64() && report["at"].is_string(), "{request}: {report}");
    }
    assert_eq!(std::fs::read_dir(stage.builder.file("state/builds")).unwrap().count(), 0);
}

#[test]
fn an_unknown_branch_is_reported_with_similar_names() {
    let stage = Stage::new(ONE);
    let report = stage.ask("r-1", "build.web1", json!({"target": "web1", "branch": "mastre"})).final_report();
    says(
        &report,
        "failed",
        "invalid_revision",
        &["\"mastre\" is not a branch or tag of", "similar names: master"],
    );
}

#[test]
fn without_a_default_a_repository_must_be_named() {
    let other = Repo::new();
    let top = format!("[repos.other]\nurl = {:?}\n", other.url());
    let stage = Stage::with(ONE, &top, |builder| builder);
    let report = stage.build("r-1", "web1").next().body;
    says(&report, "rejected", "unknown_repo", &["use build.<repo>.web1 with one of infra, other"]);
    says(
        &stage.ask("r-2", "build.infra.web1", json!({"target": "web1"})).final_report(),
        "completed",
        "",
        &[],
    );
}

#[test]
fn a_request_without_reply_to_is_answered_on_the_reply_subject_or_counted() {
    let mut stage = Stage::new(ONE);
    let reports = stage.wire.subscribe("build.responses.>");
    for (n, (body, words)) in [
        ("not json", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{\"target\":\"web1\"}", "`reply_to`"),
        ("{\"target\":\"web1\",\"reply_to\":\"deploy.responses.x\"}", "`reply_to`"),
        ("{\"target\":\"web1\",\"reply_to\":\"build.responses.a.b\"}", "`reply_to`"),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = format!("build.responses.n-{n}");
        stage.wire.publish_bytes("build.web1", Some(&reply), body.as_bytes().to_vec());
        let received = reports.next();
        assert_eq!(received.subject, reply);
        says(&received.body, "rejected", "invalid_request", &[words]);
        assert_eq!(received.body["target"], "web1");
    }
    for (count, reply) in
        [None, Some("_INBOX.x"), Some("build.web1"), Some("build.responses.a.b")].into_iter().enumerate()
    {
        stage.wire.publish_bytes("build.web1", reply, b"{}".to_vec());
        let line = stage.builder.wait_for_log("refused a request without a valid reply subject");
        assert_eq!(line["count"], json!(count + 1));
    }
    says(&stage.build("r-1", "web1").final_report(), "completed", "", &[]);
}

#[test]
fn an_unavailable_remote_is_reported_as_unreachable() {
    let stage =
        Stage::with(ONE, "[repos.away]\nurl = \"git+file:///dev/null/repository\"\n", |builder| builder);
    let report = stage.ask("r-1", "build.away.web1", json!({"target": "web1"})).final_report();
    says(&report, "failed", "source_unreachable", &["could not look up \"master\" in git+file:///dev/null"]);
}

#[test]
fn at_most_a_hundred_requests_wait() {
    let stage = Stage::new("");
    let _gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}\";", stage.at("gate").display()));
    let reports = stage.wire.subscribe("build.responses.>");
    for n in 0..101 {
        let request = json!({"target": "web1", "reply_to": format!("build.responses.m-{n}")});
        stage.wire.publish("build.web1", &request);
    }
    let refused: Value = reports.until(|report| report["status"] == "rejected");
    says(&refused, "rejected", "already_running", &["100 builds are already queued"]);
    assert!(reports.within(DEADLINE).is_some());
}

#[test]
fn without_a_branch_the_default_one_of_the_repository_is_named() {
    let stage = Stage::new(ONE);
    stage.repo.git(&["branch", "--move", "a&main"]);
    let report = stage.build("d-1", "web1").final_report();
    let words = [
        "\"master\" is not a branch or tag of",
        "its default branch is a&main: use `--branch 'a&main'`",
        "`default_branch` in the builder's file",
    ];
    says(&report, "failed", "invalid_revision", &words);
    let named = stage.ask("d-2", "build.web1", json!({"target": "web1", "branch": "HEAD"})).final_report();
    says(&named, "completed", "", &[]);
    let typed = stage.ask("d-3", "build.web1", json!({"target": "web1", "branch": "zzz"})).final_report();
    says(&typed, "failed", "invalid_revision", &["push it first (the default branch is a&main)"]);
}

#[test]
fn a_commit_on_any_branch_is_built_and_an_unknown_one_is_rejected() {
    // Nix reads a local repository in place unless it is forced to fetch it like a remote one.
    let stage = Stage::with(ONE, "", |builder| builder.env("_NIX_FORCE_HTTP", "1"));
    let repo = &stage.repo;
    repo.git(&["checkout", "--quiet", "-b", "side"]);
    let inside = repo.commit("one", "one");
    repo.commit("two", "two");
    repo.git(&["checkout", "--quiet", "master"]);
    repo.commit("three", "three");
    let ask = |id: &str, commit: &str| {
        stage.ask(id, "build.web1", json!({"target": "web1", "branch": commit})).final_report()
    };
    let built = ask("c-1", &inside);
    says(&built, "completed", "", &[]);
    assert_eq!(built["commit"], inside);
    repo.git(&["branch", "-D", "side"]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    let gone = format!("commit {inside} is not on any branch or tag of");
    says(&ask("c-2", &inside), "failed", "invalid_revision", &[&gone]);
}
