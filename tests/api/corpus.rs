//! Every answer of `tests/corpus` comes to what its label says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use planner_arm::domain::SubTask;
use planner_arm::llm::Completion;
use serde::Deserialize;
use serde_json::json;

use crate::scripted_model::{ScriptedPlanner, completion, goal};
use crate::support::{FakeLlm, Reply, TestApp, good_plan};

/// One bad answer, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadAnswer {
    pub name: String,
    becomes: Becomes,
    #[serde(default)]
    repairs: Vec<String>,
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
    /// Each step as `arm [dependencies] cost tier, seconds`, where that is what the answer is about.
    #[serde(default)]
    steps: Vec<String>,
    /// The repairs of the plan that comes of it when the LLM, asked again, gives the same answer.
    repairs_if_repeated: Option<Vec<String>>,
    /// The steps of that plan.
    #[serde(default)]
    steps_if_repeated: Vec<String>,
    pub finish: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Becomes {
    /// The plan as the LLM said it.
    Used,
    /// That plan with these repairs.
    Repaired,
    /// The LLM is asked again for these reasons.
    AskedAgain,
    /// An error at once.
    Refused,
}

pub fn corpus() -> Vec<BadAnswer> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        answer: Vec<BadAnswer>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a text");
        toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).answer
    };
    paths.into_iter().flat_map(read).collect()
}

/// What the LLM is told about an answer, by reason.
const TOLD: [(&str, &str); 21] = [
    ("unknown_arm", "is not in the list of arms"),
    ("empty", "It was empty"),
    ("truncated", "It was cut off"),
    ("not_json", "It was not JSON"),
    ("no_steps", "had no list of steps"),
    ("too_few_steps", "are needed"),
    ("too_many_steps", "are allowed"),
    ("unverified", "did not verify"),
    ("cycle", "depend on each other"),
    ("repeated_action", "had the same action"),
    ("blank_action", "had no action"),
    ("no_criteria", "had no acceptance criteria"),
    ("example", "It was the example"),
    ("no_beginning", "Its beginning was missing"),
    ("no_dependencies", "No step said which steps it depends on"),
    ("missing_steps", "were missing"),
    ("unclear_edges", "Which steps depend on which"),
    ("unused_steps", "steps outside the list"),
    ("unclear_dependency", "depends on something that is not a step number"),
    ("unplaced_reference", "mentions a step that is not"),
    ("nested_steps", "had steps inside"),
];

/// What came of an answer, in the words of the labels.
async fn came_of(answer: &BadAnswer) -> String {
    let mut setup = ScriptedPlanner::answering(answer.text.as_str()).then(good_plan().to_string());
    match answer.finish.as_deref() {
        Some("length") => {
            let cut = Completion { truncated: true, ..completion(answer.text.as_str()) };
            setup.answers[0] = Ok(cut);
        }
        Some("content_filter") => return filtered(answer).await,
        Some(other) => panic!("{other} is no way to finish"),
        None => {}
    }
    let repeated = match &answer.repairs_if_repeated {
        Some(_) => repeated(answer).await,
        None => String::new(),
    };
    let (_, result, asked) = setup.run(&goal()).await;
    let (plan, repairs) = result.unwrap_or_else(|error| panic!("{}: {error}", answer.name));
    if asked.len() > 1 {
        let told = &asked[1].messages[asked[1].messages.len() - 1].content;
        let reason = |line: &str| {
            let known = TOLD.iter().find(|(_, words)| line.contains(words));
            known.unwrap_or_else(|| panic!("{}: {line}", answer.name)).0
        };
        let reasons: BTreeSet<&str> =
            told.lines().filter(|line| line.starts_with("- ")).map(reason).collect();
        return format!("AskedAgain {reasons:?}{repeated}");
    }
    let actions: Vec<_> = plan.plan.iter().map(|step| step.action.as_str()).collect();
    let codes: BTreeSet<_> = repairs.iter().map(|repair| repair.code.as_str()).collect();
    let steps: Vec<_> = plan.plan.iter().filter(|_| !answer.steps.is_empty()).map(shape).collect();
    let becomes = if codes.is_empty() { Becomes::Used } else { Becomes::Repaired };
    format!("{becomes:?} {codes:?} {actions:?} {steps:?}")
}

/// The plan that comes of an answer which the LLM repeats, however often it is asked.
async fn repeated(answer: &BadAnswer) -> String {
    let (plan, repairs) = ScriptedPlanner::answering(answer.text.as_str()).plan().await;
    let codes: BTreeSet<_> = repairs.iter().map(|repair| repair.code.as_str()).collect();
    let steps: Vec<_> =
        plan.plan.iter().filter(|_| !answer.steps_if_repeated.is_empty()).map(shape).collect();
    let halved = if plan.confidence <= 0.5 { "" } else { " at full confidence" };
    format!(", then {codes:?} {steps:?}{halved}")
}

fn shape(step: &SubTask) -> String {
    let SubTask { required_arm, depends_on, estimated_cost_tier, estimated_duration_seconds, .. } = step;
    format!("{required_arm} {depends_on:?} {estimated_cost_tier}, {estimated_duration_seconds}")
}

/// What comes of an answer that its server filtered, over a real connection.
async fn filtered(answer: &BadAnswer) -> String {
    let body = json!({"choices": [{"message": {"content": answer.text}, "finish_reason": answer.finish}]});
    let llm = FakeLlm::start([Reply::Body("application/json", body.to_string())]).await;
    let (status, problem) = TestApp::with_llm(&llm, &[]).await.refused(&json!({"goal": "Ship it"})).await;
    assert_eq!((status, &problem["code"], llm.calls().len()), (500, &json!("llm_failed"), 1), "{problem}");
    "Refused".into()
}

fn wanted(answer: &BadAnswer) -> String {
    let set = |words: &[String]| format!("{:?}", words.iter().collect::<BTreeSet<_>>());
    match answer.becomes {
        Becomes::Refused => "Refused".into(),
        Becomes::AskedAgain => {
            let repeated = answer.repairs_if_repeated.as_ref();
            let then =
                |repairs: &Vec<String>| format!(", then {} {:?}", set(repairs), answer.steps_if_repeated);
            format!("AskedAgain {}{}", set(&answer.reasons), repeated.map(then).unwrap_or_default())
        }
        becomes => format!("{becomes:?} {} {:?} {:?}", set(&answer.repairs), answer.actions, answer.steps),
    }
}

#[tokio::test]
async fn each_answer_has_the_labelled_outcome() {
    let corpus = corpus();
    assert!(corpus.len() >= 120, "{} answers", corpus.len());
    let mut wrong = String::new();
    for answer in &corpus {
        let (came, wanted) = (came_of(answer).await, wanted(answer));
        if came != wanted {
            let _ = writeln!(wrong, "{}\n  wanted {wanted}\n  came   {came}", answer.name);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{wrong}", wrong.matches("  wanted").count(), corpus.len());
}

#[test]
fn names_are_unique_and_every_label_occurs() {
    let corpus = corpus();
    let mut names: Vec<_> = corpus.iter().map(|answer| &answer.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), corpus.len());
    for becomes in [Becomes::Used, Becomes::Repaired, Becomes::AskedAgain, Becomes::Refused] {
        assert!(corpus.iter().any(|answer| answer.becomes == becomes), "{becomes:?}");
    }
}
