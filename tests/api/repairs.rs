//! What has one right answer is repaired, and each repair is reported.

use planner_arm::domain::RepairCode;
use planner_arm::planner::error::PlanFault;
use serde_json::{Value, json};

use crate::scripted_model::{ScriptedPlanner, answer, codes, first_step};
use crate::support::{good_plan, step};

#[tokio::test]
async fn arms_are_found_by_alias_case_and_capability() {
    for (name, arm) in [
        ("safety-guardian", "guardian"),
        ("Retriever", "retriever"),
        ("CODER_ARM", "coder"),
        ("web_search", "retriever"),
        ("Code Generation", "coder"),
        ("validator", "judge"),
        ("CoderAgent", "coder"),
        ("retreiver", "retriever"),
    ] {
        let text = first_step(|step| step["required_arm"] = json!(name));
        let (plan, repairs) = ScriptedPlanner::answering(text).plan().await;
        assert_eq!(plan.plan[0].required_arm, arm, "{name}");
        assert_eq!(codes(&repairs), [(RepairCode::ArmMapped, Some(1))], "{name}");
        let message = &repairs[0].message;
        assert!(message.contains(&format!("“{name}”")) && message.contains(&format!("`{arm}`")), "{message}");
    }
}

#[tokio::test]
async fn arms_are_found_by_what_they_do() {
    for (name, action, arm) in [
        ("research_agent", "Read it", "retriever"),
        ("deploy bot", "Write code", "executor"),
        ("wizard", "Refactor the module", "coder"),
        ("", "Redact secrets and check privacy", "guardian"),
        ("wizard", "Plan the tasks and resolve their dependencies", "planner"),
    ] {
        let text = first_step(|step| {
            step["required_arm"] = json!(name);
            step["action"] = json!(action);
        });
        let (plan, _) = ScriptedPlanner::answering(text).plan().await;
        assert_eq!(plan.plan[0].required_arm, arm, "{name:?} for {action:?}");
    }
}

#[tokio::test]
async fn impossible_dependencies_are_removed() {
    for (needs, left) in [
        (json!([1, 2]), vec![1]),
        (json!([1, 1]), vec![1]),
        (json!([1, 9, -1]), vec![1]),
        (json!([0, 1]), vec![1]),
    ] {
        let mut second = step(2, "coder", "Write it", &[], 3, 60);
        second["depends_on"] = needs.clone();
        let steps =
            [step(1, "retriever", "Gather", &[], 1, 20), second, step(3, "judge", "Verify it", &[2], 2, 30)];
        let (plan, repairs) = ScriptedPlanner::answering(answer(&steps)).plan().await;
        assert_eq!(plan.plan[1].depends_on, left, "{needs}");
        assert!(
            repairs.iter().all(|r| (r.code, r.step) == (RepairCode::DependencyDropped, Some(2))),
            "{repairs:?}"
        );
        assert!(!repairs.is_empty(), "{needs}");
    }
}

#[tokio::test]
async fn steps_are_sorted_into_execution_order() {
    let steps = [
        step(1, "coder", "Write it", &[2], 3, 60),
        step(2, "retriever", "Gather", &[], 1, 0),
        step(3, "judge", "Verify it", &[1], 2, 30),
    ];
    let (plan, repairs) = ScriptedPlanner::answering(answer(&steps)).plan().await;
    let order: Vec<(&str, &[u32])> =
        plan.plan.iter().map(|step| (step.action.as_str(), step.depends_on.as_slice())).collect();
    assert_eq!(order, [("Gather", &[][..]), ("Write it", &[1]), ("Verify it", &[2])]);
    // The clamped duration belongs to what is step 1 now.
    assert_eq!(codes(&repairs), [(RepairCode::Clamped, Some(1)), (RepairCode::StepsRenumbered, None)]);
}

#[tokio::test]
async fn step_numbers_are_mapped() {
    let from_zero = [
        step(0, "retriever", "Gather", &[], 1, 20),
        step(1, "coder", "Write it", &[0], 3, 60),
        step(2, "judge", "Verify it", &[1], 2, 30),
    ];
    let tens = [
        step(10, "retriever", "Gather", &[], 1, 20),
        step(20, "coder", "Write it", &[10], 3, 60),
        step(30, "judge", "Verify it", &[20], 2, 30),
    ];
    for steps in [from_zero, tens] {
        let (plan, repairs) = ScriptedPlanner::answering(answer(&steps)).plan().await;
        assert_eq!(plan.plan[2].depends_on, [2]);
        assert_eq!(codes(&repairs), [(RepairCode::StepsRenumbered, None)]);
    }
}

#[tokio::test]
async fn steps_without_numbers_of_their_own_are_numbered_by_place() {
    for number in [json!(null), json!(1)] {
        let mut steps = [
            step(1, "retriever", "Gather", &[], 1, 20),
            step(2, "coder", "Write it", &[1], 3, 60),
            step(3, "judge", "Verify it", &[2], 2, 30),
        ];
        for step in &mut steps {
            step["step"] = number.clone();
        }
        let (plan, repairs) = ScriptedPlanner::answering(answer(&steps)).plan().await;
        assert_eq!(plan.plan[2].depends_on, [2]);
        assert_eq!(codes(&repairs), [(RepairCode::StepsRenumbered, None)], "{number}");
    }
}

#[tokio::test]
async fn a_missing_verification_is_added() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1], 3, 60),
        step(3, "coder", "Document it", &[1], 3, 60),
    ];
    let (plan, repairs) = ScriptedPlanner::answering(answer(&steps)).plan().await;
    let last = &plan.plan[3];
    assert_eq!((last.required_arm.as_str(), last.depends_on.as_slice()), ("judge", &[2, 3][..]));
    assert_eq!(codes(&repairs), [(RepairCode::VerificationAdded, Some(4))]);
}

