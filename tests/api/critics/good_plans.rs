//! How often critics are wrong about good plans: a list in many languages, and the embedded planner's own.

use std::collections::BTreeMap;

use planner_arm::domain::{CriticsMode, PlanRequest, WarningCode};
use serde_json::{Value, json};

use crate::scripted_model::{ScriptedPlanner, answer};
use crate::support::{TestApp, json_of, step};

/// A request and a plan for it that a careful reader would accept.
struct GoodPlan {
    request: PlanRequest,
    answer: String,
}

/// `goal: …`, `constraint: …`, and a step a line: `- action | criterion`; a blank line ends a plan.
fn good_plans() -> Vec<GoodPlan> {
    let text = include_str!("good_plans.txt");
    let read = |block: &str| {
        let mut request = PlanRequest::default();
        let mut steps: Vec<Value> = Vec::new();
        for line in block.lines().filter(|line| !line.starts_with('#')) {
            if let Some(goal) = line.strip_prefix("goal: ") {
                goal.clone_into(&mut request.goal);
            } else if let Some(constraint) = line.strip_prefix("constraint: ") {
                request.constraints.push(constraint.to_owned());
            } else {
                let line = line.strip_prefix("- ").expect("a step");
                let (action, criterion) = line.split_once(" | ").expect("a criterion");
                let number = steps.len() as i64 + 1;
                let needs: Vec<i64> = (number > 1).then_some(number - 1).into_iter().collect();
                let mut written = step(number, "coder", action, &needs, 2, 40);
                written["acceptance_criteria"] = json!([criterion]);
                steps.push(written);
            }
        }
        let last = steps.last_mut().expect("a step");
        last["required_arm"] = json!("judge");
        GoodPlan { request, answer: answer(&steps) }
    };
    text.split("\n\n")
        .map(str::trim)
        .filter(|block| block.lines().any(|line| line.starts_with("goal")))
        .map(read)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn critics_that_ask_flag_at_most_two_of_a_hundred_good_plans() {
    let plans = good_plans();
    assert!(plans.len() >= 100, "{} plans", plans.len());
    let mut flagged: BTreeMap<WarningCode, Vec<String>> = BTreeMap::new();
    let mut asked_again = 0;
    for GoodPlan { request, answer } in &plans {
        let setup =
            ScriptedPlanner::answering(answer.clone()).with_retries().with_critics(CriticsMode::Enforce);
        let (_, made, asked) = setup.run_in_full(request).await;
        let (_, details) = made.unwrap_or_else(|error| panic!("{}: {error}", request.goal));
        assert_eq!(details.repairs, [], "{}", request.goal);
        asked_again += asked.len() - 1;
        for warning in details.warnings {
            flagged.entry(warning.code).or_default().push(format!("{}: {}", request.goal, warning.message));
        }
    }
    eprintln!("{} good plans, {asked_again} asked about", plans.len());
    for (code, flagged) in &flagged {
        eprintln!("{}: {flagged:#?}", code.as_str());
    }
    assert!(asked_again * 50 <= plans.len(), "{asked_again} of {} were asked about", plans.len());
}

#[tokio::test]
async fn plans_of_the_embedded_planner_have_hardly_any_warnings() {
    let app = TestApp::embedded().await;
    let (mut warnings, plans) = (Vec::new(), good_plans());
    for GoodPlan { request, .. } in &plans {
        let wanted = serde_json::to_value(request).expect("JSON");
        let plan = json_of(app.plan_at("/plan?include=warnings", &wanted).await).await;
        let found = plan["warnings"].as_array().expect("warnings").clone();
        warnings.extend(found.into_iter().map(|warning| (request.goal.clone(), warning)));
    }
    eprintln!(
        "{} warnings about {} plans of the embedded planner: {warnings:#?}",
        warnings.len(),
        plans.len()
    );
    assert!(warnings.len() * 20 <= plans.len(), "{}", warnings.len());
}
