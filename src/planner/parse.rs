//! Reading a plan out of what an LLM says.
//!
//! Strictly first, so that clean answers cost one pass. Then tolerantly: reasoning blocks, fences and
//! prose around the JSON, wrappers, other names for keys, numbers in words. None of that is a repair:
//! the plan is what the LLM said.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::draft::{Draft, DraftStep};
use super::error::Unreadable;

/// How many places in an answer are tried as the beginning of its JSON.
const MOST_BEGINNINGS: usize = 32;
/// How many objects deep a plan may be wrapped.
const MOST_WRAPPERS: usize = 4;

const STEPS_KEYS: &[&str] = &["plan", "steps", "subtasks", "tasks"];
const RATIONALE_KEYS: &[&str] = &["rationale", "reasoning", "explanation"];
const CONFIDENCE_KEYS: &[&str] = &["confidence", "confidencescore"];
const NUMBER_KEYS: &[&str] = &["step", "stepnumber", "number", "stepid", "id", "index"];
const ACTION_KEYS: &[&str] = &["action", "description", "task", "instruction", "title", "name"];
const ARM_KEYS: &[&str] = &["requiredarm", "arm", "armid", "assignedarm", "agent", "assignedto"];
const CRITERIA_KEYS: &[&str] = &["acceptancecriteria", "criteria", "successcriteria"];
const NEEDS_KEYS: &[&str] = &["dependson", "dependencies", "deps", "requires", "prerequisites"];
const COST_KEYS: &[&str] = &["estimatedcosttier", "costtier", "estimatedcost", "cost"];
const SECONDS_KEYS: &[&str] = &[
    "estimateddurationseconds",
    "durationseconds",
    "estimatedduration",
    "estimatedseconds",
    "duration",
    "seconds",
];

/// Reads the plan in an LLM's answer.
///
/// # Errors
/// When there is none in it.
pub fn read(answer: &str) -> Result<Draft, Unreadable> {
    if let Ok(written) = serde_json::from_str::<Written>(answer) {
        return Ok(written.into());
    }
    if answer.trim().is_empty() {
        return Err(Unreadable::Empty);
    }
    let answer = without_reasoning(answer);
    let mut outcome = Unreadable::NotJson;
    let mut skip_to = 0;
    let beginnings = answer.char_indices().filter(|(_, c)| matches!(c, '{' | '['));
    let mut tried = 0;
    for (at, _) in beginnings {
        if at < skip_to {
            continue;
        }
        if tried == MOST_BEGINNINGS {
            break;
        }
        tried += 1;
        let mut values = serde_json::Deserializer::from_str(&answer[at..]).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            skip_to = at + values.byte_offset();
            if let Some(draft) = draft_in(&value, MOST_WRAPPERS) {
                return Ok(draft);
            }
            outcome = Unreadable::NoSteps;
        }
    }
    Err(outcome)
}

/// The answer as it was asked for.
#[derive(Deserialize)]
struct Written {
    plan: Vec<WrittenStep>,
    rationale: Option<String>,
    confidence: Option<f64>,
}

#[derive(Deserialize)]
struct WrittenStep {
    step: i64,
    action: String,
    required_arm: String,
    acceptance_criteria: Vec<String>,
    depends_on: Vec<i64>,
    estimated_cost_tier: Option<f64>,
    estimated_duration_seconds: Option<f64>,
}

impl From<Written> for Draft {
    fn from(written: Written) -> Self {
        let steps = written.plan.into_iter().map(|step| DraftStep {
            number: Some(step.step),
            action: step.action,
            arm: step.required_arm,
            criteria: step.acceptance_criteria,
            depends_on: step.depends_on.into_iter().map(Some).collect(),
            cost_tier: step.estimated_cost_tier,
            seconds: step.estimated_duration_seconds,
        });
        Self { steps: steps.collect(), rationale: written.rationale, confidence: written.confidence }
    }
}

/// What follows the last reasoning block, or all of it where that would leave nothing.
fn without_reasoning(answer: &str) -> &str {
    ["</think>", "</thinking>", "</reasoning>"]
        .iter()
        .filter_map(|end| answer.rfind(end).map(|at| &answer[at + end.len()..]))
        .min_by_key(|rest| rest.len())
        .filter(|rest| rest.contains(['{', '[']))
        .unwrap_or(answer)
}

