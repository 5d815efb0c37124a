//! Hosts are proven by signatures: messages that others send in their name are reported and ignored.

use crate::common::{
    FakeListener, HostBuilder, NatsServer, RawClient, RunningCommand, Signer, base_presence, base_report,
    eventually, operator, run,
};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// An operator command that refuses unproven hosts.
fn careful(nats: &NatsServer, user: &str) -> Command {
    let mut command = operator(nats, user);
    command.env_remove("HOMELAB_DEPLOY_UNPROVEN");
    command
}

/// The JSON of `hosts`.
fn hosts(command: &mut Command) -> Vec<Value> {
    run(command.args(["hosts", "--output", "json"]), 0).json()
}

fn host<'a>(hosts: &'a [Value], name: &str) -> &'a Value {
    hosts.iter().find(|host| host["host"]["name"] == name).unwrap_or_else(|| panic!("no {name} in {hosts:?}"))
}

fn write_config(nats: &NatsServer, user: &str, text: &str) {
    let config = nats.dir().join("config").join(user).join("homelab-deploy/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(config, text).unwrap();
}

/// The inventory of an operator.
fn inventory(nats: &NatsServer, user: &str) -> Value {
    let name = format!("{}.json", nats.url().replace([':', '/'], "_"));
    let file = nats.dir().join("xdg").join(user).join("homelab-deploy/inventory").join(name);
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_key_of_a_new_host_is_recorded() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let listed = hosts(&mut careful(&nats, "viewer"));
    assert_eq!(host(&listed, "web1")["host"]["identity"]["proven"], true, "{listed:?}");
    assert_eq!(inventory(&nats, "viewer")["web1"]["public_key"], Signer::of("web1").key());
}

#[test]
fn reports_in_the_name_of_another_host_are_ignored() {
    let nats = NatsServer::start();
    let gate = "read _ < $DIR/gate; exit 1";
    let victim = HostBuilder::new(&nats, "web1", "test", "web").script(gate).gate("gate").start();
    let attacker = RawClient::connect(&nats, "web2");
    let requests = attacker.subscribe("deploy.test.all");
    let mut deploy = RunningCommand::start(careful(&nats, "tester").args([
        "deploy",
        "deploy.test.all",
        "--output",
        "json",
    ]));
    let request = requests.next();
    let reply = request.body["reply_to"].as_str().unwrap().to_owned();
    let started = deploy.wait_for_json(|line| line["value"]["status"] == "started");
    // The report has everything that the host itself would send.
    let mut report = base_report("web1", "completed", None, "done");
    (report["id"], report["seq"]) = (request.body["id"].clone(), json!(u64::MAX >> 12));
    report["instance"] = started["value"]["instance"].clone();
    assert!(report["instance"].is_string(), "{started}");
    let payload = report.to_string().into_bytes();
    let signed = Signer::of("web2").headers_for("report", &reply, &payload);
    attacker.publish_with_headers(&reply, None, &[], &payload);
    attacker.publish_with_headers(&reply, None, &signed, &payload);
    // The server refuses to publish on the other host's own subject.
    attacker.publish_with_headers(&format!("{reply}.web1"), None, &signed, &payload);
    while !attacker.permission_violation().contains(&format!("{reply}.web1")) {}
    victim.open("gate");
    let ended = deploy.wait_for_exit(1);
    let result = ended.json().pop().unwrap();
    assert_eq!(result["value"]["hosts"][0]["result"], "failed", "{ended}");
}

#[test]
fn without_base_subjects_the_server_lets_no_host_publish_in_the_name_of_another() {
    let nats = NatsServer::without_base_subjects();
    let gate = "read _ < $DIR/gate; exit 1";
    let victim = HostBuilder::new(&nats, "web1", "test", "web").script(gate).gate("gate").start();
    let attacker = RawClient::connect(&nats, "web2");
    let requests = attacker.subscribe("deploy.test.all");
    // This operator allows unproven hosts.
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args([
        "deploy",
        "deploy.test.all",
        "--output",
        "json",
        "--unproven",
        "allow",
    ]));
    let request = requests.next();
    let reply = request.body["reply_to"].as_str().unwrap().to_owned();
    deploy.wait_for_json(|line| line["value"]["status"] == "started");
    let mut report = base_report("web1", "completed", None, "done");
    (report["id"], report["seq"]) = (request.body["id"].clone(), json!(u64::MAX >> 12));
    for subject in [reply.clone(), format!("{reply}.web1")] {
        attacker.publish(&subject, &report);
        while !attacker.permission_violation().contains(&format!("\"{subject}\"")) {}
    }
    victim.open("gate");
    let ended = deploy.wait_for_exit(1);
    let result = ended.json().pop().unwrap();
    assert_eq!(result["value"]["hosts"][0]["result"], "failed", "{ended}");
}

