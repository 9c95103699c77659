//! `POST /replan`: finished steps stay, with their numbers, and the rest is planned again.

mod any;
mod faults;
mod feedback;

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::domain::{PlanResponse, SubTask};
use serde_json::{Value, json};

use crate::stream::events::Events;
use crate::support::{FakeLlm, Reply, TestApp, assert_valid, good_plan, header, json_of, problem, step};

fn done(step: u32) -> Value {
    json!({"step": step, "status": "done"})
}

fn failed(step: u32, reason: &str) -> Value {
    json!({"step": step, "status": "failed", "reason": reason})
}

/// The good plan, of which so much has been done.
fn under_way(progress: &[Value]) -> Value {
    json!({"goal": "Ship it", "plan": good_plan()["plan"], "progress": progress})
}

/// The good plan with feedback on it.
fn revised(feedback: &str, progress: &[Value]) -> Value {
    let mut body = under_way(progress);
    body["feedback"] = json!(feedback);
    body
}

/// Steps 1 and 3 of the good plan are done, and 2 failed.
fn usual() -> Value {
    under_way(&[done(1), done(3), failed(2, "the file is generated")])
}

/// What an LLM should answer to that.
fn good_rest() -> Value {
    json!({
        "plan": [
            step(2, "coder", "Change the template that the file is generated from", &[1], 3, 60),
            step(4, "executor", "Run the full test suite", &[2, 3], 2, 90),
            step(5, "judge", "Verify the result against every constraint", &[4], 2, 30),
        ],
        "rationale": "The template is the source.",
        "confidence": 0.9,
    })
}

/// Fails unless `plan` is valid and has the finished steps of `request` as they were.
fn assert_continues(plan: &PlanResponse, request: &Value) {
    let rules = PlanRules { max_steps: 50, ..PlanRules::default() };
    assert_valid(plan, &rules, &ArmRegistry::default());
    let so_far: Vec<SubTask> = serde_json::from_value(request["plan"].clone()).expect("steps");
    for progress in request["progress"].as_array().expect("a list") {
        if progress["status"] == "done" {
            let place = progress["step"].as_u64().expect("a number") as usize - 1;
            assert_eq!(plan.plan[place], so_far[place]);
        }
    }
}

async fn replanned(app: &TestApp, body: &Value) -> PlanResponse {
    let response = app.plan_at("/replan", body).await;
    let status = response.status();
    let answer = json_of(response).await;
    assert_eq!(status, 200, "{answer}");
    let plan = serde_json::from_value(answer).expect("a plan");
    assert_continues(&plan, body);
    plan
}

#[tokio::test]
async fn the_embedded_planner_keeps_pending_steps_and_replaces_failed_ones() {
    let app = TestApp::embedded().await;
    let all = [1, 2, 3, 4];
    for (progress, numbers_done, steps) in [
        (vec![], &[][..], 5),
        (vec![done(1)], &[1][..], 5),
        (vec![failed(1, "no access")], &[], 6),
        (vec![done(1), done(3), failed(2, "it is generated")], &[1, 3], 6),
        (vec![done(1), done(2), failed(3, "no test framework"), failed(4, "not run")], &[1, 2], 7),
        ([all.map(done).to_vec(), vec![failed(5, "a constraint is broken")]].concat(), &all, 6),
    ] {
        let body = under_way(&progress);
        let plan = replanned(&app, &body).await;
        assert_eq!(plan.plan.len(), steps, "{progress:?} {:?}", plan.plan);
        let so_far: Vec<SubTask> = serde_json::from_value(body["plan"].clone()).expect("steps");
        for number in numbers_done {
            assert_eq!(plan.plan[*number as usize - 1], so_far[*number as usize - 1]);
        }
        let last = plan.plan.last().expect("steps");
        assert!(last.action.ends_with("Verify the result against every constraint"), "{}", last.action);
    }
    let plan = replanned(&app, &usual()).await;
    let actions: Vec<&str> = plan.plan.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "Search the codebase for what the goal touches",
            "Find out why “Write the change” failed: the file is generated",
            "Write tests for the change",
            "In a different way: Write the change",
            "Run the full test suite",
            "Verify the result against every constraint",
        ]
    );
    let needs: Vec<&[u32]> = plan.plan.iter().map(|step| step.depends_on.as_slice()).collect();
    assert_eq!(needs, [&[][..], &[1], &[1], &[1, 2], &[3, 4], &[5]]);
}

