//! The errors if a flake cannot be fetched, which do not expose its credentials.

use crate::store::{Built, Store};
use homelab_deploy::nix::{HostBuildSpec, LockedFlake};
use homelab_deploy::protocol::ErrorCode;

/// An address where no server listens, and which no other test uses.
const UNUSED_ADDRESS: &str = "127.0.0.1:1";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A flake with credentials, at a commit of a host's repository.
fn secret(store: &Store, host: &str) -> HostBuildSpec {
    let flake = format!("git+http://deploy:s3cret-w0rd@{host}/infra.git?token=t0ken+t0ken");
    let url = format!("{flake}&ref=refs/heads/main&rev={COMMIT}");
    HostBuildSpec {
        flake: flake.parse().unwrap(),
        locked: LockedFlake { url, commit: Some(COMMIT.to_owned()), branch: None, note: None },
        host: "web".parse().unwrap(),
        attr: "web".parse().unwrap(),
        out_link: store.path("result"),
    }
}

fn assert_no_secret(built: &Built) {
    let all = format!("{} {:?} {:?}", built.error(), built.error(), built.lines);
    assert!(!all.contains("s3cret") && !all.contains("t0ken"), "{all}");
}

#[tokio::test]
async fn verbose_output_of_nix_contains_no_credentials() {
    let store = Store::new();
    for (name, script) in [
        ("log", "echo \"run as $*, with s3cret-w0rd\" >&2; exit 1"),
        (
            "error",
            r#"echo '@nix {"action":"msg","level":0,"msg":"error: s3cret-w0rd","raw_msg":"s3cret-w0rd x?token=%740ken"}' >&2; exit 1"#,
        ),
        (
            "progress",
            r#"echo '@nix {"action":"start","id":1,"level":1,"type":0,"text":"fetching a?token=t%30ken"}' >&2; exit 1"#,
        ),
    ] {
        let built = Built::of(&store.instead_of_nix(script), secret(&store, "git.example")).await;
        assert_no_secret(&built);
        assert!(format!("{:?}", built.lines).contains("***"), "{name}: {:?}", built.lines);
    }
}

#[tokio::test]
async fn a_failed_flake_fetch_is_reported_without_credentials() {
    let store = Store::new();
    let built = Built::of(&store.nix(), secret(&store, UNUSED_ADDRESS)).await;
    assert_eq!(built.error().code(), ErrorCode::SourceUnreachable, "{}", built.error());
    let text = built.error().to_string();
    let start = format!("could not fetch git+http://{UNUSED_ADDRESS}/infra.git or what it needs: ");
    assert!(text.starts_with(&start) && text.contains("to connect to"), "{text}");
    assert!(
        text.ends_with("; check the flake URL and this host's connection to the server, then deploy again")
    );
    assert_no_secret(&built);
}

#[tokio::test]
async fn a_failed_input_fetch_is_reported() {
    let store = Store::new();
    let url = format!("http://{UNUSED_ADDRESS}/x.git");
    store.write("flake.nix", &format!(r#"{{ inputs.x.url = "git+{url}"; outputs = {{ self, x }}: x; }}"#));
    let source = format!(r#""type": "git", "url": "{url}""#);
    let pin = format!(
        r#""ref": "refs/heads/main", "rev": "{COMMIT}", "revCount": 1, "lastModified": 1,
        "narHash": "sha256-QvnceIGTBeDvDd9oCn+GvdsnkquliuwbVgpiRH68qaQ=""#
    );
    let nodes = format!(
        r#"{{ "root": {{ "inputs": {{ "x": "x" }} }},
              "x": {{ "locked": {{ {source}, {pin} }}, "original": {{ {source} }} }} }}"#
    );
    store.write("flake.lock", &format!(r#"{{ "nodes": {nodes}, "root": "root", "version": 7 }}"#));
    let built = store.build("web").await;
    assert_eq!(built.error().code(), ErrorCode::SourceUnreachable, "{}", built.error());
    assert!(built.error().to_string().contains(&url), "{}", built.error());
}

#[tokio::test]
async fn a_missing_directory_is_reported() {
    let store = Store::new();
    let built = store.build("web").await;
    assert_eq!(built.error().code(), ErrorCode::SourceUnreachable, "{}", built.error());
    let text = built.error().to_string();
    assert!(text.ends_with("; check the flake URL"), "{text}");
}
