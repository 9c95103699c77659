//! The rest of a plan without an LLM: steps that have not started stay as they are, a step that failed is investigated
//! and done in another way, and what a verification found wrong is corrected before the next one.

use std::collections::{HashMap, HashSet};

use crate::domain::arms::ArmRegistry;
use crate::domain::{PlanRequest, StepStatus, SubTask};
use crate::planner::draft::{Draft, DraftStep};
use crate::planner::error::list;
use crate::planner::replan::{PlanProgress, StepProgress};
use crate::text::shorten;

use super::EmbeddedPlanner;
use super::arms::Staff;
use super::constraints::criterion_of;
use super::wording::one_line;

/// Longest piece of a step's action and of a reason that is quoted, in characters.
const QUOTED_ACTION: usize = 90;
const QUOTED_REASON: usize = 200;
const QUOTED_FEEDBACK: usize = 400;
/// How sure the rules are of a rest in which nothing failed, and what each failed step takes from that.
const CONFIDENCE: f64 = 0.55;
const LOWEST_CONFIDENCE: f64 = 0.2;
/// How long an added step usually takes, in seconds.
const ADDED_SECONDS: u32 = 600;
const CONFIDENCE_PER_FAILURE: f64 = 0.05;
/// How sure they are at most with feedback, which they cannot interpret.
const CONFIDENCE_WITH_FEEDBACK: f64 = 0.4;

/// Precedes the action of a step that is tried again.
const OTHERWISE: &str = "In a different way: ";
const AFRESH: &str = "Find out why this failed before, then do it in another way: ";
const ONCE_MORE: &str = "Once more: ";

/// Review steps, for plans that must have more steps: how the action begins, and its criterion.
const FACETS: [(&str, &str); 3] = [
    ("Gather what is known about", "What is known is written down, with its source"),
    ("Work out how to go about", "The next actions are clear to those who carry them out"),
    ("Look for what could go wrong with", "Each risk has an answer"),
];

/// A step in the making.
struct Task {
    action: String,
    /// The arm's place in the registry.
    arm: usize,
    criteria: Vec<String>,
    needs: Vec<Need>,
    tier: u8,
    seconds: u32,
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    /// A finished step, by its number.
    Done(u32),
    /// A new one, by its place.
    New(usize),
}

/// The rest of a plan in the making.
struct Remaining<'a> {
    staff: &'a Staff,
    registry: &'a ArmRegistry,
    progress: &'a PlanProgress,
    goal: String,
    tasks: Vec<Task>,
    /// The places of the plan's steps so far, by number, among the new ones.
    places: HashMap<u32, usize>,
    /// How many steps may be added.
    room: usize,
}

impl EmbeddedPlanner {
    /// The rest of the plan in `past`: always a draft that `replan::normalize_remaining` accepts without a single repair.
    pub fn propose_rest(&self, request: &PlanRequest, progress: &PlanProgress) -> Draft {
        let registry = &*self.registry;
        let rules = progress.rules(&self.rules, registry);
        let must_verify = rules.require_verification && registry.verifier().is_some();
        let left: Vec<&StepProgress> = progress.left().collect();
        let ends = |last: &&StepProgress| {
            last.step.step as usize == progress.steps().len() && registry.verifies(&last.step.required_arm)
        };
        let (last, others) = match left.split_last() {
            Some((last, others)) if must_verify && ends(last) => (Some(*last), others),
            _ => (None, left.as_slice()),
        };
        let count = others.len() + usize::from(must_verify);
        let mut rest = Remaining {
            staff: &self.staff,
            registry: &self.registry,
            progress,
            goal: shorten(&one_line(&request.goal), QUOTED_REASON),
            tasks: Vec::new(),
            places: HashMap::new(),
            room: rules.max_steps.saturating_sub(count),
        };
        let first = rest.feedback();
        for step in others {
            rest.step(step, &first);
        }
        let prepares = last.is_some_and(|last| last.status == StepStatus::Failed) && rest.room > 0;
        let behind = usize::from(must_verify) + usize::from(prepares);
        let looks = rest.fill(rules.min_steps.saturating_sub(behind));
        match last {
            Some(last) => rest.step(last, &[first.as_slice(), looks.as_slice()].concat()),
            None if must_verify => rest.closing(),
            None => {}
        }
        if must_verify {
            rest.wait_for_all();
        }
        let constraints =
            request.constraints.iter().map(|text| one_line(text)).filter(|text| !text.is_empty());
        let feedback = progress
            .feedback()
            .map(|text| format!("Feedback met: {}", shorten(&one_line(text), QUOTED_FEEDBACK)));
        rest.respect(constraints.map(|text| criterion_of(&text)).chain(feedback));
        Draft {
            steps: rest.into_steps(),
            rationale: Some(rationale(progress, !first.is_empty())),
            confidence: Some(confidence(progress)),
            ..Draft::default()
        }
    }
}

