//! The steps of a plan, sent to the caller while the LLM writes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::SubTask;
use crate::domain::arms::ArmRegistry;
use crate::llm::StreamObserver;

use super::normalize::{free_numbers, normalize_step};
use super::parse::incremental::IncrementalParser;
use super::prompts::Prompts;

/// Reads the answers to one request as they arrive, and sends the steps in them.
///
/// If several calls are in flight, the steps of one are sent: the first that has any. Those of the others are
/// buffered until it ends without an answer.
pub(super) struct StepStream {
    registry: Arc<ArmRegistry>,
    prompts: Arc<Prompts>,
    max_steps: usize,
    /// Finished steps, which are not sent.
    done: Vec<SubTask>,
    sender: UnboundedSender<SubTask>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    in_flight: Vec<Call>,
    /// The number of the call whose steps are sent.
    selected: Option<u32>,
    /// How many of its steps were sent.
    sent: usize,
}

struct Call {
    number: u32,
    parser: IncrementalParser,
    /// Steps that have not been sent.
    steps: Vec<SubTask>,
}

impl StepStream {
    /// Sends to `sender` at most `max_steps` steps in addition to those that are `done`.
    pub(super) fn new(
        registry: Arc<ArmRegistry>,
        prompts: Arc<Prompts>,
        max_steps: usize,
        done: Vec<SubTask>,
        sender: UnboundedSender<SubTask>,
    ) -> Self {
        Self { registry, prompts, max_steps, done, sender, calls: Mutex::default() }
    }

    /// Starts again from the first step, as the answer was rejected.
    pub(super) fn retract(&self) {
        let mut calls = self.calls();
        (calls.selected, calls.sent) = (None, 0);
    }

    /// Sends the steps of the finished `plan` that have not been sent.
    pub(super) fn complete(&self, plan: &[SubTask]) {
        let sent = self.calls().sent;
        let is_new = |step: &&SubTask| self.done.iter().all(|done| done.step != step.step);
        for step in plan.iter().filter(is_new).skip(sent) {
            self.send(step.clone());
        }
    }

    fn done_numbers(&self) -> impl Iterator<Item = u32> {
        self.done.iter().map(|step| step.step)
    }

