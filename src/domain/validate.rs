//! What a request to validate a plan may have beside the plan: fields of the request that the plan is for.

use serde::Deserialize;
use serde_json::{Map, Value};
use validator::Validate;

use super::arms::ArmRegistry;
use super::arms::choice::take_choices;
use super::faults::Faults;
use super::{Budget, FieldError, PlanRequest};

/// The fields that must be valid where they are.
#[derive(Deserialize, Validate)]
struct Limits {
    #[validate(nested)]
    budget: Option<Budget>,
}

/// Takes the fields of a plan request, which are next to the plan, out of `body`.
///
/// `arms` and `budget` must be valid. `goal`, `constraints` and `context` count where they are what `POST /plan` takes,
/// and are left where they are otherwise: LLMs write such keys, too.
///
/// # Errors
/// Everything that is wrong with arms and budget.
pub(crate) fn take_request(
    body: &mut Map<String, Value>,
    registry: &ArmRegistry,
) -> Result<PlanRequest, Vec<FieldError>> {
    let mut faults = Faults::default();
    let limits = body.remove("budget").map(|budget| serde_json::json!({ "budget": budget }));
    let limits = limits.and_then(|limits| faults.collect::<Limits>(&limits));
    if let Some(limits) = &limits {
        faults.check(limits);
    }
    let budget = limits.and_then(|limits| limits.budget);
    let (arms, mut list) = match take_choices(body, registry) {
        Ok(arms) => (arms, faults.into_list()),
        Err(of_arms) => (None, [of_arms, faults.into_list()].concat()),
    };
    list.sort();
    if !list.is_empty() {
        return Err(list);
    }
    let mut request = PlanRequest { arms, budget, ..PlanRequest::default() };
    for field in ["goal", "constraints", "context"] {
        let Some(value) = body.get(field) else { continue };
        // A goal is required; `?` stands in for it, so that only `field` decides.
        let mut with = serde_json::json!({ "goal": "?" });
        with[field] = value.clone();
        let Ok(read) = serde_json::from_value::<PlanRequest>(with) else { continue };
        if read.validate().is_err() {
            continue;
        }
        match field {
            "goal" => request.goal = read.goal,
            "constraints" => request.constraints = read.constraints,
            _ => request.context = read.context,
        }
        body.remove(field);
    }
    Ok(request)
}
