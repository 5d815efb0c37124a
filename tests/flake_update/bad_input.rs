//! What cannot be meant is refused before anything is built or pushed, and says what to do.

use crate::stage::{GOOD, Stage};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Runs on the checkout, which must be refused so, with the remote left as it is.
fn refused(stage: &Stage, args: &[&str], code: i32, texts: &[&str]) {
    let before = stage.branches();
    let ended = stage.ended(stage.update().args(args), code);
    ended.complains(texts);
    assert_eq!(stage.branches(), before);
    assert!(!ended.out.contains("building"), "{ended}");
}

#[test]
fn a_dirty_work_tree_is_refused_and_left_alone() {
    let stage = Stage::new(GOOD);
    let said = "has changes that are not committed and that the update would not have; commit or stash them, or give \
                --repo the URL";
    fs::write(stage.path("checkout/flake.nix"), "changed").unwrap();
    refused(&stage, &[], 2, &[said]);
    assert_eq!(fs::read_to_string(stage.path("checkout/flake.nix")).unwrap(), "changed");
    stage.git("checkout", &["add", "--all"]);
    refused(&stage, &[], 2, &[said]);
    stage.git("checkout", &["stash", "--quiet"]);
    fs::write(stage.path("checkout/untracked"), "ours").unwrap();
    stage.ended(&mut stage.update(), 0);
    assert_eq!(stage.git("checkout", &["stash", "list"]).lines().count(), 1);
}

#[test]
fn a_detached_head_is_refused() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["checkout", "--quiet", "--detach"]);
    refused(&stage, &[], 2, &["the head of ", " is detached", "`git switch master` there first"]);
}

#[test]
fn a_base_branch_that_is_not_there_is_refused_with_near_names() {
    let stage = Stage::new(GOOD);
    let said = ["origin has no branch mastr (it has master); name the branch to update with --base"];
    refused(&stage, &["--base", "mastr"], 2, &said);
}

#[test]
fn commits_that_were_never_pushed_are_not_left_behind() {
    let stage = Stage::new(GOOD);
    stage.git("checkout", &["commit", "--quiet", "--allow-empty", "--message", "mine"]);
    refused(&stage, &[], 2, &["master in ", " has commits that origin does not have; push them first"]);
}

#[test]
fn a_checkout_that_is_behind_is_no_hindrance() {
    let stage = Stage::new(GOOD);
    let pushed = stage.somebody_pushes("new", "master");
    stage.ended(&mut stage.update(), 0);
    assert_eq!(stage.git("fleet.git", &["rev-parse", "master^"]), pushed);
}

#[test]
fn what_is_no_checkout_is_refused() {
    let stage = Stage::new(GOOD);
    for (repo, why) in [
        (stage.text("tmp"), "is no checkout of git: fatal: not a git repository"),
        (stage.text("fleet.git"), "is no checkout of git: it has no work tree"),
        (stage.text("missing"), "is no folder; give the folder of a checkout, or a URL"),
        ("ext::sh -c 'touch x'".to_owned(), "--repo is neither a folder nor a URL"),
        ("ext::sh".to_owned(), "is no folder; give the folder of a checkout, or a URL"),
    ] {
        stage.ended(&mut stage.update_of(&repo), 2).complains(&[why]);
    }
    refused(
        &stage,
        &["--remote", "upstream"],
        2,
        &["has no remote upstream; name one of these with --remote: origin"],
    );
    stage.git(".", &["clone", "--quiet", "--depth", "1", &stage.remote(), "shallow"]);
    let said = "is a shallow clone, which nix does not build; run `git fetch --unshallow` there";
    stage.ended(&mut stage.update_of(&stage.text("shallow")), 2).complains(&[said]);
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let stage = Stage::new(GOOD);
    let token = stage.text("token");
    let args = ["--token-file", &token, "--forge-url", "http://127.0.0.1:1/alice/fleet"];
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let said = format!("the token file {token} can be read by everybody; run `chmod 600 {token}` first");
    refused(&stage, &args, 2, &[&said]);
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    for bad in ["", " \n", "two words\n", "two\nlines\n"] {
        fs::write(&token, bad).unwrap();
        refused(&stage, &args, 2, &[&format!("the token file {token} holds no token")]);
    }
    fs::remove_file(&token).unwrap();
    refused(&stage, &args, 2, &[&format!("could not read the token file {token}: ")]);
}

#[test]
fn a_flake_without_hosts_proves_nothing() {
    let stage = Stage::new("\"a b\" = \"true\";");
    refused(&stage, &[], 2, &["has no host below nixosConfigurations but a b, which is no name"]);
    let stage = Stage::new("");
    refused(
        &stage,
        &[],
        2,
        &["has no host below nixosConfigurations, so nothing shows that the update works"],
    );
}

#[test]
fn a_remote_that_is_away_is_told() {
    let stage = Stage::new(GOOD);
    fs::rename(stage.path("fleet.git"), stage.path("away.git")).unwrap();
    let ended = stage.ended(&mut stage.update(), 5);
    ended.complains(&[
        "error: could not look up the branches of origin: ",
        "check the remote and the way to it, then run again",
    ]);
    let url = "http://deploy:pass-w0rd-of-git@127.0.0.1:1/alice/fleet.git";
    let ended = stage.ended(&mut stage.update_of(url), 5);
    ended.complains(&["error: could not look up the branches of http://127.0.0.1:1/alice/fleet.git: "]);
    assert!(!ended.to_string().contains("pass-w0rd"), "{ended}");
}

#[test]
fn an_input_that_is_away_is_told() {
    let stage = Stage::new(GOOD);
    fs::rename(stage.path("input"), stage.path("gone")).unwrap();
    let before = stage.branches();
    let ended = stage.ended(&mut stage.update(), 2);
    ended.complains(&[
        "error: could not update the inputs with `nix flake update --commit-lock-file`: ",
        "nothing was pushed; fix that, then run again",
    ]);
    assert_eq!(stage.branches(), before);
}
