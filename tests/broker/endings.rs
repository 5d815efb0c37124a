//! Every way a demo can end, and that its server ends with it.

use crate::traces::{AUTHORIZATION, Traces, program};
use homelab_deploy::demo::Broker;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

#[tokio::test]
async fn it_serves_those_whom_it_knows_and_stop_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, &program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    assert!(broker.url().starts_with("nats://127.0.0.1:"), "{}", broker.url());

    let known = async_nats::ConnectOptions::with_user_and_password("u".into(), "p".into());
    let client = known.connect(broker.url()).await.unwrap();
    drop(client);
    let stranger = async_nats::connect(broker.url()).await.unwrap_err();
    assert_eq!(stranger.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);

    fs::write(folder.join("ns1.seed"), "put there by others").unwrap();
    broker.stop().await.unwrap();
    assert!(traces.left().is_empty(), "left behind: {:?}", traces.left());
    assert!(temporary.path().exists());
}

#[tokio::test]
async fn dropping_it_is_enough() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, &program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    drop(broker);
    traces.wait_until_gone();
}

#[tokio::test]
async fn a_server_that_ends_by_itself_leaves_nothing_and_stop_is_content() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let broker = Broker::start(&folder, AUTHORIZATION, &program()).await.unwrap();
    let traces = Traces::of(broker.url(), &folder);
    traces.kill_server();
    traces.wait_until_gone();
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn several_run_side_by_side() {
    let temporary = tempfile::tempdir().unwrap();
    let folders = [temporary.path().join("one"), temporary.path().join("two")];
    let one = Broker::start(&folders[0], AUTHORIZATION, &program()).await.unwrap();
    let two = Broker::start(&folders[1], AUTHORIZATION, &program()).await.unwrap();
    assert_ne!(one.url(), two.url());
    one.stop().await.unwrap();
    Traces::of(two.url(), &folders[1]);
    two.stop().await.unwrap();
}

/// A process that owns a demo, see `bodies::owner`. Killed in the end, in any case.
struct Owner {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Owner {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bodies::owner", "--nocapture"])
            .env("OWNER_FOLDER", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// What follows this word, once it is said.
    fn hear(&mut self, word: &str) -> String {
        let lines = (&mut self.said).lines().map(Result::unwrap);
        lines
            .into_iter()
            .find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()))
            .unwrap_or_else(|| panic!("the owner ended without saying {word}"))
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_owner_that_is_killed_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let mut owner = Owner::start(&folder);
    let traces = Traces::of(&owner.hear("url"), &folder);
    owner.kill();
    traces.wait_until_gone();
}

#[test]
fn ctrl_c_on_the_terminal_is_left_to_the_owner() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("demo");
    let mut owner = Owner::start(&folder);
    let traces = Traces::of(&owner.hear("url"), &folder);
    let group = Pid::from_child(&owner.process);
    kill_process_group(group, Signal::INT).unwrap();
    assert_eq!(owner.hear("serving"), "true");
    owner.kill();
    traces.wait_until_gone();
}
