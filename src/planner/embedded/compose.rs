//! From parts to the steps of a plan: what is added around them, and what waits for what.

use super::arms::{Arms, Intent};
use super::extras::Extras;
use super::fit;
use super::objects::capitalised;
use super::reading::{Kind, Link, Part};
use super::timing::usual_seconds;
use super::wording::{self, FACETS};
use crate::text::shorten;

/// One step in the making.
#[derive(Debug)]
pub(super) struct Task {
    pub action: String,
    pub intent: Intent,
    pub kind: Kind,
    /// The arm's place in the registry.
    pub arm: usize,
    pub criteria: Vec<String>,
    /// Places of the earlier tasks that it waits for, ascending.
    pub needs: Vec<usize>,
    pub seconds: u32,
    /// The goal itself asks for it.
    pub is_part: bool,
}

impl Task {
    /// The task that does `part`.
    fn of(part: &Part) -> Self {
        Self {
            action: wording::action(part),
            intent: part.intent,
            kind: part.kind,
            arm: part.arm,
            criteria: wording::criteria(part),
            needs: Vec::new(),
            seconds: usual_seconds(part.intent, part.kind, part.words),
            is_part: true,
        }
    }
}

/// What composing takes beside the parts.
pub(super) struct Brief<'a> {
    pub arms: &'a Arms,
    /// The goal on one line, shortened.
    pub goal: String,
    /// Names of what the caller gave along, in brackets; empty for nothing.
    pub context: String,
    /// Personal data or secrets are touched.
    pub sensitive: bool,
    pub has_constraints: bool,
    pub min_steps: usize,
    pub max_steps: usize,
    /// The last step has to verify, and there is an arm that can.
    pub must_verify: bool,
}

/// The steps for `parts`, within the limits of `brief`.
pub(super) fn compose(mut parts: Vec<Part>, brief: &Brief<'_>) -> Vec<Task> {
    let arms = brief.arms;
    let closing = if parts.len() > 1 && parts.last().is_some_and(|last| is_closing(last, arms)) {
        parts.pop()
    } else {
        None
    };
    let fixed = usize::from(brief.must_verify || closing.is_some());
    if brief.max_steps <= fixed {
        parts.extend(closing);
        fit::merge(&mut parts, 1);
        return vec![only_task(&parts[0], brief)];
    }
    let guarded = parts.iter().any(|part| part.intent == Intent::Guard);
    let guard = arms.serving(Intent::Guard).filter(|_| brief.sensitive && !guarded);
    let room = brief.max_steps - fixed;
    let reserved = usize::from(guard.is_some() && room > 1);
    fit::merge(&mut parts, room - reserved);
    let extras = Extras::choose(&parts, brief, guard, fixed == 1);
    Composer { brief, tasks: Vec::new(), before: Vec::new() }.run(&parts, &extras, closing.as_ref())
}

/// Whether the goal's last part can end the plan as its verification.
fn is_closing(part: &Part, arms: &Arms) -> bool {
    part.intent == Intent::Check && arms.list()[part.arm].verifies()
}

/// A plan of one step: the verifier's if there must be one, else that of the part's arm.
fn only_task(part: &Part, brief: &Brief<'_>) -> Task {
    let arm = if brief.must_verify { brief.arms.serving_or_rest(Intent::Check) } else { part.arm };
    let lead = if brief.must_verify { "Carry out and verify" } else { "Carry out" };
    let mut task = Task::of(part);
    task.action = format!("{lead}: {}", task.action);
    task.arm = arm;
    task.criteria.push(format!("The result does what was asked: “{}”", brief.goal));
    task
}

struct Composer<'a> {
    brief: &'a Brief<'a>,
    tasks: Vec<Task>,
    /// For each task, those that it waits for directly or through others.
    before: Vec<Vec<bool>>,
}

