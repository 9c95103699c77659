//! Other arms, other limits, other languages, nonsense.

use super::*;

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
