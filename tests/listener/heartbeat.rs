//! The rate and the sequence of a running job's reports.

use crate::stage::{Stage, phase};
use serde_json::{Value, json};

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap()
}

#[test]
fn a_silent_job_is_reported_at_every_heartbeat() {
    let script = format!("{}read _ < $DIR/go", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go").args(&["--heartbeat-interval", "1"]));
    let reports = stage.deploy("h-1", json!({}));
    reports.until(|report| report["message"] == "build");
    let mut before = 0;
    for _ in 0..2 {
        let beat = reports.next().body;
        assert_eq!((&beat["status"], &beat["heartbeat_s"]), (&json!("running"), &json!(1)));
        assert!(number(&beat, "elapsed_ms") >= before + 999, "{beat}");
        before = number(&beat, "elapsed_ms");
        let build = &beat["phases"][1];
        assert_eq!((&build["name"], &build["state"]), (&json!("build"), &json!("running")));
        assert!(number(build, "elapsed_ms") > 500, "{beat}");
    }
    stage.host.open("go");
    reports.final_report();
}

#[test]
fn a_flood_of_progress_is_reported_at_most_four_times_a_second() {
    let script = format!(
        "{}i=0\nwhile [ -d $DIR -a ! -e $DIR/enough ]; do i=$((i+1)); echo '@homelab-deploy {{\"done\":'$i',\"expected\":1000000}}'; done",
        phase("build")
    );
    let stage = Stage::new(&script);
    let reports = stage.deploy("h-2", json!({}));
    let running: Vec<_> = (0..4).map(|_| reports.until(|report| report["status"] == "running")).collect();
    std::fs::write(stage.host.file("enough"), "").unwrap();
    for pair in running.windows(2) {
        let gap = number(&pair[1], "elapsed_ms") - number(&pair[0], "elapsed_ms");
        assert!((249..2000).contains(&gap), "{gap} ms between {pair:?}");
        assert!(number(&pair[0]["progress"], "done") < number(&pair[1]["progress"], "done"), "{pair:?}");
        assert_eq!(pair[1]["progress"]["expected"], 1_000_000);
    }
    let result = reports.final_report();
    assert_eq!(result["status"], "completed");
    assert!(result["progress"].is_null(), "{result}");
}

#[test]
fn sequence_numbers_only_increase_also_over_a_restart() {
    let mut stage = Stage::new(&format!("{}{}", phase("build"), phase("activate")));
    let messages = stage.wire.subscribe("deploy.responses.*");
    // A presence message may overtake a report that was stamped before it, so each kind has its own sequence.
    let (mut last_report_seq, mut last_presence_seq) = (0, 0);
    for n in 0..3 {
        for id in [format!("h-3-{n}"), format!("h-4-{n}")] {
            stage.completes(&id);
            // Otherwise its report would be sent again after the restart.
            stage.wait_delivered(&id);
            let refused = stage.deploy(&format!("{id}-x"), json!({"action": "leap"})).final_report();
            assert_eq!(refused["error"], "invalid_action");
        }
        stage.wire.round_trip();
        for report in std::iter::from_fn(|| messages.within(std::time::Duration::from_millis(20))) {
            if let Some(seq) = report.body["seq"].as_u64() {
                let last =
                    if report.body["id"].is_null() { &mut last_presence_seq } else { &mut last_report_seq };
                assert!(seq > *last, "{last} and then {}", report.body);
                *last = seq;
            }
        }
        assert_eq!(last_report_seq / 1_000_000, n + 1);
        stage.restart();
    }
}