#[test]
fn an_unproven_host_is_shown_and_receives_no_request() {
    let nats = NatsServer::start();
    let _proven = HostBuilder::new(&nats, "web1", "test", "web").start();
    let peer = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |_| {
        vec![base_report("old1", "completed", None, "done")]
    });
    let listed = hosts(&mut careful(&nats, "tester"));
    let old = host(&listed, "old1");
    assert_eq!(old["host"]["identity"]["doubt"], "its messages are not signed", "{old}");
    assert_eq!((&old["host"]["tier"], &old["host"]["answer"]), (&Value::Null, &Value::Null), "{old}");
    // A listing waits for known hosts, and for others only as long as those take.
    let (table, row) = eventually("a row of old1", || {
        let table = run(careful(&nats, "tester").arg("hosts"), 0).stdout;
        let row = table.lines().find(|line| line.starts_with("old1")).map(str::to_owned);
        row.map(|row| (table, row))
    });
    assert!(row.contains("unproven"), "{table}");
    assert!(table.contains("note: old1: not proven: its messages are not signed"), "{table}");

    eventually("a refusal of old1", || {
        let refused = run(careful(&nats, "tester").args(["deploy", "old1"]), 2);
        refused.stderr.contains("is not proven").then(|| {
            refused.assert_stderr(&[
                "old1 is not proven: its messages are not signed; nothing was sent",
                "`homelab-deploy hosts --trust old1`",
                "unproven = \"allow\"",
            ]);
        })
    });
    let all =
        run(careful(&nats, "tester").args(["deploy", "--all", "--tier", "test", "--output", "json"]), 0);
    assert_eq!(all.json().pop().unwrap()["value"]["hosts"].as_array().unwrap().len(), 1, "{all}");
    let refused = run(careful(&nats, "tester").args(["hosts", "--trust", "old1"]), 2);
    refused.assert_stderr(&["cannot trust old1: its messages are not signed", "unproven = \"allow\""]);
    assert_eq!(peer.unread_requests(), 0);

    // Listeners of the older tool stay usable if the context allows it.
    let allowed = format!("[contexts.home]\nnats_url = \"{}\"\nunproven = \"allow\"\n", nats.url());
    write_config(&nats, "admin", &allowed);
    run(careful(&nats, "admin").args(["deploy", "old1"]), 0);
    assert_eq!(peer.unread_requests(), 1);
}

#[test]
fn forged_messages_do_not_change_how_a_silent_host_counts() {
    let nats = NatsServer::start();
    let _other = HostBuilder::new(&nats, "web2", "test", "web").start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(careful(&nats, "tester").arg("hosts"), 0);
    drop(host);
    // Every host may publish on this subject.
    let _forger = FakeListener::start(&nats, base_presence("web1", "test", "web"), |_| Vec::new());
    eventually("a forged reply", || {
        let listed = run(careful(&nats, "tester").arg("hosts"), 0).stdout;
        listed.contains("note: web1: not proven: its messages are not signed").then_some(())
    });
    let note = "note: web1 counts as silent: its messages are not signed";
    let all = ["deploy", "--all", "--tier", "test"];
    let ended = run(careful(&nats, "tester").args(all), 3);
    assert!(ended.stdout.contains("web1  no answer") && ended.stdout.contains("web2  completed"), "{ended}");
    run(careful(&nats, "tester").args(all).arg("--skip-offline"), 0);
    run(careful(&nats, "tester").args(["deploy", "web1"]), 3);
    eventually("the reason", || {
        run(careful(&nats, "tester").args(["deploy", "web1"]), 3).stderr.contains(note).then_some(())
    });
}

#[test]
fn before_any_key_is_known_hosts_without_proof_are_used() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("old1", "test", "legacy"), |_| {
        vec![base_report("old1", "completed", None, "done")]
    });
    run(careful(&nats, "tester").args(["deploy", "old1"]), 0);
}

#[test]
fn a_host_with_another_key_is_refused_until_it_is_trusted() {
    let nats = NatsServer::start();
    let host_of = |key: &str| {
        let key = nats.key(key).display().to_string();
        HostBuilder::new(&nats, "web1", "test", "web").flag("--nkey-file", &key).start()
    };
    let first = host_of("web1");
    run(careful(&nats, "tester").arg("hosts"), 0);
    drop(first);
    let _second = host_of("everything");
    let other = Signer::of("everything").key();
    let table = run(careful(&nats, "tester").arg("hosts"), 3).stdout;
    let row = table.lines().find(|line| line.starts_with("web1")).unwrap();
    assert!(row.contains("changed"), "{table}");
    assert!(table.contains(&format!("signed by {other}, not by its known key")), "{table}");
    let refused = run(careful(&nats, "tester").args(["deploy", "web1"]), 2);
    refused.assert_stderr(&["web1", &format!("signed by {other}"), "`homelab-deploy hosts --trust web1`"]);
    let trusted = run(careful(&nats, "tester").args(["hosts", "--trust", "web1"]), 0).stdout;
    let before = Signer::of("web1").key();
    assert_eq!(trusted, format!("trusted web1: key {other} (before: {before})\n"));
    run(careful(&nats, "tester").args(["deploy", "web1"]), 0);
    run(careful(&nats, "tester").args(["hosts", "--trust", "web2"]), 2)
        .assert_stderr(&["web2 did not reply"]);
}

