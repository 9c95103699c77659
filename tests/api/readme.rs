//! The commands of README.md and docs/, run: each gets an answer of the shape shown. And what must be documented is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use planner_arm::config::table::{DefaultValue, SETTINGS, Setting};
use planner_arm::domain::RepairCode;
use serde_json::{Value, json};

use crate::support::{FakeLlm, Reply, TempFile, TestApp, good_plan, settings};

/// One page of the documentation.
pub struct Page {
    /// Its path in the repository, such as `docs/api.md`.
    pub path: String,
    /// Its Markdown.
    pub text: String,
}

static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("the folder docs");
    let mut paths: Vec<String> = docs
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    paths.sort();
    paths.insert(0, "README.md".to_owned());
    paths
        .into_iter()
        .map(|path| Page { text: fs::read_to_string(root.join(&path)).expect("a page"), path })
        .collect()
});

/// README.md and the pages in docs/.
pub fn pages() -> &'static [Page] {
    &PAGES
}

/// The page at `path`.
pub fn page(path: &str) -> &'static str {
    let page = pages().iter().find(|page| page.path == path);
    &page.unwrap_or_else(|| panic!("there is no page {path}")).text
}

fn blocks_of(page: &'static Page) -> Vec<(&'static str, &'static str)> {
    page.text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// The fenced blocks of all pages: language and text.
pub fn blocks() -> Vec<(&'static str, &'static str)> {
    pages().iter().flat_map(blocks_of).collect()
}

/// Blocks of the language `first` with the block of the language `second` right behind each, on all pages.
pub fn pairs(first: &str, second: &str) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for page in pages() {
        for pair in blocks_of(page).windows(2) {
            if pair[0].0 == first && pair[1].0 == second {
                found.push((pair[0].1, pair[1].1));
            }
        }
    }
    found
}

/// Path and body of a `curl` command as the pages write them.
fn call(command: &str) -> Option<(&str, Option<Value>)> {
    let after = command.split_once("localhost:8001")?.1;
    let path = after.split(|c: char| c.is_whitespace() || c == '\'').next()?;
    let body = command.split_once("-d '").and_then(|(_, rest)| rest.split('\'').next());
    Some((path, body.map(|body| serde_json::from_str(body).expect("a JSON body"))))
}

/// What an answer must have in common with the documented one: keys and types; words, numbers and the length of lists
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

/// The status of a documented answer: that of its problem, or success.
fn status_of(answer: &Value) -> u64 {
    let is_problem = answer["type"].as_str().is_some_and(|kind| kind.starts_with("urn:octollm:problem:"));
    if is_problem { answer["status"].as_u64().expect("a status") } else { 200 }
}

#[tokio::test]
async fn every_call_gets_an_answer_of_the_shape_shown() {
    let app = TestApp::embedded().await;
    let mut paths = Vec::new();
    for (command, shown) in pairs("sh", "json") {
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
        paths.push(path);
    }
    paths.sort_unstable();
    let (plan, extras) = ("/plan", "/plan?include=schedule,usage,repairs,id");
    // A plan and an error, both in README.md and in docs/api.md, and the other endpoints.
    let expected =
        ["/capabilities", "/health", plan, plan, plan, plan, extras, "/ready", "/replan", "/validate"];
    assert_eq!(paths, expected);
}

/// Calls whose output is cut off, such as `curl … | head -c 60`.
#[tokio::test]
async fn every_call_for_the_first_characters_gets_them() {
    let app = TestApp::embedded().await;
    let mut compared = 0;
    for (command, shown) in
        pairs("sh", "text").into_iter().filter(|(command, _)| command.contains("| head -c "))
    {
        let (path, _) = call(command).unwrap_or_else(|| panic!("a call: {command}"));
        let answer = app.get(path).await.text().await.expect("a text");
        assert!(answer.starts_with(shown.trim_end()), "{command}");
        compared += 1;
    }
    assert_eq!(compared, 3, "/arms, /playbooks and /openapi.json");
}

