//! Logs one line for every call that changes something: who, what, and the result.

use super::result::ToolError;
use crate::client::Plan;
use crate::text::printable;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

/// A call that changes something. Its line is logged when the call ends, even if it is cancelled or the client
/// vanishes.
pub(super) struct Audit {
    tool: &'static str,
    client: String,
    what: String,
    deployment: String,
    result: String,
}

impl Audit {
    pub(super) fn new(tool: &'static str, context: &RequestContext<RoleServer>) -> Self {
        let client = context.client_info();
        let client = client.map(|client| printable(&format!("{} {}", client.name, client.version)));
        Self {
            tool,
            client: client.unwrap_or_default(),
            what: String::new(),
            deployment: String::new(),
            result: "nothing was sent".to_owned(),
        }
    }

    /// Sets what the call does.
    pub(super) fn what(&mut self, what: &impl ToString) {
        self.what = what.to_string();
    }

    /// Records that the requests were sent.
    pub(super) fn sent(&mut self, plan: &Plan) {
        self.deployment = plan.id.to_string();
        "not followed to the end; the hosts continue".clone_into(&mut self.result);
    }

    /// Records an error. If requests were sent before, the hosts continue.
    pub(super) fn failed(&mut self, error: &ToolError) {
        self.result = error.to_string();
    }

    /// Records the result.
    pub(super) fn result(&mut self, result: impl Into<String>) {
        self.result = result.into();
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Self { tool, client, what, deployment, result } = self;
        tracing::info!(tool, client, issuer = "mcp", what, deployment, result, "tool called");
    }
}
