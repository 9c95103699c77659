//! Plans for arms of which nothing is known but names, descriptions and perhaps types: each part of the goal goes to
//! the arms that fit its text best.

use crate::domain::arms::{Arm, ArmQuery, ArmRegistry, RankedArm, fold_name};
use crate::text::{fold, shorten};

use super::arms::Intent;
use super::compose::Task;
use super::lexicon::{Lexicon, is_one_of};
use super::objects::capitalised;
use super::reading::Kind;
use super::timing::usual_seconds;
use super::vocabulary::{JOINING, ORDERING, SPEAKERS, STATING};
use super::wording::FACETS;

/// Relevance below which an arm has nothing to do with a part.
const LEAST_RELEVANCE: f32 = 1.6;
/// Further arms for the same part are at least so relevant beside the best one.
const SHARE_OF_BEST: f32 = 0.85;
/// A part may need one arm, and one more for each so many words.
const WORDS_PER_ARM: usize = 6;
/// Longest part of a goal in one action, in characters, and longest quotation that is looked through.
const ACTION_CHARS: usize = 300;
const QUOTATION_CHARS: usize = 2_000;
/// More parts of one goal are not read.
const MOST_PARTS: usize = 64;
/// What is shorter before a full stop is an abbreviation ("No.", "Mr.") or a number, in characters.
const SHORTEST_LAST_WORD: usize = 3;

/// One use of an arm.
#[derive(Debug)]
struct ToolUse<'a> {
    text: &'a str,
    arm: RankedArm<'a>,
    /// It only turns what one arm makes into what the next one needs.
    converts: bool,
}

/// The work that a goal asks for.
pub(super) struct ToolPlan {
    pub tasks: Vec<Task>,
    /// Parts that no arm fits.
    pub unmatched: usize,
    /// Parts that some arm fits.
    pub matched: usize,
}

/// Tasks for `goal`, `fewest` to `most` of them; `None` where no arm has anything to do with it.
pub(super) fn plan(
    goal: &str,
    registry: &ArmRegistry,
    lexicon: &Lexicon,
    (fewest, most): (usize, usize),
) -> Option<ToolPlan> {
    let masked = without_quotations(goal);
    let mut uses: Vec<ToolUse<'_>> = Vec::new();
    let mut aside: Vec<(usize, &str)> = Vec::new();
    let (mut unmatched, mut matched) = (0, 0);
    for part in parts(goal, &masked).into_iter().take(MOST_PARTS) {
        let chosen = if states(part.masked, lexicon) {
            Vec::new()
        } else {
            arms_for(part.masked, registry, lexicon, &uses)
        };
        if chosen.is_empty() {
            unmatched += usize::from(!states(part.masked, lexicon));
            aside.push((uses.len().saturating_sub(1), part.text));
            continue;
        }
        matched += 1;
        for arm in chosen {
            if uses.iter().all(|used| used.arm.place != arm.place) {
                uses.push(ToolUse { text: part.text, arm, converts: false });
            }
        }
    }
    if uses.is_empty() {
        let arm = registry.best_arms(&masked).into_iter().find(|ranked| !ranked.arm.verifies())?;
        uses.push(ToolUse { text: goal, arm, converts: false });
        aside.clear();
    }
    convert(&masked, registry, &mut uses);
    let mut tasks = tasks(&uses, lexicon, most);
    for (at, text) in aside {
        let last = tasks.len() - 1;
        let criterion = format!("Takes into account: “{}”", shorten(&super::tidy(text), ACTION_CHARS));
        let task = &mut tasks[at.min(last)];
        if !task.criteria.contains(&criterion) {
            task.criteria.push(criterion);
        }
    }
    fill(&mut tasks, fewest);
    Some(ToolPlan { tasks, unmatched, matched })
}

