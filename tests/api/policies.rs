//! Policies: what docs/policies.md shows, on every surface, and that no plan that is returned breaks one.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::readme::page;
use crate::support::{FakeLlm, Reply, TempFile, TestApp, good_plan, json_of, settings, step};

/// A settings file with this text.
fn file(text: &str) -> TempFile {
    TempFile::new("planner.yaml", text)
}

async fn app_with(policies: &TempFile, llm: &FakeLlm, more: &[(&str, &str)]) -> TestApp {
    // Other critics are tested elsewhere, and ask for better plans than these.
    let common = [("PLANNER_CONFIG_FILE", policies.path.as_str()), ("PLANNER_CRITICS", "warn")];
    TestApp::with_llm(llm, &[&common[..], more].concat()).await
}

/// A policy that `good_plan()` breaks and `guarded_plan()` keeps.
const GUARDED: &str = "
policies:
  - name: guarded-runs
    require: plan.all(s, s.required_arm != 'executor' || s.ancestors.exists(a, a.required_arm == 'guardian'))
    message: A guardian step must come before any step of the executor
";

fn guarded_plan() -> Value {
    let mut plan = good_plan();
    plan["plan"][0]["required_arm"] = json!("guardian");
    plan
}

/// The plan of these steps as an LLM writes it, with what the example leaves out.
fn whole(steps: &Value) -> Value {
    let steps = steps.as_array().expect("steps").iter().zip(1..).map(|(given, number)| {
        let mut whole = step(number, "", "", &[], 2, 60);
        let fields = given.as_object().expect("a step").clone();
        whole.as_object_mut().expect("a step").extend(fields);
        whole
    });
    json!({ "plan": steps.collect::<Vec<_>>(), "rationale": "As in the example.", "confidence": 0.9 })
}

/// The examples of the page: the settings file, and the request with its plans.
fn examples() -> Vec<(&'static str, Value)> {
    let examples = page("docs/policies.md").split_once("## Examples").expect("examples").1;
    let blocks: Vec<&str> = examples.split("```").skip(1).step_by(2).collect();
    let text = |block: &'static str, language| block.strip_prefix(language).expect("the language");
    let pairs = blocks.chunks_exact(2);
    pairs
        .map(|pair| (text(pair[0], "yaml\n"), serde_json::from_str(text(pair[1], "json\n")).expect("JSON")))
        .collect()
}

