//! Which arm a name means: by the name as long as that says enough, then by what the arms do.

use std::collections::HashMap;

use super::names::{bare, find_words, fold_name, joined, typing_errors};
use super::relevance::{Query, Relevance};
use super::{Arm, ArmRegistry};
use crate::text::is_blank;

/// The weight of the name relative to the step's text.
const NAME_WEIGHT: f32 = 3.0;
const ACTION_WEIGHT: f32 = 1.0;
/// The factor on a score for each neighbour whose type does not fit.
const MISFIT: f32 = 0.6;
/// The best match is clear when it is ahead of the second by this share of its score.
const CLEAR_MARGIN: f32 = 0.2;
/// And its least relevance: that of a rare word of the step that is in the arm's name.
const CLEAR_SCORE: f32 = 1.0;
/// Below this, arms share only some letters with a step, and do not count as fitting.
const FAINT_SCORE: f32 = 0.5;
/// How many candidates are named.
const MAX_CANDIDATES: usize = 3;
/// Minimum share of an arm's name that a name within it must cover, in percent of its characters.
const CONTAINED_PERCENT: usize = 50;

/// How an arm was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedBy {
    /// The id in another case, with other separators, accents or affixes.
    Id,
    /// One of its aliases.
    Alias,
    /// One of its capabilities.
    Capability,
    /// The id or an alias with a typing error.
    Spelling,
    /// The name contains the id or an alias, or is contained in it.
    Part,
    /// What the arm does.
    Relevance,
}

/// What an arm's name is understood by.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArmQuery<'a> {
    /// The arm as it was named.
    pub name: &'a str,
    /// The text of the step.
    pub action: &'a str,
    /// The arms of the steps whose results the step takes, where they are known.
    pub producers: &'a [&'a Arm],
    /// The arms of the steps that take its result, where they are known.
    pub consumers: &'a [&'a Arm],
}

/// The arm that a name means.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution<'a> {
    /// The exact id.
    Exact(&'a Arm),
    /// One arm is clearly meant.
    Found(&'a Arm, MatchedBy),
    /// None is; the best candidates, best first: at most three, and none where nothing points to any arm.
    Unclear(Vec<&'a Arm>),
}

/// An arm, and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedArm<'a> {
    /// The arm.
    pub arm: &'a Arm,
    /// Its place in the registry.
    pub place: usize,
    /// Above 0: about how many rare words of the text are in the arm's name.
    pub score: f32,
    /// Whether they share a word, and not only groups of characters.
    pub has_word: bool,
}

/// What names are looked up in; built once for a registry.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// The folded names of each arm: its id, then its aliases.
    names: Vec<Vec<String>>,
    /// Places of arms by their names, capabilities included, in one word; with and without affixes.
    by_name: HashMap<String, Vec<(usize, MatchedBy)>>,
    relevance: Relevance,
}

impl Index {
    fn new(arms: &[Arm]) -> Self {
        let mut by_name: HashMap<String, Vec<(usize, MatchedBy)>> = HashMap::new();
        let mut add = |name: &str, at: usize, how: MatchedBy| {
            for key in [joined(name), joined(bare(name))] {
                let arms = by_name.entry(key).or_default();
                if !arms.contains(&(at, how)) {
                    arms.push((at, how));
                }
            }
        };
        let mut names = Vec::with_capacity(arms.len());
        for (at, arm) in arms.iter().enumerate() {
            let own: Vec<String> =
                std::iter::once(&arm.id).chain(&arm.aliases).map(|name| fold_name(name)).collect();
            for (place, name) in own.iter().enumerate() {
                add(name, at, if place == 0 { MatchedBy::Id } else { MatchedBy::Alias });
            }
            for capability in &arm.capabilities {
                add(&fold_name(capability), at, MatchedBy::Capability);
            }
            names.push(own);
        }
        Self { names, by_name, relevance: Relevance::new(arms) }
    }

