//! Reading a plan out of what an LLM says.
//!
//! Strictly first, so that clean answers cost one pass. Then tolerantly: reasoning blocks, fences and
//! prose around the JSON (`decode`, [`read`]), JSON that is broken (`lenient`), wrappers (`locate`), other names for
//! keys and other shapes of steps (`keys`, `steps`, `columns`), references to steps in words (`references`),
//! dependencies next to the steps (`edges`), numbers in words (`values`, `probability`), lists as texts (`lists`).
//! None of that is a repair: the plan is what the LLM said. Whatever an answer says about steps is used, or is a [`Doubt`].
//!
//! Crates that repair JSON were tried on the answers in `tests/corpus`: of those that neither panic nor overflow
//! the stack nor take quadratic time, the best reads nine tenths of the broken ones, cuts texts short at
//! inner quotes, and takes three times as long for malicious input as we allow ourselves.

mod arm_names;
mod columns;
mod decode;
mod doubt;
mod earlier;
mod edges;
pub mod incremental;
mod keys;
mod lenient;
mod lists;
mod locate;
mod probability;
mod references;
mod several;
mod steps;
mod unique;
mod values;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::draft::{Draft, DraftStep};
use super::error::ParseError;
use crate::domain::arms::ArmRegistry;
use crate::text::is_blank;
use arm_names::ArmNames;
use decode::{decoded, without_reasoning};
pub use doubt::Doubt;
use lenient::{Document, MAX_PIECES, NoDocument, read_at};
use locate::{Content, Proposal};
use several::announces_a_better_one;
pub use several::read_several;
use unique::UniqueValue;

/// How many places in an answer may turn out not to be the beginning of JSON.
const MAX_FALSE_BEGINNINGS: usize = 16;
/// How many bytes may be read from false beginnings, one inside the other, before the rest is given up.
const MAX_WASTED_BYTES: usize = 128 * 1024;
/// How often broken JSON is skipped as not being JSON; after that it is read tolerantly at once.
const MAX_BROKEN: usize = 3;
/// How many objects and lists in an answer are looked into.
const MAX_DOCUMENTS: usize = 256;

/// A plan as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What was said.
    pub draft: Draft,
    /// What is open in it: the draft has the likeliest reading.
    pub doubts: Vec<Doubt>,
    /// Whether it was said as it was asked for.
    pub is_strict: bool,
}

/// Reads the plan in an LLM's answer, for any arms.
///
/// # Errors
/// When there is none in it.
pub fn read(answer: &str) -> Result<Reading, ParseError> {
    match read_strictly(answer) {
        Some(reading) => Ok(reading),
        None => read_tolerantly(answer, &ArmNames::default()),
    }
}

/// The same where the arms are known: a key whose values are their names says who does a step.
///
/// # Errors
/// When there is no plan in it.
pub fn read_for(answer: &str, registry: &ArmRegistry) -> Result<Reading, ParseError> {
    match read_strictly(answer) {
        Some(reading) => Ok(reading),
        None => read_tolerantly(answer, &ArmNames::new(registry)),
    }
}

fn read_strictly(answer: &str) -> Option<Reading> {
    let plan: StrictPlan = serde_json::from_str(answer).ok()?;
    let criteria = plan.plan.iter().flat_map(|step| &step.acceptance_criteria);
    if criteria.into_iter().any(|criterion| holds_list(criterion)) || begins_with_placeholder(&plan.plan) {
        return None;
    }
    Some(Reading { draft: plan.into(), doubts: Vec::new(), is_strict: true })
}

/// Whether the first step has a number for no dependencies.
fn begins_with_placeholder(steps: &[StrictStep]) -> bool {
    steps.first().is_some_and(|step| step.depends_on.iter().any(|number| *number < 0))
}

/// Whether a text is framed like markup or a list.
fn holds_list(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>') || text.starts_with('[') && text.ends_with(']')
}

fn read_tolerantly(answer: &str, arms: &ArmNames) -> Result<Reading, ParseError> {
    let answer = without_reasoning(answer.trim_start_matches('\u{feff}')).trim();
    if answer.is_empty() {
        return Err(ParseError::Empty);
    }
    let (draft, doubts) = find_plan(answer, arms)?;
    Ok(Reading { draft, doubts, is_strict: false })
}

/// Candidates found in an answer so far.
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
struct Findings<'a> {
    arms: &'a ArmNames,
    /// The last plan whose steps all have an action, an arm and criteria.
    complete: Option<Proposal>,
    /// The last plan.
    any: Option<Proposal>,
    /// Separate steps, one after the other.
    loose: Vec<Value>,
    /// What else is said.
    rest: Value,
    /// Whether it is JSON at all.
    has_json: bool,
    is_cut: bool,
    /// Whether something of it is left out or unreadable.
    is_lossy: bool,
    /// Whether a brace is closed before the first step that was not opened.
    lacks_beginning: bool,
    /// Whether the last plan differs from one before it, and nothing says that it replaces that one.
    is_ambiguous: bool,
    /// Places that looked like the beginning of JSON and were none.
    false_beginnings: usize,
}

