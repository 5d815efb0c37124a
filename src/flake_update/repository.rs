//! The repository that the update is fetched into and pushed from: a checkout or a temporary clone. Only configuration, remote and
//! objects of a checkout are used. Its files, index, stash and branches stay unchanged, except for the branch of an update that
//! could not be pushed.

use super::error::{FailureKind, FlakeUpdateError};
use super::options::{FlakeUpdateOptions, RepositorySource};
use super::remote_url::{RemoteUrl, submodule_url};
use super::subflake::Subflake;
use super::token::secrets;
use super::worktree::Worktree;
use crate::git::{Credentials, Git, GitError, Secrets};
use crate::text::{closest_matches, printable};
use std::path::{Path, PathBuf};

/// The name of the remote in a temporary clone.
const ORIGIN: &str = "origin";

/// A repository and its remote.
pub(super) struct Repository {
    pub(super) git: Git,
    /// The remote's name.
    remote: String,
    /// The remote, for display.
    pub(super) shown: String,
    /// The directory of the checkout, for display; `None` for a temporary clone.
    pub(super) checkout: Option<String>,
    /// The location of the flake in the repository.
    pub(super) subflake: Subflake,
    /// The URL of the remote, without credentials.
    url: String,
    /// The same URL, parsed.
    pub(super) remote_url: RemoteUrl,
    /// Whether the remote's URL contained credentials.
    has_credentials: bool,
    pub(super) secrets: Secrets,
}

impl Repository {
    /// Validates the checkout, or creates an empty clone below `dir`.
    pub(super) async fn open(options: &FlakeUpdateOptions, dir: &Path) -> Result<Self, FlakeUpdateError> {
        let token = options.forge.as_ref().map(|forge| &forge.token);
        match &options.source {
            RepositorySource::Checkout(checkout) => {
                let git = Git::at(checkout);
                let repo = checkout.display().to_string();
                let url = check_checkout(&git, &repo, options).await?;
                let (git, subflake) = at_top(git, options).await;
                let remote_url = RemoteUrl::parse(&url);
                let mut credentials = options.credentials.clone();
                let mut has_credentials = false;
                for written in remotes_of(&git, &options.remote, &url).await {
                    // git would pass a URL with credentials to its remote helper as an argument.
                    if let Some((url, held)) = Credentials::split_url(&written) {
                        has_credentials |= !held.is_empty();
                        credentials = held.with_url_rewrite(&written, &url).or(credentials);
                    }
                }
                let credentials = credentials.with_origin(&remote_url.origin());
                let secrets = secrets(token, &credentials, &[&url]);
                let url = Credentials::split_url(&url).map_or(url, |(clean, _)| clean);
                let (remote, shown) = (options.remote.clone(), options.remote.clone());
                Ok(Self {
                    git: git.credentials(credentials),
                    remote,
                    shown,
                    checkout: Some(repo),
                    subflake,
                    url,
                    remote_url,
                    has_credentials,
                    secrets,
                })
            }
            RepositorySource::Url(url) => {
                let remote_url = RemoteUrl::parse(url);
                let (clean, written) =
                    Credentials::split_url(url).unwrap_or_else(|| (url.clone(), Credentials::default()));
                let has_credentials = !written.is_empty();
                let credentials = written.or(options.credentials.clone()).with_origin(&remote_url.origin());
                let secrets = secrets(token, &credentials, &[url]);
                let shown = secrets.redact(&clean);
                let path = dir.join("repository");
                let made = init_bare(&path, &clean).await;
                made.map_err(|reason| {
                    step_error(
                        "make a temporary repository",
                        &secrets.redact(&reason),
                        "",
                        FailureKind::Local,
                    )
                })?;
                let git = Git::at(&path).credentials(credentials);
                Ok(Self {
                    git,
                    remote: ORIGIN.to_owned(),
                    shown,
                    checkout: None,
                    subflake: options.subflake.clone(),
                    url: clean,
                    remote_url,
                    has_credentials,
                    secrets,
                })
            }
        }
    }

    /// Uses the forge's token for the remote too, if the remote is on the forge and its URL has no credentials.
    pub(super) fn use_token(&mut self, options: &FlakeUpdateOptions, forge: &RemoteUrl) {
        let Some(given) = &options.forge else { return };
        let same = self.remote_url.origin() == forge.origin();
        if same && !self.has_credentials && self.remote_url.is_web() && self.remote_url.is_private() {
            self.git = self.git.clone().credentials(given.token.for_git(&self.remote_url.origin()));
        }
    }

