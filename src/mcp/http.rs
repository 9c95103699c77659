//! The tools over HTTP, at `/mcp`: the protocol's streamable HTTP transport.
//!
//! Without sessions, so that any replica answers any request and none has to be ended when a replica stops: each
//! message is a request of its own, answered with JSON, or with a stream of events where progress is told of.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use http::header::{ACCEPT, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::uri::Authority;
use http_body_util::{BodyExt, Full};
use rmcp::model::{ErrorData, JsonRpcError};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;

use crate::domain::problem::{ErrorCode, Problem};
use crate::headers::words;
use crate::server::observe::{CustomErrorBody, StreamEnd};
use crate::server::request::{MAX_BODY_BYTES, RequestBody, RequestContext, deadline, has_media_type, peer};
use crate::service::PlannerService;
use crate::service::auth::authorize;
use crate::service::reply::PlanMetadata;

use crate::telemetry::traces;

use super::McpServer;
use super::call::CallContext;

type Transport = StreamableHttpService<McpServer, NeverSessionManager>;

/// The route `/mcp`.
pub(crate) fn routes(service: &Arc<PlannerService>) -> Router<Arc<PlannerService>> {
    let server = McpServer::new(service.clone());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        // Containers and clusters give a service many names. What the check is for is done in `page_may_call`.
        .disable_allowed_hosts();
    let transport = Transport::new(move || Ok(server.clone()), Arc::default(), config);
    let answer = move |state, context, request| answer(transport.clone(), state, context, request);
    Router::new().route("/mcp", routing::post(answer))
}

async fn answer(
    transport: Transport,
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    if !page_may_call(headers, &service.cors_allowed_origins) {
        return Err(Problem::new(
            ErrorCode::OriginNotAllowed,
            "Pages of this origin may not call; name it in PLANNER_CORS_ALLOWED_ORIGINS if they should.",
        ));
    }
    let caller = authorize(headers, peer(&request), &service.auth_tokens)?;
    if !accepts_both(headers) {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            "MCP needs a client that takes both: send the header Accept: application/json, text/event-stream.",
        ));
    }
    let trace = traces::caller(headers);
    let deadline = deadline(headers, context.arrived, service.timeout).map_err(|fault| vec![fault])?;
    let (mut parts, body) = request.into_parts();
    let body = RequestBody::json(&parts.headers, body)?.read(deadline).await?;
    parts.extensions.insert(CallContext { caller, deadline, context, trace });
    let response = transport.handle(Request::from_parts(parts, Full::new(body.clone()))).await;
    Ok(finished(response.map(Body::new), &body).await)
}

/// The transport's response, as the middleware around it takes it.
async fn finished(response: Response, request: &Bytes) -> Response {
    let is_json = has_media_type(response.headers(), "application/json");
    if response.status().is_client_error() {
        let mut response = if is_json { response } else { in_json_rpc(response, request).await };
        response.extensions_mut().insert(CustomErrorBody);
        return response;
    }
    if has_media_type(response.headers(), "text/event-stream") {
        return observed_to_its_end(response);
    }
    response
}

/// The transport says in bare words what it cannot take; clients read JSON-RPC.
async fn in_json_rpc(response: Response, request: &Bytes) -> Response {
    let (parts, body) = response.into_parts();
    let error = if parts.status != http::StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let words = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        ErrorData::invalid_request(String::from_utf8_lossy(&words).into_owned(), None)
    } else if serde_json::from_slice::<IgnoredAny>(request).is_err() {
        ErrorData::parse_error("The body is not valid JSON.", None)
    } else {
        ErrorData::invalid_request(
            "The body must be one JSON-RPC 2.0 message, at most 128 levels deep.",
            None,
        )
    };
    (http::StatusCode::BAD_REQUEST, axum::Json(JsonRpcError::new(None, error))).into_response()
}

/// A stream is over when it ends, not when it begins.
fn observed_to_its_end(response: Response) -> Response {
    let end = StreamEnd::<PlanMetadata>::default();
    let said = end.clone();
    let last = stream::once(async move { said.set(None, None) }).filter_map(|()| future::ready(None));
    let mut response = response.map(|body| Body::from_stream(body.into_data_stream().chain(last)));
    response.extensions_mut().insert(end);
    response
}

/// Whether the page that sends a request, if it is one, may: because it was said so, or because this service itself
/// is where it comes from. That is believed of an address only. Any name can be made to point here, by whoever owns
/// it, once a browser has loaded a page from it (DNS rebinding).
fn page_may_call(headers: &HeaderMap, allowed: &[HeaderValue]) -> bool {
    headers.get_all(ORIGIN).iter().all(|origin| {
        let own = || {
            let (_, authority) = origin.to_str().ok()?.split_once("://")?;
            let is_own = headers.get(HOST)?.as_bytes() == authority.as_bytes();
            Some(is_own && is_address(authority))
        };
        allowed.contains(origin) || own().unwrap_or(false)
    })
}

/// Whether `authority` names this machine without asking anybody.
fn is_address(authority: &str) -> bool {
    authority.parse::<Authority>().is_ok_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    })
}

/// Whether the client takes JSON as well as events, as the protocol demands of it.
fn accepts_both(headers: &HeaderMap) -> bool {
    let ranges: Vec<&str> =
        words(headers, ACCEPT).filter_map(|range| range.split(';').next()).map(str::trim).collect();
    ["application/json", "text/event-stream"]
        .iter()
        .all(|media_type| ranges.iter().any(|range| range.eq_ignore_ascii_case(media_type)))
}
