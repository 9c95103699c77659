//! Requests to `/replan` that are refused.

use serde_json::{Value, json};

use super::{done, failed, revised, under_way};
use crate::support::{TestApp, good_plan, problem};

/// Posts `body` to `/replan`, which must be refused with these faults.
async fn assert_refused(app: &TestApp, body: &Value, faults: &[(&str, &str)]) {
    let (status, document) = problem(app.plan_at("/replan", body).await).await;
    assert_eq!((status, document["code"].as_str()), (422, Some("invalid_request")), "{document}");
    let errors = document["errors"].as_array().expect("faults").iter();
    let named: Vec<(&str, &str)> =
        errors.filter_map(|error| Some((error["field"].as_str()?, error["message"].as_str()?))).collect();
    assert_eq!(named, faults, "{body}");
}

#[tokio::test]
async fn all_faults_of_progress_and_feedback_are_reported_together() {
    let app = TestApp::embedded().await;
    let long = "x".repeat(2_001);
    for (body, faults) in [
        (
            json!({}),
            vec![
                ("goal", "is required"),
                ("plan", "is required"),
                ("progress", "is required, unless there is feedback"),
            ],
        ),
        (
            json!({"goal": "g", "plan": [], "progress": []}),
            vec![("plan", "must not be empty; use POST /plan to make a new plan")],
        ),
        (
            under_way(&[done(6), done(1), done(1), json!({"step": 2, "status": "failed"})]),
            vec![
                ("progress[0].step", "must be the number of a step of the plan, 1 to 5"),
                ("progress[2].step", "names step 1 again; name each step once"),
                ("progress[3].reason", "is required for a failed step; say why it failed"),
            ],
        ),
        (
            under_way(&[json!({"step": 2, "status": "failed", "reason": 5})]),
            vec![("progress[0].reason", "must be a string, not a number")],
        ),
        (
            under_way(&[done(1), done(4), failed(2, &long)]),
            vec![
                ("progress[1].status", "is done, but step 4 depends on step 2, which is not"),
                ("progress[2].reason", "must be at most 2,000 characters long"),
            ],
        ),
        (
            json!({"goal": "g", "plan": good_plan()["plan"], "feedback": 5}),
            vec![("feedback", "must be a string, not a number")],
        ),
        (revised(" ... ", &[]), vec![("feedback", "must be 1 to 2,000 characters long and not blank")]),
        (
            revised(&long, &[failed(2, " ")]),
            vec![
                ("feedback", "must be 1 to 2,000 characters long and not blank"),
                ("progress[0].reason", "is required for a failed step; say why it failed"),
            ],
        ),
        (
            under_way(&[1, 2, 3, 4, 5].map(done)),
            vec![("progress", "says that every step is done; nothing is left to plan")],
        ),
    ] {
        assert_refused(&app, &body, &faults).await;
    }
}

#[tokio::test]
async fn all_faults_of_the_plan_are_reported_together() {
    let app = TestApp::embedded().await;
    let mut odd = under_way(&[json!(7), json!({"step": "one", "status": "lost"})]);
    odd["goal"] = json!(" ");
    odd["plan"][1]["depends_on"] = json!([2]);
    odd["plan"][2]["action"] = json!("Write the change");
    odd["plan"][3]["step"] = json!(9);
    odd["plan"][4]["acceptance_criteria"] = json!([]);
    let mut large = under_way(&[failed(5, &"x".repeat(1_000))]);
    large["plan"][0]["action"] = json!("x".repeat(64 * 1024 - 1_500));
    let mut unknown_arm = under_way(&[done(1)]);
    unknown_arm["plan"][0]["required_arm"] = json!("smith");
    unknown_arm["plan"][1]["required_arm"] = json!("smith");
    for (body, faults) in [
        (
            large,
            vec![(
                "plan",
                "must be at most 64 KiB as compact JSON, together with progress; shorten the notes",
            )],
        ),
        (
            unknown_arm,
            vec![(
                "plan[0].required_arm",
                "is not an arm of this installation; a step that is done must keep its arm, so its arm must exist",
            )],
        ),
        (
            odd,
            vec![
                ("goal", "must be 1 to 10,000 characters long and not blank"),
                ("plan[1].depends_on", "must list earlier steps, in ascending order and each once"),
                ("plan[2].action", "is the same as that of step 2; say what is different"),
                ("plan[3].step", "must be 4: steps are numbered from 1 in the order in which they run"),
                ("plan[4].acceptance_criteria", "must have at least one entry and no blank ones"),
                ("progress[0]", "must be an object, not a number"),
                ("progress[1].status", "must be one of done, failed, pending"),
                ("progress[1].step", "must be a whole number, not a string"),
            ],
        ),
    ] {
        assert_refused(&app, &body, &faults).await;
    }
}

#[tokio::test]
async fn a_fault_names_its_path_down_to_the_entry() {
    let app = TestApp::embedded().await;
    let mut body = under_way(&[]);
    body["plan"][2]["depends_on"] = json!(["one", 1.5, 0, 1.0]);
    body["plan"][3]["estimated_cost_tier"] = json!(300);
    body["plan"][3]["estimated_duration_seconds"] = json!(31_536_001);
    body["plan"][4] = json!({"step": 5.0, "action": null, "depends_on": null});
    body["progress"] = json!("none");
    let (_, document) = problem(app.plan_at("/replan", &body).await).await;
    let named: Vec<(String, String)> = document["errors"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|error| (error["field"].to_string(), error["message"].to_string()))
        .collect();
    let expected = [
        ("plan[2].depends_on[0]", "must be a whole number, not a string"),
        ("plan[2].depends_on[1]", "must be a whole number"),
        ("plan[2].depends_on[2]", "must be a whole number above 0"),
        ("plan[3].estimated_cost_tier", "must be a whole number from 1 to 5"),
        ("plan[3].estimated_duration_seconds", "must be a whole number from 1 to 31,536,000"),
        ("plan[4].acceptance_criteria", "must have at least one entry and no blank ones"),
        ("plan[4].action", "is required"),
        ("plan[4].estimated_cost_tier", "is required"),
        ("plan[4].estimated_duration_seconds", "is required"),
        ("plan[4].required_arm", "is required"),
        ("progress", "must be an array of objects, not a string"),
    ];
    let expected = expected.map(|(field, message)| (format!("\"{field}\""), format!("\"{message}\"")));
    assert_eq!(named, expected);
}

#[tokio::test]
async fn lists_without_end_are_refused_in_a_moment() {
    let app = TestApp::embedded().await;
    let body = json!({"goal": 1, "plan": vec![json!({}); 200_000], "progress": vec![json!(1); 101]});
    let (_, document) = problem(app.plan_at("/replan", &body).await).await;
    let fields: Vec<&str> =
        document["errors"].as_array().expect("faults").iter().filter_map(|e| e["field"].as_str()).collect();
    assert_eq!(fields, ["goal", "plan", "progress"], "{document}");
}
