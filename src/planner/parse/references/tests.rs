//! What is read as a reference to a step, and what is not.

use serde_json::json;

use super::*;

fn read(value: &Value) -> Vec<Reference> {
    let names = [("gather", 1), ("write the code", 2), ("a", 3)];
    let names = names.into_iter().map(|(name, number)| (name.to_owned(), number)).collect();
    References { names: &names, numbers: &[1, 2, 3, 4], before: &[1, 2, 3] }.read(value)
}

#[test]
fn a_reference_has_many_forms() {
    for value in [
        json!(1),
        json!([1]),
        json!("1"),
        json!("$1"),
        json!("${1}"),
        json!("{{1}}"),
        json!("{{steps.1.output}}"),
        json!("step_1.output"),
        json!("output of step 1"),
        json!("１"),
        json!("шаг 1"),
        json!("Schritt 1"),
        json!({"steps": [1]}),
        json!({"step": 1, "output": "x"}),
        json!({"1": true}),
        json!("Gather"),
        json!("{{gather.result}}"),
        json!("<step1>"),
        json!("result_1"),
        json!("steps[1].result"),
        json!("第1步"),
        json!("the first step"),
        json!("step one"),
        json!("Step 1: Gather 3 things"),
        json!("@step1"),
        json!("after step 1 is done"),
        json!("#1"),
        json!("step gather"),
        json!("Step 1 of 4"),
        json!("①"),
        json!("{{ steps.gather.output }}"),
        json!("1."),
        json!(1.0),
        json!("#E1"),
        json!("p-1"),
        json!("first"),
        json!("the first one"),
        json!("1. Gather"),
        json!("1) Gather the reports and the logs"),
        json!("Step 1: Gather reports and logs"),
        json!("step one (does not require approval)"),
    ] {
        assert_eq!(read(&value), [Reference::Step(1)], "{value}");
    }
    for value in [
        json!("1+2"),
        json!("1 and 2"),
        json!("steps 1, 2"),
        json!("1-2"),
        json!(["$1", "$2"]),
        json!("gather; write the code"),
        json!("step 1 & step 2"),
        json!("outputs of steps 1 and 2"),
        json!("E1, E2"),
        json!("1: gather; 2: write the code"),
        json!({"ids": [1, 2]}),
        json!("[1, 2]"),
    ] {
        assert_eq!(read(&value), [Reference::Step(1), Reference::Step(2)], "{value}");
    }
}

#[test]
fn nothing_is_said_in_many_ways() {
    for value in [
        json!(null),
        json!(false),
        json!([0]),
        json!([]),
        json!("No dependencies"),
        json!("n/a"),
        json!("None."),
        json!(["none"]),
        json!(""),
        json!("-"),
        json!("None (first step)"),
        json!("not applicable"),
        json!({}),
        json!("нет"),
        json!("Keine"),
        json!("Does not depend on other work"),
        json!("This step has no dependencies"),
        json!("There are no dependencies."),
        json!("sin dependencias"),
        json!("没有依赖"),
        json!("没有"),
        json!("無"),
    ] {
        assert_eq!(read(&value), [], "{value}");
    }
}

#[test]
fn what_may_be_a_step_is_unclear_and_what_is_none_is_not() {
    for value in [json!("all previous except 1"), json!("the steps above"), json!(true), json!("not step 2")]
    {
        assert_eq!(read(&value), [Reference::Unclear], "{value}");
    }
    for value in [
        json!("approval by the board"),
        json!("API v1"),
        json!(1.5),
        json!("python 3"),
        json!("2 days"),
        json!("the independent review"),
        json!("部署没有缺陷的版本"),
        json!("無線LAN"),
        json!("没有缺陷的版本"),
    ] {
        assert_eq!(read(&value), [Reference::Other], "{value}");
    }
}

#[test]
fn a_text_mentions_the_steps_behind_words_for_them() {
    let names = HashMap::new();
    let references = References { names: &names, numbers: &[1, 2, 3], before: &[] };
    assert_eq!(references.mentioned("Uses the output of step 1 and step 2 within 3 days"), [1, 2]);
    assert_eq!(references.mentioned("Takes 2 days and 3 people"), [0_i64; 0]);
}

#[test]
fn a_step_of_something_else_is_not_one_of_the_plan() {
    let names = HashMap::new();
    let references = References { names: &names, numbers: &[1, 2, 3], before: &[1, 2] };
    for text in ["Write it with the result of step 1", "Nutze Schritt 2", "Use step 1 of the form and step 2"]
    {
        assert!(references.names_an_earlier_step(text), "{text}");
    }
    for text in [
        "Describe step 1 of the signup form",
        "Fix step 2 in the wizard",
        "Beschreibe Schritt 1 der Anmeldung",
        "Décris l'étape 2 du formulaire",
        "Décris l'étape 1 de la commande",
    ] {
        assert!(!references.names_an_earlier_step(text), "{text}");
    }
}
