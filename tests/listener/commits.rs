//! The host decides which commits it deploys, whoever asks, also where a program builds and activates.

use crate::common::{Broker, HostBuilder, Repo};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = "echo \"$@\" >> $DIR/calls";

/// A repository with two commits on `master`, and one of a stranger that is on no branch.
fn repository() -> (Repo, [String; 3]) {
    let repo = Repo::new();
    let first = repo.commit("flake.nix", "first");
    let second = repo.commit("flake.nix", "second");
    repo.git(&["checkout", "--quiet", "--detach"]);
    let stranger = repo.commit("flake.nix", "stranger");
    repo.git(&["update-ref", "refs/pull/1/head", &stranger]);
    repo.git(&["checkout", "--quiet", "master"]);
    (repo, [first, second, stranger])
}

fn on(repo: &Repo, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Stage {
    Stage::with(SCRIPT, |host| adapt(host.flake(&repo.url())))
}

/// Sends a request that must fail with this message, which begins so, before the program is called.
fn refused(stage: &Stage, id: &str, fields: Value, message: &str) {
    let calls = stage.calls();
    let report = stage.deploy(id, fields).verdict();
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("failed"), &json!("invalid_revision")),
        "{report}"
    );
    assert!(text(&report["message"]).starts_with(message), "{report}");
    assert_eq!(stage.calls(), calls);
}

