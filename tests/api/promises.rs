//! Any graph of steps in: either a plan that keeps every promise, or all its faults.

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::{Arm, ArmRegistry};
use planner_arm::planner::draft::{Draft, DraftStep};
use planner_arm::planner::error::PlanFault;
use planner_arm::planner::normalize::{PlanDetails, normalize};
use planner_arm::planner::parse;
use proptest::prelude::*;

use crate::support::assert_valid;

fn registry(custom: bool) -> ArmRegistry {
    if !custom {
        return ArmRegistry::default();
    }
    let arms: Vec<Arm> = serde_json::from_value(serde_json::json!([
        {"id": "Maler ✏", "keywords": ["malen"], "cost_tier": 5},
        {"id": "prüfer", "keywords": ["prüfen"], "capabilities": ["validation"]},
    ]))
    .expect("arms");
    ArmRegistry::new(arms, true).expect("a registry")
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::MIN_POSITIVE),
        -3.0..10.0,
        any::<f64>().prop_filter("JSON has no other", |n| n.is_finite())
    ]
}

fn draft_step() -> impl Strategy<Value = DraftStep> {
    let arm = prop_oneof![
        Just("coder".to_owned()),
        Just("judge".to_owned()),
        Just("prüfer".to_owned()),
        Just("Safety-Guardian".to_owned()),
        ".{0,12}",
    ];
    let words = prop_oneof![3 => "[a-e]{1,3}", 1 => "\\PC{0,20}", 1 => Just("  ".to_owned())];
    (
        proptest::option::weighted(0.9, prop_oneof![5 => 0..9_i64, 1 => any::<i64>()]),
        words.clone(),
        arm,
        proptest::collection::vec(words, 0..4),
        proptest::collection::vec(proptest::option::weighted(0.95, -1..10_i64), 0..5),
        proptest::option::weighted(0.9, number()),
        proptest::option::weighted(0.9, number()),
    )
        .prop_map(|(number, action, arm, criteria, depends_on, cost_tier, seconds)| DraftStep {
            number,
            action,
            arm,
            criteria,
            depends_on,
            cost_tier,
            seconds,
        })
}

fn draft() -> impl Strategy<Value = Draft> {
    (
        proptest::collection::vec(draft_step(), 0..12),
        proptest::option::of("\\PC{0,10}"),
        proptest::option::of(number()),
    )
        .prop_map(|(steps, rationale, confidence)| Draft {
            steps,
            rationale,
            confidence,
            ..Draft::default()
        })
}

/// Drafts in which only the graph is in question, so that most of them become plans.
fn graph() -> impl Strategy<Value = Draft> {
    proptest::collection::vec(proptest::collection::vec(1..9_i64, 0..4), 1..9).prop_map(|needs| {
        let step = |(index, needs): (usize, Vec<i64>)| DraftStep {
            number: Some(index as i64 + 1),
            action: format!("Do {index}"),
            arm: "coder".into(),
            criteria: vec!["done".into()],
            depends_on: needs.into_iter().map(Some).collect(),
            cost_tier: Some(2.0),
            seconds: Some(30.0),
        };
        Draft {
            steps: needs.into_iter().enumerate().map(step).collect(),
            rationale: Some("r".into()),
            confidence: Some(0.9),
            ..Draft::default()
        }
    })
}

fn check(draft: &Draft, rules: &PlanRules, registry: &ArmRegistry) -> Result<(), TestCaseError> {
    match normalize(draft.clone(), registry, rules) {
        Ok(plan) => {
            let (response, PlanDetails { repairs, .. }) = plan.into_response();
            assert_valid(&response, rules, registry);
            for repair in &repairs {
                let place = repair.step.is_none_or(|step| (1..=response.plan.len() as u32).contains(&step));
                prop_assert!(place && !repair.message.is_empty(), "{repair:?}");
            }
            if let Some(confidence) = draft.confidence.filter(|c| (0.0..=1.0).contains(c)) {
                prop_assert_eq!(repairs.is_empty() || confidence == 0.0, response.confidence >= confidence);
            }
            // What is valid already stays as it is.
            let again = Draft {
                steps: response.plan.iter().map(as_draft).collect(),
                rationale: Some(response.rationale.clone()),
                confidence: Some(response.confidence),
                ..Draft::default()
            };
            let (twice, PlanDetails { repairs, .. }) =
                normalize(again, registry, rules).expect("still valid").into_response();
            prop_assert_eq!(repairs, vec![]);
            prop_assert_eq!(twice, response);
        }
        Err(faults) => {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.is_sorted(), "{faults:?}");
        }
    }
    Ok(())
}

fn as_draft(step: &planner_arm::domain::SubTask) -> DraftStep {
    DraftStep {
        number: Some(i64::from(step.step)),
        action: step.action.clone(),
        arm: step.required_arm.clone(),
        criteria: step.acceptance_criteria.clone(),
        depends_on: step.depends_on.iter().map(|&needed| Some(i64::from(needed))).collect(),
        cost_tier: Some(f64::from(step.estimated_cost_tier)),
        seconds: Some(f64::from(step.estimated_duration_seconds)),
    }
}

/// Whether the dependencies that remain after dropping the impossible ones have a cycle, found another way
/// than the planner's: by following every path.
fn has_cycle(draft: &Draft) -> bool {
    fn reaches(needs: &[Vec<usize>], from: usize, to: usize, seen: &mut Vec<usize>) -> bool {
        needs[from].iter().any(|&next| {
            next == to
                || (!seen.contains(&next) && {
                    seen.push(next);
                    reaches(needs, next, to, seen)
                })
        })
    }
    let n = draft.steps.len();
    let needs: Vec<Vec<usize>> = draft
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let needed = step.depends_on.iter().flatten().filter_map(|&d| usize::try_from(d - 1).ok());
            needed.filter(|&d| d < n && d != index).collect()
        })
        .collect();
    (0..n).any(|node| reaches(&needs, node, node, &mut Vec::new()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_draft_becomes_a_valid_plan_or_its_faults(
        draft in draft(), custom in any::<bool>(), min in 1..5_usize, more in 0..9_usize, verify in any::<bool>(),
    ) {
        let rules = PlanRules { min_steps: min, max_steps: min + more, require_verification: verify };
        check(&draft, &rules, &registry(custom))?;
    }

    #[test]
    fn a_graph_is_refused_only_for_its_cycles(draft in graph()) {
        let rules = PlanRules { min_steps: 1, max_steps: 50, require_verification: true };
        let cyclic = has_cycle(&draft);
        let settled = normalize(draft.clone(), &registry(false), &rules);
        prop_assert_eq!(settled.is_err(), cyclic);
        if let Err(faults) = settled {
            prop_assert!(matches!(&faults[..], [PlanFault::Cycle { steps }] if steps.len() > 1), "{:?}", faults);
        }
        check(&draft, &rules, &registry(false))?;
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,200}", cut in 0..400_usize) {
        let _ = parse::read(&text);
        let plan = crate::support::good_plan().to_string();
        let _ = parse::read(plan.get(..cut).unwrap_or(&plan));
        let _ = parse::read(&format!("{text}{plan}{text}"));
    }
}