#[test]
fn a_host_that_names_another_tier_or_other_subjects_is_refused_until_it_is_trusted() {
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.prod.>");
    let start = |tier: &str, more: &[&str]| {
        let key = nats.key("everything").display().to_string();
        HostBuilder::new(&nats, "web1", tier, "web").flag("--nkey-file", &key).args(more).start()
    };
    let first = start("test", &[]);
    run(careful(&nats, "admin").arg("hosts"), 0);
    drop(first);

    let moved = start("prod", &[]);
    let refused = run(careful(&nats, "admin").args(["deploy", "web1", "--yes"]), 2);
    refused.assert_stderr(&[
        "web1 has changed: it is known in tier test but now reports prod; nothing was sent",
        "`homelab-deploy hosts --trust web1`",
    ]);
    run(careful(&nats, "admin").args(["deploy", "--all", "--tier", "prod", "--yes"]), 2);
    drop(moved);

    let subjects = ["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.ns1"];
    let _elsewhere = start("test", &subjects);
    let refused = run(careful(&nats, "admin").args(["deploy", "web1", "--yes"]), 2);
    refused.assert_stderr(&["now reports deploy.test.web1, deploy.prod.ns1"]);
    let trusted = run(careful(&nats, "admin").args(["hosts", "--trust", "web1"]), 0).stdout;
    assert!(trusted.contains("subjects deploy.test.web1 deploy.prod.ns1 (before: "), "{trusted}");
    run(careful(&nats, "admin").args(["deploy", "web1", "--yes"]), 0);
    wire.round_trip();
    assert!(requests.received().is_empty());
}

/// Deploys to the tier `test`. Returns the result and the notes printed before sending.
fn deploy_to_all(nats: &NatsServer, selection: &[&str], code: i32) -> (Value, String) {
    let mut command = careful(nats, "admin");
    let ended = run(command.arg("deploy").args(selection).args(["--output", "json"]), code);
    let lines = ended.json();
    let notes = lines.iter().filter(|line| line["event"] == "note").map(|line| line["value"].to_string());
    (lines.last().unwrap()["value"].clone(), notes.collect())
}

