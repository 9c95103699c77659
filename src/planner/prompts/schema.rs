//! JSON Schemas of the answer. Written as text, since properties are generated in the order in which they
//! are listed here, and a model should choose an arm and criteria after it has said what to do.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::domain::arms::ArmRegistry;
use crate::domain::{Budget, MAX_STEP_SECONDS};

use super::PlanRules;

/// Length limits of texts in schemas that can express them, in characters; no text of a good plan is longer. And the
/// highest estimates.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaLimits {
    pub(super) action: u32,
    pub(super) criteria: u32,
    pub(super) criterion: u32,
    pub(super) rationale: u32,
    /// Highest cost tier of a step, and its longest duration in seconds.
    tier: u8,
    seconds: u32,
}

impl SchemaLimits {
    pub(super) const NORMAL: Self =
        Self { action: 240, criteria: 3, criterion: 160, rationale: 400, tier: 5, seconds: MAX_STEP_SECONDS };
    /// For the last prompt.
    pub(super) const SMALL: Self =
        Self { action: 140, criteria: 2, criterion: 100, rationale: 160, ..Self::NORMAL };

    /// The same for a plan that keeps to `budget`.
    pub(super) fn within(self, budget: &Budget) -> Self {
        Self { tier: budget.max_tier(), seconds: budget.max_seconds(), ..self }
    }
}

