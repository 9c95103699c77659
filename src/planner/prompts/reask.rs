//! The message to the LLM about a rejected answer: the exact faults, and what would be right.

use crate::domain::arms::ArmRegistry;
use crate::planner::error::{ParseError, PlanFault, RejectedAnswer, list, missing, steps};

/// More faults than these are not listed; one answer may have hundreds.
const MAX_FAULTS: usize = 12;

/// The faults of an answer as a list for the LLM that gave it.
pub(super) fn faults(rejected: &RejectedAnswer, registry: &ArmRegistry) -> String {
    let sentences = match rejected {
        RejectedAnswer::Parse(error) => vec![unreadable_for_llm(*error).to_owned()],
        RejectedAnswer::Invalid(faults) => {
            faults.iter().take(MAX_FAULTS).map(|fault| fault_for_llm(fault, registry)).collect()
        }
    };
    sentences.iter().map(|sentence| format!("- {sentence}\n")).collect()
}

fn unreadable_for_llm(error: ParseError) -> &'static str {
    match error {
        ParseError::Empty => "It was empty.",
        ParseError::Truncated => {
            "It was cut off before its end. Use fewer words: one short sentence for each action and criterion."
        }
        ParseError::NoBeginning => "Its beginning was missing. Answer with the whole plan.",
        ParseError::NotJson => "It was not JSON. Answer with one JSON object and nothing else.",
        ParseError::Example => "It was the example, not a plan for this request.",
        ParseError::NoSteps => "Its JSON had no list of steps under \"plan\".",
    }
}

fn fault_for_llm(fault: &PlanFault, registry: &ArmRegistry) -> String {
    match fault {
        PlanFault::TooFewSteps { found, min } => {
            format!("It had {}; at least {min} are needed.", steps(*found))
        }
        PlanFault::TooManySteps { found, max } => {
            format!("It had {found} steps; at most {max} are allowed. Combine steps that belong together.")
        }
        PlanFault::Unverified { .. } => format!(
            "Its last step did not verify the result with the arm \"{}\", and there is no room for one more.",
            registry.verifier().map_or("", |arm| &arm.id)
        ),
        PlanFault::Cycle { steps } => {
            format!("Steps {} depend on each other. A step may depend on earlier steps only.", list(steps))
        }
        PlanFault::RepeatedAction { steps } => {
            format!("Steps {} had the same action. Each step must do something else.", list(steps))
        }
        PlanFault::BlankAction { step } => format!("Step {step} had no action."),
        PlanFault::NoCriteria { step } => format!("Step {step} had no acceptance criteria."),
        PlanFault::RepeatsDone { step, done } => {
            format!(
                "Step {step} had the action of step {done}, which is done. Leave it out, or say what is different."
            )
        }
        PlanFault::RepeatsFailed { step, failed } => format!(
            "Step {step} was step {failed} again, which failed, with the same arm and no new step before it. Let it \
             depend on a new step that removes the cause, or reach its result in another way."
        ),
        PlanFault::AmbiguousDependency { step, number } => format!(
            "Step {step} depends on {number}, and both a step that is done and one of yours had that number. \
             Give your steps the numbers that are asked for."
        ),
        PlanFault::UnknownArm { step, candidates } => {
            let nearest: Vec<String> = candidates.iter().map(|id| format!("\"{id}\"")).collect();
            let which = match nearest.split_last() {
                None => "Name one of the list, by its id to the letter.".to_owned(),
                Some((last, [])) => {
                    format!("The nearest is {last}; if that does not fit, name another of the list.")
                }
                Some((last, others)) => {
                    format!(
                        "The nearest are {} and {last}; name the one that fits, or another of the list.",
                        others.join(", ")
                    )
                }
            };
            format!("Step {step} named an arm that is not in the list of arms. {which}")
        }
        PlanFault::NoDependencies => {
            "No step said which steps it depends on. Give each step \"depends_on\": the numbers of the earlier steps \
             whose results it needs, [] for none."
                .into()
        }
        PlanFault::MissingSteps { numbers } => {
            format!("By the numbers of its steps, {} were missing. Number the steps from 1.", missing(numbers))
        }
        PlanFault::UnclearEdges => {
            "Which steps depend on which was not clear. Say it in the \"depends_on\" of each step only.".into()
        }
        PlanFault::UnusedSteps => {
            "It had steps outside the list \"plan\". Put every step into that list, and nowhere else.".into()
        }
        PlanFault::UnclearDependency { step } => format!(
            "Step {step} depends on something that is not a step number. Use numbers of earlier steps in \"depends_on\"."
        ),
        PlanFault::UnplacedReference { step } => format!(
            "Step {step} mentions a step that is not in its \"depends_on\". Add it there, or do not mention it."
        ),
        PlanFault::NestedSteps { step } => {
            format!("Step {step} had steps inside. Make each of them a step of \"plan\", or leave them out.")
        }
        PlanFault::Criticized(finding) => finding.to_llm.clone(),
    }
}
