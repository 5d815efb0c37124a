//! The log of a job as the command prints it.

use crate::common::{
    Broker, Host, HostBuilder, Peer, Running, Terminal, base_answer, eventually, operator, run,
};
use serde_json::json;
use std::fs;
use std::process::Command;
use std::sync::mpsc::channel;

/// A broker, and `web1` with a program that waits at the gate `go` and can tell at the gate `told`.
struct Scene {
    host: Host,
    broker: Broker,
}

const TELL: &str = "echo > $DIR/told; read _ < $DIR/go";

impl Scene {
    fn new(script: &str) -> Self {
        let broker = Broker::start();
        let host = HostBuilder::new(&broker, "web1", "test", "web").script(script);
        let host = host.gate("go").gate("told").start();
        Self { host, broker }
    }

    /// A deployment that runs, and its id.
    fn begin(&self) -> (Running, String) {
        let mut command = operator(&self.broker, "tester");
        let mut deploy = Running::start(command.args(["deploy", "web1", "--output", "json"]));
        let started = deploy.tells(|line| line["value"]["status"] == "started");
        (deploy, started["value"]["id"].as_str().unwrap().to_owned())
    }

    /// A deployment that has completed, by its id.
    fn completed(&self) -> String {
        let (deploy, id) = self.begin();
        deploy.ended(0);
        id
    }

    fn logs(&self, args: &[&str]) -> Command {
        let mut command = operator(&self.broker, "viewer");
        command.args(["logs", "web1"]).args(args);
        command
    }

    fn kept(&self, id: &str) -> String {
        fs::read_to_string(self.host.file("state/jobs").join(id).join("log")).unwrap()
    }
}

#[test]
fn the_whole_log_of_the_last_job_is_printed_or_that_of_another() {
    let count =
        r#"i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i $(cat $DIR/n) aü€😀 ............"; done"#;
    let scene = Scene::new(&format!("echo x >> $DIR/n\n{count}; printf 'no end'"));
    let (first, second) = (scene.completed(), scene.completed());
    let kept = scene.kept(&second);
    assert!(kept.len() > 100_000, "it comes in pieces");
    assert!(run(&mut scene.logs(&[]), 0).out == kept.clone() + "\n");
    assert!(run(&mut scene.logs(&["--follow"]), 0).out == kept + "\n");
    let other = run(&mut scene.logs(&["--id", &first]), 0);
    assert!(other.out == scene.kept(&first) + "\n");
    assert_eq!(other.err, "");
}

#[test]
fn without_follow_it_ends_at_the_present_end_and_with_it_lines_come_as_they_are_written() {
    let scene = Scene::new(&format!("echo one; printf tw; {TELL}; echo o; {TELL}; printf over"));
    let (deploy, id) = scene.begin();
    let mut early = Running::start(&mut scene.logs(&["--follow"]));
    scene.host.told("told");
    // What the program has written reaches the log through a pipe.
    eventually("all of it", || scene.kept(&id).ends_with("\none\n").then_some(()));
    let sofar = run(&mut scene.logs(&[]), 0).out;
    assert!(sofar.starts_with("path:") && sofar.ends_with("\none\n"), "{sofar}");
    assert_eq!(run(&mut scene.logs(&["--id", &id]), 0).out, sofar);
    let mut late = Running::start(&mut scene.logs(&["--follow"]));
    for follow in [&mut early, &mut late] {
        follow.says("one");
    }
    scene.host.open("go");
    for follow in [&mut early, &mut late] {
        assert_eq!(follow.says("two"), "two");
    }
    scene.host.told("told");
    scene.host.open("go");
    deploy.ended(0);
    for follow in [early, late] {
        assert_eq!(follow.ended(0).out, scene.kept(&id) + "\n");
    }
}

