//! Goals as people have them, from the request to the plan: by rules, and by a model that plans well.

use planner_arm::domain::{PlanResponse, SubTask};
use serde_json::json;

use crate::support::{FakeLlm, Reply, TempFile, TestApp, assert_valid_by_default, good_plan, settings, step};

async fn planned(goal: &str, constraints: &[&str]) -> PlanResponse {
    let plan = TestApp::embedded().await.planned(&json!({"goal": goal, "constraints": constraints})).await;
    assert_valid_by_default(&plan);
    assert!((0.2..=0.65).contains(&plan.confidence), "{}", plan.confidence);
    plan
}

fn arms(plan: &PlanResponse) -> Vec<&str> {
    plan.plan.iter().map(|step| step.required_arm.as_str()).collect()
}

fn find<'a>(plan: &'a PlanResponse, words: &str) -> &'a SubTask {
    plan.plan
        .iter()
        .rfind(|step| step.action.to_lowercase().contains(words))
        .unwrap_or_else(|| panic!("{words} in {:#?}", plan.plan))
}

/// Whether `later` comes after `earlier` by their dependencies.
fn follows(plan: &PlanResponse, later: &SubTask, earlier: &SubTask) -> bool {
    later
        .depends_on
        .iter()
        .any(|&needed| needed == earlier.step || follows(plan, &plan.plan[needed as usize - 1], earlier))
}

fn criteria_with<'a>(plan: &'a PlanResponse, text: &str) -> Vec<&'a str> {
    let has = |step: &&SubTask| step.acceptance_criteria.iter().any(|criterion| criterion.contains(text));
    plan.plan.iter().filter(has).map(|step| step.required_arm.as_str()).collect()
}

#[tokio::test]
async fn a_simple_goal_becomes_gather_write_run_verify() {
    let plan = planned("Write a Python function to sort a list", &[]).await;
    for arm in ["retriever", "coder", "executor"] {
        assert!(arms(&plan).contains(&arm), "{arm}: {:#?}", plan.plan);
    }
    assert_eq!(arms(&plan).last(), Some(&"judge"));
    let (gather, write) = (find(&plan, "look up"), find(&plan, "write a python function"));
    assert!(follows(&plan, write, gather) && follows(&plan, find(&plan, "run the new tests"), write));
}

#[tokio::test]
async fn a_complex_goal_builds_tests_runs_and_then_deploys() {
    let plan = planned("Build and deploy a REST API with tests", &[]).await;
    let (build, tests) = (find(&plan, "build a rest api"), find(&plan, "write automated tests"));
    let (run, deploy) = (find(&plan, "run the new tests"), find(&plan, "deploy"));
    assert_eq!([build, tests].map(|step| step.required_arm.as_str()), ["coder"; 2]);
    assert_eq!([run, deploy].map(|step| step.required_arm.as_str()), ["executor"; 2]);
    assert!(follows(&plan, run, build) && follows(&plan, run, tests) && follows(&plan, deploy, run));
}

#[tokio::test]
async fn independent_parts_run_in_parallel_and_are_joined() {
    let plan = planned("Debug authentication issue and add tests", &[]).await;
    let (debug, tests) = (find(&plan, "debug authentication issue"), find(&plan, "add tests"));
    assert!(!follows(&plan, debug, tests) && !follows(&plan, tests, debug));
    let last = plan.plan.last().expect("a step");
    assert!(follows(&plan, last, debug) && follows(&plan, last, tests));
}

#[tokio::test]
async fn constraints_become_acceptance_criteria() {
    let plan = planned("Fix the login and add tests", &["Complete in <2 minutes", "Use Python only"]).await;
    let schedule = planner_arm::planner::estimate::schedule(&plan.plan);
    assert!(schedule.critical_path_seconds <= 120, "{schedule:?}");
    assert!(criteria_with(&plan, "Use Python only").contains(&"coder"), "{:#?}", plan.plan);
    assert!(!criteria_with(&plan, "Complete in <2 minutes").is_empty(), "{:#?}", plan.plan);
}

#[tokio::test]
async fn every_one_of_many_constraints_is_covered() {
    let constraints: Vec<String> =
        (1..=50).map(|n| format!("Rule number {n}: keep module {n} unchanged")).collect();
    let constraints: Vec<&str> = constraints.iter().map(String::as_str).collect();
    let plan = planned("Refactor the billing module", &constraints).await;
    for constraint in constraints {
        assert!(!criteria_with(&plan, constraint).is_empty(), "{constraint}");
    }
}

#[tokio::test]
async fn personal_data_involves_the_guardian() {
    let plan = planned("Export the customer emails and send them to the sales team", &[]).await;
    assert!(arms(&plan).contains(&"guardian"), "{:#?}", plan.plan);
    assert!(!arms(&planned("Sort a list of numbers", &[]).await).contains(&"guardian"));
}

