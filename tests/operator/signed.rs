//! Operators sign what they send, and hosts that trust their keys take it.

use crate::common::{
    Broker, Gate, Heard, Host, HostBuilder, Peer, Running, Signer, Wire, base_answer, base_report, held_in,
    operator, run,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::fs;

/// A host that trusts the deployer of its tier.
fn trusting(broker: &Broker, name: &str, script: &str) -> Host {
    let key = Signer::of("tester").key();
    HostBuilder::new(broker, name, "test", "web").script(script).args(&["--trusted-key", &key]).start()
}

/// What was sent is signed for where it was sent to.
fn is_signed(heard: &Heard, user: &str) {
    assert_eq!(heard.headers, Signer::of(user).headers(&heard.subject, &heard.payload), "{heard:?}");
}

#[test]
fn a_host_that_trusts_the_key_deploys_cancels_and_tells_who_it_was() {
    let broker = Broker::start();
    let host = trusting(&broker, "web1", &held_in("build"));
    let gate = Gate::of(&host);
    let mut deploy = Running::start(operator(&broker, "tester").args(["deploy", "web1"]));
    deploy.says("web1  build");
    run(operator(&broker, "tester").args(["cancel", "web1"]), 0);
    deploy.ended(1);
    gate.pass();
    for targets in [&["web1"][..], &["deploy.test.all"], &["--tier", "test", "--all"]] {
        gate.pass();
        let done = run(operator(&broker, "tester").arg("deploy").args(targets), 0);
        assert!(done.out.contains("\nweb1  completed"), "{done}");
    }
    let key = Signer::of("tester").key();
    let lines = run(operator(&broker, "viewer").args(["history", "--output", "json"]), 0).json();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line["answer"]["key"] == json!(key)), "{lines:?}");
    let shown = run(operator(&broker, "viewer").arg("history"), 0);
    let rows: Vec<_> = shown.out.lines().collect();
    assert!(rows[0].ends_with("  KEY"), "{shown}");
    assert!(rows[1..].iter().all(|row| row.ends_with(&format!("  {}…", &key[..8]))), "{shown}");
}

#[test]
fn whose_key_is_not_trusted_is_told_what_to_do() {
    let broker = Broker::start();
    let _host = trusting(&broker, "web1", "echo done");
    let refused = run(operator(&broker, "admin").args(["deploy", "web1"]), 1);
    let said = format!(
        "web1  rejected (not_permitted): the request is signed by {}, which web1 does not trust; add it to --trusted-key of the \
         listener on web1\n",
        Signer::of("admin").key()
    );
    assert!(refused.out.contains(&said), "{refused}");
    let lines = run(operator(&broker, "admin").args(["deploy", "web1", "--output", "json"]), 1).json();
    assert_eq!(lines.last().unwrap()["value"]["hosts"][0]["report"]["error"], "not_permitted");
}

#[test]
fn every_request_and_every_query_is_signed() {
    let broker = Broker::start();
    let mut answer = base_answer("web1", "test", "web");
    answer["capabilities"] = json!(["rollback", "build"]);
    let _peer = Peer::start(&broker, answer, |request| {
        let mut report = base_report("web1", "completed", None, "done");
        report["id"] = request["id"].clone();
        vec![report]
    });
    let wire = Wire::connect(&broker, "everything");
    let (requests, asks) = (wire.listen("deploy.test.>"), wire.listen("deploy.discover"));
    for (arguments, action) in [
        (&["deploy", "web1"][..], "switch"),
        (&["deploy", "deploy.test.role.web", "--action", "boot"], "boot"),
        (&["diff", "web1"], "dry-activate"),
        (&["rollback", "web1"], "rollback"),
    ] {
        run(operator(&broker, "tester").args(arguments), 0);
        let heard = requests.next();
        assert_eq!(heard.body["action"], action);
        is_signed(&heard, "tester");
    }
    wire.round_trip();
    let asked = asks.arrived();
    assert!(asked.len() > 3, "{asked:?}");
    for heard in asked {
        let headers = Signer::of("tester").headers_for("query", &heard.subject, &heard.payload);
        assert_eq!(heard.headers, headers);
    }
}

#[test]
fn what_is_sent_again_by_another_clock_is_signed_anew_and_cannot_be_kept() {
    let broker = Broker::start();
    let by = SignedDuration::from_hours(3);
    let _peer = Peer::start(&broker, base_answer("db1", "test", "db"), move |request| {
        let mut report = base_report("db1", "rejected", Some("expired"), "too late");
        (report["id"], report["at"]) = (request["id"].clone(), json!(Timestamp::now() + by));
        vec![report]
    });
    let wire = Wire::connect(&broker, "everything");
    let requests = wire.listen("deploy.test.db1");
    run(operator(&broker, "tester").args(["deploy", "db1"]), 1);
    let [first, second] = [requests.next(), requests.next()];
    assert_ne!(first.body["id"], second.body["id"]);
    is_signed(&first, "tester");
    is_signed(&second, "tester");
    // Whoever asked for such a clock gets nothing that a host would take at a later time.
    let host = trusting(&broker, "web1", "echo >> $DIR/calls");
    let payload = second.payload.to_vec();
    let headers = Signer::of("tester").headers("deploy.test.web1", &payload);
    let reply = second.body["reply_to"].as_str().unwrap();
    let reports = wire.listen(&format!("{reply}.web1"));
    wire.say_with("deploy.test.web1", Some(reply), &headers, &payload);
    let report = reports.next().body;
    assert_eq!(report["error"], "not_permitted", "{report}");
    let said = report["message"].as_str().unwrap();
    assert!(
        said.contains("and a signed one for 300 s at most; shorten that, or, if it was sent again"),
        "{said}"
    );
    assert!(!host.file("calls").exists());
}

#[test]
fn without_a_key_nothing_is_signed() {
    let broker = Broker::without_keys();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let _trusting = trusting(&broker, "web2", "echo done");
    let wire = Wire::connect(&broker, "everything");
    let requests = wire.listen("deploy.test.web1");
    let keyless = |host: &str| {
        let mut command = operator(&broker, "tester");
        command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").args(["deploy", host]);
        command
    };
    run(&mut keyless("web1"), 0);
    assert_eq!(requests.next().headers, []);
    let refused = run(&mut keyless("web2"), 1);
    assert!(
        refused.out.contains("use a key of your own (--nkey-file), and add its public key U…"),
        "{refused}"
    );
}

#[test]
fn a_configuration_file_brings_the_key_that_signs() {
    let broker = Broker::start();
    let _host = trusting(&broker, "web1", "echo done");
    let folder = broker.folder().join("config/tester/homelab-deploy");
    fs::create_dir_all(&folder).unwrap();
    let file = format!(
        "[contexts.home]\nnats_url = {:?}\nnkey_file = {:?}\n",
        broker.url(),
        broker.key("tester").display().to_string()
    );
    fs::write(folder.join("config.toml"), file).unwrap();
    let mut command = operator(&broker, "tester");
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").env_remove("HOMELAB_DEPLOY_NATS_URL");
    run(command.args(["deploy", "web1", "--context", "home", "--branch", "main"]), 0);
}
