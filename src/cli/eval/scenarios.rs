//! Scenario files: reading them, and reporting every fault of one.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value as Json};
use toml::{Table, Value};

use crate::domain::PlanRequest;
use crate::domain::arms::{Arm, ArmRegistry};

use super::labels::{self, ExpectedStep};

/// The scenarios that ship with the program.
pub(super) const SHIPPED: &str = include_str!("scenarios.toml");

/// A request for a plan, and the arms that a good plan uses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scenario {
    /// Unique in its file.
    pub(super) name: String,
    /// What the summary groups by.
    pub(super) kind: String,
    /// The valid request.
    pub(super) request: PlanRequest,
    /// Ids of arms that a good plan uses, all of them in the registry.
    pub(super) arms: Vec<String>,
    /// The labelled plan that a person wrote for it; may be empty.
    pub(super) steps: Vec<ExpectedStep>,
}

/// A valid file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScenarioFile {
    /// At least one, in the order of the file.
    pub(super) scenarios: Vec<Scenario>,
    /// The file's own arms, which replace the configured ones.
    pub(super) arms: Option<ArmRegistry>,
}

/// A `[[scenario]]` of the file; missing fields are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScenarioTable {
    name: String,
    kind: String,
    goal: String,
    constraints: Vec<String>,
    context: Table,
    arms: Vec<String>,
    steps: Vec<ExpectedStep>,
}

impl ScenarioFile {
    /// Reads a file that is run with the arms of `configured` unless it has its own.
    ///
    /// # Errors
    /// Every fault, one sentence each.
    pub(super) fn read(
        text: &str,
        configured: &ArmRegistry,
        verification_required: bool,
    ) -> Result<Self, Vec<String>> {
        let mut file: Table = text.parse().map_err(|error| vec![syntax_fault(text, &error)])?;
        let mut faults = Vec::new();

        let brings_arms = file.contains_key("arms");
        let own = file.remove("arms").and_then(|arms| own_arms(arms, &mut faults));
        let known = own.as_deref().or((!brings_arms).then_some(configured.arms()));
        let scenarios = scenarios(file.remove("scenario"), known, &mut faults);
        for key in file.keys() {
            faults.push(format!("`{key}` is unknown; a file has [[scenario]] and optionally [[arms]]"));
        }
        let mut arms = None;
        match own.map(|own| ArmRegistry::new(own, verification_required)) {
            Some(Ok(registry)) => arms = Some(registry),
            Some(Err(invalid)) => {
                faults.extend(invalid.iter().map(|fault| format!("the list `arms` is invalid: {fault}")));
            }
            None => {}
        }
        if faults.is_empty() { Ok(Self { scenarios, arms }) } else { Err(faults) }
    }
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {} is not valid TOML: {}", before.matches('\n').count() + 1, error.message())
}

/// The file's arms. Reports faults of single arms; the list as a whole is checked later.
fn own_arms(written: Value, faults: &mut Vec<String>) -> Option<Vec<Arm>> {
    let tables = tables(written, "arms", faults)?.into_iter().enumerate();
    let arm = |(index, table)| fields(&table, &["id"], &format!("arms[{index}]"), faults);
    Some(tables.filter_map(arm).collect())
}

/// The file's scenarios; `known_arms` is `None` where the file's own arms are invalid.
fn scenarios(written: Option<Value>, known_arms: Option<&[Arm]>, faults: &mut Vec<String>) -> Vec<Scenario> {
    let written = written.unwrap_or_else(|| Value::Array(Vec::new()));
    if written.as_array().is_some_and(Vec::is_empty) {
        faults.push("there is no scenario; write at least one [[scenario]]".into());
    }
    let tables = tables(written, "scenario", faults).unwrap_or_default();
    let mut scenarios: Vec<Scenario> = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        let place = match table.get("name").and_then(Value::as_str).map(str::trim) {
            Some(name) if !name.is_empty() => format!("scenario \"{name}\""),
            _ => format!("scenario {}", index + 1),
        };
        let Some(written) = fields(&table, &["name", "kind", "goal"], &place, faults) else { continue };
        let scenario = scenario(written, &place, known_arms, faults);
        if let Some(earlier) = scenarios.iter().position(|earlier| earlier.name == scenario.name)
            && !scenario.name.is_empty()
        {
            faults.push(format!("{place}: scenarios {} and {} have this name", earlier + 1, index + 1));
        }
        scenarios.push(scenario);
    }
    scenarios
}

