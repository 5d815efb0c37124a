//! A forge that refuses, is unreachable, hangs or redirects: the branch is pushed, and the error names the next step.

use crate::certificates::Authority;
use crate::forge::Forge;
use crate::stage::{BAD, Stage, TOKEN};
use serde_json::{Value, json};
use std::time::Instant;

/// Runs an update whose forge gives this response, and returns its stderr.
fn refused(status: u16, location: &str, body: &Value) -> String {
    let stage = Stage::new(BAD);
    let before = stage.at("master");
    let (location, body) = (location.to_owned(), body.clone());
    let forge = Forge::new(move |_, _| Some((status, location.clone(), body.clone())));
    let ended = stage.wait_for_exit(&mut stage.update_with(&forge), 5);
    let branch = Stage::today();
    let next_step = format!("{branch} is pushed to origin: open the pull request there, or run again");
    ended.assert_stderr(&[
        &format!("error: could not open a pull request from {branch} into master: "),
        &next_step,
    ]);
    assert_eq!(stage.at("master"), before);
    stage.at(&branch);
    ended.stderr.replace(forge.address(), "FORGE")
}

#[test]
fn each_refusal_is_reported_with_the_status_and_message_of_the_forge() {
    let pulls = "GET http://FORGE/api/v1/repos/alice/fleet/pulls failed with HTTP";
    for (status, body, message) in [
        (
            401,
            json!({"message": format!("bad token {TOKEN}")}),
            "401: bad token ***; the forge does not accept the token",
        ),
        (403, json!({"message": "no scope"}), "403: no scope; the token lacks permission"),
        (
            404,
            json!({"message": "not found"}),
            "404: not found; the repository does not exist, or the token has no access to it",
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
        assert!(err.contains(&format!("{pulls} {message}")), "{err}");
    }
}

#[test]
fn an_unexpected_response_is_reported() {
    let err = refused(200, "", &json!("<html>welcome</html>"));
    assert!(err.contains("the response is not JSON; check --forge-url and --forge"), "{err}");
}

#[test]
fn the_token_follows_no_redirect() {
    let elsewhere = Forge::new(|_, _| Some((200, String::new(), json!([]))));
    let to = format!("http://{}/api/v1/repos/alice/fleet/pulls", elsewhere.address());
    for status in [301, 302, 307, 308] {
        let err = refused(status, &to, &json!(null));
        assert!(err.contains(&format!("redirects to {to}; the token is not sent there")), "{err}");
    }
    assert_eq!(elsewhere.calls(), Vec::<String>::new());
}

#[test]
fn a_hanging_forge_times_out() {
    let stage = Stage::new(BAD);
    let forge = Forge::new(|_, _| None);
    let started = Instant::now();
    let ended = stage.wait_for_exit(stage.update_with(&forge).args(["--forge-timeout", "1"]), 5);
    ended.assert_stderr(&["did not respond: timed out", "is pushed to origin: open the pull request there"]);
    assert!(started.elapsed().as_secs() < 25);
    assert_eq!(forge.calls().len(), 1);
}

#[test]
fn an_unavailable_forge_leaves_the_branch_pushed_and_the_next_run_resumes() {
    let stage = Stage::new(BAD);
    let unavailable = {
        let forge = Forge::gitea(|_| None);
        forge.page()
    };
    let with = |page: &str| {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token")).args(["--forge-url", page]);
        update
    };
    let ended = stage.wait_for_exit(&mut with(&unavailable), 5);
    ended.assert_stderr(&[
        "did not respond: ",
        "is pushed to origin: open the pull request there, or run again",
    ]);
    stage.at(&Stage::today());
    let forge = Forge::gitea(|_| None);
    let ended = stage.wait_for_exit(&mut with(&forge.page()), 1);
    assert!(ended.stdout.contains("opened the pull request"), "{ended}");
}

#[test]
fn the_certificate_of_a_forge_is_checked_against_the_system_certificates() {
    let stage = Stage::new(BAD);
    let home = Authority::new();
    let forge = Forge::with_tls(&home.sign("forge", &["127.0.0.1", "localhost"]));
    let run = |authority: &Authority, code| {
        let mut update = stage.update();
        update.arg("--token-file").arg(stage.path("token")).env("SSL_CERT_FILE", authority.ca());
        update.args(["--forge-url", &format!("https://{}/alice/fleet", forge.address())]);
        stage.wait_for_exit(update.env_remove("SSL_CERT_DIR"), code)
    };
    let ended = run(&Authority::new(), 5);
    ended.assert_stderr(&[" did not respond: ", "invalid peer certificate"]);
    assert_eq!(forge.calls(), Vec::<String>::new());
    let ended = run(&home, 1);
    assert!(ended.stdout.contains("opened the pull request"), "{ended}");
    assert_eq!(forge.requests()[0].header("authorization"), format!("token {TOKEN}"));
}
