use proptest::prelude::*;

use super::*;
use crate::models::SubTask;
use crate::planner::graph;
use crate::planner::repair::{Plan, settle};

fn rules(min_steps: usize, max_steps: usize) -> PlanRules {
    PlanRules { min_steps, max_steps, require_verification: true }
}

fn registry(arms: &str) -> Arc<ArmRegistry> {
    let arms: Vec<Arm> = serde_json::from_str(arms).expect("arms");
    Arc::new(ArmRegistry::new(arms, false).expect("a registry"))
}

fn request(goal: &str, constraints: &[&str]) -> PlanRequest {
    PlanRequest {
        goal: goal.into(),
        constraints: constraints.iter().map(|&text| text.into()).collect(),
        ..PlanRequest::default()
    }
}

/// The plan for `request`, checked against every promise that this engine makes.
fn planned(registry: &Arc<ArmRegistry>, rules: &PlanRules, request: &PlanRequest) -> Plan {
    let planner = EmbeddedPlanner::new(registry.clone(), rules.clone());
    let draft = planner.propose(request);
    assert_eq!(draft, planner.propose(request), "the same request gives the same plan");
    for (number, step) in (1..).zip(&draft.steps) {
        assert_eq!(step.number, Some(number));
        assert!(step.depends_on.is_sorted(), "{step:?}");
        assert!(step.criteria.len() >= 2 || rules.min_steps > 7, "{step:?}");
        assert!(!step.criteria.iter().chain([&step.action]).any(|text| text.chars().any(char::is_control)));
    }
    let plan = settle(draft, registry, rules).expect("a sound plan");
    assert_eq!(plan.repairs(), []);
    assert!((LOWEST_CONFIDENCE..=HIGHEST_CONFIDENCE).contains(&plan.confidence()), "{}", plan.confidence());
    for constraint in request.constraints.iter().map(|text| tidy(text)).filter(|text| !text.is_empty()) {
        let shown: String = constraint.chars().take(60).collect();
        assert!(has_criterion(plan.steps(), shown.trim_end()), "{constraint:?} is in no criterion");
    }
    plan
}

fn plan(goal: &str) -> Plan {
    constrained(goal, &[])
}

fn constrained(goal: &str, constraints: &[&str]) -> Plan {
    planned(&Arc::default(), &PlanRules::default(), &request(goal, constraints))
}

fn has_criterion(steps: &[SubTask], text: &str) -> bool {
    steps.iter().any(|step| step.acceptance_criteria.iter().any(|criterion| criterion.contains(text)))
}

/// Arm and action of each step, with what it depends on.
fn outline(plan: &Plan) -> Vec<(&str, &str, &[u32])> {
    plan.steps()
        .iter()
        .map(|s| (s.required_arm.as_str(), s.action.as_str(), s.depends_on.as_slice()))
        .collect()
}

/// Checks each goal's steps, as `arm action <1 2`: all of them, or the given ones in a row.
fn assert_parts(goals: &[(&str, &[&str])]) {
    for (goal, expected) in goals {
        let plan = plan(goal);
        let line = |(arm, action, needs): (&str, &str, &[u32])| {
            let needs: Vec<String> = needs.iter().map(u32::to_string).collect();
            format!("{arm} {action} <{}", needs.join(" "))
        };
        let lines: Vec<String> = outline(&plan).into_iter().map(line).collect();
        assert!(lines.windows(expected.len()).any(|row| row == *expected), "{goal}: {lines:#?}");
    }
}

fn arms_of(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.required_arm.as_str()).collect()
}

fn actions(plan: &Plan) -> String {
    plan.steps().iter().map(|step| step.action.as_str()).collect::<Vec<_>>().join("\n")
}

fn clauses_of(goal: &str) -> Vec<String> {
    let lexicon = Lexicon::new(&ArmRegistry::default());
    clauses::split(goal, &lexicon).into_iter().map(|clause| clause.text).collect()
}