/// The arms that do `text`, in the order in which they are needed: what finds things comes before what uses them.
fn arms_for<'a>(
    text: &str,
    registry: &'a ArmRegistry,
    lexicon: &Lexicon,
    before: &[ToolUse<'a>],
) -> Vec<RankedArm<'a>> {
    let producers: Vec<&Arm> = before.last().map(|used| used.arm.arm).into_iter().collect();
    let query = ArmQuery { action: text, producers: &producers, ..ArmQuery::default() };
    let does_work = |ranked: &RankedArm<'_>| !ranked.arm.verifies();
    let ranked: Vec<RankedArm<'_>> = registry.best_arms_for(&query).into_iter().filter(does_work).collect();
    let least = ranked.first().map_or(0.0, |best| best.score * SHARE_OF_BEST).max(LEAST_RELEVANCE);
    let most = 1 + text.split_whitespace().count() / WORDS_PER_ARM;
    let mut chosen: Vec<RankedArm<'_>> =
        ranked.into_iter().take(most).filter(|arm| arm.score >= least).collect();
    let finds =
        |arm: &Arm| fold_name(&arm.id).split(' ').any(|word| lexicon.verb(word) == Some(Intent::Gather));
    chosen.sort_by_key(|ranked| !finds(ranked.arm));
    chosen
}

/// Puts an arm between two where that turns what the first makes into what the second needs.
fn convert<'a>(goal: &str, registry: &'a ArmRegistry, uses: &mut Vec<ToolUse<'a>>) {
    if !registry.has_types() {
        return;
    }
    let ranked = registry.best_arms(goal);
    let mut at = 1;
    while at < uses.len() {
        let (before, arm) = (uses[at - 1].arm.arm, uses[at].arm.arm);
        let is_fed = arm.inputs.is_empty() || uses[..at].iter().any(|earlier| earlier.arm.arm.feeds(arm));
        let between = ranked.iter().find(|other| {
            !is_fed
                && before.feeds(other.arm)
                && other.arm.feeds(arm)
                && uses.iter().all(|used| used.arm.place != other.place)
        });
        if let Some(between) = between {
            uses.insert(at, ToolUse { text: "", arm: *between, converts: true });
            at += 1;
        }
        at += 1;
    }
}

/// The tasks of these uses, `most` at most.
fn tasks(uses: &[ToolUse<'_>], lexicon: &Lexicon, most: usize) -> Vec<Task> {
    let mut kept: Vec<usize> = (0..uses.len()).collect();
    // Beyond the limit, what fits best stays; the text of others goes to the task before it.
    kept.sort_by(|a, b| uses[*b].arm.score.total_cmp(&uses[*a].arm.score).then(a.cmp(b)));
    kept.truncate(most.max(1));
    kept.sort_unstable();
    let mut tasks: Vec<Task> = Vec::with_capacity(kept.len());
    let mut arms: Vec<&Arm> = Vec::with_capacity(kept.len());
    for (place, used) in uses.iter().enumerate() {
        let text = capitalised(&shorten(&super::tidy(used.text), ACTION_CHARS));
        if kept.binary_search(&place).is_err() {
            if let Some(last) = tasks.last_mut()
                && !used.converts
                && !last.action.contains(&text)
            {
                last.action = format!("{}; {text}", last.action);
            }
            continue;
        }
        let arm = used.arm.arm;
        let action = match arms.last() {
            Some(before) if used.converts => {
                format!(
                    "Turn the {} of the step before into {} with {}",
                    before.outputs.join(", "),
                    arm.outputs.join(", "),
                    arm.id
                )
            }
            _ if tasks.iter().any(|task| task.action == text) => format!("{text} (with {})", arm.id),
            _ => text.clone(),
        };
        let lead = lexicon.lead(&fold(used.text)).and_then(|(_, senses)| senses.verb);
        let intent = lead.unwrap_or(Intent::Think);
        let needs = arms
            .iter()
            .rposition(|before| before.feeds(arm) || !knows_types(before, arm))
            .into_iter()
            .collect();
        tasks.push(Task {
            seconds: usual_seconds(intent, Kind::Plain, used.text.split_whitespace().count()),
            criteria: vec![
                format!("{} returned a result without an error", arm.id),
                if used.converts {
                    format!("The result is {}", arm.outputs.join(", "))
                } else {
                    format!("The result does what was asked: “{text}”")
                },
            ],
            action,
            intent,
            kind: Kind::Plain,
            arm: used.arm.place,
            needs,
            is_part: true,
        });
        arms.push(arm);
    }
    tasks
}

/// Whether both say what they make and need.
fn knows_types(before: &Arm, after: &Arm) -> bool {
    !before.outputs.is_empty() && !after.inputs.is_empty()
}

/// Adds looks at the work until there are `fewest` tasks.
fn fill(tasks: &mut Vec<Task>, fewest: usize) {
    let work = tasks.len();
    for index in 0..fewest.saturating_sub(work) {
        let (place, round) = (index % work, index / work);
        let (intent, lead, criterion) = FACETS[round % FACETS.len()];
        let action = format!("{lead} step {} (“{}”)", place + 1, shorten(&tasks[place].action, 90));
        tasks.push(Task {
            action,
            intent,
            kind: Kind::Plain,
            arm: tasks[place].arm,
            criteria: vec![criterion.into(), "What came of it is written down".into()],
            needs: vec![place],
            seconds: usual_seconds(intent, Kind::Plain, 8),
            is_part: false,
        });
    }
}

/// The last task, which waits for what nothing else waits for.
pub(super) fn closing(verifier: usize, goal: &str, tasks: &[Task]) -> Task {
    let is_leaf = |at: &usize| !tasks.iter().any(|task| task.needs.contains(at));
    Task {
        action: format!("Verify that the whole result does what was asked: “{goal}”"),
        intent: Intent::Check,
        kind: Kind::Plain,
        arm: verifier,
        criteria: vec![
            "The result as a whole does what was asked".into(),
            "Every acceptance criterion of the earlier steps is met, or its failure is reported".into(),
        ],
        needs: (0..tasks.len()).filter(is_leaf).collect(),
        seconds: usual_seconds(Intent::Check, Kind::Plain, 8),
        is_part: false,
    }
}

/// A part of a goal, as it stands there and without what is quoted in it.
struct Part<'a> {
    text: &'a str,
    masked: &'a str,
}

