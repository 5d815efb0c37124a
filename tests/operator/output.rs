//! Output of a deployment as text and as JSON.

use crate::common::{FakeListener, Gate, HostBuilder, NatsServer, Repo, RunningCommand};
use crate::common::{base_presence, base_report, operator, redacted, run};
use serde_json::{Value, json};

/// A rebuild program that reports a complete deployment and waits in its build.
const REPORTS: &str = r#"
report() { echo "@homelab-deploy $1"; }
report '{"phase":"build","done":1,"expected":3,"activity":"building nginx-1.28"}'
read go < $DIR/gate || exit 1
report '{"phase":"activate","system":"/nix/store/abc-nixos","generation":42}'
report '{"phase":"verify","message":"switched to generation 42"}'
"#;

/// A rebuild program that fails with much output.
const FAILS: &str = r#"
report() { echo "@homelab-deploy $1"; }
report '{"phase":"build","done":1,"expected":3}'
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo "line $n"; done
echo "error: builder for nginx failed"
exit 1
"#;

#[test]
fn people_read_plain_lines_and_a_table() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{ }");
    let host = HostBuilder::new(&nats, "web1", "test", "web").flake(&repo.url()).script(REPORTS).start();
    let gate = Gate::of(&host);
    let mut deploy = RunningCommand::start(operator(&nats, "tester").args(["deploy", "web1"]));
    deploy.wait_for_line("build 1/3");
    gate.pass();
    let done = deploy.wait_for_exit(0);
    assert_eq!(done.stderr, "");
    // Whether the short phases are printed depends on timing.
    let passing = |line: &&str| !line.contains("  prepare") && !line.contains("  activate");
    let out: Vec<_> = done.stdout.lines().filter(passing).collect();
    insta::assert_snapshot!(redacted(&out.join("\n"), &host).replace(&commit[..7], "<comm.>"));
}

#[test]
fn people_read_why_a_host_failed() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").script(FAILS).start();
    let failed = run(operator(&nats, "tester").args(["deploy", "web1"]), 1);
    let table = failed.stdout.find("HOST").unwrap();
    insta::assert_snapshot!(redacted(&failed.stdout[table..], &host));
}

#[test]
fn common_failures_are_printed_once() {
    let nats = NatsServer::start();
    let drv = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-foo-1.2.drv";
    let phase = "echo '@homelab-deploy {\"phase\":\"build\"}'";
    let bad = format!("{phase}\necho \"error: builder for '{drv}' failed with exit code 2\"\nexit 1");
    let host = |name: &str, script: &str| HostBuilder::new(&nats, name, "test", "web").script(script).start();
    let _hosts = [host("web1", &bad), host("web2", &bad), host("db1", "echo no\nexit 1")];
    let failed = run(operator(&nats, "tester").args(["deploy", "db1", "web1", "web2"]), 1);
    let (_, below) = failed.stdout.split_once("\n\n").unwrap().1.split_once("\n\n").unwrap();
    assert_eq!(below.lines().next(), Some("2 hosts: build of foo-1.2 failed (web1, web2)"), "{failed}");
    assert_eq!(failed.stdout.matches(" hosts: ").count(), 1, "{failed}");
}

#[test]
fn people_read_each_phase_once_and_programs_each_step() {
    let nats = NatsServer::start();
    let _peer = FakeListener::start(&nats, base_presence("db1", "test", "db"), |request| {
        let step = |seq: u64, phase: &str, done: u64| {
            json!({"hostname": "db1", "id": request["id"], "status": "running", "seq": seq, "message": phase,
                "phases": [{"name": phase, "state": "running"}], "progress": {"done": done, "expected": 3}})
        };
        let mut final_report = base_report("db1", "completed", None, "done");
        final_report["seq"] = json!(9);
        let repeated = step(3, "build", 2);
        vec![
            step(1, "build", 0),
            step(2, "build", 1),
            repeated.clone(),
            repeated,
            step(4, "verify", 3),
            final_report,
        ]
    });
    let people = run(operator(&nats, "tester").args(["deploy", "db1"]), 0);
    let lines: Vec<_> = people.stdout.lines().take(3).collect();
    assert_eq!(lines, ["db1  build 0/3", "db1  verify 3/3", "db1  completed: done"]);
    let programs = run(operator(&nats, "tester").args(["deploy", "db1", "--output", "json"]), 0).json();
    let seqs: Vec<_> = programs.iter().filter_map(|line| line["value"]["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 9], "each once");
}

#[test]
fn programs_read_one_object_a_line_and_the_result_last() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("exit 1").start();
    for (target, exit) in [("deploy.test.web1", 0), ("deploy.test.all", 1), ("deploy.test.absent", 3)] {
        let mut command = operator(&nats, "tester");
        let ended = run(command.args(["deploy", target, "--output", "json"]), exit);
        assert_eq!(ended.stderr, "");
        let lines = ended.json();
        let (result, events) = lines.split_last().unwrap();
        assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(exit)));
        for line in events {
            assert_eq!(line["event"], "report");
            assert_eq!(line["value"]["id"], result["value"]["id"]);
            assert_eq!(line.get("exit"), None);
        }
        let is_final = |status: &Value| ["completed", "failed"].iter().any(|word| status == word);
        let finals = events.iter().filter(|line| is_final(&line["value"]["status"])).count();
        assert_eq!(finals, result["value"]["hosts"].as_array().unwrap().len(), "{target}");
    }
}

#[test]
fn a_result_holds_the_whole_last_report_of_each_host() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(FAILS).start();
    let mut command = operator(&nats, "tester");
    let lines = run(command.args(["deploy", "web1", "--output", "json"]), 1).json();
    let [.., report, result] = &lines[..] else { panic!("{lines:?}") };
    let host = &result["value"]["hosts"][0];
    assert_eq!(host["report"], report["value"]);
    assert_eq!(host["result"], "failed");
    assert_eq!(host["report"]["error"], "build_failed");
    assert!(host["report"]["diagnostics"].as_str().unwrap().ends_with("builder for nginx failed"));
    assert!(host["last_seen"].is_string() && host["instance"] == Value::Null, "{host}");
}

#[test]
fn a_closed_pipe_does_not_change_the_exit_code() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let _bad = HostBuilder::new(&nats, "db1", "test", "db").script("exit 1").start();
    for (args, code) in [
        (&["deploy", "web1", "--timeout", "20"][..], 0),
        (&["deploy", "db1", "--timeout", "20"], 1),
        (&["deploy", "db1", "--timeout", "20", "--output", "json"], 1),
        (&["deploy", "deploy.test.absent"], 3),
        (&["hosts"], 0),
        (&["hosts", "--output", "json"], 0),
        (&["status"], 0),
        (&["history", "--output", "json"], 0),
        (&["logs", "web1"], 0),
        (&["--help"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = operator(&nats, "tester").args(args).stdout(writer).output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{args:?}");
    }
}
