//! Revisions: the branch, tag or full commit that a request names.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest revision, in characters.
const MAX_REVISION: usize = 255;

/// Why a text is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// Nothing was given.
    #[error("the revision is empty: name a branch, a tag or a full commit")]
    Empty,
    /// More than 255 characters.
    #[error("the revision is {0} characters long; at most 255 are allowed")]
    TooLong(usize),
    /// A form that git or a shell could misread.
    #[error("{0:?} is not a revision: {1}")]
    Malformed(String, &'static str),
    /// Some, but not all, digits of a commit.
    #[error("{0:?} looks like a short commit: give all 40 digits, or a branch or tag")]
    ShortCommit(String),
}

/// A branch, tag or full commit that is safe to hand to git and nix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    /// Checks the text and takes it.
    pub fn new(text: impl Into<String>) -> Result<Self, RevisionError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a full commit rather than a name.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.0)
    }
}

/// Whether the text is a full commit: 40 lower-case hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(is_hex)
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

/// A number alone is taken for a name (tags are often dates); the repository has the last word on those.
fn is_short_commit(text: &str) -> bool {
    (7..40).contains(&text.len()) && text.bytes().all(is_hex) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

fn check(text: &str) -> Result<(), RevisionError> {
    let bad = |why| {
        let shown = text.chars().take(80).collect();
        Err(RevisionError::Malformed(shown, why))
    };
    let count = text.chars().count();
    if text.is_empty() {
        Err(RevisionError::Empty)
    } else if count > MAX_REVISION {
        Err(RevisionError::TooLong(count))
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/+-".contains(&b)) {
        bad("use letters, digits, `.`, `_`, `/`, `+` and `-` only")
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        bad("it must start with a letter or digit")
    } else if text.contains("..") || text.contains("//") {
        bad("`..` and `//` are not allowed")
    } else if text.ends_with(['/', '.']) || text.strip_suffix(".lock").is_some() {
        bad("it must not end in `/`, `.` or `.lock`")
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
