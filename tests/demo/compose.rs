//! The simulated hosts with Docker Compose.

use crate::session::DemoSession;
use serde_json::{Value, json};

fn states(result: &Value) -> Vec<(&str, &str)> {
    let components = result["report"]["components"].as_array().unwrap().iter();
    components.map(|c| (c["name"].as_str().unwrap(), c["state"].as_str().unwrap())).collect()
}

#[test]
fn services_are_deployed_diagnosed_and_rolled_back() {
    let session = DemoSession::open(14);
    let hosts = session.run(&["hosts", "--output", "json"], 0).json();
    let compose: Vec<_> = hosts.iter().filter(|line| line["host"]["answer"]["engine"] == "compose").collect();
    let names: Vec<_> = compose.iter().map(|line| line["host"]["name"].as_str().unwrap()).collect();
    assert_eq!((hosts.len(), names), (14, vec!["home1", "home2"]));

    let diff = session.run(&["diff", "home1", "--branch", "main"], 0);
    assert!(diff.stdout.contains("would change: the image differs"), "{diff}");

    let deploy = ["deploy", "home1", "web1", "--branch", "main", "--yes", "--output", "json"];
    let lines = session.run(&deploy, 0).json();
    let results = lines.last().unwrap()["value"]["hosts"].as_array().unwrap().clone();
    let home = results.iter().find(|result| result["host"] == "home1").unwrap();
    let all = states(home);
    assert_eq!(all.len(), 5, "{home}");
    assert!(all.iter().any(|(_, state)| *state == "done"), "{home}");
    assert!(all.iter().all(|(_, state)| ["done", "unchanged"].contains(state)), "{home}");

    let deploy = ["deploy", "home2", "--branch", "main", "--yes", "--output", "json"];
    let lines = session.run(&deploy, 1).json();
    let failed = &lines.last().unwrap()["value"]["hosts"][0];
    assert_eq!(failed["report"]["rolled_back"], true, "{failed}");
    assert!(states(failed).contains(&("zigbee2mqtt", "failed")), "{failed}");
    let resumed = session.run(&["resume", "home2", "--yes"], 1);
    assert!(resumed.stdout.contains("zigbee2mqtt did not become healthy"), "{resumed}");

    let one = ["deploy", "home2", "--branch", "main", "--service", "postgres", "--yes", "--output", "json"];
    let lines = session.run(&one, 0).json();
    let done = &lines.last().unwrap()["value"]["hosts"][0];
    assert_eq!(states(done).len(), 1, "{done}");

    let diagnosed = session.run(&["diagnose", "home1"], 0);
    assert!(diagnosed.stdout.contains("mosquitto-mosquitto-1"), "{diagnosed}");
    session
        .run(&["deploy", "home1", "--action", "boot", "--yes"], 2)
        .assert_stderr(&["home1 runs services with Docker Compose"]);
    assert_ne!(done["report"]["components"], json!(null));
}
