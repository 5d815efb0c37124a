//! Limits of a build: its duration, its processes, and its use of memory and disk.

use crate::common::{eventually, is_running, nix_processes};
use crate::stage::{Stage, host, says, text};
use serde_json::Value;
use std::fs;

fn pid(stage: &Stage, file: &str) -> u32 {
    let file = stage.at(file);
    eventually("a number in a file", || fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok())
}

#[test]
fn a_build_that_takes_too_long_ends_with_all_it_started() {
    let stage = Stage::with("", "timeout = \"2s\"\nparallel = 2", |builder| builder);
    let _gate = stage.gate("gate");
    let here = stage.at("");
    let wait = format!("read _ < {}gate", here.display());
    stage.hosts(&format!(
        "a1 = sh \"a1\" \"({wait}) & echo $! > {0}child; echo $$ > {0}pid; {wait}\";
         a2 = sh \"a2\" \"echo quick > $out\";
         z1 = sh \"z1\" \"{wait}\"; z2 = sh \"z2\" \"{wait}\";",
        here.display()
    ));
    let replies = stage.build("t-1", "all");
    let (built, child) = (pid(&stage, "pid"), pid(&stage, "child"));
    let report = replies.final_report();
    says(&report, "failed", "timeout", &["the build took longer than 2 s; 1 of 4 built"]);
    assert_eq!(host(&report, "a1")["state"], "failed");
    assert_eq!(host(&report, "a1")["error"], "stopped: the build took longer than 2 s");
    assert_eq!(host(&report, "a2")["state"], "done");
    assert_eq!(host(&report, "z2")["state"], "skipped");
    assert!(!is_running(built) && !is_running(child));
}

#[test]
fn an_endless_evaluation_is_stopped_by_the_timeout() {
    let stage = Stage::with("", "timeout = 2", |builder| builder);
    let forever = "let f = n: if n == 0 then 0 else f (if n == 1 then 9999999 else n - 1); in builtins.seq (builtins.foldl' (a: n: builtins.seq (builtins.genList (x: x) 100000) a) 0 (builtins.genList (x: x) 100000000))";
    stage.repo.commit("flake.nix", &format!("{{ outputs = {{ self }}: {forever} {{ }}; }}"));
    let repo = stage.repo.path().to_str().unwrap();
    for (id, target) in [("t-1", "all"), ("t-2", "web1")] {
        let replies = stage.build(id, target);
        eventually("a running nix", || (!nix_processes(repo).is_empty()).then_some(()));
        let report = replies.final_report();
        says(&report, "failed", "timeout", &["the build took longer than 2 s"]);
        assert_eq!(nix_processes(repo), [0; 0]);
    }
}

#[test]
fn a_huge_log_is_truncated() {
    let stage = Stage::new("");
    let lines = "head -c 30000000 /dev/zero | tr '\\\\0' x | fold -w 3000";
    stage.hosts(&format!("web1 = sh \"web1\" \"{lines}; echo; echo the end; exit 1\";"));
    let report = stage.build("l-1", "web1").final_report();
    says(&report, "failed", "build_failed", &["failed with exit code 1"]);
    let tail = text(&host(&report, "web1")["log_tail"]);
    assert!(tail.contains("the end\n") && tail.len() < 10_000, "{} bytes", tail.len());
    let status = fs::read_to_string(format!("/proc/{}/status", stage.builder.process())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak < 100_000, "{peak} kB");
    let used = std::process::Command::new("du").arg("-sk").arg(stage.builder.file("state")).output().unwrap();
    let used = String::from_utf8(used.stdout).unwrap();
    let used: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
    assert!(used < 500, "{used} KiB");
}

#[test]
fn two_hundred_hosts_that_fail_are_all_in_one_message() {
    let stage = Stage::with("", "parallel = 8", |builder| builder);
    let lines =
        "for i in 1 2 3 4 5 6 7 8 9; do echo a long line of a log that is very very very long $i; done";
    let name = |n: usize| format!("host-with-a-rather-long-name-{n:03}");
    let each = |n: usize| format!("{0} = sh \"{0}\" \"{lines}; exit 1\";\n", name(n));
    stage.hosts(&(0..200).map(each).collect::<String>());
    let story = stage.build("m-1", "all").all_reports();
    let report = story.last().unwrap();
    // At most four reports a second, however irregular, and the last one when all hosts have ended.
    let at = |report: &Value| text(&report["at"]).parse::<jiff::Timestamp>().unwrap();
    let times: Vec<_> = story.iter().filter(|report| !report["hosts"].is_null()).map(at).collect();
    let quarters = times.last().unwrap().duration_since(times[0]).as_millis() / 250;
    assert!((4..=quarters + 2).contains(&(times.len() as i128)), "{times:?}");
    says(report, "failed", "build_failed", &["0 of 200 built; failed: ", " and 195 more"]);
    assert_eq!(report["hosts"].as_array().unwrap().len(), 200);
    assert!(report.to_string().len() < 64 * 1024, "{}", report.to_string().len());
}
