//! What `plan` and `replan` have in common: a plan is made, with its progress shown, and printed.

use std::pin::pin;
use std::process::ExitCode;

use clap::Args;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, interval_at};

use crate::config::Settings;
use crate::domain::problem::Problem;
use crate::planner::normalize::Plan;
use crate::planner::{Origin, PlanJob, PlannerArm};
use crate::service::{Include, PlannerService};
use crate::telemetry;

use super::output::{OutputArguments, PlanFormat, include};
use super::progress::{Progress, TICK};
use super::render::{Colours, FinishedPlan};

/// The exit code after an interrupt, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// How a plan is made and printed.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// Extras to add to the JSON: a comma-separated list of schedule, usage, repairs, id, warnings, questions
    #[arg(long, value_name = "EXTRAS", value_parser = include)]
    include: Option<Include>,
    #[command(flatten)]
    output: OutputArguments<PlanFormat>,
}

/// Makes the plan for what `job` reads, and prints it.
pub(super) async fn generate_and_print(
    arguments: &GenerateArguments,
    settings: &Settings,
    job: impl FnOnce(&PlannerService) -> Result<PlanJob, String>,
) -> ExitCode {
    match output(arguments, settings, job).await {
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
async fn output(
    arguments: &GenerateArguments,
    settings: &Settings,
    job: impl FnOnce(&PlannerService) -> Result<PlanJob, String>,
) -> Result<Option<String>, String> {
    let progress = Progress::new(Colours::on(&std::io::stderr(), arguments.output.color));
    let log = progress.clone();
    telemetry::init_for_command(settings.log_level, progress.has_colours(), move || log.clone());
    let service = PlannerService::from_settings(settings)?;
    super::read_arm_sources(&service).await;
    let include = arguments.include.unwrap_or_default();
    let job = PlanJob { asks_questions: include.questions, ..job(&service)? };
    let deadline = Instant::now() + settings.timeout;
    let Some((origin, plan)) = generate(&service.planner, &job, deadline, &progress).await? else {
        return Ok(None);
    };
    let (mut plan, details) = plan.into_response();
    include.add_to(&mut plan, &details, &origin);
    let finished = FinishedPlan { plan: &plan, details: &details, origin: Some(&origin) };
    arguments.output.plan(&finished).map(Some)
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
