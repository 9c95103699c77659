//! `planner-arm validate`: a plan from elsewhere, repaired or with everything that is wrong with it.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::domain::arms::choice::faults_of_choices;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::validate::take_request;
use crate::domain::{PlanRequest, PlanResponse};
use crate::planner::normalize::PlanDetails;
use crate::service::PlannerService;
use crate::telemetry;

use super::arms_file;
use super::output::{OutputArguments, PlanFormat, STANDARD, findings, name_of, read};
use super::render::FinishedPlan;

/// Arguments of `planner-arm validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// A file with the plan, as `plan --format json` prints it or in any form in which LLMs write plans; `-`, or no file
    /// when standard input is not a terminal, reads it from standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<String>,
    /// The arms that the plan may use: a file with ids or definitions, in JSON, YAML or TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    arms: Option<String>,
    #[command(flatten)]
    output: OutputArguments<PlanFormat>,
}

impl ValidateArguments {
    /// Whether there is a plan to read without a person having to type it.
    pub(super) fn has_plan(&self) -> bool {
        self.file.is_some() || !std::io::stdin().is_terminal()
    }
}

/// Checks a plan, and prints it as it is valid; or fails with every fault.
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
    let registry = service.planner.registry();
    // Text that is not a JSON object may still be a plan.
    let (text, mut request) = match serde_json::from_str(&text) {
        Ok(Value::Object(mut body)) => {
            let request = take_request(&mut body, &registry)?;
            (Value::Object(body).to_string(), request)
        }
        _ => (text, PlanRequest::default()),
    };
    if let Some(file) = &arguments.arms {
        let choices = arms_file::read(file).map_err(internal)?;
        let faults = faults_of_choices(&choices, Some(&registry));
        if !faults.is_empty() {
            return Err(faults.into());
        }
        request.arms = Some(choices);
    }
    service.validate(text, request).await
}

/// A problem that has nothing to do with the plan.
fn internal(what: String) -> Problem {
    Problem::new(ErrorCode::InternalError, what)
}
