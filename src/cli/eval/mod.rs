//! `planner-arm eval`: how well the configured engine plans, measured on many goals.
//!
//! # Scenario files
//! A TOML file with one `[[scenario]]` for each goal; without a file, those that ship with the program
//! (`scenarios.toml`) are run.
//!
//! | key | type | what it is |
//! |---|---|---|
//! | `name` | text | unique in the file |
//! | `kind` | text | any word; the summary groups by it |
//! | `goal`, `constraints`, `context` | text, list of texts, table | as in `POST /plan`, with its limits; only `goal` is required |
//! | `arms` | list of texts | ids of arms that a good plan uses; may be left out |
//!
//! `[[arms]]`, with the fields that arms have in the settings file, gives the run its own registry in the
//! stead of the configured one. Unknown keys are refused, and everything that is wrong is said at once.
//!
//! # What is measured
//! - A scenario is *sound* when a plan came that keeps every promise about plans; the promises are checked
//!   again here, without the planner's own check.
//! - *Expected arms*: which of `arms` have a step. *Constraints*: how many the plan takes up, a matter of
//!   words (see [`coverage`]). Neither decides on success; without a plan none count as used or taken up.
//! - Latencies are of all scenarios, failed ones too; percentiles are values at the nearest rank.
//! - *Calls for each plan* are all calls, those of failed scenarios too, out of the sound plans.
//! - A *fallback* is an answer from another than the configured engine and its first model. A plan of the
//!   fallback engine is not counted as sound: it says nothing of what is measured.

mod coverage;
mod promises;
mod report;
mod scenarios;
mod score;
mod summary;

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::sync::Arc;

use clap::{Args, ValueHint};
use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::config::{LogLevel, Settings};
use crate::domain::arms::ArmRegistry;
use crate::domain::problem::{ErrorCode, Problem};
use crate::llm::fallback::UsageTotals;
use crate::planner::normalize::Plan;
use crate::planner::{Origin, PlanJob};
use crate::service::PlannerService;
use crate::telemetry;

use super::render::visible;

use report::Report;
use scenarios::{SHIPPED, Scenario, ScenarioFile};
use score::{Outcome, Score, Standard, judge};

/// The name under which `--json` means standard output.
const STANDARD_OUTPUT: &str = "-";

/// What `planner-arm eval` is given.
#[derive(Debug, Args)]
pub(super) struct EvalArguments {
    /// A TOML file with scenarios [default: those that ship with the program]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<String>,
    /// Write the whole report as JSON into this file; `-` is standard output, in the stead of the tables
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    json: Option<String>,
    /// Fail with fewer sound plans than this share of the scenarios, 0.0 to 1.0
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    min_success: f64,
    /// How many plans are made at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
}

/// Runs all scenarios and prints what came of them. Fails with fewer sound plans than asked for.
pub(super) async fn eval(arguments: EvalArguments, mut settings: Settings) -> Result<(), String> {
    // Every scenario's failure is in the report; warnings would only tear the progress bar.
    let level = match settings.log_level {
        LogLevel::Warn | LogLevel::Info => LogLevel::Error,
        level => level,
    };
    telemetry::init_for_command(level, std::io::stderr().is_terminal(), std::io::stderr);
    let scenarios = load(arguments.file.as_deref(), &mut settings)?;
    let json_file = arguments.json.as_deref().filter(|&file| file != STANDARD_OUTPUT);
    if json_file.is_some_and(|file| Some(file) == arguments.file.as_deref() || is_toml(file)) {
        return Err(
            "--json names where the report goes; a scenario file stands before it, without --json".into()
        );
    }
    json_file.map_or(Ok(()), must_be_writable)?;

    let service = PlannerService::from_settings(&settings)?;
    let standard = Standard {
        arms: settings.arms.clone(),
        rules: settings.rules.clone(),
        engine: settings.engine,
        model: service.planner.model(),
    };
    let scores = run(&service, scenarios, &standard, &settings, arguments.concurrency.into()).await;

    let timeout = settings.timeout.as_secs_f64();
    let report = Report::new(arguments.file, scores, &standard, timeout, arguments.min_success);
    if let Some(file) = json_file {
        std::fs::write(file, report.json()?).map_err(|error| unwritable(file, &error))?;
    }
    super::print(&if arguments.json.as_deref() == Some(STANDARD_OUTPUT) {
        report.json()?
    } else {
        report.text()
    })?;
    if report.passed { Ok(()) } else { Err(report.shortfall()) }
}

/// `--json` taken for a switch would write the report over the scenarios.
fn is_toml(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// The scenarios of `file`, or the shipped ones; arms that the file brings go into `settings`.
fn load(file: Option<&str>, settings: &mut Settings) -> Result<Vec<Scenario>, String> {
    let Some(file) = file else { return shipped(&settings.arms) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the scenario file \"{file}\" cannot be read ({error})"))?;
    let read = ScenarioFile::read(&text, &settings.arms, settings.rules.require_verification)
        .map_err(|faults| refusal(&format!("the scenario file \"{file}\" is bad"), &faults))?;
    if let Some(arms) = read.arms {
        settings.arms = arms;
    }
    Ok(read.scenarios)
}

/// The shipped scenarios. They expect OctoLLM's own arms; where others are configured, those count.
fn shipped(configured: &ArmRegistry) -> Result<Vec<Scenario>, String> {
    let mut scenarios = ScenarioFile::read(SHIPPED, &ArmRegistry::default(), true)
        .map_err(|faults| refusal("the shipped scenarios are bad", &faults))?
        .scenarios;
    for scenario in &mut scenarios {
        scenario.arms.retain(|arm| configured.get(arm).is_some());
    }
    Ok(scenarios)
}