impl Remaining<'_> {
    /// Lets the last step wait, directly or through others, for every other one, new or done.
    fn wait_for_all(&mut self) {
        let Some((last, others)) = self.tasks.split_last_mut() else { return };
        let mut waited: HashSet<Need> = last.needs.iter().copied().collect();
        let mut missing = Vec::new();
        for (place, task) in others.iter().enumerate().rev() {
            if waited.insert(Need::New(place)) {
                missing.push(Need::New(place));
            }
            waited.extend(&task.needs);
        }
        for done in self.progress.done().iter().rev() {
            if waited.insert(Need::Done(done.step)) {
                missing.push(Need::Done(done.step));
            }
            waited.extend(done.depends_on.iter().map(|needed| Need::Done(*needed)));
        }
        last.needs.extend(missing);
    }

    /// Adds a step that settles what the feedback changes, before any other, where there is room for one. Gives that
    /// step.
    ///
    /// Only a reader can tell whether feedback adds a step, removes one or forbids something.
    fn feedback(&mut self) -> Vec<Need> {
        let Some(feedback) = self.progress.feedback().filter(|_| self.room > 0) else { return Vec::new() };
        let quoted = shorten(&one_line(feedback), QUOTED_REASON);
        let criteria = [
            "For each remaining step it is decided whether and how the feedback changes it",
            "What the feedback asks for beyond these steps is done or has an owner",
        ];
        let arm = self.staff.for_text("plan");
        self.room -= 1;
        let action = format!("Decide what this feedback changes in the remaining steps: “{quoted}”");
        vec![Need::New(self.add(arm, action, criteria.map(str::to_owned).into(), Vec::new()))]
    }

    /// Adds what is left of a step, which also waits for what is in `before`.
    fn step(&mut self, progress: &StepProgress, before: &[Need]) {
        let step = &progress.step;
        let mut needs: Vec<Need> = step.depends_on.iter().map(|needed| self.need(*needed)).collect();
        needs.extend(before);
        let mut task = Task {
            action: step.action.trim().to_owned(),
            arm: self.arm_of(step),
            criteria: distinct(&step.acceptance_criteria),
            needs,
            tier: step.estimated_cost_tier,
            seconds: step.estimated_duration_seconds,
        };
        if progress.status == StepStatus::Failed {
            self.prepare(progress, &mut task);
        }
        let place = self.push(task);
        self.places.insert(step.step, place);
    }

    /// Retries the failed `task`, after steps that find the cause and correct it.
    fn prepare(&mut self, progress: &StepProgress, task: &mut Task) {
        let action = [OTHERWISE, AFRESH, ONCE_MORE]
            .iter()
            .fold(task.action.as_str(), |action, lead| action.strip_prefix(lead).unwrap_or(action))
            .to_owned();
        let (quoted, reason) =
            (shorten(&one_line(&action), QUOTED_ACTION), progress.reason.as_deref().map(one_line));
        let why = reason.map(|reason| format!(": {}", shorten(&reason, QUOTED_REASON))).unwrap_or_default();
        let verifies = self.registry.arms()[task.arm].verifies();
        let avoided = "What made it fail before does not happen again".to_owned();
        if !task.criteria.contains(&avoided) {
            task.criteria.push(avoided);
        }
        if self.room == 0 {
            task.action = format!("{AFRESH}{action}");
            return;
        }
        task.action = format!("{}{action}", if verifies { ONCE_MORE } else { OTHERWISE });
        // A verification that failed has said what is wrong already.
        let (action, arm, criteria) = if verifies {
            let arm = self.doer_before(&progress.step);
            let criteria = ["Every fault that was found is corrected", "What worked before still works"];
            (format!("Fix what blocked “{quoted}”{why}"), arm, criteria)
        } else {
            let criteria = [
                "The cause is named, with what shows that it is the cause",
                "What must be different the next time is stated",
            ];
            (format!("Find out why “{quoted}” failed{why}"), task.arm, criteria)
        };
        let needs = task.needs.clone();
        self.room -= 1;
        let place = self.add(arm, action, criteria.map(str::to_owned).into(), needs);
        task.needs.push(Need::New(place));
    }

    /// Adds review steps until there are `fewest` steps, and returns them.
    fn fill(&mut self, fewest: usize) -> Vec<Need> {
        let work = self.tasks.len();
        for index in 0..fewest.saturating_sub(work) {
            let (lead, criterion) = FACETS[index % FACETS.len()];
            let (of, needs) = if work > 0 {
                let place = index % work;
                (self.tasks[place].action.clone(), vec![Need::New(place)])
            } else if let Some(done) = self.progress.done().last() {
                (done.action.clone(), vec![Need::Done(done.step)])
            } else {
                (self.goal.clone(), Vec::new())
            };
            let action = format!("{lead} “{}”", shorten(&one_line(&of), QUOTED_ACTION));
            let arm = self.staff.for_text(&action);
            let record = "The outcome is written down".into();
            self.room = self.room.saturating_sub(1);
            self.add(arm, action, vec![criterion.into(), record], needs);
        }
        (work..self.tasks.len()).map(Need::New).collect()
    }

    /// The last step, where the plan so far has none.
    fn closing(&mut self) {
        let action = format!("Verify that the whole result does what was asked: “{}”", self.goal);
        let criteria = vec![
            "The result as a whole does what was asked".into(),
            "Every acceptance criterion of the earlier steps is met, or its failure is reported".into(),
        ];
        let arm = self.staff.verifier().unwrap_or_else(|| self.staff.for_text(&action));
        let needs = self.leaves();
        self.add(arm, action, criteria, needs);
    }

    /// Makes those of `criteria` criteria of the last step that no step has.
    fn respect(&mut self, criteria: impl Iterator<Item = String>) {
        for criterion in criteria {
            let done = self.progress.done().iter().map(|step| &step.acceptance_criteria);
            let mut all = done.chain(self.tasks.iter().map(|task| &task.criteria)).flatten();
            if !all.any(|known| known.trim() == criterion)
                && let Some(last) = self.tasks.last_mut()
            {
                last.criteria.push(criterion);
            }
        }
    }

    /// Nodes that nothing else waits for.
    fn leaves(&self) -> Vec<Need> {
        let by_done =
            self.progress.done().iter().flat_map(|step| &step.depends_on).map(|number| Need::Done(*number));
        let by_new = self.tasks.iter().flat_map(|task| task.needs.iter().copied());
        let needed: HashSet<Need> = by_done.chain(by_new).collect();
        let done = self.progress.done().iter().map(|step| Need::Done(step.step));
        let new = (0..self.tasks.len()).map(Need::New);
        done.chain(new).filter(|leaf| !needed.contains(leaf)).collect()
    }

    fn need(&self, number: u32) -> Need {
        self.places.get(&number).map_or(Need::Done(number), |place| Need::New(*place))
    }

    fn arm_of(&self, step: &SubTask) -> usize {
        let named = self.registry.named(&step.required_arm).and_then(|arm| self.staff.place(&arm.id));
        named.unwrap_or_else(|| self.staff.for_text(&step.action))
    }

    /// The arm of the last step before this one that does not only verify.
    fn doer_before(&self, step: &SubTask) -> usize {
        let before = self.progress.steps()[..step.step as usize - 1].iter().rev();
        let mut doers =
            before.map(|progress| self.arm_of(&progress.step)).filter(|arm| !self.staff.verifies(*arm));
        doers.next().unwrap_or_else(|| self.staff.for_text(&step.action))
    }

    fn add(&mut self, arm: usize, action: String, criteria: Vec<String>, needs: Vec<Need>) -> usize {
        let tier = self.registry.arms()[arm].cost_tier;
        self.push(Task { action, arm, criteria, needs, tier, seconds: ADDED_SECONDS })
    }

    /// Adds a task under an action of its own: its place.
    fn push(&mut self, mut task: Task) -> usize {
        let arm = &self.registry.arms()[task.arm].id;
        let is_first = !task.needs.iter().any(|need| matches!(need, Need::New(_)));
        let is_taken = |action: &str| {
            is_first
                && self
                    .progress
                    .failed()
                    .any(|step| step.action.trim() == action && step.required_arm == *arm)
                || self.progress.done().iter().any(|step| step.action.trim() == action)
                || self.tasks.iter().any(|task| task.action == action)
        };
        let (base, mut attempt) = attempt_of(&task.action);
        let base = base.to_owned();
        while is_taken(&task.action) {
            attempt += 1;
            task.action = format!("{base} (attempt {attempt})");
        }
        self.tasks.push(task);
        self.tasks.len() - 1
    }

    fn into_steps(self) -> Vec<DraftStep> {
        let numbers: Vec<u32> = self.progress.free_numbers().take(self.tasks.len()).collect();
        let step = |(number, task): (&u32, Task)| {
            let mut needs: Vec<u32> = task
                .needs
                .iter()
                .map(|need| match need {
                    Need::Done(number) => *number,
                    Need::New(place) => numbers[*place],
                })
                .filter(|needed| needed < number)
                .collect();
            needs.sort_unstable();
            needs.dedup();
            DraftStep {
                number: Some((*number).into()),
                action: task.action,
                arm: self.registry.arms()[task.arm].id.clone(),
                criteria: task.criteria,
                depends_on: needs.into_iter().map(|needed| Some(needed.into())).collect(),
                cost_tier: Some(task.tier.into()),
                seconds: Some(task.seconds.into()),
            }
        };
        numbers.iter().zip(self.tasks).map(step).collect()
    }
}

