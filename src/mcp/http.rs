//! The tools over HTTP, at `/mcp`: the protocol's streamable HTTP transport.
//!
//! Without sessions, so that any replica answers any request and none has to be ended when a replica stops: each
//! message is a request of its own. It is answered with JSON, or with a stream of events when the client wants
//! progress and accepts events. Refusals are JSON-RPC errors with the problem document as `data`, since that is what
//! clients of the protocol read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use rmcp::model::{ErrorData, JsonRpcError};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::domain::problem::Problem;
use crate::headers::list_entries;
use crate::server::body::{MAX_BODY_BYTES, body_layers, has_media_type, read_body, require_json};
use crate::server::observe::{CustomErrorBody, StreamOutcome};
use crate::server::problem::of_response;
use crate::server::request::{RequestContext, deadline};
use crate::service::PlannerService;
use crate::service::reply::PlanMetadata;
use crate::telemetry::traces;

use super::McpServer;
use super::call::CallContext;

type Transport = StreamableHttpService<McpServer, NeverSessionManager>;

/// What the transport demands that clients accept.
const BOTH_MEDIA_TYPES: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The route `/mcp`.
pub(crate) fn routes(service: &Arc<PlannerService>) -> Router<Arc<PlannerService>> {
    let server = McpServer::new(service.clone());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        // Containers and clusters give a service many names. `check_origin` keeps foreign pages out.
        .disable_allowed_hosts();
    let transport = Transport::new(move || Ok(server.clone()), Arc::default(), config);
    let answer = move |state, context, request| answer(transport.clone(), state, context, request);
    let route = routing::post(answer).layer(body_layers()).layer(middleware::from_fn(refuse_in_json_rpc));
    Router::new().route("/mcp", route)
}

async fn answer(
    transport: Transport,
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    service.check_origin(headers)?;
    let caller = service.authorize(&request)?;
    require_json(headers)?;
    let trace = traces::extract(headers);
    let deadline = deadline(headers, context.arrived, service.timeout).map_err(|fault| vec![fault])?;
    let accepts_events = accepts_events(headers);
    let (mut parts, body) = request.into_parts();
    let body = read_body(body, deadline).await?;
    parts.headers.insert(ACCEPT, BOTH_MEDIA_TYPES);
    parts.extensions.insert(CallContext { caller, deadline, context, trace, accepts_events });
    let response = transport.handle(Request::from_parts(parts, Full::new(body.clone()))).await;
    Ok(adapted(response.map(Body::new), &body).await)
}

/// The transport's response in the form that the middleware around it expects.
async fn adapted(response: Response, request: &Bytes) -> Response {
    let is_json = has_media_type(response.headers(), "application/json");
    if response.status().is_client_error() {
        let mut response = if is_json { response } else { transport_error(response, request).await };
        response.extensions_mut().insert(CustomErrorBody);
        return response;
    }
    if has_media_type(response.headers(), "text/event-stream") {
        return observed_to_its_end(response);
    }
    response
}

/// The JSON-RPC error for a message that the transport refuses in plain text.
async fn transport_error(response: Response, request: &Bytes) -> Response {
    let (parts, body) = response.into_parts();
    let error = if parts.status != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let text = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        ErrorData::invalid_request(String::from_utf8_lossy(&text).into_owned(), None)
    } else if serde_json::from_slice::<IgnoredAny>(request).is_err() {
        ErrorData::parse_error("The body is not valid JSON.", None)
    } else {
        ErrorData::invalid_request(
            "The body must be one JSON-RPC 2.0 message, at most 128 levels deep.",
            None,
        )
    };
    (StatusCode::BAD_REQUEST, axum::Json(JsonRpcError::new(None, error))).into_response()
}

/// Presents what is refused before a message is read (origin, token, media type, size, method) as a JSON-RPC error.
/// Status and headers stay those of the problem.
async fn refuse_in_json_rpc(
    Extension(context): Extension<RequestContext>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(problem) = of_response(&response) {
        let data = json!(problem.document(context.id()));
        let error = ErrorData::invalid_request(problem.detail.clone(), Some(data));
        *response.body_mut() = axum::Json(JsonRpcError::new(None, error)).into_response().into_body();
        let headers = response.headers_mut();
        headers.remove(http::header::CONTENT_LENGTH);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.extensions_mut().insert(problem);
        response.extensions_mut().insert(CustomErrorBody);
    }
    response
}

/// A stream is observed when it ends, not when it begins.
fn observed_to_its_end(response: Response) -> Response {
    let outcome = StreamOutcome::<PlanMetadata>::default();
    let at_end = outcome.clone();
    let last = stream::once(async move { at_end.set(None, None) }).filter_map(|()| future::ready(None));
    let mut response = response.map(|body| Body::from_stream(body.into_data_stream().chain(last)));
    response.extensions_mut().insert(outcome);
    response
}

/// Whether the client can read a stream of events. One that names no media type is taken for a plain HTTP client.
fn accepts_events(headers: &HeaderMap) -> bool {
    list_entries(headers, ACCEPT)
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/event-stream"))
}
