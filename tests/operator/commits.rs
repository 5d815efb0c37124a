//! The commits between what hosts run and the head of their branch, from real repositories.

use crate::common::{
    CommandOutput, FakeListener, NatsServer, Repo, RunningCommand, base_presence, base_report, eventually,
    is_running, operator, run,
};
use homelab_deploy::client::{CommitClones, commits};
use homelab_deploy::fleet::CommitQuery;
use homelab_deploy::git::Credentials;
use homelab_deploy::protocol::Revision;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A host that runs this commit. It completes dry runs of `deployed`.
fn host(nats: &NatsServer, name: &'static str, flake: &str, runs: &str, deployed: &str) -> FakeListener {
    let mut answer = base_presence(name, "test", "web");
    answer["commit"] = json!(runs);
    answer["flake_url"] = json!(flake);
    answer["system"] = json!("/nix/store/old");
    let deployed = deployed.to_owned();
    let peer = FakeListener::start(nats, answer, move |request| {
        let mut report = base_report(name, "completed", None, "dry-activate done");
        report["id"] = request["id"].clone();
        report["commit"] = json!(deployed);
        report["changes"] = json!({});
        vec![report]
    });
    // From now on, the operator's inventory has the flake.
    run(operator(nats, "viewer").arg("hosts"), 0);
    run(operator(nats, "tester").arg("hosts"), 0);
    peer
}

fn outdated(nats: &NatsServer) -> CommandOutput {
    run(operator(nats, "viewer").args(["hosts", "--outdated"]), 0)
}

/// The value of `outdated` of the first host.
fn outdated_json(nats: &NatsServer) -> Value {
    let mut json = run(operator(nats, "viewer").args(["hosts", "--outdated", "--output", "json"]), 0).json();
    json.remove(0)["outdated"].take()
}

/// The last column of the row of a host.
fn distance(nats: &NatsServer, host: &str) -> String {
    let shown = outdated(nats);
    let at = shown.stdout.lines().next().unwrap().find("COMMITS").unwrap();
    let row = shown.stdout.lines().find(|line| line.starts_with(host)).unwrap();
    row.get(at..).unwrap_or_default().trim().to_owned()
}

fn cache(nats: &NatsServer) -> PathBuf {
    nats.dir().join("cache/viewer/homelab-deploy/commits")
}

/// The only clone in the cache.
fn clone(nats: &NatsServer) -> PathBuf {
    let mut clones: Vec<_> = fs::read_dir(cache(nats)).unwrap().map(|entry| entry.unwrap().path()).collect();
    clones.retain(|path| path.extension().is_none());
    assert_eq!(clones.len(), 1, "{clones:?}");
    clones.remove(0)
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("--git-dir").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn outdated_hosts_are_shown_with_the_number_of_commits() {
    for filters in ["true", "false"] {
        let nats = NatsServer::start();
        let repo = Repo::new();
        repo.git(&["config", "uploadpack.allowFilter", filters]);
        let old = repo.commit("flake.nix", "old");
        let _host = host(&nats, "web1", &repo.url(), &old, &old);
        let mut head = String::new();
        for n in 0..25 {
            head = repo.commit("flake.nix", &format!("change {n}"));
        }
        assert_eq!(distance(&nats, "web1"), "25 commits behind master");
        let expected = json!({"state": "outdated", "branch": "master", "head": head, "commits_behind": 25});
        assert_eq!(outdated_json(&nats), expected);
        repo.git(&["reset", "--quiet", "--hard", "HEAD~24"]);
        assert_eq!(distance(&nats, "web1"), "1 commit behind master");
        // Only the owner can read the clone, and it has no files if the server supports filters.
        let clone = clone(&nats);
        for path in [cache(&nats), clone.clone()] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{path:?}");
        }
        let objects = git(&clone, &["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]);
        assert_eq!(objects.contains("blob"), filters == "false", "{objects}");
        assert!(!fs::read_to_string(clone.join("config")).unwrap().contains("file://"));
    }
}

#[test]
fn a_known_head_is_not_fetched_again() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    let trace = nats.dir().join("trace");
    let fetches = || {
        run(operator(&nats, "viewer").args(["hosts", "--outdated"]).env("GIT_TRACE", &trace), 0);
        let trace = fs::read_to_string(&trace).unwrap();
        trace.lines().filter(|line| line.contains("built-in: git fetch")).count()
    };
    assert_eq!(fetches(), 1);
    assert_eq!(fetches(), 1);
    repo.commit("flake.nix", "newer");
    assert_eq!(fetches(), 2);
    assert_eq!(distance(&nats, "web1"), "2 commits behind master");
}

#[test]
fn commits_of_a_rewritten_branch_are_not_counted() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let first = repo.commit("flake.nix", "first");
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    assert_eq!(distance(&nats, "web1"), "1 commit behind master");
    // The branch goes back: the host is ahead.
    repo.git(&["reset", "--quiet", "--hard", &first]);
    assert_eq!(distance(&nats, "web1"), "1 commit ahead of master");
    assert_eq!(outdated_json(&nats)["commits_ahead"], 1);
    // Another history takes its place.
    let head = repo.commit("flake.nix", "rewritten");
    assert_eq!(distance(&nats, "web1"), "not on master");
    let expected = json!({"state": "outdated", "branch": "master", "head": head, "on_branch": false});
    assert_eq!(outdated_json(&nats), expected);
    // The same for a clone that never had the commit.
    fs::remove_dir_all(cache(&nats)).unwrap();
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    assert_eq!(distance(&nats, "web1"), "not on master");
}

