//! From a proposal to a plan: what has one right answer is repaired, and each repair is recorded.
//!
//! A [`Plan`] can be made only here, and every promise that the service makes about plans holds for it;
//! it is not checked again.

mod arms;
mod assumptions;
mod fields;
mod order;
mod repeats;
mod verification;

use crate::domain::arms::ArmRegistry;
use crate::domain::playbooks::PlaybookUse;
use crate::domain::{Budget, PlanResponse, PlanRules, Repair, RepairCode, SubTask, Warning};

use super::draft::{Draft, DraftStep};
use super::error::{PlanFault, StepRef};
use super::parse::Doubt;
use super::{estimate, graph};

use arms::Neighbours;

pub(super) use order::free_numbers;

/// A valid plan: within the limits, known arms, earlier dependencies only, criteria, costs and times.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    steps: Vec<SubTask>,
    rationale: String,
    confidence: f64,
    repairs: Vec<Repair>,
    warnings: Vec<Warning>,
    open_questions: Vec<String>,
    playbooks: Option<PlaybookUse>,
}

/// What is known of a plan in addition to the plan itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanDetails {
    /// What was changed in the proposal.
    pub repairs: Vec<Repair>,
    /// The critics' warnings about the plan.
    pub warnings: Vec<Warning>,
    /// What the engine would like to know.
    pub open_questions: Vec<String>,
    /// The playbooks that it was made with.
    pub playbooks: Option<PlaybookUse>,
}

impl Plan {
    /// The steps, numbered from 1 in order of execution.
    pub fn steps(&self) -> &[SubTask] {
        &self.steps
    }

    /// Why the goal was broken down this way.
    pub fn rationale(&self) -> &str {
        &self.rationale
    }

    /// 0.0 to 1.0, lowered by each repair.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// What was changed in the proposal.
    pub fn repairs(&self) -> &[Repair] {
        &self.repairs
    }

    /// The critics' warnings about it.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What the engine would like to know.
    pub fn open_questions(&self) -> &[String] {
        &self.open_questions
    }

    /// The same plan, made with these playbooks.
    pub(super) fn with_playbooks(self, playbooks: Option<PlaybookUse>) -> Self {
        Self { playbooks, ..self }
    }

    /// The same plan with what was known of it when it was made.
    pub(super) fn with_details(self, details: PlanDetails) -> Self {
        let PlanDetails { repairs, warnings, open_questions, playbooks } = details;
        Self { repairs, warnings, open_questions, playbooks, ..self }
    }

    /// The same plan with further warnings.
    pub(super) fn warned(mut self, warnings: Vec<Warning>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// The plan in its wire form, without extras, and its details.
    pub fn into_response(self) -> (PlanResponse, PlanDetails) {
        let response = PlanResponse {
            total_estimated_duration: estimate::total_seconds(&self.steps),
            complexity_score: estimate::complexity(&self.steps),
            plan: self.steps,
            rationale: self.rationale,
            confidence: self.confidence,
            ..PlanResponse::default()
        };
        let details = PlanDetails {
            repairs: self.repairs,
            warnings: self.warnings,
            open_questions: self.open_questions,
            playbooks: self.playbooks,
        };
        (response, details)
    }
}

/// Each repair leaves this much of the confidence.
const CONFIDENCE_PER_REPAIR: f64 = 0.95;
/// And an assumption, or an arm that was guessed, this much.
const CONFIDENCE_OF_ASSUMPTION: f64 = 0.5;
/// Beyond this a proposal is refused unread: the most that settings allow, twentyfold.
const MAX_STEPS_READ: usize = 1_000;

/// What becomes of what a proposal leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// It is a fault: the LLM can be asked again.
    Strict,
    /// The likeliest reading counts, is recorded as a repair, and halves the confidence.
    #[default]
    Lenient,
}

