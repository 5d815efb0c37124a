//! Sources that give no system: each is told as what it is, before anything is changed.

use crate::common::Repo;
use crate::stage::Stage;
use serde_json::{Value, json};

/// Deploys `v1` to a host that is steered so; nothing may have been changed.
fn refused(stage: &Stage, revision: &str) -> Value {
    stage.version("v1");
    let report = stage.ask_for("j-1", json!({"action": "switch", "revision": revision})).verdict();
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"), "{report}");
    assert_eq!(stage.record("j-1")["report"]["error"], report["error"]);
    assert_eq!(report["status"], "failed", "{report}");
    report
}

fn says(report: &Value, error: &str, message: &str) {
    assert_eq!(report["error"], error, "{report}");
    assert!(report["message"].as_str().unwrap().contains(message), "{report}");
}

#[test]
fn a_url_that_is_no_repository_is_unreachable() {
    let stage = Stage::with(|host| host.flake("git+file:///dev/null/repository"));
    says(
        &refused(&stage, "master"),
        "source_unreachable",
        "could not look up \"master\" in git+file:///dev/null",
    );
}

#[test]
fn a_repository_of_another_user_is_told_with_how_to_trust_it() {
    let repo = Repo::new();
    repo.commit("file", "one");
    // Every repository counts as another user's.
    let stage = Stage::with(|host| host.flake(&repo.url()).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"));
    let report = refused(&stage, "master");
    says(
        &report,
        "source_unreachable",
        &format!("detected dubious ownership in repository at '{}", repo.path().display()),
    );
    let advice = "; the repository belongs to another user: give it to the user that runs this, or let that user's git trust it \
                  with `git config --global --add safe.directory PATH` (on NixOS `programs.git.config.safe.directory`)";
    says(&report, "source_unreachable", advice);
    assert!(!report["message"].as_str().unwrap().contains("To add an exception"), "{report}");
}

#[test]
fn a_branch_that_does_not_exist_is_named_with_those_near() {
    let repo = Repo::new();
    repo.commit("file", "one");
    let stage = Stage::with(|host| host.flake(&repo.url()));
    says(&refused(&stage, "mastre"), "invalid_revision", "\"mastre\" is not a branch or tag of");
}

#[test]
fn a_host_that_the_flake_has_not_is_named() {
    let stage = Stage::new();
    stage.change_flake("nixosConfigurations.web1", "nixosConfigurations.web2");
    says(&refused(&stage, "master"), "evaluation_failed", "has no nixosConfigurations.\"web1\"");
}

#[test]
fn what_does_not_evaluate_is_told_with_what_nix_says() {
    let stage = Stage::new();
    stage.change_flake("builtins.readFile ./version", "throw \"the option is gone\"");
    says(&refused(&stage, "master"), "evaluation_failed", "the option is gone");
}

#[test]
fn what_does_not_build_is_told_with_the_end_of_its_log() {
    let stage = Stage::new();
    stage.change_flake("mkdir -p $out/bin", "echo undefined reference; exit 1");
    let report = refused(&stage, "master");
    says(&report, "build_failed", "its log ends: undefined reference");
    assert!(report["diagnostics"].as_str().unwrap().contains("undefined reference"), "{report}");
}

#[test]
fn a_build_that_hangs_ends_with_the_time_of_the_job() {
    let stage = Stage::with(|host| host.flag("--timeout", "3"));
    let _gate = stage.gate("builds");
    let builds = stage.at("builds");
    stage.change_flake("mkdir -p $out/bin", &format!("read _ < {}", builds.display()));
    let report = refused(&stage, "master");
    let expected = "took longer than 3 s: stopped in build; nothing was changed; what was built and fetched is kept, so deploy \
                    again to continue from there, or raise `--timeout` of the listener";
    says(&report, "timeout", expected);
}

#[test]
fn a_system_that_cannot_be_switched_to_is_refused() {
    let stage = Stage::new();
    stage.change_flake("mkdir -p $out/bin", "mkdir -p $out");
    stage.change_flake("cp ${./switch-to-configuration} $out/bin/switch-to-configuration", "");
    stage.change_flake("chmod +x $out/bin/switch-to-configuration", "");
    says(&refused(&stage, "master"), "check_refused", "it has no bin/switch-to-configuration");
}
