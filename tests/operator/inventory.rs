//! The inventory: a host that does not answer is reported, and waited for only once.

use crate::common::{
    HostBuilder, NatsServer, RawClient, RunningCommand, base_presence, eventually, operator, run,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Path of an operator's inventory.
pub(crate) fn inventory_file(nats: &NatsServer, user: &str) -> PathBuf {
    let name = format!("{}.json", nats.url().replace([':', '/'], "_"));
    nats.dir().join("xdg").join(user).join("homelab-deploy/inventory").join(name)
}

pub(crate) fn inventory(nats: &NatsServer, user: &str) -> Value {
    serde_json::from_slice(&fs::read(inventory_file(nats, user)).unwrap()).unwrap()
}

#[test]
fn answering_hosts_are_stored_in_a_private_inventory() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "viewer").arg("hosts"), 0);
    let known = inventory(&nats, "viewer");
    assert_eq!(known["web1"]["tier"], "test");
    assert_eq!(known["web1"]["role"], "web");
    assert_eq!(known["web1"]["offline"], false);
    assert_eq!(known["web1"]["deploy_subjects"][0], "deploy.test.web1");
    assert!(known["web1"]["last_seen"].is_string());
    let mode = fs::metadata(inventory_file(&nats, "viewer")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let directory = inventory_file(&nats, "viewer").parent().unwrap().metadata().unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_deployment_adds_hosts_to_the_inventory() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").args(["deploy", "deploy.test.all"]), 0);
    assert_eq!(inventory(&nats, "tester")["web1"]["offline"], false);
}

#[test]
fn an_unresponsive_host_is_offline_until_it_answers() {
    let nats = NatsServer::start();
    let mut gone = HostBuilder::new(&nats, "web2", "test", "web").start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let state = |host: &str| {
        let listed = run(operator(&nats, "viewer").arg("hosts"), 0);
        let row = listed.stdout.lines().find(|line| line.starts_with(host)).expect("a row").to_owned();
        let offline = inventory(&nats, "viewer")[host]["offline"].clone();
        (row.contains("offline"), offline.as_bool().unwrap())
    };
    assert_eq!(state("web2"), (false, false));
    gone.kill();
    // The first call waits for the host, the second does not. Both report it as offline with the time it was last seen.
    assert_eq!(state("web2"), (true, true));
    let seen = inventory(&nats, "viewer")["web2"]["last_seen"].clone();
    assert_eq!(state("web2"), (true, true));
    assert_eq!(inventory(&nats, "viewer")["web2"]["last_seen"], seen);
    assert_eq!(state("web1"), (false, false));
    gone.restart();
    // Offline hosts are not waited for, so a call may end before this one answers.
    eventually("web2 being online again", || (state("web2") == (false, false)).then_some(()));
}

#[test]
fn a_host_that_answers_after_the_others_is_waited_for() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let late = RawClient::connect(&nats, "everything");
    let asks = late.subscribe("deploy.discover");
    let answers = late.subscribe("deploy.responses.ask.*.*");
    // The host is unknown in the first pass and known in the second.
    for _ in 0..2 {
        let hosts = RunningCommand::start(operator(&nats, "viewer").arg("hosts"));
        let ask = asks.next().body;
        answers.until(|answer| answer["hostname"] == "web1");
        // Reply after messages in flight but within the time that all hosts have.
        for _ in 0..5 {
            late.round_trip();
        }
        late.publish(ask["reply_to"].as_str().unwrap(), &base_presence("web2", "test", "web"));
        let listed = hosts.wait_for_exit(0);
        assert!(listed.stdout.contains("\nweb2  test  web   idle"), "{listed}");
    }
}

#[test]
fn a_query_for_a_tier_ignores_other_hosts() {
    let nats = NatsServer::start();
    let _hosts =
        [("web1", "test"), ("ns1", "prod")].map(|(n, tier)| HostBuilder::new(&nats, n, tier, "any").start());
    run(operator(&nats, "viewer").arg("hosts"), 0);
    let test = run(operator(&nats, "viewer").args(["hosts", "--tier", "test"]), 0);
    assert!(!test.stdout.contains("ns1"), "{test}");
    assert_eq!(inventory(&nats, "viewer")["ns1"]["offline"], false, "the host was not queried");
}

