//! `planner-arm replan`: plans the rest of a plan, or changes a plan according to feedback.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::{Map, Value, json};

use crate::config::Settings;
use crate::planner::PlanJob;
use crate::service::PlannerService;

use super::generate::{GenerateArguments, generate_and_print};
use super::output::{findings, name_of, read};
use super::positive;
use super::request::{RequestArguments, merge};

/// Arguments of `planner-arm replan`.
#[derive(Debug, Args)]
pub(super) struct ReplanArguments {
    /// A file with the plan, as `plan --format json` prints it, or with a request as POST /replan takes it; `-` reads
    /// it from standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: String,
    /// What the plan is for; required unless the file says it
    #[arg(short, long, value_name = "GOAL")]
    goal: Option<String>,
    /// Steps that are done, as in `1,2`; they stay as they are
    #[arg(long, value_name = "STEPS", value_delimiter = ',', value_parser = positive::<u32>)]
    done: Vec<u32>,
    /// A step that failed, and why, as in `3="no access"`; may be repeated
    #[arg(long, value_name = "STEP=REASON", value_parser = numbered)]
    failed: Vec<(u32, String)>,
    /// What else is known about a step, as in `1="it is in auth.py"`; may be repeated
    #[arg(long, value_name = "STEP=NOTE", value_parser = numbered)]
    note: Vec<(u32, String)>,
    /// What should change, in your own words; no step needs to have failed
    #[arg(long, value_name = "TEXT")]
    feedback: Option<String>,
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    generate: GenerateArguments,
}

/// Plans what is left, and prints the whole plan.
pub(super) async fn replan(arguments: ReplanArguments, settings: &Settings) -> ExitCode {
    generate_and_print(&arguments.generate, settings, |service| job(&arguments, service)).await
}

fn job(arguments: &ReplanArguments, service: &PlannerService) -> Result<PlanJob, String> {
    let body = Value::Object(body(arguments)?).to_string();
    service.planner.read_replan(body.as_bytes()).map_err(|invalid| {
        let what = format!("{} cannot be replanned", name_of(&arguments.file));
        findings(&what, &invalid.faults)
    })
}

/// The request in the file with what the options add to it.
fn body(arguments: &ReplanArguments) -> Result<Map<String, Value>, String> {
    let file = name_of(&arguments.file);
    let mut body = match serde_json::from_str(&read(&arguments.file)?) {
        Ok(Value::Object(body)) => body,
        Ok(steps @ Value::Array(_)) => Map::from_iter([("plan".to_owned(), steps)]),
        Ok(_) => return Err(format!("{file} must contain a plan or a request as JSON")),
        Err(error) => {
            return Err(format!("{file} is not valid JSON ({error}); check it with planner-arm validate"));
        }
    };
    for (name, given) in [("goal", &arguments.goal), ("feedback", &arguments.feedback)] {
        if let Some(given) = given {
            body.insert(name.to_owned(), json!(given));
        }
    }
    merge(arguments.request.fields()?, &mut body);
    if body.get("goal").is_none_or(Value::is_null) {
        return Err(format!("{file} does not say what the plan is for; add --goal \"…\""));
    }
    add_progress(&mut body, arguments);
    if ["progress", "feedback"].iter().all(|name| body.get(*name).is_none_or(Value::is_null)) {
        return Err(
            "say how the plan went with --done and --failed, or what should change with --feedback".into()
        );
    }
    Ok(body)
}

/// Adds the progress in the options, which takes precedence over that in the file.
fn add_progress(body: &mut Map<String, Value>, arguments: &ReplanArguments) {
    let ReplanArguments { done, failed, note, .. } = arguments;
    if done.is_empty() && failed.is_empty() && note.is_empty() {
        return;
    }
    let mut by_step: BTreeMap<u32, Map<String, Value>> = BTreeMap::new();
    let mut rest = Vec::new();
    for entry in body.remove("progress").and_then(|progress| progress.as_array().cloned()).unwrap_or_default()
    {
        match (entry["step"].as_u64().and_then(|step| u32::try_from(step).ok()), entry) {
            (Some(step), Value::Object(entry)) if !by_step.contains_key(&step) => {
                by_step.insert(step, entry);
            }
            // Checked with everything else.
            (_, entry) => rest.push(entry),
        }
    }
    let mut set = |step: u32, name: &str, value: Value| {
        let entry = by_step.entry(step).or_insert_with(|| {
            Map::from_iter([("step".into(), json!(step)), ("status".into(), json!("pending"))])
        });
        entry.insert(name.to_owned(), value);
    };
    for step in done {
        set(*step, "status", json!("done"));
    }
    for (step, reason) in failed {
        set(*step, "status", json!("failed"));
        set(*step, "reason", json!(reason));
    }
    for (step, note) in note {
        set(*step, "note", json!(note));
    }
    rest.extend(by_step.into_values().map(Value::Object));
    body.insert("progress".to_owned(), Value::Array(rest));
}

/// `3=text` as a step's number and the text.
fn numbered(text: &str) -> Result<(u32, String), String> {
    text.split_once('=')
        .and_then(|(step, text)| Some((step.trim().parse().ok()?, text.trim().to_owned())))
        .filter(|(_, text)| !text.is_empty())
        .ok_or_else(|| "it must be the number of a step, `=` and a text, as in 3=\"no access\"".into())
}