#[test]
fn goals_are_split_where_an_action_follows() {
    for (goal, expected) in [
        ("Debug the login and add tests", &["Debug the login", "add tests"][..]),
        ("Build a search and replace dialog", &["Build a search and replace dialog"]),
        ("Implement drag and drop", &["Implement drag and drop"]),
        (
            "Write a parser that reads, checks and stores rows",
            &["Write a parser that reads, checks and stores rows"],
        ),
        ("Please find the docs, then summarise them.", &["find the docs", "summarise them"]),
        ("1. Research A\n2) Write B;\n- Deploy C", &["Research A", "Write B", "Deploy C"]),
        ("Write, test and deploy it", &["Write", "test", "deploy it"]),
        ("Suche Artikel und vergleiche sie", &["Suche Artikel", "vergleiche sie"]),
        ("Busca artículos y compara los resultados", &["Busca artículos", "compara los resultados"]),
        ("Найди статьи и сравни их", &["Найди статьи", "сравни их"]),
        ("研究数据库，然后比较它们并编写报告", &["研究数据库", "比较它们", "编写报告"]),
        ("Make a page with:\n- a map\n- a menu", &["Make a page with a map, a menu"]),
        ("Fix the crash, e.g. on start", &["Fix the crash, e.g. on start"]),
        ("?!…", &["?!…"]),
    ] {
        assert_eq!(clauses_of(goal), expected, "{goal}");
    }
}

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
fn a_word_that_orders_makes_steps_wait() {
    let plan = plan("Fix the parser, then add tests");
    assert_eq!(graph::levels(plan.steps())[1], [2]);
}

