//! What a call brings back: text for whoever reads it, and the same in a structure with a schema.

use super::error::ToolError;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock};
use serde::Serialize;

/// A result that tells `text` and holds `value`. `failed` marks one that tells of a failure.
pub(super) fn answer(text: String, value: &impl Serialize, failed: bool) -> CallToolResponse {
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
