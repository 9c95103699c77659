//! From a proposal to a plan: what has one right answer is mended, and each normalizer is recorded.
//!
//! A [`Plan`] can be made only here, and every promise that the service makes about plans holds for it;
//! nobody checks it again.

mod arms;
mod order;

use std::collections::{HashMap, HashSet};

use crate::domain::arms::ArmRegistry;
use crate::domain::{MAX_STEP_SECONDS, PlanResponse, PlanRules, Repair, RepairCode, SubTask};
use crate::text::says_nothing;

use super::draft::{Draft, DraftStep};
use super::error::{PlanFault, StepRef};
use super::{estimate, graph};

use arms::Neighbours;
use order::Needs;
pub(super) use order::free_numbers;

/// A sound plan: within the limits, known arms, earlier dependencies only, criteria, costs and times.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    steps: Vec<SubTask>,
    rationale: String,
    confidence: f64,
    repairs: Vec<Repair>,
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

    /// The same plan, made with `repairs` that lowered its confidence when it was made.
    pub(super) fn with_repairs(self, repairs: Vec<Repair>) -> Self {
        Self { repairs, ..self }
    }

    /// The plan in its wire form, without extras, and its repairs.
    pub fn into_response(self) -> (PlanResponse, Vec<Repair>) {
        let response = PlanResponse {
            total_estimated_duration: estimate::total_seconds(&self.steps),
            complexity_score: estimate::complexity(&self.steps),
            plan: self.steps,
            rationale: self.rationale,
            confidence: self.confidence,
            plan_id: None,
            schedule: None,
            usage: None,
            repairs: None,
        };
        (response, self.repairs)
    }
}

/// Each repair leaves this much of the confidence.
const CONFIDENCE_PER_REPAIR: f64 = 0.95;
/// Each arm that had to be guessed leaves this much of it.
const CONFIDENCE_PER_GUESS: f64 = 0.5;
/// For a proposal that does not say how sure it is.
const UNSTATED_CONFIDENCE: f64 = 0.5;
/// For a step that does not say how long it takes, in seconds.
const UNSTATED_SECONDS: u32 = 30;
/// Beyond this a proposal is refused unread: the most that settings allow, twentyfold.
const MOST_STEPS_READ: usize = 1_000;

/// Whether an engine has the chance to say more clearly what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It can be asked again: what is unclear is a fault.
    Once,
    /// It was asked again, or cannot be: of what is unclear the likeliest is taken.
    Again,
}

/// Makes a plan of a proposal, or says everything that is wrong with it.
///
/// # Errors
/// All faults that have no one right repair.
pub fn normalize(draft: Draft, registry: &ArmRegistry, rules: &PlanRules) -> Result<Plan, Vec<PlanFault>> {
    normalize_remaining_steps(&[], &[], draft, Vec::new(), registry, rules, Asked::Once)
}