#[test]
fn pronouns_are_replaced_and_make_steps_wait() {
    let plan = plan("Research three vector databases and compare them");
    let outline = outline(&plan);
    assert_eq!(outline[0], ("retriever", "Research three vector databases", &[][..]));
    assert_eq!((outline[1].1, outline[1].2), ("Compare the three vector databases", &[1][..]));
    assert_eq!((outline.len(), outline[2].0), (3, "judge"));
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
fn statements_are_taken_into_account_and_not_worked_on() {
    let plan = plan("The login page is broken on Safari. Fix it and deploy to staging.");
    assert!(
        actions(&plan).contains("\nFix the login page\nDeploy the login page to staging\n"),
        "{}",
        actions(&plan)
    );
    assert!(has_criterion(plan.steps(), "The login page is broken on Safari"));
    let crash = self::plan("We have a Django app. It crashes on upload. Fix it and deploy.");
    assert!(actions(&crash).contains("\nFix the Django app\n"), "{}", actions(&crash));
    assert!(has_criterion(crash.steps(), "It crashes on upload"));
    let dropped = self::plan("Our conversion dropped last week. Investigate why and fix the cause.");
    assert_eq!(arms_of(&dropped), ["retriever", "coder", "executor", "judge"]);
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
fn work_that_turns_back_waits_for_what_it_turns_back_to() {
    let plan = plan("Run the tests and fix the failures");
    let outline = outline(&plan);
    assert_eq!((outline[1].1, outline[2]), ("Run the tests", ("coder", "Fix the failures", &[2][..])));
}

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
fn what_acts_on_the_world_keeps_the_order_of_the_text() {
    assert_parts(&[
        (
            "Copy the files and delete the originals",
            &["executor Copy the files <1", "executor Delete the originals <2"],
        ),
        (
            "Stop the server, delete the logs and restart it",
            &["executor Stop the server <1", "executor Delete the logs <2", "executor Restart the server <3"],
        ),
        (
            "Book a venue, notify the team and send the invitations",
            &["executor Book a venue <1", "executor Notify the team <2", "executor Send the invitations <3"],
        ),
    ]);
}

#[test]
fn thoughts_of_one_sentence_build_on_each_other() {
    assert_parts(&[
        (
            "Compare React, Vue and Svelte and recommend one",
            &["planner Compare React, Vue and Svelte <1", "planner Recommend one <2"],
        ),
        (
            "Compare the three vendors. Write a report.",
            &["planner Compare the three vendors <1", "planner Write a report <2"],
        ),
        ("Explain tides. Explain comets.", &["planner Explain tides <", "planner Explain comets <"]),
    ]);
}

#[test]
fn it_means_what_is_worked_on_and_not_what_is_done_on_the_way() {
    assert_parts(&[(
        "Build the app, run the load tests, deploy it to production, notify the team and monitor it",
        &[
            "coder Build the app <1",
            "executor Run the load tests <2",
            "executor Deploy the app to production <3",
            "executor Notify the team <4",
            "executor Monitor the app <5",
        ],
    )]);
}

#[test]
fn unknown_verbs_and_verbs_that_are_nouns_too_head_clauses_of_their_own() {
    for (goal, expected) in [
        ("Run npm audit and fix vulnerabilities", &["Run npm audit", "fix vulnerabilities"][..]),
        ("Upgrade Node, fix breaking changes", &["Upgrade Node", "fix breaking changes"]),
        ("Analyze logs and find errors", &["Analyze logs", "find errors"]),
        ("Build the image, tag it and push", &["Build the image", "tag it", "push"]),
        ("Write the module and lint the code", &["Write the module", "lint the code"]),
        ("Read the draft and search for typos", &["Read the draft", "search for typos"]),
        (
            "Find the cause, add a regression test and deploy",
            &["Find the cause", "add a regression test", "deploy"],
        ),
        ("Please, can you set up CI?", &["set up CI"]),
        ("Steps:\n1. Clone the repo\n2. Run it", &["Clone the repo", "Run it"]),
        (
            "Create an API with the endpoints:\n- GET /users\n- DELETE /users",
            &["Create an API with the endpoints: GET /users, DELETE /users"],
        ),
        ("FIX THE LOGIN AND DEPLOY IT", &["FIX THE LOGIN", "DEPLOY IT"]),
        ("Make a budget and plan for the year", &["Make a budget and plan for the year"]),
        ("Task: build a parser", &["build a parser"]),
        (
            "Translate the sentence: “open the door and go”",
            &["Translate the sentence: “open the door and go”"],
        ),
        ("Write a fast and open source parser", &["Write a fast and open source parser"]),
        ("Write a function to find and replace text", &["Write a function to find and replace text"]),
        ("Create release and debug builds", &["Create release and debug builds"]),
    ] {
        assert_eq!(clauses_of(goal), expected, "{goal}");
    }
    assert_parts(&[
        (
            "Rotate the API keys and revoke the old ones",
            &["executor Rotate the API keys <2", "executor Revoke the old ones <3"],
        ),
        ("Groom the backlog and lint the code", &["planner Groom the backlog <1", "coder Lint the code <2"]),
        ("Interview five users and summarise what they say", &["retriever Interview five users <"]),
    ]);
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
fn a_condition_in_front_stays_with_what_it_is_a_condition_of() {
    assert_parts(&[
        ("After the tests pass, deploy to staging", &["executor Deploy to staging after the tests pass <1"]),
        ("Before deploying, run the tests", &["executor Run the tests before deploying <1"]),
        (
            "Once the data is clean, train a model and publish it",
            &["coder Train a model once the data is clean <1", "executor Publish the model <2"],
        ),
        ("As a user, I want to export my invoices", &["executor Export my invoices as a user <1"]),
        ("Write a parser. Deploy this.", &["coder Write a parser <1", "executor Deploy the parser <2"]),
        ("After that, restart the server", &["executor Restart the server <1"]),
    ]);
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
fn sentences_read_as_people_write_them() {
    for (goal, expected) in [
        ("Send me a list of the open invoices", "concern the list of the open invoices\n"),
        ("Run npm audit", "that concern npm audit\n"),
        ("Write an article on quantum computing", "concern the article on quantum computing\n"),
        ("Write code without tests", "Run what was made for code on"),
        ("Check if our website is accessible", "the question of whether our website is accessible\n"),
        ("The checkout page is slow", "\nFind and remove the cause of “The checkout page is slow”\n"),
        ("Our API returns 500 errors", "\nFind and remove the cause of “Our API returns 500 errors”\n"),
        ("A website that has a map", "\nImplement: A website that has a map\n"),
        (
            "ajoute des tests pour le parseur",
            "\nAjoute des tests pour le parseur\nRun the tests for “le parseur”\n",
        ),
        ("Make everything with tests", "\nWrite tests for the result\n"),
        ("Deploy to staging", "that concern staging\n"),
    ] {
        let actions = actions(&plan(goal));
        assert!(actions.contains(expected), "{goal}: {actions}");
    }
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
fn little_is_understood_of_a_bare_verb() {
    for goal in ["deploy", "make make make make", "Fix everything", "Groom the backlog"] {
        let plan = plan(goal);
        assert!(plan.confidence() <= 0.45, "{goal}: {}", plan.confidence());
        assert!(plan.rationale().contains("single words"), "{}", plan.rationale());
    }
    assert!(actions(&plan("deploy")).starts_with("Clarify what is wanted"));
}

#[test]
fn a_verifier_does_not_carry_out_what_one_of_its_keywords_hints_at() {
    let registry = registry(
        r#"[{"id":"all","keywords":[]},{"id":"qa","capabilities":["validation"],"keywords":["qa","test"]}]"#,
    );
    let plan = planned(&registry, &PlanRules::default(), &request("Restart the server", &[]));
    assert!(outline(&plan).iter().any(|(arm, action, _)| (*arm, *action) == ("all", "Restart the server")));
}

#[test]
fn a_long_clause_is_kept_whole() {
    let rest = "reads the export of the accounting system, converts the amounts to euros with the rate of the day, \
                groups them by customer and month, and stores the outcome in PostgreSQL 15";
    let plan = plan(&format!("Write code that {rest}"));
    assert!(plan.steps()[1].action.ends_with(rest), "{}", actions(&plan));
    assert!(plan.steps().last().expect("a step").action.contains(rest));
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
fn other_languages_find_their_arms() {
    for (goal, arms) in [
        ("Schreibe eine Python-Funktion und teste sie", &["retriever", "coder", "executor", "judge"][..]),
        ("请研究三个向量数据库，然后比较它们", &["retriever", "planner", "judge"]),
        ("Напиши функцию и запусти её", &["retriever", "coder", "executor", "judge"]),
        ("Busca artículos sobre abejas y compara los resultados", &["retriever", "planner", "judge"]),
    ] {
        assert_eq!(arms_of(&plan(goal)), arms, "{goal}");
    }
}

#[test]
fn nonsense_is_planned_with_little_confidence() {
    let long_word = "x".repeat(10_000);
    let many_ands = "and ".repeat(2_500);
    for goal in ["asdf qwer", "😀😀", "?!…", "\u{0}\u{202e}", long_word.as_str(), many_ands.as_str()] {
        let nonsense = plan(goal);
        assert!(nonsense.confidence() < 0.3, "{goal:.20}: {}", nonsense.confidence());
        assert!(nonsense.rationale().contains("nothing in the goal was recognised"));
    }
    assert!(plan("Fix the login").confidence() > 0.6);
    let half = plan("Fix the login. Qwer asdf.").confidence();
    assert!((0.3..0.6).contains(&half), "{half}");
}

#[test]
fn every_limit_is_kept_and_no_clause_is_lost() {
    let goal = "Research caching, implement the cache, document the cache, deploy it and notify the team";
    for (min, max) in [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (50, 50), (1, 50), (2, 5)] {
        for require_verification in [true, false] {
            let rules = PlanRules { min_steps: min, max_steps: max, require_verification };
            let plan = planned(&Arc::default(), &rules, &request(goal, &[]));
            let actions = actions(&plan).to_lowercase();
            for clause in
                ["research caching", "implement the cache", "document the cache", "deploy", "notify the team"]
            {
                assert!(actions.contains(clause), "{min}..{max}: {clause} is not in {actions}");
            }
        }
    }
}

#[test]
fn a_plan_of_one_step_is_the_verifiers() {
    let plan = planned(&Arc::default(), &rules(1, 1), &request("Write a poem and print it", &[]));
    assert_eq!(arms_of(&plan), ["judge"]);
}

#[test]
fn arms_are_found_by_their_keywords_whatever_they_are_called() {
    let registry = registry(
        r#"[{"id":"Maler ✏","keywords":["male","streiche"]},
            {"id":"气象","keywords":["天气"],"cost_tier":5},
            {"id":"судья","capabilities":["validation"],"keywords":["проверь"]},
            {"id":"the rest"}]"#,
    );
    let of = |goal: &str| planned(&registry, &PlanRules::default(), &request(goal, &[]));
    for (goal, arm, tier, action) in [
        ("Male ein Haus und streiche den Zaun", "Maler ✏", 2, "Male ein Haus"),
        ("Male ein Haus und streiche den Zaun", "Maler ✏", 2, "Streiche den Zaun"),
        ("今天天气怎么样", "气象", 5, "Work out: 今天天气怎么样"),
        ("Juggle three balls", "the rest", 2, "Work on “Juggle three balls”"),
    ] {
        let plan = of(goal);
        let step = plan.steps().iter().find(|step| step.action == action);
        let step = step.unwrap_or_else(|| panic!("{goal}: {}", actions(&plan)));
        assert_eq!((step.required_arm.as_str(), step.estimated_cost_tier), (arm, tier), "{goal}");
    }
    assert_eq!(arms_of(&of("Male ein Haus")).last(), Some(&"судья"));
}

#[test]
fn a_single_arm_without_keywords_does_everything() {
    let registry = registry(r#"[{"id":"solo"}]"#);
    for require_verification in [true, false] {
        let rules = PlanRules { require_verification, ..PlanRules::default() };
        let plan = planned(&registry, &rules, &request("Build and deploy a REST API with tests", &[]));
        assert!(arms_of(&plan).iter().all(|arm| *arm == "solo"));
        assert!(actions(&plan).contains("Write tests for the REST API"));
    }
}

#[test]
fn building_goes_to_the_executor_where_nobody_codes() {
    let registry = registry(
        r#"[{"id":"hands","keywords":["build","run"]},{"id":"eyes","capabilities":["validation"]}]"#,
    );
    let plan = planned(&registry, &PlanRules::default(), &request("Build a REST API", &[]));
    assert!(
        plan.steps().iter().any(|step| step.action == "Build a REST API" && step.required_arm == "hands")
    );
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

fn any_goal() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "fix",
        "build",
        "and",
        "then",
        "tests",
        "with",
        "it",
        "the",
        "API",
        ",",
        ".",
        ":",
        "\n- ",
        "1.",
        "?",
        "deploy",
        "password",
        "und",
        "并",
        "然后",
        "测试",
        "它",
        "e.g.",
        "a",
        "to",
        "within",
        "2",
        "minutes",
        "<5s",
        "verify",
        "find",
        "report",
        "\u{202e}",
        "\u{0}",
        "ẞ",
        "İ",
        "ﬃ",
        "😀",
        "compare",
        "them",
        "is",
        "for",
        "tests for",
        "“",
    ]);
    prop_oneof![
        any::<String>(),
        "\\PC{0,60}",
        (prop::collection::vec(words, 1..40), prop::bool::ANY)
            .prop_map(|(words, spaced)| words.join(if spaced { " " } else { "" })),
    ]
}

proptest! {
    #[test]
    fn every_goal_gets_a_sound_plan_without_repairs(
        goal in any_goal(),
        constraints in prop::collection::vec(any_goal(), 0..6),
        (min, max) in (1_usize..=50).prop_flat_map(|min| (Just(min), min..=50)),
        require_verification in any::<bool>(),
        which in 0..4,
    ) {
        let registry = match which {
            0 => registry(r#"[{"id":"solo"}]"#),
            1 => registry(r#"[{"id":"ê","keywords":["fix","測","a","--"]},{"id":"判","capabilities":["validation"]}]"#),
            _ => Arc::default(),
        };
        let request = PlanRequest { goal, constraints, ..PlanRequest::default() };
        let rules = PlanRules { min_steps: min, max_steps: max, require_verification };
        planned(&registry, &rules, &request);
    }
}
