//! Plans carried to their end on the command line: `plan`, `validate`, `replan`, and their exports.

use planner_arm::domain::PlanResponse;
use serde_json::{Value, json};

use crate::cli::{EMBEDDED, run, run_with_input};
use crate::support::{FakeLlm, Reply, TempFile, assert_valid_by_default, good_plan};

/// A valid plan as `plan --format json` prints it.
async fn saved_plan() -> Value {
    let (code, out, err) = run(&[EMBEDDED], &["plan", "Fix the login bug", "-f", "json"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    serde_json::from_str(&out).expect("JSON")
}

fn file_of(plan: &Value) -> TempFile {
    TempFile::new("plan.json", &plan.to_string())
}

async fn json_from(arguments: &[&str]) -> Value {
    let (code, out, err) = run(&[EMBEDDED], &[arguments, &["-f", "json"]].concat()).await;
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&out).expect("JSON")
}

#[tokio::test]
async fn a_person_plans_edits_validates_replans_and_exports() {
    let mut plan = saved_plan().await;
    let steps = plan["plan"].as_array().expect("steps").len();
    assert!(steps >= 4, "{plan}");
    // Edited by hand: another action, an arm in other letters, more time.
    plan["plan"][2]["action"] = json!("Fix the check of the session's age");
    plan["plan"][2]["required_arm"] = json!("Coder Agent");
    plan["plan"][2]["estimated_duration_seconds"] = json!(7_200);
    let edited = file_of(&plan);

    let valid = json_from(&["validate", &edited.path]).await;
    assert_eq!(valid["plan"][2]["required_arm"], "coder");
    let repairs: Vec<&str> =
        valid["repairs"].as_array().expect("repairs").iter().filter_map(|r| r["code"].as_str()).collect();
    assert_eq!(repairs, ["arm_mapped"]);
    assert!(valid["schedule"]["critical_path_seconds"].as_u64() >= Some(7_200), "{valid}");
    let (code, out, _) = run(&[EMBEDDED], &["validate", &edited.path]).await;
    assert_eq!(code, 0);
    assert!(out.contains("Repaired: step 3: ") && out.contains("Coder Agent"), "{out}");

    let checked = file_of(&valid);
    let revised = json_from(&[
        "replan",
        &checked.path,
        "--goal",
        "Fix the login bug",
        "--done",
        "1,2",
        "--failed",
        "3=the file is generated",
    ])
    .await;
    let whole: PlanResponse = serde_json::from_value(revised.clone()).expect("a plan");
    assert_eq!([&revised["plan"][0], &revised["plan"][1]], [&valid["plan"][0], &valid["plan"][1]]);
    assert_eq!(
        whole.plan[2].action,
        "Find out why “Fix the check of the session's age” failed: the file is generated"
    );
    assert!(whole.plan.len() > steps, "{revised}");

    let exported = revised.to_string();
    for (format, begins, part) in [
        ("mermaid", "flowchart LR\n    s1[\"1. ", " --> "),
        (
            "markdown",
            &*whole.rationale,
            "- [ ] **3. Find out why “Fix the check of the session's age” failed",
        ),
        ("tree", "", "critical path"),
    ] {
        let (code, out, err) = run_with_input(exported.as_bytes(), &["validate", "-", "-f", format]).await;
        assert_eq!((code, err.as_str()), (0, ""), "{format}");
        assert!(out.starts_with(begins) && out.contains(part), "{format}\n{out}");
    }
}

#[tokio::test]
async fn an_invalid_plan_ends_with_1_and_every_finding() {
    let mut plan = saved_plan().await;
    plan["plan"][0]["depends_on"] = json!([2]);
    plan["plan"][1]["depends_on"] = json!([1]);
    plan["plan"][2]["action"] = json!(" ");
    let file = file_of(&plan);
    let (code, out, err) = run(&[EMBEDDED], &["validate", &file.path]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let mut lines = err.lines();
    assert_eq!(
        lines.next(),
        Some(&*format!("planner-arm: the file \"{}\" is not a valid plan:", file.path)),
        "{err}"
    );
    let named: Vec<&str> =
        lines.filter_map(|line| line.strip_prefix("  - ")?.split_whitespace().next()).collect();
    assert!(named.len() >= 2 && named.contains(&"plan[2].action"), "{err}");
    assert!(named.iter().any(|field| field.ends_with("depends_on")), "{err}");

    let (code, out, _) = run(&[EMBEDDED], &["validate", &file.path, "-f", "json"]).await;
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let fields: Vec<&str> =
        report["errors"].as_array().expect("errors").iter().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!((code, fields), (1, named));

    let (code, _, err) = run_with_input(b"I cannot plan this.", &["validate"]).await;
    assert_eq!(code, 1);
    assert!(err.starts_with("planner-arm: standard input is not a valid plan:\n  - "), "{err}");
    let (code, _, err) = run(&[EMBEDDED], &["validate", "/nowhere.json"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("cannot read the file \"/nowhere.json\""), "{err}");
    let (code, _, err) = run_with_input(&vec![b' '; 1_048_577], &["validate"]).await;
    assert_eq!((code, err.as_str()), (1, "planner-arm: standard input is larger than 1 MiB\n"));
}

#[tokio::test]
async fn a_plan_is_validated_for_the_settings_and_arms_in_force() {
    let file = file_of(&good_plan());
    assert_eq!(run(&[EMBEDDED], &["validate", &file.path]).await.0, 0);
    let settings = TempFile::new("settings.toml", "min_plan_steps = 1\nmax_plan_steps = 2\n");
    let (code, _, err) = run(&[EMBEDDED], &["validate", &file.path, "--config", &settings.path]).await;
    assert_eq!(code, 1);
    assert!(err.contains("plan "), "{err}");
    let arms = TempFile::new("arms.json", r#"["coder", "smith"]"#);
    let (code, _, err) = run(&[EMBEDDED], &["validate", &file.path, "--arms", &arms.path]).await;
    assert_eq!(code, 1);
    assert!(err.contains("arms[1]"), "{err}");
    // No model is called, whatever is configured.
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    assert_eq!(run(&[("PLANNER_LLM_BASE_URL", &llm.base_url)], &["validate", &file.path]).await.0, 0);
    assert_eq!(llm.number_of_calls(), 0);
}

const POLICIES: &str = "
policies:
  - name: guarded-runs
    require: plan.all(s, s.required_arm != 'executor' || s.ancestors.exists(a, a.required_arm == 'guardian'))
    message: A guardian step must come before any step of the executor
  - {name: short, require: schedule.critical_path_seconds < 60, message: At most a minute}
  - {name: cheap, require: \"plan.all(s, s.estimated_cost_tier < 5)\", message: Not so expensive}
";

#[tokio::test]
async fn policies_are_tested_with_a_stored_plan() {
    let policies = TempFile::new("planner.yaml", POLICIES);
    let plan = file_of(&good_plan());
    let arguments = ["validate", &plan.path, "--config", &policies.path];
    let (code, out, err) = run(&[EMBEDDED], &arguments).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let findings: Vec<&str> = err.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert_eq!(
        findings,
        [
            "plan[3] the policy `guarded-runs` does not hold: A guardian step must come before any step of the executor",
            "plan the policy `short` does not hold: At most a minute",
        ]
    );
    let mut kept = good_plan();
    kept["plan"][0]["required_arm"] = json!("guardian");
    for step in kept["plan"].as_array_mut().expect("steps") {
        step["estimated_duration_seconds"] = json!(10);
    }
    let plan = file_of(&kept);
    let (code, out, err) = run(&[EMBEDDED], &["validate", &plan.path, "--config", &policies.path]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("guardian"), "{out}");
}

/// The options of a request are those of `plan`, on every command that takes a plan.
#[tokio::test]
async fn a_plan_in_a_file_is_for_the_request_in_the_options() {
    let plan = file_of(&good_plan());
    for (options, message) in [
        (&["--max-duration", "10"][..], "the critical path takes 200 s; the budget allows 10 s"),
        (&["--max-cost-tier", "2"], "has cost tier 3; the budget allows 2"),
        (&["--max-steps", "3"], "3"),
        (&["--constraint", ""], "constraints[0] must be 1 to 2,000 characters long"),
        (&["--goal", " "], "goal must be 1 to 10,000 characters long and not blank"),
        (&["--context", "[1]"], "--context must be a JSON object, not an array"),
    ] {
        let (code, out, err) = run(&[EMBEDDED], &[&["validate", &plan.path], options].concat()).await;
        assert_eq!((code, out.as_str()), (1, ""), "{options:?}");
        assert!(err.contains(message), "{message}\n{err}");
    }
    // The list of steps alone is a plan, too.
    let steps = good_plan()["plan"].to_string();
    let arguments =
        ["validate", "-", "--goal", "Ship it", "--constraint", "Complete in <1 minute", "-f", "json"];
    let (code, out, err) = run_with_input(steps.as_bytes(), &arguments).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let valid: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(valid["warnings"][0]["code"], "time_limit", "{valid}");

    // Each limit counts by itself, and counts more than that of the file.
    let mut request = json!({ "goal": "Ship it", "plan": good_plan()["plan"], "budget": {"max_cost_tier": 1, "max_steps": 9} });
    let (code, _, err) =
        run(&[EMBEDDED], &["validate", &file_of(&request).path, "--max-cost-tier", "5"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    request["progress"] = json!([{ "step": 1, "status": "done" }]);
    let file = file_of(&request);
    let plan = json_from(&["replan", &file.path, "--max-cost-tier", "3", "--max-duration", "100"]).await;
    let whole: PlanResponse = serde_json::from_value(plan).expect("a plan");
    assert!(whole.plan.iter().all(|step| step.estimated_cost_tier <= 3) && whole.plan.len() <= 9);
    let (code, _, err) = run(&[EMBEDDED], &["replan", &file.path, "--max-steps", "1"]).await;
    assert_eq!(code, 1);
    assert!(err.contains("budget.max_steps must be at least"), "{err}");
}

#[tokio::test]
async fn a_plan_is_revised_with_feedback_by_a_model() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let file = file_of(&good_plan());
    let arguments = [
        "replan",
        &file.path,
        "--goal",
        "Ship it",
        "--feedback",
        "Cheaper, please",
        "--constraint",
        "Use Go",
    ];
    let (code, out, err) = run(&[url], &arguments).await;
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("by openai (gpt-3.5-turbo)\n930 tokens, $0.000975\n"), "{out}");
    let user = llm.bodies()[0]["messages"][1]["content"].as_str().expect("a text").to_owned();
    for part in ["Cheaper, please", "Use Go", "Write the change"] {
        assert!(user.contains(part), "{part}\n{user}");
    }
}

#[tokio::test]
async fn a_request_in_a_file_is_replanned_and_options_add_to_it() {
    let request = json!({
        "goal": "Ship it", "plan": good_plan()["plan"],
        "progress": [{"step": 1, "status": "done"}, {"step": 2, "status": "pending"}],
    });
    let file = file_of(&request);
    let plan = json_from(&["replan", &file.path]).await;
    assert_eq!(plan["plan"].as_array().map(Vec::len), Some(5));
    let arguments = ["replan", &file.path, "--failed", "2=no access", "--note", "2=ask Ann", "--done", "3"];
    let plan = json_from(&arguments).await;
    assert_eq!(plan["plan"][2], request["plan"][2], "done");
    assert_eq!(plan["plan"][1]["action"], "Find out why “Write the change” failed: no access");
    // The list of steps alone is a plan, too.
    let steps = good_plan()["plan"].to_string();
    let arguments = ["replan", "-", "--goal", "Ship it", "--done", "1", "-f", "json"];
    let (code, out, err) = run_with_input(steps.as_bytes(), &arguments).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[tokio::test]
async fn what_a_replan_needs_is_said() {
    let (plan, broken) = (file_of(&good_plan()), TempFile::new("plan.json", "{\"plan\": [,"));
    for (arguments, message) in [
        (&["replan", &plan.path, "--done", "1"][..], "does not say what the plan is for; add --goal"),
        (
            &["replan", &plan.path, "--goal", "g"],
            "say how the plan went with --done and --failed, or what should change with --feedback",
        ),
        (
            &["replan", &broken.path, "--goal", "g", "--done", "1"],
            "is not valid JSON (expected value at line 1 column 11)",
        ),
        (
            &["replan", &plan.path, "--goal", "g", "--done", "4,9"],
            "cannot be replanned:\n  - progress[0].status is done, but step 4 depends on step 2, which is not\n  - progress[1].step must be the number of a step of the plan, 1 to 5",
        ),
    ] {
        let (code, out, err) = run(&[EMBEDDED], arguments).await;
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert!(err.starts_with("planner-arm: ") && err.contains(message), "{message}\n{err}");
    }
    for wrong in ["3", "x=why", "3= "] {
        let (code, _, err) = run(&[EMBEDDED], &["replan", &plan.path, "--failed", wrong]).await;
        assert_eq!(code, 2);
        assert!(err.contains("it must be the number of a step, `=` and a text"), "{err}");
    }
}

#[tokio::test]
async fn extras_are_included_in_json_as_in_that_of_the_api() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let url = ("PLANNER_LLM_BASE_URL", llm.base_url.as_str());
    let extras = "schedule,usage,repairs,id,warnings,questions";
    let (code, out, err) = run(&[url], &["plan", "Ship it", "-f", "json", "--include", extras]).await;
    assert_eq!(code, 0, "{err}");
    let plan: Value = serde_json::from_str(&out).expect("JSON");
    for key in ["schedule", "usage", "repairs", "plan_id", "warnings", "open_questions"] {
        assert!(!plan[key].is_null(), "{key}\n{plan}");
    }
    assert_eq!(
        (&plan["usage"]["prompt_tokens"], &plan["usage"]["cost_usd"]),
        (&json!(420), &json!(0.000_975))
    );
    let printed: PlanResponse = serde_json::from_value(saved_plan().await).expect("a plan");
    assert_valid_by_default(&printed);
    assert!(printed.usage.is_none(), "nothing more unless it is asked for");
    let (code, _, err) = run(&[url], &["plan", "Ship it", "--include", "usage,costs"]).await;
    assert_eq!(code, 2);
    assert!(
        err.contains("`costs` does not exist; include takes a comma-separated list of schedule, usage"),
        "{err}"
    );
}
