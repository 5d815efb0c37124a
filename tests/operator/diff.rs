//! `diff`: the changes that a dry run reports.

use crate::common::{
    FakeListener, HostBuilder, NatsServer, RawClient, base_presence, base_report, operator, run,
};
use serde_json::{Value, json};

/// A host that completes every dry run with these additional report fields.
fn host(nats: &NatsServer, name: &str, tier: &str, more: Value) -> FakeListener {
    let mut answer = base_presence(name, tier, "any");
    answer["system"] = json!("/nix/store/old");
    let name = name.to_owned();
    FakeListener::start(nats, answer, move |request| {
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

/// The output below the table.
fn below_the_table(out: &str) -> &str {
    let table = out.find("\nHOST").unwrap();
    out[table..].split_once("\n\n").map_or("", |(_, below)| below)
}

#[test]
fn people_read_packages_sizes_and_units() {
    let nats = NatsServer::start();
    let _host = host(&nats, "web1", "test", changes());
    let shown = run(operator(&nats, "tester").args(["diff", "web1"]), 0);
    insta::assert_snapshot!(below_the_table(&shown.stdout));
    assert_eq!(shown.stderr, "");
    // `deploy --action dry-activate` prints the same.
    let deployed = run(operator(&nats, "tester").args(["deploy", "web1", "--action", "dry-activate"]), 0);
    assert_eq!(below_the_table(&deployed.stdout), below_the_table(&shown.stdout));
    let other = run(operator(&nats, "tester").args(["deploy", "web1", "--action", "test"]), 0);
    assert_eq!(below_the_table(&other.stdout), "");
}

#[test]
fn few_changes_are_one_line() {
    let nats = NatsServer::start();
    for (more, expected) in [
        (json!({"changes": {}}), "web1: only files would change, no package, size or unit"),
        (
            json!({"changes": {"bytes": 0}, "system": "/nix/store/new"}),
            "web1: only files would change, no package, size or unit",
        ),
        (
            json!({"changes": {"bytes": 0}, "system": "/nix/store/old"}),
            "web1: nothing would change, the host already runs this system",
        ),
        (json!({"changes": {"bytes": 2048}}), "web1: +2 KiB"),
        (json!({"changes": {"packages": [{"name": "a"}]}}), "web1: 1 package\nPACKAGE  FROM  TO\na"),
        (
            json!({"changes": {"units_restarted": ["a.service"]}}),
            "web1: 1 unit would restart\nwould restart: a.service",
        ),
        (
            json!({"system": "/nix/store/old"}),
            "web1: nothing would change, the host already runs this system",
        ),
        (json!({"system": "/nix/store/new"}), "web1 did not report what would change"),
        (json!({}), "web1 did not report what would change"),
    ] {
        let _host = host(&nats, "web1", "test", more);
        let shown = run(operator(&nats, "tester").args(["diff", "web1"]), 0);
        assert_eq!(below_the_table(&shown.stdout).trim_end(), expected, "{shown}");
    }
}

#[test]
fn a_program_without_changes_refers_to_its_log() {
    let nats = NatsServer::start();
    let script = "echo would restart the following units: nginx.service";
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(script).start();
    let shown = run(operator(&nats, "tester").args(["diff", "web1"]), 0);
    let below = below_the_table(&shown.stdout);
    let command = below.split('`').nth(1).unwrap_or_else(|| panic!("{shown}"));
    let arguments = command.strip_prefix("homelab-deploy ").unwrap().split(' ');
    let log = run(operator(&nats, "viewer").args(arguments), 0).stdout;
    assert!(log.contains("rebuild dry-activate --flake"), "{log}");
    assert!(log.ends_with("would restart the following units: nginx.service\n"), "{log}");
}

#[test]
fn it_requests_a_dry_run_of_the_branch_without_confirmation() {
    let nats = NatsServer::start();
    let web = host(&nats, "web1", "test", changes());
    let dns = host(&nats, "ns1", "prod", json!({"changes": {}}));
    let mut command = operator(&nats, "admin");
    command.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1");
    let shown = run(command.args(["diff", "ns1", "site", "--branch", "v2"]), 0);
    assert!(
        shown.stdout.contains("\n\nweb1: 4 packages, -12 MiB, ")
            && shown.stdout.contains("\n\nns1: only files would change")
    );
    for request in [web.request(), dns.request()] {
        assert_eq!((&request["action"], &request["revision"]), (&json!("dry-activate"), &json!("v2")));
    }
    run(operator(&nats, "admin").env("HOMELAB_DEPLOY_BRANCH", "v3").args(["diff", "deploy.test.all"]), 0);
    assert_eq!(web.request()["revision"], "v3");
    run(operator(&nats, "admin").args(["diff", "web1"]), 0);
    assert_eq!(web.request()["revision"], "master");
}

#[test]
fn it_ends_as_a_deployment_does() {
    let nats = NatsServer::start();
    let _good = host(&nats, "web1", "test", changes());
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("echo no such package; exit 1").start();
    let failed = run(operator(&nats, "tester").args(["diff", "web1", "db1"]), 1);
    let below = below_the_table(&failed.stdout);
    assert!(below.starts_with("db1: ") && below.contains("\n  | no such package\n"), "{failed}");
    assert!(below.contains("\n\nweb1: 4 packages"), "{failed}");
    let unknown = run(operator(&nats, "tester").args(["diff", "wbe1"]), 2);
    unknown.assert_stderr(&["unknown host wbe1 (did you mean web1"]);
    run(operator(&nats, "viewer").args(["diff", "web1"]), 5)
        .assert_stderr(&["the server refused deploy.test.web1"]);
    run(operator(&nats, "tester").args(["diff", "deploy.test.absent"]), 3);
}

#[test]
fn programs_read_the_changes_in_the_result() {
    let nats = NatsServer::start();
    let _host = host(&nats, "web1", "test", changes());
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    let lines = run(operator(&nats, "tester").args(["diff", "web1", "--output", "json"]), 0).json();
    let result = lines.last().unwrap();
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"][0]["report"]["changes"], changes()["changes"]);
    assert_eq!(requests.next().body["id"], result["value"]["id"]);
}

/// Hosts of two tiers with partly equal changes.
fn several(nats: &NatsServer) -> [FakeListener; 4] {
    let package = |name: &str, from: &str, to: &str| json!({"name": name, "from": from, "to": to});
    let openssl = package("openssl", "3.3.2", "3.3.3");
    let changes = |packages: Value, restarted: &[&str]| json!({"changes": {"packages": packages, "units_restarted": restarted}});
    [
        host(
            nats,
            "web1",
            "test",
            changes(json!([openssl, package("linux", "6.12.7", "6.12.9")]), &["nginx.service"]),
        ),
        host(
            nats,
            "web2",
            "prod",
            changes(json!([openssl, package("curl", "8.12", "8.11.1")]), &["nginx.service"]),
        ),
        host(nats, "web10", "prod", changes(json!([openssl]), &[])),
        host(nats, "db1", "prod", changes(json!([openssl]), &["postgresql.service"])),
    ]
}

#[test]
fn equal_changes_of_several_hosts_are_one_line() {
    let nats = NatsServer::start();
    let _hosts = several(&nats);
    let shown = run(operator(&nats, "admin").args(["diff", "--all"]), 0);
    let (_, folded) =
        shown.stdout.split_once("\n\nchanges on 4 hosts:\n").unwrap_or_else(|| panic!("{shown}"));
    let expected = [
        "  curl 8.12 -> 8.11.1 on web2: older version",
        "  linux 6.12.7 -> 6.12.9 on web1: needs a reboot",
        "  openssl 3.3.2 -> 3.3.3 on 4 hosts",
        "  restarts nginx.service on web1, web2",
        "  restarts postgresql.service on db1",
    ];
    assert_eq!(folded.lines().collect::<Vec<_>>(), expected);
    // A selection of a role or tier, and a single host without a summary.
    let tier = run(operator(&nats, "admin").args(["diff", "--all", "--tier", "prod"]), 0);
    assert!(tier.stdout.contains("\nchanges on 3 hosts:\n"), "{tier}");
    let one = run(operator(&nats, "admin").args(["diff", "web1"]), 0);
    assert!(!one.stdout.contains("changes on"), "{one}");
}

#[test]
fn programs_read_the_folded_changes() {
    let nats = NatsServer::start();
    let _hosts = several(&nats);
    let shown = run(operator(&nats, "admin").args(["diff", "--all", "--output", "json"]), 0);
    let lines: Vec<Value> = shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes = lines.iter().find(|line| line["event"] == "changes").unwrap();
    let expected = json!([
        {"kind": "package", "downgrade": true, "name": "curl", "from": "8.12", "to": "8.11.1", "hosts": ["web2"]},
        {"kind": "package", "kernel": true, "name": "linux", "from": "6.12.7", "to": "6.12.9", "hosts": ["web1"]},
        {"kind": "package", "name": "openssl", "from": "3.3.2", "to": "3.3.3",
            "hosts": ["db1", "web1", "web2", "web10"]},
        {"kind": "restart", "unit": "nginx.service", "hosts": ["web1", "web2"]},
        {"kind": "restart", "unit": "postgresql.service", "hosts": ["db1"]},
    ]);
    assert_eq!(changes["value"], expected);
}