#[tokio::test]
async fn each_example_of_the_documentation_is_kept_and_broken_by_the_plans_shown() {
    let examples = examples();
    assert_eq!(examples.len(), 10);
    for (policies, example) in examples {
        let settings_file = file(policies);
        let (keeps, breaks) = (whole(&example["keeps"]), whole(&example["breaks"]));
        let llm = FakeLlm::start([Reply::plan(&keeps)]).await;
        let app = app_with(&settings_file, &llm, &[]).await;
        let response = app.plan_at("/plan?include=warnings", &example["request"]).await;
        assert_eq!(response.status(), 200, "{policies}");
        let plan = json_of(response).await;
        assert_eq!((llm.number_of_calls(), codes(&plan["warnings"])), (1, vec![]), "{policies}\n{plan}");

        let llm = FakeLlm::start([Reply::plan(&breaks)]).await;
        let app = app_with(&settings_file, &llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
        let response = app.plan_at("/plan?include=warnings", &example["request"]).await;
        let (status, answer) = (response.status().as_u16(), json_of(response).await);
        let message =
            policies.split_once("message: ").and_then(|(_, rest)| rest.lines().next()).expect("a message");
        if policies.contains("severity: warning") {
            assert_eq!((status, codes(&answer["warnings"])), (200, vec!["policy"]), "{answer}");
            assert!(answer["warnings"].to_string().contains(message), "{answer}");
        } else {
            assert_eq!((status, &answer["code"]), (500, &json!("plan_invalid")), "{policies}\n{answer}");
            assert!(answer["errors"].to_string().contains(message), "{answer}");
        }
    }
}

/// The codes of warnings that policies cause; other critics are tested elsewhere.
fn codes(warnings: &Value) -> Vec<&str> {
    let codes = warnings.as_array().into_iter().flatten().filter_map(|warning| warning["code"].as_str());
    codes.filter(|code| *code == "policy").collect()
}

#[tokio::test]
async fn the_llm_is_told_the_rules_at_first_and_again_when_it_breaks_one() {
    let policies = file(GUARDED);
    let llm = FakeLlm::start([Reply::plan(&good_plan()), Reply::plan(&guarded_plan())]).await;
    let app = app_with(&policies, &llm, &[]).await;
    let response = app.plan(&json!({ "goal": "Change the login" })).await;
    assert_eq!(response.status(), 200);
    let asked: Vec<String> = llm.bodies().iter().map(|body| body["messages"].to_string()).collect();
    let rule = "A guardian step must come before any step of the executor";
    assert_eq!(asked.iter().map(|text| text.matches(rule).count()).collect::<Vec<_>>(), [1, 2]);
    assert!(asked[1].contains("Step 4"), "{}", asked[1]);
    assert_eq!(app.count(r#"planner_reasks_total{reason="policy"}"#).await, 1);
}

#[tokio::test]
async fn validation_names_the_policy_and_the_step() {
    let policies = file(GUARDED);
    let variables = [("PLANNER_ENGINE", "embedded"), ("PLANNER_CONFIG_FILE", policies.path.as_str())];
    let app = TestApp::start(&variables).await;
    let response = app.plan_at("/validate", &good_plan()).await;
    assert_eq!(response.status(), 422);
    let problem = json_of(response).await;
    let message =
        "the policy `guarded-runs` does not hold: A guardian step must come before any step of the executor";
    assert_eq!(problem["errors"], json!([{ "field": "plan[3]", "message": message }]));
    assert_eq!(app.plan_at("/validate", &guarded_plan()).await.status(), 200);
}

#[tokio::test]
async fn the_detail_says_a_policy_once_and_names_the_steps_that_break_it() {
    let policies = file(
        "policies: [{name: p, require: 'plan.all(s, s.step == 2)', message: Only step 2}, {name: q, require: 'plan.all(s, s.step != 1)', message: No step 1}]",
    );
    let variables = [("PLANNER_ENGINE", "embedded"), ("PLANNER_CONFIG_FILE", policies.path.as_str())];
    let app = TestApp::start(&variables).await;
    let response = app.plan_at("/validate", &good_plan()).await;
    assert_eq!(response.status(), 422);
    let problem = json_of(response).await;
    let expected = "The request is invalid: plan[0], plan[2], plan[3], plan[4]: the policy `p` does not hold: Only step 2; plan[0] the policy `q` does not hold: No step 1.";
    assert_eq!(problem["detail"], expected);
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(5));
    let (_, problem) = app.refused(&json!({ "goal": "Fix the login and add tests" })).await;
    let detail = problem["detail"].as_str().expect("a detail");
    assert_eq!(
        (detail.matches("Only step 2").count(), detail.matches("No step 1").count()),
        (1, 1),
        "{detail}"
    );
}

#[tokio::test]
async fn policies_hold_for_replans_and_for_the_embedded_planner() {
    let never = file("policies: [{name: never, require: 'false', message: Nothing may be planned}]");
    let variables = [("PLANNER_ENGINE", "embedded"), ("PLANNER_CONFIG_FILE", never.path.as_str())];
    let app = TestApp::start(&variables).await;
    let (status, problem) = app.refused(&json!({ "goal": "Fix the login and add tests" })).await;
    assert_eq!((status, &problem["code"]), (500, &json!("plan_invalid")));
    let replan = json!({
        "goal": "Fix the login", "plan": good_plan()["plan"],
        "progress": [{ "step": 1, "status": "done" }, { "step": 2, "status": "failed", "reason": "it broke" }],
    });
    let response = app.plan_at("/replan", &replan).await;
    assert_eq!(response.status(), 500);
    assert!(json_of(response).await["errors"].to_string().contains("Nothing may be planned"));
}

/// What the LLM may still plan for `good_plan()`, steps 1 to 4 of which are `progress`, is known before it is asked.
#[tokio::test]
async fn a_finished_step_that_breaks_a_policy_is_reported_before_any_call() {
    let rest = json!({ "plan": [step(5, "judge", "Test and verify the result", &[4], 2, 30)], "rationale": "r", "confidence": 0.9 });
    let statuses = |fourth: &str| {
        let progress = |number| json!({ "step": number, "status": if number == 4 { fourth } else { "done" }, "reason": "it broke" });
        json!({ "goal": "Ship it", "plan": good_plan()["plan"], "progress": Value::from([1, 2, 3, 4].map(progress).to_vec()) })
    };
    let of_executor = |severity: &str, when: &str, require: &str| {
        format!(
            "policies: [{{name: p, severity: {severity}, when: {when:?}, require: {require:?}, message: No executor}}]"
        )
    };
    let each = "plan.all(s, s.required_arm != 'executor')";
    for (policy, fourth, is_refused) in [
        (of_executor("error", "true", each), "done", true),
        (of_executor("error", "goal.contains('Ship') && !has(context.x)", each), "done", true),
        (of_executor("error", "true", "plan.all(plan, plan.ancestors.size() < 2)"), "done", true),
        // Not this plan's, a warning, or something that the rest of the plan may repair.
        (of_executor("error", "goal.contains('other')", each), "done", false),
        (of_executor("warning", "true", each), "done", false),
        (of_executor("error", "true", each), "failed", false),
        (of_executor("error", "plan.size() > 7", each), "done", false),
        (
            of_executor(
                "error",
                "true",
                "plan.all(s, s.required_arm != 'executor' || plan.exists(t, s in t.ancestors))",
            ),
            "done",
            false,
        ),
    ] {
        let llm = FakeLlm::start([Reply::plan(&rest)]).await;
        let app = app_with(&file(&policy), &llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
        let response = app.plan_at("/replan", &statuses(fourth)).await;
        let (status, answer) = (response.status().as_u16(), json_of(response).await);
        assert_eq!(
            (status == 422, llm.number_of_calls() == 0),
            (is_refused, is_refused),
            "{policy}\n{answer}"
        );
        if is_refused {
            let message = "is done, and because of it the policy `p` does not hold: No executor; report the step as failed so that it is planned again, or change the policy";
            assert_eq!(answer["errors"], json!([{ "field": "plan[3]", "message": message }]), "{policy}");
        }
    }
}

#[tokio::test]
async fn plans_of_other_policies_are_not_taken_from_the_cache() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let described = |text: &str| {
        let policies = file(text);
        let variables = [llm.settings(), vec![("PLANNER_CONFIG_FILE", policies.path.as_str())]].concat();
        let settings = settings(&variables).expect("settings");
        planner_arm::service::PlannerService::from_settings(&settings)
            .expect("a service")
            .planner
            .cache_scope()
    };
    assert_ne!(described(GUARDED), described(&GUARDED.replace("guarded-runs", "other")));
    assert_eq!(described(GUARDED), described(GUARDED));
}

#[test]
fn an_invalid_policy_is_reported_with_all_other_invalid_settings() {
    let policies = file(
        "policies:\n  - {name: a, require: plan.all(s s.x), message: m}\n  - {name: a, require: goals == '', message: m}\n",
    );
    let variables = [("PLANNER_CONFIG_FILE", policies.path.as_str()), ("PLANNER_PORT", "x")];
    let faults = settings(&variables).expect_err("faults").0;
    for part in [
        "the setting `policies` is invalid: policies[0].require (`a`): line 1, column 12: ",
        "the setting `policies` is invalid: policies[1].name (`a`): is listed twice",
        "the setting `policies` is invalid: policies[1].require (`a`): line 1, column 1: unknown variable `goals`",
        "PLANNER_PORT is \"x\"",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(part)), "{part}: {faults:#?}");
    }
    let faults =
        settings(&[("PLANNER_CONFIG_FILE", &file("policies: [{name: a}]").path)]).expect_err("faults").0;
    assert!(faults[0].contains("each policy has name, require and message"), "{faults:?}");
}