    /// The arms that `name` may mean on its own, found in the most reliable way that finds any.
    fn by_name(&self, name: &str) -> (Vec<usize>, MatchedBy) {
        let folded = fold_name(name);
        let names = [joined(&folded), joined(bare(&folded))];
        for name in names.iter().filter(|name| !name.is_empty()) {
            let known = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
            for how in [MatchedBy::Id, MatchedBy::Alias, MatchedBy::Capability] {
                let found: Vec<usize> =
                    known.iter().filter(|(_, by)| *by == how).map(|(at, _)| *at).collect();
                if !found.is_empty() {
                    return (found, how);
                }
            }
        }
        let misspelled = self.misspelled(&names[1]);
        if misspelled.is_empty() {
            (self.parts(bare(&folded)), MatchedBy::Part)
        } else {
            (misspelled, MatchedBy::Spelling)
        }
    }

    /// The arms with the fewest typing errors between the `joined` name and theirs.
    fn misspelled(&self, name: &str) -> Vec<usize> {
        let errors = |names: &Vec<String>| {
            names.iter().filter_map(|other| typing_errors(name, &joined(bare(other)))).min()
        };
        let found: Vec<(usize, usize)> =
            self.names.iter().enumerate().filter_map(|(at, names)| Some((errors(names)?, at))).collect();
        let fewest = found.iter().map(|(errors, _)| *errors).min();
        found.into_iter().filter(|(errors, _)| Some(*errors) == fewest).map(|(_, at)| at).collect()
    }

    /// The arms whose names are in the folded `name`, the longest at the first such place; else those whose
    /// names contain it.
    fn parts(&self, name: &str) -> Vec<usize> {
        let best_of = |names: &Vec<String>| {
            let found = names.iter().filter_map(|own| {
                let own = bare(own);
                Some((find_words(name, own)?, usize::MAX - own.len()))
            });
            found.min()
        };
        let within: Vec<((usize, usize), usize)> =
            self.names.iter().enumerate().filter_map(|(at, names)| Some((best_of(names)?, at))).collect();
        if let Some((best, _)) = within.iter().min() {
            return within.iter().filter(|(found, _)| found == best).map(|(_, at)| *at).collect();
        }
        let holds = |own: &String| {
            find_words(own, name).is_some()
                && name.chars().count() * 100 >= own.chars().count() * CONTAINED_PERCENT
        };
        (0..self.names.len()).filter(|at| self.names[*at].iter().any(holds)).collect()
    }

    /// The further arms whose names are in `name`, behind that of the arm `first`.
    fn named_behind(&self, first: usize, name: &str) -> Vec<usize> {
        let folded = fold_name(name);
        let name = bare(&folded);
        let end = |own: &String| Some(find_words(name, bare(own))? + bare(own).len());
        let Some(rest) = self.names[first].iter().find_map(end).map(|end| name[end..].trim()) else {
            return Vec::new();
        };
        let is_named = |at: &usize| self.names[*at].iter().any(|own| find_words(rest, bare(own)).is_some());
        (0..self.names.len()).filter(|at| *at != first && is_named(at)).collect()
    }
}

impl ArmRegistry {
    /// The arm that is meant by what was named.
    pub fn resolve<'a>(&'a self, query: &ArmQuery<'_>) -> Resolution<'a> {
        if let Some(arm) = self.get(query.name) {
            return Resolution::Exact(arm);
        }
        let index = self.index();
        let (named, how) = index.by_name(query.name);
        if let [only] = named.as_slice() {
            let others =
                if how == MatchedBy::Part { index.named_behind(*only, query.name) } else { Vec::new() };
            if others.is_empty() {
                return Resolution::Found(&self.arms[*only], how);
            }
            let all = std::iter::once(*only).chain(others).take(MAX_CANDIDATES);
            return Resolution::Unclear(all.map(|at| &self.arms[at]).collect());
        }
        // Among arms that the name fits alike, the rest of the step decides.
        let name = if named.is_empty() { query.name } else { "" };
        let mut ranked =
            self.rank(&ArmQuery { name, ..*query }, |at| named.is_empty() || named.contains(&at));
        ranked.retain(|ranked| ranked.score >= FAINT_SCORE);
        match ranked.as_slice() {
            [best, rest @ ..]
                if is_clear(best.score, rest.first().map_or(0.0, |next| next.score))
                    && best.has_word
                    && self.name_agrees(&ArmQuery { name, action: "", ..*query }, best)
                    && !(named.is_empty() && is_blank(name)) =>
            {
                Resolution::Found(best.arm, MatchedBy::Relevance)
            }
            [] => Resolution::Unclear(self.first_by_id(named)),
            _ => Resolution::Unclear(ranked.iter().take(MAX_CANDIDATES).map(|ranked| ranked.arm).collect()),
        }
    }

