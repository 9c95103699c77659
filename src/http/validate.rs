//! `POST /validate`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde_json::value::RawValue;

use crate::domain::faults::json_fault;
use crate::domain::{FieldError, PlanResponse};
use crate::service::PlannerService;

use super::plan::read_until_draining;
use crate::domain::problem::{ErrorCode, Problem};
use crate::server::request::{RequestBody, RequestContext, peer};
use crate::service::auth::authorize;

/// What a call can end in beside the plan.
pub(super) const CODES: [ErrorCode; 8] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthorized,
    ErrorCode::MethodNotAllowed,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::InternalError,
    ErrorCode::ShuttingDown,
    ErrorCode::DeadlineExceeded,
];

/// Checks a plan against the promises of `POST /plan`, without an LLM.
///
/// The body is a plan as `POST /plan` sends it, or in any form in which LLMs write plans: a list of steps alone,
/// other names for keys, wrappers; also as text in one JSON string. What has one right answer is mended, and
/// each mend is in `repairs`; what is sound stays as it is. If there is anything else wrong, `errors` has all of
/// it. Neither the rate limit nor the limit on plans in flight counts these calls.
#[utoipa::path(
    post,
    path = "/validate",
    tag = "planning",
    operation_id = "validate_plan",
    request_body(
        content = Object,
        content_type = "application/json",
        description = "A plan",
        example = json!({
            "plan": [
                {"step": 1, "action": "Find the cause", "required_arm": "coder", "acceptance_criteria": ["It is named"],
                 "depends_on": [], "estimated_cost_tier": 4, "estimated_duration_seconds": 60},
                {"step": 2, "action": "Fix it", "required_arm": "Coder", "acceptance_criteria": ["The test passes"],
                 "depends_on": [1], "estimated_cost_tier": 4, "estimated_duration_seconds": 90},
                {"step": 3, "action": "Verify the fix", "required_arm": "judge", "acceptance_criteria": ["It holds"],
                 "depends_on": [2], "estimated_cost_tier": 2, "estimated_duration_seconds": 30}
            ],
            "rationale": "Know the cause first.",
            "confidence": 0.9
        }),
    ),
    responses((
        status = 200,
        description = "The sound plan, with `schedule` and `repairs`",
        body = PlanResponse,
    )),
    security((), ("bearer" = [])),
)]
pub(super) async fn validate(
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Json<PlanResponse>, Problem> {
    authorize(request.headers(), peer(&request), &service.auth_tokens)?;
    let (head, body) = request.into_parts();
    let body = RequestBody::json(&head.headers, body)?;
    let body = read_until_draining(&service, body, context.arrived + service.timeout).await?;
    let text = json_text(&body).map_err(|fault| Problem::from(vec![fault]))?;
    Ok(Json(service.validate(text).await?))
}

/// A body as text, if it is JSON.
fn json_text(body: &[u8]) -> Result<String, FieldError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(FieldError::new("body", "is empty; send a plan"));
    }
    let json: &RawValue = serde_json::from_slice(body).map_err(|error| json_fault(body, &error))?;
    Ok(json.get().to_owned())
}
