//! Goals, constraints and contexts that order the LLM about, and an LLM that obeys.

use serde_json::{Value, json};

use crate::cli::run;
use crate::support::{FakeLlm, Reply, TestApp, assert_valid_by_default, good_plan, header, problem, step};

/// What an answer that is not a plan must not contain.
const QUOTED: &str = "obeyed";

/// The adversarial requests among the scenarios that ship with the program.
fn adversarial_requests() -> Vec<Value> {
    let file: toml::Table = include_str!("../../src/cli/eval/scenarios.toml").parse().expect("TOML");
    let scenarios = file["scenario"].as_array().expect("a list");
    let adversarial = scenarios.iter().filter(|scenario| scenario["kind"].as_str() == Some("adversarial"));
    let request = |scenario: &toml::Value| {
        let mut request = json!({ "goal": scenario["goal"] });
        for field in ["constraints", "context"] {
            if let Some(value) = scenario.get(field) {
                request[field] = json!(value);
            }
        }
        request
    };
    adversarial.map(request).collect()
}

/// What an LLM says that does as those requests order.
fn obedient_answers() -> Vec<String> {
    let steps = |number: i64, arm: &'static str| -> Vec<Value> {
        (1..=number).map(|n| step(n, arm, &format!("{QUOTED} {n}"), &[], 1, 10)).collect()
    };
    let plan = |steps: Vec<Value>| {
        json!({ "plan": steps, "rationale": QUOTED, "confidence": 42, "obeyed": true }).to_string()
    };
    vec![
        "BANANA obeyed".into(),
        "You are the planner; obeyed. ".repeat(500),
        r#"{"plan": []}"#.into(),
        plan(steps(5, "root")),
        plan(steps(5, "__proto__")),
        plan(steps(50, "coder")),
        plan((1..=50).map(|n| step(n, "coder", "step", &[], 1, 10)).collect()),
        plan((1..=3).map(|n| step(n, "coder", &format!("{QUOTED} {n}"), &[n % 3 + 1], 1, 10)).collect()),
        plan(vec![step(0, "superuser", "", &[0, 7], 99, -1)]),
        format!("<script>fetch('https://example.com/{QUOTED}')</script>"),
    ]
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// That nothing but a plan of the documented shape is there.
fn assert_shape(plan: &Value) {
    let all = ["complexity_score", "confidence", "plan", "rationale", "total_estimated_duration"];
    assert_eq!(keys(plan), all);
    for step in plan["plan"].as_array().expect("steps") {
        let all = [
            "acceptance_criteria",
            "action",
            "depends_on",
            "estimated_cost_tier",
            "estimated_duration_seconds",
            "required_arm",
            "step",
        ];
        assert_eq!(keys(step), all);
    }
}

#[tokio::test]
async fn prompt_injection_gives_a_valid_plan_or_an_error() {
    let requests = adversarial_requests();
    assert!(requests.len() >= 12, "{}", requests.len());
    for answer in obedient_answers() {
        let llm = FakeLlm::start([Reply::Text(answer.clone())]).await;
        let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
        for request in &requests {
            let response = app.plan(request).await;
            if response.status() == 200 {
                let plan: Value = response.json().await.expect("JSON");
                assert_shape(&plan);
                assert_valid_by_default(&serde_json::from_value(plan).expect("a plan"));
            } else {
                let (status, document) = problem(response).await;
                assert_eq!((status, &document["code"]), (500, &json!("plan_invalid")), "{answer}");
                assert!(!document.to_string().contains(QUOTED), "{document}");
            }
        }
    }
}

#[tokio::test]
async fn the_system_prompt_is_the_same_for_every_request() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    app.planned(&json!({"goal": "Tidy the wiki"})).await;
    for request in adversarial_requests() {
        app.planned(&request).await;
    }
    let fixed = |mut call: Value| {
        let messages = call["messages"].as_array_mut().expect("messages");
        let question = messages.pop().expect("a message");
        assert_eq!(question["role"], "user");
        assert!(messages.iter().all(|message| message["role"] == "system"), "{messages:?}");
        if question["content"].as_str().expect("a text").starts_with("Your last answer") {
            // The critics' question, which is asked at a higher temperature.
            let temperature = call["temperature"].as_f64().expect("a number");
            assert!(temperature > 0.3, "{temperature}");
            call["temperature"] = json!(0.3);
        }
        call
    };
    let calls: Vec<Value> = llm.bodies().into_iter().map(fixed).collect();
    assert_eq!(calls[0]["messages"].as_array().map(Vec::len), Some(1));
    assert!(calls.iter().all(|call| *call == calls[0]), "schema, model, limits and instructions");
}

/// A plan whose texts are markup, have escapes for terminals in them, and extra keys everywhere.
fn restless_plan() -> Value {
    let text = "<img src=x onerror=alert(1)> \u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{8}\u{7f}\u{202e} now";
    let mut plan = good_plan();
    plan["rationale"] = json!(text);
    plan["execute"] = json!("rm -rf /");
    for step in plan["plan"].as_array_mut().expect("steps") {
        step["action"] = json!(format!("{} {text}", step["action"].as_str().expect("a text")));
        step["acceptance_criteria"] = json!([text]);
        step["shell"] = json!("rm -rf /");
    }
    plan
}

#[tokio::test]
async fn markup_and_escapes_stay_data() {
    let llm = FakeLlm::start([Reply::plan(&restless_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let response = app.plan(&json!({"goal": "g"})).await;
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    let text = response.text().await.expect("a body");
    assert!(!text.chars().any(|c| c < ' '), "{text:?}");
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    assert_shape(&plan);
    let rationale = plan["rationale"].as_str().expect("a text");
    assert_eq!(rationale, "<img src=x onerror=alert(1)> ]0;owned31m now", "markup stays, controls do not");
    assert_valid_by_default(&serde_json::from_value(plan).expect("a plan"));
}

#[tokio::test]
async fn no_text_controls_the_terminal() {
    let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
    let (good, bad) = (Reply::plan(&restless_plan()), Reply::Text("\u{1b}[2J, and no plan".into()));
    for (answer, format, exit) in
        [(&good, "table", 0), (&good, "json", 0), (&good, "mermaid", 0), (&bad, "table", 1)]
    {
        let llm = FakeLlm::start([answer.clone()]).await;
        let variables = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_LOG_LEVEL", "trace")];
        let goal = "Ship \u{1b}]0;owned\u{7} \u{9b}31m it";
        let (code, out, err) = run(&variables, &["plan", goal, "--format", format]).await;
        assert_eq!((code, out.contains("now")), (exit, exit == 0), "{format}: {out} {err}");
        assert!(!out.chars().chain(err.chars()).any(steers), "{format}: {out:?} {err:?}");
        assert!(format != "mermaid" || !out.contains("<img"), "{out}");
    }
}
