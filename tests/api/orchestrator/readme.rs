//! The README's walk through the orchestrator, pasted.

use planner_arm::orchestrator::{PREFIX, SETTINGS};
use serde_json::Value;

use crate::readme::{assert_documented, blocks, shape};
use crate::support::TestApp;

use super::support::{TestDatabase, TestOrchestrator};

/// The JSON answer that stands behind the README's call whose command has `part` in it, and the command.
fn call(part: &str) -> (&'static str, Value) {
    let blocks = blocks();
    let answered = blocks.windows(2).find_map(|pair| match pair {
        [("sh", command), ("json", answer)] if command.contains(part) => Some((*command, *answer)),
        _ => None,
    });
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
    // curl declares a body as a form, and says nothing of JSON.
    let response = orchestrator.api.post_as(Some("application/x-www-form-urlencoded"), body).await;
    assert_eq!(response.status(), 202);
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(shape(&answer), shape(&accepted));
    let (id, in_readme) = (answer["task_id"].as_str(), accepted["task_id"].as_str());
    let (id, in_readme) = id.zip(in_readme).expect("ids");

    let (follow, task) = call("localhost:8000/tasks/");
    assert!(follow.trim_end().ends_with(in_readme), "{follow}");
    let ended = orchestrator.api.ended(id).await;
    assert_eq!((&ended["task_id"], &ended["status"]), (&answer["task_id"], &task["status"]));
    assert_eq!(shape(&ended), shape(&task));
}

#[test]
fn every_setting_is_in_the_readme_and_in_the_example() {
    assert_documented(SETTINGS, PREFIX);
}