#[test]
fn the_settings_files_are_valid() {
    let mut shown = Vec::new();
    for (_, text) in blocks().into_iter().filter(|(language, _)| *language == "yaml") {
        let file = TempFile::new("planner.yaml", text);
        let settings = settings(&[("PLANNER_CONFIG_FILE", &file.path)]).unwrap_or_else(|e| panic!("{e}"));
        shown.extend(settings.shown().iter().filter(|(name, _)| ["ARMS", "PRICES"].contains(name)).cloned());
    }
    for (name, value) in [
        ("ARMS", "search_web,send_email,fact_check"),
        ("ARMS", "translator,editor"),
        ("PRICES", "acme/planner-large 0.8/3.2 (2026-03-01)"),
    ] {
        assert!(shown.iter().any(|(n, v)| *n == name && v.contains(value)), "{name}: {shown:?}");
    }
}

#[tokio::test]
async fn the_goal_behind_the_first_settings_file_is_planned_for_its_arms() {
    let (text, command) = pairs("yaml", "sh")[0];
    let goal = command.split('"').nth(1).expect("a goal");
    let file = TempFile::new("planner.yaml", text);
    let app = TestApp::start(&[("PLANNER_CONFIG_FILE", file.path.as_str())]).await;
    let plan = app.planned(&json!({ "goal": goal })).await;
    let arms: Vec<&str> = plan.plan.iter().map(|step| step.required_arm.as_str()).collect();
    assert_eq!(arms, ["search_web", "send_email", "fact_check"]);
}

#[tokio::test]
async fn the_goal_with_arms_of_its_own_is_planned_for_them() {
    let (_, commands) = *blocks().iter().find(|(language, _)| *language == "bash").expect("a bash block");
    let mut parts = commands.split("END");
    let arms: Value =
        serde_json::from_str(parts.nth(1).expect("a file").trim_start_matches('\'')).expect("JSON");
    let goal = parts.next().and_then(|command| command.split('"').nth(1)).expect("a goal");
    let plan = TestApp::embedded().await.planned(&json!({ "goal": goal, "arms": arms })).await;
    let known: Vec<&str> =
        arms.as_array().expect("a list").iter().filter_map(|arm| arm["id"].as_str()).collect();
    for step in &plan.plan {
        assert!(known.contains(&step.required_arm.as_str()), "{}", step.required_arm);
    }
}

#[test]
fn every_setting_is_in_the_documentation_and_in_the_example() {
    assert_documented(SETTINGS, "PLANNER_", "docs/configuration.md");
}

/// That each setting is on the page `path`, and in `.env.example` with its default.
pub fn assert_documented(table: &[Setting], prefix: &str, path: &str) {
    let example = include_str!("../../.env.example");
    for setting in table.iter().filter(|setting| !setting.is_file_only()) {
        let variable = setting.variable(prefix);
        assert!(page(path).contains(&format!("`{variable}`")), "{path}: {variable}");
        let line = match setting.default {
            DefaultValue::Value(text) => format!("#{variable}={text}\n"),
            DefaultValue::Computed(_) | DefaultValue::NotSet => format!("#{variable}="),
        };
        assert!(example.contains(&line), ".env.example: {line}");
    }
}

#[test]
fn every_repair_code_is_in_the_documentation() {
    for code in RepairCode::ALL {
        let row = format!("\n| `{}` |", code.as_str());
        assert!(page("docs/api.md").contains(&row), "docs/api.md: {}", code.as_str());
    }
}

#[tokio::test]
async fn every_metric_is_in_the_documentation() {
    // With an LLM and one plan, so that the metrics of calls are exposed.
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    app.planned(&json!({ "goal": "Fix the login" })).await;
    let exposed = app.get("/metrics").await.text().await.expect("a text");
    let names: BTreeSet<&str> =
        exposed.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names.into_iter().filter(|name| !name.starts_with("process_")) {
        let documented = page("docs/monitoring.md");
        assert!(
            documented.contains(&format!("`{name}`")) || documented.contains(&format!("`{name}{{")),
            "docs/monitoring.md: {name}"
        );
    }
}