/// What is known in addition to the proposed steps.
#[derive(Debug, Default)]
pub(super) struct ProposalContext<'a> {
    /// Steps that are finished and stay as they are, ascending.
    pub(super) done: &'a [SubTask],
    /// Steps that failed.
    pub(super) failed: &'a [&'a SubTask],
    /// Repairs that were made before.
    pub(super) repairs: Vec<Repair>,
    /// What was left open when the proposal was read.
    pub(super) doubts: Vec<Doubt>,
    /// What becomes of that.
    pub(super) strictness: Strictness,
    /// What the plan may take; only what is added here keeps to it.
    pub(super) budget: Budget,
    /// Whether the likeliest arm is taken where it is not clear which one is meant; otherwise that is a fault.
    pub(super) guesses_arms: bool,
}

/// Makes a plan of a final proposal (nobody can be asked again), or returns all its faults.
///
/// # Errors
/// All faults that have no one right repair.
pub fn normalize(draft: Draft, registry: &ArmRegistry, rules: &PlanRules) -> Result<Plan, Vec<PlanFault>> {
    normalize_in_context(ProposalContext::default(), draft, registry, rules)
}

/// The same in addition to what is known: new steps get the numbers that finished ones leave free, and may not just
/// repeat what failed. `rules` are for the new steps.
pub(super) fn normalize_in_context(
    context: ProposalContext<'_>,
    draft: Draft,
    registry: &ArmRegistry,
    rules: &PlanRules,
) -> Result<Plan, Vec<PlanFault>> {
    let found = draft.steps.len();
    if found > MAX_STEPS_READ {
        return Err(vec![PlanFault::TooManySteps { found, max: rules.max_steps }]);
    }
    let mut normalizer = Normalizer::new(registry, context.done, context.strictness);
    normalizer.guesses_arms = context.guesses_arms;
    let Draft { steps: drafts, nulls, rationale, confidence, open_questions, unused } = draft;
    normalizer.number(&drafts, nulls);
    normalizer.check_gaps(&drafts, rules.max_steps);
    normalizer.resolve_doubts(context.doubts);
    let mut needs = normalizer.dependencies(&drafts);
    let order = normalizer.execution_order(&needs);
    let mut steps = normalizer.steps(drafts, &needs);
    normalizer.connect_by_types(&steps, &mut needs, &order);
    normalizer.check_repeated_actions(&steps);
    normalizer.check_repeated_attempts(&steps, &needs, context.failed);
    normalizer.arrange(&mut steps, &needs, &order);
    normalizer.repairs.extend(context.repairs);
    if found > rules.max_steps {
        normalizer.faults.push(PlanFault::TooManySteps { found, max: rules.max_steps });
    }
    if rules.require_verification {
        normalizer.end_with_verification(&mut steps, rules.max_steps, &context.budget);
    }
    if steps.len() < rules.min_steps {
        normalizer.faults.push(PlanFault::TooFewSteps { found, min: rules.min_steps });
    }
    let rationale = normalizer.rationale(rationale);
    let confidence = normalizer.confidence(confidence);
    normalizer.warn_of_unused(unused);
    let plan = normalizer.finish(steps, rationale, confidence)?;
    Ok(Plan { open_questions: fields::questions(open_questions), ..plan })
}

/// A step on its own, as it would be at `place` in a plan: with what has one right answer repaired, and
/// dependencies on earlier places alone. `None` where it has a fault that the whole plan could not have.
pub fn normalize_step(draft: DraftStep, place: u32, registry: &ArmRegistry) -> Option<SubTask> {
    let mut normalizer = Normalizer::new(registry, &[], Strictness::Lenient);
    let needs = draft.depends_on.iter().flatten().filter_map(|&needed| u32::try_from(needed).ok());
    let mut depends_on: Vec<u32> = needs.filter(|needed| (1..place).contains(needed)).collect();
    depends_on.sort_unstable();
    depends_on.dedup();
    let step = normalizer.step(0, draft, &Neighbours::default());
    normalizer.faults.is_empty().then_some(SubTask { step: place, depends_on, ..step })
}

