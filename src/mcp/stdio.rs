//! The tools on standard input and output, one JSON-RPC message a line.

use std::pin::pin;
use std::sync::Arc;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;

use crate::server::lifecycle::Phase;
use crate::service::PlannerService;

use super::McpServer;

/// Serves the one client until it closes standard input, or `stop` resolves. Calls in flight have a moment then: at
/// the end of the input five seconds to be answered as usual, otherwise to be answered that the service stops.
///
/// # Errors
/// When the client does not begin as the protocol has it, or cannot be written to.
pub(crate) async fn serve(
    service: Arc<PlannerService>,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut stop = pin!(stop);
    service.lifecycle.enter(Phase::Serving);
    let begun = tokio::select! {
        begun = McpServer::new(service.clone()).serve(stdio_pipes()) => begun,
        () = &mut stop => return Ok(()),
    };
    let serving = match begun {
        Ok(serving) => serving,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(begun_wrong(&error)),
    };
    let cancellation = serving.cancellation_token();
    let mut ended = pin!(serving.waiting());
    let ended = tokio::select! {
        ended = &mut ended => ended,
        () = stop => {
            service.lifecycle.enter(Phase::Over);
            cancellation.cancel();
            ended.await
        }
    };
    ended.map(drop).map_err(|error| format!("serving ended with a fault of this program: {error}"))
}

/// The library's own words would quote the client.
fn begun_wrong(error: &ServerInitializeError) -> String {
    match error {
        ServerInitializeError::TransportError { .. } => "the client cannot be written to; is it still there?",
        _ => "the client began with something else than initialize or a request; is it an MCP client?",
    }
    .into()
}
