//! Whatever an LLM says is read in little time, and never ends in a panic.

mod kinds;

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use planner_arm::domain::PlanRules;
use planner_arm::domain::arms::ArmRegistry;
use planner_arm::planner::draft::DraftStep;
use planner_arm::planner::normalize::normalize;
use planner_arm::planner::parse;
use planner_arm::planner::parse::incremental::IncrementalParser;
use proptest::prelude::*;

use crate::corpus::corpus;
use crate::support::{assert_valid_by_default, good_plan, lock};
use kinds::Make;

/// What an optimised build takes for 1 MiB at most, a hundredfold: these tests run unoptimised, in parallel with others.
const MAX_TIME: Duration = Duration::from_secs(5);
/// How long answers are, in bytes.
const SHORT: usize = 128 * 1024;
const LONG: usize = 1024 * 1024;

/// Reads, normalizes and checks an answer, and fails where a plan that comes out breaks a promise.
fn deal_with(answer: &str) -> Duration {
    let begun = Instant::now();
    let settled = parse::read(answer)
        .map(|reading| normalize(reading.draft, &ArmRegistry::default(), &PlanRules::default()));
    let taken = begun.elapsed();
    let begun = Instant::now();
    assert!(grown(answer, 3).len() <= 7);
    let taken = taken.max(begun.elapsed());
    match settled {
        Ok(Ok(plan)) => assert_valid_by_default(&plan.into_response().0),
        Ok(Err(faults)) => assert!(!faults.is_empty()),
        Err(_) => {}
    }
    taken
}

/// The steps that are found while an answer grows by this many characters at a time.
fn grown(answer: &str, size: usize) -> Vec<DraftStep> {
    let mut parser = IncrementalParser::new(7);
    let mut steps = Vec::new();
    let mut rest = answer;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        steps.extend(parser.push(&rest[..end]));
        rest = &rest[end..];
    }
    steps
}

#[test]
fn malicious_answers_are_read_in_time() {
    read_each(kinds::kinds(), SHORT);
    read_each(repeated_corpus(), SHORT);
}

#[test]
#[ignore = "takes a minute; run by .ci/run"]
fn malicious_answers_of_a_megabyte_are_read_in_time() {
    read_each(kinds::kinds(), LONG);
    read_each(repeated_corpus(), LONG);
}

/// The answers of the corpus, each again and again.
fn repeated_corpus() -> Vec<(String, Make)> {
    let answers = corpus().into_iter().filter(|answer| !answer.text.is_empty());
    let repeated = answers.map(|answer| {
        let make: Make = Box::new(move |size| kinds::run("", &answer.text, size));
        (answer.name, make)
    });
    repeated.collect()
}

/// Reads an answer of each kind with this many bytes.
fn read_each(kinds: Vec<(String, Make)>, size: usize) {
    let kinds = Mutex::new(kinds.into_iter());
    let next = || lock(&kinds).next();
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((name, make)) = next() {
                    let taken = deal_with(&make(size));
                    assert!(taken < MAX_TIME, "{name}: {taken:?}");
                }
            });
        }
    });
}

#[test]
fn a_plan_is_found_before_and_after_junk() {
    let plan = good_plan().to_string();
    for answer in
        [format!("{plan}{}", ",}]\"'x ".repeat(1 << 17)), format!("{}{plan}", "x, 'y' ".repeat(1 << 17))]
    {
        let reading = parse::read(&answer).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reading.draft.steps.len(), 5);
    }
}

/// What LLMs drop, double or put where it does not belong.
fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "\"",
        "'",
        "`",
        "”",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        " ",
        "//",
        "/*",
        "#",
        "...",
        "null",
        "1",
        "\"\"\"",
        "\\u",
        "é",
        "\u{1f600}",
        "，",
    ])
}

/// A place in the text from 0 to 1, bytes that go, and what comes in their stead.
fn edit() -> impl Strategy<Value = (f64, usize, String)> {
    let comes = proptest::collection::vec(piece(), 0..3).prop_map(|pieces| pieces.concat());
    (0.0..1.0, prop_oneof![Just(0_usize), Just(1), 0..80_usize], comes)
}

/// `text` with these edits.
fn damaged(text: &str, edits: Vec<(f64, usize, String)>) -> String {
    let mut text = text.to_owned().into_bytes();
    for (place, goes, comes) in edits {
        let at = (place * text.len() as f64) as usize;
        text.splice(at..(at + goes).min(text.len()), comes.into_bytes());
    }
    String::from_utf8_lossy(&text).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in "\\PC{0,300}") {
        deal_with(&text);
    }

    #[test]
    fn any_mix_of_pieces_is_read(pieces in proptest::collection::vec(piece(), 0..200)) {
        deal_with(&pieces.concat());
        deal_with(&format!("{{\"plan\":[{{\"action\":\"{}", pieces.concat()));
    }

    #[test]
    fn splitting_an_answer_changes_no_step(
        place in 0.0..1.0, sizes in proptest::collection::vec(1..60_usize, 3),
        edits in proptest::collection::vec(edit(), 0..3),
    ) {
        let corpus = corpus();
        let text = &corpus[(place * corpus.len() as f64) as usize].text;
        for answer in [damaged(text, edits.clone()), damaged(&good_plan().to_string(), edits)] {
            let whole = IncrementalParser::new(7).push(&answer);
            for size in sizes.iter().copied().chain([1]) {
                prop_assert_eq!(&grown(&answer, size), &whole, "{}", &answer);
            }
        }
    }

    #[test]
    fn a_damaged_plan_is_valid_or_refused(edits in proptest::collection::vec(edit(), 1..8)) {
        deal_with(&damaged(&good_plan().to_string(), edits));
    }
}
