//! The routes, and their description, made from the types and handlers themselves.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::problem::{ErrorCode, Problem, ProblemDocument};
use crate::server::body::body_layers;
use crate::server::observe::observe;
use crate::server::openapi::{add_problems, add_request_id, describe_itself, description_router};

use super::{Orchestrator, api, ops, page};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Orchestrator",
        description = "Accepts tasks, has the planner arm plan them, and stores the plans.\n\n\
                       Every error is an RFC 9457 problem document. Every response has the header X-Request-ID."
    ),
    components(schemas(ProblemDocument<'_>)),
    tags(
        (name = "tasks", description = "From a goal to a stored plan"),
        (name = "operations", description = "For Prometheus, container runtimes and developers"),
    ),
)]
struct Description;

/// All routes and what surrounds them. Binds nothing: the server and every test use it.
pub fn router(orchestrator: Arc<Orchestrator>) -> Router {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(api::submit))
        // The route above reads a body.
        .route_layer(body_layers())
        .routes(routes!(api::list_tasks))
        .routes(routes!(api::task))
        .routes(routes!(api::cancel))
        .routes(routes!(ops::health))
        .routes(routes!(ops::ready))
        .routes(routes!(ops::metrics))
        .split_for_parts();
    describe_itself(&mut description, "operations");
    complete(&mut description);
    router
        .merge(description_router(&description))
        // Not in the description, as it is not part of the API.
        .merge(page::router())
        // Inside of what observes, so that a panic has its id, its log line and its place in the metrics.
        .layer(CatchPanicLayer::custom(|_| Problem::internal().into_response()))
        // Outermost, so that everything further in is observed and every response has its id.
        .layer(from_fn_with_state(orchestrator.clone(), observe::<Orchestrator>))
        .with_state(orchestrator)
}

/// Adds what all operations have in common: the request id, and the errors that each can end in.
fn complete(description: &mut utoipa::openapi::OpenApi) {
    description.info.version = env!("CARGO_PKG_VERSION").into();
    for (path, item) in &mut description.paths.paths {
        let codes: &[ErrorCode] = match path.as_str() {
            "/submit" => &api::SUBMIT_CODES,
            "/tasks" => &api::LIST_CODES,
            "/tasks/{id}" => &api::TASK_CODES,
            "/tasks/{id}/cancel" => &api::CANCEL_CODES,
            _ => &[],
        };
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let common = [ErrorCode::MethodNotAllowed, ErrorCode::InternalError];
            add_problems(operation, codes.iter().chain(&common), headers_with);
            add_request_id(operation);
        }
    }
}

fn headers_with(code: ErrorCode) -> &'static [(&'static str, &'static str)] {
    match code {
        ErrorCode::MethodNotAllowed => &[("Allow", "Methods that the path supports")],
        ErrorCode::Overloaded | ErrorCode::DatabaseUnavailable => &[("Retry-After", "Seconds to wait")],
        _ => &[],
    }
}
