//! `planner-arm eval`, run as a user runs it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::cli::{EMBEDDED, run};
use crate::readme::blocks;
use crate::support::{FakeLlm, Reply, TempFile, good_plan};

/// Two scenarios for OctoLLM's arms.
const TWO: &str = r#"
[[scenario]]
name = "bug"
kind = "code"
goal = "Fix the login bug and add tests"
constraints = ["Use Python only", "Verify every constraint"]
arms = ["coder", "guardian"]

[[scenario]]
name = "logs"
kind = "operations"
goal = "Gather the logs of last night"
"#;

/// Runs with `--json -`: exit code, report, standard error.
async fn report(variables: &[(&str, &str)], arguments: &[&str]) -> (i32, Value, String) {
    let (code, out, err) = run(variables, &[&["eval", "--json", "-"], arguments].concat()).await;
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}\n{err}")), err)
}

fn keys(value: &Value) -> HashSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_embedded_planner_makes_a_valid_plan_for_every_shipped_scenario() {
    let (code, report, err) = report(&[EMBEDDED], &["--min-success", "1.0"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{report:#}");
    let scenarios = report["scenarios"].as_array().expect("a list");
    assert!(scenarios.len() >= 40, "{}", scenarios.len());
    for scenario in scenarios {
        assert_eq!((&scenario["valid"], &scenario["error"]), (&json!(true), &Value::Null), "{scenario}");
        assert_eq!((&scenario["engine"], &scenario["fallback"]), (&json!("embedded"), &json!(false)));
    }
    let kinds: Vec<&str> =
        report["kinds"].as_array().expect("a list").iter().filter_map(|kind| kind["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "code",
            "operations",
            "research",
            "data",
            "security",
            "writing",
            "languages",
            "vague",
            "huge",
            "contradictory",
            "adversarial"
        ]
    );
}

#[tokio::test]
async fn the_json_report_has_the_documented_keys() {
    let file = TempFile::new("two.toml", TWO);
    let (code, report, _) = report(&[EMBEDDED], &[&file.path]).await;
    assert_eq!(code, 0);
    let top =
        "version file engine model timeout_seconds min_success max_warnings passed summary kinds scenarios";
    let figures = "scenarios valid success_rate fallbacks latency_p50_ms latency_p95_ms calls calls_per_plan \
                   repairs warnings prompt_tokens completion_tokens cost_usd cost_usd_per_plan expected_arms labelled \
                   constraints";
    let scenario = "name kind valid error broken_promises steps arms labelled constraints repairs warnings attempts prompt_tokens \
                    completion_tokens cost_usd latency_ms engine model fallback";
    for (value, names) in [(&report, top), (&report["summary"], figures), (&report["scenarios"][0], scenario)]
    {
        assert_eq!(keys(value), names.split_whitespace().collect(), "{value:#}");
    }
    assert_eq!(report["summary"]["scenarios"], 2);
    assert_eq!(report["summary"]["cost_usd"], json!(0.0));
    assert_eq!(report["kinds"][1]["kind"], "operations");
    let bug = &report["scenarios"][0];
    assert_eq!(bug["arms"]["missing"], json!(["guardian"]));
    assert_eq!((&bug["constraints"]["total"], &bug["repairs"]["count"]), (&json!(2), &json!(0)));
    assert_eq!(report["summary"]["expected_arms"], json!({"count": 1, "total": 2, "share": 0.5}));
}

#[tokio::test]
async fn the_text_report_shows_what_was_measured() {
    let (file, json_file) = (TempFile::new("two.toml", TWO), TempFile::new("report.json", "old"));
    let (code, out, err) = run(&[EMBEDDED], &["eval", &file.path, "--json", &json_file.path]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    for part in ["bug", "logs", "valid", "1/2", "bug: No step for guardian.", "2 of 2 plans are valid (100%)"]
    {
        assert!(out.contains(part), "{part}\n{out}");
    }
    let written = std::fs::read_to_string(&json_file.path).expect("a file");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["passed"], true);
}

#[tokio::test]
async fn a_bad_model_fails_with_reasons() {
    let file = TempFile::new("two.toml", TWO);
    let llm = FakeLlm::start([Reply::Text("I would rather not.".into())]).await;
    let settings = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str())];
    let (code, out, err) = run(&settings, &["eval", &file.path, "--concurrency", "1"]).await;
    assert_eq!(code, 1);
    assert_eq!(
        err, "planner-arm: 0 of 2 plans are valid (0%), which is below --min-success 0.9\n",
        "one sentence and no log lines"
    );
    for name in ["bug", "logs"] {
        assert!(out.contains(&format!("{name}: The LLM answered, but not with a plan")), "{out}");
    }
    let (code, report, _) = report(&settings, &[&file.path, "--min-success", "0"]).await;
    assert_eq!((code, &report["passed"]), (0, &json!(true)));
    let bug = &report["scenarios"][0];
    assert_eq!((&bug["valid"], &bug["steps"]), (&json!(false), &json!(0)));
    assert_eq!(bug["error"]["code"], "plan_invalid");
    assert_eq!(report["summary"]["calls_per_plan"], Value::Null);
}

#[tokio::test]
async fn a_model_is_measured_with_its_calls_tokens_and_repairs() {
    let file = TempFile::new("two.toml", TWO);
    let mut clamped = good_plan();
    clamped["plan"][0]["estimated_cost_tier"] = json!(9);
    let llm = FakeLlm::start([Reply::plan(&clamped)]).await;
    let (code, report, _) =
        report(&[("PLANNER_LLM_BASE_URL", &llm.base_url), ("PLANNER_CRITICS", "off")], &[&file.path]).await;
    assert_eq!(code, 0);
    assert_eq!((&report["engine"], &report["model"]), (&json!("openai"), &json!("gpt-3.5-turbo")));
    let summary = &report["summary"];
    assert_eq!((&summary["calls"], &summary["calls_per_plan"]), (&json!(2), &json!(1.0)));
    assert_eq!((&summary["prompt_tokens"], &summary["completion_tokens"]), (&json!(840), &json!(1020)));
    assert_eq!((&summary["repairs"], &summary["fallbacks"]), (&json!(2), &json!(0)));
    assert_eq!((&summary["cost_usd"], &summary["cost_usd_per_plan"]), (&json!(0.001_95), &json!(0.000_975)));
    assert_eq!(report["kinds"][0]["cost_usd"], json!(0.000_975));
    assert_eq!(report["scenarios"][0]["cost_usd"], json!(0.000_975));
    assert_eq!(report["scenarios"][1]["repairs"], json!({"count": 1, "codes": ["clamped"]}));
    assert_eq!(
        report["scenarios"][0]["constraints"],
        json!({"total": 2, "covered": 1, "uncovered": ["Use Python only"]})
    );
}

#[tokio::test]
async fn more_warnings_than_allowed_fail() {
    let file = TempFile::new("two.toml", TWO);
    let mut vague = good_plan();
    for step in vague["plan"].as_array_mut().expect("steps") {
        step["acceptance_criteria"] = json!(["It works"]);
    }
    let llm = FakeLlm::start([Reply::plan(&vague)]).await;
    let settings = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_CRITICS", "warn")];
    let (_, found, _) = report(&settings, &[&file.path]).await;
    let all = found["summary"]["warnings"].as_u64().expect("a number");
    assert!(all >= 2, "{found}");
    for (most, expected) in [(all, 0), (all - 1, 1)] {
        let most = most.to_string();
        let (code, _, err) = run(&settings, &["eval", &file.path, "--max-warnings", &most]).await;
        assert_eq!(code, expected, "{err}");
        let message = format!("the plans have {all} warnings, which is above --max-warnings {most}");
        assert_eq!(err.contains(&message), expected == 1, "{err}");
    }
}

#[tokio::test]
async fn plans_of_the_fallback_engine_are_shown_but_not_counted() {
    let file = TempFile::new("two.toml", TWO);
    let llm = FakeLlm::start([Reply::status(401)]).await;
    let settings = [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_FALLBACK_ENGINE", "embedded")];
    let (code, out, err) = run(&settings, &["eval", &file.path]).await;
    assert_eq!(code, 1);
    assert!(err.contains("0 of 2 plans are valid"), "{err}");
    assert!(out.contains("logs: A fallback answered: the embedded planner."), "{out}");
    assert!(out.contains("(gpt-3.5-turbo), 2 answered by a fallback"), "{out}");
}

#[tokio::test]
async fn a_file_can_bring_its_own_arms() {
    let file = TempFile::new(
        "ours.toml",
        r#"
        [[scenario]]
        name = "manual"
        kind = "ours"
        goal = "Translate the manual into Dutch"
        arms = ["translator"]
        [[arms]]
        id = "translator"
        keywords = ["translate"]
        [[arms]]
        id = "editor"
        capabilities = ["validation"]
        "#,
    );
    let (code, report, err) = report(&[EMBEDDED], &[&file.path]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let arms = &report["scenarios"][0]["arms"];
    assert_eq!(arms["missing"], json!([]));
    for used in arms["used"].as_array().expect("a list") {
        assert!(used == "translator" || used == "editor", "{arms}");
    }
}

#[tokio::test]
async fn the_file_in_the_readme_runs() {
    let mut blocks = blocks().into_iter();
    let example = blocks.find(|(language, text)| *language == "toml" && text.contains("[[scenario]]"));
    let file = TempFile::new("scenarios.toml", example.expect("an example").1);
    let (code, report, err) = report(&[EMBEDDED], &[&file.path]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(report["scenarios"][0]["arms"]["missing"], json!([]));
}

#[tokio::test]
async fn every_fault_of_a_file_is_reported_and_nothing_runs() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let file = TempFile::new(
        "bad.toml",
        "[[scenario]]\nname = \"a\"\nkind = \"k\"\ngoal = \" \"\narms = [\"root\"]\n[[scenario]]\nnom = \"b\"\n",
    );
    let json_file = TempFile::new("report.json", "old");
    let arguments = ["eval", &file.path, "--json", &json_file.path];
    let (code, out, err) = run(&[("PLANNER_LLM_BASE_URL", &llm.base_url)], &arguments).await;
    assert_eq!((code, out.as_str()), (1, ""));
    for said in [
        "bad.toml\" is invalid; nothing was run:",
        "- scenario \"a\": goal must be 1 to 10,000 characters long and not blank",
        "- scenario \"a\": arms names `root`, which is not one of planner",
        "- scenario 2: unknown field `nom`",
        "- scenario 2: name is missing or blank",
        "- scenario 2: kind is missing or blank",
    ] {
        assert!(err.contains(said), "{said}\n{err}");
    }
    assert!(llm.bodies().is_empty());
    assert_eq!(std::fs::read_to_string(&json_file.path).expect("a file"), "old");
}

#[tokio::test]
async fn invalid_arguments_and_files_are_reported_first() {
    for share in ["NaN", "inf", "-0.1", "1.1", "most"] {
        let (code, _, err) = run(&[], &["eval", &format!("--min-success={share}")]).await;
        assert_eq!(code, 2, "{share}");
        assert!(err.contains("must be a number from 0.0 to 1.0"), "{err}");
    }
    assert_eq!(run(&[], &["eval", "--concurrency", "0"]).await.0, 2);
    for (arguments, said) in [
        (&["eval", "/nowhere.toml"][..], "cannot read the scenario file \"/nowhere.toml\""),
        (&["eval", "--json", "/nowhere/report.json"], "cannot write the file \"/nowhere/report.json\""),
    ] {
        let (code, out, err) = run(&[EMBEDDED], arguments).await;
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains(said), "{err}");
    }
}

#[tokio::test]
async fn plans_are_compared_with_labelled_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/labelled-plans.toml");
    let (code, found, err) = report(&[EMBEDDED], &[path]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let labelled = found["scenarios"].as_array().expect("scenarios").iter().map(|one| &one["labelled"]);
    let labelled: Vec<&Value> = labelled.collect();
    assert_eq!(labelled.len(), 3);
    assert!(labelled[2].is_null(), "nobody wrote a plan");
    let figure = |one: &Value, name: &str| one[name].as_f64().expect("a figure");
    for name in ["node_f1", "link_f1"] {
        let mean = f64::midpoint(figure(labelled[0], name), figure(labelled[1], name));
        assert!((figure(&found["summary"]["labelled"], name) - mean).abs() < 1e-3, "{name} {found}");
        assert!(labelled[..2].iter().all(|one| figure(one, name) <= 1.0), "{found}");
    }
    assert!(figure(labelled[0], "node_f1") > 0.3, "a coder and a judge are in any plan for this: {found}");

    // A plan that is exactly the labelled one.
    let file = TempFile::new(
        "exact.toml",
        "[[scenario]]\nname = \"a\"\nkind = \"k\"\ngoal = \"Ship it\"\nsteps = [{ arm = \"retriever\" }, \
         { arm = \"coder\", depends_on = [1] }, { arm = \"coder\", depends_on = [1] }, \
         { arm = \"executor\", depends_on = [2, 3] }, { arm = \"judge\", depends_on = [4] }]\n",
    );
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let (_, out, _) = run(&[url], &["eval", &file.path]).await;
    assert!(
        out.contains("Node F1") && out.contains("node F1 1.00, link F1 1.00, averaged over 1 labelled plans"),
        "{out}"
    );
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    // Without labels no column is spent on them.
    let file = TempFile::new("two.toml", TWO);
    let (_, out, _) = run(&[EMBEDDED], &["eval", &file.path]).await;
    assert!(!out.contains("Node"), "{out}");

    let file = TempFile::new(
        "bad.toml",
        "[[scenario]]\nname = \"a\"\nkind = \"k\"\ngoal = \"g\"\nsteps = [{ arm = \"root\", depends_on = [1] }]\n",
    );
    let (code, _, err) = run(&[EMBEDDED], &["eval", &file.path]).await;
    assert_eq!(code, 1);
    for said in [
        "steps[0].arm names `root`, which is not one of planner",
        "steps[0].depends_on must list earlier steps",
    ] {
        assert!(err.contains(said), "{err}");
    }
}
