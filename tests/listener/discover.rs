//! Questions and their answers.

use crate::common::{Broker, HostBuilder, Repo, Wire};
use crate::stage::{Stage, changed, phase, quoted_log, text};
use serde_json::{Value, json};

#[test]
fn the_host_answer_says_what_runs_once_a_job_has_completed() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let mut stage = Stage::with("", |host| host.flake(&repo.url()));
    let before = stage.ask(json!({}));
    assert!(before["revision"].is_null() && before["commit"].is_null(), "{before}");
    assert_eq!(before["flake_url"], repo.url());
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));

    stage.completes("d-1");
    let after = stage.ask(json!({"want": "host"}));
    assert_eq!(
        (&after["want"], &after["revision"], &after["commit"]),
        (&json!("host"), &json!("master"), &json!(commit))
    );
    assert_eq!(after["job"]["id"], "d-1");
    assert_eq!(after["interval_s"], 30);

    stage.restart();
    let again = stage.ask(json!({}));
    assert_eq!(again["instance"], after["instance"]);
    assert_eq!(again["commit"], after["commit"]);
}

#[test]
fn two_hosts_have_two_instances() {
    let (one, other) = (Stage::new(""), Stage::new(""));
    assert_ne!(one.ask(json!({}))["instance"], other.ask(json!({}))["instance"]);
}

#[test]
fn a_job_is_told_by_id_or_as_the_newest() {
    let script = format!("[ -e $DIR/hold ] && {}read _ < $DIR/go", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go"));
    assert!(stage.ask(json!({"want": "job"}))["report"].is_null());
    for id in ["d-2", "d-3"] {
        let reports = stage.deploy(id, json!({}));
        stage.host.open("go");
        reports.verdict();
    }
    let newest = stage.ask(json!({"want": "job"}));
    assert_eq!(
        (&newest["want"], &newest["id"], &newest["hostname"]),
        (&json!("job"), &Value::Null, &json!("web1"))
    );
    assert_eq!(newest["report"]["id"], "d-3");
    let older = stage.ask(json!({"want": "job", "id": "d-2"}));
    assert_eq!((&older["id"], &older["report"]["id"]), (&json!("d-2"), &json!("d-2")));
    assert_eq!(older["report"]["status"], "completed");
    let unknown = stage.ask(json!({"want": "job", "id": "d-99"}));
    assert_eq!((&unknown["want"], &unknown["id"]), (&json!("job"), &json!("d-99")));
    assert!(unknown["report"].is_null(), "{unknown}");

    std::fs::write(stage.host.file("hold"), "").unwrap();
    let reports = stage.deploy("d-4", json!({}));
    reports.until(|report| report["message"] == "build");
    for ask in [json!({"want": "job"}), json!({"want": "job", "id": "d-4"})] {
        let running = stage.ask(ask);
        assert_eq!(
            (&running["report"]["id"], &running["report"]["status"]),
            (&json!("d-4"), &json!("running"))
        );
    }
    assert_eq!(stage.ask(json!({}))["job"]["id"], "d-4");
    stage.host.open("go");
    reports.verdict();
}

#[test]
fn the_last_lines_of_a_failure_come_with_the_job_and_not_with_the_host() {
    let stage = Stage::new("echo why it failed; exit 1");
    stage.deploy("d-5", json!({})).verdict();
    let job = stage.ask(json!({"want": "job"}));
    assert!(quoted_log(&job["report"]).ends_with("\nwhy it failed"), "{job}");
    let host = stage.ask(json!({}));
    assert_eq!((&host["job"]["id"], &host["job"]["diagnostics"]), (&json!("d-5"), &Value::Null));
}

#[test]
fn only_the_hosts_that_are_meant_answer() {
    let broker = Broker::start();
    let admin = Wire::connect(&broker, "admin");
    let presence = admin.listen("deploy.responses.presence");
    let hosts =
        [("web1", "test", "web"), ("web2", "test", "web"), ("db1", "test", "db"), ("ns1", "prod", "dns")];
    let _hosts = hosts.map(|(name, tier, role)| HostBuilder::new(&broker, name, tier, role).start());
    for _ in &hosts {
        presence.next();
    }
    let answers = admin.listen("deploy.responses.>");
    for (filter, expected) in [
        (json!({}), &["db1", "ns1", "web1", "web2"][..]),
        (json!({"tier": "test"}), &["db1", "web1", "web2"]),
        (json!({"role": "web"}), &["web1", "web2"]),
        (json!({"tier": "prod", "role": "web"}), &[]),
        (json!({"hosts": ["web2", "ns1", "gone"]}), &["ns1", "web2"]),
        (json!({"hosts": ["web2", "ns1"], "tier": "prod"}), &["ns1"]),
        (json!({"hosts": [], "tier": "", "role": null}), &["db1", "ns1", "web1", "web2"]),
    ] {
        admin.say("deploy.discover", &changed(json!({"reply_to": "deploy.responses.some"}), filter.clone()));
        // A question to everybody after it: each answers in order, so then the first is settled.
        admin.say("deploy.discover", &json!({"reply_to": "deploy.responses.everybody"}));
        let (mut some, mut all) = (Vec::new(), 0);
        while all < hosts.len() {
            let heard = answers.next();
            if heard.subject == "deploy.responses.some" {
                some.push(text(&heard.body["hostname"]).to_owned());
            } else {
                all += 1;
            }
        }
        some.sort();
        assert_eq!(some, expected, "{filter}");
    }
}

#[test]
fn what_it_does_not_know_to_tell_it_answers_as_a_base_host() {
    let stage = Stage::new("");
    let answer = stage.ask(json!({"want": "weather", "id": "d-6", "unheard": {"of": [1]}}));
    assert_eq!(answer["hostname"], "web1");
    assert!(answer["want"].is_null() && answer["deploy_subjects"].is_array(), "{answer}");
}

#[test]
fn unreadable_questions_do_no_harm() {
    let mut stage = Stage::new("");
    let bad: [&[u8]; 8] = [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b"\xff\xfe",
        br#"{"reply_to":7}"#,
        br#"{"reply_to":"deploy.test.web1"}"#,
        br#"{"reply_to":"deploy.responses.d-7","hosts":"web1"}"#,
    ];
    let answers = stage.wire.listen("deploy.responses.>");
    for ask in bad {
        stage.wire.say_bytes("deploy.discover", Some("deploy.responses.d-7"), ask.to_vec());
        let line = stage.host.logged("a question could not be read");
        assert_eq!(line["level"], "WARN");
        assert!(!line["error"].as_str().unwrap().is_empty(), "{line}");
    }
    assert_eq!(stage.ask(json!({}))["hostname"], "web1");
    assert_eq!(answers.next().body["hostname"], "web1", "an answer to an unreadable question");
}
