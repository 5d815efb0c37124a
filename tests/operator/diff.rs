//! What a deployment would change, told by a dry run.

use crate::common::{Broker, HostBuilder, Peer, Wire, base_answer, base_report, operator, run};
use serde_json::{Value, json};

/// A host that completes every dry run with these changes and this system.
fn host(broker: &Broker, name: &str, tier: &str, more: Value) -> Peer {
    let mut answer = base_answer(name, tier, "any");
    answer["system"] = json!("/nix/store/old");
    let name = name.to_owned();
    Peer::start(broker, answer, move |request| {
        let mut report = base_report(&name, "completed", None, "dry-activate done");
        report["id"] = request["id"].clone();
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        vec![report]
    })
}

fn changes() -> Value {
    json!({"changes": {
        "packages": [
            {"name": "hello", "to": "2.12"},
            {"name": "linux", "from": "6.12.8", "to": "6.12.9"},
            {"name": "openssl", "from": "3.0, 3.4", "to": "3.4"},
            {"name": "sl", "from": "5.05"},
        ],
        "bytes": -13_002_342,
        "units_stopped": ["sl.service"],
        "units_started": ["hello.service", "hello.socket"],
        "units_restarted": ["nginx.service", "sshd.service", "systemd-resolved.service"],
    }})
}

/// What is printed below the table.
fn below_the_table(out: &str) -> &str {
    let table = out.find("\nHOST").unwrap();
    out[table..].split_once("\n\n").map_or("", |(_, below)| below)
}

#[test]
fn people_read_packages_sizes_and_units() {
    let broker = Broker::start();
    let _host = host(&broker, "web1", "test", changes());
    let shown = run(operator(&broker, "tester").args(["diff", "web1"]), 0);
    insta::assert_snapshot!(below_the_table(&shown.out));
    assert_eq!(shown.err, "");
    // It is what a dry run is by its other name.
    let deployed = run(operator(&broker, "tester").args(["deploy", "web1", "--action", "dry-activate"]), 0);
    assert_eq!(below_the_table(&deployed.out), below_the_table(&shown.out));
    let other = run(operator(&broker, "tester").args(["deploy", "web1", "--action", "test"]), 0);
    assert_eq!(below_the_table(&other.out), "");
}

#[test]
fn few_changes_are_told_in_a_line() {
    let broker = Broker::start();
    for (more, said) in [
        (json!({"changes": {}}), "web1: no package, size or unit would change, only files"),
        (
            json!({"changes": {"bytes": 0}, "system": "/nix/store/new"}),
            "web1: no package, size or unit would change, only files",
        ),
        (
            json!({"changes": {"bytes": 0}, "system": "/nix/store/old"}),
            "web1: nothing would change, this system runs already",
        ),
        (json!({"changes": {"bytes": 2048}}), "web1: +2 KiB"),
        (json!({"changes": {"packages": [{"name": "a"}]}}), "web1: 1 package\nPACKAGE  FROM  TO\na"),
        (
            json!({"changes": {"units_restarted": ["a.service"]}}),
            "web1: 1 unit would restart\nwould restart: a.service",
        ),
        (json!({"system": "/nix/store/old"}), "web1: nothing would change, this system runs already"),
        (json!({"system": "/nix/store/new"}), "web1 did not report what would change"),
        (json!({}), "web1 did not report what would change"),
    ] {
        let _host = host(&broker, "web1", "test", more);
        let shown = run(operator(&broker, "tester").args(["diff", "web1"]), 0);
        assert_eq!(below_the_table(&shown.out).trim_end(), said, "{shown}");
    }
}

#[test]
fn a_program_that_tells_no_changes_has_a_log() {
    let broker = Broker::start();
    let script = "echo would restart the following units: nginx.service";
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script(script).start();
    let shown = run(operator(&broker, "tester").args(["diff", "web1"]), 0);
    let below = below_the_table(&shown.out);
    let command = below.split('`').nth(1).unwrap_or_else(|| panic!("{shown}"));
    let arguments = command.strip_prefix("homelab-deploy ").unwrap().split(' ');
    let log = run(operator(&broker, "viewer").args(arguments), 0).out;
    assert!(log.contains("rebuild dry-activate --flake"), "{log}");
    assert!(log.ends_with("would restart the following units: nginx.service\n"), "{log}");
}

#[test]
fn it_asks_for_a_dry_run_of_the_branch_and_asks_nobody() {
    let broker = Broker::start();
    let web = host(&broker, "web1", "test", changes());
    let dns = host(&broker, "ns1", "prod", json!({"changes": {}}));
    let mut command = operator(&broker, "admin");
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1");
    let shown = run(command.args(["diff", "ns1", "site", "--branch", "v2"]), 0);
    assert!(
        shown.out.contains("\n\nweb1: 4 packages, -12 MiB, ") && shown.out.contains("\n\nns1: no package")
    );
    for request in [web.request(), dns.request()] {
        assert_eq!((&request["action"], &request["revision"]), (&json!("dry-activate"), &json!("v2")));
    }
    run(operator(&broker, "admin").env("HOMELAB_DEPLOY_BRANCH", "v3").args(["diff", "deploy.test.all"]), 0);
    assert_eq!(web.request()["revision"], "v3");
    run(operator(&broker, "admin").args(["diff", "web1"]), 0);
    assert_eq!(web.request()["revision"], "master");
}

#[test]
fn it_ends_as_a_deployment_does() {
    let broker = Broker::start();
    let _good = host(&broker, "web1", "test", changes());
    let _bad = HostBuilder::new(&broker, "db1", "test", "db").script("echo no such package; exit 1").start();
    let failed = run(operator(&broker, "tester").args(["diff", "web1", "db1"]), 1);
    let below = below_the_table(&failed.out);
    assert!(below.starts_with("db1: ") && below.contains("\n  | no such package\n"), "{failed}");
    assert!(below.contains("\n\nweb1: 4 packages"), "{failed}");
    let unknown = run(operator(&broker, "tester").args(["diff", "wbe1"]), 2);
    unknown.complains(&["no host wbe1 answers or is known (did you mean web1"]);
    run(operator(&broker, "viewer").args(["diff", "web1"]), 5)
        .complains(&["the server refused deploy.test.web1"]);
    run(operator(&broker, "tester").args(["diff", "deploy.test.nobody"]), 3);
}

#[test]
fn programs_read_the_changes_in_the_result() {
    let broker = Broker::start();
    let _host = host(&broker, "web1", "test", changes());
    let wire = Wire::connect(&broker, "everything");
    let ears = wire.listen("deploy.test.>");
    let lines = run(operator(&broker, "tester").args(["diff", "web1", "--output", "json"]), 0).json();
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"][0]["report"]["changes"], changes()["changes"]);
    assert_eq!(ears.next().body["id"], result["value"]["id"]);
}
