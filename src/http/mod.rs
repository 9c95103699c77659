//! The HTTP front end: the API, its description, the page.

mod arms;
mod docs;
mod examples;
mod limit;
mod observe;
pub mod openapi;
mod ops;
mod page;
mod plan;
mod playbooks;
mod replan;
mod stream;
mod validate;

pub(crate) use limit::LIMIT_HEADERS;
pub(crate) use observe::panic_response;
pub(crate) use openapi::api_router;
pub(crate) use plan::PLAN_HEADERS;
