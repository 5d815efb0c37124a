//! Why a call brought nothing, in a sentence for the model and the person behind it.

use crate::bus::LinkError;
use crate::deployer::{DeployError, SelectionError};
use crate::protocol::{fit_start, printable};
use std::fmt;

/// The most a sentence may take, in bytes: it may quote what came with the call.
const MAX_TEXT: usize = 2 * 1024;

/// Why a call brought nothing. It becomes a result that is marked as an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToolError(String);

impl ToolError {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        let text = printable(text.as_ref());
        let start = fit_start(&text, MAX_TEXT);
        Self(if start.len() < text.len() { format!("{start}…") } else { text })
    }

    /// One of which nothing may be left out.
    pub(super) fn whole(text: impl AsRef<str>) -> Self {
        Self(printable(text.as_ref()))
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SelectionError> for ToolError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::UnknownHost { name, near } => {
                let near = if near.is_empty() {
                    String::new()
                } else {
                    format!(" (did you mean {}?)", near.join(", "))
                };
                Self::new(format!("no host {name} answers or is known{near}; list_hosts lists them"))
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<LinkError> for ToolError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Down { .. } => {
                Self::new(format!("{error}; it is tried again all the time, call again later"))
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<DeployError> for ToolError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Selection(error) => error.into(),
            DeployError::Link(error) => error.into(),
            other => Self::new(other.to_string()),
        }
    }
}
