//! `planner-arm eval`: evaluates the configured engine on a set of scenarios.
//!
//! # Scenario files
//! A TOML file with one `[[scenario]]` for each goal; without a file, those that ship with the program
//! (`scenarios.toml`) are run.
//!
//! | key | type | meaning |
//! |---|---|---|
//! | `name` | text | unique in the file |
//! | `kind` | text | any word; the summary groups by it |
//! | `goal`, `constraints`, `context` | text, list of texts, table | as in `POST /plan`, with its limits; only `goal` is required |
//! | `arms` | list of texts | ids of arms that a good plan uses; optional |
//! | `steps` | list of tables | the plan that a person wrote, each step with `arm` and `depends_on`; optional |
//!
//! `[[arms]]`, with the fields that arms have in the settings file, replaces the configured
//! registry for the run. Unknown keys are refused, and every fault is reported at once.
//!
//! # What is measured
//! - A scenario is *valid* when its plan keeps every promise about plans; the promises are checked independently of the
//!   planner's own validation.
//! - *Expected arms*: which of `arms` have a step. *Constraints*: how many the plan mentions (see [`coverage`]). Neither
//!   decides on success; without a plan none count as used or covered.
//! - *Node F1* and *link F1*: how much the plan is like the labelled one (see [`labels`]).
//! - Latencies include failed scenarios; percentiles are values at the nearest rank.
//! - *Calls for each plan* are all calls, including those of failed scenarios, divided by the valid plans.
//! - A *fallback* is an answer from another engine than the configured one, or from another model than its first. A plan
//!   of the fallback engine does not count as valid: it does not measure the configured engine.

mod labels;
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

use crate::config::Settings;
use crate::domain::arms::ArmRegistry;
use crate::domain::problem::{ErrorCode, Problem};
use crate::llm::fallback::UsageTotals;
use crate::planner::normalize::Plan;
use crate::planner::{Origin, PlanJob};
use crate::service::PlannerService;
use crate::telemetry;

use super::output::STANDARD;
use super::positive;
use super::render::visible;

use report::{Gates, Report};
use scenarios::{SHIPPED, Scenario, ScenarioFile};
use score::{EvalTarget, Outcome, Score, judge};

/// Arguments of `planner-arm eval`.
#[derive(Debug, Args)]
pub(super) struct EvalArguments {
    /// A TOML file with scenarios [default: the built-in scenarios]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<String>,
    /// Write the report as JSON to this file; `-` writes it to standard output instead of the tables
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    json: Option<String>,
    /// Fail if less than this share of the scenarios gets a valid plan, 0.0 to 1.0
    #[arg(long, value_name = "SHARE", default_value_t = 0.9, value_parser = share)]
    min_success: f64,
    /// Fail if all plans together have more warnings than this
    #[arg(long, value_name = "N")]
    max_warnings: Option<usize>,
    /// How many plans to make at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = positive::<u16>)]
    concurrency: u16,
}

/// Runs all scenarios and prints the report. Fails with fewer valid plans than required.
pub(super) async fn eval(arguments: EvalArguments, mut settings: Settings) -> Result<(), String> {
    telemetry::init_for_command(settings.log_level, std::io::stderr().is_terminal(), std::io::stderr);
    let scenarios = load(arguments.file.as_deref(), &mut settings)?;
    let json_file = arguments.json.as_deref().filter(|&file| file != STANDARD);
    if json_file.is_some_and(|file| Some(file) == arguments.file.as_deref() || is_toml(file)) {
        return Err(
            "--json names the file that the report is written to; give the scenario file as a separate argument"
                .into()
        );
    }
    json_file.map_or(Ok(()), must_be_writable)?;

    crate::cli::report(settings.model_notice().as_slice());
    let service = PlannerService::from_settings(&settings)?;
    super::read_arm_sources(&service).await;
    let target = EvalTarget {
        arms: (*service.planner.registry()).clone(),
        rules: settings.rules.clone(),
        engine: settings.engine,
        model: service.planner.model(),
    };
    let scores = run(&service, scenarios, &target, &settings, arguments.concurrency.into()).await;

    let timeout = settings.timeout.as_secs_f64();
    let gates = Gates { min_success: arguments.min_success, max_warnings: arguments.max_warnings };
    let report = Report::new(arguments.file, scores, &target, timeout, gates);
    if let Some(file) = json_file {
        std::fs::write(file, report.json()?).map_err(|error| unwritable(file, &error))?;
    }
    super::print(&if arguments.json.as_deref() == Some(STANDARD) { report.json()? } else { report.text() })?;
    if report.passed { Ok(()) } else { Err(report.shortfall()) }
}

