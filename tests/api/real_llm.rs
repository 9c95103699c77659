//! A real LLM behind a real server, asked through the binary: `PLANNER_TEST_LLM_URL` names one that serves
//! `smollm2-135m`, as `.ci/real-llm start` does.

use serde_json::{Value, json};

use crate::cli::run;
use crate::support::TempFile;

const MODEL: &str = "smollm2-135m";

/// Goals that a model of 135 million parameters can get hold of.
const SCENARIOS: &str = r#"
[[scenario]]
name = "function"
kind = "code"
goal = "Write a Python function that sorts a list, and test it"
constraints = ["Use Python only"]

[[scenario]]
name = "bug"
kind = "code"
goal = "Fix the login bug"

[[scenario]]
name = "deployment"
kind = "operations"
goal = "Deploy the website and check that it answers"

[[scenario]]
name = "search"
kind = "research"
goal = "Find three papers about solar power and compare them"

[[scenario]]
name = "privacy"
kind = "security"
goal = "Remove all names from the customer list"
context = { file = "customers.csv" }
"#;

#[tokio::test]
#[ignore = "needs an LLM; run by .ci/run"]
async fn a_real_llm_gives_valid_plans_and_every_failure_has_a_reason() {
    let url = std::env::var("PLANNER_TEST_LLM_URL")
        .expect("PLANNER_TEST_LLM_URL must name an LLM server; `.ci/real-llm start` prints a URL for it");
    let (file, json_file) = (TempFile::new("few.toml", SCENARIOS), TempFile::new("report.json", ""));
    let settings = [
        ("PLANNER_LLM_BASE_URL", url.as_str()),
        ("PLANNER_LLM_MODEL", MODEL),
        ("PLANNER_FALLBACK_ENGINE", "none"),
        ("PLANNER_TIMEOUT_SECONDS", "600"),
        // It rarely finds an end by itself; the short plan that it is asked for at last needs fewer.
        ("PLANNER_MAX_TOKENS", "400"),
    ];
    let arguments = ["eval", &file.path, "--json", &json_file.path, "--concurrency", "1"];
    let (code, out, err) = run(&settings, &[&arguments[..], &["--min-success", "0.6"]].concat()).await;
    eprintln!("{out}");

    let report = std::fs::read_to_string(&json_file.path).expect("a file");
    let report: Value =
        serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}\n{report}\n{err}"));
    let scenarios = report["scenarios"].as_array().expect("a list");
    assert_eq!(scenarios.len(), 5);
    for scenario in scenarios {
        assert_eq!(
            (&scenario["engine"], &scenario["model"]),
            (&json!("openai"), &json!(MODEL)),
            "{scenario}"
        );
        assert!(scenario["attempts"].as_u64().is_some_and(|calls| (1..=3).contains(&calls)), "{scenario}");
        if scenario["error"].is_null() {
            assert_eq!(
                (&scenario["valid"], &scenario["broken_promises"]),
                (&json!(true), &json!([])),
                "{scenario}"
            );
            assert!(scenario["completion_tokens"].as_u64() > Some(0), "{scenario}");
        } else {
            let reason = scenario["error"]["detail"].as_str().unwrap_or_default();
            assert!(reason.ends_with('.'), "{scenario}");
        }
    }
    let valid = report["summary"]["valid"].as_u64();
    assert!(valid >= Some(3), "{:#}", report["summary"]);
    assert_eq!(code, 0, "{err}");
}
