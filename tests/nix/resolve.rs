//! Pins revisions to commits of real remotes.

use crate::repository::Repository;
use crate::server::Server;
use homelab_deploy::git::ResolveError;
use homelab_deploy::nix::{FlakeUrl, LockedFlake, resolve};
use homelab_deploy::protocol::{ErrorCode, Revision};

pub(crate) async fn pin(
    flake: &str,
    revision: &str,
    commit: Option<&str>,
) -> Result<LockedFlake, ResolveError> {
    let flake: FlakeUrl = flake.parse().unwrap();
    resolve(&flake, &Revision::new(revision).unwrap(), commit).await
}

async fn url(flake: &str, revision: &str, commit: Option<&str>) -> String {
    let locked = pin(flake, revision, commit).await.unwrap();
    let commit = locked.commit.unwrap();
    locked.url.strip_prefix(flake).unwrap().replace(&commit, "COMMIT")
}

async fn refused(flake: &str, revision: &str) -> String {
    let error = pin(flake, revision, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRevision, "{error}");
    error.to_string().replace(flake, "FLAKE")
}

#[tokio::test]
async fn a_branch_is_pinned_to_its_newest_commit_after_each_push() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    for text in ["second", "third"] {
        let commit = repository.commit(text);
        repository.push();
        let locked = pin(&server.flake(), "main", None).await.unwrap();
        assert_eq!(locked.commit.as_ref(), Some(&commit));
        assert_eq!(locked.url, format!("{}?ref=refs/heads/main&rev={commit}", server.flake()));
        assert_eq!(locked.note, None);
    }
}

#[tokio::test]
async fn lightweight_and_annotated_tags_are_pinned_to_their_commit() {
    let repository = Repository::new();
    let tagged = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "light"]);
    repository.git(&["tag", "--annotate", "--message", "x", "v1.0"]);
    repository.commit("later");
    repository.push();
    let server = Server::open(repository.remotes());
    assert_ne!(repository.git(&["rev-parse", "v1.0"]), tagged);
    for tag in ["light", "v1.0"] {
        let locked = pin(&server.flake(), tag, None).await.unwrap();
        assert_eq!(locked.url, format!("{}?ref=refs/tags/{tag}&rev={tagged}", server.flake()));
    }
}

#[tokio::test]
async fn a_full_commit_is_pinned_with_a_ref_that_contains_it() {
    let repository = Repository::new();
    let old = repository.commit("old");
    repository.commit("main");
    repository.git(&["branch", "also-main"]);
    repository.git(&["switch", "--quiet", "--create", "feature"]);
    let tagged = repository.commit("tagged");
    repository.git(&["tag", "--annotate", "--message", "x", "v2"]);
    let feature = repository.commit("feature");
    repository.push();
    let server = Server::open(repository.remotes());
    let flake = server.flake();
    let main = repository.git(&["rev-parse", "main"]);
    assert_eq!(url(&flake, &main, None).await, "?ref=refs/heads/main&rev=COMMIT");
    assert_eq!(url(&flake, &feature, None).await, "?ref=refs/heads/feature&rev=COMMIT");
    assert_eq!(url(&flake, &tagged, None).await, "?ref=refs/tags/v2&rev=COMMIT");
    // No ref points at it, so the default branch is used. Without a ref, nix 2.8 searches only `master`.
    assert_eq!(url(&flake, &old, None).await, "?ref=refs/heads/main&rev=COMMIT");
}

#[tokio::test]
async fn a_given_commit_takes_precedence_over_the_revision() {
    let repository = Repository::new();
    let old = repository.git(&["rev-parse", "HEAD"]);
    let main = repository.commit("main");
    repository.git(&["switch", "--quiet", "--create", "feature"]);
    let middle = repository.commit("middle");
    repository.commit("feature");
    repository.push();
    let server = Server::open(repository.remotes());
    let flake = server.flake();
    for (revision, commit, expected) in [
        ("main", &main, "?ref=refs/heads/main&rev=COMMIT"),
        ("feature", &main, "?ref=refs/heads/main&rev=COMMIT"),
        ("feature", &middle, "?ref=refs/heads/feature&rev=COMMIT"),
        ("gone", &main, "?ref=refs/heads/main&rev=COMMIT"),
        ("gone", &old, "?ref=refs/heads/main&rev=COMMIT"),
        (&main, &middle, "?ref=refs/heads/main&rev=COMMIT"),
    ] {
        let locked = pin(&flake, revision, Some(commit)).await.unwrap();
        assert_eq!(locked.commit.as_deref(), Some(commit.as_str()), "{revision}");
        assert_eq!(url(&flake, revision, Some(commit)).await, expected, "{revision}");
    }
    let error = pin(&flake, "main", Some("abc123")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRevision);
    assert_eq!(error.to_string(), "\"abc123\" is not a commit: give all 40 lower-case hexadecimal digits");
}

#[tokio::test]
async fn a_branch_wins_over_a_tag_of_its_name_with_a_note() {
    let repository = Repository::new();
    repository.git(&["tag", "stable"]);
    repository.git(&["switch", "--quiet", "--create", "stable"]);
    let branch = repository.commit("branch");
    repository.push();
    let server = Server::open(repository.remotes());
    let locked = pin(&server.flake(), "stable", None).await.unwrap();
    assert_eq!(locked.url, format!("{}?ref=refs/heads/stable&rev={branch}", server.flake()));
    assert_eq!(locked.note.as_deref(), Some("\"stable\" is a branch and a tag: using the branch"));
}

