//! The MCP server: lists the tools and dispatches calls.

use super::audit::Audit;
use super::batches::{BatchStreams, streams};
use super::client::FleetClient;
use super::confirm::Retry;
use super::confirmation_codes::ConfirmationCodes;
use super::deploy::{self, PlannedDeployment};
use super::parameters::{AdminParameters, BuildParameters, DeployParameters, DeploySpec, normalize, read};
use super::result::ToolError;
use super::tools::{
    BUILD, DEPLOY, DEPLOY_ADMIN, HOST_HISTORY, HOST_LOGS, HOST_STATUS, INSTRUCTIONS, LIST_HOSTS, tools,
};
use super::{build, logs, query_tools};
use crate::protocol::{Name, Revision};
use crate::text::{closest_matches, fitting_prefix, printable};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ContentBlock, Implementation, JsonObject, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use std::time::Duration;

/// Maximum length of a quoted tool name, in bytes.
const MAX_NAME: usize = 200;

/// Why a session could not start.
#[derive(Debug, thiserror::Error)]
#[error("no MCP client on standard input: {0}; an MCP client starts this command, see docs/mcp.md")]
pub struct NoSession(Box<ServerInitializeError>);

/// The MCP server of an operator.
pub struct Server {
    /// Access with the key for the tier `tier`.
    client: FleetClient,
    /// Access with the admin key, if it is allowed.
    admin: Option<FleetClient>,
    /// Whether the tool `build` is available.
    builds: bool,
    /// The tier that `deploy` is limited to.
    tier: Name,
    /// The revision to deploy if a call names none.
    branch: Revision,
    /// How long a deployment is followed.
    follow_timeout: Duration,
    /// The codes for confirmations.
    codes: ConfirmationCodes,
}

impl Server {
    /// A server whose `deploy` is limited to `tier`. `admin` enables `deploy_admin`, and `builds` enables `build`.
    pub fn new(
        client: FleetClient,
        admin: Option<FleetClient>,
        builds: bool,
        tier: Name,
        branch: Revision,
        follow_timeout: Duration,
    ) -> Self {
        Self { client, admin, builds, tier, branch, follow_timeout, codes: ConfirmationCodes::default() }
    }

    async fn deploy(
        &self,
        arguments: Option<JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let mut audit = Audit::new(DEPLOY, context);
        let called = async {
            let spec = read::<DeployParameters>(DEPLOY, arguments)?.into_spec(self.tier.clone())?;
            let mut planned = self.plan(spec, &self.client, &mut audit).await?;
            planned.check_subjects()?;
            planned.execute(self.follow_timeout, context, &mut audit).await
        };
        called.await.inspect_err(|error| audit.failed(error))
    }

    async fn deploy_admin(
        &self,
        client: &FleetClient,
        arguments: Option<JsonObject>,
        retry: Retry,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let mut audit = Audit::new(DEPLOY_ADMIN, context);
        let called = async {
            let parameters = read::<AdminParameters>(DEPLOY_ADMIN, arguments)?;
            let (spec, confirm) = parameters.into_spec()?;
            let mut planned = self.plan(spec, client, &mut audit).await?;
            planned.pin_revision().await?;
            match planned.confirm(confirm, retry, &self.codes, context, &mut audit).await? {
                Some(question) => Ok(question),
                None => planned.execute(self.follow_timeout, context, &mut audit).await,
            }
        };
        called.await.inspect_err(|error| audit.failed(error))
    }

    async fn build(
        &self,
        arguments: Option<JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let mut audit = Audit::new(BUILD, context);
        let called = async {
            let parameters = read::<BuildParameters>(BUILD, arguments)?;
            build::build(&self.client, parameters, self.follow_timeout, context, &mut audit).await
        };
        called.await.inspect_err(|error| audit.failed(error))
    }

    async fn plan(
        &self,
        spec: DeploySpec,
        client: &FleetClient,
        audit: &mut Audit,
    ) -> Result<PlannedDeployment, ToolError> {
        audit.what(&spec);
        let planned = deploy::plan(spec, client, &self.branch).await?;
        audit.what(&planned.description());
        Ok(planned)
    }

    fn unknown(&self, tool: &str) -> ErrorData {
        let tools = tools(self.admin.is_some(), self.builds);
        let names = tools.iter().map(|tool| tool.name.as_ref());
        let meant = closest_matches(tool, names.clone());
        let meant = if meant.is_empty() { names.collect() } else { meant };
        let tool = printable(fitting_prefix(tool, MAX_NAME));
        ErrorData::invalid_params(format!("unknown tool {tool:?}; did you mean {}?", meant.join(", ")), None)
    }

    /// Serves the client on standard input and output until it disconnects.
    pub async fn run(self) -> Result<(), NoSession> {
        let (input, output) = stdio_pipes();
        let BatchStreams { inner, written } = streams(input, output);
        match Box::pin(self.serve(inner)).await {
            Ok(session) => {
                drop(session.waiting().await);
                // Writing fails if the client is gone.
                let _ = written.await;
            }
            // A client that disconnects before the first message is not an error.
            Err(ServerInitializeError::ConnectionClosed(_)) => {}
            Err(error) => return Err(NoSession(Box::new(error))),
        }
        tracing::debug!("client disconnected");
        Ok(())
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new("homelab-deploy", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools(self.admin.is_some(), self.builds)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (name, mut arguments) = (request.name.as_ref(), request.arguments);
        let note = arguments.as_mut().and_then(|arguments| normalize(name, arguments));
        let called = match (name, &self.admin) {
            (DEPLOY, _) => self.deploy(arguments, &context).await,
            (DEPLOY_ADMIN, Some(client)) => {
                let retry = Retry { responses: request.input_responses, state: request.request_state };
                self.deploy_admin(client, arguments, retry, &context).await
            }
            (BUILD, _) if self.builds => self.build(arguments, &context).await,
            (LIST_HOSTS, _) => query_tools::list_hosts(&self.client, arguments).await,
            (HOST_STATUS, _) => query_tools::host_status(&self.client, arguments, &context).await,
            (HOST_LOGS, _) => logs::host_logs(&self.client, arguments).await,
            (HOST_HISTORY, _) => query_tools::host_history(&self.client, arguments).await,
            _ => return Err(self.unknown(name)),
        };
        let mut response = called.unwrap_or_else(Into::into);
        if let (Some(note), CallToolResponse::Complete(result)) = (note, &mut response) {
            result.content.push(ContentBlock::text(note));
        }
        Ok(response)
    }

    /// Some clients request resources and prompts although they are not offered, and treat an error as a broken server.
    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::default())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::default())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::default())
    }
}