fn completes(stage: &Stage, id: &str, fields: Value) {
    let report = stage.deploy(id, fields).verdict();
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn a_commit_of_a_stranger_is_not_deployed() {
    let (repo, [_, _, stranger]) = repository();
    let stage = on(&repo, |host| host);
    let alone = format!("commit {stranger} is not on any branch or tag of {}; ", repo.url());
    refused(&stage, "s-1", json!({"revision": stranger}), &alone);
    let named = format!("commit {stranger} is not on the branch \"master\" of {}; ", repo.url());
    refused(&stage, "s-2", json!({"commit": stranger}), &named);
    refused(&stage, "s-3", json!({"commit": stranger, "action": "build", "allow_older": true}), &named);
    completes(&stage, "s-4", json!({}));
}

#[test]
fn an_older_commit_is_deployed_if_the_request_allows_it_also_after_a_restart() {
    let (repo, [first, second, _]) = repository();
    let mut stage = on(&repo, |host| host);
    completes(&stage, "o-1", json!({}));
    stage.restart();
    let older = format!(
        "commit {first} is older than {second}, which this host deployed last from the branch \"master\"; "
    );
    refused(&stage, "o-2", json!({"commit": first}), &older);
    refused(&stage, "o-3", json!({"revision": first, "action": "boot"}), &older);
    // What only builds changes nothing.
    completes(&stage, "o-4", json!({"commit": first, "action": "build"}));
    completes(&stage, "o-5", json!({"commit": first, "allow_older": true}));
    completes(&stage, "o-6", json!({"commit": first}));
    let deployed: Value =
        serde_json::from_slice(&fs::read(stage.host.file("state/deployed.json")).unwrap()).unwrap();
    assert_eq!(deployed["branches"]["master"]["commit"], first);
    assert_eq!(deployed["branches"]["master"]["job"], "o-6");
}

#[test]
fn a_deployment_that_failed_is_not_the_last_one() {
    let (repo, [first, _, _]) = repository();
    let stage = Stage::with("test -e $DIR/works", |host| host.flake(&repo.url()));
    assert_eq!(stage.deploy("f-1", json!({})).verdict()["status"], "failed");
    fs::write(stage.host.file("works"), "").unwrap();
    completes(&stage, "f-2", json!({"commit": first}));
}

#[test]
fn what_was_deployed_and_cannot_be_read_is_asked_about() {
    let (repo, _) = repository();
    let stage = on(&repo, |host| host);
    completes(&stage, "d-1", json!({}));
    let file = stage.host.file("state/deployed.json");
    fs::write(&file, "{").unwrap();
    let report = stage.deploy("d-2", json!({})).verdict();
    let expected =
        format!("the commits that were deployed here are not known: {} cannot be read: ", file.display());
    assert_eq!(report["error"], "unhealthy", "{report}");
    assert!(text(&report["message"]).starts_with(&expected), "{report}");
    assert!(
        text(&report["message"]).ends_with("`deploy --allow-older`, which replaces the file"),
        "{report}"
    );
    completes(&stage, "d-3", json!({"allow_older": true}));
    completes(&stage, "d-4", json!({}));
}

#[test]
fn a_rewritten_branch_is_deployed_if_the_request_allows_it() {
    let (repo, [_, second, _]) = repository();
    let stage = on(&repo, |host| host);
    completes(&stage, "r-1", json!({}));
    repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = repo.commit("flake.nix", "rewritten");
    let diverged =
        format!("commit {rewritten} does not contain {second}, which this host deployed last from ");
    refused(&stage, "r-2", json!({}), &diverged);
    completes(&stage, "r-3", json!({"allow_older": true}));
    completes(&stage, "r-4", json!({}));
}

#[test]
fn only_an_allowed_branch_is_deployed() {
    let (repo, [first, _, _]) = repository();
    repo.git(&["checkout", "--quiet", "-b", "feature"]);
    let feature = repo.commit("flake.nix", "feature");
    for by_environment in [false, true] {
        let stage = on(&repo, |host| {
            if by_environment {
                host.env("HOMELAB_DEPLOY_ALLOW_BRANCH", "master,testing")
            } else {
                host.args(&["--allow-branch", "master", "--allow-branch=testing"])
            }
        });
        completes(&stage, "a-1", json!({"revision": first}));
        completes(&stage, "a-2", json!({}));
        let branch = "the branch \"feature\" is not deployed by this host, which allows master, testing only (--allow-branch); ";
        refused(&stage, "a-3", json!({"revision": "feature"}), branch);
        let commit =
            format!("commit {feature} is not on a branch that this host allows: expected master, testing ");
        refused(&stage, "a-4", json!({"revision": feature}), &commit);
    }
}

#[test]
fn only_a_signed_commit_is_deployed() {
    let (repo, [_, second, _]) = repository();
    let stage = on(&repo, |host| {
        let key = host.folder().join("alice");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let signers = host.folder().join("signers");
        fs::write(&signers, format!("alice@example.org {public}")).unwrap();
        host.args(&["--commit-signers", signers.to_str().unwrap()])
    });
    let unsigned = format!("commit {second} is not signed; expected a signature of alice@example.org; ");
    refused(&stage, "g-1", json!({}), &unsigned);
    let key = format!("user.signingKey={}", stage.host.file("alice").display());
    repo.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &key,
        "commit",
        "--quiet",
        "--allow-empty",
        "--gpg-sign",
        "--message",
        "x",
    ]);
    let signed = repo.git(&["rev-parse", "HEAD"]);
    completes(&stage, "g-2", json!({}));
    let log = fs::read_to_string(stage.job_file("g-2", "log")).unwrap();
    assert!(
        log.contains(&format!("commit {signed} is signed by alice@example.org with ED25519 key SHA256:")),
        "{log}"
    );
}

#[test]
fn a_missing_ssh_keygen_is_named() {
    let (repo, _) = repository();
    let stage = on(&repo, |host| {
        let signers = host.folder().join("signers");
        fs::write(&signers, "alice@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\n").unwrap();
        let bin = host.folder().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(which("git"), bin.join("git")).unwrap();
        host.args(&["--commit-signers", signers.to_str().unwrap()]).env("PATH", bin.to_str().unwrap())
    });
    // A signature that nobody can look at.
    let commit = repo.git(&["cat-file", "commit", "HEAD"]);
    let (headers, message) = commit.split_once("\n\n").unwrap();
    let object = format!(
        "{headers}\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n\n{message}\n"
    );
    fs::write(stage.host.file("object"), object).unwrap();
    let signed =
        repo.git(&["hash-object", "-t", "commit", "-w", stage.host.file("object").to_str().unwrap()]);
    repo.git(&["reset", "--quiet", "--hard", &signed]);
    let report = stage.deploy("k-1", json!({})).verdict();
    let expected = format!(
        "could not verify the signature of commit {signed}: ssh-keygen is not installed here; put it on the service's PATH"
    );
    assert_eq!((text(&report["error"]), text(&report["message"])), ("unhealthy", expected.as_str()));
}