fn find_plan(answer: &str, arms: &ArmNames) -> Result<Proposal, ParseError> {
    let is_json = serde_json::from_str::<IgnoredAny>(answer).is_ok();
    let answer = &*decoded(answer);
    let mut found = Findings {
        arms,
        complete: None,
        any: None,
        loose: Vec::new(),
        rest: Value::Null,
        has_json: is_json,
        is_cut: false,
        is_lossy: false,
        lacks_beginning: false,
        is_ambiguous: false,
        false_beginnings: 0,
    };
    let (mut wasted, mut broken, mut pieces) = (0, 0, 0);
    let (mut at, mut ended) = (0, 0);
    for _ in 0..MAX_DOCUMENTS {
        let Some(ahead) = answer[at..].find(['{', '[']) else { break };
        found.lacks_beginning |= found.loose.is_empty() && answer[at..at + ahead].contains('}');
        at += ahead;
        let valid = if broken < MAX_BROKEN { valid_at(answer, at) } else { None };
        broken += usize::from(valid.is_none());
        match valid.map_or_else(|| read_at(answer, at), Ok) {
            Ok(document) => {
                let before = &answer[ended..at];
                at = document.end.max(at + 1);
                ended = document.end;
                pieces += document.pieces;
                found.look_into(document, before);
                if pieces > MAX_PIECES {
                    break;
                }
            }
            Err(NoDocument { to, is_broken }) => {
                found.is_lossy |= is_broken;
                found.false_beginnings += 1;
                wasted += to - at;
                if found.false_beginnings == MAX_FALSE_BEGINNINGS || wasted > MAX_WASTED_BYTES {
                    break;
                }
                // Fragments of broken JSON are not documents of their own.
                at = if is_broken { to } else { at + 1 };
            }
        }
    }
    found.plan()
}

/// The object or list at `at` if it is JSON.
fn valid_at(answer: &str, at: usize) -> Option<Document> {
    // Looked over before anything is built of it, as most of what comes here is broken.
    let mut values = serde_json::Deserializer::from_str(&answer[at..]).into_iter::<&RawValue>();
    let (value, pieces) = value_of(values.next()?.ok()?.get())?;
    let end = at + values.byte_offset();
    Some(Document { value, end, is_cut: false, is_abridged: false, pieces })
}

/// The value of valid JSON and about how many values it is made of; none when there are too many.
fn value_of(json: &str) -> Option<(Value, usize)> {
    let pieces = json.bytes().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count();
    if pieces > MAX_PIECES {
        return None;
    }
    let UniqueValue(value) = serde_json::from_str(json).ok()?;
    Some((value, pieces))
}

impl Findings<'_> {
    /// Takes from a document, and from the text before it, what they say about the plan.
    fn look_into(&mut self, document: Document, before: &str) {
        let content = locate::content_of(&document.value, self.arms);
        self.has_json |= document.value.is_object() || content != Content::Other;
        match content {
            _ if document.is_abridged => self.is_lossy = true,
            Content::Abridged => self.is_lossy = true,
            Content::Plan(proposal) => {
                if is_complete(&proposal.0) {
                    let differs = |(earlier, _): &Proposal| earlier.steps != proposal.0.steps;
                    if self.complete.as_ref().is_some_and(differs) {
                        self.is_ambiguous = !announces_a_better_one(before);
                    }
                    self.complete = Some(proposal);
                } else if !proposal.0.steps.is_empty() || self.any.is_none() {
                    self.any = Some(proposal);
                }
            }
            Content::Step if !document.is_cut => self.loose.push(document.value),
            Content::Other if !document.is_cut && locate::is_rest(&document.value) => {
                self.rest = document.value;
            }
            Content::Step | Content::Other => self.is_cut |= document.is_cut,
        }
    }

    fn plan(self) -> Result<Proposal, ParseError> {
        if let Some((draft, mut doubts)) = self.complete {
            if self.is_ambiguous || self.loose.iter().any(|step| !locate::repeats_a_step(&draft, step)) {
                doubts.push(Doubt::UnusedSteps);
            }
            return Ok((draft, doubts));
        }
        if self.is_lossy {
            return Err(ParseError::NotJson);
        }
        if self.is_cut {
            return Err(ParseError::Truncated);
        }
        if let Some(proposal) = self.any {
            return Ok(proposal);
        }
        if self.lacks_beginning && !self.loose.is_empty() {
            return Err(ParseError::NoBeginning);
        }
        // Of steps on their own, one that cannot be read would not be missed.
        let is_whole =
            |(draft, _): &Proposal| self.false_beginnings == 0 && is_complete(draft) && is_gapless(draft);
        locate::plan_of(&self.loose, &self.rest, self.arms).filter(is_whole).ok_or(if self.has_json {
            ParseError::NoSteps
        } else {
            ParseError::NotJson
        })
    }
}

fn is_complete(draft: &Draft) -> bool {
    let says_all = |step: &DraftStep| {
        !is_blank(&step.action) && !step.arm.is_empty() && step.criteria.iter().any(|c| !is_blank(c))
    };
    !draft.steps.is_empty() && draft.steps.iter().all(says_all)
}

