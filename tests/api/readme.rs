//! The README's calls, pasted: each gets the answer that stands behind it.

use planner_arm::config::table::{DefaultValue, SETTINGS, Setting};
use serde_json::{Value, json};

use crate::support::{TempFile, TestApp, settings};

/// The fenced blocks of the README: language and text.
pub fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts: Vec<&str> = include_str!("../../README.md").split("```").collect();
    parts.iter().skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Path and body of a `curl` command as the README writes them.
fn call(command: &str) -> Option<(&str, Option<Value>)> {
    let after = command.split_once("localhost:8001")?.1;
    let path = after.split(|c: char| c.is_whitespace() || c == '\'').next()?;
    let body = command.split_once("-d '").and_then(|(_, rest)| rest.split('\'').next());
    Some((path, body.map(|body| serde_json::from_str(body).expect("a JSON body"))))
}

/// `answer` without what is new each time.
fn lasting(mut answer: Value) -> Value {
    for volatile in ["request_id", "plan_id", "timestamp"] {
        if let Some(value) = answer.get_mut(volatile) {
            *value = json!("…");
        }
    }
    answer
}

#[tokio::test]
async fn every_call_gets_the_answer_that_stands_behind_it() {
    let app = TestApp::embedded().await;
    let blocks = blocks();
    let mut compared = 0;
    for pair in blocks.windows(2) {
        let [("sh", command), ("json", answer)] = pair else { continue };
        if command.contains("localhost:8000") {
            // The orchestrator's, which has a test of its own.
            continue;
        }
        let (path, body) = call(command).unwrap_or_else(|| panic!("a call: {command}"));
        let response = match body {
            Some(body) => app.plan_at(path, &body).await,
            None => app.get(path).await,
        };
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        assert_eq!(lasting(response.json().await.expect("JSON")), lasting(answer), "{command}");
        compared += 1;
    }
    assert_eq!(
        compared, 8,
        "plan, plan with extras, replan, validate, a problem, health, readiness, capabilities"
    );
}

#[test]
fn the_files_are_good_settings() {
    let mut shown = Vec::new();
    for (_, text) in blocks().into_iter().filter(|(language, _)| *language == "yaml") {
        let file = TempFile::new("planner.yaml", text);
        let settings = settings(&[("PLANNER_CONFIG_FILE", &file.path)]).unwrap_or_else(|e| panic!("{e}"));
        shown.extend(settings.shown().iter().filter(|(name, _)| ["ARMS", "PRICES"].contains(name)).cloned());
    }
    for (name, value) in
        [("ARMS", "translator,editor"), ("PRICES", "acme/planner-large 0.8/3.2 (2026-03-01)")]
    {
        assert!(shown.iter().any(|(n, v)| *n == name && v.contains(value)), "{name}: {shown:?}");
    }
}

#[test]
fn every_setting_stands_in_the_readme_and_in_the_example() {
    assert_documented(SETTINGS, "PLANNER_");
}

/// That each setting is in the README, and in `.env.example` with its default.
pub fn assert_documented(table: &[Setting], prefix: &str) {
    let example = include_str!("../../.env.example");
    for setting in table.iter().filter(|setting| !setting.is_file_only()) {
        let variable = setting.variable(prefix);
        assert!(include_str!("../../README.md").contains(&format!("`{variable}`")), "README: {variable}");
        let line = match setting.default {
            DefaultValue::Value(text) => format!("#{variable}={text}\n"),
            DefaultValue::Computed(_) | DefaultValue::NotSet => format!("#{variable}="),
        };
        assert!(example.contains(&line), ".env.example: {line}");
    }
}
