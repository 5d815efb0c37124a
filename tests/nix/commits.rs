//! The commit policy with real remotes: only commits on a branch, and no older ones unless allowed.

use crate::common::TestDir;
use crate::repository::Repository;
use crate::server::Server;
use homelab_deploy::git::{CommitPolicy, PreviousCommits, ResolveError};
use homelab_deploy::nix::{FlakeUrl, LockedFlake, resolve_allowed};
use homelab_deploy::protocol::{ErrorCode, Revision};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A host's commit cache, and a remote.
struct Stage {
    repository: Repository,
    server: Server,
    state: TestDir,
    allowed: Vec<Revision>,
}

impl Stage {
    fn new() -> Self {
        let repository = Repository::new();
        let server = Server::open(repository.remotes());
        Self { repository, server, state: TestDir::new(), allowed: Vec::new() }
    }

    fn cache(&self) -> PathBuf {
        self.state.path().join("commits")
    }

    async fn pin(
        &self,
        revision: &str,
        commit: Option<&str>,
        deployed: &PreviousCommits,
    ) -> Result<LockedFlake, ResolveError> {
        let policy =
            CommitPolicy { cache: self.cache(), allowed_branches: self.allowed.clone(), signers: None };
        let flake: FlakeUrl = self.server.flake().parse().unwrap();
        resolve_allowed(&flake, &Revision::new(revision).unwrap(), commit, &policy, deployed).await
    }

    /// The branch that the commit is deployed from.
    async fn branch(
        &self,
        revision: &str,
        commit: Option<&str>,
        deployed: &PreviousCommits,
    ) -> Option<String> {
        self.pin(revision, commit, deployed).await.unwrap().branch
    }

    async fn refused(&self, revision: &str, commit: Option<&str>, deployed: &PreviousCommits) -> String {
        let error = self.pin(revision, commit, deployed).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRevision, "{error}");
        error.to_string().replace(&self.server.flake(), "FLAKE")
    }

    /// A commit that the remote has only below `refs/pull`.
    fn stranger(&self) -> String {
        self.repository.git(&["switch", "--quiet", "--detach", "main"]);
        let commit = self.repository.commit("stranger");
        self.repository.git(&["push", "--quiet", "origin", "HEAD:refs/pull/1/head"]);
        self.repository.git(&["switch", "--quiet", "main"]);
        commit
    }

    /// Runs git in the cache. Returns whether it succeeded, and its stdout.
    fn in_cache(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("git").arg("--git-dir").arg(self.cache()).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }
}

/// The state after a deployment of this commit of this branch.
fn deployed_from(branch: &str, commit: &str) -> PreviousCommits {
    PreviousCommits { commits: [(branch.to_owned(), commit.to_owned())].into(), allow_older: false }
}

#[tokio::test]
async fn a_commit_on_no_branch_is_refused() {
    for filters in ["true", "false"] {
        let stage = Stage::new();
        let bare = stage.repository.remotes().join("infra.git");
        let bare = bare.to_str().unwrap();
        stage.repository.git(&["-C", bare, "config", "uploadpack.allowFilter", filters]);
        stage.repository.git(&["-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true"]);
        let old = stage.repository.git(&["rev-parse", "main"]);
        stage.repository.commit("second");
        stage.repository.push();
        let stranger = stage.stranger();
        let none = PreviousCommits::default();
        assert_eq!(
            stage.refused(&stranger, None, &none).await,
            format!(
                "commit {stranger} is not on any branch or tag of FLAKE; merge and push it to a branch there, then deploy again \
                 (commits of forks and of open pull requests are not deployed)"
            )
        );
        let expected = format!(
            "commit {stranger} is not on the branch \"main\" of FLAKE; merge and push it there, or name a branch that contains it, then \
             deploy again"
        );
        assert_eq!(stage.refused("main", Some(&stranger), &none).await, expected);
        // A commit that does not exist.
        assert_eq!(
            stage.refused("main", Some(&"ab".repeat(20)), &none).await,
            expected.replace(&stranger, &"ab".repeat(20))
        );
        for (revision, commit) in [(old.as_str(), None), ("main", Some(old.as_str()))] {
            assert_eq!(stage.branch(revision, commit, &none).await.as_deref(), Some("main"));
        }
        assert_eq!(fs::metadata(stage.cache()).unwrap().permissions().mode() & 0o777, 0o700);
        let has_files = stage.in_cache(&["cat-file", "-e", "refs/heads/main:version"]).0;
        assert_eq!(has_files, filters == "false", "only commits are fetched if the server supports filters");
        let config = fs::read_to_string(stage.cache().join("config")).unwrap();
        assert!(!config.contains("http"), "{config}");
    }
}