#[tokio::test]
async fn the_order_in_the_goal_is_kept() {
    let plan = planned("Find the slow queries, then fix them, and finally deploy the fix", &[]).await;
    let (find_them, fix, deploy) =
        (find(&plan, "find the slow"), find(&plan, "fix the slow"), find(&plan, "deploy the fix"));
    assert!(follows(&plan, fix, find_them) && follows(&plan, deploy, fix), "{:#?}", plan.plan);
}

#[tokio::test]
async fn different_goals_give_different_plans_and_the_same_goal_the_same() {
    let goals = [
        "Write a Python function to sort a list",
        "Write a Rust function to reverse a string",
        "Research three vector databases",
        "Deploy the staging server",
        "今日のレポートを書いて",
        "Prüfe die Rechnungen und sende eine Zusammenfassung",
        "zxqv brrl",
    ];
    let mut seen: Vec<String> = Vec::new();
    for goal in goals {
        let plan = planned(goal, &[]).await;
        assert_eq!(plan, planned(goal, &[]).await, "{goal}");
        let actions: Vec<&str> = plan.plan.iter().map(|step| step.action.as_str()).collect();
        assert!(!seen.contains(&actions.join("|")), "{goal}");
        seen.push(actions.join("|"));
    }
}

#[tokio::test]
async fn the_confidence_reflects_what_was_understood() {
    let clear = planned("Debug the login and add tests", &[]).await.confidence;
    let nonsense = planned("zxqv brrl mnkp", &[]).await.confidence;
    assert!(clear > nonsense + 0.2, "{clear} {nonsense}");
}

#[tokio::test]
async fn the_longest_goals_are_planned_too() {
    for goal in ["x".repeat(10_000), "and ".repeat(2_500), "深".repeat(10_000), "Fix it. ".repeat(1_250)] {
        planned(&goal, &[]).await;
    }
}

#[tokio::test]
async fn plans_use_the_arms_of_the_installation() {
    let yaml = "arms:\n  - {id: Übersetzer 译, keywords: [translate]}\n  - {id: Prüfer, capabilities: [validation]}\n";
    let file = TempFile::new("arms.yaml", yaml);
    let variables = [("PLANNER_CONFIG_FILE", file.path.as_str()), ("PLANNER_ENGINE", "embedded")];
    let registry = settings(&variables).expect("settings").arms;
    let app = TestApp::start(&variables).await;
    let plan = app.planned(&json!({"goal": "Translate the manual into German"})).await;
    crate::support::assert_valid(&plan, &planner_arm::domain::PlanRules::default(), &registry);
    let translate = plan.plan.iter().find(|step| step.action == "Translate the manual into German");
    assert_eq!(translate.map(|step| step.required_arm.as_str()), Some("Übersetzer 译"));
    assert_eq!(plan.plan.last().map(|step| step.required_arm.as_str()), Some("Prüfer"));
}

#[tokio::test]
async fn a_valid_plan_passes_through_with_its_schedule() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let body = json!({
        "goal": "Fix authentication bug and add tests",
        "constraints": ["Do not modify the database schema", "Complete in <5 minutes"],
        "context": {"repository": "https://example.com/repo", "affected_files": ["auth/login.py"]},
    });
    let response = app.plan_at("/plan?include=schedule", &body).await;
    let plan: PlanResponse = response.json().await.expect("a plan");
    assert_valid_by_default(&plan);
    assert_eq!(plan.schedule.expect("a schedule").levels, [vec![1], vec![2, 3], vec![4], vec![5]]);
}

#[tokio::test]
async fn faults_with_one_right_answer_are_repaired() {
    let plan = json!({ "steps": [
        step(0, "Coder", "Write it", &[1, 0, 7], 9, 60),
        step(1, "web_search", "Look it up", &[], 0, 999_999),
        step(2, "shell", "Try it", &[0], 2, 30),
    ], "confidence": "95%", "reasoning": "as usual" });
    let llm = FakeLlm::start([Reply::Text(format!("Of course!\n```json\n{plan}\n```"))]).await;
    let made = TestApp::with_llm(&llm, &[]).await.planned(&json!({"goal": "g"})).await;
    assert_valid_by_default(&made);
    assert_eq!(arms(&made), ["retriever", "coder", "executor", "judge"]);
    assert_eq!(
        made.plan.iter().map(|step| step.depends_on.clone()).collect::<Vec<_>>(),
        [vec![], vec![1], vec![2], vec![3]]
    );
    assert!(made.confidence < 0.8 && made.rationale == "as usual");
}