    /// Whether the name alone, if there is any, fits the arm that was found by name and text about as well as any
    /// other. A name that fits none, as one in another language, leaves the arm open: the text alone is often wrong.
    fn name_agrees(&self, name: &ArmQuery<'_>, found: &RankedArm<'_>) -> bool {
        if is_blank(name.name) {
            return true;
        }
        let by_name = self.best_arms_for(name);
        let Some(best) = by_name.first().filter(|best| best.score >= FAINT_SCORE) else { return false };
        let score =
            by_name.iter().find(|ranked| ranked.place == found.place).map_or(0.0, |ranked| ranked.score);
        best.score - score < CLEAR_MARGIN * best.score
    }

    /// The arm that `name` means on its own.
    pub fn named(&self, name: &str) -> Option<&Arm> {
        self.get(name).or_else(|| match self.index().by_name(name).0[..] {
            [only] => Some(&self.arms[only]),
            _ => None,
        })
    }

    /// Some of the arms at these places, in an order independent of the file.
    fn first_by_id(&self, places: Vec<usize>) -> Vec<&Arm> {
        let mut arms: Vec<&Arm> = places.into_iter().map(|at| &self.arms[at]).collect();
        arms.sort_by(|a, b| a.id.cmp(&b.id));
        arms.truncate(MAX_CANDIDATES);
        arms
    }

    /// The arms that fit `text`, best first.
    pub fn best_arms(&self, text: &str) -> Vec<RankedArm<'_>> {
        self.best_arms_for(&ArmQuery { action: text, ..ArmQuery::default() })
    }

    /// The arms that fit a step, best first, regardless of its arm's name.
    pub fn best_arms_for(&self, query: &ArmQuery<'_>) -> Vec<RankedArm<'_>> {
        self.rank(query, |_| true)
    }

    /// The arms that are `wanted` and fit `query` at all, best first, then by id.
    fn rank(&self, query: &ArmQuery<'_>, wanted: impl Fn(usize) -> bool) -> Vec<RankedArm<'_>> {
        let mut terms = Query::default();
        terms.add(query.action, ACTION_WEIGHT);
        terms.add(query.name, NAME_WEIGHT);
        let fits = self.index().relevance.fits(&terms);
        let arms = self.arms.iter().zip(fits).enumerate().filter(|(place, _)| wanted(*place));
        let mut ranked: Vec<RankedArm<'_>> = arms
            .map(|(place, (arm, fit))| {
                let score = fit.score * fit_of_types(arm, query);
                RankedArm { arm, place, score, has_word: fit.has_word }
            })
            .filter(|ranked| ranked.score > 0.0)
            .collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.arm.id.cmp(&b.arm.id)));
        ranked
    }

    /// Builds what names are looked up in, which otherwise happens when one is looked up first.
    pub fn prepare(&self) {
        self.index();
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.arms))
    }
}

/// Whether the best score is far enough ahead of the second.
fn is_clear(best: f32, second: f32) -> bool {
    best >= CLEAR_SCORE && best - second >= CLEAR_MARGIN * best
}

/// How well what `arm` takes and makes fits to its neighbours: 1 where it does or where that is not known.
fn fit_of_types(arm: &Arm, query: &ArmQuery<'_>) -> f32 {
    let takes = query.producers.is_empty() || query.producers.iter().any(|producer| producer.can_feed(arm));
    let gives = query
        .consumers
        .iter()
        .all(|consumer| arm.can_feed(consumer) || query.producers.iter().any(|other| other.feeds(consumer)));
    (if takes { 1.0 } else { MISFIT }) * if gives { 1.0 } else { MISFIT }
}
