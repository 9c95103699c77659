//! How a goal is read: clauses, verbs, references, conditions.

use super::*;

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
fn work_that_turns_back_waits_for_what_it_turns_back_to() {
    let plan = plan("Run the tests and fix the failures");
    let outline = outline(&plan);
    assert_eq!((outline[1].1, outline[2]), ("Run the tests", ("coder", "Fix the failures", &[2][..])));
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
fn a_condition_in_front_may_be_quoted_in_any_script() {
    for goal in [
        "“If the build fails, notify the team",
        "¿If the build fails, notify the team",
        "«When» it works, deploy it",
    ] {
        plan(goal);
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
fn a_long_clause_is_kept_whole() {
    let rest = "reads the export of the accounting system, converts the amounts to euros with the rate of the day, \
                groups them by customer and month, and stores the outcome in PostgreSQL 15";
    let plan = plan(&format!("Write code that {rest}"));
    assert!(plan.steps()[1].action.ends_with(rest), "{}", actions(&plan));
    assert!(plan.steps().last().expect("a step").action.contains(rest));
}
