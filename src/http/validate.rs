//! `POST /validate`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::arms::ArmRegistry;
use crate::domain::faults::json_fault;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::validate::take_request;
use crate::domain::{FieldError, PlanRequest, PlanResponse};
use crate::server::body::require_json;
use crate::server::request::RequestContext;
use crate::service::PlannerService;

use super::plan::read_until_draining;

/// The errors that a call can end in.
pub(super) const CODES: [ErrorCode; 10] = [
    ErrorCode::InvalidRequest,
    ErrorCode::Unauthorized,
    ErrorCode::OriginNotAllowed,
    ErrorCode::MethodNotAllowed,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::InternalError,
    ErrorCode::Overloaded,
    ErrorCode::ShuttingDown,
    ErrorCode::DeadlineExceeded,
];

/// Validates a plan, without an LLM.
///
/// The body is a plan as `POST /plan` returns it, or in any form in which LLMs write plans: as a bare list of
/// steps, with other key names or wrappers, or as text in a JSON string. Faults with exactly one correction are repaired,
/// and `repairs` lists each change; `errors` lists all others. These calls do not count towards the rate limit or the
/// limit of plans in flight. The body may also have `arms`, `budget`, `goal`, `constraints` and `context`, as in
/// `POST /plan`; the plan is then checked against them. Too many calls at the same time get `overloaded`.
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
                {"step": 1, "action": "Find the cause", "required_arm": "coder", "acceptance_criteria": ["The cause is named"],
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
        description = "The valid plan, with `schedule`, `repairs` and `warnings`",
        body = PlanResponse,
    )),
    security((), ("bearer" = [])),
)]
pub(super) async fn validate(
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Json<PlanResponse>, Problem> {
    service.authorize(&request)?;
    require_json(request.headers())?;
    let deadline = context.arrived + service.timeout;
    let body = read_until_draining(&service, request.into_body(), deadline).await?;
    let text = json_text(&body).map_err(|fault| Problem::from(vec![fault]))?;
    let (text, request) = take_request_from(text, &service.planner.registry())?;
    Ok(Json(service.validate(text, request).await?))
}

/// The body without the fields of the request for the plan, and these as a request.
fn take_request_from(text: String, registry: &ArmRegistry) -> Result<(String, PlanRequest), Vec<FieldError>> {
    let fields = ["\"arms\"", "\"budget\"", "\"goal\"", "\"constraints\"", "\"context\""];
    if !fields.iter().any(|field| text.contains(field)) {
        return Ok((text, PlanRequest::default()));
    }
    let Ok(Value::Object(mut body)) = serde_json::from_str(&text) else {
        return Ok((text, PlanRequest::default()));
    };
    let request = take_request(&mut body, registry)?;
    Ok((Value::Object(body).to_string(), request))
}

/// A body as text, if it is JSON.
fn json_text(body: &[u8]) -> Result<String, FieldError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(FieldError::new("body", "is empty; send a plan"));
    }
    let json: &RawValue = serde_json::from_slice(body).map_err(|error| json_fault(body, &error))?;
    Ok(json.get().to_owned())
}
