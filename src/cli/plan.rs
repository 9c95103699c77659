//! `planner-arm plan`: one plan, printed.

use std::io::{IsTerminal, Read};
use std::pin::pin;
use std::process::ExitCode;

use clap::{Args, ColorChoice, ValueEnum, ValueHint};
use serde_json::{Map, Value};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, interval_at};

use crate::config::Settings;
use crate::domain::problem::Problem;
use crate::domain::{Budget, MAX_GOAL_CHARS, PlanRequest};
use crate::planner::normalize::Plan;
use crate::planner::{Origin, PlanJob, PlannerArm};
use crate::service::PlannerService;
use crate::telemetry;

use super::arms_file;
use super::progress::{Progress, TICK};
use super::render::{self, Colours, FinishedPlan};

/// The goal that stands for standard input.
const STANDARD_INPUT: &str = "-";
/// The longest goal in UTF-8 with its line ending.
const MAX_INPUT_BYTES: u64 = 4 * MAX_GOAL_CHARS + 2;
/// The exit code after an interrupt, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Arguments of `planner-arm plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// What you want to get done, in one or more words; `-`, or no goal where standard input is no terminal, reads it
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
    /// Most seconds from start to end, along the critical path; no plan that takes longer is printed
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    max_duration: Option<u64>,
    /// Highest cost tier of any step, 1 to 5
    #[arg(long, value_name = "TIER", value_parser = clap::value_parser!(u8).range(1..=5))]
    max_cost_tier: Option<u8>,
    /// Most steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_steps: Option<u32>,
    /// How to print the plan
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Whether to colour arms (auto: in a terminal, unless `NO_COLOR` is set)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table; in a terminal with less than 72 columns, a tree
    Table,
    /// Each step below its dependencies
    Tree,
    /// The JSON response of POST /plan
    Json,
    /// A Mermaid flowchart
    Mermaid,
}

impl PlanArguments {
    /// Whether there is a goal, or one can be read from standard input without a person having to type it.
    pub(super) fn have_a_goal(&self) -> bool {
        !self.goal.is_empty() || !std::io::stdin().is_terminal()
    }
}

/// Makes a plan and prints it.
pub(super) async fn plan(arguments: PlanArguments, settings: &Settings) -> ExitCode {
    match output(arguments, settings).await {
        Ok(Some(text)) => {
            let printed = super::print(&text);
            // Below the plan, where it is seen.
            super::report(settings.model_notice().as_slice());
            super::exit(printed)
        }
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(what) => super::exit(Err(what)),
    }
}

/// The plan as it is printed; `None` when a person interrupted it.
async fn output(arguments: PlanArguments, settings: &Settings) -> Result<Option<String>, String> {
    let progress = Progress::new(Colours::on(&std::io::stderr(), arguments.color));
    let log = progress.clone();
    telemetry::init_for_command(settings.log_level, progress.has_colours(), move || log.clone());
    let budget = Budget {
        max_duration_seconds: arguments.max_duration,
        max_cost_tier: arguments.max_cost_tier,
        max_steps: arguments.max_steps,
    };
    let request = PlanRequest {
        goal: goal(&arguments.goal)?,
        constraints: arguments.constraints,
        context: arguments.context.as_deref().map(context).transpose()?.unwrap_or_default(),
        budget: (budget != Budget::default()).then_some(budget),
        arms: arguments.arms.as_deref().map(arms_file::read).transpose()?,
        ..PlanRequest::default()
    };
    let service = PlannerService::from_settings(settings)?;
    super::read_arm_sources(&service).await;
    request.check_for(&service.planner.registry()).map_err(|faults| Problem::from(faults).detail)?;
    if let Some(fault) = service.planner.budget_fault(&request) {
        return Err(Problem::from(vec![fault]).detail);
    }

    let deadline = Instant::now() + settings.timeout;
    let job = PlanJob::from(request);
    let Some((origin, plan)) = generate(&service.planner, &job, deadline, &progress).await? else {
        return Ok(None);
    };
    let (plan, details) = plan.into_response();
    let finished = FinishedPlan { plan: &plan, details: &details, origin: &origin };
    let colours = Colours::on(&std::io::stdout(), arguments.color);
    Ok(Some(match arguments.format {
        Format::Table if !render::is_too_narrow_for_a_table() => render::table(&finished, colours),
        Format::Table | Format::Tree => render::tree(&finished, colours),
        Format::Mermaid => render::mermaid(&plan.plan),
        Format::Json => {
            let json = serde_json::to_string_pretty(&plan).map_err(|error| error.to_string())?;
            render::visible_json(&json) + "\n"
        }
    }))
}

/// Makes the plan, with its progress drawn where that is visible; `None` when it is interrupted.
async fn generate(
    planner: &PlannerArm,
    job: &PlanJob,
    deadline: Instant,
    progress: &Progress,
) -> Result<Option<(Origin, Plan)>, String> {
    let is_visible = progress.is_visible();
    let (sender, mut steps) = unbounded_channel();
    let mut planning = pin!(planner.generate_plan(job, deadline, is_visible.then_some(&sender)));
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut tick = interval_at(Instant::now() + TICK, TICK);
    if is_visible {
        progress.begin(&planner.model());
    }
    let generated = loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => progress.show(&step),
            generated = &mut planning => break Some(generated),
            // Where nothing is drawn, SIGINT ends the process without our help.
            _ = &mut interrupt, if is_visible => break None,
            _ = tick.tick(), if is_visible => progress.tick(),
        }
    };
    progress.end();
    let Some((origin, result)) = generated else { return Ok(None) };
    Ok(Some((origin, result.map_err(|error| explained(Problem::from(error)))?)))
}

/// What is wrong, and what the LLM server says about it.
fn explained(problem: Problem) -> String {
    match problem.upstream.as_ref().and_then(|upstream| upstream.message()) {
        Some(message) => format!("{} The server says: {message}", problem.detail),
        None => problem.detail,
    }
}

/// The words of the goal as one text, or the goal on standard input.
fn goal(words: &[String]) -> Result<String, String> {
    match words {
        [] => goal_on_standard_input(),
        [word] if word == STANDARD_INPUT => goal_on_standard_input(),
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
        Ok(Value::Array(_)) => Err(", not an array".into()),
        Ok(Value::String(_)) => Err(", not a string".into()),
        Ok(Value::Number(_)) => Err(", not a number".into()),
        Ok(Value::Bool(_)) => Err(", not a boolean".into()),
        Ok(Value::Null) => Err(", not null".into()),
        Err(error) => Err(format!("; it is not valid JSON ({error})")),
    }
}
