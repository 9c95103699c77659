//! `GET /playbooks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};

use crate::domain::playbooks::PlaybookList;
use crate::domain::problem::Problem;
use crate::service::PlannerService;

/// Lists the playbooks that a request can choose by name.
#[utoipa::path(
    get,
    path = "/playbooks",
    tag = "planning",
    operation_id = "list_playbooks",
    responses((status = 200, description = "All playbooks", body = PlaybookList)),
    security((), ("bearer" = [])),
)]
pub(super) async fn list_playbooks(
    State(service): State<Arc<PlannerService>>,
    request: Request,
) -> Result<Json<PlaybookList>, Problem> {
    service.authorize(&request)?;
    Ok(Json(PlaybookList::of(&service.planner.installation().playbooks)))
}
