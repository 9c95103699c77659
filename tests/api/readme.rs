//! The README's calls, pasted: each gets an answer of the shape that the README shows.

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

/// What an answer must have in common with the README's: keys and types; words, numbers and the length of lists
/// may differ. Of a list the first entry counts.
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(entries) => entries.first().map(shape).into_iter().collect(),
        Value::String(_) => json!("a text"),
        Value::Number(_) => json!("a number"),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// The status of an answer that the README shows: that of its problem, or success.
fn status_of(answer: &Value) -> u64 {
    let is_problem = answer["type"].as_str().is_some_and(|kind| kind.starts_with("urn:octollm:problem:"));
    if is_problem { answer["status"].as_u64().expect("a status") } else { 200 }
}

#[tokio::test]
async fn every_call_gets_an_answer_of_the_shape_shown() {
    let app = TestApp::embedded().await;
    let mut paths = Vec::new();
    for pair in blocks().windows(2) {
        let [("sh", command), ("json", shown)] = pair else { continue };
        if command.contains("localhost:8000") {
            // The orchestrator's, which has a test of its own.
            continue;
        }
        let (path, body) = call(command).unwrap_or_else(|| panic!("a call: {command}"));
        let response = match body {
            Some(body) => app.plan_at(path, &body).await,
            None => app.get(path).await,
        };
        let shown: Value = serde_json::from_str(shown).expect("JSON");
        assert_eq!(u64::from(response.status().as_u16()), status_of(&shown), "{command}");
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(shape(&answer), shape(&shown), "{command}\n{answer}");
        paths.push(path.split('?').next().unwrap_or_default());
    }
    for path in ["/plan", "/replan", "/validate", "/health", "/ready", "/capabilities"] {
        assert!(paths.contains(&path), "the README shows no call of {path}");
    }
}

#[test]
fn the_settings_files_are_valid() {
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
fn every_setting_is_in_the_readme_and_in_the_example() {
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
