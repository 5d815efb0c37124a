//! Revisions: the branch, tag or full commit of a request.

use crate::text::{fitting_prefix, printable};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The maximum length of a revision, in characters.
const MAX_REVISION: usize = 255;

/// An invalid revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The revision is empty.
    #[error("the revision is empty: name a branch, a tag or a full commit")]
    Empty,
    /// The revision has more than 255 characters.
    #[error("the revision is {0} characters long; at most 255 are allowed")]
    TooLong(usize),
    /// The revision has a form that git or a shell could misinterpret.
    #[error("{0:?} is not a revision: {1}")]
    Malformed(String, &'static str),
    /// The revision is an abbreviated commit.
    #[error("{0:?} looks like a short commit: give all 40 digits, or a branch or tag")]
    ShortCommit(String),
}

/// A branch, tag or full commit that is safe to pass to git and nix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// Validates the string.
    pub fn new(text: impl Into<String>) -> Result<Self, RevisionError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The string itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the revision is a full commit and not a name.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.0)
    }
}

/// Whether the string is a full commit: 40 lower-case hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(is_hex)
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

/// A string of digits counts as a name, because tags are often dates. The repository decides whether it exists.
fn is_short_commit(text: &str) -> bool {
    (7..40).contains(&text.len()) && text.bytes().all(is_hex) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// Checks the rules of `git check-ref-format --branch`. A valid name cannot be an option, and contains no glob and no
/// refspec. Names with invisible characters are also rejected.
fn check(text: &str) -> Result<(), RevisionError> {
    let bad = |reason| {
        let shown = fitting_prefix(text, 80).to_owned();
        Err(RevisionError::Malformed(shown, reason))
    };
    let count = text.chars().count();
    let mut parts = text.split('/');
    if text.is_empty() {
        Err(RevisionError::Empty)
    } else if count > MAX_REVISION {
        Err(RevisionError::TooLong(count))
    } else if text.contains(|c: char| c.is_ascii_control() || c == ' ') {
        bad("git allows no blanks, line ends or control characters in a name")
    } else if text.contains(['~', '^', ':', '?', '*', '[', '\\']) {
        bad("git allows none of `~ ^ : ? * [ \\` in a name")
    } else if text.contains("..") || text.contains("@{") || text.contains("//") {
        bad("git allows no `..`, `//` or `@{` in a name")
    } else if text.starts_with(['-', '/']) || text.ends_with(['/', '.']) {
        bad("git allows no name that starts with `-` or `/`, or ends in `/` or `.`")
    } else if parts.any(|part| part.starts_with('.') || part.strip_suffix(".lock").is_some()) {
        bad("git allows no part of a name that starts with `.` or ends in `.lock`")
    } else if printable(text) != text {
        bad("it has invisible characters; rename the branch or tag")
    } else if is_short_commit(text) {
        Err(RevisionError::ShortCommit(text.to_owned()))
    } else {
        Ok(())
    }
}

impl FromStr for Revision {
    type Err = RevisionError;
    fn from_str(text: &str) -> Result<Self, RevisionError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;
    fn try_from(text: String) -> Result<Self, RevisionError> {
        Self::new(text)
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
