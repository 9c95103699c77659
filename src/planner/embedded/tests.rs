use super::*;
use crate::planner::repair::settle;

#[test]
fn show() {
    let registry = Arc::new(ArmRegistry::default());
    let planner = EmbeddedPlanner::new(registry.clone(), PlanRules::default());
    let goals = std::env::var("GOALS").unwrap_or_default();
    for goal in goals.split('|') {
        let request = PlanRequest {
            goal: goal.into(),
            constraints: std::env::var("CON")
                .map(|c| c.split('|').map(String::from).collect())
                .unwrap_or_default(),
            ..Default::default()
        };
        let draft = planner.propose(&request);
        println!(
            "\n# {goal}   [{}] {}",
            draft.confidence.unwrap_or(0.),
            draft.rationale.clone().unwrap_or_default()
        );
        for s in &draft.steps {
            println!(
                "{} {:9} {} <- {:?} {}s\n      - {}",
                s.number.unwrap_or(0),
                s.arm,
                s.action,
                s.depends_on.iter().flatten().collect::<Vec<_>>(),
                s.seconds.unwrap_or(0.),
                s.criteria.join("\n      - ")
            );
        }
        let plan = settle(draft, &registry, &PlanRules::default());
        match plan {
            Ok(p) => assert!(p.repairs().is_empty(), "{:?}", p.repairs()),
            Err(e) => println!("FAULTS {e:?}"),
        }
    }
}
