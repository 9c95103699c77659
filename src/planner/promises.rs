//! What the API promises of every plan, checked from the outside.
//!
//! The planner keeps these promises by construction. This check shares no code with it, so that tests, `eval`
//! and fuzzing can measure whether it does.

use crate::domain::arms::{Arm, ArmRegistry, VALIDATION};
use crate::domain::{MAX_STEP_SECONDS, PlanResponse, PlanRules, SubTask};

/// Every promise that `plan` breaks under `rules` with the arms of `registry`, one sentence each.
pub fn broken(plan: &PlanResponse, rules: &PlanRules, registry: &ArmRegistry) -> Vec<String> {
    let (steps, mut broken) = (&plan.plan, Vec::new());
    if steps.len() < rules.min_steps || steps.len() > rules.max_steps {
        broken.push(format!("{} steps, not {} to {}", steps.len(), rules.min_steps, rules.max_steps));
    }
    for (index, step) in steps.iter().enumerate() {
        let what = broken_by_step(step, index, registry);
        broken.extend(what.into_iter().map(|what| format!("step {}: {what}", index + 1)));
        if let Some(same) =
            steps[..index].iter().position(|earlier| earlier.action.trim() == step.action.trim())
        {
            broken.push(format!("steps {} and {} have the same action", same + 1, index + 1));
        }
    }
    let verifies = |arm: &Arm| arm.capabilities.iter().any(|capability| capability == VALIDATION);
    let last = steps.last().and_then(|step| arm_of(step, registry));
    if rules.require_verification && !last.is_some_and(verifies) {
        broken.push("the last step does not verify".into());
    } else if rules.require_verification {
        broken
            .extend(not_waited_for(steps).map(|step| format!("the last step does not wait for step {step}")));
    }
    if plan.rationale.trim().is_empty() {
        broken.push("no rationale".into());
    }
    for (name, value) in [("confidence", plan.confidence), ("complexity_score", plan.complexity_score)] {
        if !(0.0..=1.0).contains(&value) {
            broken.push(format!("{name} is {value}, not 0.0 to 1.0"));
        }
    }
    let sum = steps.iter().fold(0_u64, |sum, step| sum + u64::from(step.estimated_duration_seconds));
    if plan.total_estimated_duration != sum {
        broken.push(format!(
            "total_estimated_duration is {}, the durations add up to {sum}",
            plan.total_estimated_duration
        ));
    }
    broken
}

/// The steps that the last one does not wait for, directly or through others.
fn not_waited_for(steps: &[SubTask]) -> impl Iterator<Item = u32> {
    let mut waited = vec![false; steps.len()];
    if let Some(last) = waited.last_mut() {
        *last = true;
    }
    for (index, step) in steps.iter().enumerate().rev() {
        let needs = step.depends_on.iter().filter(|_| waited[index]).map(|needed| *needed as usize);
        for needed in needs.collect::<Vec<_>>() {
            if let Some(place) = needed.checked_sub(1).and_then(|place| waited.get_mut(place)) {
                *place = true;
            }
        }
    }
    (1..).zip(waited).filter(|(_, is_waited)| !is_waited).map(|(step, _)| step)
}

/// What `step`, at position `index`, breaks by itself.
fn broken_by_step(step: &SubTask, index: usize, registry: &ArmRegistry) -> Vec<String> {
    let mut broken = Vec::new();
    let number = index as u32 + 1;
    if step.step != number {
        broken.push(format!("its number is {}", step.step));
    }
    if step.action.trim().is_empty() {
        broken.push("no action".into());
    }
    if step.action.chars().any(char::is_control) {
        broken.push("a control character in the action".into());
    }
    if arm_of(step, registry).is_none() {
        broken.push(format!("there is no arm `{}`", step.required_arm));
    }
    if step.acceptance_criteria.is_empty() {
        broken.push("no acceptance criterion".into());
    }
    if step.acceptance_criteria.iter().any(|criterion| criterion.trim().is_empty()) {
        broken.push("a blank acceptance criterion".into());
    }
    if step.depends_on.windows(2).any(|pair| pair[0] >= pair[1]) {
        broken.push(format!("depends_on {:?} is not sorted or has repeats", step.depends_on));
    }
    if step.depends_on.iter().any(|&needed| needed == 0 || needed >= number) {
        broken.push(format!("depends_on {:?} has a number that is no earlier step's", step.depends_on));
    }
    if step.estimated_cost_tier == 0 || step.estimated_cost_tier > 5 {
        broken.push(format!("cost tier {}, not 1 to 5", step.estimated_cost_tier));
    }
    if step.estimated_duration_seconds == 0 || step.estimated_duration_seconds > MAX_STEP_SECONDS {
        broken.push(format!("{} s long, not 1 to {MAX_STEP_SECONDS}", step.estimated_duration_seconds));
    }
    broken
}