#[test]
fn a_job_that_has_written_nothing_yet_has_an_empty_log() {
    let scene = Scene::new(TELL);
    let (deploy, id) = scene.begin();
    scene.host.told("told");
    fs::remove_file(scene.host.file("state/jobs").join(&id).join("log")).unwrap();
    assert_eq!(run(&mut scene.logs(&[]), 0).out, "");
    scene.host.open("go");
    deploy.ended(0);
}

#[test]
fn ctrl_c_ends_it_as_exit_130_and_the_job_goes_on() {
    let scene = Scene::new(&format!("echo one; {TELL}"));
    let (deploy, _) = scene.begin();
    let mut follow = Running::start(&mut scene.logs(&["--follow"]));
    follow.says("one");
    follow.interrupt();
    follow.ended(130).complains(&["interrupted; what runs on the host goes on"]);
    scene.host.open("go");
    deploy.ended(0);
}

#[test]
fn whatever_a_program_writes_is_made_harmless_for_terminals_and_pipes_and_told_whole_to_programs() {
    let evil =
        r"evil\033[31m red\033]0;title\007\302\2332J\342\200\256\r\nroot\177# \033[2Jx\rb\tc\r\n\377\n";
    let scene = Scene::new(&format!("printf '{evil}'"));
    let id = scene.completed();
    let shown = run(&mut scene.logs(&[]), 0);
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.out.contains(bad), "{:?}", shown.out);
    assert!(shown.out.ends_with("\nevil red\nroot# x b c\n?\n"), "{:?}", shown.out);

    let screen = Terminal::start(&scene.logs(&["--follow"])).ended();
    assert_eq!(screen.code, 0);
    assert!(!screen.raw.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{:?}", screen.raw);
    assert!(screen.text.contains("\nevil red\nroot# x b c\n"), "{}", screen.text);

    let told = run(&mut scene.logs(&["--output", "json"]), 0);
    assert!(!told.out.contains(bad), "{:?}", told.out);
    let lines = told.json();
    let (result, lines) = lines.split_last().unwrap();
    let expected = json!({"event": "result", "exit": 0, "value": {"host": "web1", "id": id}});
    assert_eq!(*result, expected);
    let kept = fs::read(scene.host.file("state/jobs").join(&id).join("log")).unwrap();
    let mut at = 0;
    for line in lines {
        assert_eq!((&line["event"], &line["value"]["offset"]), (&json!("line"), &json!(at)));
        let text = line["value"]["text"].as_str().unwrap();
        let same = text.bytes().zip(&kept[at..]).all(|(told, kept)| told == *kept || told == b'?');
        assert!(same && kept[at + text.len()] == b'\n', "{text:?}");
        at += text.len() + 1;
    }
    assert_eq!(at, kept.len());
}

#[test]
fn a_line_without_end_is_broken_and_fills_no_memory() {
    let scene = Scene::new("head -c 200000 /dev/zero | tr '\\0' x");
    let id = scene.completed();
    let shown = run(&mut scene.logs(&[]), 0).out;
    let lengths: Vec<_> = shown.lines().skip(2).map(str::len).collect();
    assert_eq!(lengths, [65536, 65536, 65536, 200_000 - 3 * 65536]);
    assert!(shown.replace('\n', "") == scene.kept(&id).replace('\n', ""));
}

