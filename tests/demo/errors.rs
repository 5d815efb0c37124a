//! Errors at the start and the end of the private server.

use crate::common::binary as program;
use crate::leftovers::AUTHORIZATION;
use homelab_deploy::demo::{NatsServer, NatsServerError, supervise};
use std::fs;
use std::path::Path;

#[tokio::test]
async fn a_server_that_cannot_start_reports_its_log_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let error = NatsServer::start(&directory, "authorization { users = 3 }\n", program()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the demo's nats-server exited at once; its log says why:\n"), "{text}");
    assert!(text.contains("nats-server.conf:3:17: Expected users field to be an array"), "{text}");
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_failing_supervisor_reports_its_own_output() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let error = NatsServer::start(&directory, AUTHORIZATION, Path::new("/bin/false")).await.unwrap_err();
    assert!(matches!(error, NatsServerError::Exited { .. }), "{error}");
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let error =
        NatsServer::start(&directory, AUTHORIZATION, Path::new("/missing/program")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not start /missing/program as the demo's supervisor: No such file or directory (os error 2); check that \
         the program still exists"
    );
    assert!(!directory.exists());
}

#[tokio::test]
async fn the_directory_of_another_demo_is_rejected_and_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("demo");
    let first = NatsServer::start(&directory, AUTHORIZATION, program()).await.unwrap();
    let error = NatsServer::start(&directory, AUTHORIZATION, program()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "could not prepare the demo's directory {}: File exists (os error 17); choose a new directory in a writable place",
            directory.display()
        )
    );
    assert!(
        async_nats::ConnectOptions::with_user_and_password("u".into(), "p".into())
            .connect(first.url())
            .await
            .is_ok()
    );
    first.stop().await.unwrap();
}

#[test]
fn the_supervisor_removes_only_demo_directories() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nats-server.conf");
    fs::write(&file, "port: 4222\n").unwrap();
    let error = supervise(directory.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not the directory of a demo; nothing was started or removed",
            directory.path().display()
        )
    );
    assert!(file.exists());
}

#[test]
fn a_missing_server_is_reported_with_the_install_command() {
    assert_eq!(
        NatsServerError::NotInstalled.to_string(),
        "the demo needs nats-server, which is not installed; on Debian or Ubuntu run `sudo apt install \
         nats-server`, with nix run `nix shell nixpkgs#nats-server`, then start the demo again"
    );
}
