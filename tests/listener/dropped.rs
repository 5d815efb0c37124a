//! What remains of a host when its test ends.

use crate::common::is_running;
use crate::stage::Stage;
use serde_json::json;

/// Writes to the directory until it is killed.
const WRITE: &str = "echo $$ > $0/$1; exec >/dev/null 2>&1; while :; do mkdir -p $0/cache/nix; done";

#[test]
fn a_dropped_host_leaves_no_process_and_no_directory() {
    // Both have a session of their own, and one has no parent either.
    let script = format!("(setsid sh -c '{WRITE}' $DIR orphan &)\nexec setsid -w sh -c '{WRITE}' $DIR child");
    let stage = Stage::new(&script);
    stage.send("j-1", json!({}));
    let writers = ["orphan", "child"].map(|name| stage.host.pid(name));
    let directory = stage.host.dir().to_owned();
    drop(stage);
    assert_eq!(writers.map(is_running), [false; 2]);
    assert!(!directory.exists());
}
