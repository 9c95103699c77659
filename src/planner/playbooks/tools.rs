//! Plans for arms that are known only by names, descriptions and perhaps types: each part of the goal goes to
//! the arms that fit its text best.

use crate::domain::PlanRules;
use crate::domain::arms::{Arm, ArmQuery, ArmRegistry, RankedArm};
use crate::text::shorten;

use super::arms::Staff;
use super::compose::{self, Node};
use super::language::Language;
use super::wording::{capitalized, one_line, quoted, without_quotations};

/// Relevance below which an arm has nothing to do with a part.
const LEAST_RELEVANCE: f32 = 1.6;
/// Least relevance of further arms for the same part, relative to the best one.
const SHARE_OF_BEST: f32 = 0.85;
/// A part may need one arm, and one more for each this many words.
const WORDS_PER_ARM: usize = 6;
/// Longest part of a goal in one action, in characters.
const ACTION_CHARS: usize = 300;
/// More parts of one goal are not read.
const MOST_PARTS: usize = 64;
/// What is shorter before a full stop is an abbreviation ("No.", "Mr.") or a number, in characters.
const SHORTEST_LAST_WORD: usize = 3;

/// How long the call of a tool takes, in seconds.
const TOOL_SECONDS: u32 = 60;

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
    pub(super) nodes: Vec<Node>,
    /// Parts that some arm fits.
    pub(super) matched: usize,
    /// Parts that no arm fits.
    pub(super) unmatched: usize,
}

/// The plan for `goal`; `None` where no arm has anything to do with it.
pub(super) fn plan(goal: &str, registry: &ArmRegistry, staff: &Staff, rules: &PlanRules) -> Option<ToolPlan> {
    let verifier = staff.verifier().filter(|_| rules.require_verification && rules.max_steps > 1);
    let fixed = usize::from(verifier.is_some());
    let masked = without_quotations(goal, false);
    let read = read(goal, &masked, registry);
    let (mut uses, mut aside) = (read.uses, read.aside);
    if uses.is_empty() {
        let arm = registry.best_arms(&masked).into_iter().find(|ranked| !ranked.arm.verifies())?;
        uses.push(ToolUse { text: goal, arm, converts: false });
        aside.clear();
    }
    convert(&masked, registry, &mut uses);
    let mut nodes = steps(&uses, staff, rules.max_steps - fixed);
    let last = nodes.len() - 1;
    for (at, text) in aside {
        nodes[at.min(last)].criteria.push(format!("Takes into account: {}", quoted(text)));
    }
    compose::fill(&mut nodes, rules.min_steps.saturating_sub(fixed), staff);
    if let Some(verifier) = verifier {
        compose::close(&mut nodes, verifier, rules.min_steps, true, goal, staff);
    }
    compose::distinct(&mut nodes);
    Some(ToolPlan { nodes, matched: read.matched, unmatched: read.unmatched })
}

/// What the parts of a goal need.
#[derive(Default)]
struct Reading<'a> {
    uses: Vec<ToolUse<'a>>,
    /// Parts without an arm, each with the place of the use before it.
    aside: Vec<(usize, &'a str)>,
    matched: usize,
    unmatched: usize,
}

fn read<'a>(goal: &'a str, masked: &'a str, registry: &'a ArmRegistry) -> Reading<'a> {
    let mut read = Reading::default();
    for part in parts(goal, masked).into_iter().take(MOST_PARTS) {
        let states = Language::get().states(part.masked);
        let chosen = if states { Vec::new() } else { arms_for(part.masked, registry, &read.uses) };
        if chosen.is_empty() {
            read.unmatched += usize::from(!states);
            read.aside.push((read.uses.len().saturating_sub(1), part.text));
            continue;
        }
        read.matched += 1;
        for arm in chosen {
            if read.uses.iter().all(|used| used.arm.place != arm.place) {
                read.uses.push(ToolUse { text: part.text, arm, converts: false });
            }
        }
    }
    read
}

/// The arms that do `text`, in the order needed: arms that find things come before arms that use them.
fn arms_for<'a>(text: &str, registry: &'a ArmRegistry, before: &[ToolUse<'a>]) -> Vec<RankedArm<'a>> {
    let producers: Vec<&Arm> = before.last().map(|used| used.arm.arm).into_iter().collect();
    let query = ArmQuery { action: text, producers: &producers, ..ArmQuery::default() };
    let does_work = |ranked: &RankedArm<'_>| !ranked.arm.verifies();
    let ranked: Vec<RankedArm<'_>> = registry.best_arms_for(&query).into_iter().filter(does_work).collect();
    let least = ranked.first().map_or(0.0, |best| best.score * SHARE_OF_BEST).max(LEAST_RELEVANCE);
    let most = 1 + text.split_whitespace().count() / WORDS_PER_ARM;
    let mut chosen: Vec<RankedArm<'_>> =
        ranked.into_iter().take(most).filter(|arm| arm.score >= least).collect();
    chosen.sort_by_key(|ranked| !Language::get().finds(&ranked.arm.id));
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

/// The steps of these uses, `most` at most.
fn steps(uses: &[ToolUse<'_>], staff: &Staff, most: usize) -> Vec<Node> {
    let mut kept: Vec<usize> = (0..uses.len()).collect();
    // Beyond the limit, what fits best stays; the text of others goes to the step before them, or else to the first.
    kept.sort_by(|a, b| uses[*b].arm.score.total_cmp(&uses[*a].arm.score).then(a.cmp(b)));
    kept.truncate(most.max(1));
    kept.sort_unstable();
    let mut nodes: Vec<Node> = Vec::with_capacity(kept.len());
    let mut arms: Vec<&Arm> = Vec::with_capacity(kept.len());
    let mut leading: Vec<String> = Vec::new();
    for (place, used) in uses.iter().enumerate() {
        let text = capitalized(&shorten(&one_line(used.text), ACTION_CHARS));
        if kept.binary_search(&place).is_err() {
            match nodes.last_mut() {
                _ if used.converts => {}
                Some(last) if last.action.contains(&text) => {}
                Some(last) => last.action = format!("{}; {text}", last.action),
                None => leading.push(text),
            }
            continue;
        }
        let arm = used.arm.arm;
        let outputs = arm.outputs.join(", ");
        let (action, result) = match arms.last() {
            Some(before) if used.converts => (
                format!(
                    "Turn the {} of the step before into {outputs} with {}",
                    before.outputs.join(", "),
                    arm.id
                ),
                format!("The result is {outputs}"),
            ),
            _ => {
                let is_taken = nodes.iter().any(|node| node.action == text);
                let action = if is_taken { format!("{text} (with {})", arm.id) } else { text.clone() };
                (action, format!("The result does what was asked: {}", quoted(used.text)))
            }
        };
        let criteria = vec![format!("{} returned a result without an error", arm.id), result];
        leading.push(action);
        let action = std::mem::take(&mut leading).join("; ");
        let mut node = Node::new(action, used.arm.place, criteria, TOOL_SECONDS, staff);
        node.is_core = true;
        let feeds = |before: &&Arm| before.feeds(arm) || !knows_types(before, arm);
        node.needs.extend(arms.iter().rposition(feeds));
        nodes.push(node);
        arms.push(arm);
    }
    nodes
}

/// Whether both say what they make and need.
fn knows_types(before: &Arm, after: &Arm) -> bool {
    !before.outputs.is_empty() && !after.inputs.is_empty()
}

/// A part of a goal, as written and without its quotations.
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
            if Language::get().breaks(&masked[word..at]) {
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
