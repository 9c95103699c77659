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
use crate::domain::{MAX_GOAL_CHARS, PlanRequest};
use crate::planner::normalize::Plan;
use crate::planner::{Origin, PlanJob, PlannerArm};
use crate::service::PlannerService;
use crate::telemetry;

use super::progress::{Screen, TICK};
use super::render::{self, Colours, Made};

/// The goal that means standard input.
const STANDARD_INPUT: &str = "-";
/// The longest goal in UTF-8, and the end of its line.
const MOST_BYTES: u64 = 4 * MAX_GOAL_CHARS + 2;
/// What shells end with when they are interrupted: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// What `planner-arm plan` is given.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// What is to be achieved; `-`, or none where standard input is no terminal: what stands there
    goal: Option<String>,
    /// A rule that the plan must respect; may be given several times
    #[arg(short, long = "constraint", value_name = "C")]
    constraints: Vec<String>,
    /// What the planner should know: a JSON object, or a file with one
    #[arg(long, value_name = "FILE|JSON", value_hint = ValueHint::FilePath)]
    context: Option<String>,
    /// How to print the plan
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Whether arms are shown in colours; auto: in a terminal, unless `NO_COLOR` is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// The steps below what they wait for, for people
    Tree,
    /// As POST /plan answers
    Json,
    /// A Mermaid flowchart
    Mermaid,
}

impl PlanArguments {
    /// Whether there is a goal, or something that it can be read from without anybody being asked.
    pub(super) fn have_a_goal(&self) -> bool {
        self.goal.is_some() || !std::io::stdin().is_terminal()
    }
}

/// Makes a plan and prints it.
pub(super) async fn plan(arguments: PlanArguments, settings: &Settings) -> ExitCode {
    match printed(arguments, settings).await {
        Ok(Some(text)) => super::exit(super::print(&text)),
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(what) => super::exit(Err(what)),
    }
}

/// The plan as it is to be printed; `None` when a person did not want to wait for it.
async fn printed(arguments: PlanArguments, settings: &Settings) -> Result<Option<String>, String> {
    let screen = Screen::new(Colours::on(&std::io::stderr(), arguments.color));
    let logged = screen.clone();
    telemetry::init_for_command(settings.log_level, screen.has_colours(), move || logged.clone());
    let request = PlanRequest {
        goal: goal(arguments.goal)?,
        constraints: arguments.constraints,
        context: arguments.context.as_deref().map(context).transpose()?.unwrap_or_default(),
        request_id: None,
    };
    request.check().map_err(|faults| Problem::from(faults).detail)?;
    let service = PlannerService::from_settings(settings)?;

    let deadline = Instant::now() + settings.timeout;
    let job = PlanJob::from(request);
    let Some((origin, plan)) = watched(&service.planner, &job, deadline, &screen).await? else {
        return Ok(None);
    };
    let (plan, repairs) = plan.into_response();
    let made = Made { plan: &plan, repairs: &repairs, origin: &origin };
    let colours = Colours::on(&std::io::stdout(), arguments.color);
    Ok(Some(match arguments.format {
        Format::Table => render::table(&made, colours),
        Format::Tree => render::tree(&made, colours),
        Format::Mermaid => render::mermaid(&plan.plan),
        Format::Json => {
            let json = serde_json::to_string_pretty(&plan).map_err(|error| error.to_string())?;
            render::visible_json(&json) + "\n"
        }
    }))
}

/// The plan that is ordered, drawn while it is made where somebody can see it; `None` when they stop it.
async fn watched(
    planner: &PlannerArm,
    job: &PlanJob,
    deadline: Instant,
    screen: &Screen,
) -> Result<Option<(Origin, Plan)>, String> {
    let is_seen = screen.is_visible();
    let (sender, mut steps) = unbounded_channel();
    let mut making = pin!(planner.generate_plan(job, deadline, is_seen.then_some(&sender)));
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut tick = interval_at(Instant::now() + TICK, TICK);
    if is_seen {
        screen.begin(&planner.model());
    }
    let made = loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => screen.show(step),
            made = &mut making => break Some(made),
            // Otherwise SIGINT ends the process as it does any other.
            _ = &mut interrupted, if is_seen => break None,
            _ = tick.tick(), if is_seen => screen.tick(),
        }
    };
    screen.end();
    let Some((origin, result)) = made else { return Ok(None) };
    Ok(Some((origin, result.map_err(|error| Problem::from(error).detail)?)))
}

/// The goal that was given, or the one on standard input.
fn goal(given: Option<String>) -> Result<String, String> {
    match given {
        Some(goal) if goal != STANDARD_INPUT => Ok(goal),
        _ => goal_on_standard_input(),
    }
}

/// What stands there, without the end of its last line.
fn goal_on_standard_input() -> Result<String, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("standard input cannot be read ({error})"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("The goal on standard input is longer than 10,000 characters.".into());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| "The goal on standard input is not UTF-8; convert it, with iconv for example.")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn context(given: &str) -> Result<Map<String, Value>, String> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        std::fs::read_to_string(given)
            .map_err(|error| format!("--context: the file \"{given}\" cannot be read ({error})"))?
    };
    serde_json::from_str(&text).map_err(|error| format!("--context must be a JSON object ({error})"))
}