/// Types, required keys and enumerations: the subset that strict structured output takes everywhere.
pub(super) fn plain(registry: &ArmRegistry) -> Arc<RawValue> {
    let step = step_of(&Properties {
        step: r#"{"type":"integer"}"#,
        action: r#"{"type":"string"}"#,
        arm: &format!(r#"{{"type":"string","enum":{}}}"#, ids(registry, |_| true)),
        criteria: r#"{"type":"array","items":{"type":"string"}}"#,
        needs: r#"{"type":"array","items":{"type":"integer"}}"#,
        cost: r#"{"type":"integer"}"#,
        seconds: r#"{"type":"integer"}"#,
    });
    raw(plan_of(
        &format!(r#"{{"type":"array","items":{step}}}"#),
        r#"{"type":"string"}"#,
        r#"{"type":"number"}"#,
        "",
    ))
}

/// All that a schema can say, for plans of `lengths` steps: for each place its number, of `numbers`, dependencies
/// on lower numbers only, and at the last place an arm that verifies.
pub(super) fn tight(
    registry: &ArmRegistry,
    rules: &PlanRules,
    lengths: RangeInclusive<usize>,
    numbers: &[u32],
    limits: SchemaLimits,
) -> Arc<RawValue> {
    let mut parts = Vec::new();
    let mut define = |name: &str, schema: &str| parts.push(format!("{}:{schema}", quoted(name)));
    define("arm", &format!(r#"{{"type":"string","enum":{}}}"#, ids(registry, |_| true)));
    let last_arm = if rules.require_verification && registry.verifier().is_some() {
        define(
            "verifier",
            &format!(r#"{{"type":"string","enum":{}}}"#, ids(registry, |id| registry.verifies(id))),
        );
        "verifier"
    } else {
        "arm"
    };
    define("action", &text(limits.action));
    define(
        "criteria",
        &format!(
            r#"{{"type":"array","minItems":1,"maxItems":{},"items":{}}}"#,
            limits.criteria,
            text(limits.criterion)
        ),
    );
    for (place, number) in (1..=*lengths.end()).zip(numbers) {
        define(&format!("step{number}"), &tight_step(*number, "arm", limits));
        if lengths.contains(&place) {
            define(&format!("last{number}"), &tight_step(*number, last_arm, limits));
        }
    }
    let plans: Vec<String> = lengths.map(|length| tuple(&numbers[..length])).collect();
    let plan = if let [only] = plans.as_slice() {
        only.clone()
    } else {
        format!(r#"{{"anyOf":[{}]}}"#, plans.join(","))
    };
    // Numbers with bounds are drawn without them by some servers; choices are not.
    let confidence = r#"{"enum":[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0]}"#;
    raw(plan_of(&plan, &text(limits.rationale), confidence, &format!(r#","$defs":{{{}}}"#, parts.join(","))))
}

/// A list of exactly the steps of these numbers, at least one.
fn tuple(numbers: &[u32]) -> String {
    let length = numbers.len();
    let (last, others) = numbers.split_last().expect("a plan has a step");
    let mut items = String::new();
    for number in others {
        let _ = write!(items, r##"{{"$ref":"#/$defs/step{number}"}},"##);
    }
    format!(
        r##"{{"type":"array","minItems":{length},"maxItems":{length},"prefixItems":[{items}{{"$ref":"#/$defs/last{last}"}}]}}"##
    )
}

fn tight_step(number: u32, arm: &str, limits: SchemaLimits) -> String {
    let before = number - 1;
    let needs = if before == 0 {
        r#"{"type":"array","maxItems":0}"#.to_owned()
    } else {
        format!(
            r#"{{"type":"array","maxItems":{before},"items":{{"type":"integer","minimum":1,"maximum":{before}}}}}"#
        )
    };
    step_of(&Properties {
        step: &format!(r#"{{"type":"integer","enum":[{number}]}}"#),
        action: r##"{"$ref":"#/$defs/action"}"##,
        arm: &format!(r##"{{"$ref":"#/$defs/{arm}"}}"##),
        criteria: r##"{"$ref":"#/$defs/criteria"}"##,
        needs: &needs,
        cost: &format!(r#"{{"type":"integer","minimum":1,"maximum":{}}}"#, limits.tier),
        seconds: &format!(r#"{{"type":"integer","minimum":1,"maximum":{}}}"#, limits.seconds),
    })
}

/// The schemas of a step's properties.
struct Properties<'a> {
    step: &'a str,
    action: &'a str,
    arm: &'a str,
    criteria: &'a str,
    needs: &'a str,
    cost: &'a str,
    seconds: &'a str,
}

fn step_of(p: &Properties<'_>) -> String {
    object(
        &[
            ("step", p.step),
            ("action", p.action),
            ("required_arm", p.arm),
            ("acceptance_criteria", p.criteria),
            ("depends_on", p.needs),
            ("estimated_cost_tier", p.cost),
            ("estimated_duration_seconds", p.seconds),
        ],
        "",
    )
}

fn plan_of(plan: &str, rationale: &str, confidence: &str, definitions: &str) -> String {
    object(&[("plan", plan), ("rationale", rationale), ("confidence", confidence)], definitions)
}

/// An object with exactly these properties, in this order; `more` is what else its schema says.
fn object(properties: &[(&str, &str)], more: &str) -> String {
    let keys: Vec<String> = properties.iter().map(|(key, _)| quoted(key)).collect();
    let members: Vec<String> =
        keys.iter().zip(properties).map(|(key, (_, schema))| format!("{key}:{schema}")).collect();
    format!(
        r#"{{"type":"object","additionalProperties":false,"required":[{}],"properties":{{{}}}{more}}}"#,
        keys.join(","),
        members.join(",")
    )
}

/// A text that says something and ends.
fn text(most: u32) -> String {
    format!(r#"{{"type":"string","minLength":2,"maxLength":{most}}}"#)
}

/// The ids of the arms that are `wanted`, as a JSON list.
fn ids(registry: &ArmRegistry, wanted: impl Fn(&str) -> bool) -> String {
    let ids: Vec<String> =
        registry.arms().iter().filter(|arm| wanted(&arm.id)).map(|arm| quoted(&arm.id)).collect();
    format!("[{}]", ids.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn raw(schema: String) -> Arc<RawValue> {
    RawValue::from_string(schema).expect("the text above is JSON").into()
}