/// Makes a plan of finished steps, which stay as they are, and of a proposal for the others, whose steps get the
/// numbers that are free and do not just repeat what `failed`. `rules` are for these; `repairs` were made before.
pub(super) fn normalize_remaining_steps(
    done: &[SubTask],
    failed: &[&SubTask],
    draft: Draft,
    repairs: Vec<Repair>,
    registry: &ArmRegistry,
    rules: &PlanRules,
    asked: Asked,
) -> Result<Plan, Vec<PlanFault>> {
    let found = draft.steps.len();
    if found > MOST_STEPS_READ {
        return Err(vec![PlanFault::TooManySteps { found, max: rules.max_steps }]);
    }
    let mut normalizer = Normalizer {
        registry,
        asked,
        guessed_arms: 0,
        done,
        numbers: Vec::new(),
        nulls: Vec::new(),
        faults: Vec::new(),
        repairs: Vec::new(),
    };

    let numbers = normalizer.numbers(&draft.steps);
    normalizer.numbers.clone_from(&numbers);
    normalizer.nulls = draft.nulls;
    if !normalizer.nulls.is_empty() {
        normalizer.record(
            RepairCode::StepDropped,
            None,
            "What was `null` in the list of steps was left out.",
        );
    }
    let mut needs = normalizer.dependencies(&draft.steps, &numbers);
    let order = graph::topological_order(&needs.new, &numbers).unwrap_or_else(|cycle| {
        let steps = cycle.iter().map(|index| normalizer.at(*index)).collect();
        normalizer.faults.push(PlanFault::Cycle { steps });
        (0..found).collect()
    });
    let mut steps = normalizer.steps(draft.steps, &needs);
    normalizer.connect_by_types(&steps, &mut needs, &order);
    normalizer.repeated_actions(&steps);
    normalizer.repeated_attempts(&steps, &needs, failed);
    normalizer.order(&mut steps, &needs, &order, &numbers);
    normalizer.repairs.extend(repairs);
    if found > rules.max_steps {
        normalizer.faults.push(PlanFault::TooManySteps { found, max: rules.max_steps });
    }
    if rules.require_verification {
        normalizer.verification(&mut steps, rules.max_steps);
    }
    if steps.len() < rules.min_steps {
        normalizer.faults.push(PlanFault::TooFewSteps { found, min: rules.min_steps });
    }
    let rationale = normalizer.rationale(draft.rationale);
    let confidence = normalizer.confidence(draft.confidence);

    if !normalizer.faults.is_empty() {
        normalizer.faults.sort();
        normalizer.faults.dedup();
        return Err(normalizer.faults);
    }
    let repairs = normalizer.repairs;
    let confidence = if repairs.is_empty() {
        confidence
    } else {
        let lowered = confidence
            * CONFIDENCE_PER_REPAIR.powi(repairs.len() as i32)
            * CONFIDENCE_PER_GUESS.powi(normalizer.guessed_arms);
        (lowered * 10_000.0).round() / 10_000.0
    };
    if !done.is_empty() {
        steps.extend_from_slice(done);
        steps.sort_by_key(|step| step.step);
    }
    Ok(Plan { steps, rationale, confidence, repairs })
}

/// A step on its own, as it would stand at `place` in a plan: with what has one right answer mended, and
/// dependencies on earlier places alone. `None` where it has a fault that the whole plan could not have.
pub fn normalize_step(draft: DraftStep, place: u32, registry: &ArmRegistry) -> Option<SubTask> {
    let mut normalizer = Normalizer {
        registry,
        asked: Asked::Once,
        guessed_arms: 0,
        done: &[],
        numbers: Vec::new(),
        nulls: Vec::new(),
        faults: Vec::new(),
        repairs: Vec::new(),
    };
    let needs = draft.depends_on.iter().flatten().filter_map(|&needed| u32::try_from(needed).ok());
    let mut depends_on: Vec<u32> = needs.filter(|needed| (1..place).contains(needed)).collect();
    depends_on.sort_unstable();
    depends_on.dedup();
    let step = normalizer.step(0, draft, &Neighbours::default());
    normalizer.faults.is_empty().then_some(SubTask { step: place, depends_on, ..step })
}

/// The work in hand: what was found wrong, and what was mended.
struct Normalizer<'a> {
    registry: &'a ArmRegistry,
    asked: Asked,
    /// Arms that were taken although it was not clear which is meant.
    guessed_arms: i32,
    /// Steps that are finished, ascending.
    done: &'a [SubTask],
    /// What [`Normalizer::numbers`] gave.
    numbers: Vec<i64>,
    /// Where there was no step in the proposal, ascending.
    nulls: Vec<usize>,
    faults: Vec<PlanFault>,
    /// Until [`Normalizer::order`] has run, `step` is the place in the proposal, from 1.
    repairs: Vec<Repair>,
}

