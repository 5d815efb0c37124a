//! Of many jobs the listener keeps the newest at hand; what it is asked of the others it reads from their records.

use crate::stage::Stage;
use serde_json::json;
use std::fs;

/// More than are kept at hand.
const MANY: usize = 55;

#[test]
fn an_old_job_is_told_as_it_ended_and_its_id_starts_nothing() {
    let mut stage = Stage::new("echo >> $DIR/calls");
    let verdicts: Vec<_> = (0..MANY)
        .map(|n| {
            let verdict = stage.completes(&format!("m-{n}"));
            stage.told(&format!("m-{n}"));
            verdict
        })
        .collect();
    for restarted in [false, true] {
        if restarted {
            stage.restart();
        }
        assert_eq!(stage.ask(json!({"want": "job", "id": "m-0"}))["report"], verdicts[0]);
        assert_eq!(stage.ask(json!({"want": "job"}))["report"], verdicts[MANY - 1]);
        assert_eq!(stage.deploy("m-1", json!({})).next().body, verdicts[1]);
    }
    // With its record gone it is told in short, and still not done again.
    fs::write(stage.job_file("m-2", "state.json"), "damaged").unwrap();
    let told = stage.deploy("m-2", json!({})).next().body;
    assert_eq!(
        (&told["id"], &told["status"], &told["revision"]),
        (&json!("m-2"), &json!("completed"), &json!("master"))
    );
    assert_eq!(told["message"], "its record can no longer be read");
    assert_eq!(stage.calls(), MANY);
}
