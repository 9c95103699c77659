//! The Model Context Protocol (MCP): the planner as a tool of agent hosts.
//!
//! A tool does what the API does. Errors that a model can act on are results, with the API's own problem document;
//! protocol errors are for violations of the protocol.

mod arguments;
mod call;
pub(crate) mod http;
mod schema;
pub(crate) mod stdio;
mod tools;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorCode, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;

use crate::service::PlannerService;

use call::ToolCall;
use tools::PlannerTool;

/// Offers the planner's tools, over any transport.
#[derive(Clone)]
pub(crate) struct McpServer {
    service: Arc<PlannerService>,
    offer: Arc<Offer>,
}

/// What the server announces to clients, made once.
struct Offer {
    config: ServerConfig,
    tools: Vec<Tool>,
}

impl McpServer {
    pub(crate) fn new(service: Arc<PlannerService>) -> Self {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let server = Implementation::new("planner-arm", env!("CARGO_PKG_VERSION")).with_title("Planner arm");
        let config =
            ServerConfig::new(capabilities).with_server_info(server).with_instructions(tools::INSTRUCTIONS);
        let tools = tools::all(&service);
        Self { service, offer: Arc::new(Offer { config, tools }) }
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        self.offer.config.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.offer.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.offer.tools.clone()))
    }

    /// Answers what the library does not recognise: an unknown method, or invalid parameters of a known one.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let call = request.params.as_ref().filter(|_| request.method == "tools/call");
        if let Some(call) = call.and_then(arguments::call_in_text)
            && let CallToolResponse::Complete(result) = self.call_tool(call, context).await?
        {
            return Ok(CustomResult::new(json!(result)));
        }
        Err(match request.method.as_str() {
            "tools/call" => ErrorData::invalid_params(
                "`params` of tools/call must be an object with `name`, a string, and `arguments`, an object.",
                None,
            ),
            "initialize" => ErrorData::invalid_params(
                "`params` of initialize must be an object with `protocolVersion`, `capabilities` and `clientInfo`.",
                None,
            ),
            method => {
                let method = crate::text::shorten(method, 40);
                let message = format!("The method `{method}` does not exist; use tools/list or tools/call.");
                ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
            }
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = PlannerTool::named(&request.name) else {
            let name = crate::text::shorten(&request.name, 40);
            let message = format!("The tool `{name}` does not exist; tools/list lists those that do.");
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut arguments = request.arguments.unwrap_or_default();
        if let Some(tool) = self.get_tool(tool.name()) {
            arguments::decode(&mut arguments, &tool.input_schema);
            arguments::name_arms(&mut arguments, &self.service.planner.registry());
        }
        ToolCall::new(self.service.clone(), tool, &context).answer(arguments, context).await
    }
}
