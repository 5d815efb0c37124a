//! The host decides which commits it deploys, regardless of the requester, also with an external command.

use crate::common::{HostBuilder, NatsServer, Repo, SigningKey, TestDir};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = "echo \"$@\" >> $DIR/calls";

/// A repository with two commits on `master` and a third commit, as in a stranger's pull request, that is on no branch.
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

/// Sends a request that must fail before the external command is called. `message` is the start of the error message.
fn refused(stage: &Stage, id: &str, fields: Value, message: &str) {
    let calls = stage.calls();
    let report = stage.deploy(id, fields).final_report();
    assert_eq!(
        (&report["status"], &report["error"]),
        (&json!("failed"), &json!("invalid_revision")),
        "{report}"
    );
    assert!(text(&report["message"]).starts_with(message), "{report}");
    assert_eq!(stage.calls(), calls);
}

fn completes(stage: &Stage, id: &str, fields: Value) {
    let report = stage.deploy(id, fields).final_report();
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
    // A build-only job deploys nothing.
    completes(&stage, "o-4", json!({"commit": first, "action": "build"}));
    completes(&stage, "o-5", json!({"commit": first, "allow_older": true}));
    completes(&stage, "o-6", json!({"commit": first}));
    let deployed: Value =
        serde_json::from_slice(&fs::read(stage.host.file("state/deployed.json")).unwrap()).unwrap();
    assert_eq!(deployed["branches"]["master"]["commit"], first);
    assert_eq!(deployed["branches"]["master"]["job"], "o-6");
}

/// git warns about such a branch, which must not be taken for a damaged cache.
#[test]
fn a_branch_that_is_named_like_a_commit_changes_nothing() {
    let (repo, [first, second, stranger]) = repository();
    let absent = "0123456789012345678901234567890123456789";
    for name in [&first, &second, &stranger, absent] {
        repo.git(&["update-ref", &format!("refs/heads/{name}"), &first]);
    }
    let stage = on(&repo, |host| host);
    completes(&stage, "n-1", json!({}));
    completes(&stage, "n-2", json!({"revision": first, "allow_older": true}));
    let alone = format!("commit {stranger} is not on any branch or tag of {}; ", repo.url());
    refused(&stage, "n-3", json!({"revision": stranger}), &alone);
    let report = stage.deploy("n-4", json!({"revision": absent})).final_report();
    assert_eq!(report["error"], "invalid_revision", "{report}");
}

#[test]
fn a_deployment_that_failed_is_not_the_last_one() {
    let (repo, [first, _, _]) = repository();
    let stage = Stage::with("test -e $DIR/works", |host| host.flake(&repo.url()));
    assert_eq!(stage.deploy("f-1", json!({})).final_report()["status"], "failed");
    fs::write(stage.host.file("works"), "").unwrap();
    completes(&stage, "f-2", json!({"commit": first}));
}