#[test]
fn changed_hosts_are_left_out_of_a_group() {
    let nats = NatsServer::start();
    let _same = HostBuilder::new(&nats, "web2", "test", "web").start();
    let start = |tier: &str, key: &str| {
        let key = nats.key(key).display().to_string();
        HostBuilder::new(&nats, "web1", tier, "web").flag("--nkey-file", &key).start()
    };
    let first = start("test", "everything");
    run(careful(&nats, "admin").arg("hosts"), 0);
    drop(first);

    let moved = start("prod", "everything");
    let differs = "changed: it is known in tier test but now reports prod";
    let left_out = json!([{"host": "web1", "reason": differs}]);
    for selection in [&["--all", "--tier", "test"][..], &["--role", "web", "--tier", "test"]] {
        let (result, notes) = deploy_to_all(&nats, selection, 1);
        assert_eq!(result["left_out"], left_out, "{result}");
        let hosts = result["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 1, "{result}");
        assert_eq!((&hosts[0]["host"], &hosts[0]["result"]), (&json!("web2"), &json!("completed")));
        let advice = "; if that is expected, run `homelab-deploy hosts --trust web1`";
        assert!(notes.contains(&format!("web1 is left out: {differs}{advice}")), "{notes}");
    }
    let ended = run(careful(&nats, "admin").args(["deploy", "--all", "--tier", "test"]), 1);
    assert!(ended.stdout.contains(&format!("left out: web1 ({differs})")), "{ended}");
    assert!(ended.stderr.contains("note: web1 is left out"), "{ended}");
    let alone = run(careful(&nats, "admin").args(["deploy", "--all", "--tier", "prod", "--yes"]), 2);
    alone.assert_stderr(&["no hosts remain for `deploy` without web1; nothing was sent"]);
    drop(moved);

    let _other = start("test", "web1");
    let (result, _) = deploy_to_all(&nats, &["--all", "--tier", "test"], 1);
    let reason = result["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("not by its known key"), "{result}");
}

#[test]
fn forged_hosts_are_not_recorded() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let attacker = RawClient::connect(&nats, "web2");
    let asked = attacker.subscribe("deploy.discover");
    let listing = RunningCommand::start(careful(&nats, "tester").arg("hosts"));
    let reply = asked.next().body["reply_to"].as_str().unwrap().to_owned();
    for n in 0..300 {
        let mut answer = base_presence(&format!("x{n}"), "test", "web");
        answer["instance"] = json!(format!("i{n}"));
        attacker.publish(&reply, &answer);
    }
    listing.wait_for_exit(0);
    let known = inventory(&nats, "tester");
    assert_eq!(known.as_object().unwrap().keys().collect::<Vec<_>>(), ["web1"]);
    run(careful(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
}

#[test]
fn a_key_is_recorded_only_from_the_subject_of_its_host() {
    let nats = NatsServer::start();
    let key = nats.key("everything").display().to_string();
    let _host = HostBuilder::new(&nats, "web2", "test", "web").flag("--nkey-file", &key).start();
    run(careful(&nats, "tester").arg("hosts"), 0);
    let other = RawClient::connect(&nats, "everything");
    let asked = other.subscribe("deploy.discover");
    // A new key on a subject that any host may publish to, and a host's key on the subject of another host.
    for (signer, own, expected) in [
        ("stranger", "", ""),
        ("everything", ".web1", "web1: not proven: its messages are signed by the key of web2"),
    ] {
        let listing = RunningCommand::start(careful(&nats, "tester").args(["hosts", "--accept-new"]));
        let subject = format!("{}{own}", asked.next().body["reply_to"].as_str().unwrap());
        let mut answer = base_presence("web1", "test", "web");
        answer["instance"] = json!("i");
        let payload = answer.to_string().into_bytes();
        let signed = Signer::of(signer).headers_for("reply", &subject, &payload);
        other.publish_with_headers(&subject, None, &signed, &payload);
        let ended = listing.wait_for_exit(0);
        assert!(ended.stdout.contains(expected), "{ended}");
        let known = inventory(&nats, "tester");
        assert_eq!(known.as_object().unwrap().keys().collect::<Vec<_>>(), ["web2"], "{signer}");
        other.round_trip();
        asked.received();
    }
}

#[test]
fn a_fleet_file_names_the_keys() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2", "db1"]
        .map(|name| HostBuilder::new(&nats, name, "test", if name == "db1" { "db" } else { "web" }).start());
    let (right, wrong) = (Signer::of("web1").key(), Signer::of("ns1").key());
    let fleet = nats.dir().join("fleet.toml");
    fs::write(
        &fleet,
        format!(
            "[hosts.web1]\ntier = \"test\"\nrole = \"web\"\npublic_key = \"{right}\"\n\
             [hosts.web2]\ntier = \"test\"\nrole = \"web\"\npublic_key = \"{wrong}\"\n"
        ),
    )
    .unwrap();
    let context = format!("[contexts.home]\nnats_url = \"{}\"\nfleet = {:?}\n", nats.url(), fleet);
    write_config(&nats, "tester", &context);
    let listed = hosts(&mut careful(&nats, "tester"));
    let identity = |name: &str| host(&listed, name)["host"]["identity"].clone();
    assert_eq!(identity("web1")["proven"], true);
    assert_eq!(
        identity("web2")["doubt"],
        format!("its messages are signed by {}, not by its known key", Signer::of("web2").key())
    );
    assert_eq!(
        identity("db1")["doubt"],
        format!("its messages are signed by {}, which is not known", Signer::of("db1").key())
    );
    run(careful(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    run(careful(&nats, "tester").args(["hosts", "--trust", "web2"]), 2)
        .assert_stderr(&["a host in a fleet file"]);

    fs::remove_file(&fleet).unwrap();
    run(careful(&nats, "tester").arg("hosts"), 2)
        .assert_stderr(&["config.toml:3", "could not read the fleet file"]);
}

#[test]
fn a_signature_is_valid_for_one_fleet() {
    let nats = NatsServer::start();
    let key = Signer::of("tester").key();
    let host = |fleet: &str| {
        let fleet = ["--fleet-name", fleet, "--trusted-key", &key];
        HostBuilder::new(&nats, "web1", "test", "web").args(&fleet).start()
    };
    let host = host("home");
    let home = ["--fleet-name", "home"];
    run(careful(&nats, "tester").args(["deploy", "web1"]).args(home), 0);
    // An operator of another fleet ignores its replies, and its requests are refused.
    let refused =
        run(operator(&nats, "tester").args(["deploy", "deploy.test.web1", "--fleet-name", "lab"]), 1);
    assert!(refused.stdout.contains("meant for another subject or fleet"), "{refused}");
    let table = run(careful(&nats, "tester").args(["hosts", "--fleet-name", "lab"]), 3).stdout;
    assert!(table.contains("not proven: its messages have an invalid signature"), "{table}");
    drop(host);
}