impl Composer<'_> {
    fn run(mut self, parts: &[Part], extras: &Extras, closing: Option<&Part>) -> Vec<Task> {
        let base = self.front(parts, extras);
        let last_code = parts.iter().rposition(|part| part.runs);
        let first_run = parts.iter().position(|part| part.intent == Intent::Run).unwrap_or(parts.len());
        let last_made = parts[..first_run].iter().rposition(|part| part.intent == Intent::Make);
        let first_use = parts.iter().position(|part| part.intent > Intent::Gather);
        // Made things are looked at before they are used; else the data before anything is done with it.
        let guard_before = last_made.map_or(first_use.unwrap_or(parts.len()), |made| made + 1);
        let mut places: Vec<usize> = Vec::with_capacity(parts.len());
        let (mut guard, mut run) = (None, None);
        for at in 0..=parts.len() {
            if at == guard_before {
                guard = extras.guard.map(|arm| self.guard(arm, parts, &places, &base));
            }
            if last_code.is_some_and(|last| at == last + 1) {
                run = extras.run.map(|arm| self.trial_run(arm, parts, &places, guard));
            }
            let Some(part) = parts.get(at) else { break };
            let mut needs: Vec<usize> = match part.link {
                Link::None => Vec::new(),
                Link::Previous => places.last().copied().into_iter().collect(),
                Link::All => places.clone(),
            };
            // What acts on the world is done in the order of the text: a copy before the deletion.
            let comes_first = |other: &usize| {
                let (earlier, this) = (parts[*other].intent, part.intent);
                earlier < this || earlier == this && this == Intent::Run
            };
            needs.extend((0..at).filter(comes_first).map(|other| places[other]));
            needs.extend(guard);
            needs.extend(run.filter(|_| part.intent >= Intent::Run));
            if needs.is_empty() {
                needs.clone_from(&base);
            }
            places.push(self.push(Task::of(part), needs));
        }
        if extras.summary {
            self.summary(parts, places.clone());
        }
        self.facets(parts, &places, extras.facets);
        if extras.closing {
            self.closing(closing, parts);
        }
        self.tasks
    }

    /// Adds a task that waits for `needs`, as far as these do not wait for each other.
    fn push(&mut self, mut task: Task, mut needs: Vec<usize>) -> usize {
        needs.sort_unstable();
        needs.dedup();
        let mut before = vec![false; self.tasks.len()];
        for &need in &needs {
            for (at, &earlier) in self.before[need].iter().enumerate() {
                before[at] |= earlier;
            }
        }
        needs.retain(|&need| !before[need]);
        for &need in &needs {
            before[need] = true;
        }
        task.needs = needs;
        self.before.push(before);
        self.tasks.push(task);
        self.tasks.len() - 1
    }

    fn add(
        &mut self,
        intent: Intent,
        arm: usize,
        action: String,
        criteria: Vec<String>,
        needs: Vec<usize>,
    ) -> usize {
        let seconds = usual_seconds(intent, Kind::Plain, 8);
        let kind = Kind::Plain;
        self.push(
            Task { action, intent, kind, arm, criteria, needs: Vec::new(), seconds, is_part: false },
            needs,
        )
    }

    /// What comes before the goal's own parts; gives what these wait for.
    fn front(&mut self, parts: &[Part], extras: &Extras) -> Vec<usize> {
        let about = about(parts);
        let mut base = Vec::new();
        if extras.clarify {
            let action = format!("Clarify what is wanted: “{}”", self.brief.goal);
            let criteria = vec![
                "What the goal includes, and what it does not, is stated in a few sentences".into(),
                "Each open question is answered or listed with the assumption made instead".into(),
            ];
            base = vec![self.add(Intent::Think, self.brief.arms.rest(), action, criteria, base)];
        }
        if let Some(arm) = extras.gather {
            let code = parts.iter().any(|part| part.runs);
            let what =
                if code { "existing code, documentation and requirements" } else { "facts and requirements" };
            let given = &self.brief.context;
            let from =
                if given.is_empty() { String::new() } else { format!(", starting from the context {given}") };
            let action = format!("Gather the {what} that concern {about}{from}");
            let criteria = vec![
                format!("What matters for {about} is listed, each entry with its source"),
                "Questions that the sources leave open are written down".into(),
            ];
            base = vec![self.add(Intent::Gather, arm, action, criteria, base)];
        }
        if extras.outline {
            let action = format!("Outline the approach for {about}");
            let criteria = vec![
                format!("The outline says what is done about {about}, in which order and why"),
                "StepRef least one alternative is named, with the reason against it".into(),
            ];
            base = vec![self.add(Intent::Think, self.brief.arms.rest(), action, criteria, base)];
        }
        base
    }

    fn guard(&mut self, arm: usize, parts: &[Part], places: &[usize], base: &[usize]) -> usize {
        let about = about(parts);
        let action =
            format!("Check {about} for personal data and secrets, and say how each is to be protected");
        let criteria = vec![
            "Each kind of personal data or secret involved is listed with the place where it occurs".into(),
            format!("None of it can reach code, logs or output unprotected through {about}"),
        ];
        let needs = if places.is_empty() { base.to_vec() } else { places.to_vec() };
        self.add(Intent::Guard, arm, action, criteria, needs)
    }

    fn trial_run(&mut self, arm: usize, parts: &[Part], places: &[usize], guard: Option<usize>) -> usize {
        let made = |part: &&Part| part.runs;
        let tests = parts.iter().find(|part| part.kind == Kind::Tests);
        let object = tests.or_else(|| parts.iter().find(made)).map_or("the result", wording::subject);
        let (action, criterion) = if tests.is_some() {
            (
                format!("Run the tests for {object}"),
                format!("All tests for {object} pass; failures are listed"),
            )
        } else if parts.iter().any(|part| part.kind == Kind::Fix) {
            (
                format!("Run the changed code on the cases that concern {object}"),
                format!("What was reported about {object} does not happen in any of them"),
            )
        } else {
            (
                format!("Run what was made for {object} on realistic input and record the outcome"),
                format!("The run for {object} ends without errors and its output is as expected"),
            )
        };
        let criteria = vec![criterion, "Commands, output and exit status are recorded".into()];
        let mut needs: Vec<usize> =
            parts.iter().zip(places).filter(|(part, _)| made(part)).map(|(_, &at)| at).collect();
        needs.extend(guard);
        self.add(Intent::Run, arm, action, criteria, needs)
    }

    fn summary(&mut self, parts: &[Part], needs: Vec<usize>) {
        let about = about(parts);
        let criteria = vec![
            format!("The summary answers what was asked about {about}"),
            "Each statement names the finding that it rests on".into(),
        ];
        let arm = self.brief.arms.serving_or_rest(Intent::Think);
        self.add(Intent::Think, arm, format!("Summarise the findings on {about}"), criteria, needs);
    }

    /// Looks at the parts from further sides, until there are enough steps.
    fn facets(&mut self, parts: &[Part], places: &[usize], count: usize) {
        for index in 0..count {
            let (part, round) = (index % parts.len(), index / parts.len());
            let (intent, lead, criterion) = FACETS[round % FACETS.len()];
            let again = match round / FACETS.len() {
                0 => String::new(),
                more => format!(", round {}", more + 1),
            };
            let text = shorten(&parts[part].texts[0], 90);
            let action = format!("{lead} step {} (“{text}”){again}", places[part] + 1);
            let arm = self.brief.arms.serving_or_rest(intent);
            let record = format!("What came of it for {} is written down", wording::subject(&parts[part]));
            let criteria = vec![criterion.into(), record];
            self.add(intent, arm, action, criteria, vec![places[part]]);
        }
    }

    /// The last step, which joins everything that nothing else waits for.
    fn closing(&mut self, asked: Option<&Part>, parts: &[Part]) {
        let leaves: Vec<usize> = (0..self.tasks.len())
            .filter(|at| !self.tasks.iter().any(|task| task.needs.contains(at)))
            .collect();
        let arm = asked.map_or_else(|| self.brief.arms.serving_or_rest(Intent::Check), |part| part.arm);
        let action = asked.map_or_else(
            || format!("Verify that the whole result does what was asked: “{}”", self.brief.goal),
            |part| capitalised(&wording::action(part)),
        );
        let mut criteria = vec![
            format!("The result as a whole does what was asked about {}", about(parts)),
            "Every acceptance criterion of the earlier steps is met, or its failure is reported".into(),
        ];
        if self.brief.sensitive {
            criteria.push("No personal data or secret is exposed in the result".into());
        }
        if self.brief.has_constraints {
            criteria.push("Every constraint of the request is respected".into());
        }
        self.add(Intent::Check, arm, action, criteria, leaves);
    }
}

/// What the goal is about, from its first two different objects.
fn about(parts: &[Part]) -> String {
    let mut objects: Vec<&str> = Vec::new();
    for object in parts.iter().map(|part| part.object.as_str()).filter(|object| !object.is_empty()) {
        if !objects.iter().any(|known| known.contains(object)) && objects.len() < 2 {
            objects.push(object);
        }
    }
    if objects.is_empty() { "the goal".into() } else { objects.join(" and ") }
}