/// The draft in `value`, which may be wrapped in up to `wrappers` objects.
fn draft_in(value: &Value, wrappers: usize) -> Option<Draft> {
    match value {
        Value::Array(items) => {
            let steps: Vec<DraftStep> = items.iter().filter_map(step_in).collect();
            (!steps.is_empty()).then_some(Draft { steps, ..Draft::default() })
        }
        Value::Object(object) if wrappers > 0 => {
            let named = field(object, STEPS_KEYS).into_iter();
            let mut draft = named
                .chain(object.values().filter(|value| value.is_object()))
                .find_map(|inner| draft_in(inner, wrappers - 1))?;
            draft.rationale = draft.rationale.or_else(|| text(field(object, RATIONALE_KEYS)?));
            draft.confidence = draft.confidence.or_else(|| fraction(field(object, CONFIDENCE_KEYS)?));
            Some(draft)
        }
        // JSON inside a JSON string.
        Value::String(inner) if wrappers > 0 && inner.contains(['{', '[']) => {
            draft_in(&serde_json::from_str(inner).ok()?, wrappers - 1)
        }
        _ => None,
    }
}

fn step_in(value: &Value) -> Option<DraftStep> {
    let object = value.as_object()?;
    let number = field(object, NUMBER_KEYS);
    let action = field(object, ACTION_KEYS)
        // `"step": "Write the tests"`
        .or_else(|| number.filter(|value| value.is_string() && whole(value).is_none()));
    let arm = field(object, ARM_KEYS);
    let criteria = field(object, CRITERIA_KEYS);
    if action.is_none() && arm.is_none() && criteria.is_none() {
        return None;
    }
    Some(DraftStep {
        number: number.and_then(whole),
        action: action.and_then(text).unwrap_or_default(),
        arm: arm.and_then(text).unwrap_or_default(),
        criteria: criteria.map(texts).unwrap_or_default(),
        depends_on: field(object, NEEDS_KEYS).map(numbers).unwrap_or_default(),
        cost_tier: field(object, COST_KEYS).and_then(number_in),
        seconds: field(object, SECONDS_KEYS).and_then(seconds),
    })
}

/// The value under the first of `names` that is there and not null, however the key is spelled.
fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| {
        object.iter().find(|(key, value)| !value.is_null() && is_key(key, name)).map(|(_, value)| value)
    })
}

/// Whether `key` is `name` but for case and separators (`stepNumber`, `Step Number`, `step_number`).
fn is_key(key: &str, name: &str) -> bool {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).eq(name.chars())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A list of texts, of which one alone may stand without its list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect(),
    }
}

/// Step numbers as a list, one alone, or in words (`"1, 2"`, `"step 1"`, `"none"`).
fn numbers(value: &Value) -> Vec<Option<i64>> {
    match value {
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::String(text) => text
            .split([',', ';'])
            .filter(|part| part.contains(|c: char| c.is_ascii_digit()))
            .map(|part| whole(&Value::String(part.to_owned())))
            .collect(),
        Value::Number(_) => vec![whole(value)],
        _ => Vec::new(),
    }
}

/// A whole number: `3`, `3.0`, `"3"`, `"step 3"`, `{"step": 3}`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Object(object) => {
            field(object, NUMBER_KEYS).filter(|inner| !inner.is_object()).and_then(whole)
        }
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix(|c: char| c.is_ascii_alphabetic()).map_or(text, |rest| {
                rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || " _-#".contains(c))
            });
            digits.trim_start_matches('#').parse().ok()
        }
        other => {
            let number = other.as_f64()?;
            (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
        }
    }
}

/// A number, or the one that a text begins with (`"3"`, `"45.5 s"`).
fn number_in(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => split_number(text).map(|(number, _)| number),
        other => other.as_f64(),
    }
}

