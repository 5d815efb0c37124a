//! A forge that refuses, is away, hangs, or sends elsewhere: the branch is pushed, and the error says what is left to do.

use crate::certificates::Authority;
use crate::forge::Forge;
use crate::stage::{BAD, Stage, TOKEN};
use serde_json::{Value, json};
use std::time::Instant;

/// Runs into this answer, and gives what was said.
fn refused(status: u16, location: &str, body: &Value) -> String {
    let stage = Stage::new(BAD);
    let before = stage.at("master");
    let (location, body) = (location.to_owned(), body.clone());
    let forge = Forge::new(move |_, _| Some((status, location.clone(), body.clone())));
    let ended = stage.ended(&mut stage.update_with(&forge), 5);
    let branch = Stage::today();
    let left = format!("{branch} is pushed to origin: open the pull request there, or run again");
    ended.complains(&[&format!("error: could not open a pull request from {branch} into master: "), &left]);
    assert_eq!(stage.at("master"), before);
    stage.at(&branch);
    ended.err.replace(forge.address(), "FORGE")
}

#[test]
fn each_refusal_is_told_with_the_status_and_the_words_of_the_forge() {
    let pulls = "GET http://FORGE/api/v1/repos/alice/fleet/pulls was answered with HTTP";
    for (status, body, said) in [
        (
            401,
            json!({"message": format!("bad token {TOKEN}")}),
            "401: bad token ***; the token is not known there",
        ),
        (403, json!({"message": "no scope"}), "403: no scope; the token may not do that"),
        (
            404,
            json!({"message": "not found"}),
            "404: not found; there is no such repository, or the token may not see it",
        ),
        (409, json!({"message": "exists"}), "409: exists"),
        (
            422,
            json!({"message": "invalid", "errors": [{"message": "No commits"}]}),
            "422: invalid: No commits",
        ),
        (500, json!("<html>\u{1b}[31moops"), "500: <html>oops"),
    ] {
        let err = refused(status, "", &body);
        assert!(err.contains(&format!("{pulls} {said}")), "{err}");
    }
}

#[test]
fn what_is_no_answer_of_a_forge_is_told() {
    let err = refused(200, "", &json!("<html>welcome</html>"));
    assert!(err.contains("its answer is no JSON; is --forge-url a forge of that kind?"), "{err}");
}

#[test]
fn the_token_follows_no_redirect() {
    let elsewhere = Forge::new(|_, _| Some((200, String::new(), json!([]))));
    let to = format!("http://{}/api/v1/repos/alice/fleet/pulls", elsewhere.address());
    for status in [301, 302, 307, 308] {
        let err = refused(status, &to, &json!(null));
        assert!(err.contains(&format!("sends elsewhere, to {to}; the token does not follow")), "{err}");
    }
    assert_eq!(elsewhere.calls(), Vec::<String>::new());
}

#[test]
fn a_forge_that_hangs_is_given_up() {
    let stage = Stage::new(BAD);
    let forge = Forge::new(|_, _| None);
    let begun = Instant::now();
    let ended = stage.ended(stage.update_with(&forge).args(["--forge-timeout", "1"]), 5);
    ended
        .complains(&["did not answer: the time ran out", "is pushed to origin: open the pull request there"]);
    assert!(begun.elapsed().as_secs() < 25);
    assert_eq!(forge.calls().len(), 1);
}

#[test]
fn a_forge_that_is_away_leaves_the_branch_pushed_and_the_next_run_goes_on() {
    let stage = Stage::new(BAD);
    let away = {
        let forge = Forge::gitea(|_| None);
        forge.page()
    };
    let with = |page: &str| {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token")).args(["--forge-url", page]);
        update
    };
    let ended = stage.ended(&mut with(&away), 5);
    ended.complains(&["did not answer: ", "is pushed to origin: open the pull request there, or run again"]);
    stage.at(&Stage::today());
    let forge = Forge::gitea(|_| None);
    let ended = stage.ended(&mut with(&forge.page()), 1);
    assert!(ended.out.contains("opened the pull request"), "{ended}");
}

#[test]
fn a_forge_with_a_certificate_is_trusted_by_the_authorities_of_this_machine_alone() {
    let stage = Stage::new(BAD);
    let home = Authority::new();
    let forge = Forge::with_tls(&home.sign("forge", &["127.0.0.1", "localhost"]));
    let run = |authority: &Authority, code| {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token")).env("SSL_CERT_FILE", authority.ca());
        update.args(["--forge-url", &format!("https://{}/alice/fleet", forge.address())]);
        stage.ended(update.env_remove("SSL_CERT_DIR"), code)
    };
    let ended = run(&Authority::new(), 5);
    ended.complains(&[" did not answer: ", "invalid peer certificate"]);
    assert_eq!(forge.calls(), Vec::<String>::new());
    let ended = run(&home, 1);
    assert!(ended.out.contains("opened the pull request"), "{ended}");
    assert_eq!(forge.requests()[0].header("authorization"), format!("token {TOKEN}"));
}