fn arm_of<'a>(step: &SubTask, registry: &'a ArmRegistry) -> Option<&'a Arm> {
    registry.arms().iter().find(|arm| arm.id == step.required_arm)
}

/// Three steps that keep every promise under the default rules and arms.
#[cfg(test)]
pub(crate) fn valid_plan() -> PlanResponse {
    let step = |step: u32, arm: &str, action: &str| SubTask {
        step,
        action: action.into(),
        required_arm: arm.into(),
        acceptance_criteria: vec!["It is done in Python".into()],
        depends_on: (1..step).collect(),
        estimated_cost_tier: 2,
        estimated_duration_seconds: 30,
    };
    PlanResponse {
        plan: vec![
            step(1, "coder", "Write it"),
            step(2, "executor", "Run it"),
            step(3, "judge", "Verify it"),
        ],
        rationale: "Because.".into(),
        confidence: 0.9,
        total_estimated_duration: 90,
        complexity_score: 0.3,
        ..PlanResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_after(spoil: impl FnOnce(&mut PlanResponse)) -> Vec<String> {
        let mut plan = valid_plan();
        spoil(&mut plan);
        broken(&plan, &PlanRules::default(), &ArmRegistry::default())
    }

    #[test]
    fn a_valid_plan_breaks_nothing() {
        assert_eq!(broken_after(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn each_promise_is_checked() {
        type Spoil = fn(&mut PlanResponse);
        let cases: [(Spoil, &str); 19] = [
            (|plan| plan.plan[1].step = 3, "step 2: its number is 3"),
            (|plan| plan.plan[0].action = "  ".into(), "step 1: no action"),
            (|plan| plan.plan[0].required_arm = "Coder".into(), "step 1: there is no arm `Coder`"),
            (|plan| plan.plan[0].acceptance_criteria.clear(), "step 1: no acceptance criterion"),
            (
                |plan| plan.plan[0].acceptance_criteria.push(" ".into()),
                "step 1: a blank acceptance criterion",
            ),
            (|plan| plan.plan[0].action = "a\u{7}b".into(), "step 1: a control character in the action"),
            (|plan| plan.rationale = " ".into(), "no rationale"),
            (
                |plan| plan.plan[2].depends_on = vec![2, 1],
                "step 3: depends_on [2, 1] is not sorted or has repeats",
            ),
            (
                |plan| plan.plan[2].depends_on = vec![1, 2, 2],
                "step 3: depends_on [1, 2, 2] is not sorted or has repeats",
            ),
            (
                |plan| plan.plan[1].depends_on = vec![2],
                "step 2: depends_on [2] has a number that is no earlier step's",
            ),
            (
                |plan| plan.plan[1].depends_on = vec![0, 1],
                "step 2: depends_on [0, 1] has a number that is no earlier step's",
            ),
            (|plan| plan.plan[0].estimated_cost_tier = 6, "step 1: cost tier 6, not 1 to 5"),
            (|plan| plan.plan[0].estimated_cost_tier = 0, "step 1: cost tier 0, not 1 to 5"),
            (|plan| plan.plan[1].action = "Write it ".into(), "steps 1 and 2 have the same action"),
            (|plan| plan.plan[2].required_arm = "coder".into(), "the last step does not verify"),
            (|plan| plan.confidence = 1.01, "confidence is 1.01, not 0.0 to 1.0"),
            (|plan| plan.confidence = f64::NAN, "confidence is NaN, not 0.0 to 1.0"),
            (|plan| plan.complexity_score = -0.1, "complexity_score is -0.1, not 0.0 to 1.0"),
            (
                |plan| plan.total_estimated_duration = 60,
                "total_estimated_duration is 60, the durations add up to 90",
            ),
        ];
        for (spoil, said) in cases {
            assert_eq!(broken_after(spoil), [said]);
        }
        for seconds in [0, MAX_STEP_SECONDS + 1] {
            let broken = broken_after(|plan| {
                plan.plan[0].estimated_duration_seconds = seconds;
                plan.total_estimated_duration = u64::from(seconds) + 60;
            });
            assert_eq!(broken, [format!("step 1: {seconds} s long, not 1 to {MAX_STEP_SECONDS}")]);
        }
    }

    #[test]
    fn the_limits_and_arms_in_force_count() {
        let found = broken_after(|plan| {
            plan.plan.clear();
            plan.total_estimated_duration = 0;
        });
        assert_eq!(found, ["0 steps, not 3 to 7", "the last step does not verify"]);
        let (arms, rules) = (
            ArmRegistry::default().arms().iter().filter(|arm| arm.id != "judge").cloned().collect(),
            PlanRules { min_steps: 1, max_steps: 2, require_verification: false },
        );
        let registry = ArmRegistry::new(arms, false).expect("arms");
        assert_eq!(
            broken(&valid_plan(), &rules, &registry),
            ["3 steps, not 1 to 2", "step 3: there is no arm `judge`"]
        );
    }
}
