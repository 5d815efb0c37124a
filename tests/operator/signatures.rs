//! Operators sign requests, and hosts accept requests signed by keys that they trust.

use crate::common::{
    FakeListener, Gate, Host, HostBuilder, NatsServer, RawClient, RawMessage, RunningCommand, Signer,
    base_presence, base_report, hold_in_phase, operator, run,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::fs;

/// A host that trusts the key of its tier's deployer.
fn trusting(nats: &NatsServer, name: &str, script: &str) -> Host {
    let key = Signer::of("tester").key();
    HostBuilder::new(nats, name, "test", "web").script(script).args(&["--trusted-key", &key]).start()
}

/// Asserts that a message is signed by this user for its subject.
fn is_signed(heard: &RawMessage, user: &str) {
    assert_eq!(heard.headers, Signer::of(user).headers(&heard.subject, &heard.payload), "{heard:?}");
}

#[test]
fn a_host_that_trusts_the_key_deploys_cancels_and_reports_the_signer() {
    let nats = NatsServer::start();
    let host = trusting(&nats, "web1", &hold_in_phase("build"));
    let gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("web1  build");
    run(operator(&nats, "tester").args(["cancel", "web1"]), 0);
    deploy.wait_for_exit(1);
    gate.pass();
    for targets in [&["web1"][..], &["deploy.test.all"], &["--tier", "test", "--all"]] {
        gate.pass();
        let done = run(operator(&nats, "tester").arg("deploy").args(targets), 0);
        assert!(done.stdout.contains("\nweb1  completed"), "{done}");
    }
    let key = Signer::of("tester").key();
    let lines = run(operator(&nats, "viewer").args(["history", "--output", "json"]), 0).json();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line["answer"]["key"] == json!(key)), "{lines:?}");
    let shown = run(operator(&nats, "viewer").arg("history"), 0);
    let rows: Vec<_> = shown.stdout.lines().collect();
    assert!(rows[0].ends_with("  KEY"), "{shown}");
    assert!(rows[1..].iter().all(|row| row.ends_with(&format!("  {}…", &key[..8]))), "{shown}");
}

#[test]
fn an_untrusted_key_is_rejected_with_advice() {
    let nats = NatsServer::start();
    let _host = trusting(&nats, "web1", "echo done");
    let refused = run(operator(&nats, "admin").args(["deploy", "web1"]), 1);
    let message = format!(
        "web1  rejected (not permitted): the request is signed by {}, which web1 does not trust; add it to --trusted-key of the \
         listener on web1\n",
        Signer::of("admin").key()
    );
    assert!(refused.stdout.contains(&message), "{refused}");
    let lines = run(operator(&nats, "admin").args(["deploy", "web1", "--output", "json"]), 1).json();
    assert_eq!(lines.last().unwrap()["value"]["hosts"][0]["report"]["error"], "not_permitted");
}

#[test]
fn every_request_and_every_query_is_signed() {
    let nats = NatsServer::start();
    let mut answer = base_presence("web1", "test", "web");
    answer["capabilities"] = json!(["rollback", "build"]);
    let _peer = FakeListener::start(&nats, answer, |request| {
        let mut report = base_report("web1", "completed", None, "done");
        report["id"] = request["id"].clone();
        vec![report]
    });
    let wire = RawClient::connect(&nats, "everything");
    let (requests, asks) = (wire.subscribe("deploy.test.>"), wire.subscribe("deploy.discover"));
    for (arguments, action) in [
        (&["deploy", "web1"][..], "switch"),
        (&["deploy", "deploy.test.role.web", "--action", "boot"], "boot"),
        (&["diff", "web1"], "dry-activate"),
        (&["rollback", "web1"], "rollback"),
    ] {
        run(operator(&nats, "tester").args(arguments), 0);
        let heard = requests.next();
        assert_eq!(heard.body["action"], action);
        is_signed(&heard, "tester");
    }
    wire.round_trip();
    let asked = asks.received();
    assert!(asked.len() > 3, "{asked:?}");
    for heard in asked {
        let headers = Signer::of("tester").headers_for("query", &heard.subject, &heard.payload);
        assert_eq!(heard.headers, headers);
    }
}

#[test]
fn a_resent_request_has_a_new_signature_and_nonce() {
    let nats = NatsServer::start();
    let by = SignedDuration::from_hours(3);
    let _peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), move |request| {
        let mut report = base_report("db1", "rejected", Some("expired"), "too late");
        (report["id"], report["at"]) = (request["id"].clone(), json!(Timestamp::now() + by));
        vec![report]
    });
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.db1");
    run(operator(&nats, "tester").args(["deploy", "db1"]), 1);
    let [first, second] = [requests.next(), requests.next()];
    assert_ne!(first.body["id"], second.body["id"]);
    is_signed(&first, "tester");
    is_signed(&second, "tester");
    // A host with a manipulated clock gets no request that a host would accept later.
    let host = trusting(&nats, "web1", "echo >> $DIR/calls");
    let payload = second.payload.to_vec();
    let headers = Signer::of("tester").headers("deploy.test.web1", &payload);
    let reply = second.body["reply_to"].as_str().unwrap();
    let reports = wire.subscribe(&format!("{reply}.web1"));
    wire.publish_with_headers("deploy.test.web1", Some(reply), &headers, &payload);
    let report = reports.next().body;
    assert_eq!(report["error"], "not_permitted", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains(
            "but a signed request may be valid for at most 300 s; shorten that, or, if it was sent again"
        ),
        "{message}"
    );
    assert!(!host.file("calls").exists());
}

#[test]
fn without_a_key_nothing_is_signed() {
    let nats = NatsServer::without_keys();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _trusting = trusting(&nats, "web2", "echo done");
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.web1");
    let keyless = |host: &str| {
        let mut command = operator(&nats, "tester");
        command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").args(["deploy", host]);
        command
    };
    run(&mut keyless("web1"), 0);
    assert_eq!(requests.next().headers, []);
    let refused = run(&mut keyless("web2"), 1);
    assert!(
        refused.stdout.contains("use your own key (--nkey-file), and add its public key U…"),
        "{refused}"
    );
}

#[test]
fn requests_are_signed_with_the_key_of_the_configuration_file() {
    let nats = NatsServer::start();
    let _host = trusting(&nats, "web1", "echo done");
    let directory = nats.dir().join("config/tester/homelab-deploy");
    fs::create_dir_all(&directory).unwrap();
    let file = format!(
        "[contexts.home]\nnats_url = {:?}\nnkey_file = {:?}\n",
        nats.url(),
        nats.key("tester").display().to_string()
    );
    fs::write(directory.join("config.toml"), file).unwrap();
    let mut command = operator(&nats, "tester");
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").env_remove("HOMELAB_DEPLOY_NATS_URL");
    run(command.args(["deploy", "web1", "--context", "home", "--branch", "main"]), 0);
}
