//! `GET /arms`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use crate::domain::arms::ArmList;
use crate::domain::problem::Problem;
use crate::service::PlannerService;

/// Lists the arms that steps can be assigned to, and their sources.
///
/// Each has the fields of its definition, so that a list of them can be sent back as `arms` of a request.
#[utoipa::path(
    get,
    path = "/arms",
    tag = "planning",
    operation_id = "list_arms",
    responses((status = 200, description = "All arms", body = ArmList)),
    security((), ("bearer" = [])),
)]
pub(super) async fn list_arms(
    State(service): State<Arc<PlannerService>>,
    request: Request,
) -> Result<Response, Problem> {
    service.authorize(&request)?;
    Ok(Json(&*service.arms()).into_response())
}