#[test]
fn a_forgotten_host_is_no_longer_expected() {
    let nats = NatsServer::start();
    let gone = HostBuilder::new(&nats, "web2", "test", "web").start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").arg("hosts"), 0);
    drop(gone);
    let forget = |host: &str, code| run(operator(&nats, "tester").args(["hosts", "--forget", host]), code);
    assert_eq!(forget("web2", 0).stdout, "forgot web2 until it answers again\n");
    forget("web2", 2).assert_stderr(&["web2 is not in the inventory; nothing was forgotten"]);
    forget("nosuch", 2).assert_stderr(&["nosuch is not in the inventory"]);
    assert_eq!(inventory(&nats, "tester")["web2"], Value::Null);
    let all = run(operator(&nats, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    assert!(!all.stdout.contains("web2"), "{all}");
}

#[test]
fn a_damaged_inventory_is_reported_and_not_changed() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "tester").arg("hosts"), 0);
    let file = inventory_file(&nats, "tester");
    for damage in ["", "{\"web1\":", "[]", "{\"web1\":{\"tier\":\"a b\"}}"] {
        fs::write(&file, damage).unwrap();
        for args in [&["hosts"][..], &["deploy", "web1"], &["hosts", "--forget", "web1"]] {
            let refused = run(operator(&nats, "tester").args(args), 2);
            let expected = format!("inventory {} is damaged (", file.display());
            refused.assert_stderr(&[&expected, "delete it to rebuild it from the hosts that reply"]);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), damage);
    }
    fs::remove_file(&file).unwrap();
    run(operator(&nats, "tester").arg("hosts"), 0);
}

#[test]
fn an_unwritable_inventory_is_reported() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let in_the_way = nats.dir().join("file");
    fs::write(&in_the_way, "").unwrap();
    let refused = run(operator(&nats, "viewer").env("XDG_STATE_HOME", &in_the_way).arg("hosts"), 2);
    refused.assert_stderr(&["failed to read inventory ", "file/homelab-deploy/inventory"]);
}

#[test]
fn the_inventory_is_below_home_by_default() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let home = nats.dir().join("home");
    for relative in [None, Some("relative/path")] {
        let mut command = operator(&nats, "viewer");
        command.env_remove("XDG_STATE_HOME").env("HOME", &home);
        command.envs(relative.map(|path| ("XDG_STATE_HOME", path)));
        run(command.arg("hosts"), 0);
        let directory = home.join(".local/state/homelab-deploy/inventory");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&home).unwrap();
    }
}

#[test]
fn concurrent_commands_do_not_disturb_each_other() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    for _ in 0..2 {
        let commands: Vec<_> =
            (0..6).map(|_| RunningCommand::start(operator(&nats, "viewer").arg("hosts"))).collect();
        for command in commands {
            command.wait_for_exit(0);
        }
    }
    assert_eq!(inventory(&nats, "viewer")["web1"]["offline"], false);
    let directory = inventory_file(&nats, "viewer");
    assert_eq!(fs::read_dir(directory.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn what_was_kept_for_servers_that_are_no_longer_used_is_removed() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    run(operator(&nats, "viewer").arg("hosts"), 0);
    let directory = inventory_file(&nats, "viewer").parent().unwrap().to_owned();
    let age = |days: u64, name: &str| {
        let file = fs::File::create(directory.join(name)).unwrap();
        let used = std::time::SystemTime::now() - std::time::Duration::from_hours(days * 24);
        file.set_modified(used).unwrap();
        std::io::Write::write_all(&mut &file, b"{}").unwrap();
        file.set_modified(used).unwrap();
    };
    for number in 0..25 {
        age(100 + number, &format!("nats___127.0.0.1_{number}.json"));
    }
    age(10, "nats___recent_4222.json");
    // Contexts have names, and keep their hosts.
    age(400, "home.json");
    run(operator(&nats, "viewer").arg("hosts"), 0);
    let mut left: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|end| end == "json"))
        .collect();
    left.sort();
    // The 20 servers that were used last.
    assert_eq!(left.len(), 21, "{left:?}");
    for name in ["home.json", "nats___recent_4222.json", "nats___127.0.0.1_17.json"] {
        assert!(left.iter().any(|other| other == name), "no {name} in {left:?}");
    }
    assert!(!left.iter().any(|name| name == "nats___127.0.0.1_18.json"), "{left:?}");
    assert_eq!(inventory(&nats, "viewer")["web1"]["tier"], "test");
}
