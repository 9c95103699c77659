//! Examples of plans: the form of the answer, and two small plans for the simplified prompt.

use serde::Serialize;

use crate::domain::arms::ArmRegistry;
use crate::domain::{Budget, PlanRules, SubTask};

/// An example, far from any goal that may come: actions with their criteria.
pub(super) struct Example {
    pub(super) goal: &'static str,
    first: [(&'static str, &'static str); 2],
    last: (&'static str, &'static str),
    pub(super) rationale: &'static str,
}

pub(super) const PICNIC: Example = Example {
    goal: "Organise a picnic",
    first: [
        ("List the food and drinks that six people need for a day", "The list names amounts for six people"),
        ("Buy what is on the list", "The receipt shows every item"),
    ],
    last: ("Check that everything on the list is packed", "Nothing on the list is missing"),
    rationale: "Know what is needed, get it.",
};

pub(super) const BICYCLE: Example = Example {
    goal: "Repair the bicycle",
    first: [
        ("Look up how the chain of this bicycle is mounted", "The instructions name the tools"),
        ("Replace the worn chain and oil it", "The chain runs without a sound"),
    ],
    last: ("Verify that all gears shift on a test ride", "Every gear was used once"),
    rationale: "Learn how, then do it.",
};

/// A plan of `length` steps as it would answer an example, with arms that exist.
pub(super) fn example_plan(
    registry: &ArmRegistry,
    rules: &PlanRules,
    example: &Example,
    length: usize,
    budget: &Budget,
) -> Vec<SubTask> {
    let seconds = (budget.max_seconds() / length as u32).clamp(1, 60);
    let arms = registry.arms();
    let verifier = registry.verifier().filter(|_| rules.require_verification);
    let say = |place: usize| match place {
        _ if place == length && verifier.is_some() => (example.last.0.to_owned(), example.last.1),
        1 | 2 => (example.first[place - 1].0.to_owned(), example.first[place - 1].1),
        _ => (format!("Write down part {} of what was done", place - 2), "It is written down"),
    };
    (1..=length)
        .map(|place| {
            let (action, criterion) = say(place);
            let arm = verifier.filter(|_| place == length).unwrap_or(&arms[place % arms.len()]);
            SubTask {
                step: place as u32,
                action,
                required_arm: arm.id.clone(),
                acceptance_criteria: vec![criterion.into()],
                depends_on: (place > 1).then(|| place as u32 - 1).into_iter().collect(),
                estimated_cost_tier: arm.cost_tier.min(budget.max_tier()),
                estimated_duration_seconds: seconds,
            }
        })
        .collect()
}

/// The form of the answer, with an arm that exists.
pub(super) fn plan_form(registry: &ArmRegistry, (number, needs): (u32, &[u32])) -> String {
    let step = SubTask {
        step: number,
        action: "...".into(),
        required_arm: registry.arms()[0].id.clone(),
        acceptance_criteria: vec!["...".into(), "...".into()],
        depends_on: needs.to_vec(),
        estimated_cost_tier: 1,
        estimated_duration_seconds: 30,
    };
    written(&[step], "why these steps in this order", 0.85)
}

/// A plan as an LLM should write it.
pub(super) fn written(plan: &[SubTask], rationale: &str, confidence: f64) -> String {
    #[derive(Serialize)]
    struct Written<'a> {
        plan: &'a [SubTask],
        rationale: &'a str,
        confidence: f64,
    }
    serde_json::to_string(&Written { plan, rationale, confidence }).expect("strings and numbers serialise")
}