impl Normalizer<'_> {
    /// How faults name the step at this place, from 0.
    fn at(&self, index: usize) -> StepRef {
        let place = 1 + self.nulls.iter().fold(index, |place, null| place + usize::from(*null <= place));
        self.numbers.get(index).map_or(place.into(), |number| StepRef { place, number: *number })
    }

    fn record(&mut self, code: RepairCode, step: Option<usize>, message: impl Into<String>) {
        let step = step.map(|index| index as u32 + 1);
        self.repairs.push(Repair { code, step, message: message.into() });
    }

    /// Each proposed step with a known arm, criteria, a cost and a duration; its dependencies come later.
    fn steps(&mut self, drafts: Vec<DraftStep>, needs: &Needs) -> Vec<SubTask> {
        let neighbours = self.neighbours(&drafts, needs);
        let drafts = drafts.into_iter().zip(neighbours).enumerate();
        drafts.map(|(index, (draft, neighbours))| self.step(index, draft, &neighbours)).collect()
    }

    fn step(&mut self, index: usize, draft: DraftStep, neighbours: &Neighbours<'_>) -> SubTask {
        let action = trimmed(draft.action);
        if says_nothing(&action) {
            self.faults.push(PlanFault::BlankAction { step: self.at(index) });
        }
        let (required_arm, usual_tier) = self.arm(index, draft.arm, &action, neighbours);
        SubTask {
            step: 0,
            acceptance_criteria: self.criteria(index, draft.criteria),
            depends_on: Vec::new(),
            estimated_cost_tier: self.number(index, "cost tier", draft.cost_tier, u32::from(usual_tier), 5)
                as u8,
            estimated_duration_seconds: self.number(
                index,
                "duration in seconds",
                draft.seconds,
                UNSTATED_SECONDS,
                MAX_STEP_SECONDS,
            ),
            action,
            required_arm,
        }
    }

    fn criteria(&mut self, index: usize, written: Vec<String>) -> Vec<String> {
        let found = written.len();
        let mut criteria: Vec<String> = written.into_iter().map(trimmed).collect();
        criteria.retain(|text| !says_nothing(text));
        let mut repeated: Vec<usize> =
            twins(criteria.iter().map(String::as_str).zip(0..)).into_iter().map(|(_, later)| later).collect();
        repeated.sort_unstable();
        let (mut repeated, mut place) = (repeated.into_iter().peekable(), 0..);
        criteria.retain(|_| place.next().is_some_and(|place| repeated.next_if_eq(&place).is_none()));
        if criteria.is_empty() {
            self.faults.push(PlanFault::NoCriteria { step: self.at(index) });
        } else if criteria.len() < found {
            self.record(
                RepairCode::CriterionDropped,
                Some(index),
                "A blank or repeated acceptance criterion was left out.",
            );
        }
        criteria
    }

    /// `written` as a whole number from 1 to `max`.
    fn number(&mut self, index: usize, what: &str, written: Option<f64>, usual: u32, max: u32) -> u32 {
        let Some(written) = written else {
            self.record(
                RepairCode::FieldFilled,
                Some(index),
                format!("The {what} was missing; {usual} is usual."),
            );
            return usual;
        };
        let whole = written.round().clamp(1.0, f64::from(max));
        // Both are exact: whole numbers, or clamped to one.
        #[expect(clippy::float_cmp, reason = "asks whether rounding and clamping changed anything")]
        if whole != written {
            self.record(
                RepairCode::Clamped,
                Some(index),
                format!("The {what} was not a whole number from 1 to {max}; it is {whole} now."),
            );
        }
        whole as u32
    }

    fn repeated_actions(&mut self, steps: &[SubTask]) {
        let says_something = |(_, step): &(usize, &SubTask)| !says_nothing(&step.action);
        let actions = || steps.iter().enumerate().filter(says_something);
        for (first, later) in twins(actions().map(|(index, step)| (step.action.as_str(), index))) {
            self.faults.push(PlanFault::RepeatedAction { steps: vec![self.at(first), self.at(later)] });
        }
        let done = self.done.iter();
        let done: HashMap<&str, u32> = done.map(|step| (step.action.trim(), step.step)).collect();
        for (index, step) in actions() {
            if let Some(&done) = done.get(step.action.as_str()) {
                self.faults.push(PlanFault::RepeatsDone { step: self.at(index), done });
            }
        }
    }

    /// A step behind a new one may do what failed again, since something has changed by then.
    fn repeated_attempts(&mut self, steps: &[SubTask], needs: &Needs, failed: &[&SubTask]) {
        let without_new = |(index, _): &(usize, &SubTask)| needs.new[*index].is_empty();
        for (index, step) in steps.iter().enumerate().filter(without_new) {
            let again = failed.iter().find(|failed| {
                failed.action.trim() == step.action && failed.required_arm == step.required_arm
            });
            if let Some(failed) = again {
                self.faults.push(PlanFault::RepeatsFailed { step: self.at(index), failed: failed.step });
            }
        }
    }

    /// Ends the plan with a step that verifies, unless it does already, with at most `max_steps` new ones.
    fn verification(&mut self, steps: &mut Vec<SubTask>, max_steps: usize) {
        let Some(verifier) = self.registry.verifier() else { return };
        let last_done = self.done.last().map_or(0, |step| step.step);
        let ends_it = |last: &SubTask| last.step > last_done && self.registry.verifies(&last.required_arm);
        if steps.last().is_none_or(ends_it) {
            return;
        }
        if steps.len() >= max_steps {
            self.faults.push(PlanFault::Unverified { max: max_steps });
            return;
        }
        let Some(number) = self.free_numbers().nth(steps.len()) else { return };
        let all = || steps.iter().chain(self.done);
        let needed: HashSet<u32> = all().flat_map(|step| step.depends_on.iter().copied()).collect();
        let verify = "Verify that the results of all steps together reach the goal";
        let (mut action, mut attempt) = (verify.to_owned(), 1);
        while all().any(|step| step.action == action) {
            attempt += 1;
            action = format!("{verify} (attempt {attempt})");
        }
        let mut depends_on: Vec<u32> =
            all().map(|step| step.step).filter(|step| *step < number && !needed.contains(step)).collect();
        depends_on.sort_unstable();
        steps.push(SubTask {
            step: number,
            action,
            required_arm: verifier.id.clone(),
            acceptance_criteria: vec![
                "Every acceptance criterion of the earlier steps is met".into(),
                "Every constraint of the request is respected".into(),
            ],
            depends_on,
            estimated_cost_tier: verifier.cost_tier,
            estimated_duration_seconds: UNSTATED_SECONDS,
        });
        self.record(
            RepairCode::VerificationAdded,
            Some(number as usize - 1),
            "The plan ended without verification; a verifying last step was added.",
        );
    }

    fn rationale(&mut self, written: Option<String>) -> String {
        let written = written.map(trimmed).filter(|text| !text.is_empty());
        written.unwrap_or_else(|| {
            self.record(RepairCode::FieldFilled, None, "The rationale was missing.");
            "The planner gave no rationale for this plan.".into()
        })
    }

    fn confidence(&mut self, written: Option<f64>) -> f64 {
        let Some(written) = written else {
            self.record(
                RepairCode::FieldFilled,
                None,
                format!("The confidence was missing; {UNSTATED_CONFIDENCE} is assumed."),
            );
            return UNSTATED_CONFIDENCE;
        };
        if (0.0..=1.0).contains(&written) {
            // Makes 0 of -0.
            return written + 0.0;
        }
        // `88` is how some write 88 %; just above 1 is overconfidence.
        let within = if (2.0..=100.0).contains(&written) { written / 100.0 } else { written.clamp(0.0, 1.0) };
        self.record(
            RepairCode::Clamped,
            None,
            format!("The confidence was not from 0 to 1; it is {within} now."),
        );
        within
    }
}

/// The places of texts that stand there again, each with the place where the text stands first.
fn twins<'a>(texts: impl Iterator<Item = (&'a str, usize)>) -> Vec<(usize, usize)> {
    let mut sorted: Vec<(&str, usize)> = texts.collect();
    sorted.sort_unstable();
    let mut twins = Vec::new();
    let mut first = 0;
    for (at, &(text, place)) in sorted.iter().enumerate().skip(1) {
        if text == sorted[first].0 {
            twins.push((sorted[first].1, place));
        } else {
            first = at;
        }
    }
    twins
}

fn trimmed(text: String) -> String {
    if text.trim().len() == text.len() { text } else { text.trim().to_owned() }
}
