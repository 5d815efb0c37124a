//! The repository that the update is fetched into and pushed from: a checkout, of which only settings, remote and objects
//! are used, or a temporary clone. No file, index, stash or branch of a checkout is touched, but a branch of an update that
//! could not be pushed.

use super::error::{Ground, UpdateError};
use super::order::{Order, Source};
use super::place::Place;
use super::secrets::Secrets;
use super::subflake::Subflake;
use super::work::Work;
use crate::nix::{Credentials, Git, GitError};
use crate::protocol::near;
use std::path::{Path, PathBuf};

/// The name of the remote in a temporary clone.
const ORIGIN: &str = "origin";

/// A repository and its remote.
pub(super) struct Repository {
    pub(super) git: Git,
    /// The remote's name.
    remote: String,
    /// The remote, as it is shown.
    pub(super) shown: String,
    /// The folder of the checkout, as it is shown.
    pub(super) checkout: Option<String>,
    /// Where in it the flake is.
    pub(super) subflake: Subflake,
    /// Where the remote lies.
    pub(super) place: Place,
    /// Whether its URL as it was written held credentials.
    has_credentials: bool,
    pub(super) secrets: Secrets,
}

impl Repository {
    /// Looks at the checkout, or makes an empty clone below `folder`.
    pub(super) async fn open(order: &Order, folder: &Path) -> Result<Self, UpdateError> {
        let token = order.forge.as_ref().map(|forge| &forge.token);
        match &order.source {
            Source::Folder(checkout) => {
                let git = Git::at(checkout);
                let repo = checkout.display().to_string();
                let url = look_at(&git, &repo, order).await?;
                let (git, subflake) = at_top(git, order).await;
                let place = Place::parse(&url);
                let mut credentials = order.credentials.clone();
                let mut has_credentials = false;
                for written in remotes_of(&git, &order.remote, &url).await {
                    // git would hand it to the program that speaks to the server as an argument.
                    if let Some((url, held)) = Credentials::taken_from(&written) {
                        has_credentials |= !held.is_empty();
                        credentials = held.in_place_of(&written, &url).or(credentials);
                    }
                }
                let credentials = credentials.reaching(&place.origin());
                let secrets = Secrets::new(token, &credentials, &[&url]);
                let (remote, shown) = (order.remote.clone(), order.remote.clone());
                Ok(Self {
                    git: git.credentials(credentials),
                    remote,
                    shown,
                    checkout: Some(repo),
                    subflake,
                    place,
                    has_credentials,
                    secrets,
                })
            }
            Source::Url(url) => {
                let place = Place::parse(url);
                let (clean, written) =
                    Credentials::taken_from(url).unwrap_or_else(|| (url.clone(), Credentials::default()));
                let has_credentials = !written.is_empty();
                let credentials = written.or(order.credentials.clone()).reaching(&place.origin());
                let secrets = Secrets::new(token, &credentials, &[url]);
                let shown = secrets.blot(&clean);
                let path = folder.join("repository");
                let made = make(&path, &clean).await;
                made.map_err(|why| {
                    step("make a temporary repository", &secrets.blot(&why), "", Ground::Local)
                })?;
                let git = Git::at(&path).credentials(credentials);
                Ok(Self {
                    git,
                    remote: ORIGIN.to_owned(),
                    shown,
                    checkout: None,
                    subflake: order.subflake.clone(),
                    place,
                    has_credentials,
                    secrets,
                })
            }
        }
    }

    /// With the token for the remote, where that is on the forge and its URL says nothing else.
    pub(super) fn give_token(&mut self, order: &Order, forge: &Place) {
        let Some(given) = &order.forge else { return };
        let same = self.place.origin() == forge.origin();
        if same && !self.has_credentials && self.place.is_web() && self.place.is_private() {
            self.git = self.git.clone().credentials(given.token.for_git(&self.place.origin()));
        }
    }

