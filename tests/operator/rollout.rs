//! Rollouts through the binary: waves of hosts, the budget of failures, and the command that goes on with the rest.

use crate::common::{Broker, Ended, HostBuilder, Running, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};
use std::process::Command;

fn deploy(broker: &Broker, args: &[&str]) -> Command {
    let mut command = operator(broker, "everything");
    command.args(["deploy", "--no-pin"]).args(args);
    command
}

fn all(broker: &Broker, args: &[&str], code: i32) -> Ended {
    run(deploy(broker, &["--all", "--tier", "test", "--output", "json"]).args(args), code)
}

/// `web1` to `webN`; those of `others` are as told there.
fn webs(count: usize, others: &[(usize, How)]) -> Vec<Member> {
    let how = |n| others.iter().find(|(host, _)| *host == n).map_or(How::Completes, |(_, how)| *how);
    (1..=count).map(|n| Member::new(&format!("web{n}"), "web", how(n))).collect()
}

fn waves(ended: &Ended) -> Vec<Value> {
    let lines = ended.json().into_iter().filter(|line| line["event"] == "wave");
    lines.map(|line| line["value"]["hosts"].clone()).collect()
}

fn result(ended: &Ended) -> Value {
    let last = ended.json().pop().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&json!("result"), &json!(ended.code)), "{ended}");
    last["value"].clone()
}

/// The command that was told, run by a shell as it stands.
fn typed(line: &str, environment: &Command, code: i32) -> Ended {
    let words = line.trim().strip_prefix("homelab-deploy ").expect("our own name");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {} {words} --output json", crate::common::binary().display()));
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    run(&mut shell, code)
}

#[test]
fn waves_follow_each_other_and_the_canary_goes_first() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(6, &[]));
    let done = all(&broker, &["--canary", "web3", "--batch", "2"], 0);
    let expected = [json!(["web3"]), json!(["web1", "web2"]), json!(["web4", "web5"]), json!(["web6"])];
    assert_eq!(waves(&done), expected, "{done}");
    assert_eq!(crowd.asked(), ["web3", "web1", "web2", "web4", "web5", "web6"]);
    let kinds: Vec<_> =
        done.json().iter().filter(|l| l["event"] == "wave").map(|l| l["value"].clone()).collect();
    assert_eq!(
        (&kinds[0]["kind"], &kinds[0]["wave"], &kinds[0]["of"]),
        (&json!("canary"), &json!(1), &json!(4))
    );
    let result = result(&done);
    assert_eq!(result["hosts"].as_array().unwrap().len(), 6);
    assert_eq!(result.get("untouched"), None);

    let told = run(&mut deploy(&broker, &["web1", "web2", "--batch", "50%"]), 0);
    for said in ["wave 1 of 2: web1\n", "wave 2 of 2: web2\n"] {
        assert!(told.out.contains(said), "no {said:?} in {told}");
    }
}

#[test]
fn a_canary_that_fails_stops_everything_and_the_rest_can_go_on() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(4, &[(1, How::Fails)]));
    let mut command =
        deploy(&broker, &["--all", "--tier", "test", "--canary", "1", "--batch", "2", "--max-failures", "9"]);
    let stopped = run(&mut command, 1);
    assert_eq!(crowd.asked(), ["web1"]);
    let (said, command_line) = stopped.out.trim_end().rsplit_once('\n').unwrap();
    assert!(
        said.ends_with(
            "not touched, for the canary did not complete: web2, web3, web4. This goes on with the rest:"
        ),
        "{stopped}"
    );
    assert_eq!(
        command_line.trim(),
        "homelab-deploy deploy web2 web3 web4 --no-pin --branch master --batch 2 --canary 1 --max-failures 9"
    );
    let rest = typed(command_line, &command, 0);
    assert_eq!(crowd.asked(), ["web2", "web3", "web4"]);
    assert_eq!(waves(&rest), [json!(["web2"]), json!(["web3", "web4"])]);
}

