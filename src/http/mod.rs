//! The HTTP side: limits, authorisation, request ids, problems, documentation.
//!
//! Nothing here knows prompts.

mod docs;
mod limit;
mod middleware;
pub mod openapi;
mod ops;
mod plan;
pub mod problem;
mod replan;
mod request;
mod stream;
mod validate;

pub(crate) use limit::LIMIT_HEADERS;
pub use limit::PlanLimiter;
pub(crate) use middleware::observe;
pub use middleware::{PlanNotes, panic_response};
pub(crate) use openapi::api_router;
pub(crate) use plan::PLAN_HEADERS;
pub(crate) use request::{Token, X_REQUEST_ID};
#[cfg(feature = "orchestrator")]
pub(crate) use {
    middleware::{Ended, Observer},
    ops::{now, readiness},
    request::{RequestContext, body as read_body, has_media_type, unsupported_media_type},
};
