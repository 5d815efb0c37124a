//! What is said when the remote does not answer, and that nothing stays behind.

use crate::repository::Repository;
use crate::resolve::ask;
use crate::server::Server;
use homelab_deploy::protocol::ErrorCode;
use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

async fn unreachable(flake: &str, commit: Option<&str>) -> String {
    let error = ask(flake, "main", commit).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnreachable, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_remote_that_is_away_is_told_with_gits_own_words() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    let (flake, host) = (server.flake(), server.host());
    let commit = repository.git(&["rev-parse", "main"]);
    assert!(ask(&flake, "main", None).await.is_ok());
    drop(server);
    for commit in [None, Some(commit.as_str())] {
        let text = unreachable(&flake, commit).await;
        let start = format!(
            "could not look up \"main\" in {flake}: fatal: unable to access 'http://{host}/infra.git/'"
        );
        assert!(text.starts_with(&start), "{text}");
        let end = "; check the flake URL and this host's way to the server, then deploy again";
        assert!(text.ends_with(end), "{text}");
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    let text = unreachable(&server.flake().replace("infra", "other"), None).await;
    assert!(text.ends_with("not found; check the flake URL"), "{text}");
    let text = unreachable("git+file:///nowhere/infra.git", None).await;
    assert!(text.contains("'/nowhere/infra.git' does not appear to be a git repository"), "{text}");
    assert!(text.ends_with("; check the flake URL"), "{text}");
}

#[tokio::test]
async fn ssh_fails_without_asking() {
    let text = unreachable("git+ssh://git@127.0.0.1:1/infra.git", None).await;
    assert!(text.contains("git+ssh://git@127.0.0.1:1/infra.git"), "{text}");
    assert!(!text.contains("Please make sure"), "{text}");
}

/// The server accepts and says nothing; giving up must end git and the helper that holds the connection.
#[tokio::test]
async fn giving_up_ends_git_and_its_children() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flake = format!("git+http://{}/infra.git", listener.local_addr().unwrap());
    let question = tokio::spawn(async move { ask(&flake, "main", None).await });
    let accept = tokio::task::spawn_blocking(move || listener.accept().unwrap().0);
    let mut connection = tokio::time::timeout(Duration::from_secs(30), accept).await.unwrap().unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The helper is there, and waits for an answer.
    let mut request = [0; 4];
    connection.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET ");
    question.abort();
    assert!(question.await.unwrap_err().is_cancelled());
    // The rest of the request, then the end: whoever held the connection is gone.
    connection.read_to_end(&mut Vec::new()).unwrap();
}
