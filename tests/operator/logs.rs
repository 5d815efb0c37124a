//! `logs`: the log of a job as the command prints it.

use crate::common::{
    FakeListener, Host, HostBuilder, NatsServer, RunningCommand, Terminal, base_presence, eventually,
    operator, run,
};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::mpsc::channel;

/// A server and `web1`, whose program waits at the gate `go` and can signal at the gate `reached`.
struct Scene {
    host: Host,
    nats: NatsServer,
}

const NOTIFY: &str = "echo > $DIR/reached; read _ < $DIR/go";

impl Scene {
    fn new(script: &str) -> Self {
        let nats = NatsServer::start();
        let host = HostBuilder::new(&nats, "web1", "test", "web").script(script);
        let host = host.gate("go").gate("reached").start();
        Self { host, nats }
    }

    /// Starts a deployment. Returns it with its id.
    fn begin(&self) -> (RunningCommand, String) {
        let mut command = operator(&self.nats, "tester");
        let mut deploy = RunningCommand::start(command.args(["deploy", "web1", "--output", "json"]));
        let started = deploy.wait_for_json(|line| line["value"]["status"] == "started");
        (deploy, started["value"]["id"].as_str().unwrap().to_owned())
    }

    /// Completes a deployment. Returns its id.
    fn completed(&self) -> String {
        let (deploy, id) = self.begin();
        deploy.wait_for_exit(0);
        id
    }

    fn logs(&self, args: &[&str]) -> Command {
        let mut command = operator(&self.nats, "viewer");
        command.args(["logs", "web1"]).args(args);
        command
    }

    fn stored(&self, id: &str) -> String {
        fs::read_to_string(self.host.file("state/jobs").join(id).join("log")).unwrap()
    }
}

#[test]
fn the_whole_log_of_the_last_job_is_printed_or_that_of_another() {
    let count =
        r#"i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i $(cat $DIR/n) aü€😀 ............"; done"#;
    let scene = Scene::new(&format!("echo x >> $DIR/n\n{count}; printf 'no end'"));
    let (first, second) = (scene.completed(), scene.completed());
    let stored = scene.stored(&second);
    assert!(stored.len() > 100_000, "the log needs several replies");
    assert!(run(&mut scene.logs(&[]), 0).stdout == stored.clone() + "\n");
    assert!(run(&mut scene.logs(&["--follow"]), 0).stdout == stored + "\n");
    let other = run(&mut scene.logs(&["--id", &first]), 0);
    assert!(other.stdout == scene.stored(&first) + "\n");
    assert_eq!(other.stderr, "");
}

#[test]
fn without_follow_it_ends_at_the_current_end() {
    let scene = Scene::new(&format!("echo one; printf tw; {NOTIFY}; echo o; {NOTIFY}; printf over"));
    let (deploy, id) = scene.begin();
    let mut early = RunningCommand::start(&mut scene.logs(&["--follow"]));
    scene.host.wait_for_line("reached");
    // The program's output reaches the log through a pipe, with a delay.
    eventually("all of it", || scene.stored(&id).ends_with("\none\n").then_some(()));
    let sofar = run(&mut scene.logs(&[]), 0).stdout;
    assert!(sofar.starts_with("path:") && sofar.ends_with("\none\n"), "{sofar}");
    assert_eq!(run(&mut scene.logs(&["--id", &id]), 0).stdout, sofar);
    let mut late = RunningCommand::start(&mut scene.logs(&["--follow"]));
    for follow in [&mut early, &mut late] {
        follow.wait_for_line("one");
    }
    scene.host.open("go");
    for follow in [&mut early, &mut late] {
        assert_eq!(follow.wait_for_line("two"), "two");
    }
    scene.host.wait_for_line("reached");
    scene.host.open("go");
    deploy.wait_for_exit(0);
    for follow in [early, late] {
        assert_eq!(follow.wait_for_exit(0).stdout, scene.stored(&id) + "\n");
    }
}

#[test]
fn the_diagnostics_follow_the_log_of_a_failed_job() {
    let scene = Scene::new(&format!("echo one; {NOTIFY}; echo two; exit 1"));
    let system = "/nix/store/abc-nixos-system-web1";
    fs::create_dir_all(scene.host.file("root/run")).unwrap();
    symlink(system, scene.host.file("root/run/current-system")).unwrap();
    let (deploy, id) = scene.begin();
    let follow = RunningCommand::start(&mut scene.logs(&["--follow"]));
    scene.host.wait_for_line("reached");
    assert!(!run(&mut scene.logs(&[]), 0).stdout.contains("-- "), "a running job has no diagnostics");
    scene.host.open("go");
    deploy.wait_for_exit(1);
    let expected = format!("{}-- now runs {system}\n", scene.stored(&id));
    assert_eq!(run(&mut scene.logs(&[]), 0).stdout, expected);
    assert_eq!(run(&mut scene.logs(&["--id", &id]), 0).stdout, expected);
    assert_eq!(follow.wait_for_exit(0).stdout, expected);
    let json = run(&mut scene.logs(&["--output", "json"]), 0).json();
    let value = json!({"host": "web1", "id": id, "diagnostics": format!("-- now runs {system}")});
    assert_eq!(json.last(), Some(&json!({"event": "result", "exit": 0, "value": value})));
}

