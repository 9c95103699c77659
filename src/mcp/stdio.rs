//! The tools over standard input and output, one JSON-RPC message a line.

use std::pin::pin;
use std::sync::Arc;

use rmcp::model::JsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage};
use rmcp::transport::io::stdio_pipes;
use rmcp::transport::{IntoTransport, Transport};
use rmcp::{RoleServer, ServiceExt};

use crate::server::lifecycle::Phase;
use crate::service::PlannerService;

use super::McpServer;

/// Serves the one client until it closes standard input, or `stop` resolves. Calls in flight may finish within five
/// seconds after the end of the input; after `stop` they are answered with `shutting_down`.
///
/// # Errors
/// When the client does not start as the protocol demands, or cannot be written to.
pub(crate) async fn serve(
    service: Arc<PlannerService>,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let mut stop = pin!(stop);
    service.lifecycle.enter(Phase::Serving);
    let client = FromFirstRequest { pipes: stdio_pipes().into_transport(), has_begun: false };
    let started = tokio::select! {
        started = McpServer::new(service.clone()).serve(client) => started,
        () = &mut stop => return Ok(()),
    };
    let serving = match started {
        Ok(serving) => serving,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(start_error(&error)),
    };
    let cancellation = serving.cancellation_token();
    let mut ended = pin!(serving.waiting());
    let ended = tokio::select! {
        ended = &mut ended => ended,
        () = stop => {
            service.lifecycle.enter(Phase::Aborting);
            cancellation.cancel();
            ended.await
        }
    };
    ended.map(drop).map_err(|error| format!("serving ended with an internal error: {error}"))
}

/// A transport without what comes before the first request and cannot be answered: a notification or a response would
/// end the library's start.
struct FromFirstRequest<T> {
    pipes: T,
    has_begun: bool,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for FromFirstRequest<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.pipes.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.pipes.receive().await?;
            self.has_begun |= matches!(message, JsonRpcMessage::Request(_));
            if self.has_begun {
                return Some(message);
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.pipes.close()
    }
}

/// The library's own message would quote the client.
fn start_error(error: &ServerInitializeError) -> String {
    match error {
        ServerInitializeError::TransportError { .. } => "cannot write to the client; is it still running?",
        _ => "the client did not start with initialize or a request; is it an MCP client?",
    }
    .into()
}
