//! What cannot be started or removed, and the sentence about it.

use crate::common::binary as program;
use crate::traces::AUTHORIZATION;
use homelab_deploy::demo::{Broker, BrokerError, keep};
use std::fs;
use std::path::Path;

#[tokio::test]
async fn a_server_that_cannot_start_gives_its_own_words_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let error = Broker::start(&folder, "authorization { users = 3 }\n", program()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("the demo's nats-server ended at once; its last words, which say what to mend:\n"),
        "{text}"
    );
    assert!(text.contains("nats-server.conf:3:17: Expected users field to be an array"), "{text}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_program_that_is_no_keeper_is_told_by_its_own_words() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let error = Broker::start(&folder, AUTHORIZATION, Path::new("/bin/false")).await.unwrap_err();
    assert!(matches!(error, BrokerError::Died { .. }), "{error}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let error = Broker::start(&folder, AUTHORIZATION, Path::new("/missing/program")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not start /missing/program as the demo's keeper: No such file or directory (os error 2); check that \
         the program is still there"
    );
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_folder_of_another_demo_is_refused_and_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let first = Broker::start(&folder, AUTHORIZATION, program()).await.unwrap();
    let error = Broker::start(&folder, AUTHORIZATION, program()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "could not prepare the demo's folder {}: File exists (os error 17); name a new one that you may write to",
            folder.display()
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
fn a_keeper_removes_no_folder_but_a_demo_s() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats-server.conf");
    fs::write(&file, "port: 4222\n").unwrap();
    let error = keep(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not the folder of a demo, so nothing was started and nothing removed",
            folder.path().display()
        )
    );
    assert!(file.exists());
}

#[test]
fn a_missing_server_comes_with_how_to_install_it() {
    assert_eq!(
        BrokerError::NotInstalled.to_string(),
        "the demo needs nats-server, which is not installed; on Debian or Ubuntu run `sudo apt install \
         nats-server`, with nix run `nix shell nixpkgs#nats-server`, then start the demo again"
    );
}