/// Whether the steps' numbers, where they have some, leave none out.
fn is_gapless(draft: &Draft) -> bool {
    let mut numbers: Vec<i64> = draft.steps.iter().filter_map(|step| step.number).collect();
    numbers.sort_unstable();
    numbers.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) <= 1)
}

/// The answer as it was asked for, with nothing else in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictPlan {
    plan: Vec<StrictStep>,
    rationale: String,
    confidence: f64,
    /// Only when they were asked for.
    #[serde(default)]
    open_questions: Vec<String>,
    /// Figures of a response, which are computed and not taken from anybody.
    #[serde(default, rename = "complexity_score")]
    _complexity_score: IgnoredAny,
    #[serde(default, rename = "total_estimated_duration")]
    _total_estimated_duration: IgnoredAny,
}

/// Every field is required: where one is missing, it may be there under another name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictStep {
    step: i64,
    action: String,
    required_arm: String,
    acceptance_criteria: Vec<String>,
    depends_on: Vec<i64>,
    estimated_cost_tier: f64,
    estimated_duration_seconds: f64,
}

impl From<StrictPlan> for Draft {
    fn from(plan: StrictPlan) -> Self {
        let steps = plan.plan.into_iter().map(|step| DraftStep {
            number: Some(step.step),
            action: step.action,
            arm: step.required_arm,
            criteria: step.acceptance_criteria,
            depends_on: step.depends_on.into_iter().map(Some).collect(),
            cost_tier: Some(step.estimated_cost_tier),
            seconds: Some(step.estimated_duration_seconds),
        });
        Self {
            steps: steps.collect(),
            nulls: Vec::new(),
            rationale: Some(plan.rationale),
            confidence: Some(plan.confidence),
            open_questions: plan.open_questions,
            unused: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = r#"{"step":1,"action":"Do it","required_arm":"coder","acceptance_criteria":["done"],
        "depends_on":[],"estimated_cost_tier":2,"estimated_duration_seconds":30}"#;

    fn draft(answer: &str) -> Result<Draft, ParseError> {
        read(answer).map(|reading| reading.draft)
    }

    fn read_one(answer: &str) -> DraftStep {
        let draft = draft(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(draft.steps.len(), 1, "{answer}");
        draft.steps.into_iter().next().expect("one step")
    }

    #[test]
    fn text_around_the_json_is_skipped() {
        let plan = format!(r#"{{"plan":[{STEP}],"rationale":"because","confidence":0.8}}"#);
        let clean = draft(&plan).expect("clean");
        for answer in [
            format!("```json\n{plan}\n```"),
            format!("Here is [your] plan {{as asked}}:\n{plan}\nGood luck!"),
            format!("<think>Maybe {{\"plan\": []}}? No.</think>{plan}"),
            format!("\u{feff}{plan}"),
            format!(r#"{{"result":{{"data":{plan}}}}}"#),
            serde_json::json!({ "plan": plan }).to_string(),
        ] {
            assert_eq!(draft(&answer).as_ref(), Ok(&clean), "{answer}");
        }
    }

    #[test]
    fn a_bare_list_of_steps_is_a_plan_without_rationale() {
        let read = draft(&format!("[{STEP}]")).expect("a plan");
        assert_eq!((read.steps.len(), read.rationale, read.confidence), (1, None, None));
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
        assert_eq!((step.number, step.action.as_str()), (Some(1), "Write it"), "a name is number enough");
        assert_eq!(step.criteria, Vec::<String>::new());
        assert_eq!(step.depends_on, vec![None, Some(2), None]);
        assert_eq!((step.cost_tier, step.seconds), (None, None));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_reason() {
        for (answer, why) in [
            ("  \n", ParseError::Empty),
            ("I cannot help with that.", ParseError::NotJson),
            ("{\"plan\": [", ParseError::Truncated),
            ("{\"answer\": 42}", ParseError::NoSteps),
            ("[1, 2, 3]", ParseError::NoSteps),
        ] {
            assert_eq!(draft(answer), Err(why), "{answer}");
        }
        assert_eq!(draft(&"[".repeat(100_000)), Err(ParseError::NotJson));
        assert_eq!(draft(&"{\"a\":".repeat(10_000)), Err(ParseError::NotJson));
    }

    #[test]
    fn steps_on_their_own_of_which_one_is_missing_are_no_plan() {
        let numbered = |number: i64| STEP.replacen(r#""step":1"#, &format!(r#""step":"{number}""#), 1);
        let lines = |numbers: [i64; 2]| numbers.map(numbered).join("\n");
        assert_eq!(draft(&lines([1, 2])).map(|draft| draft.steps.len()), Ok(2));
        for numbers in [[1, 3], [i64::MIN, i64::MAX]] {
            assert_eq!(draft(&lines(numbers)), Err(ParseError::NoSteps), "{numbers:?}");
        }
    }

    #[test]
    fn an_empty_plan_is_a_plan_with_too_few_steps() {
        assert_eq!(draft(r#"{"plan":[],"rationale":"x","confidence":1}"#).map(|d| d.steps.len()), Ok(0));
    }
}