/// Guards against `--json` given as a flag before the scenario file, which the report would overwrite.
fn is_toml(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// The scenarios of `file`, or the shipped ones; the file's own arms replace those in `settings`.
fn load(file: Option<&str>, settings: &mut Settings) -> Result<Vec<Scenario>, String> {
    let Some(file) = file else { return shipped(&settings.arms) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the scenario file \"{file}\" ({error})"))?;
    let read = ScenarioFile::read(&text, &settings.arms, settings.rules.require_verification)
        .map_err(|faults| refusal(&format!("the scenario file \"{file}\" is invalid"), &faults))?;
    if let Some(arms) = read.arms {
        settings.arms = arms;
        settings.arm_sources.clear();
    }
    Ok(read.scenarios)
}

/// The shipped scenarios, without expected arms that are not configured.
fn shipped(configured: &ArmRegistry) -> Result<Vec<Scenario>, String> {
    let mut scenarios = ScenarioFile::read(SHIPPED, &ArmRegistry::default(), true)
        .map_err(|faults| refusal("the shipped scenarios are invalid", &faults))?
        .scenarios;
    for scenario in &mut scenarios {
        scenario.arms.retain(|arm| configured.get(arm).is_some());
        // A plan for other arms is not valid for these.
        if scenario.steps.iter().any(|step| configured.get(&step.arm).is_none()) {
            scenario.steps.clear();
        }
    }
    Ok(scenarios)
}

fn refusal(what: &str, faults: &[String]) -> String {
    let lines: String = faults.iter().map(|fault| format!("\n  - {}", visible(fault))).collect();
    format!("{what}; nothing was run:{lines}")
}

/// Checks this before the first paid call.
fn must_be_writable(file: &str) -> Result<(), String> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(file);
    opened.map(drop).map_err(|error| unwritable(file, &error))
}

fn unwritable(file: &str, error: &std::io::Error) -> String {
    format!("--json: cannot write the file \"{file}\" ({error})")
}

/// Makes and scores all plans, `concurrency` at a time; the scores are in the order of the scenarios.
async fn run(
    service: &Arc<PlannerService>,
    scenarios: Vec<Scenario>,
    target: &EvalTarget,
    settings: &Settings,
    concurrency: usize,
) -> Vec<Score> {
    let bar = bar(scenarios.len(), &target.model);
    let mut scores: Vec<(usize, Score)> = stream::iter(scenarios.into_iter().enumerate())
        .map(async |(index, scenario)| {
            let outcome = ask(service, &scenario, target, settings).await;
            bar.inc(1);
            (index, judge(&scenario, outcome, target))
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    bar.finish_and_clear();
    scores.sort_by_key(|(index, _)| *index);
    scores.into_iter().map(|(_, score)| score).collect()
}

/// Makes one plan in a task of its own, so that a panic is the failure of this scenario only.
async fn ask(
    service: &Arc<PlannerService>,
    scenario: &Scenario,
    target: &EvalTarget,
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
                engine: target.engine,
                model: target.model.clone(),
                usage_totals: UsageTotals::default(),
            },
            result: Err(Problem::new(ErrorCode::InternalError, "The planner panicked.")),
            took,
        },
    }
}

/// A progress bar on standard error; hidden if that is not a terminal.
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
    use crate::domain::PlanRequest;
    use crate::domain::PlanRules;
    use crate::domain::{EMBEDDED_MODEL, EngineKind};
    use crate::planner::normalize::PlanDetails;
    use crate::planner::promises::valid_plan;

    pub(super) fn scenario(name: &str) -> Scenario {
        let request = PlanRequest { goal: "Do it".into(), ..PlanRequest::default() };
        Scenario { name: name.into(), kind: "test".into(), request, arms: Vec::new(), steps: Vec::new() }
    }

    pub(super) fn target() -> EvalTarget {
        EvalTarget {
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

    /// The score of a valid plan, or of an error.
    pub(super) fn score(name: &str, kind: &str, valid: bool) -> Score {
        let result = if valid {
            Ok((valid_plan(), PlanDetails::default()))
        } else {
            Err(Problem::new(ErrorCode::PlanInvalid, "It is not a plan."))
        };
        let outcome = Outcome { origin: embedded(), result, took: std::time::Duration::ZERO };
        judge(&Scenario { kind: kind.into(), ..scenario(name) }, outcome, &target())
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