#[test]
fn nothing_is_claimed_of_commits_that_a_shallow_repository_lacks() {
    let nats = NatsServer::start();
    let (repo, shallow) = (Repo::new(), Repo::new());
    let old = repo.commit("flake.nix", "old");
    let middle = repo.commit("flake.nix", "middle");
    repo.commit("flake.nix", "new");
    let from = format!("file://{}", repo.path().display());
    shallow.git(&["fetch", "--quiet", "--depth", "2", &from, "master:fetched"]);
    shallow.git(&["update-ref", "refs/heads/master", "fetched"]);
    let _hosts =
        [("web1", &old), ("web2", &middle)].map(|(name, runs)| host(&nats, name, &shallow.url(), runs, runs));
    assert_eq!(distance(&nats, "web1"), "");
    assert_eq!(distance(&nats, "web2"), "1 commit behind master");
    assert!(git(&clone(&nats), &["rev-parse", "--is-shallow-repository"]).starts_with("true"));
}

#[test]
fn a_damaged_clone_is_quarantined_and_fetched_again() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    assert_eq!(distance(&nats, "web1"), "1 commit behind master");
    let clone = clone(&nats);
    let packs = fs::read_dir(clone.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let objects = walk(&clone.join("objects"));
    for file in packs.chain(objects) {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        File::options().write(true).open(&file).unwrap().set_len(20).unwrap();
    }
    assert_eq!(distance(&nats, "web1"), "1 commit behind master");
    assert!(clone.with_extension("quarantined").exists());
}

/// The files below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn old_clones_and_those_beyond_the_maximum_are_removed() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    let ago = |hours: u64| SystemTime::now() - Duration::from_secs(hours * 3600);
    for n in 0..30_u64 {
        fs::create_dir_all(cache(&nats).join(format!("clone{n}"))).unwrap();
        let lock = File::create(cache(&nats).join(format!("clone{n}.lock"))).unwrap();
        lock.set_modified(ago(if n < 5 { 31 * 24 } else { n })).unwrap();
    }
    // Another process uses this one.
    let used = File::open(cache(&nats).join("clone0.lock")).unwrap();
    used.lock().unwrap();
    outdated(&nats);
    let mut left: Vec<_> =
        fs::read_dir(cache(&nats)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name.to_str().unwrap().starts_with("clone"));
    left.sort_unstable();
    let kept = (5..=23).chain([0]).flat_map(|n| [format!("clone{n}"), format!("clone{n}.lock")]);
    let mut kept: Vec<_> = kept.map(std::ffi::OsString::from).collect();
    kept.sort_unstable();
    assert_eq!(left, kept);
}

#[test]
fn a_server_that_hangs_during_the_fetch_can_be_interrupted() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    let hanging = Hanging::new(&nats);
    let listing =
        RunningCommand::start(operator(&nats, "viewer").args(["hosts", "--outdated"]).envs(hanging.env()));
    let server = hanging.server();
    listing.interrupt();
    listing.wait_for_exit(130).assert_stderr(&["error: interrupted"]);
    eventually("the end of git", || (!is_running(server)).then_some(()));
    // The clone that was left unfinished is made again.
    assert_eq!(distance(&nats, "web1"), "1 commit behind master");
}

/// A git configuration with which the server hangs as soon as it sends commits.
struct Hanging {
    config: PathBuf,
    pid: PathBuf,
}