fn which(program: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.exists()).unwrap()
}

#[test]
fn flags_that_cannot_hold_are_refused_at_the_start() {
    let (repo, [first, _, _]) = repository();
    let broker = Broker::start();
    let said = |flake: &str, flags: &[&str]| {
        let mut host = HostBuilder::new(&broker, "web1", "test", "web").flake(flake).args(flags).launch();
        assert_eq!(host.ended().code(), Some(2), "{flags:?}");
        host.rest_of_log().iter().map(|line| text(line).to_owned()).collect::<Vec<_>>().join("\n")
    };
    for flags in [["--allow-branch", "master"], ["--commit-signers", "/dev/null"]] {
        let expected = format!(
            "error: {} cannot be used with path:/flake, which has no commits; expected a flake in a git repository, such as \
             git+https://HOST/PATH",
            flags[0]
        );
        assert_eq!(said("path:/flake", &flags), expected);
    }
    let url = repo.url();
    let expected = "error: bad --commit-signers: the signers file /dev/null cannot be used: it is empty; expected lines of ssh keys \
                    as in ALLOWED SIGNERS of ssh-keygen(1), or the output of `gpg --export`";
    assert_eq!(said(&url, &["--commit-signers", "/dev/null"]), expected);
    let said = said(&url, &["--allow-branch", &first]);
    assert!(said.contains("it is a commit; expected the name of a branch"), "{said}");
}

/// Each way to leave something of the cache empty, as a power cut does with what was not yet on the disk.
#[test]
fn a_damaged_cache_of_commits_is_made_anew() {
    let (repo, _) = repository();
    let mut stage = on(&repo, |host| host);
    completes(&stage, "p-0", json!({}));
    let cache = stage.host.file("state/commits");
    for (number, part) in ["objects", "objects/pack", "HEAD", "config"].into_iter().enumerate() {
        // The commit before the head is looked for in the cache.
        repo.commit("flake.nix", &format!("next {number}"));
        completes(&stage, &format!("p-{number}-a"), json!({}));
        repo.commit("flake.nix", &format!("last {number}"));
        empty_all(&cache.join(part));
        completes(&stage, &format!("p-{number}-b"), json!({}));
        // A commit that is far back is not taken for one that was never here.
        let back = repo.git(&["rev-parse", "HEAD~2"]);
        empty_all(&cache.join(part));
        completes(&stage, &format!("p-{number}-c"), json!({"commit": back, "allow_older": true}));
        completes(&stage, &format!("p-{number}-d"), json!({}));
        stage.host.has_logged("the cache of commits is damaged: set aside, fetching anew");
    }
    let kept = fs::read_dir(stage.host.file("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(kept.filter(|name| name.to_string_lossy().starts_with("commits.")).count(), 1);
}

/// A commit that cannot be read is not one that is on no branch.
#[test]
fn a_damaged_commit_in_the_cache_is_fetched_once_more() {
    let (repo, [first, ..]) = repository();
    let mut stage = on(&repo, |host| host);
    completes(&stage, "q-1", json!({}));
    completes(&stage, "q-2", json!({"commit": first, "allow_older": true}));
    let cache = stage.host.file("state/commits");
    unpack(&cache);
    let object = cache.join("objects").join(&first[..2]).join(&first[2..]);
    empty_all(&object);
    completes(&stage, "q-3", json!({"commit": first, "allow_older": true}));
    stage.host.logged("the cache of commits is damaged: set aside, fetching anew");
}

/// Has each object in a file of its own, as after a small fetch.
fn unpack(cache: &Path) {
    for entry in fs::read_dir(cache.join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "pack") {
            let away = cache.join("away");
            fs::rename(&path, &away).unwrap();
            let mut git = Command::new("git");
            git.arg("--git-dir").arg(cache).args(["unpack-objects", "-q"]);
            assert!(git.stdin(fs::File::open(&away).unwrap()).status().unwrap().success());
        }
    }
    fs::remove_dir_all(cache.join("objects/pack")).unwrap();
}

/// Empties every file there.
fn empty_all(path: &Path) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            empty_all(&entry.unwrap().path());
        }
    } else {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, "").unwrap();
    }
}
