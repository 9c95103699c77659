//! Metrics, log lines and traces of the planner's requests.

use std::any::Any;

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http::Method;
use opentelemetry::Context;
use tracing::{debug, info};

use crate::domain::problem::Problem;
use crate::server::lifecycle::Phase;
use crate::server::observe::{CompletedRequest, RequestObserver};
use crate::service::PlannerService;
use crate::service::reply::{PlanMetadata, outcome};
use crate::service::span;
use crate::telemetry::traces;

/// The routes that make plans.
pub(super) const PLANNING_ROUTES: [&str; 2] = ["/plan", "/replan"];

impl RequestObserver for PlannerService {
    type Metadata = PlanMetadata;

    fn trace(&self, path: Option<&MatchedPath>, request: &Request) -> Option<Context> {
        let caller = traces::extract(request.headers());
        let is_planning = |route: &&&str| path.is_some_and(|path| path.as_str() == **route);
        match PLANNING_ROUTES.iter().find(is_planning) {
            Some(route) if request.method() == Method::POST => span::begin(&self.traces, caller, route),
            _ => caller,
        }
    }

    fn closes_connections(&self) -> bool {
        self.lifecycle.phase() > Phase::Serving
    }

    fn completed(&self, request: &CompletedRequest<PlanMetadata>) {
        let (method, route, took) = (request.method, request.route(), request.took);
        self.metrics.record_http_request(route, method, request.shown_status(), took);
        let (status, ms) = (request.shown_status().as_u16(), request.ms());
        if !PLANNING_ROUTES.contains(&route) || method != "POST" {
            if request.is_probe() {
                debug!(method, route, status, ms, "request");
            } else {
                info!(method, route, status, ms, "request");
            }
            return;
        }
        let outcome = outcome(request.status.is_some(), request.code);
        self.plan_ended(outcome, request.metadata.as_ref(), took);
        if let Some(trace) = &request.trace {
            let (id, metadata) = (request.context.id(), request.metadata.as_ref());
            span::end(trace, outcome, request.code, request.status, id, metadata);
        }
        let origin = request.metadata.as_ref().map(|metadata| &metadata.origin);
        info!(
            method,
            route,
            status,
            ms,
            outcome,
            engine = origin.map(|origin| origin.engine.as_str()),
            model = origin.map(|origin| &*origin.model),
            cache = request.metadata.as_ref().map(|metadata| metadata.cache.as_str()),
            attempts = origin.map(|origin| origin.usage_totals.attempts),
            repairs = request.metadata.as_ref().map(|metadata| metadata.repairs.unwrap_or_default()),
            warnings = request.metadata.as_ref().map(|metadata| metadata.warnings.unwrap_or_default()),
            "request"
        );
    }
}

/// The response to a request whose handler panicked. The panic hook has logged where.
pub(crate) fn panic_response(service: &PlannerService, _: &(dyn Any + Send)) -> Response {
    service.metrics.record_panic();
    Problem::internal().into_response()
}