impl Hanging {
    fn new(nats: &NatsServer) -> Self {
        let [config, hook, pid] = ["gitconfig", "hook", "pid"].map(|name| nats.dir().join(name));
        fs::write(
            &hook,
            format!("#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nexec sleep 600\n", pid.display()),
        )
        .unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&config, format!("[uploadpack]\npackObjectsHook = {}\n", hook.display())).unwrap();
        Self { config, pid }
    }

    fn env(&self) -> [(&'static str, PathBuf); 1] {
        [("GIT_CONFIG_GLOBAL", self.config.clone())]
    }

    /// Waits for the server, and returns the id of its process.
    fn server(&self) -> u32 {
        eventually("the fetch", || fs::read_to_string(&self.pid).ok()?.trim().parse().ok())
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let flake = format!("git+http://u:s3cret@{}/x.git", silent.local_addr().unwrap());
    let mut query = CommitQuery::new(Revision::new("main").unwrap());
    query.flakes.insert(flake.clone(), [("a".repeat(40), ["b".repeat(40)].into())].into());
    let clones = CommitClones::new(directory.path().join("commits"));
    let within = Duration::from_millis(300);
    let found = commits(query.clone(), Some(clones), within, &Credentials::default()).await;
    assert!(found.by_flake.is_empty());
    let reason = &found.failures[&flake];
    assert!(
        reason.starts_with("commits of ") && reason.ends_with(" are unknown: no answer within 0.3 s"),
        "{reason}"
    );
    assert!(!reason.contains("s3cret"), "{reason}");
    let homeless = commits(query, None, within, &Credentials::default()).await;
    assert!(
        homeless.failures[&flake].ends_with("the cache directory is unknown; set HOME or XDG_CACHE_HOME")
    );
}

#[test]
fn diff_names_the_commits() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    for n in 0..21 {
        repo.commit("flake.nix", &format!("change {n}"));
    }
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[31mnginx\u{202e}: \u{200b}brotli";
    let head = repo.commit("flake.nix", &format!("{hostile} {}", "x".repeat(5000)));
    let _hosts = ["web1", "web2"].map(|name| host(&nats, name, &repo.url(), &old, &head));
    let shown = run(operator(&nats, "tester").args(["diff", "web1", "web2"]), 0);
    let (_, below) = shown.stdout.split_once("\ncommits from ").unwrap();
    let lines: Vec<_> = below.lines().collect();
    assert_eq!(lines[0], format!("{} to {} on web1, web2", &old[..7], &head[..7]));
    let first = format!("  {} nginx: brotli xxx", &head[..7]);
    assert!(lines[1].starts_with(&first) && lines[1].contains("… by test, "), "{}", lines[1]);
    assert!(lines[1].len() < 300, "{}", lines[1].len());
    assert!(
        lines[2].contains(" change 20 by test, ") && lines[20].contains(" change 2 by test, "),
        "{below}"
    );
    assert_eq!(lines[21..], ["  and 2 older commits"]);
    let unsafe_character = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}' || c == '\u{200b}');
    assert!(!shown.stdout.contains(unsafe_character), "{shown}");

    let json = run(operator(&nats, "tester").args(["diff", "web1", "web2", "--output", "json"]), 0).json();
    let event = json.iter().find(|line| line["event"] == "commits").unwrap();
    let [commits] = event["value"].as_array().unwrap().as_slice() else { panic!("{event}") };
    assert_eq!((&commits["from"], &commits["to"]), (&json!(old), &json!(head)));
    assert_eq!((&commits["hosts"], &commits["count"]), (&json!(["web1", "web2"]), &json!(22)));
    assert_eq!(commits["commits"].as_array().unwrap().len(), 20);
    assert_eq!(commits["commits"][1]["subject"], "change 20");
    assert_eq!(commits["commits"][1]["author"], "test");
}

#[test]
fn an_unusable_cache_is_a_note() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let _host = host(&nats, "web1", &repo.url(), &old, &old);
    repo.commit("flake.nix", "new");
    fs::create_dir_all(cache(&nats).parent().unwrap()).unwrap();
    fs::write(cache(&nats), "in the way").unwrap();
    let shown = outdated(&nats);
    let note = format!("note: commits of {} are unknown: ", repo.url());
    assert!(shown.stdout.contains(&note), "{shown}");
    assert_eq!(distance(&nats, "web1"), "");
}
