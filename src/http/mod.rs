//! The HTTP side: limits, authorisation, request ids, problems, documentation, the page.
//!
//! Nothing here knows prompts.

mod docs;
mod limit;
mod middleware;
pub mod openapi;
mod ops;
mod page;
mod plan;
pub mod problem;
mod replan;
mod request;
pub(crate) mod span;
mod stream;
mod validate;

pub(crate) use limit::LIMIT_HEADERS;
pub use limit::PlanLimiter;
pub(crate) use middleware::{OwnDocument, StreamEnd, observe, outcome};
pub use middleware::{PlanNotes, panic_response};
pub(crate) use openapi::api_router;
pub(crate) use plan::{Admitted, PLAN_HEADERS, Question, Reply, Wanted};
pub(crate) use request::{
    Caller, Include, RequestContext, Token, Unread, X_REQUEST_ID, authorize, deadline, has_media_type,
};
#[cfg(feature = "orchestrator")]
pub(crate) use {
    middleware::{Ended, Observer},
    ops::{now, readiness},
    request::unsupported_media_type,
};