    /// The commits of these branches on the remote.
    pub(super) async fn heads<const N: usize>(
        &self,
        branches: [&str; N],
    ) -> Result<[Option<String>; N], UpdateError> {
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

    /// There is no such branch on the remote.
    pub(super) async fn no_base(&self, base: &str) -> UpdateError {
        let listed = self.git.run(&["ls-remote", "--heads", "--", &self.remote]).await.unwrap_or_default();
        let names = listed.lines().filter_map(|line| line.split_once("\trefs/heads/").map(|(_, name)| name));
        let names: Vec<&str> = names.collect();
        let mut close = near(base, names.iter().copied());
        if close.is_empty() {
            close = names.into_iter().take(3).collect();
        }
        let near = if close.is_empty() { String::new() } else { format!(" (it has {})", close.join(", ")) };
        UpdateError::NoBase { remote: self.shown.clone(), base: base.to_owned(), near }
    }

    /// Fetches the tip of a branch.
    pub(super) async fn fetch(&self, branch: &str, commit: &str) -> Result<(), UpdateError> {
        let name = format!("refs/heads/{branch}");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let fetched = self.git.run(&[&fetch[..], &["--", &self.remote, &name]].concat()).await;
        fetched.map_err(|error| self.remote_failed(&format!("fetch {branch}"), &error))?;
        let there = self.git.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await;
        there.map(drop).map_err(|_| {
            let why = "it was rewritten at the same moment";
            step(&format!("fetch {branch} from {}", self.shown), why, "run again", Ground::Link)
        })
    }

    /// The lock of the flake at this commit; empty if it has none.
    pub(super) async fn lock(&self, commit: &str) -> String {
        let file = format!("{commit}:{}", self.subflake.file("flake.lock"));
        self.git.run(&["show", &file]).await.unwrap_or_default()
    }

    /// Refuses a flake whose files are not regular ones: through a link, nix would write to another place.
    pub(super) async fn check_files(&self, commit: &str) -> Result<(), UpdateError> {
        let files = ["flake.nix", "flake.lock"].map(|name| self.subflake.file(name));
        let listed =
            self.git.run(&["--literal-pathspecs", "ls-tree", commit, "--", &files[0], &files[1]]).await;
        let listed = listed.map_err(|error| {
            step("look at the files of the flake", &self.secrets.blot(&error.to_string()), "", Ground::Local)
        })?;
        // A link to a directory has nothing in it here. nix would look for the flake further up.
        if let Some(dir) = self.subflake.dir()
            && !listed.contains("flake.nix")
        {
            return Err(UpdateError::NoDir { remote: self.shown.clone(), dir: dir.to_owned() });
        }
        for line in listed.lines() {
            let (entry, file) = line.split_once('\t').unwrap_or_default();
            if !entry.starts_with("100") {
                let kind = match entry.split(' ').next() {
                    Some("120000") => "a symbolic link",
                    Some("160000") => "a submodule",
                    _ => "a directory",
                };
                return Err(UpdateError::NotAFile { file: file.to_owned(), kind });
            }
        }
        Ok(())
    }

    /// Refuses where the checkout's own base branch has what the remote does not.
    pub(super) async fn check_pushed(&self, base: &str, commit: &str) -> Result<(), UpdateError> {
        let Some(repo) = &self.checkout else { return Ok(()) };
        let own = format!("refs/heads/{base}");
        let lacking = self.git.run(&["rev-list", "--max-count=1", &own, &format!("^{commit}"), "--"]).await;
        // There may be no such branch here.
        match lacking {
            Ok(lacking) if !lacking.is_empty() => Err(UpdateError::Unpushed {
                repo: repo.clone(),
                base: base.to_owned(),
                remote: self.shown.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a branch is that of an earlier run: one commit at most that the base does not have, and that changes the
    /// lock file alone.
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

    /// Takes the update's commit out of its work tree. It stands on no branch here.
    pub(super) async fn take(&self, work: &Work, commit: &str) -> Result<(), UpdateError> {
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let from = work.folder.display().to_string();
        let upload_pack = format!("--upload-pack={}", work.git.upload_pack());
        let taken = self.git.run(&[&fetch[..], &[&upload_pack, "--", &from, commit]].concat()).await;
        taken.map(drop).map_err(|error| {
            let why = self.secrets.blot(&error.to_string());
            step(
                "take the update out of its temporary work tree",
                &why,
                "nothing was pushed; run again",
                Ground::Local,
            )
        })
    }

    /// Pushes a commit, or with none deletes the branch. With `lease` whatever is there may be replaced as long as it is
    /// still that, or with an empty one, nothing; without, the branch is only moved on.
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

    /// Keeps an update that could not be pushed, for somebody to push it; says where it is.
    pub(super) async fn keep(&self, branch: &str, commit: &str) -> String {
        let Some(repo) = &self.checkout else { return "run again".to_owned() };
        match self.git.run(&["branch", "--force", "--no-track", branch, commit]).await {
            Ok(_) => format!("the branch lies in {repo}; push it, or run again"),
            Err(_) => "run again".to_owned(),
        }
    }

    /// Forgets the branch of an earlier run that lies in the checkout. One that is checked out or that somebody has worked
    /// on stays.
    pub(super) async fn forget(&self, branch: &str, base: &str) {
        if self.checkout.is_none() {
            return;
        }
        let name = format!("refs/heads/{branch}");
        if let Ok(tip) = self.git.run(&["rev-parse", "--quiet", "--verify", &name]).await
            && self.is_ours(&tip, base).await
        {
            // git refuses where it is checked out.
            let _ = self.git.run(&["branch", "--quiet", "-D", branch]).await;
        }
    }

    fn remote_failed(&self, doing: &str, error: &GitError) -> UpdateError {
        let doing = match doing {
            "look up its branches" => format!("look up the branches of {}", self.shown),
            doing => format!("{doing} from {}", self.shown),
        };
        let advice = error.access_advice().unwrap_or("check the remote and the way to it");
        let left = format!("nothing was changed; {advice}, then run again");
        step(&doing, &self.secrets.blot(&error.to_string()), &left, Ground::Link)
    }
}

/// A step that failed.
pub(super) fn step(doing: &str, why: &str, left: &str, ground: Ground) -> UpdateError {
    let left = if left.is_empty() { "nothing was changed; run again" } else { left };
    UpdateError::Step { doing: doing.to_owned(), why: why.to_owned(), left: left.to_owned(), ground }
}

/// Refuses a checkout that is not fit, and gives the URL of its remote.
async fn look_at(git: &Git, repo: &str, order: &Order) -> Result<String, UpdateError> {
    let repo = || repo.to_owned();
    let no_checkout = |said: String| UpdateError::NoCheckout { repo: repo(), said };
    match git.run(&["rev-parse", "--is-inside-work-tree", "--is-shallow-repository"]).await {
        Ok(said) if said.starts_with("true") && said.ends_with("true") => {
            return Err(UpdateError::Shallow { repo: repo() });
        }
        Ok(said) if said.starts_with("true") => {}
        Ok(_) => return Err(no_checkout("it has no work tree".to_owned())),
        Err(error) => return Err(no_checkout(error.to_string())),
    }
    let Ok(url) = git.run(&["remote", "get-url", &order.remote]).await else {
        let there = git.run(&["remote"]).await.unwrap_or_default();
        let advice = if there.is_empty() {
            "add one with `git remote add`".to_owned()
        } else {
            format!("name one of these with --remote: {}", there.replace('\n', ", "))
        };
        return Err(UpdateError::NoRemote { repo: repo(), remote: order.remote.clone(), advice });
    };
    if git.run(&["symbolic-ref", "--quiet", "HEAD"]).await.is_err() {
        return Err(UpdateError::Detached { repo: repo(), base: order.base.to_string() });
    }
    let status = ["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"];
    match git.run(&status).await {
        Ok(changes) if changes.is_empty() => Ok(url),
        Ok(_) => Err(UpdateError::Dirty { repo: repo() }),
        Err(error) => Err(no_checkout(error.to_string())),
    }
}

/// git at the top of a checkout, and where the flake is from there on. Without a flake in the directory it is further up, as nix
/// has it.
async fn at_top(git: Git, order: &Order) -> (Git, Subflake) {
    let Ok(top) = git.run(&["rev-parse", "--show-toplevel"]).await else {
        return (git, order.subflake.clone());
    };
    let top = PathBuf::from(top);
    let within = git.folder().strip_prefix(&top).unwrap_or(Path::new(""));
    let has_flake = |dir: &&Path| order.subflake.within(&top.join(dir)).join("flake.nix").exists();
    let dir = within.ancestors().find(has_flake).unwrap_or(Path::new("")).to_str().unwrap_or_default();
    (Git::at(&top), order.subflake.below(dir))
}

/// The URLs of a remote, to fetch from and to push to.
async fn remotes_of(git: &Git, remote: &str, fetch: &str) -> Vec<String> {
    let push = git.run(&["remote", "get-url", "--push", "--all", remote]).await.unwrap_or_default();
    let mut urls: Vec<String> = push.lines().map(str::to_owned).collect();
    urls.push(fetch.to_owned());
    urls.sort();
    urls.dedup();
    urls
}

/// An empty repository with this remote. The URL may hold what is secret, so it stands on no command line.
async fn make(path: &Path, url: &str) -> Result<(), String> {
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
