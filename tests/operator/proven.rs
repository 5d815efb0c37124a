//! Hosts are proven by their signatures: what others send in their name is shown and counts for nothing.

use crate::common::{
    Broker, HostBuilder, Peer, Running, Signer, Wire, base_answer, base_report, eventually, operator, run,
};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// An operator who does not allow hosts without proof.
fn careful(broker: &Broker, user: &str) -> Command {
    let mut command = operator(broker, user);
    command.env_remove("HOMELAB_DEPLOY_UNPROVEN");
    command
}

/// What `hosts` prints of each host.
fn hosts(command: &mut Command) -> Vec<Value> {
    run(command.args(["hosts", "--output", "json"]), 0).json()
}

fn host<'a>(hosts: &'a [Value], name: &str) -> &'a Value {
    hosts.iter().find(|host| host["host"]["name"] == name).unwrap_or_else(|| panic!("no {name} in {hosts:?}"))
}

fn write_config(broker: &Broker, user: &str, text: &str) {
    let config = broker.folder().join("config").join(user).join("homelab-deploy/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(config, text).unwrap();
}

/// The inventory of an operator.
fn inventory(broker: &Broker, user: &str) -> Value {
    let name = format!("{}.json", broker.url().replace([':', '/'], "_"));
    let file = broker.folder().join("xdg").join(user).join("homelab-deploy/roster").join(name);
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn the_key_of_a_host_is_noted_at_first_sight() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let listed = hosts(&mut careful(&broker, "viewer"));
    assert_eq!(host(&listed, "web1")["host"]["identity"]["proven"], true, "{listed:?}");
    assert_eq!(inventory(&broker, "viewer")["web1"]["public_key"], Signer::of("web1").key());
}

#[test]
fn reports_in_the_name_of_another_host_count_for_nothing() {
    let broker = Broker::start();
    let gate = "read _ < $DIR/gate; exit 1";
    let victim = HostBuilder::new(&broker, "web1", "test", "web").script(gate).gate("gate").start();
    let attacker = Wire::connect(&broker, "web2");
    let requests = attacker.listen("deploy.test.all");
    let mut deploy =
        Running::start(careful(&broker, "tester").args(["deploy", "deploy.test.all", "--output", "json"]));
    let request = requests.next();
    let reply = request.body["reply_to"].as_str().unwrap().to_owned();
    let started = deploy.tells(|line| line["value"]["status"] == "started");
    // With all that the host itself would say.
    let mut report = base_report("web1", "completed", None, "done");
    (report["id"], report["seq"]) = (request.body["id"].clone(), json!(u64::MAX >> 12));
    report["instance"] = started["value"]["instance"].clone();
    assert!(report["instance"].is_string(), "{started}");
    let payload = report.to_string().into_bytes();
    let signed = Signer::of("web2").headers_for("report", &reply, &payload);
    attacker.say_with(&reply, None, &[], &payload);
    attacker.say_with(&reply, None, &signed, &payload);
    // On the other host's own subject the server takes nothing.
    attacker.say_with(&format!("{reply}.web1"), None, &signed, &payload);
    while !attacker.refusal().contains(&format!("{reply}.web1")) {}
    victim.open("gate");
    let ended = deploy.ended(1);
    let result = ended.json().pop().unwrap();
    assert_eq!(result["value"]["hosts"][0]["verdict"], "failed", "{ended}");
}

#[test]
fn without_base_subjects_the_server_lets_no_host_publish_in_the_name_of_another() {
    let broker = Broker::without_base_subjects();
    let gate = "read _ < $DIR/gate; exit 1";
    let victim = HostBuilder::new(&broker, "web1", "test", "web").script(gate).gate("gate").start();
    let attacker = Wire::connect(&broker, "web2");
    let requests = attacker.listen("deploy.test.all");
    // Such an operator would believe anyone.
    let mut deploy = Running::start(operator(&broker, "tester").args([
        "deploy",
        "deploy.test.all",
        "--output",
        "json",
        "--unproven",
        "allow",
    ]));
    let request = requests.next();
    let reply = request.body["reply_to"].as_str().unwrap().to_owned();
    deploy.tells(|line| line["value"]["status"] == "started");
    let mut report = base_report("web1", "completed", None, "done");
    (report["id"], report["seq"]) = (request.body["id"].clone(), json!(u64::MAX >> 12));
    for subject in [reply.clone(), format!("{reply}.web1")] {
        attacker.say(&subject, &report);
        while !attacker.refusal().contains(&format!("\"{subject}\"")) {}
    }
    victim.open("gate");
    let ended = deploy.ended(1);
    let result = ended.json().pop().unwrap();
    assert_eq!(result["value"]["hosts"][0]["verdict"], "failed", "{ended}");
}

#[test]
fn a_host_without_proof_is_shown_and_gets_nothing() {
    let broker = Broker::start();
    let _proven = HostBuilder::new(&broker, "web1", "test", "web").start();
    let peer = Peer::start(&broker, base_answer("old1", "test", "legacy"), |_| {
        vec![base_report("old1", "completed", None, "done")]
    });
    let listed = hosts(&mut careful(&broker, "tester"));
    let old = host(&listed, "old1");
    assert_eq!(old["host"]["identity"]["doubt"], "its messages are not signed", "{old}");
    assert_eq!((&old["host"]["tier"], &old["host"]["answer"]), (&Value::Null, &Value::Null), "{old}");
    // A listing waits for the hosts that are known, and for others only as long as those take.
    let (table, row) = eventually("a row of old1", || {
        let table = run(careful(&broker, "tester").arg("hosts"), 0).out;
        let row = table.lines().find(|line| line.starts_with("old1")).map(str::to_owned);
        row.map(|row| (table, row))
    });
    assert!(row.contains("unproven"), "{table}");
    assert!(table.contains("note: old1: not proven: its messages are not signed"), "{table}");

    eventually("a refusal of old1", || {
        let refused = run(careful(&broker, "tester").args(["deploy", "old1"]), 2);
        refused.err.contains("is not proven").then(|| {
            refused.complains(&[
                "old1 is not proven: its messages are not signed; nothing was sent",
                "`homelab-deploy hosts --trust old1`",
                "unproven = \"allow\"",
            ]);
        })
    });
    let all =
        run(careful(&broker, "tester").args(["deploy", "--all", "--tier", "test", "--output", "json"]), 0);
    assert_eq!(all.json().pop().unwrap()["value"]["hosts"].as_array().unwrap().len(), 1, "{all}");
    let refused = run(careful(&broker, "tester").args(["hosts", "--trust", "old1"]), 2);
    refused.complains(&["old1 was not trusted: its messages are not signed", "unproven = \"allow\""]);
    assert_eq!(peer.others(), 0);

    // Listeners of the older tool stay usable for whom the context says so.
    let allowed = format!("[contexts.home]\nnats_url = \"{}\"\nunproven = \"allow\"\n", broker.url());
    write_config(&broker, "admin", &allowed);
    run(careful(&broker, "admin").args(["deploy", "old1"]), 0);
    assert_eq!(peer.others(), 1);
}

#[test]
fn before_any_key_is_known_hosts_without_proof_are_used() {
    let broker = Broker::start();
    let _peer = Peer::start(&broker, base_answer("old1", "test", "legacy"), |_| {
        vec![base_report("old1", "completed", None, "done")]
    });
    run(careful(&broker, "tester").args(["deploy", "old1"]), 0);
}

#[test]
fn a_host_with_another_key_is_refused_until_it_is_trusted() {
    let broker = Broker::start();
    let host_of = |key: &str| {
        let key = broker.key(key).display().to_string();
        HostBuilder::new(&broker, "web1", "test", "web").flag("--nkey-file", &key).start()
    };
    let first = host_of("web1");
    run(careful(&broker, "tester").arg("hosts"), 0);
    drop(first);
    let _second = host_of("everything");
    let other = Signer::of("everything").key();
    let table = run(careful(&broker, "tester").arg("hosts"), 3).out;
    let row = table.lines().find(|line| line.starts_with("web1")).unwrap();
    assert!(row.contains("changed"), "{table}");
    assert!(table.contains(&format!("signed by {other}, not by the key that is known")), "{table}");
    let refused = run(careful(&broker, "tester").args(["deploy", "web1"]), 2);
    refused.complains(&["web1", &format!("signed by {other}"), "`homelab-deploy hosts --trust web1`"]);
    let trusted = run(careful(&broker, "tester").args(["hosts", "--trust", "web1"]), 0).out;
    let before = Signer::of("web1").key();
    assert_eq!(trusted, format!("web1 is trusted: key {other} (before: {before})\n"));
    run(careful(&broker, "tester").args(["deploy", "web1"]), 0);
    run(careful(&broker, "tester").args(["hosts", "--trust", "web2"]), 2).complains(&["web2 did not reply"]);
}

#[test]
fn a_host_that_names_another_tier_or_other_subjects_is_refused_until_it_is_trusted() {
    let broker = Broker::start();
    let wire = Wire::connect(&broker, "everything");
    let requests = wire.listen("deploy.prod.>");
    let start = |tier: &str, more: &[&str]| {
        let key = broker.key("everything").display().to_string();
        HostBuilder::new(&broker, "web1", tier, "web").flag("--nkey-file", &key).args(more).start()
    };
    let first = start("test", &[]);
    run(careful(&broker, "admin").arg("hosts"), 0);
    drop(first);

    let moved = start("prod", &[]);
    let refused = run(careful(&broker, "admin").args(["deploy", "web1", "--yes"]), 2);
    refused.complains(&[
        "web1 has changed: it is known in tier test and now says prod; nothing was sent",
        "`homelab-deploy hosts --trust web1`",
    ]);
    run(careful(&broker, "admin").args(["deploy", "--all", "--tier", "prod", "--yes"]), 2);
    drop(moved);

    let subjects = ["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.ns1"];
    let _elsewhere = start("test", &subjects);
    let refused = run(careful(&broker, "admin").args(["deploy", "web1", "--yes"]), 2);
    refused.complains(&["now says deploy.test.web1, deploy.prod.ns1"]);
    let trusted = run(careful(&broker, "admin").args(["hosts", "--trust", "web1"]), 0).out;
    assert!(trusted.contains("subjects deploy.test.web1 deploy.prod.ns1 (before: "), "{trusted}");
    run(careful(&broker, "admin").args(["deploy", "web1", "--yes"]), 0);
    wire.round_trip();
    assert!(requests.arrived().is_empty());
}

/// Deploys to the tier `test`; gives the result, and what is said before anything is sent.
fn deploy_to_all(broker: &Broker, selection: &[&str], code: i32) -> (Value, String) {
    let mut command = careful(broker, "admin");
    let ended = run(command.arg("deploy").args(selection).args(["--output", "json"]), code);
    let lines = ended.json();
    let notes = lines.iter().filter(|line| line["event"] == "note").map(|line| line["value"].to_string());
    (lines.last().unwrap()["value"].clone(), notes.collect())
}

#[test]
fn of_a_group_the_hosts_that_have_changed_are_left_out() {
    let broker = Broker::start();
    let _same = HostBuilder::new(&broker, "web2", "test", "web").start();
    let start = |tier: &str, key: &str| {
        let key = broker.key(key).display().to_string();
        HostBuilder::new(&broker, "web1", tier, "web").flag("--nkey-file", &key).start()
    };
    let first = start("test", "everything");
    run(careful(&broker, "admin").arg("hosts"), 0);
    drop(first);

    let moved = start("prod", "everything");
    let differs = "changed: it is known in tier test and now says prod";
    let left_out = json!([{"host": "web1", "reason": differs}]);
    for selection in [&["--all", "--tier", "test"][..], &["--role", "web", "--tier", "test"]] {
        let (result, notes) = deploy_to_all(&broker, selection, 1);
        assert_eq!(result["left_out"], left_out, "{result}");
        let hosts = result["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 1, "{result}");
        assert_eq!((&hosts[0]["host"], &hosts[0]["verdict"]), (&json!("web2"), &json!("completed")));
        let advice = "; if that is right, run `homelab-deploy hosts --trust web1`";
        assert!(notes.contains(&format!("web1 is left out: {differs}{advice}")), "{notes}");
    }
    let ended = run(careful(&broker, "admin").args(["deploy", "--all", "--tier", "test"]), 1);
    assert!(ended.out.contains(&format!("left out: web1 ({differs})")), "{ended}");
    assert!(ended.err.contains("note: web1 is left out"), "{ended}");
    let alone = run(careful(&broker, "admin").args(["deploy", "--all", "--tier", "prod", "--yes"]), 2);
    alone.complains(&["no host is left to deploy to without web1; nothing was sent"]);
    drop(moved);

    let _other = start("test", "web1");
    let (result, _) = deploy_to_all(&broker, &["--all", "--tier", "test"], 1);
    let reason = result["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("not by the key that is known"), "{result}");
}

#[test]
fn made_up_hosts_are_not_noted() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let attacker = Wire::connect(&broker, "web2");
    let asked = attacker.listen("deploy.discover");
    let listing = Running::start(careful(&broker, "tester").arg("hosts"));
    let reply = asked.next().body["reply_to"].as_str().unwrap().to_owned();
    for n in 0..300 {
        let mut answer = base_answer(&format!("x{n}"), "test", "web");
        answer["instance"] = json!(format!("i{n}"));
        attacker.say(&reply, &answer);
    }
    listing.ended(0);
    let known = inventory(&broker, "tester");
    assert_eq!(known.as_object().unwrap().keys().collect::<Vec<_>>(), ["web1"]);
    run(careful(&broker, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
}

#[test]
fn a_key_is_noted_on_the_subject_of_its_host_and_for_no_other() {
    let broker = Broker::start();
    let key = broker.key("everything").display().to_string();
    let _host = HostBuilder::new(&broker, "web2", "test", "web").flag("--nkey-file", &key).start();
    run(careful(&broker, "tester").arg("hosts"), 0);
    let other = Wire::connect(&broker, "everything");
    let asked = other.listen("deploy.discover");
    // A new key where any host may publish, and the key of a host on the subject of another.
    for (signer, own, said) in [
        ("stranger", "", ""),
        ("everything", ".web1", "web1: not proven: its messages are signed by the key of web2"),
    ] {
        let listing = Running::start(careful(&broker, "tester").args(["hosts", "--accept-new"]));
        let subject = format!("{}{own}", asked.next().body["reply_to"].as_str().unwrap());
        let mut answer = base_answer("web1", "test", "web");
        answer["instance"] = json!("i");
        let payload = answer.to_string().into_bytes();
        let signed = Signer::of(signer).headers_for("reply", &subject, &payload);
        other.say_with(&subject, None, &signed, &payload);
        let ended = listing.ended(0);
        assert!(ended.out.contains(said), "{ended}");
        let known = inventory(&broker, "tester");
        assert_eq!(known.as_object().unwrap().keys().collect::<Vec<_>>(), ["web2"], "{signer}");
        other.round_trip();
        asked.arrived();
    }
}

#[test]
fn a_fleet_file_names_the_keys() {
    let broker = Broker::start();
    let _hosts = ["web1", "web2", "db1"].map(|name| {
        HostBuilder::new(&broker, name, "test", if name == "db1" { "db" } else { "web" }).start()
    });
    let (right, wrong) = (Signer::of("web1").key(), Signer::of("ns1").key());
    let fleet = broker.folder().join("fleet.toml");
    fs::write(
        &fleet,
        format!(
            "[hosts.web1]\ntier = \"test\"\nrole = \"web\"\npublic_key = \"{right}\"\n\
             [hosts.web2]\ntier = \"test\"\nrole = \"web\"\npublic_key = \"{wrong}\"\n"
        ),
    )
    .unwrap();
    let context = format!("[contexts.home]\nnats_url = \"{}\"\nfleet = {:?}\n", broker.url(), fleet);
    write_config(&broker, "tester", &context);
    let listed = hosts(&mut careful(&broker, "tester"));
    let identity = |name: &str| host(&listed, name)["host"]["identity"].clone();
    assert_eq!(identity("web1")["proven"], true);
    assert_eq!(
        identity("web2")["doubt"],
        format!("its messages are signed by {}, not by the key that is known", Signer::of("web2").key())
    );
    assert_eq!(
        identity("db1")["doubt"],
        format!("its messages are signed by {}, which is not known", Signer::of("db1").key())
    );
    run(careful(&broker, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    run(careful(&broker, "tester").args(["hosts", "--trust", "web2"]), 2)
        .complains(&["a host in a fleet file"]);

    fs::remove_file(&fleet).unwrap();
    run(careful(&broker, "tester").arg("hosts"), 2)
        .complains(&["config.toml:3", "failed to read the fleet file"]);
}

#[test]
fn a_signature_is_of_one_fleet() {
    let broker = Broker::start();
    let key = Signer::of("tester").key();
    let host = |fleet: &str| {
        let fleet = ["--fleet-name", fleet, "--trusted-key", &key];
        HostBuilder::new(&broker, "web1", "test", "web").args(&fleet).start()
    };
    let host = host("home");
    let home = ["--fleet-name", "home"];
    run(careful(&broker, "tester").args(["deploy", "web1"]).args(home), 0);
    // Another fleet's operator neither takes its word, nor is heard.
    let refused =
        run(operator(&broker, "tester").args(["deploy", "deploy.test.web1", "--fleet-name", "lab"]), 1);
    assert!(refused.out.contains("meant for another subject or fleet"), "{refused}");
    let table = run(careful(&broker, "tester").args(["hosts", "--fleet-name", "lab"]), 3).out;
    assert!(table.contains("not proven: its messages have a wrong signature"), "{table}");
    drop(host);
}
