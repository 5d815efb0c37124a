//! What follows a build: the post-build command, and the roots that keep results.

use crate::stage::{Stage, host, says, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const TWO: &str = "web1 = sh \"web1\" \"echo one > $out\"; web2 = sh \"web2\" \"echo two > $out\";";

/// A program that notes how it was called and fails for `web2`.
fn push(stage: &Stage) {
    let program = stage.at("push");
    let notes = stage.at("pushed");
    fs::write(
        &program,
        format!(
            "#!/bin/sh\necho \"$*\" >> {}\ncase $* in *web2) echo to stdout; echo 'no room in the cache' >&2; exit 7;; esac\n",
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
fn the_post_build_command_gets_each_path_and_its_failure_is_that_of_the_host() {
    for command in ["[\"PUSH\", \"a b\"]", "\"PUSH 'a b'\""] {
        let mut stage = Stage::new(TWO);
        push(&stage);
        let config = fs::read_to_string(stage.builder.file("builder.toml")).unwrap();
        let command = command.replace("PUSH", stage.at("push").to_str().unwrap());
        fs::write(stage.builder.file("builder.toml"), format!("post_build_command = {command}\n{config}"))
            .unwrap();
        stage.builder.restart();
        let report = stage.build("a-1", "all").verdict();
        says(&report, "failed", "build_failed", &["1 of 2 built; failed: web2"]);
        let (web1, web2) = (host(&report, "web1"), host(&report, "web2"));
        assert_eq!((text(&web1["state"]), text(&web2["state"])), ("done", "failed"));
        let error = text(&web2["error"]);
        for words in [
            "it was built, but the post-build command failed: ",
            "ended with exit status: 7: no room in the cache",
        ] {
            assert!(error.contains(words), "{error}");
        }
        let paths = [format!("a b {}", text(&web1["system"])), format!("a b {}", text(&web2["system"]))];
        let mut expected = paths.to_vec();
        expected.sort();
        assert_eq!(pushed(&stage), expected);
    }
}

/// Units of NixOS have no shell on their PATH.
#[test]
fn a_post_build_command_for_the_shell_needs_none_on_the_path() {
    let programs = tempfile::tempdir().unwrap();
    for name in ["nix", "git"] {
        let path = std::env::var_os("PATH").unwrap();
        let mut programs_there = std::env::split_paths(&path).map(|folder| folder.join(name));
        let program = programs_there.find(|program| program.exists()).unwrap();
        std::os::unix::fs::symlink(program, programs.path().join(name)).unwrap();
    }
    let stage = Stage::with(TWO, "post_build_command = \"exit 0 #\"", |builder| {
        builder.env("PATH", programs.path().to_str().unwrap())
    });
    let report = stage.build("a-1", "web1").verdict();
    assert_eq!(text(&report["status"]), "completed", "{report}");
}

#[test]
fn a_post_build_command_that_is_not_there_is_told() {
    let stage = Stage::with(TWO, "post_build_command = [\"/missing/push\"]", |builder| builder);
    let report = stage.build("a-1", "web1").verdict();
    says(
        &report,
        "failed",
        "build_failed",
        &["the post-build command failed: /missing/push could not be run: No such file"],
    );
}

#[test]
fn a_post_build_command_ends_with_the_time_of_the_build() {
    let top = "timeout = 2\npost_build_command = \"exec sleep 1000 #\"";
    let stage = Stage::with(TWO, top, |builder| builder);
    let report = stage.build("a-1", "web1").verdict();
    says(&report, "failed", "timeout", &["took longer than 2 s"]);
}

#[test]
fn the_newest_result_of_each_host_is_kept_from_garbage_collection_and_no_other() {
    let stage = Stage::new(TWO);
    says(&stage.build("g-1", "all").verdict(), "completed", "", &[]);
    let old = fs::canonicalize(stage.root("web1")).unwrap();
    let kept = fs::canonicalize(stage.root("web2")).unwrap();
    stage.hosts(&TWO.replace("echo one", "echo newer"));
    says(&stage.build("g-2", "web1").verdict(), "completed", "", &[]);
    // What fails takes nothing away.
    stage.hosts(&TWO.replace("echo one", "exit 1"));
    says(&stage.build("g-3", "web1").verdict(), "failed", "build_failed", &[]);
    assert_eq!((stage.result("web1").as_str(), stage.result("web2").as_str()), ("newer", "two"));
    stage.collect_garbage();
    assert!(!old.exists() && kept.exists());
    assert_eq!((stage.result("web1").as_str(), stage.result("web2").as_str()), ("newer", "two"));
    // A host that the default branch does not have any more is given up, whatever another branch has.
    let both = stage.repo.git(&["rev-parse", "HEAD~1"]);
    stage.hosts("web1 = sh \"web1\" \"echo newer > $out\";");
    says(&stage.build("g-4", "all").verdict(), "completed", "", &["1 of 1 built"]);
    assert!(!stage.root("web2").is_symlink());
    let request = serde_json::json!({"target": "all", "branch": both});
    says(&stage.ask("g-5", "build.all", request).verdict(), "completed", "", &["2 of 2 built"]);
    assert!(stage.root("web2").is_symlink());
    stage.repo.git(&["branch", "other"]);
    stage.hosts(TWO);
    let request = serde_json::json!({"target": "all", "branch": "other"});
    says(&stage.ask("g-6", "build.all", request).verdict(), "completed", "", &["1 of 1 built"]);
    assert!(stage.root("web2").is_symlink());
}
