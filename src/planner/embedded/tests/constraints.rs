//! Where constraints go, and what time limits do.

use super::*;

#[test]
fn constraints_become_criteria_of_the_steps_they_concern() {
    let plan = constrained(
        "Write a sorting function and deploy it",
        &["Complete in <2 minutes", "Use Python only", "Do not modify the database schema", "Zürich time"],
    );
    let step_of = |text: &str| -> Vec<&str> {
        let has = |step: &&SubTask| step.acceptance_criteria.iter().any(|c| c.contains(text));
        plan.steps().iter().filter(has).map(|step| step.required_arm.as_str()).collect()
    };
    assert_eq!(step_of("Use Python only"), ["coder"]);
    assert_eq!(step_of("Do not modify"), ["coder", "executor"]);
    assert_eq!(step_of("Complete in <2 minutes"), ["judge"]);
    // Who does the work must know what nobody in particular is told.
    assert_eq!(step_of("Zürich time"), ["coder", "executor"]);
    assert!(
        plan.steps()[3].acceptance_criteria.iter().any(|criterion| criterion.starts_with("Every constraint"))
    );
}

#[test]
fn a_constraint_that_names_no_step_reaches_those_that_do_the_work() {
    for (goal, constraint, arms) in [
        ("Write a sorting function and deploy it", "Use PostgreSQL 15", &["coder", "executor"][..]),
        ("Write a sorting function and deploy it", "Must not use external libraries", &["coder", "executor"]),
        ("Deploy the service", "Only touch files in src/", &["executor"]),
        ("Research bees and write a report", "Use only open sources", &["retriever", "planner"]),
    ] {
        let plan = constrained(goal, &[constraint]);
        let has = |step: &&SubTask| step.acceptance_criteria.iter().any(|c| c.contains(constraint));
        let told: Vec<&str> =
            plan.steps().iter().filter(has).map(|step| step.required_arm.as_str()).collect();
        assert_eq!(told, arms, "{goal} / {constraint}");
    }
}

#[test]
fn what_is_forbidden_or_required_is_no_work_but_a_constraint() {
    let requirements =
        "# Task\nBuild a REST API.\n## Requirements\n- Must be written in Go\n- All tests pass\n- Use Redis";
    for (goal, arms, constraints) in [
        (
            "Do not write any code. Just explain how binary search works.",
            &["retriever", "planner", "judge"][..],
            &["Do not write any code"][..],
        ),
        (
            "Deploy the app; do not touch the database",
            &["retriever", "executor", "judge"],
            &["do not touch the database"],
        ),
        (
            "Deploy the app but don't restart the server",
            &["retriever", "executor", "judge"],
            &["don't restart the server"],
        ),
        (
            "Never delete anything. Back up the disk.",
            &["retriever", "executor", "judge"],
            &["Never delete anything"],
        ),
        (
            "Write a JSON parser. Use only the standard library.",
            &["retriever", "coder", "executor", "judge"],
            &["Use only the standard library"],
        ),
        (
            "Write a poem, no more than ten lines",
            &["retriever", "planner", "judge"],
            &["no more than ten lines"],
        ),
        (
            requirements,
            &["retriever", "coder", "executor", "judge"],
            &["Must be written in Go", "All tests pass", "Use Redis"],
        ),
        (
            "For the login page: fix the button",
            &["retriever", "coder", "executor", "judge"],
            &["For the login page"],
        ),
        (
            "Complete the following within 2 hours: fix the login",
            &["retriever", "coder", "executor", "judge"],
            &["Complete the following within 2 hours"],
        ),
        ("Only fix the login", &["retriever", "coder", "executor", "judge"], &[]),
        (
            "Deploy the app. Finish within 5 minutes.",
            &["retriever", "executor", "judge"],
            &["Finish within 5 minutes"],
        ),
        ("Don't forget to deploy the app", &["retriever", "executor", "judge"], &[]),
        ("Do not write any code.", &["planner", "planner", "judge"], &[]),
    ] {
        let plan = plan(goal);
        assert_eq!(arms_of(&plan), arms, "{goal}");
        for constraint in constraints {
            let criterion = format!("Constraint respected: {constraint}");
            assert!(has_criterion(plan.steps(), &criterion), "{goal}: {:#?}", plan.steps());
        }
    }
}

#[test]
fn time_limits_are_read() {
    for (text, seconds) in [
        ("Complete in <2 minutes", Some(120)),
        ("within 1 hour", Some(3_600)),
        ("in under 30 s", Some(30)),
        ("max 5 min", Some(300)),
        ("≤ 90 seconds", Some(90)),
        ("at most 45s", Some(45)),
        ("no more than 1.5 hours", Some(5_400)),
        ("finish in 10 minutes", Some(600)),
        ("within the next 5 minutes", Some(300)),
        ("within an hour", Some(3_600)),
        ("innerhalb von 2 Stunden", Some(7_200)),
        ("请在5分钟内完成", Some(300)),
        ("Each request must be answered within 2 seconds", None),
        ("Use Python 3", None),
        ("Look at the last 5 minutes of the log", None),
        ("under 500 ms", None),
        ("Deadline: 2 hours", Some(7_200)),
        ("time budget 10 minutes", Some(600)),
        ("30 minutes", Some(1_800)),
        ("in 10 minutes or less", Some(600)),
        ("2 minute limit", Some(120)),
        ("1 hour 30 minutes max", Some(5_400)),
        ("within half an hour", Some(1_800)),
        ("within 1,000 seconds", Some(1_000)),
        ("innerhalb von 1,5 Stunden", Some(5_400)),
        ("within 1 week", Some(604_800)),
        ("a maximum of five minutes", Some(300)),
        ("up to 5 min", Some(300)),
        ("It must not take longer than 5 minutes", Some(300)),
        ("rollback within 5 minutes", None),
        ("No videos longer than 5 minutes", None),
        ("tests that run under 2 minutes", None),
        ("Only clips under 2 minutes", None),
        ("Must scale to 5 m users", None),
        ("Must scale to 5m users", None),
    ] {
        assert_eq!(timing::limit(std::iter::once(text)), seconds, "{text}");
    }
}

#[test]
fn durations_fit_the_time_limit() {
    for (goal, constraint, most) in [
        ("Write a function", "Complete in <2 minutes", 119),
        ("Write a function within 1 minute", "be kind", 60),
        ("Build and deploy a REST API with tests", "max 4 seconds", 4),
        ("Write a function", "within 1 second", 3),
    ] {
        let plan = constrained(goal, &[constraint]);
        let sum: u32 = plan.steps().iter().map(|step| step.estimated_duration_seconds).sum();
        assert!(sum <= most, "{goal} / {constraint}: {sum} s");
    }
}

#[test]
fn the_context_is_named_by_its_keys_alone() {
    let request: PlanRequest = serde_json::from_str(
        r#"{"goal":"Fix the login","context":{"repository":"https://hidden","a\u0000b":1,"password hint":"hunter2"}}"#,
    )
    .expect("a request");
    let plan = planned(&Arc::default(), &PlanRules::default(), &request);
    assert!(plan.steps()[0].action.contains("(a b, password hint, repository)"), "{}", actions(&plan));
    let all = format!("{:?}", plan.steps());
    assert!(!all.contains("hunter2") && !all.contains("hidden"));
}
