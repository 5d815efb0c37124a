//! The demo's git repository: real commits, so that whoever looks up a branch of the hosts' flake finds it.

use super::commit::{BRANCHES, COMMITS, Commit};
use crate::unattended;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// The flake of hosts where no repository could be made.
const MADE_UP: &str = "git+https://git.example.org/fleet";
/// The flake at every commit; only git ever reads it.
const FLAKE: &str =
    "{ outputs = { self }: { packages = builtins.fromTOML (builtins.readFile ./packages.toml); }; }\n";
/// What would lead git elsewhere.
const LEADS_ASTRAY: [&str; 5] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_DEFAULT_HASH"];

/// Makes the repository in `folder` and gives its flake URL; without git, one that leads nowhere.
pub(super) async fn make(folder: &Path) -> String {
    let repository = folder.join("fleet.git");
    // Anything else would have to be escaped in a URL.
    let plain = |path: &&str| path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let Some(path) = repository.to_str().filter(plain) else { return MADE_UP.to_owned() };
    let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", path];
    let made = async {
        git(&init, "").await?;
        git(&["--git-dir", path, "fast-import", "--quiet"], &stream()).await
    };
    match made.await {
        Ok(()) => format!("git+file://{path}"),
        Err(error) => {
            tracing::info!(%error, "the demo's hosts have a made-up flake");
            MADE_UP.to_owned()
        }
    }
}

async fn git(arguments: &[&str], input: &str) -> io::Result<()> {
    let mut command = unattended::command("git");
    for name in LEADS_ASTRAY {
        command.env_remove(name);
    }
    command.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("git ended with {status}"))) }
}

/// All commits as `git fast-import` takes them.
fn stream() -> String {
    let mut stream = String::new();
    for commit in &COMMITS {
        let branch =
            BRANCHES.iter().find(|(_, head)| commit.number <= *head).map_or("main", |(name, _)| name);
        let Commit { number, author, at, subject, .. } = commit;
        let parent = commit.parent.map(|parent| format!("from :{}\n", parent + 1)).unwrap_or_default();
        let mut packages = String::new();
        // Writing to a text cannot fail.
        for (name, version) in commit.packages() {
            let _ = writeln!(packages, "{name} = \"{version}\"");
        }
        let _ = write!(
            stream,
            "commit refs/heads/{branch}\nmark :{}\ncommitter {author} <{author}@example.org> {at} +0000\n{}\n{parent}\
             M 100644 inline flake.nix\n{}\nM 100644 inline packages.toml\n{}\n",
            number + 1,
            data(subject),
            data(FLAKE),
            data(&packages),
        );
    }
    stream
}

fn data(text: &str) -> String {
    format!("data {}\n{text}", text.len())
}

#[cfg(test)]
mod tests {
    use super::{BRANCHES, COMMITS, make};
    use std::process::Command;

    #[tokio::test]
    async fn its_branches_and_commits_are_those_of_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let url = make(folder.path()).await;
        let path = url.strip_prefix("git+file://").expect("git is installed");
        for commit in &COMMITS {
            let shown = Command::new("git")
                .args(["--git-dir", path, "show", "--no-patch", "--format=%s"])
                .arg(commit.hash)
                .output();
            let shown = shown.unwrap();
            assert!(shown.status.success(), "{commit:?}: {}", String::from_utf8_lossy(&shown.stderr));
            assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), commit.subject);
        }
        for (branch, head) in BRANCHES {
            let told = Command::new("git")
                .args(["ls-remote", path, &format!("refs/heads/{branch}")])
                .output()
                .unwrap();
            assert!(String::from_utf8(told.stdout).unwrap().starts_with(COMMITS[head].hash), "{branch}");
        }
    }
}
