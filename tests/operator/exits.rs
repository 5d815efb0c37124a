//! The exit codes of a deployment, each with what it says.

use crate::common::{Broker, Ended, Gate, HostBuilder, Running, Wire, held_in, operator, run};
use std::time::{Duration, Instant};

/// Far longer than anything takes that needs no waiting, and shorter than the time that silent hosts get.
const AT_ONCE: Duration = Duration::from_secs(4);

#[test]
fn exit_0_every_host_completed() {
    let broker = Broker::start();
    let _hosts =
        [("web1", "web"), ("db1", "db")].map(|(n, role)| HostBuilder::new(&broker, n, "test", role).start());
    let done = run(operator(&broker, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    assert_eq!(done.out.matches("  completed in ").count(), 2, "{done}");
    assert_eq!(done.err, "");
}

#[test]
fn exit_1_a_host_failed() {
    let broker = Broker::start();
    let _good = HostBuilder::new(&broker, "web1", "test", "web").start();
    let _bad = HostBuilder::new(&broker, "db1", "test", "db").script("echo no space; exit 3").start();
    let failed = run(operator(&broker, "tester").args(["deploy", "--all", "--tier", "test"]), 1);
    for said in [
        "\nweb1  completed",
        "\ndb1   failed",
        "\ndb1: activation_failed: ",
        "exit status: 3",
        "\n  | no space\n",
    ] {
        assert!(failed.out.contains(said), "no {said:?} in {failed}");
    }
}

#[test]
fn exit_1_a_host_rejected_since_it_is_busy() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    let deploy = || {
        let mut command = operator(&broker, "tester");
        command.args(["deploy", "web1", "--output", "json"]);
        command
    };
    let mut first = Running::start(&mut deploy());
    let running = first.tells(|line| line["value"]["status"] == "started")["value"]["id"].clone();

    let rejected = run(operator(&broker, "tester").args(["deploy", "web1"]), 1);
    let said = format!("already_running: job {} runs on this host", running.as_str().unwrap());
    assert!(rejected.out.contains(&said), "{rejected}");
    assert!(rejected.out.contains("\nweb1  rejected  "), "{rejected}");
    let rejected = run(&mut deploy(), 1).json();
    let report = &rejected.last().unwrap()["value"]["hosts"][0]["report"];
    assert_eq!(report["error"], "already_running");
    assert_eq!(report["running_job"], running);

    gate.pass();
    first.ended(0);
}

#[test]
fn exit_3_nobody_listens_on_the_subject_and_that_is_said_at_once() {
    let broker = Broker::start();
    let nobody = |fleet: &str| {
        let begun = Instant::now();
        let silent = run(operator(&broker, "tester").args(["deploy", "deploy.test.web9"]), 3);
        assert!(begun.elapsed() < AT_ONCE, "{fleet}: {:?}", begun.elapsed());
        assert!(silent.out.contains("no host answered"), "{silent}");
    };
    nobody("an empty fleet");
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    nobody("a fleet without that host");
}

#[test]
fn exit_3_an_expected_host_stays_silent_unless_offline_hosts_are_skipped() {
    let broker = Broker::start();
    let gone = HostBuilder::new(&broker, "web2", "test", "web").start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "tester").arg("hosts"), 0);
    drop(gone);

    let all = |flags: &[&str], code| {
        let mut command = operator(&broker, "tester");
        run(command.args(["deploy", "--all", "--tier", "test"]).args(flags), code)
    };
    let told = |ended: &Ended, verdict: &str| {
        let row = ended.out.lines().find(|line| line.starts_with("web2 ")).expect("a row of web2");
        assert!(row.contains(verdict) && row.contains("offline, last seen "), "{ended}");
    };
    let without = all(&["--skip-offline"], 0);
    assert!(!without.out.contains("web2"), "{without}");
    let silent = all(&[], 3);
    told(&silent, "silent");
    assert!(silent.out.contains("\nweb1  completed"), "{silent}");

    // Alone, it is known to be silent as soon as the server says that nobody listens.
    let begun = Instant::now();
    told(&run(operator(&broker, "tester").args(["deploy", "web2"]), 3), "silent");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let nobody = run(operator(&broker, "tester").args(["deploy", "web2", "--skip-offline"]), 3);
    nobody.complains(&["no host to deploy to"]);
}