#[test]
fn an_unreadable_file_of_deployed_commits_needs_allow_older() {
    let (repo, _) = repository();
    let stage = on(&repo, |host| host);
    completes(&stage, "d-1", json!({}));
    let file = stage.host.file("state/deployed.json");
    fs::write(&file, "{").unwrap();
    let report = stage.deploy("d-2", json!({})).final_report();
    let expected = format!(
        "could not read which commits were deployed on this host: {} cannot be read: ",
        file.display()
    );
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
    let keys = TestDir::new();
    let key = SigningKey::generate(keys.path());
    let stage = on(&repo, |host| host.args(&["--commit-signers", key.signers.to_str().unwrap()]));
    let unsigned = format!("commit {second} is not signed; expected a signature by alice@example.org; ");
    refused(&stage, "g-1", json!({}), &unsigned);
    let signed = repo.commit_signed(&key, "x");
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
        let signers = host.dir().join("signers");
        fs::write(&signers, "alice@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\n").unwrap();
        let bin = host.dir().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(which("git"), bin.join("git")).unwrap();
        host.args(&["--commit-signers", signers.to_str().unwrap()]).env("PATH", bin.to_str().unwrap())
    });
    // The commit has a signature that cannot be verified without ssh-keygen.
    let commit = repo.git(&["cat-file", "commit", "HEAD"]);
    let (headers, message) = commit.split_once("\n\n").unwrap();
    let object = format!(
        "{headers}\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NI\n -----END SSH SIGNATURE-----\n\n{message}\n"
    );
    fs::write(stage.host.file("object"), object).unwrap();
    let signed =
        repo.git(&["hash-object", "-t", "commit", "-w", stage.host.file("object").to_str().unwrap()]);
    repo.git(&["reset", "--quiet", "--hard", &signed]);
    let report = stage.deploy("k-1", json!({})).final_report();
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
fn unusable_flags_are_refused_at_the_start() {
    let (repo, [first, _, _]) = repository();
    let nats = NatsServer::start();
    let error = |flake: &str, flags: &[&str]| {
        let mut host = HostBuilder::new(&nats, "web1", "test", "web").flake(flake).args(flags).launch();
        assert_eq!(host.wait_for_exit().code(), Some(2), "{flags:?}");
        host.rest_of_log().iter().map(|line| text(line).to_owned()).collect::<Vec<_>>().join("\n")
    };
    for flags in [["--allow-branch", "master"], ["--commit-signers", "/dev/null"]] {
        let expected = format!(
            "error: {} cannot be used with path:/flake, which has no commits; expected a flake in a git repository, such as \
             git+https://HOST/PATH",
            flags[0]
        );
        assert_eq!(error("path:/flake", &flags), expected);
    }
    let url = repo.url();
    let expected = "error: invalid --commit-signers: the signers file /dev/null cannot be used: it is empty; expected ssh keys as described \
                    in ALLOWED SIGNERS of ssh-keygen(1), or the output of `gpg --export`";
    assert_eq!(error(&url, &["--commit-signers", "/dev/null"]), expected);
    let error = error(&url, &["--allow-branch", &first]);
    assert!(error.contains("expected the name of a branch but found a commit"), "{error}");
}

/// Empties different parts of the cache, as a power failure does with data that was not written to disk.
#[test]
fn a_damaged_cache_of_commits_is_rebuilt() {
    let (repo, _) = repository();
    let mut stage = on(&repo, |host| host);
    completes(&stage, "p-0", json!({}));
    let cache = stage.host.file("state/commits");
    for (number, part) in ["objects", "objects/pack", "HEAD", "config"].into_iter().enumerate() {
        // The commit before the head is looked up in the cache.
        repo.commit("flake.nix", &format!("next {number}"));
        completes(&stage, &format!("p-{number}-a"), json!({}));
        repo.commit("flake.nix", &format!("last {number}"));
        empty_all(&cache.join(part));
        completes(&stage, &format!("p-{number}-b"), json!({}));
        // A commit further back must not be reported as unknown.
        let back = repo.git(&["rev-parse", "HEAD~2"]);
        empty_all(&cache.join(part));
        completes(&stage, &format!("p-{number}-c"), json!({"commit": back, "allow_older": true}));
        completes(&stage, &format!("p-{number}-d"), json!({}));
        stage.host.last_log("commit cache is damaged: quarantined it, fetching again");
    }
    let names = fs::read_dir(stage.host.file("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().starts_with("commits.")).count(), 1);
}

/// An unreadable commit must not be reported as a commit that is on no branch.
#[test]
fn a_damaged_commit_in_the_cache_is_fetched_again() {
    let (repo, [first, ..]) = repository();
    let mut stage = on(&repo, |host| host);
    completes(&stage, "q-1", json!({}));
    completes(&stage, "q-2", json!({"commit": first, "allow_older": true}));
    let cache = stage.host.file("state/commits");
    unpack(&cache);
    let object = cache.join("objects").join(&first[..2]).join(&first[2..]);
    empty_all(&object);
    completes(&stage, "q-3", json!({"commit": first, "allow_older": true}));
    stage.host.wait_for_log("commit cache is damaged: quarantined it, fetching again");
}

/// Unpacks each object into a separate file, as after a small fetch.
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

/// Empties every file in a directory, or a single file.
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
