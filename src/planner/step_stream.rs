//! The steps of a plan while an LLM writes it: shown at once, as a preview.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::SubTask;
use crate::domain::arms::ArmRegistry;
use crate::llm::StreamObserver;

use super::normalize::{free_numbers, normalize_step};
use super::parse::incremental::IncrementalParser;
use super::prompts::Prompts;

/// Hears what LLMs say to one request, and shows the steps in it.
///
/// If several calls are in flight, one is shown: the first that has a step to show. The
/// others are buffered until it ends without an answer.
pub(super) struct StepStream {
    registry: Arc<ArmRegistry>,
    prompts: Arc<Prompts>,
    most_steps: usize,
    /// What is finished, and is not shown.
    done: Vec<SubTask>,
    screen: UnboundedSender<SubTask>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    under_way: Vec<Call>,
    floor: Option<u32>,
    /// How many steps were shown of the call with the floor.
    shown: usize,
}

/// A call, and what it has said.
struct Call {
    number: u32,
    answer: IncrementalParser,
    /// Steps that have not been shown.
    steps: Vec<SubTask>,
}

impl StepStream {
    /// Shows on `screen` the steps, `most_steps` at most, that come to those that are `done`.
    pub(super) fn new(
        registry: Arc<ArmRegistry>,
        prompts: Arc<Prompts>,
        most_steps: usize,
        done: Vec<SubTask>,
        screen: UnboundedSender<SubTask>,
    ) -> Self {
        Self { registry, prompts, most_steps, done, screen, calls: Mutex::default() }
    }

    /// What was shown is void: the answer was no use.
    pub(super) fn retract(&self) {
        let mut calls = self.calls();
        (calls.floor, calls.shown) = (None, 0);
    }

    /// Shows what has not been shown of a plan that is made.
    pub(super) fn complete(&self, plan: &[SubTask]) {
        let shown = self.calls().shown;
        let is_new = |step: &&SubTask| self.done.iter().all(|done| done.step != step.step);
        for step in plan.iter().filter(is_new).skip(shown) {
            self.show(step.clone());
        }
    }

    fn done_numbers(&self) -> impl Iterator<Item = u32> {
        self.done.iter().map(|step| step.step)
    }