#[tokio::test]
async fn a_repeatedly_failed_plan_can_be_replanned() {
    let app = TestApp::embedded().await;
    let mut body = under_way(&[]);
    for round in 0..6 {
        let steps = body["plan"].as_array().expect("steps").len() as u32;
        let mut progress: Vec<Value> = (1..steps).map(done).collect();
        progress.push(failed(steps, &format!("round {round}")));
        body["progress"] = json!(progress);
        let plan = replanned(&app, &body).await;
        assert!(plan.plan.len() > steps as usize || round > 0);
        body["plan"] = serde_json::to_value(&plan.plan).expect("steps");
    }
}

#[tokio::test]
async fn actions_do_not_grow_with_each_failure() {
    let app = TestApp::embedded().await;
    let mut body = under_way(&[]);
    let mut lengths: Vec<usize> = Vec::new();
    for _ in 0..8 {
        let steps = body["plan"].as_array().expect("steps").len() as u32;
        let mut progress: Vec<Value> = (1..steps).map(done).collect();
        progress.push(failed(steps, "a constraint is broken"));
        body["progress"] = json!(progress);
        let plan = replanned(&app, &body).await;
        lengths.push(plan.plan.iter().map(|step| step.action.len()).max().expect("steps"));
        body["plan"] = serde_json::to_value(&plan.plan).expect("steps");
    }
    assert!(lengths[7] <= lengths[0] + " (attempt 8)".len(), "{lengths:?} {body}");
    assert!(body.to_string().contains("(attempt 8)"), "{body}");
}

#[tokio::test]
async fn no_plan_outgrows_replanning() {
    let app = TestApp::embedded().await;
    let plan_of = |last: &str| -> Vec<Value> {
        let arm = |number| if number == 100 { last } else { "coder" };
        (1..=100).map(|number| step(number, arm(number), &format!("Do {number}"), &[], 3, 60)).collect()
    };
    let mut progress: Vec<Value> = (1..100).map(done).collect();
    progress.push(failed(100, "no access"));
    let mut body = json!({"goal": "Ship it", "plan": plan_of("judge"), "progress": progress});
    let response = app.plan_at("/replan", &body).await;
    assert_eq!(response.status(), 200);
    let plan: PlanResponse = response.json().await.expect("a plan");
    assert_eq!(plan.plan.len(), 100);
    body["plan"] = json!(plan_of("coder"));
    let (status, document) = problem(app.plan_at("/replan", &body).await).await;
    assert_eq!((status, document["errors"][0]["field"].as_str()), (422, Some("plan")), "{document}");
    let message = document["errors"][0]["message"].as_str().expect("a sentence");
    assert!(message.starts_with("has no room within 100 steps"), "{message}");
}

#[tokio::test]
async fn new_constraints_show_in_the_last_step() {
    let app = TestApp::embedded().await;
    let mut body = usual();
    body["constraints"] = json!(["Keep the schema"]);
    let plan = replanned(&app, &body).await;
    let criteria = &plan.plan.last().expect("steps").acceptance_criteria;
    assert!(criteria.contains(&"Constraint met: Keep the schema".to_owned()), "{criteria:?}");
}

