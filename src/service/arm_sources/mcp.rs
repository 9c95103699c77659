//! The tools of MCP servers.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, PaginatedRequestParams, Tool};
use rmcp::service::{NotificationContext, Peer};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio::time::timeout;
use url::Url;

use super::describe;
use super::reader::{FoundTool, MAX_BYTES, MAX_TOOLS};

/// How long a server may take to end a session.
const END_TIME: Duration = Duration::from_secs(1);

/// This program as a client of MCP servers.
#[derive(Clone, Default)]
pub(super) struct McpClient {
    /// Told when the server says that its tools have changed.
    pub(super) changes: Arc<Notify>,
}

impl ClientHandler for McpClient {
    fn get_info(&self) -> ClientConfig {
        let client = Implementation::new("planner-arm", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), client)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.notify_one();
    }
}

/// The tools of the server at `url`, in a session of their own.
pub(super) async fn tools_at(
    url: &Url,
    token: Option<&SecretString>,
    client: reqwest::Client,
) -> Result<Vec<FoundTool>, String> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
        .max_json_response_size(MAX_BYTES)
        .max_sse_event_size(MAX_BYTES);
    if let Some(token) = token {
        config = config.auth_header(token.expose_secret());
    }
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let session = McpClient::default().serve(transport).await.map_err(|error| describe::start(&error))?;
    let tools = tools_of(session.peer()).await;
    let _ = timeout(END_TIME, session.cancel()).await;
    tools
}

/// The tools that a server lists, page by page.
pub(super) async fn tools_of(server: &Peer<RoleClient>) -> Result<Vec<FoundTool>, String> {
    let mut tools = Vec::new();
    let mut cursor = None;
    loop {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = server.list_tools(Some(params)).await.map_err(|error| describe::listing(&error))?;
        tools.extend(page.tools.into_iter().map(FoundTool::from));
        cursor = page.next_cursor;
        // One more than are taken, so that it is seen that there are more.
        if cursor.is_none() || tools.len() > MAX_TOOLS {
            return Ok(tools);
        }
    }
}

impl From<Tool> for FoundTool {
    fn from(tool: Tool) -> Self {
        let description = tool.description.map(std::borrow::Cow::into_owned).or(tool.title);
        // What a tool takes and returns are names of arguments, and no types that tools share.
        Self {
            name: tool.name.into_owned(),
            description: description.unwrap_or_default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }
}