    /// Looks up the commits of these branches on the remote.
    pub(super) async fn heads<const N: usize>(
        &self,
        branches: [&str; N],
    ) -> Result<[Option<String>; N], FlakeUpdateError> {
        let names = branches.map(|branch| format!("refs/heads/{branch}"));
        let mut arguments = vec!["ls-remote", "--", &self.remote];
        arguments.extend(names.iter().map(String::as_str));
        let listed = self.git.run(&arguments).await;
        let listed = listed.map_err(|error| self.remote_failed("look up its branches", &error))?;
        let of = |name: &String| {
            let mut pairs = listed.lines().filter_map(|line| line.split_once('\t'));
            pairs.find(|(_, known)| known == name).map(|(commit, _)| commit.to_owned())
        };
        Ok(names.each_ref().map(of))
    }

    /// The error for a missing base branch, with similar names.
    pub(super) async fn no_base(&self, base: &str) -> FlakeUpdateError {
        let listed = self.git.run(&["ls-remote", "--heads", "--", &self.remote]).await.unwrap_or_default();
        let names = listed.lines().filter_map(|line| line.split_once("\trefs/heads/").map(|(_, name)| name));
        let names: Vec<&str> = names.collect();
        let mut similar = closest_matches(base, names.iter().copied());
        if similar.is_empty() {
            similar = names.into_iter().take(3).collect();
        }
        let near =
            if similar.is_empty() { String::new() } else { format!(" (it has {})", similar.join(", ")) };
        FlakeUpdateError::NoBase { remote: self.shown.clone(), base: base.to_owned(), near }
    }

    /// Fetches the tip of a branch.
    pub(super) async fn fetch(&self, branch: &str, commit: &str) -> Result<(), FlakeUpdateError> {
        let name = format!("refs/heads/{branch}");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let fetched = self.git.run(&[&fetch[..], &["--", &self.remote, &name]].concat()).await;
        fetched.map_err(|error| self.remote_failed(&format!("fetch {branch}"), &error))?;
        let found = self.git.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await;
        found.map(drop).map_err(|_| {
            let reason = "it was rewritten at the same time";
            step_error(
                &format!("fetch {branch} from {}", self.shown),
                reason,
                "run again",
                FailureKind::Remote,
            )
        })
    }

    /// The `flake.lock` at this commit; empty if there is none.
    pub(super) async fn lock(&self, commit: &str) -> String {
        let file = format!("{commit}:{}", self.subflake.file("flake.lock"));
        self.git.run(&["show", &file]).await.unwrap_or_default()
    }

    /// Checks that the flake's files are regular files. nix would write through a symbolic link to another location.
    pub(super) async fn check_files(&self, commit: &str) -> Result<(), FlakeUpdateError> {
        let files = ["flake.nix", "flake.lock"].map(|name| self.subflake.file(name));
        let listed =
            self.git.run(&["--literal-pathspecs", "ls-tree", commit, "--", &files[0], &files[1]]).await;
        let listed = listed.map_err(|error| {
            step_error(
                "list the files of the flake",
                &self.secrets.redact(&error.to_string()),
                "",
                FailureKind::Local,
            )
        })?;
        // A link to a directory lists no files here, and nix would search the parent directories for a flake.
        if let Some(dir) = self.subflake.dir()
            && !listed.contains("flake.nix")
        {
            return Err(FlakeUpdateError::NoDir { remote: self.shown.clone(), dir: dir.to_owned() });
        }
        for line in listed.lines() {
            let (entry, file) = line.split_once('\t').unwrap_or_default();
            if !entry.starts_with("100") {
                let kind = match entry.split(' ').next() {
                    Some("120000") => "a symbolic link",
                    Some("160000") => "a submodule",
                    _ => "a directory",
                };
                return Err(FlakeUpdateError::NotAFile { file: file.to_owned(), kind });
            }
        }
        Ok(())
    }

    /// Checks that no submodule has a relative URL, if the flake needs submodules. nix resolves it against the temporary
    /// work tree instead of the remote.
    pub(super) async fn check_submodules(&self, commit: &str) -> Result<(), FlakeUpdateError> {
        if !self.subflake.submodules {
            return Ok(());
        }
        let file = format!("--blob={commit}:.gitmodules");
        let listed = self.git.run(&["config", &file, "--get-regexp", r"^submodule\..*\.url$"]).await;
        // git fails if there are no submodules.
        let listed = listed.unwrap_or_default();
        for (key, url) in listed.lines().filter_map(|line| line.rsplit_once(' ')) {
            if url.starts_with("./") || url.starts_with("../") {
                let name = key.trim_start_matches("submodule.").trim_end_matches(".url");
                return Err(FlakeUpdateError::RelativeSubmodule {
                    name: printable(name),
                    url: printable(url),
                    absolute: printable(&self.secrets.redact(&submodule_url(&self.url, url))),
                });
            }
        }
        Ok(())
    }