#[test]
fn five_hundred_hosts_stop_in_the_wave_that_spends_the_budget() {
    let broker = Broker::start();
    // In waves of fifty by name: one in the first, one in the third, one in the fourth.
    let failing = [(7, How::Fails), (120, How::Rejects), (200, How::Fails)];
    let crowd = Crowd::start(&broker, webs(500, &failing));
    let stopped = all(&broker, &["--batch", "50", "--max-failures", "2"], 1);
    assert_eq!(waves(&stopped).len(), 4, "{}", stopped.err);
    assert_eq!(crowd.asked().len(), 200);
    let result = result(&stopped);
    let hosts = result["hosts"].as_array().unwrap();
    let verdicts = |verdict: &str| {
        let hosts = hosts.iter().filter(|host| host["verdict"] == verdict);
        hosts.map(|host| host["host"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((hosts.len(), verdicts("completed").len()), (200, 197));
    assert_eq!(verdicts("failed"), ["web200", "web7"]);
    assert_eq!(verdicts("rejected"), ["web120"]);
    let untouched = result["untouched"].as_array().unwrap();
    assert_eq!((untouched.len(), &untouched[0], &untouched[299]), (300, &json!("web201"), &json!("web500")));
    assert_eq!(result["stopped"], json!({"why": "failures", "failed": 3, "allowed": 2}));

    // With one more to spend it goes through.
    let through = all(&broker, &["--batch", "50", "--max-failures", "3"], 1);
    assert_eq!(waves(&through).len(), 10);
    assert_eq!(self::result(&through).get("untouched"), None);
}

#[test]
fn a_host_that_vanishes_counts_as_failed_and_one_that_was_away_does_not() {
    let broker = Broker::start();
    let away = HostBuilder::new(&broker, "db1", "test", "db").start();
    run(operator(&broker, "everything").arg("hosts"), 0);
    drop(away);
    let crowd = Crowd::start(&broker, webs(3, &[(2, How::IsMute)]));
    let stopped = all(&broker, &["--batch", "1"], 3);
    assert_eq!(waves(&stopped), [json!(["web1"]), json!(["web2"])], "{stopped}");
    assert_eq!(result(&stopped)["untouched"], json!(["web3", "db1"]));
    crowd.asked();

    // The one that is away comes last, and does not spend the budget.
    let through = all(&broker, &["--batch", "1", "--max-failures", "1"], 3);
    assert_eq!(waves(&through), [json!(["web1"]), json!(["web2"]), json!(["web3"]), json!(["db1"])]);
    let skipped = all(&broker, &["--batch", "1", "--max-failures", "1", "--skip-offline"], 3);
    assert_eq!(waves(&skipped).len(), 3, "{skipped}");
}

#[test]
fn the_host_that_the_broker_runs_on_comes_last_and_alone() {
    let broker = Broker::start();
    // The broker of this test runs here.
    let here =
        rustix::system::uname().nodename().to_string_lossy().split('.').next().unwrap().to_ascii_lowercase();
    let mut members = webs(3, &[]);
    members.push(Member::new(&here, "a-first-role", How::Completes));
    let _crowd = Crowd::start(&broker, members);
    let done = all(&broker, &["--batch", "2", "--order", "role,host"], 0);
    assert_eq!(waves(&done), [json!(["web1", "web2"]), json!(["web3"]), json!([here])], "{done}");
}

#[test]
fn between_two_waves_there_is_a_pause_in_which_ctrl_c_leaves_the_rest_untouched() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(2, &[]));
    let mut command = deploy(&broker, &["web1", "web2", "--batch", "1", "--pause", "3600"]);
    let mut running = Running::start(&mut command);
    running.says("note: the next wave begins in 3600 s");
    running.interrupt();
    let ended = running.ended(130);
    ended.complains(&["No further wave begins; this goes on with the rest:"]);
    let line = ended.err.trim_end().lines().last().unwrap();
    assert_eq!(line.trim(), "homelab-deploy deploy web2 --no-pin --branch master --batch 1 --pause 3600");
    assert_eq!(crowd.asked(), ["web1"]);
    typed(line, &command, 0);
    assert_eq!(crowd.asked(), ["web2"]);
}

#[test]
fn a_pause_of_a_second_ends_by_itself() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(2, &[]));
    all(&broker, &["--batch", "1", "--pause", "1"], 0);
    assert_eq!(crowd.asked(), ["web1", "web2"]);
}

#[test]
fn waves_that_make_no_sense_send_nothing() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(2, &[]));
    for (args, said) in [
        (
            &["deploy.test.all", "--batch", "1"][..],
            "the subject deploy.test.all reaches its hosts all at once; name hosts",
        ),
        (
            &["web1", "--canary", "web2"],
            "the canary web2 is not among the hosts (did you mean web1?); nothing was sent",
        ),
        (&["web1", "--max-failures", "1"], "--max-failures is about waves: add --batch or --canary"),
        (&["web1", "--pause", "1"], "--pause is about waves: add --batch or --canary"),
        (&["web1", "--order", "host"], "--order is about waves: add --batch or --canary"),
    ] {
        run(&mut deploy(&broker, args), 2).complains(&[said]);
    }
    assert_eq!(crowd.asked(), Vec::<String>::new());
}

#[test]
fn a_wave_that_runs_out_of_time_counts_as_failed() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, webs(3, &[(1, How::Waits)]));
    let late = all(&broker, &["--batch", "1", "--timeout", "1"], 4);
    assert_eq!(crowd.asked(), ["web1"]);
    assert_eq!(result(&late)["untouched"], json!(["web2", "web3"]));
    crowd.let_go();
}
