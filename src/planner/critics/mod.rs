//! Critics look at plans that are valid, and report what may still be wrong with them.
//!
//! After LLM-Modulo (Kambhampati et al., arXiv 2402.01817): what sound external critics find goes back to the LLM.
//! A hard finding is a fault like any other. A soft one is asked about once, and what remains of it is a warning.

mod budget;
mod coverage;
mod policy;
mod time;
mod vague;
mod words;

use std::fmt::Debug;
use std::sync::Arc;

use crate::domain::arms::ArmRegistry;
use crate::domain::{CriticsMode, FindingCode, PlanRequest, Schedule, SubTask, Warning};
use crate::planner::estimate;
use crate::planner::normalize::Plan;
use crate::planner::playbooks::limit;
use crate::text::{sentence, shorten, thousands};

pub use policy::PolicyCritic;
pub use words::Vocabulary;

/// Longest text that is quoted to the LLM, in characters.
const QUOTED_CHARS: usize = 200;

/// One critic. It is pure: the same plan gets the same findings.
pub trait Critic: Debug + Send + Sync {
    /// What is wrong with the plan.
    fn review(&self, review: &Review<'_>) -> Vec<Finding>;

    /// Whether all its findings are soft: then it is skipped where soft findings do not matter.
    fn is_soft(&self) -> bool {
        true
    }

    /// What is wrong with steps that are done, whatever the rest of the plan: hard findings that no new plan can fix.
    fn review_done(&self, _review: &Review<'_>) -> Vec<Finding> {
        Vec::new()
    }

    /// Rules that the LLM is told from the start.
    fn stated(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A valid plan, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// Goal, constraints, context and budget; the goal is empty where it is not known.
    pub request: &'a PlanRequest,
    /// All steps, numbered from 1 in execution order.
    pub steps: &'a [SubTask],
    /// Those of them that are done and cannot be changed, ascending.
    pub done: &'a [SubTask],
    /// Why the goal was broken down this way.
    pub rationale: &'a str,
    /// The steps as a timetable.
    pub schedule: &'a Schedule,
    /// The arms that the plan may use.
    pub registry: &'a ArmRegistry,
    /// The time limit that each constraint sets, in seconds.
    limits: &'a [Option<u32>],
}

impl<'a> Review<'a> {
    /// The steps that can still be changed.
    pub fn open_steps(&self) -> impl Iterator<Item = &'a SubTask> {
        let review = *self;
        self.steps.iter().filter(move |step| !review.is_done(step.step))
    }

    /// Whether the step with this number is done.
    fn is_done(&self, number: u32) -> bool {
        self.done.binary_search_by_key(&number, |done| done.step).is_ok()
    }
}

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The kind of finding.
    pub code: FindingCode,
    /// What becomes of it.
    pub severity: FindingSeverity,
    /// The number of the step, `None` when the whole plan is meant.
    pub step: Option<u32>,
    /// The field of the step, where it is one.
    pub field: Option<&'static str>,
    /// The message for the LLM: what is wrong, with figures, and what would be right. Texts of the request are in it only
    /// as [`quoted`].
    pub to_llm: String,
    /// The same for the caller: a clause in lower case without a full stop. In that of a hard finding there is no text of
    /// the request or the plan, as errors are logged.
    pub to_caller: String,
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingSeverity {
    /// It is a fault: no plan with it is returned.
    Hard,
    /// The LLM is asked once; then it is a warning.
    Soft,
    /// It is a warning, as its critic is not right often enough to cause a call.
    Warning,
}

impl Finding {
    /// Where in the plan it is, such as `plan[2].action`.
    pub(super) fn place(&self) -> String {
        match (self.step, self.field) {
            (None, _) => "plan".into(),
            (Some(step), None) => format!("plan[{}]", step - 1),
            (Some(step), Some(field)) => format!("plan[{}].{field}", step - 1),
        }
    }

