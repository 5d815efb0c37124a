//! A stopped build leaves no processes running.

use crate::common::DEADLINE;
use crate::store::{Built, Store};
use homelab_deploy::nix::{BuildError, Nix};
use homelab_deploy::protocol::ErrorCode;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A named pipe that shows whether processes are alive: reading it ends once no process has it open.
struct Alive(PathBuf);

impl Alive {
    fn new(store: &Store) -> Self {
        for name in ["alive", "never"] {
            assert!(Command::new("mkfifo").arg(store.path(name)).status().unwrap().success());
        }
        Self(store.path("alive"))
    }

    /// A script that opens the pipe, starts a child, and hangs. Both write a line to the pipe.
    fn script(&self) -> String {
        let hang = format!("read x < {}", self.0.with_file_name("never").display());
        format!("exec 3> {}; (echo child >&3; {hang}) & echo built >&3; {hang}", self.0.display())
    }

    /// Waits until both processes have opened the pipe, and returns it.
    async fn wait_until_open(&self) -> File {
        let path = self.0.clone();
        within_deadline(move || {
            let mut pipe = File::open(path).unwrap();
            let mut text = [0; 12];
            pipe.read_exact(&mut text).unwrap();
            pipe
        })
        .await
    }
}

/// Runs blocking work in a thread, which does not keep the test from ending.
async fn within_deadline<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    tokio::time::timeout(DEADLINE, wait).await.expect("deadline exceeded").unwrap()
}

/// Waits until no process has the pipe open.
async fn wait_until_closed(mut pipe: File) {
    within_deadline(move || pipe.read_to_end(&mut Vec::new()).unwrap()).await;
}

type BuildHandle = JoinHandle<Result<PathBuf, BuildError>>;

/// Starts to build `web` without a receiver for its output.
async fn start(store: &Store, nix: Nix, stop: &CancellationToken) -> BuildHandle {
    let (spec, stop) = (store.spec(None, "web").await, stop.clone());
    let (sender, _) = mpsc::channel(1);
    tokio::spawn(async move { nix.build(spec, sender, &stop).await })
}

#[tokio::test]
async fn stopping_a_hanging_build_ends_all_its_processes() {
    let store = Store::new();
    let alive = Alive::new(&store);
    store.hosts(&format!("web = sh \"hanging\" ''{}'';", alive.script()));
    let stop = CancellationToken::new();
    let build = start(&store, store.nix(), &stop).await;
    let pipe = alive.wait_until_open().await;
    let asked = Instant::now();
    stop.cancel();
    let error = build.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert_eq!(error.to_string(), "the build of \"web\" was stopped");
    // nix ended after the first signal.
    assert!(asked.elapsed().as_secs() < 5);
    wait_until_closed(pipe).await;
}

#[tokio::test]
async fn dropping_a_build_ends_all_its_processes() {
    let store = Store::new();
    let alive = Alive::new(&store);
    store.hosts(&format!("web = sh \"hanging\" ''{}'';", alive.script()));
    let build = start(&store, store.nix(), &CancellationToken::new()).await;
    let pipe = alive.wait_until_open().await;
    build.abort();
    assert!(build.await.unwrap_err().is_cancelled());
    wait_until_closed(pipe).await;
}

#[tokio::test]
async fn a_nix_that_ignores_sigterm_is_killed() {
    let store = Store::new();
    let alive = Alive::new(&store);
    // As in real builds, the child has a separate process group.
    let nix = store.instead_of_nix(&format!(
        "trap '' TERM; setsid sh -c '{}' & read x < {}",
        alive.script(),
        store.path("never").display()
    ));
    let stop = CancellationToken::new();
    let build = start(&store, nix, &stop).await;
    let pipe = alive.wait_until_open().await;
    let asked = Instant::now();
    stop.cancel();
    assert!(matches!(build.await.unwrap(), Err(BuildError::Stopped { .. })));
    assert!(asked.elapsed().as_secs() >= 5);
    wait_until_closed(pipe).await;
}

#[tokio::test]
async fn a_slow_receiver_does_not_keep_a_build_from_stopping() {
    let store = Store::new();
    // Before it ends, it writes more than fits into a pipe.
    let nix = store.instead_of_nix(
        "trap 'head --bytes 1000000 /dev/zero >&2; exit' TERM; while :; do echo talking >&2; done",
    );
    let spec = store.spec(None, "web").await;
    let (sender, mut receiver) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let receive = async {
        receiver.recv().await.unwrap();
        stop.cancel();
        Instant::now()
    };
    let (result, stopped_at) = tokio::join!(nix.build(spec, sender, &stop), receive);
    assert!(matches!(result, Err(BuildError::Stopped { .. })));
    assert!(stopped_at.elapsed().as_secs() < 5);
}

/// An ssh connection that git keeps open for the next fetch behaves like this.
#[tokio::test]
async fn a_process_that_keeps_the_pipe_open_does_not_delay_the_result() {
    let store = Store::new();
    let alive = Alive::new(&store);
    let result = r#"[{"outputs":{"out":"/nix/store/x"}}]"#;
    let nix = store.instead_of_nix(&format!(
        "setsid sh -c '{}' > /dev/null &\necho last >&2; echo '{result}'",
        alive.script()
    ));
    let spec = store.spec(None, "web").await;
    let (built, pipe) = tokio::join!(Built::of(&nix, spec), alive.wait_until_open());
    assert_eq!(built.result.as_ref().unwrap(), &PathBuf::from("/nix/store/x"));
    assert_eq!(built.log(), ["last"]);
    // Both hanging processes wait for a line.
    let mut never = OpenOptions::new().read(true).write(true).open(store.path("never")).unwrap();
    never.write_all(b"\n\n").unwrap();
    wait_until_closed(pipe).await;
}

#[tokio::test]
async fn a_killed_nix_is_reported() {
    let store = Store::new();
    let nix = store.instead_of_nix("kill -KILL $$");
    let built = Built::of(&nix, store.spec(None, "web").await).await;
    assert_eq!(built.error().code(), ErrorCode::BuildFailed);
    assert_eq!(
        built.error().to_string(),
        "nix ended with signal: 9 (SIGKILL) while building \"web\"; check whether the host ran out of memory"
    );
}
