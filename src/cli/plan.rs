//! `planner-arm plan`: one plan, printed.

use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::app::App;
use crate::config::Settings;
use crate::http::problem::Problem;
use crate::models::PlanRequest;
use crate::telemetry;

use super::render;

/// What `planner-arm plan` is given.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// What is to be achieved
    goal: String,
    /// A rule that the plan must respect; may be given several times
    #[arg(short, long = "constraint", value_name = "C")]
    constraints: Vec<String>,
    /// What the planner should know: a JSON object, or a file with one
    #[arg(long, value_name = "FILE|JSON")]
    context: Option<String>,
    /// How to print the plan
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// As POST /plan answers
    Json,
    /// A Mermaid flowchart
    Mermaid,
}

/// Makes a plan and prints it.
pub(super) async fn plan(arguments: PlanArguments, settings: &Settings) -> Result<(), String> {
    telemetry::init_for_command(settings.log_level);
    let request = PlanRequest {
        goal: arguments.goal,
        constraints: arguments.constraints,
        context: arguments.context.as_deref().map(context).transpose()?.unwrap_or_default(),
        request_id: None,
    };
    request.check().map_err(|faults| Problem::from(faults).detail)?;
    let app = App::from_settings(settings)?;

    let spinner = spinner(&app.planner.model());
    let deadline = Instant::now() + settings.timeout;
    let (origin, result) = app.planner.generate_plan(&request, deadline).await;
    spinner.finish_and_clear();

    let (plan, repairs) = result.map_err(|error| Problem::from(error).detail)?.into_response();
    super::print(&match arguments.format {
        Format::Table => render::table(&plan, &repairs, &origin),
        Format::Mermaid => render::mermaid(&plan.plan),
        Format::Json => {
            let json = serde_json::to_string_pretty(&plan).map_err(|error| error.to_string())?;
            render::visible_json(&json) + "\n"
        }
    })
}

/// Turns on standard error while the plan is being made; hidden where that is no terminal.
fn spinner(model: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(format!("planning with {model}"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
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