#[tokio::test]
async fn a_commit_must_be_on_the_named_branch_or_tag() {
    let stage = Stage::new();
    let first = stage.repository.git(&["rev-parse", "main"]);
    stage.repository.git(&["switch", "--quiet", "--create", "feature"]);
    let feature = stage.repository.commit("feature");
    stage.repository.git(&["tag", "--annotate", "--message", "x", "v1"]);
    let later = stage.repository.commit("later");
    stage.repository.git(&["switch", "--quiet", "--detach", "main"]);
    let released = stage.repository.commit("released");
    stage.repository.git(&["tag", "v2"]);
    stage.repository.git(&["switch", "--quiet", "main"]);
    stage.repository.push();
    let none = PreviousCommits::default();
    assert_eq!(stage.branch("feature", Some(&feature), &none).await.as_deref(), Some("feature"));
    assert_eq!(stage.branch("v1", Some(&first), &none).await.as_deref(), Some("main"));
    // A tag on no branch, and a commit that only this tag has.
    assert_eq!(stage.branch("v2", None, &none).await, None);
    assert_eq!(stage.branch(&released, None, &none).await, None);
    for (name, kind, commit) in
        [("main", "branch", &feature), ("v1", "tag", &later), ("feature", "branch", &released)]
    {
        let message = stage.refused(name, Some(commit), &none).await;
        assert!(
            message.starts_with(&format!("commit {commit} is not on the {kind} \"{name}\" of FLAKE; ")),
            "{message}"
        );
    }
    let message = stage.refused("gone", Some(&first), &none).await;
    assert!(message.starts_with("\"gone\" is not a branch or tag of FLAKE"), "{message}");
    let message = stage.refused(&first, Some(&feature), &none).await;
    let expected = format!(
        "the request names two commits, {first} as its revision and {feature} as its commit; name only one"
    );
    assert_eq!(message, expected);
    // nix fetches a ref that contains the commit.
    let locked = stage.pin(&feature, None, &none).await.unwrap();
    assert!(locked.url.ends_with(&format!("?ref=refs/tags/v1&rev={feature}")), "{}", locked.url);
}

#[tokio::test]
async fn an_older_commit_must_be_allowed() {
    let stage = Stage::new();
    let first = stage.repository.git(&["rev-parse", "main"]);
    stage.repository.git(&["tag", "v1"]);
    let second = stage.repository.commit("second");
    stage.repository.git(&["branch", "feature"]);
    let third = stage.repository.commit("third");
    stage.repository.push();
    let last = deployed_from("main", &second);
    for (revision, commit) in [("main", None), ("main", Some(&second)), (&third, None), (&second, None)] {
        let branch = stage.branch(revision, commit.map(String::as_str), &last).await;
        assert!(branch.is_some(), "{revision}");
    }
    let older = format!(
        "commit {first} is older than {second}, which this host deployed last from the branch \"main\"; to go back, use \
         `rollback`, or `deploy --allow-older` for exactly this commit"
    );
    for (revision, commit) in [("main", Some(first.as_str())), (&first, None), ("v1", None)] {
        assert_eq!(stage.refused(revision, commit, &last).await, older, "{revision}");
        let allowed = PreviousCommits { allow_older: true, ..last.clone() };
        assert_eq!(stage.branch(revision, commit, &allowed).await.as_deref(), Some("main"), "{revision}");
    }
    // Another branch has no last commit yet.
    assert_eq!(stage.branch("feature", Some(&first), &last).await.as_deref(), Some("feature"));
}

#[tokio::test]
async fn a_rewritten_branch_must_be_allowed() {
    let stage = Stage::new();
    let removed = stage.repository.commit("lost");
    stage.repository.push();
    let last = deployed_from("main", &removed);
    // Puts the commit into the cache before the branch is rewritten.
    let first = stage.repository.git(&["rev-parse", "main~1"]);
    stage.refused("main", Some(&first), &last).await;
    stage.repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let new = stage.repository.commit("rewritten");
    stage.repository.push();
    let message = stage.refused("main", None, &last).await;
    let expected = format!(
        "commit {new} does not contain {removed}, which this host deployed last from the branch \"main\": the branch was rewritten, \
         or the commit is from before a merge; check the branch, then use `deploy --allow-older`"
    );
    assert_eq!(message, expected);
    fs::remove_dir_all(stage.cache()).unwrap();
    assert_eq!(stage.refused("main", None, &last).await, expected);
    assert_eq!(
        stage.refused("main", Some(&removed), &PreviousCommits::default()).await,
        format!(
            "commit {removed} is not on the branch \"main\" of FLAKE; merge and push it there, or name a branch that contains it, then \
             deploy again"
        )
    );
}

