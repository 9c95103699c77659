//! The tools as hosts and their models see them.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::domain::EngineKind;
use crate::domain::{PlanRequest, PlanResponse};
use crate::service::PlannerService;

use super::schema;

/// Creates a plan.
pub(super) const CREATE_PLAN: &str = "create_plan";
/// Validates a plan.
pub(super) const VALIDATE_PLAN: &str = "validate_plan";

/// The tool that is called `name`.
pub(super) fn named(name: &str) -> Option<&'static str> {
    [CREATE_PLAN, VALIDATE_PLAN].into_iter().find(|tool| *tool == name)
}

/// Both tools, for the configuration of `service`.
pub(super) fn all(service: &PlannerService) -> Vec<Tool> {
    let asks_llm = service.planner.origin().engine == EngineKind::OpenAi;
    let output = Arc::new(schema::output::<PlanResponse>());
    let tool = |name: &'static str, title: &str, description: String, input, open_world| {
        // Neither changes anything, however often it is called.
        let annotations = ToolAnnotations::with_title(title)
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(open_world);
        Tool::new(name, description, Arc::new(input))
            .with_title(title)
            .with_raw_output_schema(output.clone())
            .with_annotations(annotations)
    };
    vec![
        tool(CREATE_PLAN, "Create a plan", about_create_plan(service), create_plan_input(), asks_llm),
        tool(VALIDATE_PLAN, "Validate a plan", about_validate_plan(), validate_plan_input(), false),
    ]
}

/// The instructions that hosts give to their models.
pub(super) fn instructions(service: &PlannerService) -> String {
    let arms: String = service
        .planner
        .registry()
        .arms()
        .iter()
        .map(|arm| format!("\n- {}: {}", arm.id, arm.description))
        .collect();
    format!(
        "The planner arm of OctoLLM turns goals into plans that can be executed. Call {CREATE_PLAN} with a goal \
         before work that takes several steps; after you have changed a plan, call {VALIDATE_PLAN}. Nothing is executed \
         here. Each step of a plan is assigned to one of these arms:{arms}"
    )
}

fn about_create_plan(service: &PlannerService) -> String {
    let rules = service.planner.rules();
    format!(
        "Breaks a goal down into a plan of {} to {} steps that can be executed. Each step has an action, the arm \
         (kind of worker) that does it, acceptance criteria, the earlier steps that it depends on, a cost tier from 1 to \
         5 and a duration in seconds; the schedule says which steps can run in parallel and which chain of them takes longest. \
         Use it before work that takes several steps or several kinds of workers. Give the goal in the user's words, \
         rules as constraints, and known facts (files, versions, links) as context. The plan is only returned, nothing is \
         executed. When the call fails, detail and errors say what to change, and retry_after_seconds when to retry.",
        rules.min_steps, rules.max_steps
    )
}

fn about_validate_plan() -> String {
    format!(
        "Validates a plan without calling a language model, at once and at no cost. Give the steps as plan, in the form in \
         which {CREATE_PLAN} returns them, for example after you have changed, added or removed some. Faults with exactly one \
         correction (numbers, order, names of arms, missing estimates, the verifying last step) are repaired and listed \
         in repairs. Every other fault is reported with its field, such as plan[2].depends_on, and what to do about it."
    )
}

/// The request for a plan, without its id: a host has ids of its own.
fn create_plan_input() -> Map<String, Value> {
    let mut schema = schema::input::<PlanRequest>();
    keep(&mut schema, &["goal", "constraints", "context", "arms"]);
    schema
}

/// A plan, as far as its author writes it: the rest is computed.
fn validate_plan_input() -> Map<String, Value> {
    let mut schema = schema::input::<PlanResponse>();
    keep(&mut schema, &["plan", "rationale", "confidence"]);
    schema["properties"]["arms"] = create_plan_input()["properties"]["arms"].clone();
    schema.insert("required".into(), json!(["plan"]));
    // The rest of a step can be repaired, and hosts hold models to the schema.
    schema["properties"]["plan"]["items"]["required"] =
        json!(["action", "required_arm", "acceptance_criteria"]);
    schema
}

/// Removes all but `fields` from an object's schema.
fn keep(schema: &mut Map<String, Value>, fields: &[&str]) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut).expect("an object's schema");
    properties.retain(|name, _| fields.contains(&name.as_str()));
    // That of the whole type.
    schema.remove("description");
}
