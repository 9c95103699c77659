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
    let mut quoted = submit.split('\'').skip(1).step_by(2);
    let content_type = quoted.next().and_then(|header| header.strip_prefix("Content-Type: "));
    let response = orchestrator.api.post_as(content_type, quoted.next().expect("a body")).await;
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

    let (list, tasks) = call("localhost:8000/tasks?");
    let path = list.split("localhost:8000").nth(1).and_then(|rest| rest.split('\'').next()).expect("a path");
    let listed: Value = orchestrator.api.get(path).await.json().await.expect("JSON");
    assert_eq!(shape(&listed), shape(&tasks));
}

#[test]
fn every_setting_is_in_the_documentation_and_in_the_example() {
    assert_documented(SETTINGS, PREFIX, "docs/orchestrator.md");
}