#[test]
fn exit_4_the_time_ran_out_with_a_host_at_work() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let _gate = Gate::of(&host);
    let late = run(operator(&broker, "tester").args(["deploy", "web1", "--timeout", "1"]), 4);
    let row = late.out.lines().last().unwrap();
    assert!(row.starts_with("web1  unknown  "), "{late}");
    assert!(row.contains("was in build, last heard of "), "{late}");
}

#[test]
fn exit_5_no_server() {
    let broker = Broker::start();
    for (url, reason) in [
        ("nats://127.0.0.1:1", "Connection refused"),
        ("nats://127.0.0.1:1,nats://127.0.0.1:2", "Connection refused"),
        ("nats://nosuch.invalid:4222", "lookup"),
    ] {
        let mut command = operator(&broker, "admin");
        let begun = Instant::now();
        let lost = run(command.args(["deploy", "deploy.test.web1", "--nats-url", url]), 5);
        let servers = url.replace(',', ", ");
        lost.complains(&[
            &format!("could not connect to {servers}: "),
            reason,
            "is a NATS server running there?",
        ]);
        assert!(begun.elapsed() < AT_ONCE, "{lost}");
    }
}

#[test]
fn exit_5_the_server_does_not_know_the_key() {
    let broker = Broker::start();
    for command in [&["hosts"][..], &["deploy", "web1"], &["cancel", "web1"]] {
        let refused = run(operator(&broker, "stranger").args(command), 5);
        refused.complains(&[&format!("the server at {} refused the key U", broker.url()), "authorization"]);
    }
    let mut without = operator(&broker, "admin");
    let refused = run(without.env_remove("HOMELAB_DEPLOY_NKEY_FILE").arg("hosts"), 5);
    refused.complains(&["refused the key: none was given"]);
}

#[test]
fn exit_5_the_server_refused_the_subject_and_that_is_said_at_once() {
    let broker = Broker::start();
    let _prod = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    let wire = Wire::connect(&broker, "everything");
    let ears = wire.listen("deploy.prod.>");
    for (user, target) in [
        ("tester", "deploy.prod.ns1"),
        ("tester", "deploy.prod.nobody"),
        ("tester", "ns1"),
        ("viewer", "ns1"),
        ("mcp", "deploy.prod.all"),
    ] {
        let begun = Instant::now();
        let refused = run(operator(&broker, user).args(["deploy", target, "--yes"]), 5);
        assert!(begun.elapsed() < AT_ONCE, "{user} {target}: {:?}", begun.elapsed());
        let subject = if target == "ns1" { "deploy.prod.ns1" } else { target };
        refused.complains(&[&format!(
            "the server refused {subject}: this key has no permission to publish there"
        )]);
    }
    wire.round_trip();
    assert_eq!(ears.arrived().len(), 0);
    run(operator(&broker, "admin").args(["deploy", "ns1", "--yes"]), 0);
}

#[test]
fn exit_5_a_key_that_may_not_ask() {
    let broker = Broker::start();
    let refused = run(operator(&broker, "web1").arg("hosts"), 5);
    refused.complains(&["the server refused deploy.responses.ask.", "no permission to subscribe there"]);
}

#[test]
fn exit_130_interrupted_and_the_job_goes_on() {
    let broker = Broker::start();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    for (format, builds) in [("human", "web1  build"), ("json", r#""name":"build","state":"running""#)] {
        let mut command = operator(&broker, "tester");
        let mut deploy = Running::start(command.args(["deploy", "web1", "--output", format]));
        deploy.says(builds);
        deploy.interrupt();
        let interrupted = deploy.ended(130);
        interrupted
            .complains(&["interrupted; what runs on the hosts goes on", "`homelab-deploy status` shows it"]);
        let hosts = run(operator(&broker, "tester").arg("hosts"), 0);
        assert!(hosts.out.contains("build"), "{hosts}");
        gate.pass();
        host.logged("job completed");
    }
}
