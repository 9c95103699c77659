//! An MCP server whose tools change, which is slow, and which is killed and restarted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::lock;

/// Names and descriptions of its tools, and how long it takes to list them.
#[derive(Clone, Default)]
pub struct Tools(Arc<Mutex<(NamesAndDescriptions, Duration)>>);

type NamesAndDescriptions = Vec<(String, String)>;

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (tools, wait) = lock(&self.0).clone();
        tokio::time::sleep(wait).await;
        let tool = |(name, description): (String, String)| {
            Tool::new(
                name,
                description,
                Arc::new(serde_json::Map::from_iter([("type".into(), "object".into())])),
            )
        };
        Ok(ListToolsResult::with_all_items(tools.into_iter().map(tool).collect()))
    }
}

pub struct McpServer {
    tools: Tools,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl McpServer {
    pub async fn start(tools: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let known = Tools::default();
        let server = Self { serving: serve(listener, known.clone()), tools: known, address };
        server.set_tools(tools);
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub fn set_tools(&self, tools: &[(&str, &str)]) {
        let owned = tools.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned()));
        lock(&self.tools.0).0 = owned.collect();
    }

    /// How long it takes from now on to list its tools.
    pub fn set_wait(&self, wait: Duration) {
        lock(&self.tools.0).1 = wait;
    }

    /// Ends it with all its connections.
    pub async fn kill(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// Starts it again at the same address.
    pub async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.serving = serve(listener, self.tools.clone());
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn serve(listener: TcpListener, tools: Tools) -> JoinHandle<()> {
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(
        move || Ok(tools.clone()),
        sessions,
        StreamableHttpServerConfig::default(),
    );
    let router = axum::Router::new().nest_service("/mcp", service);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") })
}