fn scenario(
    written: ScenarioTable,
    place: &str,
    known_arms: Option<&[Arm]>,
    faults: &mut Vec<String>,
) -> Scenario {
    let mut complain = |what: String| faults.push(format!("{place}: {what}"));
    let (name, kind) = (written.name.trim().to_owned(), written.kind.trim().to_owned());
    for (field, text) in [("name", &name), ("kind", &kind)] {
        if text.is_empty() {
            complain(format!("{field} is missing or blank"));
        }
    }
    let context = object(written.context).unwrap_or_else(|number| {
        complain(format!("context contains {number}, which JSON cannot represent"));
        Map::new()
    });
    let request = PlanRequest {
        goal: written.goal,
        constraints: written.constraints,
        context,
        ..PlanRequest::default()
    };
    for fault in request.check().err().unwrap_or_default() {
        complain(format!("{} {}", fault.field, fault.message));
    }
    let unknown = |arm: &str| {
        let known = known_arms.filter(|known| known.iter().all(|known| known.id != arm))?;
        let ids: Vec<&str> = known.iter().map(|arm| arm.id.as_str()).filter(|id| !id.is_empty()).collect();
        Some(format!("names `{arm}`, which is not one of {}", ids.join(", ")))
    };
    for (place, step) in written.steps.iter().enumerate() {
        if let Some(what) = unknown(&step.arm) {
            complain(format!("steps[{place}].arm {what}"));
        }
    }
    for fault in labels::faults(&written.steps) {
        complain(fault);
    }
    for (index, arm) in written.arms.iter().enumerate() {
        if let Some(what) = unknown(arm) {
            complain(format!("arms {what}"));
        } else if written.arms[..index].contains(arm) {
            complain(format!("arms lists `{arm}` twice"));
        }
    }
    Scenario { name, kind, request, arms: written.arms, steps: written.steps }
}

fn tables(written: Value, name: &str, faults: &mut Vec<String>) -> Option<Vec<Table>> {
    let tables = written.try_into().ok();
    if tables.is_none() {
        faults.push(format!("`{name}` must be a list of tables; write [[{name}]] above each"));
    }
    tables
}

/// `table` as a `T`, read field by field so that every invalid one is reported, not only the first.
///
/// The `required` fields, all of them texts, are empty when they are missing, and the rules report that. An invalid
/// one, which is reported here, is replaced by the text `place`, so that the rules do not report it again.
fn fields<T: DeserializeOwned>(
    table: &Table,
    required: &[&str],
    place: &str,
    faults: &mut Vec<String>,
) -> Option<T> {
    let filled_with =
        |text: &str| -> Table { required.iter().map(|&key| (key.into(), text.into())).collect() };
    let mut good = filled_with("");
    for (key, value) in table {
        let mut alone = filled_with(place);
        alone.insert(key.clone(), value.clone());
        match alone.try_into::<T>() {
            Ok(_) => drop(good.insert(key.clone(), value.clone())),
            Err(error) if error.message().starts_with("unknown field") => {
                faults.push(format!("{place}: {}", error.message()));
            }
            Err(error) => {
                faults.push(format!("{place}: {key} has an {}", error.message()));
                if required.contains(&key.as_str()) {
                    good.insert(key.clone(), place.into());
                }
            }
        }
    }
    good.try_into().ok()
}

/// `table` as JSON, with dates as texts. Fails with a number that JSON does not have.
fn object(table: Table) -> Result<Map<String, Json>, f64> {
    table.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect()
}