#[tokio::test]
async fn an_unknown_revision_suggests_similar_names() {
    let repository = Repository::new();
    for branch in ["feature", "feature-1", "features", "feature-2"] {
        repository.git(&["branch", branch]);
    }
    repository.git(&["tag", "20260101"]);
    repository.push();
    let server = Server::open(repository.remotes());
    let flake = server.flake();
    assert_eq!(
        refused(&flake, "fetaure").await,
        "\"fetaure\" is not a branch or tag of FLAKE; similar names: feature, features, feature-1"
    );
    assert_eq!(
        refused(&flake, "origin/main").await,
        "\"origin/main\" is not a branch or tag of FLAKE; similar names: main"
    );
    assert_eq!(
        refused(&flake, "zzz").await,
        "\"zzz\" is not a branch or tag of FLAKE; check the name, or push it first (the default branch is main)"
    );
    assert_eq!(
        refused(&flake, "73829").await,
        "\"73829\" is not a branch or tag of FLAKE; if it is a commit, give all 40 lower-case digits"
    );
    // A number is a valid name if the repository has it.
    assert_eq!(url(&flake, "20260101", None).await, "?ref=refs/tags/20260101&rev=COMMIT");
}

#[tokio::test]
async fn an_empty_repository_is_reported() {
    let repository = Repository::empty();
    let server = Server::open(repository.remotes());
    assert_eq!(
        refused(&server.flake(), "main").await,
        "\"main\" is not a branch or tag of FLAKE, which has no branches or tags yet: push one"
    );
}

#[tokio::test]
async fn url_parameters_are_preserved() {
    let repository = Repository::new();
    let server = Server::open(repository.remotes());
    let flake = format!("{}?dir=hosts&submodules=1", server.flake());
    assert_eq!(url(&flake, "main", None).await, "&ref=refs/heads/main&rev=COMMIT");
}

#[tokio::test]
async fn a_local_repository_is_pinned_too() {
    let repository = Repository::new();
    let flake = format!("git+file://{}/infra.git", repository.remotes().display());
    assert_eq!(url(&flake, "main", None).await, "?ref=refs/heads/main&rev=COMMIT");
}

#[tokio::test]
async fn a_path_has_no_revisions() {
    for flake in ["/srv/flake", "path:/srv/flake"] {
        let locked = pin(flake, "main", Some("ignored")).await.unwrap();
        assert_eq!(locked.url, "path:/srv/flake");
        assert_eq!(locked.commit, None);
        let note = "path:/srv/flake has no revisions: its current files are built";
        assert_eq!(locked.note.as_deref(), Some(note));
    }
}

#[tokio::test]
async fn head_is_the_default_branch_despite_other_symbolic_refs() {
    let repository = Repository::new();
    repository.git(&["switch", "--quiet", "--create", "other"]);
    repository.commit("other");
    repository.push();
    // Symbolic refs such as those of a clone.
    let bare = repository.remotes().join("infra.git");
    for (name, target) in
        [("refs/heads/alias", "refs/heads/other"), ("refs/remotes/origin/HEAD", "refs/heads/other")]
    {
        let git = std::process::Command::new("git")
            .current_dir(&bare)
            .args(["symbolic-ref", name, target])
            .status();
        assert!(git.unwrap().success());
    }
    let server = Server::open(repository.remotes());
    assert_eq!(url(&server.flake(), "HEAD", None).await, "?ref=refs/heads/main&rev=COMMIT");
    let flake: FlakeUrl = server.flake().parse().unwrap();
    let main = repository.git(&["rev-parse", "main"]);
    let head = |name: &str| {
        let (flake, revision) = (flake.clone(), Revision::new(name).unwrap());
        async move { flake.remote().unwrap().head(&revision).await }
    };
    assert_eq!(head("HEAD").await.unwrap(), main);
    let advice = "; its default branch is main: use `--branch main`, or set it as `branch` in the configuration, or as \
                  `default_branch` in the builder's file";
    let expected = format!("\"master\" is not a branch or tag of {}{advice}", server.flake());
    assert_eq!(head("master").await.unwrap_err().to_string(), expected);
    assert_eq!(refused(&server.flake(), "master").await, expected.replace(&server.flake(), "FLAKE"));
}

#[tokio::test]
async fn a_repository_with_a_dangling_head_has_no_default_branch() {
    let repository = Repository::new();
    repository.git(&["branch", "--move", "trunk"]);
    repository.push();
    let bare = repository.remotes().join("infra.git");
    let git = std::process::Command::new("git").current_dir(&bare).args(["branch", "-D", "main"]).output();
    assert!(git.unwrap().status.success());
    let server = Server::open(repository.remotes());
    let expected = "\"HEAD\" is not a branch or tag of FLAKE: the repository has no default branch with a commit; use the name of a branch";
    assert_eq!(refused(&server.flake(), "HEAD").await, expected);
}

#[tokio::test]
async fn every_valid_git_name_is_found_and_encoded_for_nix() {
    let repository = Repository::new();
    let names = ["feature/x", "#42", "a+b", "ü", "100%", "a&b=c", "@x", "$(id)", "it's", "a,b", "{x}"];
    for name in names {
        repository.git(&["branch", name]);
    }
    repository.push();
    let server = Server::open(repository.remotes());
    for (name, encoded) in names.into_iter().zip([
        "feature/x",
        "%2342",
        "a%2Bb",
        "%C3%BC",
        "100%25",
        "a%26b%3Dc",
        "%40x",
        "%24%28id%29",
        "it%27s",
        "a%2Cb",
        "%7Bx%7D",
    ]) {
        assert_eq!(url(&server.flake(), name, None).await, format!("?ref=refs/heads/{encoded}&rev=COMMIT"));
        let flake: FlakeUrl = server.flake().parse().unwrap();
        let head = flake.remote().unwrap().head(&Revision::new(name).unwrap()).await.unwrap();
        assert_eq!(head, repository.git(&["rev-parse", "main"]), "{name}");
    }
}
