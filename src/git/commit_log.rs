//! The commits of a remote repository and how they relate, read from a local clone without files.

use super::commit_cache::{CommitCache, last_message};
use super::{Remote, ResolveError};
use crate::protocol::Revision;
use crate::unattended::{ProcessOutput, run};
use std::io;
use std::path::Path;

/// Maximum size of the output for one list of commits, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;
/// The fields of a commit, separated by NUL: id, time of the commit in seconds, author and subject.
const FORMAT: &str = "--format=%H%x00%ct%x00%an%x00%s";
/// The branches that are fetched.
const BRANCHES: &str = "refs/heads/*";

/// The clone of a repository, which has the head of a branch.
pub struct CommitLog<'a> {
    cache: CommitCache<'a>,
    dir: &'a Path,
    revision: &'a Revision,
    head: &'a str,
}

/// A commit as the repository describes it. Its strings are not safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedCommit {
    /// The commit, 40 hexadecimal digits.
    pub id: String,
    /// When it was committed, in seconds since 1970.
    pub seconds: i64,
    /// The name of the author.
    pub author: String,
    /// The first line of the message.
    pub subject: String,
}

/// The numbers of commits that only one of two commits contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitDistance {
    /// Commits that the head does not contain.
    pub ahead: usize,
    /// Commits of the head that the other commit does not contain.
    pub behind: usize,
}

impl<'a> CommitLog<'a> {
    /// Opens the clone in `dir`. The branches are fetched only if the clone does not have `head`, the commit that was
    /// looked up for `revision`. To cancel, drop the future: it has no timeout.
    pub async fn open(
        dir: &'a Path,
        remote: &'a Remote,
        revision: &'a Revision,
        head: &'a str,
    ) -> Result<Self, ResolveError> {
        let log = Self { cache: CommitCache::new(dir, remote, revision), dir, revision, head };
        log.ensure_head().await?;
        Ok(log)
    }

    async fn ensure_head(&self) -> Result<(), ResolveError> {
        match self.cache.ensure_fetched(self.head, BRANCHES).await {
            // No branch has it, so it is the commit of a tag.
            Err(ResolveError::Moved { .. }) if !self.revision.is_commit() => {
                self.cache.ensure_fetched(self.head, &format!("refs/tags/{}", self.revision)).await
            }
            fetched => fetched,
        }
    }

    /// Whether the clone has complete histories. Those of a shallow repository end early.
    pub fn is_complete(&self) -> bool {
        !self.dir.join("shallow").exists()
    }

    /// Compares a commit with the head; `None` if no branch has contained it since the clone was made.
    pub async fn distance(&self, commit: &str) -> Result<Option<CommitDistance>, ResolveError> {
        if !self.cache.has(commit).await? {
            return Ok(None);
        }
        let range = format!("{commit}...{}", self.head);
        let counted = self.rev_list(&["--left-right", "--count", &range]).await?;
        let numbers: Vec<usize> =
            counted.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [ahead, behind] => Ok(Some(CommitDistance { ahead, behind })),
            _ => Err(self.cache.failed(io::Error::other("unexpected output of git rev-list"))),
        }
    }

    /// The commits that the head contains and `commit` does not, newest first and at most `max`.
    pub async fn since(&self, commit: &str, max: usize) -> Result<Vec<LoggedCommit>, ResolveError> {
        self.list(&format!("{commit}..{}", self.head), max).await
    }

    /// One commit, which must be in the clone.
    pub async fn commit(&self, commit: &str) -> Result<Option<LoggedCommit>, ResolveError> {
        Ok(self.list(commit, 1).await?.pop())
    }

    async fn list(&self, range: &str, max: usize) -> Result<Vec<LoggedCommit>, ResolveError> {
        let max = format!("--max-count={max}");
        // Each commit has a header line too, which is left out: old versions of git cannot omit it.
        let listed = self.rev_list(&[FORMAT, &max, range]).await?;
        Ok(listed.split('\n').filter_map(parse).collect())
    }

    /// Runs `git rev-list`, which no configuration of the user changes. A damaged clone is quarantined and fetched again.
    async fn rev_list(&self, arguments: &[&str]) -> Result<String, ResolveError> {
        let output = self.run(arguments).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        self.cache.quarantine(&last_message(&output))?;
        self.ensure_head().await?;
        let output = self.run(arguments).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.cache.damaged(&last_message(&output)))
    }

    async fn run(&self, arguments: &[&str]) -> Result<ProcessOutput, ResolveError> {
        let mut git = self.cache.git();
        git.args(["-c", "i18n.logOutputEncoding=UTF-8", "rev-list"]).args(arguments).arg("--");
        run(git, MAX_OUTPUT).await.map_err(|error| self.cache.failed(error))
    }
}

fn parse(line: &str) -> Option<LoggedCommit> {
    let mut fields = line.splitn(4, '\0');
    let mut next = || fields.next();
    let (id, seconds, author, subject) = (next()?, next()?.parse().ok()?, next()?, next()?);
    Some(LoggedCommit { id: id.to_owned(), seconds, author: author.to_owned(), subject: subject.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_without_all_fields_is_not_a_commit() {
        let commit = parse("b04c7de\x001700000000\0alice\0nginx: \0 brotli").unwrap();
        assert_eq!(
            (commit.seconds, &*commit.author, &*commit.subject),
            (1_700_000_000, "alice", "nginx: \0 brotli")
        );
        for line in ["", "b04c7de", "b04c7de\0x\0alice\0subject", "b04c7de\x001\0alice"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
