//! The request that a plan is for, as options of `plan`, `replan` and `validate`.

use clap::{Args, ValueHint};
use serde_json::{Map, Value, json};

use crate::domain::Budget;
use crate::domain::faults::kind_of;

use super::{arms_file, positive};

/// What a plan must respect: the fields of a request, but for its goal.
#[derive(Debug, Args)]
pub(super) struct RequestArguments {
    /// A rule that the plan must respect; may be repeated
    #[arg(short, long = "constraint", value_name = "C")]
    constraints: Vec<String>,
    /// Background for the planner: a JSON object, or a file that contains one
    #[arg(long, value_name = "FILE|JSON", value_hint = ValueHint::FilePath)]
    context: Option<String>,
    /// The arms that the plan may use: a file with ids or definitions, in JSON, YAML or TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    arms: Option<String>,
    /// Maximum duration in seconds, along the critical path; a plan that takes longer is not valid
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_duration: Option<u64>,
    /// Maximum cost tier of any step, 1 to 5
    #[arg(long, value_name = "TIER", value_parser = tier)]
    max_cost_tier: Option<u8>,
    /// Maximum number of steps
    #[arg(long, value_name = "N", value_parser = positive::<u32>)]
    max_steps: Option<u32>,
}

impl RequestArguments {
    /// What is given, as fields of a request in JSON.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, String> {
        let mut fields = Map::new();
        if !self.constraints.is_empty() {
            fields.insert("constraints".to_owned(), json!(self.constraints));
        }
        if let Some(given) = &self.context {
            fields.insert("context".to_owned(), Value::Object(context(given)?));
        }
        if let Some(path) = &self.arms {
            fields.insert("arms".to_owned(), arms_file::read(path)?);
        }
        let budget = Budget {
            max_duration_seconds: self.max_duration,
            max_cost_tier: self.max_cost_tier,
            max_steps: self.max_steps,
        };
        if budget != Budget::default() {
            fields.insert("budget".to_owned(), json!(budget));
        }
        Ok(fields)
    }
}

/// Writes `fields` into `body` in place of what it says; each limit of the budget counts by itself.
pub(super) fn merge(fields: Map<String, Value>, body: &mut Map<String, Value>) {
    for (name, value) in fields {
        match (body.get_mut(&name), value) {
            (Some(Value::Object(limits)), Value::Object(given)) if name == "budget" => limits.extend(given),
            (_, value) => drop(body.insert(name, value)),
        }
    }
}

/// A duration in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    positive(text).map_err(|_| "it must be a whole number of seconds above 0".into())
}

/// A cost tier.
fn tier(text: &str) -> Result<u8, String> {
    let tier = text.parse().ok().filter(|tier| (1..=5).contains(tier));
    tier.ok_or_else(|| "it must be a whole number from 1 to 5".into())
}

/// The context: a JSON object, or a file that contains one.
fn context(given: &str) -> Result<Map<String, Value>, String> {
    if given.trim_start().starts_with(['{', '[', '"']) {
        return json_object(given).map_err(|error| format!("--context must be a JSON object{error}"));
    }
    match std::fs::read_to_string(given) {
        Ok(text) => json_object(&text)
            .map_err(|error| format!("--context: the file \"{given}\" must contain a JSON object{error}")),
        // A number, a boolean or null.
        Err(_) if serde_json::from_str::<Value>(given).is_ok() => {
            json_object(given).map_err(|error| format!("--context must be a JSON object{error}"))
        }
        Err(error) => Err(format!("--context: cannot read the file \"{given}\" ({error})")),
    }
}

/// The object in `text`; the error continues the sentence "… must be a JSON object".
fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!(", not {}", kind_of(&other))),
        Err(error) => Err(format!("; it is not valid JSON ({error})")),
    }
}