/// The parts of `goal` between full stops, commas and joining words; `masked` is as long.
fn parts<'a>(goal: &'a str, masked: &'a str) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut push = |from: usize, to: usize| {
        let text = goal[from..to].trim();
        if text.chars().any(char::is_alphanumeric) {
            parts.push(Part { text, masked: masked[from..to].trim() });
        }
    };
    let ends_word = |rest: &str| rest.chars().next().is_none_or(char::is_whitespace);
    let mut word = 0;
    for (at, c) in masked.char_indices() {
        let behind = at + c.len_utf8();
        let rest = &masked[behind..];
        if c == ' ' {
            // "and", "then": what follows is another part.
            if is_one_of(&masked[word..at], JOINING) || is_one_of(&masked[word..at], ORDERING) {
                push(start, word);
                start = behind;
            }
            word = behind;
            continue;
        }
        let ends = match c {
            '\n' | ';' | '。' | '，' | '、' | '；' | '！' | '？' => true,
            ',' | '!' | '?' | ':' => ends_word(rest),
            '.' => {
                let last = masked[start..at].rsplit(char::is_whitespace).next().unwrap_or_default();
                ends_word(rest) && !last.contains('.') && last.chars().count() >= SHORTEST_LAST_WORD
            }
            _ => false,
        };
        if ends {
            push(start, at);
            (start, word) = (behind, behind);
        }
    }
    push(start.min(goal.len()), goal.len());
    parts
}

/// Whether `text` only says how things are ("I have an image").
fn states(text: &str, lexicon: &Lexicon) -> bool {
    let folded = fold(text);
    let mut words = folded.split(' ');
    let (Some(subject), Some(verb)) = (words.next(), words.next()) else { return false };
    is_one_of(subject, SPEAKERS)
        && (is_one_of(verb, STATING) || matches!(verb, "ve" | "m" | "am"))
        && !lexicon.at(&folded).is_some_and(|(_, senses)| senses.lead_in)
}

/// `text` with spaces for what is quoted in it, byte for byte as long.
fn without_quotations(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, ' ');
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        let closing = match c {
            '"' => Some('"'),
            '“' => Some('”'),
            '«' => Some('»'),
            '‘' => Some('’'),
            '「' => Some('」'),
            '\'' if !before.is_alphanumeric() => Some('\''),
            _ => None,
        };
        let end = closing.and_then(|closing| {
            let mut inside = behind.char_indices().take(QUOTATION_CHARS);
            // An apostrophe within a word closes nothing.
            inside.find_map(|(at, c)| {
                let end = at + c.len_utf8();
                (c == closing && !behind[end..].starts_with(|c: char| c.is_alphanumeric() && closing == '\''))
                    .then_some(end)
            })
        });
        let taken = c.len_utf8() + end.unwrap_or(0);
        if end.is_some() {
            masked.extend(std::iter::repeat_n(' ', taken));
        } else {
            masked.push(c);
        }
        (before, rest) = (c, &rest[taken..]);
    }
    masked
}
