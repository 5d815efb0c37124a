//! Sources that cannot be built: each failure is reported with its own error before anything is changed.

use crate::common::Repo;
use crate::stage::Stage;
use serde_json::{Value, json};

/// Deploys `revision` to a host; the job must fail without a change.
fn refused(stage: &Stage, revision: &str) -> Value {
    stage.version("v1");
    let report = stage.request("j-1", json!({"action": "switch", "revision": revision})).final_report();
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
fn url_without_a_repository_is_unreachable() {
    let stage = Stage::with(|host| host.flake("git+file:///dev/null/repository"));
    says(
        &refused(&stage, "master"),
        "source_unreachable",
        "could not look up \"master\" in git+file:///dev/null",
    );
}

#[test]
fn repository_of_another_user_is_reported_with_how_to_trust_it() {
    let repo = Repo::new();
    repo.commit("file", "one");
    // git treats every repository as another user's.
    let stage = Stage::with(|host| host.flake(&repo.url()).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"));
    let report = refused(&stage, "master");
    says(
        &report,
        "source_unreachable",
        &format!("detected dubious ownership in repository at '{}", repo.path().display()),
    );
    let advice = "; the repository belongs to another user: make the user that runs this its owner, or let that user's git trust it \
                  with `git config --global --add safe.directory PATH` (on NixOS `programs.git.config.safe.directory`)";
    says(&report, "source_unreachable", advice);
    assert!(!report["message"].as_str().unwrap().contains("To add an exception"), "{report}");
}

#[test]
fn missing_branch_is_named() {
    let repo = Repo::new();
    repo.commit("file", "one");
    let stage = Stage::with(|host| host.flake(&repo.url()));
    says(&refused(&stage, "mastre"), "invalid_revision", "\"mastre\" is not a branch or tag of");
}

#[test]
fn host_that_is_missing_from_the_flake_is_named() {
    let stage = Stage::new();
    stage.change_flake("nixosConfigurations.web1", "nixosConfigurations.web2");
    says(&refused(&stage, "master"), "evaluation_failed", "has no nixosConfigurations.\"web1\"");
}

#[test]
fn evaluation_error_is_reported_with_the_message_of_nix() {
    let stage = Stage::new();
    stage.change_flake("builtins.readFile ./version", "throw \"the option is gone\"");
    says(&refused(&stage, "master"), "evaluation_failed", "the option is gone");
}

#[test]
fn build_error_is_reported_with_the_end_of_its_log() {
    let stage = Stage::new();
    stage.change_flake("mkdir -p $out/bin", "echo undefined reference; exit 1");
    let report = refused(&stage, "master");
    says(&report, "build_failed", "its log ends: undefined reference");
    assert!(report["diagnostics"].as_str().unwrap().contains("undefined reference"), "{report}");
}

#[test]
fn hanging_build_ends_with_the_timeout_of_the_job() {
    let stage = Stage::with(|host| host.flag("--timeout", "3"));
    let _gate = stage.gate("builds");
    let builds = stage.at("builds");
    stage.change_flake("mkdir -p $out/bin", &format!("read _ < {}", builds.display()));
    let report = refused(&stage, "master");
    let expected = "took longer than 3 s: stopped in build; nothing was changed; finished builds and downloads are kept, so \
                    deploy again to continue, or raise `--timeout` of the listener";
    says(&report, "timeout", expected);
}

#[test]
fn system_that_cannot_be_switched_to_is_refused() {
    let stage = Stage::new();
    stage.change_flake("mkdir -p $out/bin", "mkdir -p $out");
    stage.change_flake("cp ${./switch-to-configuration} $out/bin/switch-to-configuration", "");
    stage.change_flake("chmod +x $out/bin/switch-to-configuration", "");
    says(&refused(&stage, "master"), "check_refused", "it has no bin/switch-to-configuration");
}
