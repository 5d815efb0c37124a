//! What other processes of these tests do. Each is this test binary again, told by its environment; run as a plain
//! test, it does nothing.

use crate::traces::{AUTHORIZATION, answers, program};
use homelab_deploy::demo::{Broker, keeper};
use std::env;
use std::path::PathBuf;
use std::time::Duration;

fn told(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from)
}

/// The keeper, see `keeper.sh`.
#[test]
fn keeper() {
    let Some(folder) = told("KEEPER_FOLDER") else { return };
    if let Err(error) = keeper::run(&folder) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// A demo that says its URL, survives Ctrl-C, and waits to be killed.
#[tokio::test]
async fn owner() {
    let Some(folder) = told("OWNER_FOLDER") else { return };
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
    let broker = Broker::start(&folder, AUTHORIZATION, &program()).await.unwrap();
    println!("\nurl {}", broker.url());
    interrupt.recv().await;
    // Long enough for a server that got the signal to end.
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("\nserving {}", answers(broker.url()));
    std::future::pending::<()>().await;
}
