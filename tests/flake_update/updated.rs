//! Every host builds: the base branch moves on, and nothing else is left.

use crate::stage::{GOOD, Stage};
use serde_json::Value;

#[test]
fn the_branch_moves_on_where_every_host_builds() {
    let stage = Stage::new(GOOD);
    let before = stage.at("master");
    let ended = stage.ended(&mut stage.update(), 0);
    let after = stage.at("master");
    assert_ne!(after, before);
    assert_eq!(stage.branches(), [("master".to_owned(), after.clone())]);
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), before);
    assert_eq!(stage.git("fleet.git", &["diff", "--name-only", "master^", "master"]), "flake.lock");
    let lock: Value = serde_json::from_str(&stage.git("fleet.git", &["show", "master:flake.lock"])).unwrap();
    assert_eq!(lock["nodes"]["dep"]["locked"]["rev"], stage.git("input", &["rev-parse", "HEAD"]));
    for text in [&format!("master is at {}", &before[..7]), "building db1, web1, web2", "web2  built in "] {
        assert!(ended.out.contains(text), "no {text:?} in\n{ended}");
    }
    assert!(ended.out.ends_with(&format!("all 3 hosts build; master is at {}\n", &after[..7])), "{ended}");
}
