//! The server: what it offers, and which tool a call is for.

use super::access::Access;
use super::arguments::tidy;
use super::audit::Audit;
use super::codes::Codes;
use super::confirm::Retry;
use super::deploy::{self, Planned};
use super::error::ToolError;
use super::parameters::{AdminParameters, BuildParameters, DeployParameters, Wish, read};
use super::tools::{
    BUILD, DEPLOY, DEPLOY_ADMIN, HOST_HISTORY, HOST_LOGS, HOST_STATUS, INSTRUCTIONS, LIST_HOSTS, tools,
};
use super::{build, logs, questions};
use crate::protocol::{Name, Revision, fit_start, near, printable};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ContentBlock, Implementation, JsonObject, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use std::time::Duration;

/// The most of a tool's name that is told back, in bytes.
const MAX_NAME: usize = 200;

/// The MCP server of an operator.
pub struct Server {
    /// The way with the key for the tier test.
    access: Access,
    /// The way with the admin key, where that is allowed.
    admin: Option<Access>,
    /// Whether the builder may be asked.
    builds: bool,
    /// The tier that `deploy` reaches.
    tier: Name,
    /// What is deployed where a call does not say.
    branch: Revision,
    /// How long a deployment is followed.
    patience: Duration,
    /// What persons may have agreed to.
    codes: Codes,
}

impl Server {
    /// A server whose `deploy` reaches `tier` alone; `deploy_admin` exists with `admin`, and `build` with `builds`.
    pub fn new(
        access: Access,
        admin: Option<Access>,
        builds: bool,
        tier: Name,
        branch: Revision,
        patience: Duration,
    ) -> Self {
        Self { access, admin, builds, tier, branch, patience, codes: Codes::default() }
    }

    async fn deploy(
        &self,
        arguments: Option<JsonObject>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let mut audit = Audit::new(DEPLOY, context);
        let called = async {
            let wish = read::<DeployParameters>(DEPLOY, arguments)?.wish(self.tier.clone())?;
            let planned = self.plan(wish, &self.access, &mut audit).await?;
            planned.check_subjects()?;
            planned.carry_out(self.patience, context, &mut audit).await
        };
        called.await.inspect_err(|error| audit.failed(error))
    }

    async fn deploy_admin(
        &self,
        access: &Access,
        arguments: Option<JsonObject>,
        retry: Retry,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ToolError> {
        let mut audit = Audit::new(DEPLOY_ADMIN, context);
        let called = async {
            let parameters = read::<AdminParameters>(DEPLOY_ADMIN, arguments)?;
            let (wish, confirm) = parameters.wish()?;
            let mut planned = self.plan(wish, access, &mut audit).await?;
            planned.look_up().await?;
            match planned.confirm(confirm, retry, &self.codes, context, &mut audit).await? {
                Some(question) => Ok(question),
                None => planned.carry_out(self.patience, context, &mut audit).await,
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
            build::build(&self.access, parameters, self.patience, context, &mut audit).await
        };
        called.await.inspect_err(|error| audit.failed(error))
    }

    async fn plan(&self, wish: Wish, access: &Access, audit: &mut Audit) -> Result<Planned, ToolError> {
        audit.what(&wish);
        let planned = deploy::plan(wish, access, &self.branch).await?;
        audit.what(&planned.sentence());
        Ok(planned)
    }

    fn unknown(&self, tool: &str) -> ErrorData {
        let tools = tools(self.admin.is_some(), self.builds);
        let names = tools.iter().map(|tool| tool.name.as_ref());
        let meant = near(tool, names.clone());
        let meant = if meant.is_empty() { names.collect() } else { meant };
        let tool = printable(fit_start(tool, MAX_NAME));
        ErrorData::invalid_params(
            format!("there is no tool {tool:?}; did you mean {}?", meant.join(", ")),
            None,
        )
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
        let note = arguments.as_mut().and_then(|arguments| tidy(name, arguments));
        let called = match (name, &self.admin) {
            (DEPLOY, _) => self.deploy(arguments, &context).await,
            (DEPLOY_ADMIN, Some(access)) => {
                let retry = Retry { responses: request.input_responses, state: request.request_state };
                self.deploy_admin(access, arguments, retry, &context).await
            }
            (BUILD, _) if self.builds => self.build(arguments, &context).await,
            (LIST_HOSTS, _) => questions::list_hosts(&self.access, arguments).await,
            (HOST_STATUS, _) => questions::host_status(&self.access, arguments, &context).await,
            (HOST_LOGS, _) => logs::host_logs(&self.access, arguments).await,
            (HOST_HISTORY, _) => questions::host_history(&self.access, arguments).await,
            _ => return Err(self.unknown(name)),
        };
        let mut response = called.unwrap_or_else(Into::into);
        if let (Some(note), CallToolResponse::Complete(result)) = (note, &mut response) {
            result.content.push(ContentBlock::text(note));
        }
        Ok(response)
    }

    /// Some clients ask for what is not offered, and take an error for a broken server.
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