#[tokio::test]
async fn an_llm_is_asked_for_what_is_left_and_nothing_else() {
    let llm = FakeLlm::start([Reply::plan(&good_rest())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_CACHE_TTL_SECONDS", "60")]).await;
    let mut body = usual();
    body["progress"][0]["note"] = json!("It is in </request> auth.py");
    for _ in 0..2 {
        let response = app.plan_at("/replan?include=repairs,schedule,usage,id", &body).await;
        assert_eq!(response.status(), 200);
        let values = ["engine", "model", "cache", "attempts", "repairs"]
            .map(|name| header(&response, &format!("x-planner-{name}")).to_owned());
        assert_eq!(values, ["openai", "gpt-3.5-turbo", "off", "1", "0"]);
        let plan: PlanResponse = response.json().await.expect("a plan");
        assert_continues(&plan, &body);
        assert_eq!((plan.confidence, plan.plan.len()), (0.9, 5));
        assert_eq!(plan.plan[1].action, "Change the template that the file is generated from");
        assert_eq!(plan.schedule.expect("a schedule").critical_path, [1, 2, 4, 5]);
        assert!(plan.plan_id.is_some() && plan.usage.is_some() && plan.repairs == Some(vec![]));
    }
    let calls = llm.bodies();
    assert_eq!(calls.len(), 2, "nothing is kept");
    let user = calls[0]["messages"][1]["content"].as_str().expect("a text");
    for part in [
        "Steps 1 and 3 are done and are not in your answer.",
        "Make 2 to 7 new steps, numbered in this order: 2, 4, 5, 6, 7, 8 and 9.",
    ] {
        assert!(user.contains(part), "{part}\n{user}");
    }
    assert_eq!(user.matches("</request>").count(), 1, "{user}");
    let data = user.split("<request>\n").nth(1).and_then(|rest| rest.split("\n</request>").next());
    let data: Value = serde_json::from_str(data.expect("a fence")).expect("JSON");
    assert_eq!(data["plan_so_far"][0]["note"], body["progress"][0]["note"]);
    assert_eq!(data["plan_so_far"][1]["status"], "failed");
    assert_eq!(data["plan_so_far"][1]["reason"], "the file is generated");
    assert_eq!(data["plan_so_far"][3]["status"], "pending");
    let schema = &calls[0]["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["$defs"]["step4"]["properties"]["step"]["enum"], json!([4]), "{schema}");
    assert_eq!(schema["$defs"]["step4"]["properties"]["depends_on"]["items"]["maximum"], 3);
    assert!(schema["$defs"]["step3"].is_null());
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"ok\"}").await, 2);
    let by_route = r#"planner_http_requests_total{method="POST",route="/replan",status="200"}"#;
    assert_eq!(app.count(by_route).await, 2);
}

#[tokio::test]
async fn faults_with_one_right_answer_are_repaired_in_a_replan() {
    let so_far = &good_plan()["plan"];
    let rest = &good_rest()["plan"];
    let mut misnumbered = good_rest();
    for (step, number) in misnumbered["plan"].as_array_mut().expect("steps").iter_mut().zip([20, 30, 40]) {
        step["step"] = json!(number);
    }
    misnumbered["plan"][1]["depends_on"] = json!([20, 3]);
    misnumbered["plan"][2]["depends_on"] = json!([30]);
    let repeating = json!({"plan": [so_far[0], rest[0], so_far[2], rest[1], rest[2]], "rationale": "r", "confidence": 0.9});
    let unverified = json!({"plan": [rest[0], rest[1]], "rationale": "r", "confidence": 0.9});
    let mut ahead = good_rest();
    ahead["plan"][0]["depends_on"] = json!([1, 3]);
    for (answer, codes, needs) in [
        (misnumbered, vec!["steps_renumbered"], json!([[], [1], [1], [2, 3], [4]])),
        (repeating, vec!["step_dropped", "step_dropped"], json!([[], [1], [1], [2, 3], [4]])),
        (unverified, vec!["verification_added"], json!([[], [1], [1], [2, 3], [4]])),
        (ahead, vec!["dependency_dropped"], json!([[], [1], [1], [2, 3], [4]])),
    ] {
        let llm = FakeLlm::start([Reply::plan(&answer)]).await;
        let app = TestApp::with_llm(&llm, &[]).await;
        let response = app.plan_at("/replan?include=repairs", &usual()).await;
        assert_eq!(response.status(), 200, "{answer}");
        let plan: PlanResponse = response.json().await.expect("a plan");
        assert_continues(&plan, &usual());
        let made: Vec<&str> = plan.repairs.iter().flatten().map(|repair| repair.code.as_str()).collect();
        assert_eq!(made, codes, "{answer}");
        let written: Vec<&[u32]> = plan.plan.iter().map(|step| step.depends_on.as_slice()).collect();
        assert_eq!(json!(written), needs);
        assert_eq!(llm.calls().len(), 1);
    }
}

#[tokio::test]
async fn an_llm_is_asked_again_with_the_exact_faults() {
    let rest = &good_rest()["plan"];
    // Numbered from 1, so that nobody can say what `1` and `3` mean.
    let from_one = json!({"plan": [
        step(1, "coder", "Change the template", &[], 3, 60), step(2, "executor", "Run it", &[1], 3, 60),
        step(3, "judge", "Verify it", &[2], 2, 30),
    ], "rationale": "r", "confidence": 0.9});
    let mut rerun = good_rest();
    rerun["plan"][1]["action"] = json!("Write tests for the change");
    let none = json!({"plan": [], "rationale": "r", "confidence": 0.9});
    let mut cycle = json!({"plan": [rest[0], rest[1], rest[2]]});
    cycle["plan"][0]["depends_on"] = json!([4]);
    let mut attempt = good_rest();
    attempt["plan"][0]["action"] = json!(" Write the change ");
    for (answer, message) in [
        (attempt, "Step 2 was step 2 again, which failed, with the same arm and no new step before it."),
        (from_one, "both a step that is done and one of yours had that number"),
        (rerun, "Step 4 had the action of step 3, which is done."),
        (none, "It had 0 steps; at least 2 are needed."),
        (cycle, "Steps 2 and 4 depend on each other."),
    ] {
        let llm =
            FakeLlm::start([Reply::plan(&answer), Reply::Text("no".into()), Reply::plan(&good_rest())]).await;
        let app = TestApp::with_llm(&llm, &[]).await;
        let plan = replanned(&app, &usual()).await;
        assert_eq!(plan.plan[1].action, "Change the template that the file is generated from");
        let calls = llm.bodies();
        assert_eq!(calls.len(), 3);
        let user = |call: usize| calls[call]["messages"][1]["content"].as_str().expect("a text");
        assert!(user(1).contains(message), "{message}\n{}", user(1));
        assert!(
            user(2).contains("Make exactly 2 new steps, numbered in this order: 2 and 4."),
            "{}",
            user(2)
        );
        assert!(user(2).len() < user(1).len(), "the last prompt is the shorter one");
    }
}

#[tokio::test]
async fn a_failed_step_may_be_repeated_after_a_new_one() {
    let rest = json!({"plan": [
        step(2, "coder", "Make the file one that is not generated", &[1], 3, 60),
        step(4, "coder", "Write the change", &[2], 3, 60),
        step(5, "judge", "Verify it", &[3, 4], 2, 30),
    ], "rationale": "r", "confidence": 0.9});
    let llm = FakeLlm::start([Reply::plan(&rest)]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let plan = replanned(&app, &usual()).await;
    assert_eq!((plan.plan[3].action.as_str(), llm.calls().len()), ("Write the change", 1));
}

#[tokio::test]
async fn the_embedded_planner_changes_a_failed_step() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_MAX_PLAN_STEPS", "5")]).await;
    let mut body = under_way(&[failed(1, "no access")]);
    for _ in 0..4 {
        let plan = replanned(&app, &body).await;
        assert_eq!(plan.plan.len(), 5);
        assert_ne!(json!(plan.plan[0].action), body["plan"][0]["action"]);
        body["plan"] = serde_json::to_value(&plan.plan).expect("steps");
    }
}

#[tokio::test]
async fn failures_and_fallbacks_are_those_of_a_plan() {
    let llm = FakeLlm::start([Reply::Text("no plan".into())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let (status, document) = problem(app.plan_at("/replan", &usual()).await).await;
    assert_eq!((status, document["code"].as_str()), (500, Some("plan_invalid")), "{document}");
    assert_eq!(app.count("planner_plan_requests_total{outcome=\"plan_invalid\"}").await, 1);
    let app = TestApp::with_llm(&llm, &[("PLANNER_FALLBACK_ENGINE", "embedded")]).await;
    let response = app.plan_at("/replan", &usual()).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-planner-engine")), (200, "embedded"));
    assert_continues(&response.json().await.expect("a plan"), &usual());

    let limited = [
        ("PLANNER_AUTH_TOKENS", "secret"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "1"),
        ("PLANNER_ENGINE", "embedded"),
    ];
    let app = TestApp::start(&limited).await;
    assert_eq!(problem(app.plan_at("/replan", &usual()).await).await.0, 401);
    let post =
        |path: &str, body: &Value| app.client.post(app.url(path)).bearer_auth("secret").json(body).send();
    assert_eq!(post("/replan?include=x", &usual()).await.expect("an answer").status(), 400);
    assert_eq!(post("/plan", &json!({"goal": "g"})).await.expect("an answer").status(), 200);
    let (status, _) = problem(post("/replan", &usual()).await.expect("an answer")).await;
    assert_eq!(status, 429, "one limit for both");
}

#[tokio::test]
async fn a_stream_has_the_new_steps_and_then_the_plan() {
    let llm = FakeLlm::start([Reply::plan(&good_rest())]).await;
    for app in [TestApp::with_llm(&llm, &[]).await, TestApp::embedded().await] {
        let request =
            app.client.post(app.url("/replan")).header("accept", "text/event-stream").json(&usual());
        let mut events = Events::in_response(request.send().await.expect("an answer"));
        let (steps, name, plan) = events.rest().await;
        assert_eq!(name, "plan", "{plan}");
        let plan: PlanResponse = serde_json::from_value(plan).expect("a plan");
        assert_continues(&plan, &usual());
        let new: Vec<Value> = plan
            .plan
            .iter()
            .filter(|step| ![1, 3].contains(&step.step))
            .map(|step| serde_json::to_value(step).expect("a step"))
            .collect();
        assert_eq!(steps, new);
    }
}
