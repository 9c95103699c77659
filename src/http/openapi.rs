//! The API's description, made from the types and handlers themselves.

use std::sync::Arc;

use axum::{Router, routing};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ArrayItems, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::arms::Arm;
use crate::domain::problem::{ErrorCode, ProblemDocument};
use crate::server::body::body_layers;
use crate::server::openapi::{add_problems, add_request_id, describe_itself, description_router};
use crate::service::PlannerService;

use super::examples::add_examples;
use super::observe::PLANNING_ROUTES;
use super::{arms, docs, ops, page, plan, playbooks, replan, validate};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Planner arm",
        description = "Breaks a goal down into a valid plan: known arms, acyclic dependencies, checkable criteria, costs and durations.\n\n\
                       Every error is an RFC 9457 problem document. Every response has the header X-Request-ID."
    ),
    components(schemas(ProblemDocument<'_>)),
    tags(
        (name = "planning", description = "From a goal to a plan"),
        (name = "operations", description = "For orchestrators, Prometheus and container runtimes"),
        (name = "documentation", description = "The API itself"),
    ),
)]
struct Description;

/// The routes, and `/openapi.json` that describes them.
pub(crate) fn api_router() -> Router<Arc<PlannerService>> {
    let (router, mut api) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(plan::create_plan))
        .routes(routes!(replan::replan))
        .routes(routes!(validate::validate))
        // The routes above read bodies.
        .route_layer(body_layers())
        .routes(routes!(arms::list_arms))
        .routes(routes!(playbooks::list_playbooks))
        .routes(routes!(ops::health))
        .routes(routes!(ops::ready))
        .routes(routes!(ops::metrics))
        .routes(routes!(ops::capabilities))
        .routes(routes!(docs::page))
        .split_for_parts();
    describe_itself(&mut api, "documentation");
    complete(&mut api);
    add_examples(&mut api);
    router
        .route("/docs/{name}", routing::get(docs::page_asset))
        .merge(description_router(&api))
        // Not in the description, as it is not part of the API.
        .merge(page::router())
}

/// Adds what all operations have in common: the request id, and the errors that each can end in.
fn complete(api: &mut utoipa::openapi::OpenApi) {
    api.info.version = env!("CARGO_PKG_VERSION").into();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    api.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    describe_like_plan(api, "/replan");
    describe_arms(api);
    for (path, item) in &mut api.paths.paths {
        let codes: &[ErrorCode] = match path.as_str() {
            path if PLANNING_ROUTES.contains(&path) => &ErrorCode::ALL,
            "/validate" => &validate::CODES,
            "/arms" | "/playbooks" => &[ErrorCode::Unauthorized, ErrorCode::InternalError],
            _ => &[ErrorCode::InternalError],
        };
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            // Described paths exist.
            let codes = codes.iter().filter(|code| **code != ErrorCode::NotFound);
            add_problems(operation, codes, headers_with);
            add_request_id(operation);
        }
    }
}

/// Describes arms as requests may have them: other than in the settings file, unknown fields are ignored. Names and
/// phrases are not blank.
fn describe_arms(api: &mut utoipa::openapi::OpenApi) {
    let arm = api.components.get_or_insert_default().schemas.get_mut(&*Arm::name());
    let Some(RefOr::T(Schema::Object(arm))) = arm else { return };
    arm.additional_properties = None;
    for property in arm.properties.values_mut() {
        if let RefOr::T(Schema::Array(list)) = property {
            list.items = ArrayItems::RefOrSchema(Box::new(
                ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"\S")).into(),
            ));
        }
    }
}

/// Gives the operation at `path` what it has in common with `/plan`: the response, and the parameters but
/// `Cache-Control`, since only `/plan` is cached.
fn describe_like_plan(api: &mut utoipa::openapi::OpenApi, path: &str) {
    let plan = api.paths.paths.get("/plan").and_then(|item| item.post.clone());
    let operation = api.paths.paths.get_mut(path).and_then(|item| item.post.as_mut());
    if let (Some(plan), Some(operation)) = (plan, operation) {
        let is_shared = |parameter: &RefOr<Parameter>| !matches!(parameter, RefOr::T(parameter) if parameter.name == "Cache-Control");
        operation.parameters =
            plan.parameters.map(|parameters| parameters.into_iter().filter(is_shared).collect());
        operation.responses.responses.extend(plan.responses.responses);
    }
}

/// The headers of a problem with this code, and their descriptions.
fn headers_with(code: ErrorCode) -> &'static [(&'static str, &'static str)] {
    const RETRY: (&str, &str) = ("Retry-After", "Seconds to wait before a retry, if known");
    const LEFT: (&str, &str) = ("RateLimit", "What is left of the caller's rate limit, if one is configured");
    const POLICY: (&str, &str) = ("RateLimit-Policy", "The caller's rate limit, if one is configured");
    const ENGINE: (&str, &str) = ("X-Planner-Engine", "The engine in use: openai or embedded");
    const MODEL: (&str, &str) = ("X-Planner-Model", "The model that was called");
    const CACHE: (&str, &str) = ("X-Planner-Cache", "How the cache was used, as for a plan");
    const ATTEMPTS: (&str, &str) = ("X-Planner-Attempts", "Number of LLM calls");
    match code {
        ErrorCode::Unauthorized => &[("WWW-Authenticate", "Always Bearer")],
        ErrorCode::MethodNotAllowed => &[("Allow", "Methods that the path supports")],
        ErrorCode::RateLimited | ErrorCode::Overloaded => &[RETRY, LEFT, POLICY],
        ErrorCode::ShuttingDown => &[RETRY],
        ErrorCode::LlmUnavailable | ErrorCode::BudgetExhausted => {
            &[RETRY, LEFT, POLICY, ENGINE, MODEL, CACHE, ATTEMPTS]
        }
        ErrorCode::LlmFailed | ErrorCode::PlanInvalid | ErrorCode::DeadlineExceeded => {
            &[LEFT, POLICY, ENGINE, MODEL, CACHE, ATTEMPTS]
        }
        _ => &[],
    }
}
