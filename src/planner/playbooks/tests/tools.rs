//! Plans for arms of which only descriptions are known.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

/// A plan of the embedded planner for these arms.
fn plan_with(arms: Value, rules: &PlanRules, goal: &str) -> Plan {
    let arms: Vec<crate::domain::arms::Arm> = serde_json::from_value(arms).expect("arms");
    let registry = Arc::new(ArmRegistry::new(arms, false).expect("a registry"));
    planned(&registry, rules, &request(goal, &[]))
}

fn media() -> Value {
    json!([
        {"id": "Text-to-Speech", "description": "Speaks a text aloud", "inputs": ["text"], "outputs": ["audio"]},
        {"id": "Image-Caption", "description": "Describes what a picture shows", "inputs": ["image"], "outputs": ["text"]},
        {"id": "Image-Search", "description": "Finds pictures of a subject", "inputs": ["text"], "outputs": ["image"]},
        {"id": "Audio-Effects", "description": "Adds reverb to a recording", "inputs": ["audio"], "outputs": ["audio"]},
        {"id": "Weather", "description": "Tells the weather forecast of a city", "inputs": ["city"], "outputs": ["text"]},
    ])
}

fn short() -> PlanRules {
    PlanRules { require_verification: false, ..rules(1, 7) }
}

fn arms_of(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.required_arm.as_str()).collect()
}

#[test]
fn each_part_goes_to_the_arm_whose_description_fits() {
    let plan =
        plan_with(media(), &short(), "Find pictures of a castle, then tell me the weather forecast of Rome");
    assert_eq!(arms_of(&plan), ["Image-Search", "Weather"], "{}", outline(&plan));
    assert!(plan.rationale().contains("Each part of the goal"), "{}", plan.rationale());
    assert!(plan.confidence() <= 0.4);
}

#[test]
fn an_arm_that_converts_is_put_between_two_that_do_not_fit() {
    let goal = "Find pictures of a castle and speak a text aloud";
    let plan = plan_with(media(), &short(), goal);
    let arms = arms_of(&plan);
    assert_eq!(arms, ["Image-Search", "Image-Caption", "Text-to-Speech"], "{}", outline(&plan));
    assert_eq!(plan.steps()[1].action, "Turn the image of the step before into text with Image-Caption");
    assert_eq!(plan.steps()[2].depends_on, [2]);
}

#[test]
fn what_is_quoted_points_to_no_arm() {
    let goal = "Speak a text aloud: “Find pictures of the weather forecast.”";
    let plan = plan_with(media(), &short(), goal);
    assert_eq!(arms_of(&plan), ["Text-to-Speech"], "{}", outline(&plan));
}

#[test]
fn statements_and_parts_without_an_arm_become_criteria() {
    let goal = "I have a slow laptop. Find pictures of a castle. Xyzzy plugh.";
    let plan = plan_with(media(), &short(), goal);
    assert_eq!(arms_of(&plan), ["Image-Search"], "{}", outline(&plan));
    let criteria = plan.steps()[0].acceptance_criteria.join("\n");
    assert!(criteria.contains("slow laptop") && criteria.contains("Xyzzy"), "{criteria}");
    assert!(plan.rationale().contains("1 of the 2 parts"), "{}", plan.rationale());
}

#[test]
fn beyond_the_limit_no_text_is_lost() {
    let goal = "Find pictures of a castle, describe what a picture shows, tell the weather forecast of Rome";
    let rules = PlanRules { require_verification: false, ..rules(1, 2) };
    let plan = plan_with(media(), &rules, goal);
    assert_eq!(plan.steps().len(), 2);
    let actions: String = plan.steps().iter().map(|step| step.action.as_str()).collect();
    for text in ["ictures of a castle", "hat a picture shows", "orecast of Rome"] {
        assert!(actions.contains(text), "{text}: {actions}");
    }
}

#[test]
fn the_last_step_verifies_where_an_arm_can() {
    let mut arms = media();
    let judge = json!({"id": "judge", "capabilities": ["validation"]});
    arms.as_array_mut().expect("a list").push(judge);
    let plan = plan_with(arms, &rules(4, 7), "Find pictures of a castle");
    let last = plan.steps().last().expect("a step");
    assert_eq!((last.required_arm.as_str(), plan.steps().len()), ("judge", 4), "{}", outline(&plan));
    assert!(last.action.starts_with("Verify that the whole result"), "{}", last.action);
}