    fn send(&self, step: SubTask) {
        // The receiver may be gone.
        let _ = self.sender.send(step);
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamObserver for StepStream {
    fn on_delta(&self, number: u32, delta: &str) {
        let calls = &mut *self.calls();
        let place = calls.in_flight.iter().position(|call| call.number == number).unwrap_or_else(|| {
            let parser = IncrementalParser::for_replan(self.done_numbers().collect(), self.max_steps);
            calls.in_flight.push(Call { number, parser, steps: Vec::new() });
            calls.in_flight.len() - 1
        });
        let call = &mut calls.in_flight[place];
        let drafts = call.parser.push(delta).into_iter();
        call.steps.extend(drafts.filter_map(|draft| {
            let place = u32::try_from(draft.number?).ok()?;
            let step = normalize_step(draft, place, &self.registry)?;
            self.done.iter().all(|done| done.action.trim() != step.action).then_some(step)
        }));
        // Very small models begin with the example of the prompt.
        if calls.selected.is_none() && call.steps.iter().any(|step| !self.prompts.is_of_example(&step.action))
        {
            (calls.selected, calls.sent) = (Some(number), 0);
        }
        if calls.selected == Some(number) {
            for step in call.steps.drain(..) {
                // After a step that cannot be sent, all others wait for the plan.
                if free_numbers(self.done_numbers()).nth(calls.sent) == Some(step.step) {
                    calls.sent += 1;
                    self.send(step);
                }
            }
        }
    }

    fn on_end(&self, number: u32, is_answered: bool) {
        let mut calls = self.calls();
        calls.in_flight.retain(|call| call.number != number);
        if is_answered && calls.selected != Some(number) {
            // It becomes the plan, although none of its steps have been sent.
            (calls.selected, calls.sent) = (Some(number), 0);
        } else if !is_answered && calls.selected == Some(number) {
            (calls.selected, calls.sent) = (None, 0);
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
        let (sender, sent) = unbounded_channel();
        (StepStream::new(registry, prompts, 7, Vec::new(), sender), sent)
    }

    fn step(number: u32, action: &str) -> Value {
        json!({"step": number, "action": action, "required_arm": "Coder", "acceptance_criteria": ["done", ""],
            "depends_on": [number - 1, number, 9], "estimated_cost_tier": 9, "estimated_duration_seconds": 0.4})
    }

    /// The steps that were sent since the last time.
    fn received(sent: &mut UnboundedReceiver<SubTask>) -> Vec<String> {
        std::iter::from_fn(|| sent.try_recv().ok())
            .map(|step| format!("{} {}", step.step, step.action))
            .collect()
    }

    #[test]
    fn a_step_is_sent_as_it_would_be_in_a_plan() {
        let (step_stream, mut sent) = step_stream();
        step_stream.on_delta(1, &format!("[{},{}", step(1, "Gather"), step(2, "Write")));
        let steps: Vec<SubTask> = std::iter::from_fn(|| sent.try_recv().ok()).collect();
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
    fn the_steps_of_one_call_are_sent_until_it_ends_without_an_answer() {
        let (step_stream, mut sent) = step_stream();
        step_stream.on_delta(1, "[");
        step_stream.on_delta(2, &format!("[{}", step(1, "B1")));
        step_stream.on_delta(1, &step(1, "A1").to_string());
        assert_eq!(received(&mut sent), ["1 B1"], "the first that has a step");
        step_stream.on_end(2, false);
        assert_eq!(received(&mut sent), [""; 0], "the other follows with its next step");
        step_stream.on_delta(1, &format!(",{}", step(2, "A2")));
        assert_eq!(received(&mut sent), ["1 A1", "2 A2"]);

        // A call whose steps were never sent is answered first: its plan is sent from the first step.
        step_stream.on_delta(3, &format!("[{}]", step(1, "C1")));
        step_stream.on_end(3, true);
        step_stream.on_end(1, false);
        let plan: Vec<SubTask> = plan_of(&["C1", "C2"]);
        step_stream.complete(&plan);
        assert_eq!(received(&mut sent), ["1 C1", "2 C2"]);
    }

    fn plan_of(actions: &[&str]) -> Vec<SubTask> {
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
    fn steps_that_were_not_sent_come_with_the_plan_and_once() {
        let (step_stream, mut sent) = step_stream();
        let blank = json!({"step": 2, "action": "", "required_arm": "coder", "criteria": ["x"]});
        step_stream.on_delta(1, &format!("[{},{blank},{}]", step(1, "A1"), step(3, "A3")));
        assert_eq!(received(&mut sent), ["1 A1"], "nothing after a gap");
        step_stream.on_end(1, true);
        step_stream.complete(&plan_of(&["A1", "A2", "A3"]));
        assert_eq!(received(&mut sent), ["2 A2", "3 A3"]);
    }

    #[test]
    fn a_rejected_answer_is_followed_by_another_from_its_first_step() {
        let (step_stream, mut sent) = step_stream();
        for call in 1..=2 {
            step_stream.on_delta(call, &format!("[{}]", step(1, "A1")));
            step_stream.on_end(call, true);
            step_stream.retract();
            assert_eq!(received(&mut sent), ["1 A1"]);
        }
        step_stream.complete(&plan_of(&["B1"]));
        assert_eq!(received(&mut sent), ["1 B1"], "by rules");
    }

    #[test]
    fn the_example_of_the_prompt_is_not_sent() {
        let (step_stream, mut sent) = step_stream();
        let copied = step(1, "List the food and drinks that six people need for a day");
        step_stream.on_delta(1, &format!("[{copied}"));
        assert_eq!(received(&mut sent), [""; 0]);
        step_stream.on_delta(1, &format!(",{}", step(2, "Invite them")));
        assert_eq!(received(&mut sent).len(), 2, "it was more than that");
    }
}
