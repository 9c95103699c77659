//! Whatever an LLM says is read in time that grows with its length alone, and never ends in a panic.

mod kinds;

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use planner_arm::planner::parse;
use planner_arm::planner::repair::{PlanRules, settle};
use planner_arm::registry::ArmRegistry;
use proptest::prelude::*;

use crate::corpus::corpus;
use crate::support::{assert_usually_sound, good_plan};

/// What an optimised build takes for 1 MiB at most, a hundredfold: these tests run unoptimised, beside others.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Longer texts by this much may take longer by five times as much.
const STEP_UP: usize = 8;

/// Reads, mends and checks an answer, and fails where a plan that comes out breaks a promise.
fn deal_with(answer: &str) -> Duration {
    let begun = Instant::now();
    let settled = parse::read(answer)
        .map(|reading| settle(reading.draft, &ArmRegistry::default(), &PlanRules::default()));
    let taken = begun.elapsed();
    match settled {
        Ok(Ok(plan)) => assert_usually_sound(&plan.into_response().0),
        Ok(Err(faults)) => assert!(!faults.is_empty()),
        Err(_) => {}
    }
    taken
}

fn quickest_of_three(answer: &str) -> Duration {
    (0..3).map(|_| deal_with(answer)).min().unwrap_or_default()
}

/// Fails where the time does not grow with the length alone.
fn takes_linear_time(name: &str, make: &kinds::Make) {
    let (short, long) = (make((1 << 20) / STEP_UP), make(1 << 20));
    // What takes less than this is measured too roughly, or was small enough to be read in another way.
    let most = |short: Duration| short.max(Duration::from_millis(5)) * STEP_UP as u32 * 5;
    let (of_short, of_long) = (deal_with(&short), deal_with(&long));
    assert!(of_long < MOST_TIME, "{name}, 1 MiB: {of_long:?}");
    if of_long > most(of_short) {
        let (of_short, of_long) = (quickest_of_three(&short), quickest_of_three(&long));
        assert!(of_long <= most(of_short), "{name}: 128 KiB {of_short:?}, 1 MiB {of_long:?}");
    }
}

#[test]
fn hostile_answers_take_time_that_grows_with_their_length_alone() {
    let kinds = Mutex::new(kinds::kinds().into_iter());
    let next = || kinds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((name, make)) = next() {
                    takes_linear_time(&name, &make);
                }
            });
        }
    });
}

#[test]
fn answers_that_repeat_themselves_are_dealt_with() {
    for answer in corpus().iter().filter(|answer| !answer.text.is_empty()) {
        let taken = deal_with(&kinds::run("", &answer.text, 1 << 20));
        assert!(taken < MOST_TIME, "{}: {taken:?}", answer.name);
    }
}

#[test]
fn a_plan_is_found_before_and_behind_junk() {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_dealt_with(text in "\\PC{0,300}") {
        deal_with(&text);
    }

    #[test]
    fn any_mix_of_pieces_is_dealt_with(pieces in proptest::collection::vec(piece(), 0..200)) {
        deal_with(&pieces.concat());
        deal_with(&format!("{{\"plan\":[{{\"action\":\"{}", pieces.concat()));
    }

    #[test]
    fn a_damaged_plan_is_sound_or_none(edits in proptest::collection::vec(edit(), 1..8)) {
        let mut text = good_plan().to_string().into_bytes();
        for (place, goes, comes) in edits {
            let at = (place * text.len() as f64) as usize;
            text.splice(at..(at + goes).min(text.len()), comes.into_bytes());
        }
        deal_with(&String::from_utf8_lossy(&text));
    }
}
