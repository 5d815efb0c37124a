//! What is done with hosts whose messages carry no signature of a known key.

use std::fmt;
use std::str::FromStr;

/// What is done with hosts that are not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// They are used as if they were proven: the older tool's listeners do not sign.
    Allow,
    /// They are shown, and nothing else.
    Refuse,
}

impl Unproven {
    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        }
    }
}

impl FromStr for Unproven {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Allow, Self::Refuse];
        let known = all.into_iter().find(|setting| setting.as_str() == text);
        known.ok_or_else(|| format!("invalid value {text:?}: expected \"allow\" or \"refuse\""))
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