#[test]
fn a_job_that_has_written_nothing_yet_has_an_empty_log() {
    let scene = Scene::new(NOTIFY);
    let (deploy, id) = scene.begin();
    scene.host.wait_for_line("reached");
    fs::remove_file(scene.host.file("state/jobs").join(&id).join("log")).unwrap();
    assert_eq!(run(&mut scene.logs(&[]), 0).stdout, "");
    scene.host.open("go");
    deploy.wait_for_exit(0);
}

#[test]
fn ctrl_c_ends_with_exit_130_and_the_job_continues() {
    let scene = Scene::new(&format!("echo one; {NOTIFY}"));
    let (deploy, _) = scene.begin();
    let mut follow = RunningCommand::start(&mut scene.logs(&["--follow"]));
    follow.wait_for_line("one");
    follow.interrupt();
    follow.wait_for_exit(130).assert_stderr(&["interrupted; the job continues on the host"]);
    scene.host.open("go");
    deploy.wait_for_exit(0);
}

#[test]
fn output_is_sanitized_for_people_and_complete_in_json() {
    let evil =
        r"evil\033[31m red\033]0;title\007\302\2332J\342\200\256\r\nroot\177# \033[2Jx\rb\tc\r\n\377\n";
    let scene = Scene::new(&format!("printf '{evil}'"));
    let id = scene.completed();
    let shown = run(&mut scene.logs(&[]), 0);
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.stdout.contains(bad), "{:?}", shown.stdout);
    assert!(shown.stdout.ends_with("\nevil red\nroot# x b c\n?\n"), "{:?}", shown.stdout);

    let screen = Terminal::start(&scene.logs(&["--follow"])).wait_for_exit();
    assert_eq!(screen.code, 0);
    assert!(!screen.raw.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{:?}", screen.raw);
    assert!(screen.text.contains("\nevil red\nroot# x b c\n"), "{}", screen.text);

    let output = run(&mut scene.logs(&["--output", "json"]), 0);
    assert!(!output.stdout.contains(bad), "{:?}", output.stdout);
    let lines = output.json();
    let (result, lines) = lines.split_last().unwrap();
    let expected = json!({"event": "result", "exit": 0, "value": {"host": "web1", "id": id}});
    assert_eq!(*result, expected);
    let stored = fs::read(scene.host.file("state/jobs").join(&id).join("log")).unwrap();
    let mut at = 0;
    for line in lines {
        assert_eq!((&line["event"], &line["value"]["offset"]), (&json!("line"), &json!(at)));
        let text = line["value"]["text"].as_str().unwrap();
        let same = text.bytes().zip(&stored[at..]).all(|(shown, stored)| shown == *stored || shown == b'?');
        assert!(same && stored[at + text.len()] == b'\n', "{text:?}");
        at += text.len() + 1;
    }
    assert_eq!(at, stored.len());
}

#[test]
fn a_line_without_end_is_broken_and_fills_no_memory() {
    let scene = Scene::new("head -c 200000 /dev/zero | tr '\\0' x");
    let id = scene.completed();
    let shown = run(&mut scene.logs(&[]), 0).stdout;
    let lengths: Vec<_> = shown.lines().skip(2).map(str::len).collect();
    assert_eq!(lengths, [65536, 65536, 65536, 200_000 - 3 * 65536]);
    assert!(shown.replace('\n', "") == scene.stored(&id).replace('\n', ""));
}