fn json(value: Value) -> Result<Json, f64> {
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => Number::from_f64(number).ok_or(number)?.into(),
        Value::Boolean(flag) => flag.into(),
        Value::Datetime(at) => at.to_string().into(),
        Value::Array(items) => items.into_iter().map(json).collect::<Result<_, _>>()?,
        Value::Table(table) => object(table)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn read(text: &str) -> Result<ScenarioFile, Vec<String>> {
        ScenarioFile::read(text, &ArmRegistry::default(), true)
    }

    fn faults(text: &str) -> Vec<String> {
        read(text).expect_err(text)
    }

    #[test]
    fn the_shipped_scenarios_are_many_and_of_every_kind_and_keep_every_rule() {
        let scenarios = read(SHIPPED).expect("good scenarios").scenarios;
        assert!(scenarios.len() >= 40, "{}", scenarios.len());
        let kinds: HashSet<&str> = scenarios.iter().map(|scenario| scenario.kind.as_str()).collect();
        for kind in [
            "code",
            "operations",
            "research",
            "data",
            "security",
            "writing",
            "languages",
            "vague",
            "huge",
            "contradictory",
            "adversarial",
        ] {
            assert!(kinds.contains(kind), "{kind}");
        }
        for scenario in &scenarios {
            assert_eq!(scenario.request.check(), Ok(()), "{}", scenario.name);
            let is_huge = scenario.request.goal.chars().count() > 1_000;
            assert_eq!(is_huge, scenario.kind == "huge", "{}", scenario.name);
        }
    }

    #[test]
    fn a_file_says_goals_constraints_context_and_arms() {
        let file = read(
            r#"
            [[scenario]]
            name = " smoke "
            kind = "ours"
            goal = "Translate the manual"
            constraints = ["By Friday"]
            context = { since = 2025-01-31, pages = 12, share = 0.5, of = [true, "x", { y = 1 }] }
            arms = ["translator"]
            [[arms]]
            id = "translator"
            [[arms]]
            id = "editor"
            capabilities = ["validation"]
            "#,
        )
        .expect("a good file");
        let scenario = &file.scenarios[0];
        assert_eq!((scenario.name.as_str(), scenario.kind.as_str()), ("smoke", "ours"));
        assert_eq!(
            Json::from(scenario.request.context.clone()),
            serde_json::json!({"since": "2025-01-31", "pages": 12, "share": 0.5, "of": [true, "x", {"y": 1}]})
        );
        assert_eq!(scenario.arms, ["translator"]);
        assert_eq!(file.arms.expect("its own arms").arms().len(), 2);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let found = faults(
            r#"
            version = 2
            [[scenario]]
            name = "one"
            kind = " "
            gaol = "x"
            arm = "coder"
            [[scenario]]
            name = "one"
            kind = "k"
            goal = "g"
            constraints = ["", "fine"]
            context = { x = nan }
            arms = ["coder", "root", "coder"]
            [[scenario]]
            kind = 7
            goal = 8
            constraints = "none"
            "#,
        );
        for said in [
            "`version` is unknown",
            "scenario \"one\": unknown field `gaol`, expected one of `name`, `kind`, `goal`",
            "scenario \"one\": unknown field `arm`",
            "scenario \"one\": kind is missing or blank",
            "scenario \"one\": goal must be 1 to 10,000 characters long and not blank",
            "scenario \"one\": scenarios 1 and 2 have this name",
            "scenario \"one\": constraints[0] must be 1 to 2,000 characters long",
            "scenario \"one\": context contains NaN, which JSON cannot represent",
            "scenario \"one\": arms names `root`, which is not one of planner, retriever, coder",
            "scenario \"one\": arms lists `coder` twice",
            "scenario 3: name is missing or blank",
            "scenario 3: kind has an invalid type: integer `7`, expected a string",
            "scenario 3: goal has an invalid type: integer `8`",
            "scenario 3: constraints has an invalid type: string \"none\", expected a sequence",
        ] {
            assert!(found.iter().any(|fault| fault.starts_with(said)), "{said}\n{found:#?}");
        }
        assert_eq!(found.len(), 14, "{found:#?}");
    }

    #[test]
    fn arms_of_the_file_are_checked_as_those_of_the_settings_and_expected_arms_against_them() {
        let found = faults(
            r#"
            [[scenario]]
            name = "one"
            kind = "k"
            goal = "g"
            arms = ["writer", "coder"]
            [[arms]]
            id = "writer"
            cost_tier = 9
            colour = "red"
            keyword = ["write"]
            [[arms]]
            description = "nameless"
            [[arms]]
            id = 5
            "#,
        );
        assert_eq!(
            found,
            [
                "arms[0]: unknown field `colour`, expected one of `id`, `description`, `capabilities`, `keywords`, `cost_tier`, `aliases`, `inputs`, `outputs`",
                "arms[0]: unknown field `keyword`, expected one of `id`, `description`, `capabilities`, `keywords`, `cost_tier`, `aliases`, `inputs`, `outputs`",
                "arms[2]: id has an invalid type: integer `5`, expected a string",
                "scenario \"one\": arms names `coder`, which is not one of writer, arms[2]",
                "the list `arms` is invalid: arms[0].cost_tier is 9; it must be from 1 to 5",
                "the list `arms` is invalid: arms[1].id is blank",
                "the list `arms` is invalid: no arm has the capability `validation`; give it to one, or set PLANNER_REQUIRE_VERIFICATION_STEP=false",
            ]
        );
    }

    #[test]
    fn what_is_no_list_of_tables_or_no_toml_at_all_is_said_with_its_place() {
        assert_eq!(faults(""), ["there is no scenario; write at least one [[scenario]]"]);
        assert_eq!(faults("scenario = []"), ["there is no scenario; write at least one [[scenario]]"]);
        assert_eq!(
            faults("scenario = 3\narms = [1]"),
            [
                "`arms` must be a list of tables; write [[arms]] above each",
                "`scenario` must be a list of tables; write [[scenario]] above each",
            ]
        );
        let found = faults("[[scenario]]\nname = \"a\"\nname = \"b\"\n");
        assert!(found.len() == 1 && found[0].starts_with("line 3 is not valid TOML: "), "{found:?}");
    }
}