/// An action without its count, and the count.
fn attempt_of(action: &str) -> (&str, u32) {
    let counted = action.strip_suffix(')').and_then(|action| action.rsplit_once(" (attempt "));
    let counted = counted.and_then(|(base, attempt)| Some((base, attempt.parse::<u16>().ok()?.into())));
    counted.unwrap_or((action, 1))
}

/// `criteria` without what surrounds them, and each once.
fn distinct(criteria: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    criteria.iter().map(|text| text.trim()).filter(|text| seen.insert(*text)).map(str::to_owned).collect()
}

fn numbers_of(progress: &PlanProgress, status: StepStatus) -> Vec<usize> {
    progress
        .steps()
        .iter()
        .filter(|progress| progress.status == status)
        .map(|progress| progress.step.step as usize)
        .collect()
}

/// Why the rest is as it is. `settles_feedback`: its first step does.
fn rationale(progress: &PlanProgress, settles_feedback: bool) -> String {
    let named = |status, what: &str| {
        let numbers = numbers_of(progress, status);
        let (steps, is) = if numbers.len() == 1 { ("step", "is") } else { ("steps", "are") };
        (!numbers.is_empty()).then(|| format!("{steps} {} {what} {is}", list(&numbers)))
    };
    let failed = named(StepStatus::Failed, "failed and").map(|failed| failed + " done in another way");
    let kept = named(StepStatus::Pending, "had not started and").map(|kept| kept + " kept");
    let changes: Vec<String> = failed.into_iter().chain(kept).collect();
    let feedback = match progress.feedback() {
        None => "",
        Some(_) if settles_feedback => {
            " It cannot interpret the feedback: a step that decides what changes was added first, and meeting the \
             feedback is a criterion of the last step."
        }
        Some(_) => {
            " It cannot interpret the feedback, and no further step is allowed: meeting the feedback is a criterion of \
             the last step."
        }
    };
    format!(
        "Plan of the remaining steps, made by the embedded planner, without a language model: of the plan so far, {}.{feedback}",
        changes.join("; ")
    )
}

fn confidence(progress: &PlanProgress) -> f64 {
    let failed = numbers_of(progress, StepStatus::Failed).len() as f64;
    let most = if progress.feedback().is_some() { CONFIDENCE_WITH_FEEDBACK } else { CONFIDENCE };
    let confidence = (most - CONFIDENCE_PER_FAILURE * failed).max(LOWEST_CONFIDENCE);
    (confidence * 100.0).round() / 100.0
}
