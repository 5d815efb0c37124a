//! Credentials are passed to git but never shown.

use crate::repository::Repository;
use crate::resolve::pin;
use crate::server::Server;
use homelab_deploy::nix::FlakeUrl;
use homelab_deploy::protocol::ErrorCode;

#[tokio::test]
async fn the_right_password_opens_the_repository() {
    let repository = Repository::new();
    let server = Server::locked(repository.remotes());
    let flake = format!("git+http://deploy:s3cret-w0rd@{}/infra.git", server.host());
    let locked = pin(&flake, "main", None).await.unwrap();
    assert!(locked.url.starts_with(&format!("{}?ref=", server.flake())), "{}", locked.url);
    assert!(!format!("{locked:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_refusal_has_advice_and_no_secret() {
    let repository = Repository::new();
    let server = Server::locked(repository.remotes());
    for userinfo in ["", "deploy:wr0ng-w0rd@", "t0ken-t0ken@", "deploy:wr0ng%2Dw0rd@"] {
        let flake = format!("git+http://{userinfo}{}/infra.git?dir=hosts&token=t0ken-t0ken", server.host());
        let error = pin(&flake, "main", None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::SourceUnreachable);
        let texts = format!("{error} {error:?}");
        assert!(!texts.contains("w0rd") && !texts.contains("t0ken"), "{texts}");
        let advice = "; give this host a deploy key or credentials with read access, \
                      and check that the repository exists";
        assert!(error.to_string().ends_with(advice), "{error}");
        let start = format!("could not look up \"main\" in {}?dir=hosts: fatal: ", server.flake());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn the_error_of_an_unknown_revision_contains_no_secret() {
    let repository = Repository::new();
    let server = Server::locked(repository.remotes());
    let flake = format!("git+http://deploy:s3cret-w0rd@{}/infra.git", server.host());
    let error = pin(&flake, "mian", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("\"mian\" is not a branch or tag of {}; similar names: main", server.flake())
    );
}

#[test]
fn output_of_other_programs_is_redacted() {
    let flake: FlakeUrl =
        "git+https://deploy:p%40ss-w0rd@git.example/infra.git?dir=x&token=t0k".parse().unwrap();
    for (text, redacted) in [
        (
            "fetching 'https://deploy:p%40ss-w0rd@git.example/infra.git'",
            "fetching 'https://git.example/infra.git'",
        ),
        ("password p@ss-w0rd or p%40ss-w0rd refused", "password *** or *** refused"),
        ("url ?dir=x&token=t0k", "url ?dir=x&token=***"),
        ("url 'x?token=%74%30k&dir=x' y", "url 'x?token=***&dir=x' y"),
        ("two: http://a:b@c/d http://e@f, ssh://git@g/h", "two: http://c/d http://f, ssh://git@g/h"),
        ("mail me@example.org, a://b", "mail me@example.org, a://b"),
        ("ssh://git:pw@host x://", "ssh://host x://"),
    ] {
        assert_eq!(flake.redact(text), redacted);
    }
    let flake: FlakeUrl = "git+https://git@git.example/git.git".parse().unwrap();
    assert_eq!(flake.redact("git said no"), "git said no");
}
