//! Names that LLMs write, and the arms that are meant.

use proptest::prelude::*;

use super::*;

fn arm(id: &str, description: &str) -> Arm {
    let text = serde_json::json!({"id": id, "description": description});
    serde_json::from_value(text).expect("an arm")
}

fn typed(id: &str, description: &str, inputs: &[&str], outputs: &[&str]) -> Arm {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Arm { inputs: owned(inputs), outputs: owned(outputs), ..arm(id, description) }
}

fn office() -> Vec<Arm> {
    let mut aliased = arm("invoice_writer", "Writes invoices and sends them to customers");
    aliased.aliases = vec!["billing".into(), "Rechnungssteller".into()];
    let mut capable = arm("calendar", "Finds free slots and books meetings");
    capable.capabilities = vec!["meeting_scheduling".into()];
    vec![
        aliased,
        capable,
        arm("Überweisung", "Transfers money between bank accounts"),
        arm("ПогодаАгент", "Tells the weather forecast for a city"),
        arm("天气预报", "查询城市的天气"),
        arm("currency-converter", "Converts an amount of money from one currency to another"),
        arm("Route Planner (by Car)", "Computes the fastest route between two places by car"),
        arm("Route Planner (by Bicycle)", "Computes a quiet route between two places by bicycle"),
        arm("translator", "Translates documents from one language to another"),
    ]
}

fn registry(arms: Vec<Arm>) -> ArmRegistry {
    ArmRegistry::new(arms, false).expect("a registry")
}

fn query<'a>(name: &'a str, action: &'a str) -> ArmQuery<'a> {
    ArmQuery { name, action, ..ArmQuery::default() }
}

#[test]
fn an_arm_is_found_by_each_rule_in_turn() {
    let registry = registry(office());
    for (name, action, id, how) in [
        // Case, separators, accents, affixes, words run together.
        ("Invoice-Writer", "", "invoice_writer", MatchedBy::Id),
        ("invoiceWriter", "", "invoice_writer", MatchedBy::Id),
        ("INVOICEWRITER", "", "invoice_writer", MatchedBy::Id),
        ("Invoice Writer Agent", "", "invoice_writer", MatchedBy::Id),
        ("the calendar tool", "", "calendar", MatchedBy::Id),
        ("uberweisung", "", "Überweisung", MatchedBy::Id),
        ("U\u{308}berweisung", "", "Überweisung", MatchedBy::Id),
        ("погода", "", "ПогодаАгент", MatchedBy::Part),
        ("ПОГОДА АГЕНТ", "", "ПогодаАгент", MatchedBy::Id),
        ("「天气预报」", "", "天气预报", MatchedBy::Id),
        ("Billing Arm", "", "invoice_writer", MatchedBy::Alias),
        ("rechnungssteller", "", "invoice_writer", MatchedBy::Alias),
        ("Meeting Scheduling", "", "calendar", MatchedBy::Capability),
        // Typing errors.
        ("calender", "", "calendar", MatchedBy::Spelling),
        ("curency_convertor", "", "currency-converter", MatchedBy::Spelling),
        ("tranlsator", "", "translator", MatchedBy::Spelling),
        // One name within the other.
        ("the calendar of the team", "", "calendar", MatchedBy::Part),
        ("converter of currency-converter kind", "", "currency-converter", MatchedBy::Part),
        // What it does.
        ("money exchange", "Convert 20 euros to dollars", "currency-converter", MatchedBy::Relevance),
        ("language expert", "Translate the contract", "translator", MatchedBy::Relevance),
        ("Route Planner", "Find the way by bicycle", "Route Planner (by Bicycle)", MatchedBy::Relevance),
    ] {
        let found = registry.resolve(&query(name, action));
        let expected = Resolution::Found(registry.get(id).expect("an id of ours"), how);
        assert_eq!(found, expected, "{name:?} for {action:?}");
    }
    assert_eq!(registry.resolve(&query("calendar", "")), Resolution::Exact(&registry.arms()[1]));
}

