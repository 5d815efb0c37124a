//! The demo's git repository, with real commits, so that a lookup of the flake's branches works.

use super::commit::{BRANCHES, COMMITS, Commit};
use crate::unattended;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// Flake of the hosts if the repository could not be created.
const PLACEHOLDER_FLAKE: &str = "git+https://git.example.org/fleet";
/// Contents of `flake.nix`, the same in all commits; nix never evaluates it.
const FLAKE: &str =
    "{ outputs = { self }: { packages = builtins.fromTOML (builtins.readFile ./packages.toml); }; }\n";
/// Environment variables that would make git use another repository.
const GIT_ENV_OVERRIDES: [&str; 5] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_DEFAULT_HASH"];

/// Creates the repository in `directory` and returns its flake URL; without git, the URL is a placeholder.
pub(super) async fn make(directory: &Path) -> String {
    let repository = directory.join("fleet.git");
    // Other characters would have to be escaped in the URL.
    let plain = |path: &&str| path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let Some(path) = repository.to_str().filter(plain) else { return PLACEHOLDER_FLAKE.to_owned() };
    let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", path];
    let made = async {
        git(&init, "").await?;
        git(&["--git-dir", path, "fast-import", "--quiet"], &fast_import_stream()).await
    };
    match made.await {
        Ok(()) => format!("git+file://{path}"),
        Err(error) => {
            tracing::info!(%error, "could not create the demo's repository, using a placeholder flake");
            PLACEHOLDER_FLAKE.to_owned()
        }
    }
}

async fn git(arguments: &[&str], input: &str) -> io::Result<()> {
    let mut command = unattended::command("git");
    for name in GIT_ENV_OVERRIDES {
        command.env_remove(name);
    }
    command.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("git failed with {status}"))) }
}

/// All commits in the format of `git fast-import`.
fn fast_import_stream() -> String {
    let mut fast_import_stream = String::new();
    for commit in &COMMITS {
        let branch =
            BRANCHES.iter().find(|(_, head)| commit.number <= *head).map_or("main", |(name, _)| name);
        let Commit { number, author, at, subject, .. } = commit;
        let parent = commit.parent.map(|parent| format!("from :{}\n", parent + 1)).unwrap_or_default();
        let mut packages = String::new();
        // Writing to a string cannot fail.
        for (name, version) in commit.packages() {
            let _ = writeln!(packages, "{name} = \"{version}\"");
        }
        let _ = write!(
            fast_import_stream,
            "commit refs/heads/{branch}\nmark :{}\ncommitter {author} <{author}@example.org> {at} +0000\n{}\n{parent}\
             M 100644 inline flake.nix\n{}\nM 100644 inline packages.toml\n{}\n",
            number + 1,
            data_block(subject),
            data_block(FLAKE),
            data_block(&packages),
        );
    }
    fast_import_stream
}

fn data_block(text: &str) -> String {
    format!("data {}\n{text}", text.len())
}

#[cfg(test)]
mod tests {
    use super::{BRANCHES, COMMITS, make};
    use std::process::Command;

    #[tokio::test]
    async fn repository_has_the_branches_and_commits_of_the_table() {
        let directory = tempfile::tempdir().unwrap();
        let url = make(directory.path()).await;
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
            let output = Command::new("git")
                .args(["ls-remote", path, &format!("refs/heads/{branch}")])
                .output()
                .unwrap();
            assert!(String::from_utf8(output.stdout).unwrap().starts_with(COMMITS[head].hash), "{branch}");
        }
    }
}
