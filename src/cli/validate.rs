//! `planner-arm validate`: a plan from elsewhere, repaired or with everything that is wrong with it.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::{Map, Value, json};

use crate::config::Settings;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::validate::take_request;
use crate::domain::{InvalidRequest, PlanRequest, PlanResponse};
use crate::planner::normalize::PlanDetails;
use crate::service::PlannerService;
use crate::telemetry;

use super::output::{OutputArguments, PlanFormat, STANDARD, findings, name_of, read};
use super::render::FinishedPlan;
use super::request::{RequestArguments, merge};

/// Arguments of `planner-arm validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// A file with the plan, as `plan --format json` prints it or in any form in which LLMs write plans; `-`, or no file
    /// when standard input is not a terminal, reads it from standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<String>,
    /// What the plan is for
    #[arg(short, long, value_name = "GOAL")]
    goal: Option<String>,
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    output: OutputArguments<PlanFormat>,
}

impl ValidateArguments {
    /// Whether there is a plan to read without a person having to type it.
    pub(super) fn has_plan(&self) -> bool {
        self.file.is_some() || !std::io::stdin().is_terminal()
    }
}

/// Checks a plan and prints it in its valid form, or fails with every fault.
pub(super) async fn validate(arguments: ValidateArguments, settings: &Settings) -> ExitCode {
    telemetry::init_for_command(settings.log_level, std::io::stderr().is_terminal(), std::io::stderr);
    let path = arguments.file.as_deref().unwrap_or(STANDARD);
    let checked = match read(path) {
        Ok(text) => checked(text, &arguments, settings).await,
        Err(what) => return super::exit(Err(what)),
    };
    match checked {
        Ok(plan) => {
            let details = PlanDetails {
                repairs: plan.repairs.clone().unwrap_or_default(),
                warnings: plan.warnings.clone().unwrap_or_default(),
                open_questions: Vec::new(),
                playbooks: None,
            };
            let finished = FinishedPlan { plan: &plan, details: &details, origin: None };
            super::exit(arguments.output.plan(&finished).and_then(|text| super::print(&text)))
        }
        Err(problem) if problem.errors.is_empty() => super::exit(Err(problem.detail)),
        Err(problem) => {
            if arguments.output.format == PlanFormat::Json {
                let json = format!("{:#}\n", json!({ "errors": problem.errors }));
                if let Err(what) = super::print(&json) {
                    return super::exit(Err(what));
                }
            }
            super::exit(Err(findings(&format!("{} is not a valid plan", name_of(path)), &problem.errors)))
        }
    }
}

async fn checked(
    text: String,
    arguments: &ValidateArguments,
    settings: &Settings,
) -> Result<PlanResponse, Problem> {
    let service = PlannerService::from_settings(settings).map_err(internal)?;
    super::read_arm_sources(&service).await;
    let mut options = arguments.request.fields().map_err(internal)?;
    options.extend(arguments.goal.as_ref().map(|goal| ("goal".to_owned(), json!(goal))));
    check(&options, &service)?;
    // Text that is not a JSON object may still be a plan.
    let (text, mut body) = match serde_json::from_str(&text) {
        Ok(Value::Object(body)) => (None, body),
        _ => (Some(text), Map::new()),
    };
    merge(options, &mut body);
    let request = take_request(&mut body, &service.planner.registry())?;
    let text = text.unwrap_or_else(|| Value::Object(body).to_string());
    service.validate(text, request).await
}

/// Checks what the options say of the request, which is not read as part of the plan if it is invalid.
fn check(options: &Map<String, Value>, service: &PlannerService) -> Result<(), Problem> {
    // A goal is required of a request, and optional here.
    let mut request = Map::from_iter([("goal".to_owned(), json!("?"))]);
    request.extend(options.clone());
    let request = Value::Object(request).to_string();
    match PlanRequest::from_json_for(request.as_bytes(), &service.planner.installation()) {
        Ok(_) => Ok(()),
        Err(InvalidRequest { faults, .. }) => Err(internal(Problem::from(faults).detail)),
    }
}

/// A problem that has nothing to do with the plan.
fn internal(what: String) -> Problem {
    Problem::new(ErrorCode::InternalError, what)
}