#[test]
fn a_log_that_is_not_there_is_told() {
    let scene = Scene::new("");
    run(&mut scene.logs(&[]), 1).complains(&["no job has run on web1 yet"]);
    scene.completed();
    let missing = run(&mut scene.logs(&["--id", "h-99"]), 1);
    missing.complains(&["web1 keeps no log of job h-99; `homelab-deploy history web1` lists its jobs"]);
    let unknown = run(operator(&scene.broker, "viewer").args(["logs", "wbe1"]), 2);
    unknown.complains(&["no host wbe1 answers or is known (did you mean web1?)"]);
    let mut several = operator(&scene.broker, "viewer");
    let _other = HostBuilder::new(&scene.broker, "db1", "test", "db").start();
    let several = run(several.env("HOMELAB_DEPLOY_ALIAS_ALL", "deploy.test.all").args(["logs", "all"]), 2);
    several.complains(&["all means 2 hosts; name the one whose log it shall be"]);
    let mut alias = operator(&scene.broker, "viewer");
    run(alias.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1").args(["logs", "site"]), 0);
}

#[test]
fn a_host_that_is_away_or_too_old_is_told_as_exit_3() {
    let mut scene = Scene::new("");
    scene.completed();
    run(&mut scene.logs(&[]), 0);
    scene.host.kill();
    let away = run(&mut scene.logs(&[]), 3);
    away.complains(&["web1 does not answer; its log can be read once it does"]);

    let answer = base_answer("old1", "test", "any");
    let _old = Peer::start(&scene.broker, answer.clone(), move |_| vec![answer.clone()]);
    let old = run(operator(&scene.broker, "viewer").args(["logs", "old1"]), 3);
    old.complains(&["the listener on old1 is too old to keep logs; update it"]);
}

/// A peer with a job whose log it does not tell.
fn keeps_quiet(broker: &Broker, mut asked: impl FnMut() + Send + 'static) -> Peer {
    Peer::start(broker, base_answer("old1", "test", "any"), move |ask| {
        let report = json!({"hostname": "old1", "id": "h-1", "status": "running", "message": "build"});
        if ask["want"] == "log" {
            asked();
            return Vec::new();
        }
        vec![json!({"want": "job", "hostname": "old1", "report": report})]
    })
}

#[test]
fn a_host_that_does_not_tell_its_log_is_waited_for_only_with_follow() {
    let broker = Broker::start();
    let _peer = keeps_quiet(&broker, || ());
    let logs = |args: &[&str]| {
        let mut command = operator(&broker, "viewer");
        command.args(["logs", "old1"]).args(args);
        command
    };
    run(&mut logs(&[]), 3).complains(&["old1 does not answer"]);
    let mut waiting = Running::start(&mut logs(&["--follow", "--output", "json"]));
    let note = waiting.tells(|line| line["event"] == "note")["value"].clone();
    assert_eq!(note, "waiting: old1 does not answer; its log can be read once it does");
    waiting.interrupt();
    waiting.ended(130);
}

#[test]
fn a_lost_connection_ends_what_is_not_followed() {
    let mut broker = Broker::start();
    let (asked, asks) = channel();
    let _peer = keeps_quiet(&broker, move || asked.send(()).unwrap());
    let waiting = Running::start(operator(&broker, "viewer").args(["logs", "old1"]));
    asks.recv_timeout(crate::common::DEADLINE).unwrap();
    broker.stop();
    waiting.ended(5).complains(&["not connected to the server"]);
}

#[test]
fn a_reader_that_went_away_ends_it() {
    let scene = Scene::new(&format!("echo one; {TELL}"));
    let (deploy, _) = scene.begin();
    scene.host.told("told");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut logs = scene.logs(&["--follow"]).stdout(writer).spawn().unwrap();
    let ended = eventually("its end", || logs.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    scene.host.open("go");
    deploy.ended(0);
}

#[test]
fn only_the_log_of_that_host_is_printed() {
    let broker = Broker::start();
    let hosts = ["web1", "db1"].map(|name| {
        let script = format!("echo {name} one; echo > $DIR/told; read _ < $DIR/go; echo {name} two");
        let host = HostBuilder::new(&broker, name, "test", "any").script(&script);
        host.gate("go").gate("told").start()
    });
    // Both run one deployment, under one id.
    let deploy = Running::start(operator(&broker, "tester").args(["deploy", "deploy.test.all"]));
    for host in &hosts {
        host.told("told");
    }
    let mut follow = Running::start(operator(&broker, "viewer").args(["logs", "web1", "--follow"]));
    follow.says("web1 one");
    for host in hosts.iter().rev() {
        host.open("go");
    }
    let told = follow.ended(0).out;
    assert!(told.ends_with("web1 one\nweb1 two\n") && !told.contains("db1"), "{told}");
    deploy.ended(0);
}
