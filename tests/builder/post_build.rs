//! After a build: the post-build command, and the GC roots of results.

use crate::stage::{Stage, host, says, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const TWO: &str = "web1 = sh \"web1\" \"echo one > $out\"; web2 = sh \"web2\" \"echo two > $out\";";

/// A program that records its arguments and fails for `web2`.
fn push(stage: &Stage) {
    let program = stage.at("push");
    let notes = stage.at("pushed");
    fs::write(
        &program,
        format!(
            "#!/bin/sh\necho \"$*\" >> {}\ncase $* in *web2) echo to stdout; echo 'no space in the cache' >&2; exit 7;; esac\n",
            notes.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

fn pushed(stage: &Stage) -> Vec<String> {
    let mut pushed: Vec<_> =
        fs::read_to_string(stage.at("pushed")).unwrap().lines().map(str::to_owned).collect();
    pushed.sort();
    pushed
}

#[test]
fn the_post_build_command_receives_each_path_and_its_failure_fails_the_host() {
    for command in ["[\"PUSH\", \"a b\"]", "\"PUSH 'a b'\""] {
        let mut stage = Stage::new(TWO);
        push(&stage);
        let config = fs::read_to_string(stage.builder.file("builder.toml")).unwrap();
        let command = command.replace("PUSH", stage.at("push").to_str().unwrap());
        fs::write(stage.builder.file("builder.toml"), format!("post_build_command = {command}\n{config}"))
            .unwrap();
        stage.builder.restart();
        let report = stage.build("a-1", "all").final_report();
        says(&report, "failed", "build_failed", &["1 of 2 built; failed: web2"]);
        let (web1, web2) = (host(&report, "web1"), host(&report, "web2"));
        assert_eq!((text(&web1["state"]), text(&web2["state"])), ("done", "failed"));
        let error = text(&web2["error"]);
        for words in [
            "the host was built, but the post-build command failed: ",
            "ended with exit status: 7: no space in the cache",
        ] {
            assert!(error.contains(words), "{error}");
        }
        let paths = [format!("a b {}", text(&web1["system"])), format!("a b {}", text(&web2["system"]))];
        let mut expected = paths.to_vec();
        expected.sort();
        assert_eq!(pushed(&stage), expected);
    }
}

/// NixOS units have no shell on their PATH.
#[test]
fn a_post_build_command_for_the_shell_needs_none_on_the_path() {
    let programs = tempfile::tempdir().unwrap();
    for name in ["nix", "git"] {
        let path = std::env::var_os("PATH").unwrap();
        let mut programs_there = std::env::split_paths(&path).map(|dir| dir.join(name));
        let program = programs_there.find(|program| program.exists()).unwrap();
        std::os::unix::fs::symlink(program, programs.path().join(name)).unwrap();
    }
    let stage = Stage::with(TWO, "post_build_command = \"exit 0 #\"", |builder| {
        builder.env("PATH", programs.path().to_str().unwrap())
    });
    let report = stage.build("a-1", "web1").final_report();
    assert_eq!(text(&report["status"]), "completed", "{report}");
}

#[test]
fn a_missing_post_build_command_is_reported() {
    let stage = Stage::with(TWO, "post_build_command = [\"/missing/push\"]", |builder| builder);
    let report = stage.build("a-1", "web1").final_report();
    says(
        &report,
        "failed",
        "build_failed",
        &["the post-build command failed: /missing/push could not be run: No such file"],
    );
}

#[test]
fn a_post_build_command_ends_at_the_build_timeout() {
    let top = "timeout = 2\npost_build_command = \"exec sleep 1000 #\"";
    let stage = Stage::with(TWO, top, |builder| builder);
    let report = stage.build("a-1", "web1").final_report();
    says(&report, "failed", "timeout", &["took longer than 2 s"]);
}

#[test]
fn only_the_newest_result_of_each_host_is_kept_from_garbage_collection() {
    let stage = Stage::new(TWO);
    says(&stage.build("g-1", "all").final_report(), "completed", "", &[]);
    let old = fs::canonicalize(stage.root("web1")).unwrap();
    let newest = fs::canonicalize(stage.root("web2")).unwrap();
    stage.hosts(&TWO.replace("echo one", "echo newer"));
    says(&stage.build("g-2", "web1").final_report(), "completed", "", &[]);
    // A failed build keeps the previous root.
    stage.hosts(&TWO.replace("echo one", "exit 1"));
    says(&stage.build("g-3", "web1").final_report(), "failed", "build_failed", &[]);
    assert_eq!((stage.result("web1").as_str(), stage.result("web2").as_str()), ("newer", "two"));
    stage.collect_garbage();
    assert!(!old.exists() && newest.exists());
    assert_eq!((stage.result("web1").as_str(), stage.result("web2").as_str()), ("newer", "two"));
    // The root of a host that the default branch no longer has is removed, even if another branch has the host.
    let both = stage.repo.git(&["rev-parse", "HEAD~1"]);
    stage.hosts("web1 = sh \"web1\" \"echo newer > $out\";");
    says(&stage.build("g-4", "all").final_report(), "completed", "", &["1 of 1 built"]);
    assert!(!stage.root("web2").is_symlink());
    let request = serde_json::json!({"target": "all", "branch": both});
    says(&stage.ask("g-5", "build.all", request).final_report(), "completed", "", &["2 of 2 built"]);
    assert!(stage.root("web2").is_symlink());
    stage.repo.git(&["branch", "other"]);
    stage.hosts(TWO);
    let request = serde_json::json!({"target": "all", "branch": "other"});
    says(&stage.ask("g-6", "build.all", request).final_report(), "completed", "", &["1 of 1 built"]);
    assert!(stage.root("web2").is_symlink());
}
