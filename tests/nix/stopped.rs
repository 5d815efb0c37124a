//! A build that is stopped leaves nothing that runs.

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

/// A pipe whose end is read when nobody holds it open any more.
struct Alive(PathBuf);

impl Alive {
    fn new(store: &Store) -> Self {
        for name in ["alive", "never"] {
            assert!(Command::new("mkfifo").arg(store.path(name)).status().unwrap().success());
        }
        Self(store.path("alive"))
    }

    /// Holds the pipe with a child of its own and hangs; both say so.
    fn script(&self) -> String {
        let hang = format!("read x < {}", self.0.with_file_name("never").display());
        format!("exec 3> {}; (echo child >&3; {hang}) & echo built >&3; {hang}", self.0.display())
    }

    /// Waits until all who hold the pipe have come, and gives it.
    async fn held(&self) -> File {
        let path = self.0.clone();
        in_time(move || {
            let mut pipe = File::open(path).unwrap();
            let mut text = [0; 12];
            pipe.read_exact(&mut text).unwrap();
            pipe
        })
        .await
    }
}

/// Waits for what blocks, by a thread that the end of the test does not wait for.
async fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    tokio::time::timeout(DEADLINE, wait).await.expect("it takes too long").unwrap()
}

/// Waits until nobody holds the pipe.
async fn nobody_holds(mut pipe: File) {
    in_time(move || pipe.read_to_end(&mut Vec::new()).unwrap()).await;
}

type Outcome = JoinHandle<Result<PathBuf, BuildError>>;

/// Starts to build `web`, with nobody who listens.
async fn start(store: &Store, nix: Nix, stop: &CancellationToken) -> Outcome {
    let (order, stop) = (store.order(None, "web").await, stop.clone());
    let (told, _) = mpsc::channel(1);
    tokio::spawn(async move { nix.build(order, told, &stop).await })
}

#[tokio::test]
async fn a_hanging_build_ends_with_all_it_started() {
    let store = Store::new();
    let alive = Alive::new(&store);
    store.hosts(&format!("web = sh \"hanging\" ''{}'';", alive.script()));
    let stop = CancellationToken::new();
    let build = start(&store, store.nix(), &stop).await;
    let pipe = alive.held().await;
    let asked = Instant::now();
    stop.cancel();
    let error = build.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert_eq!(error.to_string(), "the build of \"web\" was stopped");
    // nix heeded the first signal.
    assert!(asked.elapsed().as_secs() < 5);
    nobody_holds(pipe).await;
}

#[tokio::test]
async fn dropping_a_build_ends_all_it_started() {
    let store = Store::new();
    let alive = Alive::new(&store);
    store.hosts(&format!("web = sh \"hanging\" ''{}'';", alive.script()));
    let build = start(&store, store.nix(), &CancellationToken::new()).await;
    let pipe = alive.held().await;
    build.abort();
    assert!(build.await.unwrap_err().is_cancelled());
    nobody_holds(pipe).await;
}

#[tokio::test]
async fn a_nix_that_heeds_nothing_is_killed() {
    let store = Store::new();
    let alive = Alive::new(&store);
    // As real builds do, what it starts has a group of its own.
    let nix = store.instead_of_nix(&format!(
        "trap '' TERM; setsid sh -c '{}' & read x < {}",
        alive.script(),
        store.path("never").display()
    ));
    let stop = CancellationToken::new();
    let build = start(&store, nix, &stop).await;
    let pipe = alive.held().await;
    let asked = Instant::now();
    stop.cancel();
    assert!(matches!(build.await.unwrap(), Err(BuildError::Stopped { .. })));
    assert!(asked.elapsed().as_secs() >= 5);
    nobody_holds(pipe).await;
}

#[tokio::test]
async fn nobody_who_listens_slowly_keeps_a_build_from_stopping() {
    let store = Store::new();
    // It has more to say before it ends than a pipe takes.
    let nix = store.instead_of_nix(
        "trap 'head --bytes 1000000 /dev/zero >&2; exit' TERM; while :; do echo talking >&2; done",
    );
    let order = store.order(None, "web").await;
    let (told, mut heard) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let hear = async {
        heard.recv().await.unwrap();
        stop.cancel();
        Instant::now()
    };
    let (outcome, asked) = tokio::join!(nix.build(order, told, &stop), hear);
    assert!(matches!(outcome, Err(BuildError::Stopped { .. })));
    assert!(asked.elapsed().as_secs() < 5);
}

/// As a connection of ssh does that git keeps open for the next fetch.
#[tokio::test]
async fn who_outlives_nix_with_its_pipe_holds_nothing_up() {
    let store = Store::new();
    let alive = Alive::new(&store);
    let result = r#"[{"outputs":{"out":"/nix/store/x"}}]"#;
    let nix = store.instead_of_nix(&format!(
        "setsid sh -c '{}' > /dev/null &\necho last >&2; echo '{result}'",
        alive.script()
    ));
    let order = store.order(None, "web").await;
    let (built, pipe) = tokio::join!(Built::of(&nix, order), alive.held());
    assert_eq!(built.outcome.as_ref().unwrap(), &PathBuf::from("/nix/store/x"));
    assert_eq!(built.log(), ["last"]);
    // Both who hang there wait for a line.
    let mut never = OpenOptions::new().read(true).write(true).open(store.path("never")).unwrap();
    never.write_all(b"\n\n").unwrap();
    nobody_holds(pipe).await;
}

#[tokio::test]
async fn a_nix_that_is_killed_is_told() {
    let store = Store::new();
    let nix = store.instead_of_nix("kill -KILL $$");
    let built = Built::of(&nix, store.order(None, "web").await).await;
    assert_eq!(built.error().code(), ErrorCode::BuildFailed);
    assert_eq!(
        built.error().to_string(),
        "nix ended with signal: 9 (SIGKILL) while it built \"web\"; see whether the host ran out of memory"
    );
}