    fn show(&self, step: SubTask) {
        // Nobody may be looking any more.
        let _ = self.screen.send(step);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamObserver for StepStream {
    fn on_delta(&self, number: u32, piece: &str) {
        let calls = &mut *self.calls();
        let place = calls.under_way.iter().position(|call| call.number == number).unwrap_or_else(|| {
            let answer = IncrementalParser::beside(self.done_numbers().collect(), self.most_steps);
            calls.under_way.push(Call { number, answer, steps: Vec::new() });
            calls.under_way.len() - 1
        });
        let call = &mut calls.under_way[place];
        let drafts = call.answer.push(piece).into_iter();
        call.steps.extend(drafts.filter_map(|draft| {
            let place = u32::try_from(draft.number?).ok()?;
            let step = normalize_step(draft, place, &self.registry)?;
            self.done.iter().all(|done| done.action.trim() != step.action).then_some(step)
        }));
        // Very small models begin with the example of the question.
        if calls.floor.is_none() && call.steps.iter().any(|step| !self.prompts.is_of_example(&step.action)) {
            (calls.floor, calls.shown) = (Some(number), 0);
        }
        if calls.floor == Some(number) {
            for step in call.steps.drain(..) {
                // Behind one that cannot be shown, all wait for the plan.
                if free_numbers(self.done_numbers()).nth(calls.shown) == Some(step.step) {
                    calls.shown += 1;
                    self.show(step);
                }
            }
        }
    }

    fn on_end(&self, number: u32, is_answered: bool) {
        let mut calls = self.calls();
        calls.under_way.retain(|call| call.number != number);
        if is_answered && calls.floor != Some(number) {
            // Its plan counts, although nothing of it has been shown.
            (calls.floor, calls.shown) = (Some(number), 0);
        } else if !is_answered && calls.floor == Some(number) {
            (calls.floor, calls.shown) = (None, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::domain::PlanRules;

    fn step_stream() -> (StepStream, UnboundedReceiver<SubTask>) {
        let registry = Arc::new(ArmRegistry::default());
        let prompts = Arc::new(Prompts::new(&registry, &PlanRules::default()));
        let (screen, shown) = unbounded_channel();
        (StepStream::new(registry, prompts, 7, Vec::new(), screen), shown)
    }

    fn step(number: u32, action: &str) -> Value {
        json!({"step": number, "action": action, "required_arm": "Coder", "acceptance_criteria": ["done", ""],
            "depends_on": [number - 1, number, 9], "estimated_cost_tier": 9, "estimated_duration_seconds": 0.4})
    }

    /// What was shown since the last time.
    fn seen(shown: &mut UnboundedReceiver<SubTask>) -> Vec<String> {
        std::iter::from_fn(|| shown.try_recv().ok())
            .map(|step| format!("{} {}", step.step, step.action))
            .collect()
    }

    #[test]
    fn a_step_is_shown_as_it_would_be_in_a_plan() {
        let (step_stream, mut shown) = step_stream();
        step_stream.on_delta(1, &format!("[{},{}", step(1, "Gather"), step(2, "Write")));
        let steps: Vec<SubTask> = std::iter::from_fn(|| shown.try_recv().ok()).collect();
        let wanted = SubTask {
            step: 2,
            action: "Write".into(),
            required_arm: "coder".into(),
            acceptance_criteria: vec!["done".into()],
            depends_on: vec![1],
            estimated_cost_tier: 5,
            estimated_duration_seconds: 1,
        };
        assert_eq!((steps.len(), &steps[1]), (2, &wanted));
    }

    #[test]
    fn one_call_has_the_floor_until_it_ends_without_an_answer() {
        let (step_stream, mut shown) = step_stream();
        step_stream.on_delta(1, "[");
        step_stream.on_delta(2, &format!("[{}", step(1, "B1")));
        step_stream.on_delta(1, &step(1, "A1").to_string());
        assert_eq!(seen(&mut shown), ["1 B1"], "the first that has a step");
        step_stream.on_end(2, false);
        assert_eq!(seen(&mut shown), [""; 0], "the other is shown when it speaks");
        step_stream.on_delta(1, &format!(",{}", step(2, "A2")));
        assert_eq!(seen(&mut shown), ["1 A1", "2 A2"]);

        // One that was never shown is answered first: its plan is shown, from the first step.
        step_stream.on_delta(3, &format!("[{}]", step(1, "C1")));
        step_stream.on_end(3, true);
        step_stream.on_end(1, false);
        let plan: Vec<SubTask> = preview_of(&["C1", "C2"]);
        step_stream.complete(&plan);
        assert_eq!(seen(&mut shown), ["1 C1", "2 C2"]);
    }

    fn preview_of(actions: &[&str]) -> Vec<SubTask> {
        let step = |(index, action): (usize, &&str)| SubTask {
            step: index as u32 + 1,
            action: (*action).to_owned(),
            required_arm: "coder".into(),
            acceptance_criteria: vec!["done".into()],
            depends_on: Vec::new(),
            estimated_cost_tier: 1,
            estimated_duration_seconds: 1,
        };
        actions.iter().enumerate().map(step).collect()
    }

    #[test]
    fn what_was_not_shown_comes_with_the_plan_and_once() {
        let (step_stream, mut shown) = step_stream();
        let blank = json!({"step": 2, "action": "", "required_arm": "coder", "criteria": ["x"]});
        step_stream.on_delta(1, &format!("[{},{blank},{}]", step(1, "A1"), step(3, "A3")));
        assert_eq!(seen(&mut shown), ["1 A1"], "nothing behind a gap");
        step_stream.on_end(1, true);
        step_stream.complete(&preview_of(&["A1", "A2", "A3"]));
        assert_eq!(seen(&mut shown), ["2 A2", "3 A3"]);
    }

    #[test]
    fn an_answer_that_was_no_use_is_followed_by_another_from_its_first_step() {
        let (step_stream, mut shown) = step_stream();
        for call in 1..=2 {
            step_stream.on_delta(call, &format!("[{}]", step(1, "A1")));
            step_stream.on_end(call, true);
            step_stream.retract();
            assert_eq!(seen(&mut shown), ["1 A1"]);
        }
        step_stream.complete(&preview_of(&["B1"]));
        assert_eq!(seen(&mut shown), ["1 B1"], "by rules");
    }

    #[test]
    fn the_example_of_the_question_is_not_shown() {
        let (step_stream, mut shown) = step_stream();
        let copied = step(1, "List the food and drinks that six people need for a day");
        step_stream.on_delta(1, &format!("[{copied}"));
        assert_eq!(seen(&mut shown), [""; 0]);
        step_stream.on_delta(1, &format!(",{}", step(2, "Invite them")));
        assert_eq!(seen(&mut shown).len(), 2, "it was more than that");
    }
}
