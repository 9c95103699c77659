//! Steps of a plan that is still being written.
//!
//! One pass over the text as it comes: it only tells where an object in a list of steps ends. What is
//! between its braces is read as any step is. Time grows with the length of the text alone, and what is
//! kept of it is at most one step. Where the form of the plan is not plain (other quotes, encoded twice), nothing is found.

use serde_json::Value;

use super::decode::REASONING;
use super::earlier::EarlierSteps;
use super::keys;
use super::lenient::{Document, read_at};
use super::valid_at;
use crate::planner::draft::DraftStep;

/// Objects and lists inside each other beyond which nothing more is found.
const MAX_DEPTH: usize = 32;
/// The longest step that is found; usual ones are a fiftieth.
const MAX_STEP_BYTES: usize = 16 * 1024;
/// No key that matters is longer.
const MAX_KEY_BYTES: usize = 40;

/// An answer that is read while it grows.
#[derive(Debug)]
pub struct IncrementalParser {
    beginning: Beginning,
    open: Vec<Open>,
    string: InString,
    /// The text of the last string.
    key: Vec<u8>,
    /// The state of an object that may be a step, and how many brackets were open before it.
    step: Option<(usize, Vec<u8>)>,
    earlier: EarlierSteps,
    has_found: bool,
    max_steps: usize,
    is_over: bool,
}

