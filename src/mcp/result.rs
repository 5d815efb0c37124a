//! The results of tool calls: text for the reader with the same data in a structure, or an error for the model and the person who uses it.

use crate::client::{DeployError, NameConflict, SelectionError};
use crate::nats::NatsError;
use crate::text::{fitting_prefix, printable};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde::Serialize;
use std::fmt;

/// Maximum length of a message, in bytes, because it may quote the arguments.
const MAX_TEXT: usize = 2 * 1024;

/// A result with `text` and the structure `value`. `failed` marks it as an error.
pub(super) fn tool_result(text: String, value: &impl Serialize, failed: bool) -> CallToolResponse {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::to_value(value).ok();
    result.is_error = Some(failed);
    result.into()
}

impl From<ToolError> for CallToolResponse {
    fn from(error: ToolError) -> Self {
        CallToolResult::error(vec![ContentBlock::text(error.to_string())]).into()
    }
}

/// Why a call failed. It becomes a result that is marked as an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ToolError(String);

impl ToolError {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        let text = printable(text.as_ref());
        let start = fitting_prefix(&text, MAX_TEXT);
        Self(if start.len() < text.len() { format!("{start}…") } else { text })
    }

    /// An error with a message that must not be truncated.
    pub(super) fn untruncated(text: impl AsRef<str>) -> Self {
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
                Self::new(format!("unknown host {name}{near}; list_hosts shows the known hosts"))
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<NameConflict> for ToolError {
    fn from(error: NameConflict) -> Self {
        Self::new(error.to_string())
    }
}

impl From<NatsError> for ToolError {
    fn from(error: NatsError) -> Self {
        match error {
            NatsError::Disconnected { .. } => {
                Self::new(format!("{error}; `homelab-deploy mcp` keeps reconnecting: try again later"))
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<DeployError> for ToolError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Selection(error) => error.into(),
            DeployError::Nats(error) => error.into(),
            other => Self::new(other.to_string()),
        }
    }
}