#[test]
fn what_is_not_clear_names_the_candidates_and_nothing_is_found_by_elimination() {
    let all = registry(office());
    let ids = |resolution: Resolution<'_>| match resolution {
        Resolution::Unclear(arms) => arms.iter().map(|arm| arm.id.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    for action in ["", "zzzz", "Compute the route between two places"] {
        let mut candidates = ids(all.resolve(&query("Route Planner", action)));
        candidates.sort();
        assert_eq!(candidates, ["Route Planner (by Bicycle)", "Route Planner (by Car)"], "{action}");
    }
    let named = all.resolve(&query("translator or calendar", "Write the date into the calendar"));
    assert_eq!(ids(named), ["translator", "calendar"]);
    assert!(ids(all.resolve(&query("qqqq", "zzzz"))).is_empty());
    assert!(ids(all.resolve(&query("", ""))).is_empty());
    // What a step says is not what was said about its arm.
    let transfer = "Transfer the money to the bank account";
    for name in ["", "-", "вычислитель", "x7"] {
        assert_eq!(ids(all.resolve(&query(name, transfer)))[0], "Überweisung", "{name}");
    }
    let solo = registry(vec![arm("solo", "Plays the violin")]);
    let found = solo.resolve(&query("violinist", "Play the violin"));
    assert_eq!(found, Resolution::Found(&solo.arms()[0], MatchedBy::Relevance), "not for being the only one");
    assert!(ids(solo.resolve(&query("baker", "Bake bread"))).is_empty());
}

#[test]
fn names_that_differ_in_more_than_an_error_are_different() {
    for (a, b, errors) in [
        ("judge", "juge", None),
        ("judges", "judge", Some(1)),
        ("retriever", "retreiver", Some(1)),
        ("retriever", "retreivr", Some(2)),
        ("gpt4turbo", "gpt5turbo", None),
        ("texttoaudio", "texttovideo", None),
        ("天气", "天空", None),
    ] {
        assert_eq!(names::typing_errors(a, b), errors, "{a} {b}");
        assert_eq!(names::typing_errors(b, a), errors, "{b} {a}");
    }
}

#[test]
fn types_of_neighbours_decide_between_arms_that_fit_alike() {
    let registry = registry(vec![
        typed("image reader", "Reads and extracts the text", &["image"], &["text"]),
        typed("audio reader", "Reads and extracts the text", &["audio"], &["text"]),
        typed("painter", "Paints", &["text"], &["image"]),
        typed("speaker", "Speaks", &["text"], &["audio"]),
    ]);
    let get = |id: &str| registry.get(id).expect("an id of ours");
    let extract = query("extractor", "Extract the text");
    assert!(matches!(registry.resolve(&extract), Resolution::Unclear(_)));
    for (producer, reader) in [("painter", "image reader"), ("speaker", "audio reader")] {
        let query = ArmQuery { producers: &[get(producer)], ..extract };
        assert_eq!(registry.resolve(&query), Resolution::Found(get(reader), MatchedBy::Relevance));
    }
}

#[test]
fn arms_feed_those_that_need_what_they_make() {
    let maker = typed("a", "", &[], &["Image", "text"]);
    assert!(maker.feeds(&typed("b", "", &["image"], &[])));
    assert!(!maker.can_feed(&typed("b", "", &["audio"], &[])));
    for untyped in [arm("b", ""), typed("b", "", &[], &["audio"])] {
        assert!(maker.can_feed(&untyped) && !maker.feeds(&untyped));
        assert!(arm("c", "").can_feed(&untyped));
    }
}

#[test]
fn a_thousand_arms_are_searched_in_two_milliseconds() {
    let arms = (0..1_000)
        .map(|n| arm(&format!("tool {n}"), &format!("Does the work number {n} with care and speed")));
    let registry = registry(arms.collect());
    registry.best_arms("warms up");
    let began = std::time::Instant::now();
    let found =
        registry.best_arms("Do the work number 512 with care").first().map(|best| best.arm.id.clone());
    assert_eq!(found.as_deref(), Some("tool 512"));
    // Tests are built without optimisation, and others run beside them.
    assert!(began.elapsed().as_millis() < 100, "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn resolution_does_not_depend_on_the_order_of_arms(
        order in Just((0..office().len()).collect::<Vec<_>>()).prop_shuffle(),
        name in "[a-zA-Z天气погда _-]{0,16}|route planner|money|.{0,8}",
        action in "[a-z ]{0,30}|convert money|find a route|book a meeting",
    ) {
        let (one, arms) = (registry(office()), office());
        let other = registry(order.iter().map(|at| arms[*at].clone()).collect());
        let (first, again) = (one.resolve(&query(&name, &action)), one.resolve(&query(&name, &action)));
        prop_assert_eq!(&first, &again);
        prop_assert_eq!(&first, &other.resolve(&query(&name, &action)));
        let best = |registry: &ArmRegistry| registry.best_arms(&action).iter().map(|ranked| ranked.arm.id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(best(&one), best(&other));
    }

    #[test]
    fn an_arm_that_is_found_is_one_of_the_set(name in ".{0,40}", action in ".{0,80}", left_out in 0..9_usize) {
        let mut arms = office();
        arms.remove(left_out);
        let registry = registry(arms);
        let is_ours = |arm: &Arm| registry.get(&arm.id) == Some(arm);
        match registry.resolve(&query(&name, &action)) {
            Resolution::Exact(arm) | Resolution::Found(arm, _) => prop_assert!(is_ours(arm)),
            Resolution::Unclear(candidates) => {
                prop_assert!(candidates.len() <= 3 && candidates.into_iter().all(is_ours));
            }
        }
    }
}

#[test]
fn a_name_that_points_to_another_arm_than_the_text_is_unclear() {
    let registry = ArmRegistry::default();
    for (name, action) in [
        ("récupérateur", "Collect the release notes of both libraries"),
        ("codificador", "Validate and verify the review"),
        ("coder and judge", "Go on"),
    ] {
        let found = registry.resolve(&query(name, action));
        assert!(matches!(found, Resolution::Unclear(_)), "{name}: {found:?}");
    }
}