#[test]
fn a_missing_log_is_reported() {
    let scene = Scene::new("");
    run(&mut scene.logs(&[]), 1).assert_stderr(&["no job has run on web1 yet"]);
    scene.completed();
    let missing = run(&mut scene.logs(&["--id", "h-99"]), 1);
    missing.assert_stderr(&["web1 has no log of job h-99; `homelab-deploy history web1` lists its jobs"]);
    let unknown = run(operator(&scene.nats, "viewer").args(["logs", "wbe1"]), 2);
    unknown.assert_stderr(&["unknown host wbe1 (did you mean web1?)"]);
    let mut several = operator(&scene.nats, "viewer");
    let _other = HostBuilder::new(&scene.nats, "db1", "test", "db").start();
    // A query ends 250 ms after the last reply, which may be that of web1.
    eventually("both hosts", || {
        let hosts = run(operator(&scene.nats, "viewer").args(["hosts", "--output", "json"]), 0).json();
        (hosts.len() == 2).then_some(())
    });
    let several = run(several.env("HOMELAB_DEPLOY_ALIAS_ALL", "deploy.test.all").args(["logs", "all"]), 2);
    several.assert_stderr(&["all selects 2 hosts: name one host"]);
    let mut alias = operator(&scene.nats, "viewer");
    run(alias.env("HOMELAB_DEPLOY_ALIAS_SITE", "web1").args(["logs", "site"]), 0);
}

#[test]
fn an_offline_or_unsupported_host_ends_with_exit_3() {
    let mut scene = Scene::new("");
    scene.completed();
    run(&mut scene.logs(&[]), 0);
    scene.host.kill();
    let away = run(&mut scene.logs(&[]), 3);
    away.assert_stderr(&["web1 does not answer; its log is available once it does"]);

    let answer = base_presence("old1", "test", "any");
    let _old = FakeListener::start(&scene.nats, answer.clone(), move |_| vec![answer.clone()]);
    let old = run(operator(&scene.nats, "viewer").args(["logs", "old1"]), 3);
    old.assert_stderr(&["the listener on old1 is too old to keep logs: update it"]);
}

/// A fake host with a job that does not answer log queries.
fn ignores_queries(nats: &NatsServer, mut asked: impl FnMut() + Send + 'static) -> FakeListener {
    FakeListener::start(nats, base_presence("old1", "test", "any"), move |ask| {
        let report = json!({"hostname": "old1", "id": "h-1", "status": "running", "message": "build"});
        if ask["query"] == "log" {
            asked();
            return Vec::new();
        }
        vec![json!({"query": "job", "hostname": "old1", "report": report})]
    })
}

#[test]
fn a_host_that_does_not_send_its_log_is_waited_for_only_with_follow() {
    let nats = NatsServer::start();
    let _peer = ignores_queries(&nats, || ());
    let logs = |args: &[&str]| {
        let mut command = operator(&nats, "viewer");
        command.args(["logs", "old1"]).args(args);
        command
    };
    run(&mut logs(&[]), 3).assert_stderr(&["old1 does not answer"]);
    let mut waiting = RunningCommand::start(&mut logs(&["--follow", "--output", "json"]));
    let note = waiting.wait_for_json(|line| line["event"] == "note")["value"].clone();
    assert_eq!(note, "waiting: old1 does not answer; its log is available once it does");
    waiting.interrupt();
    waiting.wait_for_exit(130);
}

#[test]
fn a_lost_connection_ends_a_log_without_follow() {
    let mut nats = NatsServer::start();
    let (asked, asks) = channel();
    let _peer = ignores_queries(&nats, move || asked.send(()).unwrap());
    let waiting = RunningCommand::start(operator(&nats, "viewer").args(["logs", "old1"]));
    asks.recv_timeout(crate::common::DEADLINE).unwrap();
    nats.stop();
    waiting.wait_for_exit(5).assert_stderr(&["not connected to the server"]);
}

#[test]
fn a_closed_pipe_ends_it() {
    let scene = Scene::new(&format!("echo one; {NOTIFY}"));
    let (deploy, _) = scene.begin();
    scene.host.wait_for_line("reached");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut logs = scene.logs(&["--follow"]).stdout(writer).spawn().unwrap();
    let ended = eventually("its end", || logs.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    scene.host.open("go");
    deploy.wait_for_exit(0);
}

#[test]
fn only_the_log_of_that_host_is_printed() {
    let nats = NatsServer::start();
    let hosts = ["web1", "db1"].map(|name| {
        let script = format!("echo {name} one; echo > $DIR/reached; read _ < $DIR/go; echo {name} two");
        let host = HostBuilder::new(&nats, name, "test", "any").script(&script);
        host.gate("go").gate("reached").start()
    });
    // Both hosts run the same deployment with the same id.
    let deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "deploy.test.all"]));
    for host in &hosts {
        host.wait_for_line("reached");
    }
    let mut follow = RunningCommand::start(operator(&nats, "viewer").args(["logs", "web1", "--follow"]));
    follow.wait_for_line("web1 one");
    for host in hosts.iter().rev() {
        host.open("go");
    }
    let output = follow.wait_for_exit(0).stdout;
    assert!(output.ends_with("web1 one\nweb1 two\n") && !output.contains("db1"), "{output}");
    deploy.wait_for_exit(0);
}