/// The state of the work: the faults found and the repairs made.
struct Normalizer<'a> {
    registry: &'a ArmRegistry,
    /// Steps that are finished, ascending.
    done: &'a [SubTask],
    strictness: Strictness,
    /// The number of each proposed step, by which others refer to it.
    numbers: Vec<i64>,
    /// Where there was no step in the proposal, ascending.
    nulls: Vec<usize>,
    faults: Vec<PlanFault>,
    /// Repairs of proposed steps, by their places from 0, until these have their final numbers.
    early_repairs: Vec<(RepairCode, Option<usize>, String)>,
    /// All others.
    repairs: Vec<Repair>,
    warnings: Vec<Warning>,
    /// Whether a reading was chosen that may not be what was meant.
    has_assumed: bool,
    guesses_arms: bool,
    /// Places of proposed steps whose arms were taken although it was not clear which one is meant.
    guessed_arms: Vec<usize>,
}

impl<'a> Normalizer<'a> {
    fn new(registry: &'a ArmRegistry, done: &'a [SubTask], strictness: Strictness) -> Self {
        Self {
            registry,
            done,
            strictness,
            numbers: Vec::new(),
            nulls: Vec::new(),
            faults: Vec::new(),
            early_repairs: Vec::new(),
            repairs: Vec::new(),
            warnings: Vec::new(),
            has_assumed: false,
            guesses_arms: false,
            guessed_arms: Vec::new(),
        }
    }

    /// How faults name the step at this place, from 0.
    fn at(&self, index: usize) -> StepRef {
        let place = 1 + self.nulls.iter().fold(index, |place, null| place + usize::from(*null <= place));
        self.numbers.get(index).map_or(place.into(), |number| StepRef { place, number: *number })
    }

    /// Records a repair of the proposed step at `index`, before it has its final number.
    fn record(&mut self, code: RepairCode, index: Option<usize>, message: impl Into<String>) {
        self.early_repairs.push((code, index, message.into()));
    }

    /// Records a repair of the whole plan.
    fn record_for_plan(&mut self, code: RepairCode, message: impl Into<String>) {
        self.repairs.push(Repair { code, step: None, message: message.into() });
    }

    fn execution_order(&mut self, needs: &order::Dependencies) -> Vec<usize> {
        graph::topological_order(&needs.new, &self.numbers).unwrap_or_else(|cycle| {
            let steps = cycle.iter().map(|index| self.at(*index)).collect();
            self.faults.push(PlanFault::Cycle { steps });
            (0..needs.new.len()).collect()
        })
    }

    fn finish(
        mut self,
        mut steps: Vec<SubTask>,
        rationale: String,
        confidence: f64,
    ) -> Result<Plan, Vec<PlanFault>> {
        if !self.faults.is_empty() {
            self.faults.sort();
            self.faults.dedup();
            return Err(self.faults);
        }
        let confidence = self.lowered(confidence);
        if !self.done.is_empty() {
            steps.extend_from_slice(self.done);
            steps.sort_by_key(|step| step.step);
        }
        Ok(Plan {
            steps,
            rationale,
            confidence,
            repairs: self.repairs,
            warnings: self.warnings,
            open_questions: Vec::new(),
            playbooks: None,
        })
    }

    /// A proposal's confidence after all repairs and assumptions.
    fn lowered(&self, confidence: f64) -> f64 {
        if self.repairs.is_empty() && !self.has_assumed {
            return confidence;
        }
        let assumptions = i32::from(self.has_assumed) + self.guessed_arms.len() as i32;
        let lowered = confidence
            * CONFIDENCE_PER_REPAIR.powi(self.repairs.len() as i32)
            * CONFIDENCE_OF_ASSUMPTION.powi(assumptions);
        (lowered * 10_000.0).round() / 10_000.0
    }
}
