//! Names and ids: the tokens of subjects.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The maximum length of a token, in characters.
const MAX_TOKEN: usize = 63;

/// The tokens with a special meaning in subjects, which cannot be names.
const RESERVED: [&str; 6] = ["all", "role", "discover", "responses", "ask", "presence"];

/// An invalid name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The string does not match `[A-Za-z0-9_-]{1,63}`.
    #[error("{0:?} is not a name: use 1 to 63 letters, digits, `_` or `-`")]
    NotAToken(String),
    /// The string is a token with a special meaning in subjects.
    #[error("{0:?} is a reserved word and cannot be a name")]
    Reserved(String),
    /// The id starts with `-` or `_`.
    #[error("{0:?} is not an id: it must start with a letter or digit")]
    BadStart(String),
}

fn check(text: &str) -> Result<(), NameError> {
    let token = !text.is_empty()
        && text.len() <= MAX_TOKEN
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !token {
        // The message repeats only the start of the string, which may be long.
        return Err(NameError::NotAToken(text.chars().take(MAX_TOKEN).collect()));
    }
    if RESERVED.contains(&text) {
        return Err(NameError::Reserved(text.to_owned()));
    }
    Ok(())
}

fn check_id(text: &str) -> Result<(), NameError> {
    check(text)?;
    if text.starts_with(['-', '_']) {
        return Err(NameError::BadStart(text.to_owned()));
    }
    Ok(())
}

/// Declares a validated string type. A fleet has each name many times, and most names fit into `CompactString` without
/// an allocation.
macro_rules! token {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "CompactString", into = "CompactString")]
        pub struct $name(CompactString);

        impl $name {
            /// Validates the string.
            pub fn new(text: impl Into<CompactString>) -> Result<Self, NameError> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The string itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = NameError;
            fn try_from(text: CompactString) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl From<$name> for CompactString {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

token! {
    /// The name of a host, tier, role or repository.
    Name, check
}

token! {
    /// The id of a job, a deployment or a query: a name that starts with a letter or digit.
    Id, check_id
}