#[tokio::test]
async fn only_allowed_branches_are_deployed() {
    let mut stage = Stage::new();
    stage.allowed = ["main", "testing"].map(|name| Revision::new(name).unwrap()).into();
    let first = stage.repository.git(&["rev-parse", "main"]);
    stage.repository.git(&["tag", "v1"]);
    stage.repository.commit("second");
    stage.repository.git(&["switch", "--quiet", "--create", "feature"]);
    let feature = stage.repository.commit("feature");
    stage.repository.git(&["tag", "v2"]);
    stage.repository.push();
    let none = PreviousCommits::default();
    for (revision, commit) in [("main", None), ("main", Some(first.as_str())), (&first, None), ("v1", None)] {
        assert_eq!(stage.branch(revision, commit, &none).await.as_deref(), Some("main"), "{revision}");
    }
    assert_eq!(
        stage.refused("feature", None, &none).await,
        "the branch \"feature\" is not deployed by this host, which allows main, testing only (--allow-branch); merge it into an \
         allowed branch, or deploy an allowed one"
    );
    for revision in [feature.as_str(), "v2"] {
        assert_eq!(
            stage.refused(revision, None, &none).await,
            format!(
                "commit {feature} is not on a branch that this host allows: expected main, testing (--allow-branch); merge it into \
                 an allowed branch, then deploy again"
            )
        );
    }
}

#[tokio::test]
async fn only_commits_to_compare_are_fetched() {
    let stage = Stage::new();
    let first = stage.repository.git(&["rev-parse", "main"]);
    let none = PreviousCommits::default();
    for (revision, commit) in [("main", None), ("main", Some(first.as_str())), (&first, None)] {
        for deployed in
            [&none, &deployed_from("main", &first), &PreviousCommits { allow_older: true, ..none.clone() }]
        {
            stage.pin(revision, commit, deployed).await.unwrap();
        }
    }
    assert!(!stage.cache().exists());
}

#[tokio::test]
async fn a_damaged_or_full_cache_is_recreated() {
    let stage = Stage::new();
    let first = stage.repository.git(&["rev-parse", "main"]);
    stage.repository.commit("second");
    stage.repository.push();
    let none = PreviousCommits::default();
    let works = async || assert!(stage.pin("main", Some(&first), &none).await.is_ok());
    works().await;
    let packs = stage.cache().join("objects/pack");
    let count = || {
        fs::read_dir(&packs)
            .unwrap()
            .filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "pack")
            .count()
    };
    // As if the listener was killed while git was fetching.
    fs::write(stage.cache().join("fetching"), "").unwrap();
    fs::write(stage.cache().join("refs/heads/main.lock"), "").unwrap();
    works().await;
    // As if the disk lost the objects.
    for file in fs::read_dir(&packs).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    works().await;
    // git cannot update the ref because of the lock.
    stage.repository.commit("third");
    stage.repository.push();
    fs::write(stage.cache().join("refs/heads/main.lock"), "").unwrap();
    works().await;
    for n in 0..60 {
        fs::write(packs.join(format!("pack-{n}.pack")), "").unwrap();
    }
    stage.repository.commit("fourth");
    stage.repository.push();
    works().await;
    assert_eq!(count(), 1);
}

#[tokio::test]
async fn a_remote_that_disappears_is_unreachable() {
    let stage = Stage::new();
    let first = stage.repository.git(&["rev-parse", "main"]);
    stage.repository.commit("second");
    stage.repository.push();
    // The remote lists its refs but has lost their objects.
    fs::remove_dir_all(stage.repository.remotes().join("infra.git/objects")).unwrap();
    fs::create_dir(stage.repository.remotes().join("infra.git/objects")).unwrap();
    let error = stage.pin("main", Some(&first), &PreviousCommits::default()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceUnreachable, "{error}");
    assert!(
        error.to_string().starts_with("could not look up \"main\" in http://127.0.0.1")
            || error.to_string().starts_with("could not look up \"main\" in git+http://"),
        "{error}"
    );
}
