//! The hosts seen before: a silent one is missed, told, and not waited for twice.

use crate::common::{Broker, HostBuilder, Running, Wire, base_answer, eventually, operator, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The roster of an operator, as it lies on disk.
pub(crate) fn roster_file(broker: &Broker, user: &str) -> PathBuf {
    let name = format!("{}.json", broker.url().replace([':', '/'], "_"));
    broker.folder().join("xdg").join(user).join("homelab-deploy/roster").join(name)
}

pub(crate) fn roster(broker: &Broker, user: &str) -> Value {
    serde_json::from_slice(&fs::read(roster_file(broker, user)).unwrap()).unwrap()
}

#[test]
fn hosts_that_answer_are_remembered_for_their_owner_alone() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "viewer").arg("hosts"), 0);
    let known = roster(&broker, "viewer");
    assert_eq!(known["web1"]["tier"], "test");
    assert_eq!(known["web1"]["role"], "web");
    assert_eq!(known["web1"]["offline"], false);
    assert_eq!(known["web1"]["deploy_subjects"][0], "deploy.test.web1");
    assert!(known["web1"]["seen"].is_string());
    let mode = fs::metadata(roster_file(&broker, "viewer")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = roster_file(&broker, "viewer").parent().unwrap().metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_deployment_remembers_hosts_too() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "tester").args(["deploy", "deploy.test.all"]), 0);
    assert_eq!(roster(&broker, "tester")["web1"]["offline"], false);
}

#[test]
fn a_silent_host_is_marked_offline_and_known_again_once_it_answers() {
    let broker = Broker::start();
    let mut gone = HostBuilder::new(&broker, "web2", "test", "web").start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let state = |host: &str| {
        let listed = run(operator(&broker, "viewer").arg("hosts"), 0);
        let row = listed.out.lines().find(|line| line.starts_with(host)).expect("a row").to_owned();
        let roster = roster(&broker, "viewer")[host]["offline"].clone();
        (row.contains("offline"), roster.as_bool().unwrap())
    };
    assert_eq!(state("web2"), (false, false));
    gone.kill();
    // The first call waits for it, the second does not; both tell that it is away and when it was seen.
    assert_eq!(state("web2"), (true, true));
    let seen = roster(&broker, "viewer")["web2"]["seen"].clone();
    assert_eq!(state("web2"), (true, true));
    assert_eq!(roster(&broker, "viewer")["web2"]["seen"], seen);
    assert_eq!(state("web1"), (false, false));
    gone.restart();
    // Nobody waits for it, so that the others may end a call before it answers.
    eventually("web2 being online again", || (state("web2") == (false, false)).then_some(()));
}

#[test]
fn a_host_that_answers_after_the_others_is_waited_for() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let late = Wire::connect(&broker, "everything");
    let asks = late.listen("deploy.discover");
    let answers = late.listen("deploy.responses.ask.*.*");
    // Unknown at first, then known.
    for _ in 0..2 {
        let hosts = Running::start(operator(&broker, "viewer").arg("hosts"));
        let ask = asks.next().body;
        answers.until(|answer| answer["hostname"] == "web1");
        // Later than anything that was on its way, and within the time that is given to all.
        for _ in 0..5 {
            late.round_trip();
        }
        late.say(ask["reply_to"].as_str().unwrap(), &base_answer("web2", "test", "web"));
        let listed = hosts.ended(0);
        assert!(listed.out.contains("\nweb2  test  web   idle"), "{listed}");
    }
}

#[test]
fn a_tier_s_hosts_are_asked_for_without_a_word_about_others() {
    let broker = Broker::start();
    let _hosts = [("web1", "test"), ("ns1", "prod")]
        .map(|(n, tier)| HostBuilder::new(&broker, n, tier, "any").start());
    run(operator(&broker, "viewer").arg("hosts"), 0);
    let test = run(operator(&broker, "viewer").args(["hosts", "--tier", "test"]), 0);
    assert!(!test.out.contains("ns1"), "{test}");
    assert_eq!(roster(&broker, "viewer")["ns1"]["offline"], false, "it was not asked");
}

#[test]
fn a_forgotten_host_is_not_expected_any_more() {
    let broker = Broker::start();
    let gone = HostBuilder::new(&broker, "web2", "test", "web").start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "tester").arg("hosts"), 0);
    drop(gone);
    let forget = |host: &str, code| run(operator(&broker, "tester").args(["hosts", "--forget", host]), code);
    assert_eq!(forget("web2", 0).out, "web2 is forgotten until it answers again\n");
    forget("web2", 2).complains(&["web2 is not in the roster; nothing was forgotten"]);
    forget("nosuch", 2).complains(&["nosuch is not in the roster"]);
    assert_eq!(roster(&broker, "tester")["web2"], Value::Null);
    let all = run(operator(&broker, "tester").args(["deploy", "--all", "--tier", "test"]), 0);
    assert!(!all.out.contains("web2"), "{all}");
}

#[test]
fn a_damaged_roster_is_told_and_left_as_it_is() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    run(operator(&broker, "tester").arg("hosts"), 0);
    let file = roster_file(&broker, "tester");
    for damage in ["", "{\"web1\":", "[]", "{\"web1\":{\"tier\":\"a b\"}}"] {
        fs::write(&file, damage).unwrap();
        for args in [&["hosts"][..], &["deploy", "web1"], &["hosts", "--forget", "web1"]] {
            let refused = run(operator(&broker, "tester").args(args), 2);
            let said = format!("the roster {} is damaged (", file.display());
            refused.complains(&[&said, "remove it, and it is made anew from the hosts that answer"]);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), damage);
    }
    fs::remove_file(&file).unwrap();
    run(operator(&broker, "tester").arg("hosts"), 0);
}

#[test]
fn a_roster_that_cannot_be_kept_is_told() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let in_the_way = broker.folder().join("file");
    fs::write(&in_the_way, "").unwrap();
    let refused = run(operator(&broker, "viewer").env("XDG_STATE_HOME", &in_the_way).arg("hosts"), 2);
    refused.complains(&["the roster", "file/homelab-deploy/roster"]);
}

#[test]
fn it_lies_below_home_where_no_state_folder_is_named() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let home = broker.folder().join("home");
    for relative in [None, Some("relative/path")] {
        let mut command = operator(&broker, "viewer");
        command.env_remove("XDG_STATE_HOME").env("HOME", &home);
        command.envs(relative.map(|path| ("XDG_STATE_HOME", path)));
        run(command.arg("hosts"), 0);
        let folder = home.join(".local/state/homelab-deploy/roster");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&home).unwrap();
    }
}

#[test]
fn commands_at_the_same_time_do_not_disturb_each_other() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    for _ in 0..2 {
        let commands: Vec<_> =
            (0..6).map(|_| Running::start(operator(&broker, "viewer").arg("hosts"))).collect();
        for command in commands {
            command.ended(0);
        }
    }
    assert_eq!(roster(&broker, "viewer")["web1"]["offline"], false);
    let folder = roster_file(&broker, "viewer");
    assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}