#[tokio::test]
async fn the_added_verification_counts_for_both_limits() {
    let two = [step(1, "retriever", "Gather", &[], 1, 20), step(2, "coder", "Write it", &[1], 3, 60)];
    assert_eq!(ScriptedPlanner::answering(answer(&two)).plan().await.0.plan.len(), 3);
    let seven: Vec<Value> = (1..=7).map(|n| step(n, "coder", &format!("Write {n}"), &[], 3, 60)).collect();
    assert_eq!(ScriptedPlanner::answering(answer(&seven)).faults().await, [PlanFault::Unverified { max: 7 }]);
}

#[tokio::test]
async fn verification_can_be_switched_off() {
    let steps = [
        step(1, "retriever", "Gather", &[], 1, 20),
        step(2, "coder", "Write it", &[1], 3, 60),
        step(3, "executor", "Run it", &[2], 3, 60),
    ];
    let mut setup = ScriptedPlanner::answering(answer(&steps));
    setup.rules.require_verification = false;
    let (plan, repairs) = setup.plan().await;
    assert_eq!((plan.plan.len(), repairs), (3, vec![]));
}

#[tokio::test]
async fn costs_and_durations_are_clamped() {
    for (tier, seconds, want) in [
        (json!(0), json!(0), (1, 1)),
        (json!(9), json!(1e12), (5, 31_536_000)),
        (json!(-3), json!(-3), (1, 1)),
        (json!(2.6), json!(44.5), (3, 45)),
        (json!("7"), json!("800 days"), (5, 31_536_000)),
    ] {
        let text = first_step(|step| {
            step["estimated_cost_tier"] = tier.clone();
            step["estimated_duration_seconds"] = seconds.clone();
        });
        let (plan, repairs) = ScriptedPlanner::answering(text).plan().await;
        let first = &plan.plan[0];
        assert_eq!((first.estimated_cost_tier, first.estimated_duration_seconds), want, "{tier} {seconds}");
        assert_eq!(codes(&repairs), [(RepairCode::Clamped, Some(1)); 2], "{tier} {seconds}");
    }
}

#[tokio::test]
async fn a_corrected_number_is_quoted() {
    let text = first_step(|step| {
        step["estimated_cost_tier"] = json!(9);
        step["estimated_duration_seconds"] = json!(1e300);
    });
    let (_, repairs) = ScriptedPlanner::answering(text).plan().await;
    let messages: Vec<&str> = repairs.iter().map(|repair| repair.message.as_str()).collect();
    let wanted = [
        "The cost tier was 9, not a whole number from 1 to 5; it is now 5.",
        "The duration in seconds was 1e300, not a whole number from 1 to 31536000; it is now 31536000.",
    ];
    assert_eq!(messages, wanted);
}

#[tokio::test]
async fn missing_optional_fields_are_filled() {
    let text = first_step(|step| {
        step["required_arm"] = json!("coder");
        step["estimated_cost_tier"] = json!(null);
        step.as_object_mut().expect("an object").remove("estimated_duration_seconds");
        step["depends_on"] = json!(null);
    });
    let (plan, repairs) = ScriptedPlanner::answering(text).plan().await;
    let first = &plan.plan[0];
    assert_eq!(
        (first.estimated_cost_tier, first.estimated_duration_seconds),
        (4, 30),
        "as usual for a coder"
    );
    assert_eq!(codes(&repairs), [(RepairCode::FieldFilled, Some(1)); 2]);

    let bare = json!({ "plan": good_plan()["plan"] }).to_string();
    let (plan, repairs) = ScriptedPlanner::answering(bare).plan().await;
    assert_eq!(codes(&repairs), [(RepairCode::FieldFilled, None); 2]);
    assert!(!plan.rationale.is_empty() && plan.confidence < 0.5);
}

#[tokio::test]
async fn confidence_stays_within_its_range() {
    for (said, within) in [(json!(1.7), 1.0), (json!(-1), 0.0), (json!(4000), 1.0)] {
        let mut answer = good_plan();
        answer["confidence"] = said.clone();
        let (plan, repairs) = ScriptedPlanner::answering(answer.to_string()).plan().await;
        assert!((plan.confidence - within * 0.95).abs() < 1e-9, "{said}: {}", plan.confidence);
        assert_eq!(codes(&repairs), [(RepairCode::Clamped, None)], "{said}");
        let old = format!("The confidence was {said}, not from 0 to 1; it is now {within}.");
        assert_eq!(repairs[0].message, old);
    }
}

#[tokio::test]
async fn each_repair_lowers_the_confidence() {
    let mut before = 0.8;
    for broken in 1..=3 {
        let text = first_step(|step| {
            step["required_arm"] = json!("Retriever");
            if broken > 1 {
                step["estimated_cost_tier"] = json!(9);
            }
            if broken > 2 {
                step["depends_on"] = json!([7]);
            }
        });
        let (plan, repairs) = ScriptedPlanner::answering(text).plan().await;
        assert_eq!(repairs.len(), broken);
        assert!(plan.confidence < before, "{broken}: {}", plan.confidence);
        before = plan.confidence;
    }
}

#[tokio::test]
async fn blank_and_repeated_criteria_are_removed() {
    let text = first_step(|step| step["acceptance_criteria"] = json!(["done", " ", "done", "tested"]));
    let (plan, repairs) = ScriptedPlanner::answering(text).plan().await;
    assert_eq!(plan.plan[0].acceptance_criteria, ["done", "tested"]);
    assert_eq!(codes(&repairs), [(RepairCode::CriterionDropped, Some(1))]);
}
