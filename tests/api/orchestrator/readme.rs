//! The walk through the orchestrator in docs/orchestrator.md, run.

use planner_arm::orchestrator::{PREFIX, SETTINGS};
use serde_json::Value;

use crate::readme::{assert_documented, pairs, shape};
use crate::support::TestApp;

use super::support::{TestDatabase, TestOrchestrator};

/// The documented call whose command contains `part`, and its answer.
fn call(part: &str) -> (&'static str, Value) {
    let answered = pairs("sh", "json").into_iter().find(|(command, _)| command.contains(part));
    let (command, answer) = answered.unwrap_or_else(|| panic!("a call of {part}"));
    (command, serde_json::from_str(answer).expect("JSON"))
}

#[tokio::test]
async fn a_task_is_submitted_and_followed_to_its_plan() {
    let planner = TestApp::embedded().await;
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, &planner.url("")).await;
    let (submit, accepted) = call("localhost:8000/submit");
    let body = submit.split('\'').nth(1).expect("a body");
    // curl declares a body as a form.
    let response = orchestrator.api.post_as(Some("application/x-www-form-urlencoded"), body).await;
    assert_eq!(response.status(), 202);
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(shape(&answer), shape(&accepted));
    let (id, documented) = (answer["task_id"].as_str(), accepted["task_id"].as_str());
    let (id, documented) = id.zip(documented).expect("ids");

    let (follow, task) = call("localhost:8000/tasks/");
    assert!(follow.trim_end().ends_with(documented), "{follow}");
    let ended = orchestrator.api.ended(id).await;
    assert_eq!((&ended["task_id"], &ended["status"]), (&answer["task_id"], &task["status"]));
    assert_eq!(shape(&ended), shape(&task));
}

#[test]
fn every_setting_is_in_the_documentation_and_in_the_example() {
    assert_documented(SETTINGS, PREFIX, "docs/orchestrator.md");
}