    /// Checks that the checkout's base branch has no commits that the remote lacks.
    pub(super) async fn check_pushed(&self, base: &str, commit: &str) -> Result<(), FlakeUpdateError> {
        let Some(repo) = &self.checkout else { return Ok(()) };
        let own = format!("refs/heads/{base}");
        let lacking = self.git.run(&["rev-list", "--max-count=1", &own, &format!("^{commit}"), "--"]).await;
        // git fails if the checkout has no such branch, which is allowed.
        match lacking {
            Ok(lacking) if !lacking.is_empty() => Err(FlakeUpdateError::Unpushed {
                repo: repo.clone(),
                base: base.to_owned(),
                remote: self.shown.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a branch is from an earlier run: it has at most one commit that the base lacks, which changes only the lock file.
    pub(super) async fn is_ours(&self, tip: &str, base: &str) -> bool {
        let own = self.git.run(&["rev-list", "--max-count=2", tip, &format!("^{base}"), "--"]).await;
        match own.as_deref().map(|own| own.lines().collect::<Vec<_>>()).as_deref() {
            Ok([]) => true,
            Ok([one]) => {
                let names = ["diff-tree", "--no-commit-id", "--name-only", "-r", "-z", *one, "--"];
                let lock = self.subflake.file("flake.lock");
                self.git.run(&names).await.is_ok_and(|names| names.trim_end_matches('\0') == lock)
            }
            _ => false,
        }
    }

    /// Fetches the update's commit from its work tree, without creating a branch.
    pub(super) async fn fetch_from(&self, worktree: &Worktree, commit: &str) -> Result<(), FlakeUpdateError> {
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let from = worktree.dir.display().to_string();
        let upload_pack = format!("--upload-pack={}", worktree.git.upload_pack());
        let taken = self.git.run(&[&fetch[..], &[&upload_pack, "--", &from, commit]].concat()).await;
        taken.map(drop).map_err(|error| {
            let reason = self.secrets.redact(&error.to_string());
            step_error(
                "fetch the update from its temporary work tree",
                &reason,
                "nothing was pushed; run again",
                FailureKind::Local,
            )
        })
    }

    /// Pushes a commit, or deletes the branch if `commit` is `None`.
    ///
    /// With `lease`, the push may replace the branch if it is still at that commit, or does not exist if the lease is empty. Without,
    /// only a fast-forward is possible.
    pub(super) async fn push(
        &self,
        commit: Option<&str>,
        branch: &str,
        lease: Option<&str>,
    ) -> Result<(), GitError> {
        let what = format!("{}:refs/heads/{branch}", commit.unwrap_or_default());
        let lease = lease.map(|lease| format!("--force-with-lease=refs/heads/{branch}:{lease}"));
        let mut arguments = vec!["push", "--quiet", "--no-follow-tags", "--recurse-submodules=no"];
        arguments.extend(lease.as_deref());
        arguments.extend(["--", &self.remote, &what]);
        self.git.run(&arguments).await.map(drop)
    }

    /// Keeps an update that could not be pushed as a branch of the checkout. Returns what to do next.
    pub(super) async fn keep_branch(&self, branch: &str, commit: &str) -> String {
        let Some(repo) = &self.checkout else { return "run again".to_owned() };
        match self.git.run(&["branch", "--force", "--no-track", branch, commit]).await {
            Ok(_) => format!("the branch is in {repo}; push it, or run again"),
            Err(_) => "run again".to_owned(),
        }
    }

    /// Deletes the branch of an earlier run in the checkout, unless it is checked out or has other commits.
    pub(super) async fn delete_local_branch(&self, branch: &str, base: &str) {
        if self.checkout.is_none() {
            return;
        }
        let name = format!("refs/heads/{branch}");
        if let Ok(tip) = self.git.run(&["rev-parse", "--quiet", "--verify", &name]).await
            && self.is_ours(&tip, base).await
        {
            // git refuses to delete a branch that is checked out.
            let _ = self.git.run(&["branch", "--quiet", "-D", branch]).await;
        }
    }

    fn remote_failed(&self, operation: &str, error: &GitError) -> FlakeUpdateError {
        let operation = match operation {
            "look up its branches" => format!("look up the branches of {}", self.shown),
            operation => format!("{operation} from {}", self.shown),
        };
        let advice = error.access_advice().unwrap_or("check the remote and the connection to it");
        let next_step = format!("nothing was changed; {advice}, then run again");
        step_error(&operation, &self.secrets.redact(&error.to_string()), &next_step, FailureKind::Remote)
    }
}

/// The error of a failed step. Without a `next_step`, nothing was changed.
pub(super) fn step_error(
    operation: &str,
    reason: &str,
    next_step: &str,
    kind: FailureKind,
) -> FlakeUpdateError {
    let next_step = if next_step.is_empty() { "nothing was changed; run again" } else { next_step };
    FlakeUpdateError::Step {
        operation: operation.to_owned(),
        reason: reason.to_owned(),
        next_step: next_step.to_owned(),
        kind,
    }
}

/// Checks that a checkout is suitable, and returns the URL of its remote.
async fn check_checkout(
    git: &Git,
    repo: &str,
    options: &FlakeUpdateOptions,
) -> Result<String, FlakeUpdateError> {
    let repo = || repo.to_owned();
    let no_checkout = |message: String| FlakeUpdateError::NoCheckout { repo: repo(), message };
    match git.run(&["rev-parse", "--is-inside-work-tree", "--is-shallow-repository"]).await {
        Ok(message) if message.starts_with("true") && message.ends_with("true") => {
            return Err(FlakeUpdateError::Shallow { repo: repo() });
        }
        Ok(message) if message.starts_with("true") => {}
        Ok(_) => return Err(no_checkout("it has no work tree".to_owned())),
        Err(error) => return Err(no_checkout(error.to_string())),
    }
    let Ok(url) = git.run(&["remote", "get-url", &options.remote]).await else {
        let found = git.run(&["remote"]).await.unwrap_or_default();
        let advice = if found.is_empty() {
            "add one with `git remote add`".to_owned()
        } else {
            format!("set --remote to one of: {}", found.replace('\n', ", "))
        };
        return Err(FlakeUpdateError::NoRemote { repo: repo(), remote: options.remote.clone(), advice });
    };
    if git.run(&["symbolic-ref", "--quiet", "HEAD"]).await.is_err() {
        return Err(FlakeUpdateError::Detached { repo: repo(), base: options.base.to_string() });
    }
    let status = ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"];
    match git.run(&status).await {
        Ok(changes) if changes.is_empty() => Ok(url),
        Ok(_) => Err(FlakeUpdateError::Dirty { repo: repo() }),
        Err(error) => Err(no_checkout(error.to_string())),
    }
}

/// git at the top of a checkout, and the location of the flake from there. As in nix, parent directories are searched if the
/// directory has no flake.
async fn at_top(git: Git, options: &FlakeUpdateOptions) -> (Git, Subflake) {
    let Ok(top) = git.run(&["rev-parse", "--show-toplevel"]).await else {
        return (git, options.subflake.clone());
    };
    let top = PathBuf::from(top);
    let within = git.dir().strip_prefix(&top).unwrap_or(Path::new(""));
    let has_flake = |dir: &&Path| options.subflake.within(&top.join(dir)).join("flake.nix").exists();
    let dir = within.ancestors().find(has_flake).unwrap_or(Path::new("")).to_str().unwrap_or_default();
    (Git::at(&top), options.subflake.below(dir))
}

/// The fetch and push URLs of a remote.
async fn remotes_of(git: &Git, remote: &str, fetch: &str) -> Vec<String> {
    let push = git.run(&["remote", "get-url", "--push", "--all", remote]).await.unwrap_or_default();
    let mut urls: Vec<String> = push.lines().map(str::to_owned).collect();
    urls.push(fetch.to_owned());
    urls.sort_unstable();
    urls.dedup();
    urls
}

/// Creates an empty repository with this remote. The URL may contain secrets, so it is never a command-line argument.
async fn init_bare(path: &Path, url: &str) -> Result<(), String> {
    std::fs::create_dir(path).map_err(|error| error.to_string())?;
    let made = Git::at(path).run(&["init", "--quiet", "--bare", "--template="]).await;
    made.map_err(|error| error.to_string())?;
    let quoted = url.replace('\\', r"\\").replace('"', "\\\"").replace(['\n', '\r'], "");
    let remote = format!("[remote \"{ORIGIN}\"]\n\turl = \"{quoted}\"\n");
    let config = path.join("config");
    let mut text = std::fs::read_to_string(&config).map_err(|error| error.to_string())?;
    text.push_str(&remote);
    std::fs::write(&config, text).map_err(|error| error.to_string())
}
