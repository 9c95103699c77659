//! Whole goals: which steps, by whom, in which order.

use super::*;

#[test]
fn writing_a_function_gathers_writes_runs_and_verifies() {
    let plan = plan("Write a Python function to sort a list");
    assert_eq!(arms_of(&plan), ["retriever", "coder", "executor", "judge"]);
    assert!(actions(&plan).contains("Write a Python function to sort a list\n"));
    assert_eq!(graph::levels(plan.steps()).len(), 4);
}

#[test]
fn verbs_share_their_object_and_tests_are_a_step_beside_the_code() {
    let plan = plan("Build and deploy a REST API with tests");
    let outline = outline(&plan);
    assert_eq!(outline[1], ("coder", "Build a REST API", &[1][..]));
    assert_eq!(outline[2], ("coder", "Write tests for the REST API", &[1][..]));
    assert_eq!(outline[3], ("executor", "Run the tests for the REST API", &[2, 3][..]));
    assert_eq!(outline[4], ("executor", "Deploy the REST API", &[4][..]));
    assert_eq!((outline.len(), outline[5].0), (6, "judge"));
}

#[test]
fn a_fix_and_its_tests_run_in_parallel() {
    for (goal, fix) in [
        ("Debug authentication issue and add tests", "Debug authentication issue"),
        ("Fix authentication bug and add tests", "Fix authentication bug"),
    ] {
        let plan = plan(goal);
        assert_eq!(arms_of(&plan), ["retriever", "coder", "coder", "executor", "judge"], "{goal}");
        assert_eq!(graph::levels(plan.steps())[1], [2, 3]);
        assert!(actions(&plan).contains(fix) && actions(&plan).contains("Add tests for authentication"));
    }
}

#[test]
fn independent_research_is_parallel_and_joined_by_what_follows() {
    let plan = plan("Research Postgres. Research MySQL. Compare both.");
    assert_eq!(graph::levels(plan.steps()), [vec![1, 2], vec![3], vec![4]]);
}

#[test]
fn the_guardian_redacts() {
    let plan = plan("Redact customer emails in the support export");
    assert_eq!(arms_of(&plan), ["retriever", "guardian", "judge"]);
}

#[test]
fn the_guardian_is_called_where_personal_data_or_secrets_are_touched() {
    let by_context: PlanRequest =
        serde_json::from_str(r#"{"goal":"Write an import script","context":{"api_key":"x"}}"#)
            .expect("a request");
    for request in [
        request("Summarise the patient records", &[]),
        request("Write a login form", &["Comply with GDPR"]),
        request("Store the users' passwords in the new database", &[]),
        by_context,
    ] {
        let plan = planned(&Arc::default(), &PlanRules::default(), &request);
        assert!(arms_of(&plan).contains(&"guardian"), "{}", actions(&plan));
    }
    assert!(!arms_of(&plan("Write a Python function to sort a list")).contains(&"guardian"));
}

#[test]
fn data_is_guarded_before_it_is_sent() {
    let plan = plan("Write a newsletter and send it to all customer email addresses");
    let at = |arm: &str| arms_of(&plan).iter().position(|a| *a == arm);
    assert!(at("guardian") < at("executor"), "{}", actions(&plan));
}

#[test]
fn a_goal_that_ends_with_a_check_needs_no_other() {
    let plan = plan("Set up a database, write a migration, run it and verify that all rows are there");
    assert_eq!(arms_of(&plan).iter().filter(|arm| **arm == "judge").count(), 1);
    assert!(actions(&plan).ends_with("Verify that all rows are there"));
}

#[test]
fn tests_that_are_written_are_run_before_what_follows() {
    let plan = plan("Refactor the user service, write unit tests for it and then open a pull request");
    let outline = outline(&plan);
    assert_eq!(outline[2], ("coder", "Write unit tests for the user service", &[2][..]));
    assert_eq!(outline[3], ("executor", "Run the tests for the user service", &[3][..]));
    assert_eq!(outline[4], ("executor", "Open a pull request", &[4][..]));
}

#[test]
fn only_what_runs_is_run_and_only_code_is_for_the_coder() {
    for goal in [
        "Write a README for the project",
        "Design a logo for the bakery",
        "Write a poem about bees and improve it",
        "Improve my essay on climate change",
        "Write documentation for the API",
        "Draft the privacy policy of our shop",
        "Translate the user manual into German",
        "Write a literature review",
        "Reduce our rent",
    ] {
        let plan = plan(goal);
        assert!(!actions(&plan).contains("Run "), "{goal}: {}", actions(&plan));
        let codes = arms_of(&plan).contains(&"coder");
        assert_eq!(codes, goal == "Reduce our rent", "{goal}: {}", actions(&plan));
    }
    let poem = plan("Write a poem about bees");
    assert!(has_criterion(poem.steps(), "form, length and tone"), "{:#?}", poem.steps());
}

#[test]
fn a_topic_needs_no_guard_and_data_does() {
    for (goal, constraint, guarded) in [
        ("Explain password hashing", "Be brief", false),
        ("What does GDPR require?", "Be brief", false),
        ("Explain password hashing", "Comply with GDPR", true),
        ("Hash the passwords of all users", "Be brief", true),
    ] {
        let plan = constrained(goal, &[constraint]);
        assert_eq!(arms_of(&plan).contains(&"guardian"), guarded, "{goal}: {}", actions(&plan));
    }
}

#[test]
fn every_question_is_looked_up() {
    for goal in
        ["What's the difference between TCP and UDP?", "Should we use Rust or Go?", "¿Dónde está Oslo?"]
    {
        assert_eq!(arms_of(&plan(goal)), ["retriever", "planner", "judge"], "{goal}");
    }
}

#[test]
fn tests_are_run_before_anything_else_is_added() {
    let plan = planned(&Arc::default(), &rules(1, 3), &request("Write unit tests for the parser", &[]));
    assert_eq!(arms_of(&plan), ["coder", "executor", "judge"]);
}

#[test]
fn questions_are_answered_and_prose_is_not_code() {
    assert_eq!(arms_of(&plan("What is the capital of France?")), ["retriever", "planner", "judge"]);
    let poem = plan("Write a poem about bees");
    assert!(
        !arms_of(&poem).contains(&"coder") && !arms_of(&poem).contains(&"executor"),
        "{}",
        actions(&poem)
    );
    assert!(arms_of(&plan("Write an email parser")).contains(&"coder"));
}
