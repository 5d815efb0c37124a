//! Which hosts are built, and what is told of each.

use crate::stage::{Stage, host, says, text};
use serde_json::json;
use std::fs;

/// Three hosts of which one fails.
const THREE: &str = r#"
    web1 = sh "web1" "echo one > $out";
    web2 = sh "web2" "echo undefined reference; exit 1";
    db1 = sh "db1" "echo three > $out";
"#;

#[test]
fn a_request_in_the_base_format_builds_a_host() {
    let stage = Stage::new(THREE);
    let commit = stage.repo.git(&["rev-parse", "HEAD"]);
    let story = stage.build("b-1", "web1").story();
    let report = story.last().unwrap();
    says(report, "completed", "", &["web1 built"]);
    assert_eq!(report["commit"], json!(commit));
    assert_eq!(
        (&report["repo"], &report["target"], &report["id"]),
        (&json!("infra"), &json!("web1"), &json!("b-1"))
    );
    assert_eq!((&report["done"], &report["expected"]), (&json!(1), &json!(1)));
    let web1 = host(report, "web1");
    assert_eq!(web1["state"], "done", "{web1}");
    assert_eq!(fs::read_to_string(text(&web1["system"])).unwrap(), "one\n");
    says(&story[0], "started", "", &["looks up master in infra"]);
    let seqs: Vec<_> = story.iter().map(|report| report["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
}

#[test]
fn a_host_that_fails_hides_nothing_of_the_others() {
    let stage = Stage::new(THREE);
    let story = stage.build("b-1", "all").story();
    let report = story.last().unwrap();
    says(report, "failed", "build_failed", &["2 of 3 built; failed: web2"]);
    assert_eq!((&report["done"], &report["expected"]), (&json!(2), &json!(3)));
    let states: Vec<_> =
        ["db1", "web1", "web2"].iter().map(|name| text(&host(report, name)["state"])).collect();
    assert_eq!(states, ["done", "done", "failed"]);
    let web2 = host(report, "web2");
    assert!(text(&web2["error"]).contains("its log ends: undefined reference"), "{web2}");
    assert!(text(&web2["log_tail"]).contains("undefined reference"), "{web2}");
    assert!(!text(&web2["error"]).contains("job's log"), "{web2}");
    assert!(host(report, "web1")["log_tail"].is_null());
    let progress = story.iter().filter(|report| report["status"] == "progress").count();
    assert!(progress > 0, "{story:#?}");
}
