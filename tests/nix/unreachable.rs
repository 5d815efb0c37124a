//! The errors if a remote is unreachable. No process or connection remains.

use crate::repository::Repository;
use crate::resolve::pin;
use crate::server::Server;
use homelab_deploy::protocol::ErrorCode;
use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

async fn unreachable(flake: &str, commit: Option<&str>) -> String {
    let error = pin(flake, "main", commit).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnreachable, "{error}");
    error.to_string()
}

#[tokio::test]
async fn an_unavailable_remote_is_reported_with_the_message_of_git() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    let (flake, host) = (server.flake(), server.host());
    let commit = repository.git(&["rev-parse", "main"]);
    assert!(pin(&flake, "main", None).await.is_ok());
    drop(server);
    for commit in [None, Some(commit.as_str())] {
        let text = unreachable(&flake, commit).await;
        let start = format!(
            "could not look up \"main\" in {flake}: fatal: unable to access 'http://{host}/infra.git/'"
        );
        assert!(text.starts_with(&start), "{text}");
        let end = "; check the flake URL and this host's connection to the server, then deploy again";
        assert!(text.ends_with(end), "{text}");
    }
}

#[tokio::test]
async fn a_missing_repository_is_reported() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    let text = unreachable(&server.flake().replace("infra", "other"), None).await;
    assert!(text.ends_with("not found; check the flake URL"), "{text}");
    let text = unreachable("git+file:///nowhere/infra.git", None).await;
    assert!(text.contains("'/nowhere/infra.git' does not appear to be a git repository"), "{text}");
    assert!(text.ends_with("; check the flake URL"), "{text}");
}

#[tokio::test]
async fn ssh_fails_without_a_prompt() {
    let text = unreachable("git+ssh://git@127.0.0.1:1/infra.git", None).await;
    assert!(text.contains("git+ssh://git@127.0.0.1:1/infra.git"), "{text}");
    assert!(!text.contains("Please make sure"), "{text}");
}

/// The server accepts the connection but does not respond. Cancelling must end git and the helper that holds the connection.
#[tokio::test]
async fn cancelling_ends_git_and_its_children() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let flake = format!("git+http://{}/infra.git", listener.local_addr().unwrap());
    let lookup = tokio::spawn(async move { pin(&flake, "main", None).await });
    let accept = tokio::task::spawn_blocking(move || listener.accept().unwrap().0);
    let mut connection = tokio::time::timeout(Duration::from_secs(30), accept).await.unwrap().unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The helper has sent a request and waits for the response.
    let mut request = [0; 4];
    connection.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET ");
    lookup.abort();
    assert!(lookup.await.unwrap_err().is_cancelled());
    // Reading ends after the rest of the request because the helper has closed the connection.
    connection.read_to_end(&mut Vec::new()).unwrap();
}