fn refusal(what: &str, faults: &[String]) -> String {
    let lines: String = faults.iter().map(|fault| format!("\n  - {}", visible(fault))).collect();
    format!("{what}; nothing was run:{lines}")
}

/// Finds out before the first question is paid for.
fn must_be_writable(file: &str) -> Result<(), String> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(file);
    opened.map(drop).map_err(|error| unwritable(file, &error))
}

fn unwritable(file: &str, error: &std::io::Error) -> String {
    format!("--json: the file \"{file}\" cannot be written ({error})")
}

/// Asks for all plans, `concurrency` at a time, and judges them; the scores are in the order of the scenarios.
async fn run(
    service: &Arc<PlannerService>,
    scenarios: Vec<Scenario>,
    standard: &Standard,
    settings: &Settings,
    concurrency: usize,
) -> Vec<Score> {
    let bar = bar(scenarios.len(), &standard.model);
    let mut scores: Vec<(usize, Score)> = stream::iter(scenarios.into_iter().enumerate())
        .map(async |(index, scenario)| {
            let outcome = ask(service, &scenario, standard, settings).await;
            bar.inc(1);
            (index, judge(&scenario, outcome, standard))
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    bar.finish_and_clear();
    scores.sort_by_key(|(index, _)| *index);
    scores.into_iter().map(|(_, score)| score).collect()
}

/// Asks for one plan, in a task of its own: a panic there is this scenario's failure and nobody else's.
async fn ask(
    service: &Arc<PlannerService>,
    scenario: &Scenario,
    standard: &Standard,
    settings: &Settings,
) -> Outcome {
    let (service, job) = (service.clone(), PlanJob::from(scenario.request.clone()));
    let start = Instant::now();
    let deadline = start + settings.timeout;
    let answer = tokio::spawn(async move { service.planner.generate_plan(&job, deadline, None).await }).await;
    let took = start.elapsed();
    match answer {
        Ok((origin, result)) => {
            Outcome { origin, result: result.map(Plan::into_response).map_err(Problem::from), took }
        }
        Err(_) => Outcome {
            origin: Origin {
                engine: standard.engine,
                model: standard.model.clone(),
                usage_totals: UsageTotals::default(),
            },
            result: Err(Problem::new(ErrorCode::InternalError, "The planner panicked.")),
            took,
        },
    }
}

/// Fills on standard error; hidden where that is no terminal.
fn bar(scenarios: usize, model: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(scenarios as u64).with_style(style).with_message(format!("planning with {model}"))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "it must be a number from 0.0 to 1.0".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PlanRules;
    use crate::domain::{EMBEDDED_MODEL, EngineKind};
    use crate::domain::{PlanRequest, PlanResponse, SubTask};

    /// Three steps that keep every promise under the usual rules and arms.
    pub(super) fn sound_plan() -> PlanResponse {
        let step = |step: u32, arm: &str, action: &str| SubTask {
            step,
            action: action.into(),
            required_arm: arm.into(),
            acceptance_criteria: vec!["It is done in Python".into()],
            depends_on: (1..step).collect(),
            estimated_cost_tier: 2,
            estimated_duration_seconds: 30,
        };
        PlanResponse {
            plan: vec![
                step(1, "coder", "Write it"),
                step(2, "executor", "Run it"),
                step(3, "judge", "Verify it"),
            ],
            rationale: "Because.".into(),
            confidence: 0.9,
            total_estimated_duration: 90,
            complexity_score: 0.3,
            plan_id: None,
            schedule: None,
            usage: None,
            repairs: None,
        }
    }

    pub(super) fn scenario(name: &str) -> Scenario {
        let request = PlanRequest { goal: "Do it".into(), ..PlanRequest::default() };
        Scenario { name: name.into(), kind: "test".into(), request, arms: Vec::new() }
    }

    pub(super) fn standard() -> Standard {
        Standard {
            arms: ArmRegistry::default(),
            rules: PlanRules::default(),
            engine: EngineKind::Embedded,
            model: EMBEDDED_MODEL.into(),
        }
    }

    pub(super) fn embedded() -> Origin {
        Origin {
            engine: EngineKind::Embedded,
            model: EMBEDDED_MODEL.into(),
            usage_totals: UsageTotals::default(),
        }
    }

    /// The score of a sound plan, or of none at all.
    pub(super) fn score(name: &str, kind: &str, sound: bool) -> Score {
        let result = if sound {
            Ok((sound_plan(), Vec::new()))
        } else {
            Err(Problem::new(ErrorCode::PlanInvalid, "It is no plan."))
        };
        let outcome = Outcome { origin: embedded(), result, took: std::time::Duration::ZERO };
        judge(&Scenario { kind: kind.into(), ..scenario(name) }, outcome, &standard())
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        for good in ["0", "0.0", "0.95", "1", "1.0"] {
            assert!(share(good).is_ok(), "{good}");
        }
        for bad in ["", "x", "-0.1", "1.01", "NaN", "inf", "90%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shipped_scenarios_expect_only_arms_that_are_configured() {
        let ids = |registry: &ArmRegistry| -> Vec<String> {
            shipped(registry).expect("scenarios").into_iter().flat_map(|scenario| scenario.arms).collect()
        };
        assert!(ids(&ArmRegistry::default()).contains(&"coder".to_owned()));
        let arms = ArmRegistry::default().arms().iter().filter(|arm| arm.id != "coder").cloned().collect();
        let others = ids(&ArmRegistry::new(arms, true).expect("arms"));
        assert!(!others.is_empty() && !others.contains(&"coder".to_owned()));
    }
}