/// Policies of which random plans break some.
const SOME: &str = "
policies:
  - {name: no-executor, require: \"plan.all(s, s.required_arm != 'executor')\", message: No executor}
  - {name: cheap, require: \"plan.all(s, s.estimated_cost_tier <= 3)\", message: At most tier 3}
  - {name: short, require: schedule.critical_path_seconds < 200, message: At most 200 seconds}
  - {name: chained, require: \"plan.all(s, s.step == 1 || s.ancestors.size() > 0)\", message: All wait for something}
  - {name: never-fails, require: context.n > 0, message: Only with a number, when: goal == 'strict'}
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_that_is_returned_breaks_a_policy_of_severity_error(
        steps in proptest::collection::vec((0..3usize, 1..6i64, 1..120i64, proptest::bool::ANY), 2..6),
        is_strict in proptest::bool::ANY,
    ) {
        let arms = ["coder", "executor", "retriever"];
        let written: Vec<Value> = (1..).zip(&steps).map(|(number, (arm, tier, seconds, waits))| {
            let needs: Vec<i64> = if *waits && number > 1 { vec![number - 1] } else { Vec::new() };
            step(number, arms[*arm], &format!("Do part {number}"), &needs, *tier, *seconds)
        }).chain([step(steps.len() as i64 + 1, "judge", "Verify it", &(1..=steps.len() as i64).collect::<Vec<_>>(), 1, 10)]).collect();
        let plan = json!({ "plan": written, "rationale": "r", "confidence": 0.9 });
        let goal = if is_strict { "strict" } else { "lenient" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (status, answer) = runtime.block_on(async {
            let policies = file(SOME);
            let llm = FakeLlm::start([Reply::plan(&plan)]).await;
            let app = app_with(&policies, &llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
            let response = app.plan_at("/plan?include=schedule", &json!({ "goal": goal })).await;
            (response.status().as_u16(), json_of(response).await)
        });
        // What the policies say, told without CEL, of the plan that came or of the one that the LLM wrote.
        let is_kept = |steps: &[Value], path: i64| {
            !is_strict
                && path < 200
                && steps.iter().all(|step| {
                    step["required_arm"] != "executor" && step["estimated_cost_tier"].as_i64() <= Some(3)
                })
                && steps.iter().skip(1).all(|step| step["depends_on"].as_array().is_some_and(|needs| !needs.is_empty()))
        };
        if status == 200 {
            let path = answer["schedule"]["critical_path_seconds"].as_i64().expect("a duration");
            prop_assert!(is_kept(answer["plan"].as_array().expect("steps"), path), "{}", answer);
        } else {
            prop_assert_eq!((status, answer["code"].as_str()), (500, Some("plan_invalid")), "{}", answer);
            let path = critical_path(&written);
            prop_assert!(!is_kept(&written, path), "{}", answer);
        }
    }
}

/// The duration of the longest chain of dependencies.
fn critical_path(steps: &[Value]) -> i64 {
    let mut ends: Vec<i64> = Vec::new();
    for step in steps {
        let needs = step["depends_on"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let start = needs.map(|needed| ends[needed as usize - 1]).max().unwrap_or(0);
        ends.push(start + step["estimated_duration_seconds"].as_i64().expect("seconds"));
    }
    ends.into_iter().max().unwrap_or(0)
}