/// A duration in seconds: `90`, `"90"`, `"90 s"`, `"2 minutes"`.
fn seconds(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let (number, unit) = split_number(text)?;
    Some(
        number
            * match unit.trim_start().chars().next().map(|c| c.to_ascii_lowercase()) {
                Some('m') if !unit.trim_start().to_ascii_lowercase().starts_with("ms") => 60.0,
                Some('h') => 3_600.0,
                Some('d') => 86_400.0,
                _ => 1.0,
            },
    )
}

/// A probability: `0.8`, `"0.8"`, `"80%"`.
fn fraction(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => {
            let (number, rest) = split_number(text)?;
            Some(if rest.trim_start().starts_with('%') { number / 100.0 } else { number })
        }
        other => other.as_f64(),
    }
}

fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = r#"{"step":1,"action":"Do it","required_arm":"coder","acceptance_criteria":["done"],
        "depends_on":[],"estimated_cost_tier":2,"estimated_duration_seconds":30}"#;

    fn read_one(answer: &str) -> DraftStep {
        let draft = read(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(draft.steps.len(), 1, "{answer}");
        draft.steps.into_iter().next().expect("one step")
    }

    #[test]
    fn what_stands_around_the_json_is_read_past() {
        let plan = format!(r#"{{"plan":[{STEP}],"rationale":"because","confidence":0.8}}"#);
        let clean = read(&plan).expect("clean");
        for answer in [
            format!("```json\n{plan}\n```"),
            format!("Here is [your] plan {{as asked}}:\n{plan}\nGood luck!"),
            format!("<think>Maybe {{\"plan\": []}}? No.</think>{plan}"),
            format!("\u{feff}{plan}"),
            format!(r#"{{"result":{{"data":{plan}}}}}"#),
            serde_json::json!({ "plan": plan }).to_string(),
        ] {
            assert_eq!(read(&answer).as_ref(), Ok(&clean), "{answer}");
        }
    }

    #[test]
    fn a_bare_list_of_steps_is_a_plan_without_rationale() {
        let draft = read(&format!("[{STEP}]")).expect("a plan");
        assert_eq!((draft.steps.len(), draft.rationale, draft.confidence), (1, None, None));
    }

    #[test]
    fn keys_have_other_names_and_values_other_forms() {
        let step = read_one(
            r#"{"steps":[{"stepNumber":"Step 3","description":"Do it","ARM ID":"coder","criteria":"done",
                "dependencies":"1, step 2","costTier":"2","estimated_duration":"1.5 minutes"}],
                "reasoning":"because","confidence":"80%"}"#,
        );
        assert_eq!(
            step,
            DraftStep {
                number: Some(3),
                action: "Do it".into(),
                arm: "coder".into(),
                criteria: vec!["done".into()],
                depends_on: vec![Some(1), Some(2)],
                cost_tier: Some(2.0),
                seconds: Some(90.0),
            }
        );
    }

    #[test]
    fn null_lists_are_empty_and_unreadable_dependencies_are_kept_as_such() {
        let step = read_one(
            r#"[{"step":"Write it","arm":"coder","acceptance_criteria":null,"depends_on":[1.5,{"step":2},"x"]}]"#,
        );
        assert_eq!((step.number, step.action.as_str()), (None, "Write it"));
        assert_eq!(step.criteria, Vec::<String>::new());
        assert_eq!(step.depends_on, vec![None, Some(2), None]);
        assert_eq!((step.cost_tier, step.seconds), (None, None));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_reason() {
        for (answer, why) in [
            ("  \n", Unreadable::Empty),
            ("I cannot help with that.", Unreadable::NotJson),
            ("{\"plan\": [", Unreadable::NotJson),
            ("{\"answer\": 42}", Unreadable::NoSteps),
            ("[1, 2, 3]", Unreadable::NoSteps),
        ] {
            assert_eq!(read(answer), Err(why), "{answer}");
        }
        assert_eq!(read(&"[".repeat(100_000)), Err(Unreadable::NotJson));
        assert_eq!(read(&"{\"a\":".repeat(10_000)), Err(Unreadable::NotJson));
    }

    #[test]
    fn an_empty_plan_is_a_plan_with_too_few_steps() {
        assert_eq!(read(r#"{"plan":[],"rationale":"x","confidence":1}"#).map(|d| d.steps.len()), Ok(0));
    }
}