    /// `None` for hard findings, which are never let pass.
    fn into_warning(self) -> Option<Warning> {
        match self.code {
            FindingCode::Budget => None,
            FindingCode::Warning(code) => {
                Some(Warning { code, step: self.step, message: sentence(&self.to_caller) })
            }
        }
    }
}

/// `text` of a request or a plan for the eyes of the LLM: as data between the tags whose content it does not follow.
pub fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(shorten(text, QUOTED_CHARS)).to_string();
    format!("<request>{}</request>", json.replace('<', "\\u003c"))
}

/// `1200` as `1,200 s`.
fn seconds(seconds: u64) -> String {
    format!("{} s", thousands(seconds))
}

/// The critics of an installation.
#[derive(Debug, Clone)]
pub struct Critics {
    mode: CriticsMode,
    critics: Arc<[Box<dyn Critic>]>,
}

impl Default for Critics {
    fn default() -> Self {
        Self::new(CriticsMode::default(), Vec::new())
    }
}

/// A plan that may be returned, and findings that the LLM may be asked about first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reviewed {
    pub(super) plan: Plan,
    pub(super) soft: Vec<Finding>,
}

/// What a review of a plan came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// No plan with these is returned.
    pub hard: Vec<Finding>,
    /// The LLM may be asked about these.
    pub soft: Vec<Finding>,
    /// All that a caller should know if the plan is returned as it is.
    pub warnings: Vec<Warning>,
}

impl Critics {
    /// The built-in critics and `further` ones.
    pub fn new(mode: CriticsMode, further: Vec<Box<dyn Critic>>) -> Self {
        let mut critics: Vec<Box<dyn Critic>> = vec![
            Box::new(budget::BudgetCritic),
            Box::new(time::TimeLimit),
            Box::new(time::ImplausibleDurations),
            Box::new(coverage::Coverage),
            Box::new(vague::VagueActions),
            Box::new(vague::VagueCriteria),
        ];
        critics.extend(further);
        Self { mode, critics: critics.into() }
    }

    /// Rules that the LLM is told from the start.
    pub(super) fn stated(&self) -> Vec<String> {
        self.critics.iter().flat_map(|critic| critic.stated()).collect()
    }

    /// What is wrong with the steps of a plan that are `done`, whatever follows them.
    pub(super) fn review_done(
        &self,
        request: &PlanRequest,
        steps: &[SubTask],
        done: &[SubTask],
        registry: &ArmRegistry,
    ) -> Vec<Finding> {
        let schedule = estimate::schedule(steps);
        let review =
            Review { request, steps, done, rationale: "", schedule: &schedule, registry, limits: &[] };
        self.critics.iter().flat_map(|critic| critic.review_done(&review)).collect()
    }

    /// Everything that the critics find in `plan`, some steps of which may be `done`.
    pub fn review(
        &self,
        request: &PlanRequest,
        plan: &Plan,
        done: &[SubTask],
        registry: &ArmRegistry,
    ) -> Findings {
        let (steps, rationale) = (plan.steps(), plan.rationale());
        let schedule = estimate::schedule(steps);
        let limits: Vec<Option<u32>> = request.constraints.iter().map(|text| limit::of(text)).collect();
        let review =
            Review { request, steps, done, rationale, schedule: &schedule, registry, limits: &limits };
        let asked = self.critics.iter().filter(|critic| self.mode != CriticsMode::Off || !critic.is_soft());
        let mut findings = Findings::default();
        for finding in asked.flat_map(|critic| critic.review(&review)) {
            match finding.severity {
                FindingSeverity::Hard => findings.hard.push(finding),
                FindingSeverity::Soft if self.mode == CriticsMode::Enforce => {
                    findings.warnings.extend(finding.clone().into_warning());
                    findings.soft.push(finding);
                }
                FindingSeverity::Soft | FindingSeverity::Warning => {
                    findings.warnings.extend(finding.into_warning());
                }
            }
        }
        findings
    }
}