/// What comes before the answer.
#[derive(Debug)]
enum Beginning {
    /// The beginning may turn out to be a tag.
    Unclear(String),
    /// Reasoning up to this tag, with the number of its bytes that have arrived.
    Reasoning(&'static str, usize),
    /// Nothing more: the answer itself follows.
    Answer,
}

/// A bracket that has not been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Object {
        /// The last key is one of a list of steps.
        at_steps: bool,
        /// Some key is one that only steps have.
        is_step: bool,
    },
    List {
        of_steps: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InString {
    No,
    Yes,
    Escaped,
}

impl IncrementalParser {
    /// An answer that has not started to arrive, with at most `max_steps` steps.
    pub fn new(max_steps: usize) -> Self {
        Self::for_replan(Vec::new(), max_steps)
    }

    /// The same for the new steps of a plan in which the steps with these numbers, ascending, are done.
    pub(in crate::planner) fn for_replan(done: Vec<u32>, max_steps: usize) -> Self {
        Self {
            beginning: Beginning::Unclear(String::new()),
            open: Vec::new(),
            string: InString::No,
            key: Vec::new(),
            step: None,
            earlier: EarlierSteps::for_replan(done),
            has_found: false,
            max_steps,
            is_over: max_steps == 0,
        }
    }

    /// Takes more of the answer: the steps that are whole with it. Each has its place in the list as its
    /// number, and depends on places: among the numbers that finished steps leave free.
    pub fn push(&mut self, piece: &str) -> Vec<DraftStep> {
        let mut steps = Vec::new();
        if self.is_over {
            return steps;
        }
        let held;
        let mut rest = piece.as_bytes();
        if let Beginning::Unclear(begun) = &mut self.beginning {
            begun.push_str(piece);
            held = std::mem::take(begun);
            rest = self.begin(held.trim_start_matches('\u{feff}').trim_start());
        }
        if let Beginning::Reasoning(..) = self.beginning {
            rest = self.past_reasoning(rest);
        }
        for &byte in rest {
            steps.extend(self.byte(byte));
            if self.is_over {
                break;
            }
        }
        steps
    }

    /// Whether the answer begins with reasoning, as soon as that is clear: what remains to be read of `begun`.
    fn begin<'a>(&mut self, begun: &'a str) -> &'a [u8] {
        if let Some((begin, end)) = REASONING.iter().find(|(begin, _)| begun.starts_with(begin)) {
            self.beginning = Beginning::Reasoning(end, 0);
            &begun.as_bytes()[begin.len()..]
        } else if REASONING.iter().any(|(begin, _)| begin.starts_with(begun)) {
            self.beginning = Beginning::Unclear(begun.to_owned());
            &[]
        } else {
            self.beginning = Beginning::Answer;
            begun.as_bytes()
        }
    }

    /// What follows the tag at the end of the reasoning.
    fn past_reasoning<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let Beginning::Reasoning(tag, matched) = &mut self.beginning else { return text };
        for (at, &byte) in text.iter().enumerate() {
            // `<` is at the beginning of a tag and nowhere else in it.
            *matched = match byte {
                byte if byte == tag.as_bytes()[*matched] => *matched + 1,
                b'<' => 1,
                _ => 0,
            };
            if *matched == tag.len() {
                self.beginning = Beginning::Answer;
                return &text[at + 1..];
            }
        }
        &[]
    }

    fn byte(&mut self, byte: u8) -> Option<DraftStep> {
        self.keep(byte);
        match (self.string, byte) {
            (InString::Escaped, _) => self.string = InString::Yes,
            (InString::Yes, b'\\') => self.string = InString::Escaped,
            (InString::Yes, b'"') => self.string = InString::No,
            (InString::Yes, byte) => {
                if self.key.len() < MAX_KEY_BYTES {
                    self.key.push(byte);
                }
            }
            (InString::No, b'"') => {
                self.string = InString::Yes;
                self.key.clear();
            }
            (InString::No, b':') => self.end_key(),
            (InString::No, b'{') => self.open_object(),
            (InString::No, b'[') => self.open_list(),
            (InString::No, b'}') => return self.close(|open| matches!(open, Open::Object { .. })),
            (InString::No, b']') => return self.close(|open| matches!(open, Open::List { .. })),
            (InString::No, _) => {}
        }
        None
    }

    fn keep(&mut self, byte: u8) {
        if let Some((_, text)) = &mut self.step {
            text.push(byte);
            if text.len() > MAX_STEP_BYTES {
                self.step = None;
            }
        }
    }

    fn end_key(&mut self) {
        if let Some(Open::Object { at_steps, is_step }) = self.open.last_mut() {
            let key = std::str::from_utf8(&self.key).unwrap_or_default();
            *at_steps = keys::is_one_of(key, keys::STEPS);
            *is_step |=
                [keys::ARM, keys::CRITERIA, &["action"]].iter().any(|names| keys::is_one_of(key, names));
            self.key.clear();
        }
    }

    fn open_object(&mut self) {
        if self.open.last() == Some(&Open::List { of_steps: true }) {
            self.step = Some((self.open.len(), vec![b'{']));
        }
        self.open(Open::Object { at_steps: false, is_step: false });
    }

    fn open_list(&mut self) {
        let of_steps = match self.open.last() {
            None => true,
            Some(Open::Object { at_steps, .. }) => *at_steps && !self.is_in_step(),
            Some(Open::List { .. }) => false,
        };
        if of_steps {
            // The object around this list is not a step.
            self.step = None;
        }
        self.open(Open::List { of_steps });
    }

    /// Whether what is open is known to be a step, whose lists are its own.
    fn is_in_step(&self) -> bool {
        let outermost = self.step.as_ref().and_then(|(depth, _)| self.open.get(*depth));
        matches!(outermost, Some(Open::Object { is_step: true, .. }))
    }

    fn open(&mut self, open: Open) {
        self.open.push(open);
        self.is_over |= self.open.len() > MAX_DEPTH;
    }

    /// Closes a bracket of a kind. Where another would have to be closed first, it is not clear any more what
    /// belongs to which step.
    fn close(&mut self, is_kind: fn(&Open) -> bool) -> Option<DraftStep> {
        let open = self.open.pop()?;
        if !is_kind(&open) {
            self.is_over = true;
            return None;
        }
        let mut step = None;
        if let Some((depth, text)) = self.step.take() {
            if self.open.len() > depth {
                self.step = Some((depth, text));
            } else {
                step = self.read(&text);
            }
        }
        if self.open.is_empty() {
            // The first list of steps is read; in another one numbers start again.
            self.is_over |= self.has_found;
            self.earlier = EarlierSteps::default();
        }
        step
    }

    fn read(&mut self, text: &[u8]) -> Option<DraftStep> {
        let text = std::str::from_utf8(text).ok()?;
        let document = valid_at(text, 0).or_else(|| read_at(text, 0).ok());
        let is_whole = |document: &Document| !document.is_cut && !document.is_abridged;
        // Unreadable steps keep their place, too.
        let value = document.filter(is_whole).map_or(Value::Null, |document| document.value);
        let step = self.earlier.followed_by(&value);
        self.has_found |= step.is_some();
        self.is_over |= self.earlier.count() == self.max_steps;
        step
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What each step does and needs.
    fn found(answer: &str) -> Vec<(String, Vec<i64>)> {
        let steps = IncrementalParser::new(7).push(answer).into_iter();
        steps.map(|step| (step.action, step.depends_on.into_iter().flatten().collect())).collect()
    }

    fn step(number: impl Into<Value>, action: &str, needs: impl Into<Value>) -> Value {
        json!({"step": number.into(), "action": action, "required_arm": "coder",
            "acceptance_criteria": [{"criterion": "{done}"}, "a \\\"] b"], "depends_on": needs.into()})
    }

    fn steps() -> Vec<Value> {
        vec![
            step(1, "Gather [all]", json!([])),
            step(2, "Write \"it\" }", vec![1]),
            step(3, "Test", vec![1, 2]),
        ]
    }

    #[test]
    fn a_step_is_found_when_its_last_brace_comes() {
        let answer = json!({"plan": steps(), "rationale": "x", "confidence": 0.9}).to_string();
        let mut parser = IncrementalParser::new(7);
        let mut numbers = Vec::new();
        for (at, c) in answer.char_indices() {
            for step in parser.push(&c.to_string()) {
                assert_eq!(c, '}');
                assert!(answer[..=at].ends_with(&steps()[numbers.len()].to_string()), "{}", &answer[..=at]);
                numbers.push(step.number);
            }
        }
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn steps_are_found_wherever_a_plan_is_plainly_written() {
        let wanted = [("Gather [all]", vec![]), ("Write \"it\" }", vec![1]), ("Test", vec![1, 2])];
        let wanted: Vec<_> = wanted.into_iter().map(|(action, needs)| (action.to_owned(), needs)).collect();
        let plan = json!({"plan": steps(), "confidence": 0.9});
        let phases = json!({"phases": [{"name": "One", "steps": [steps()[0]]}, {"name": "Two", "steps": steps()[1..]}]});
        let named = [
            json!({"id": "gather", "title": "Gather [all]", "agent": "retriever", "criteria": "x"}),
            json!({"id": "write", "title": "Write \"it\" }", "agent": "coder", "criteria": "x", "deps": "gather"}),
            json!({"id": "test", "title": "Test", "agent": "coder", "criteria": "x", "after": ["write", "gather"]}),
        ];
        let tens = [
            step(10, "Gather [all]", json!(null)),
            step("step 20", "Write \"it\" }", "10"),
            step(30, "Test", "all previous"),
        ];
        for answer in [
            plan.to_string(),
            json!(steps()).to_string(),
            json!([plan]).to_string(),
            json!({"result": {"Sub Tasks": steps()}}).to_string(),
            json!({"action": "plan", "steps": steps()}).to_string(),
            phases.to_string(),
            json!({ "plan": tens }).to_string(),
            format!("\u{feff} <think>First [{{\"step\"</thin </think>\n{plan}"),
            format!("Here is [your] plan:\n```json\n{plan:#}\n```\n{plan}"),
            format!("{{\"plan\":[ /* as asked */ {},{},{},]", steps()[0], steps()[1], steps()[2]),
        ] {
            assert_eq!(found(&answer), wanted, "{answer}");
        }
        let named = found(&json!({ "tasks": named }).to_string());
        assert_eq!(named.last().map(|(_, needs)| needs.as_slice()), Some(&[2, 1][..]));
    }

    #[test]
    fn what_a_step_has_in_lists_is_no_step() {
        let mut first = step(1, "Gather", json!([]));
        first["steps"] = json!(steps());
        first["acceptance_criteria"] = json!([{"action": "look", "arm": "coder", "criteria": "x"}]);
        assert_eq!(found(&json!({ "plan": [first] }).to_string()), [], "and it waits for the plan");
    }

    #[test]
    fn nothing_is_found_where_nothing_is_plain_or_too_much() {
        let quoted = json!({"plan": steps()}).to_string();
        for answer in [
            json!(quoted).to_string(),
            quoted.replace('"', "'"),
            format!("<think>{quoted}"),
            format!("{}{quoted}", "[".repeat(40)),
            json!({"plan": [{"note": 1}, "Gather"]}).to_string(),
            json!({"plan": [step(1, &"x".repeat(MAX_STEP_BYTES), json!([]))]}).to_string(),
        ] {
            assert_eq!(found(&answer), [], "{answer}");
        }
        let many: Vec<Value> = (1..=50).map(|number| step(number, "Again", json!([]))).collect();
        assert_eq!(found(&json!(many).to_string()).len(), 7);
    }

    #[test]
    fn a_step_that_cannot_be_read_keeps_its_place() {
        let answer = format!("[{}, {{\"step\": 2, \"action\": ...}}, {}]", steps()[0], steps()[2]);
        let places: Vec<_> =
            IncrementalParser::new(7).push(&answer).into_iter().map(|step| step.number).collect();
        assert_eq!(places, [Some(1), Some(3)]);
    }
}
