//! `planner-arm plan`: one plan, printed.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::{Map, Value};

use crate::config::Settings;
use crate::domain::problem::Problem;
use crate::domain::{Budget, MAX_GOAL_CHARS, PlanRequest};
use crate::planner::PlanJob;

use super::arms_file;
use super::generate::{GenerateArguments, generate_and_print};
use super::output::STANDARD;

/// The longest goal in UTF-8 with its line ending.
const MAX_INPUT_BYTES: u64 = 4 * MAX_GOAL_CHARS + 2;

/// Arguments of `planner-arm plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// What you want to get done, in one or more words; `-`, or no goal if standard input is not a terminal, reads it
    /// from standard input
    #[arg(value_name = "GOAL")]
    goal: Vec<String>,
    /// A rule that the plan must respect; may be repeated
    #[arg(short, long = "constraint", value_name = "C")]
    constraints: Vec<String>,
    /// Background for the planner: a JSON object, or a file that contains one
    #[arg(long, value_name = "FILE|JSON", value_hint = ValueHint::FilePath)]
    context: Option<String>,
    /// The arms that the plan may use: a file with ids or definitions, in JSON, YAML or TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    arms: Option<String>,
    /// The playbook to follow, or `none` (`planner-arm playbooks` lists them) [default: the one that fits best]
    #[arg(long, value_name = "NAME")]
    playbook: Option<String>,
    /// Maximum duration in seconds, along the critical path; a plan that takes longer is never printed
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    max_duration: Option<u64>,
    /// Maximum cost tier of any step, 1 to 5
    #[arg(long, value_name = "TIER", value_parser = clap::value_parser!(u8).range(1..=5))]
    max_cost_tier: Option<u8>,
    /// Maximum number of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: Option<u32>,
    #[command(flatten)]
    generate: GenerateArguments,
}

impl PlanArguments {
    /// Whether there is a goal, or one can be read from standard input without a person having to type it.
    pub(super) fn has_goal(&self) -> bool {
        !self.goal.is_empty() || !std::io::stdin().is_terminal()
    }
}

/// Makes a plan and prints it.
pub(super) async fn plan(arguments: PlanArguments, settings: &Settings) -> ExitCode {
    let budget = Budget {
        max_duration_seconds: arguments.max_duration,
        max_cost_tier: arguments.max_cost_tier,
        max_steps: arguments.max_steps,
    };
    generate_and_print(&arguments.generate, settings, |service| {
        let request = PlanRequest {
            goal: goal(&arguments.goal)?,
            constraints: arguments.constraints.clone(),
            context: arguments.context.as_deref().map(context).transpose()?.unwrap_or_default(),
            budget: (budget != Budget::default()).then_some(budget),
            playbook: arguments.playbook.clone(),
            arms: arguments.arms.as_deref().map(arms_file::read).transpose()?,
            ..PlanRequest::default()
        };
        request.check_for(&service.planner.installation()).map_err(|faults| Problem::from(faults).detail)?;
        match service.planner.budget_fault(&request) {
            Some(fault) => Err(Problem::from(vec![fault]).detail),
            None => Ok(PlanJob::from(request)),
        }
    })
    .await
}

/// The words of the goal as one text, or the goal on standard input.
fn goal(words: &[String]) -> Result<String, String> {
    match words {
        [] => goal_on_standard_input(),
        [word] if word == STANDARD => goal_on_standard_input(),
        words => Ok(words.join(" ")),
    }
}

/// The goal on standard input, without its line ending.
fn goal_on_standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_INPUT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read standard input ({error})"))?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err("The goal on standard input is longer than 10,000 characters.".into());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| "The goal on standard input is not UTF-8; convert it, for example with iconv.")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// The context: a JSON object, or a file that contains one.
pub(super) fn context(given: &str) -> Result<Map<String, Value>, String> {
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
        Ok(Value::Array(_)) => Err(", not an array".into()),
        Ok(Value::String(_)) => Err(", not a string".into()),
        Ok(Value::Number(_)) => Err(", not a number".into()),
        Ok(Value::Bool(_)) => Err(", not a boolean".into()),
        Ok(Value::Null) => Err(", not null".into()),
        Err(error) => Err(format!("; it is not valid JSON ({error})")),
    }
}
