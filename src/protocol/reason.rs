//! Why a host is held, in the words of whoever holds it.

use super::printable;

/// The longest reason, in characters: it stands in every announcement of a held host.
pub const MAX_REASON: usize = 300;

/// Why a text is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// Nothing that could be read.
    #[error("a hold must say why: the reason is empty")]
    Empty,
    /// Too long.
    #[error("a reason has at most {MAX_REASON} characters, and this one has {0}")]
    TooLong(usize),
}

/// Checks a reason and gives it without the blanks around it.
pub fn reason(text: &str) -> Result<&str, ReasonError> {
    let text = text.trim();
    match text.chars().count() {
        _ if printable(text).trim().is_empty() => Err(ReasonError::Empty),
        length if length > MAX_REASON => Err(ReasonError::TooLong(length)),
        _ => Ok(text),
    }
}
