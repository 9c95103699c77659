//! The fields of steps and of the plan: what is missing gets its usual value, what is out of range the nearest.

use crate::domain::{MAX_STEP_SECONDS, RepairCode, SubTask};
use crate::planner::draft::DraftStep;
use crate::planner::error::PlanFault;
use crate::text::{is_blank, shorten, without_controls};

use super::Normalizer;
use super::arms::Neighbours;
use super::order::Dependencies;
use super::repeats::repeated;

/// For a proposal that does not say how sure it is.
const UNSTATED_CONFIDENCE: f64 = 0.5;
/// Maximum number of open questions, and of characters of one.
const MAX_QUESTIONS: usize = 3;
const MAX_QUESTION_CHARS: usize = 200;
/// For a step that does not say how long it takes, in seconds.
pub(super) const UNSTATED_SECONDS: u32 = 30;

impl Normalizer<'_> {
    /// Each proposed step with a known arm, criteria, a cost and a duration; its dependencies come later.
    pub(super) fn steps(&mut self, drafts: Vec<DraftStep>, needs: &Dependencies) -> Vec<SubTask> {
        let neighbours = self.neighbours(&drafts, needs);
        let drafts = drafts.into_iter().zip(neighbours).enumerate();
        drafts.map(|(index, (draft, neighbours))| self.step(index, draft, &neighbours)).collect()
    }

    /// A proposed step with a known arm, criteria, a cost and a duration; its dependencies come later.
    pub(super) fn step(&mut self, index: usize, draft: DraftStep, neighbours: &Neighbours<'_>) -> SubTask {
        let action = cleaned(draft.action);
        if is_blank(&action) {
            self.faults.push(PlanFault::BlankAction { step: self.at(index) });
        }
        let (required_arm, usual_tier) = self.arm(index, draft.arm, &action, neighbours);
        SubTask {
            step: 0,
            acceptance_criteria: self.criteria(index, draft.criteria),
            depends_on: Vec::new(),
            estimated_cost_tier: self.whole_number(
                index,
                "cost tier",
                draft.cost_tier,
                u32::from(usual_tier),
                5,
            ) as u8,
            estimated_duration_seconds: self.whole_number(
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
        let mut criteria: Vec<String> = written.into_iter().map(cleaned).collect();
        criteria.retain(|text| !is_blank(text));
        let mut again: Vec<usize> = repeated(criteria.iter().map(String::as_str).zip(0..))
            .into_iter()
            .map(|(_, later)| later)
            .collect();
        again.sort_unstable();
        let (mut again, mut place) = (again.into_iter().peekable(), 0..);
        criteria.retain(|_| place.next().is_some_and(|place| again.next_if_eq(&place).is_none()));
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
    fn whole_number(&mut self, index: usize, what: &str, written: Option<f64>, usual: u32, max: u32) -> u32 {
        let Some(written) = written.filter(|written| !written.is_nan()) else {
            self.record(
                RepairCode::FieldFilled,
                Some(index),
                format!("The {what} was missing; {usual} is assumed."),
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
                format!(
                    "The {what} was {}, not a whole number from 1 to {max}; it is now {whole}.",
                    shown(written)
                ),
            );
        }
        whole as u32
    }

    pub(super) fn rationale(&mut self, written: Option<String>) -> String {
        let written = written.map(cleaned).filter(|text| !text.is_empty());
        written.unwrap_or_else(|| {
            self.record_for_plan(RepairCode::FieldFilled, "The rationale was missing.");
            "The planner gave no rationale for this plan.".into()
        })
    }

    pub(super) fn confidence(&mut self, written: Option<f64>) -> f64 {
        let Some(written) = written.filter(|written| written.is_finite()) else {
            self.record_for_plan(
                RepairCode::FieldFilled,
                format!("The confidence was missing; {UNSTATED_CONFIDENCE} is assumed."),
            );
            return UNSTATED_CONFIDENCE;
        };
        if (0.0..=1.0).contains(&written) {
            // Makes 0 of -0.
            return written + 0.0;
        }
        match written {
            // `9` is how some write 9 of 10, and `88` how they write 88%; just above 1 is overconfidence.
            2.0..=10.0 => return written / 10.0,
            10.0..=100.0 => return written / 100.0,
            _ => {}
        }
        let within = written.clamp(0.0, 1.0);
        self.record_for_plan(
            RepairCode::Clamped,
            format!("The confidence was {}, not from 0 to 1; it is now {within}.", shown(written)),
        );
        within
    }
}

/// A number as it may be quoted in a sentence: those of many digits in powers of ten.
fn shown(number: f64) -> String {
    if number.abs() < 1e9 { number.to_string() } else { format!("{number:e}") }
}

/// The first questions that say something, each short and once.
pub(super) fn questions(written: Vec<String>) -> Vec<String> {
    let mut questions: Vec<String> = Vec::new();
    for question in written.into_iter().map(|text| shorten(&cleaned(text), MAX_QUESTION_CHARS)) {
        if questions.len() < MAX_QUESTIONS && !is_blank(&question) && !questions.contains(&question) {
            questions.push(question);
        }
    }
    questions
}

/// A text without white space around it and without control characters.
fn cleaned(text: String) -> String {
    let text = without_controls(text);
    if text.trim().len() == text.len() { text } else { text.trim().to_owned() }
}
