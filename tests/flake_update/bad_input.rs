//! Invalid input is refused before anything is built or pushed, and the error names the next step.

use crate::stage::{GOOD, Stage};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Runs on the checkout and expects this exit code and these errors, without changes to the remote.
fn refused(stage: &Stage, args: &[&str], code: i32, texts: &[&str]) {
    let before = stage.branches();
    let ended = stage.wait_for_exit(stage.update().args(args), code);
    ended.assert_stderr(texts);
    assert_eq!(stage.branches(), before);
    assert!(!ended.stdout.contains("building"), "{ended}");
}

#[test]
fn a_dirty_work_tree_is_refused_and_unchanged() {
    let stage = Stage::new(GOOD);
    let message = "has uncommitted changes, which the update would not include; commit or stash them, or set \
                --repo to the URL";
    fs::write(stage.path("checkout/flake.nix"), "changed").unwrap();
    refused(&stage, &[], 2, &[message]);
    assert_eq!(fs::read_to_string(stage.path("checkout/flake.nix")).unwrap(), "changed");
    stage.git("checkout", &["add", "--all"]);
    refused(&stage, &[], 2, &[message]);
    stage.git("checkout", &["stash", "--quiet"]);
    fs::write(stage.path("checkout/untracked"), "ours").unwrap();
    stage.wait_for_exit(&mut stage.update(), 0);
    assert_eq!(stage.git("checkout", &["stash", "list"]).lines().count(), 1);
}

#[test]
fn a_detached_head_is_refused() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["checkout", "--quiet", "--detach"]);
    refused(&stage, &[], 2, &["the head of ", " is detached", "run `git switch master` there first"]);
}

#[test]
fn an_unknown_base_branch_is_refused_with_similar_names() {
    let stage = Stage::new(GOOD);
    let message = ["origin has no branch mastr (it has master); set the branch to update with --base"];
    refused(&stage, &["--base", "mastr"], 2, &message);
}

#[test]
fn unpushed_commits_are_refused() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["commit", "--quiet", "--allow-empty", "--message", "mine"]);
    refused(&stage, &[], 2, &["master in ", " has commits that origin does not have; push them first"]);
}

#[test]
fn an_outdated_checkout_is_accepted() {
    let stage = Stage::new(GOOD);
    let pushed = stage.push_as_someone_else("new", "master");
    stage.wait_for_exit(&mut stage.update(), 0);
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), pushed);
}

#[test]
fn a_directory_without_a_checkout_is_refused() {
    let stage = Stage::new(GOOD);
    for (repo, error) in [
        (stage.text("tmp"), "is not a git checkout: fatal: not a git repository"),
        (stage.text("fleet.git"), "is not a git checkout: it has no work tree"),
        (stage.text("missing"), "is not a directory: give the directory of a checkout, or a URL"),
        ("ext::sh -c 'touch x'".to_owned(), "--repo is neither a directory nor a URL"),
        ("ext::sh".to_owned(), "is not a directory: give the directory of a checkout, or a URL"),
    ] {
        stage.wait_for_exit(&mut stage.update_of(&repo), 2).assert_stderr(&[error]);
    }
    refused(
        &stage,
        &["--remote", "upstream"],
        2,
        &["has no remote upstream; set --remote to one of: origin"],
    );
    stage.git(".", &["clone", "--quiet", "--depth", "1", &stage.remote(), "shallow"]);
    let message = "is a shallow clone, which nix cannot build; run `git fetch --unshallow` there";
    stage.wait_for_exit(&mut stage.update_of(&stage.text("shallow")), 2).assert_stderr(&[message]);
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let stage = Stage::new(GOOD);
    let token = stage.text("token");
    let args = ["--token-file", &token, "--forge-url", "http://127.0.0.1:1/alice/fleet"];
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let message = format!("the token file {token} is readable by all users; run `chmod 600 {token}` first");
    refused(&stage, &args, 2, &[&message]);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    for bad in ["", " \n", "two words\n", "two\nlines\n"] {
        fs::write(&token, bad).unwrap();
        refused(&stage, &args, 2, &[&format!("the token file {token} has no token")]);
    }
    fs::remove_file(&token).unwrap();
    refused(&stage, &args, 2, &[&format!("could not read the token file {token}: ")]);
}

#[test]
fn a_flake_without_hosts_is_refused() {
    let stage = Stage::new("\"a b\" = \"true\";");
    refused(&stage, &[], 2, &["has no host below nixosConfigurations but a b, which is not a valid name"]);
    let stage = Stage::new("");
    refused(&stage, &[], 2, &["has no host below nixosConfigurations, so nothing can verify the update"]);
}

#[test]
fn an_unavailable_remote_is_reported() {
    let stage = Stage::new(GOOD);
    fs::rename(stage.path("fleet.git"), stage.path("away.git")).unwrap();
    let ended = stage.wait_for_exit(&mut stage.update(), 5);
    ended.assert_stderr(&[
        "error: could not look up the branches of origin: ",
        "check the remote and the connection to it, then run again",
    ]);
    let url = "http://deploy:pass-w0rd-of-git@127.0.0.1:1/alice/fleet.git";
    let ended = stage.wait_for_exit(&mut stage.update_of(url), 5);
    ended.assert_stderr(&["error: could not look up the branches of http://127.0.0.1:1/alice/fleet.git: "]);
    assert!(!ended.to_string().contains("pass-w0rd"), "{ended}");
}

#[test]
fn an_unavailable_input_is_reported() {
    let stage = Stage::new(GOOD);
    fs::rename(stage.path("input"), stage.path("gone")).unwrap();
    let before = stage.branches();
    let ended = stage.wait_for_exit(&mut stage.update(), 2);
    ended.assert_stderr(&[
        "error: could not update the inputs with `nix flake update --commit-lock-file`: ",
        "nothing was pushed; fix that, then run again",
    ]);
    assert_eq!(stage.branches(), before);
}
