//! All playbooks, and which of them fits a text.

use std::cmp::Reverse;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use crate::domain::FieldError;
use crate::text::{fold, is_ideograph, nearest, shorten};

use super::acts::Acts;
use super::builtin;
use super::examples::Examples;
use super::format::{Match, Playbook, PlaybookStep};
use super::phrases::{PhraseMatches, PhraseSet, PhraseSetBuilder};

/// The name in a request that asks for no playbook.
pub const NO_PLAYBOOK: &str = "none";
/// The outline for what no other one fits.
pub(crate) const GENERAL_OUTLINE: &str = "outline-general";
/// A score below this is not a match.
const MIN_SCORE: usize = 5;
/// The same for a part of a goal that is not the first: what it is about may be known only from the parts before.
const MIN_LATER_SCORE: usize = 8;
/// The same for a part that names what it is about with a pronoun.
const MIN_REFERRING_SCORE: usize = 10;
/// Minimum score at which a playbook guides an LLM.
const GUIDING_SCORE: usize = 8;
/// What a keyword at the beginning adds.
const LEADING: usize = 6;
/// What keywords add at most where there are examples, which say more.
const MAX_KEYWORD_SCORE: usize = 10;
/// What likeness to examples adds, at a likeness of 1.
const LIKENESS_SCORE: f32 = 16.0;
/// The share of its score that a playbook has in a text that asks for something else than its examples.
const FOREIGN_ACT: f32 = 0.35;
/// What is added to the score that keywords give to own playbooks, if it is at least that of two words, and if it is less:
/// their owner has written them for the work at hand, and few examples.
const OWN: usize = 10;
const OWN_IF_UNCLEAR: usize = 4;
/// How much a score may be lower than the best and still be nearly as good.
const NEARLY: usize = 3;
/// The weight of a phrase that counts wherever it stands.
const CLEAR_WEIGHT: usize = 3;

/// Where a part of a goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// After others.
    Later,
    /// After others, and it names its object with a pronoun.
    Referring,
}

/// All playbooks.
pub struct Library {
    playbooks: Vec<Playbook>,
    /// Built when a text is matched for the first time: most commands match none.
    index: OnceLock<Index>,
}

/// What playbooks are found by.
struct Index {
    /// Of each playbook.
    entries: Vec<Entry>,
    phrases: PhraseSet,
    /// For each phrase, the places of the playbooks that have it as a keyword.
    by_keyword: Vec<Vec<usize>>,
    examples: Examples,
    acts: Acts,
}

/// The numbers of the phrases of a playbook.
#[derive(Debug)]
struct Entry {
    keywords: Vec<usize>,
    any_of: Vec<Vec<usize>>,
    none_of: Vec<usize>,
    /// For each step.
    when: Vec<Vec<usize>>,
    covers: Vec<Vec<usize>>,
}

/// The names alone: settings are logged.
impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.playbooks.iter().map(|playbook| &playbook.name)).finish()
    }
}

impl Default for Library {
    fn default() -> Self {
        Self::from_valid(builtin::playbooks().collect())
    }
}

impl Library {
    /// The playbooks that ship with the program.
    pub fn built_in() -> Arc<Self> {
        static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(Arc::default);
        LIBRARY.clone()
    }

    /// `own` playbooks, and the built-in ones whose names they do not have.
    ///
    /// # Errors
    /// Every fault of every playbook.
    pub fn with_own(own: Vec<Playbook>) -> Result<Self, Vec<String>> {
        let mut faults: Vec<String> = own.iter().flat_map(Playbook::faults).collect();
        for (index, playbook) in own.iter().enumerate() {
            if own[..index].iter().any(|earlier| earlier.name == playbook.name) {
                faults.push(format!("two playbooks have the name `{}`; rename one", playbook.name));
            }
        }
        let built_in: Vec<Playbook> = builtin::playbooks().collect();
        let outlines = built_in.iter().filter(|playbook| playbook.outline);
        for outline in
            outlines.filter(|outline| own.iter().any(|own| own.name == outline.name && !own.outline))
        {
            faults.push(format!("playbook `{}`: the built-in one of this name is an outline; set `outline: true`, or rename it", outline.name));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let replaced: Vec<String> = own.iter().map(|playbook| playbook.name.clone()).collect();
        let others = built_in.into_iter().filter(|playbook| !replaced.contains(&playbook.name));
        Ok(Self::from_valid(own.into_iter().chain(others).collect()))
    }

    fn from_valid(playbooks: Vec<Playbook>) -> Self {
        Self { playbooks, index: OnceLock::new() }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.playbooks))
    }

    /// Does now what the first match would have to wait for.
    pub fn prepare(&self) {
        self.index();
    }

    /// A hash of all playbooks, for cache keys.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.playbooks.hash(&mut hasher);
        hasher.finish()
    }

    /// All playbooks, those included that are only added to others.
    pub fn all(&self) -> Vec<&Playbook> {
        self.playbooks.iter().collect()
    }

    /// All playbooks that can be followed by themselves.
    pub fn playbooks(&self) -> impl Iterator<Item = &Playbook> {
        self.playbooks.iter().filter(|playbook| playbook.is_candidate())
    }

    /// The playbook of that name.
    pub fn named(&self, name: &str) -> Option<&Playbook> {
        self.playbooks().find(|playbook| playbook.name == name)
    }

    /// What is wrong with `name` as the playbook of a request.
    pub fn fault_of_name(&self, name: &str) -> Option<FieldError> {
        if name == NO_PLAYBOOK || self.named(name).is_some() {
            return None;
        }
        let names = self.playbooks().map(|playbook| playbook.name.as_str());
        let hint = nearest(name, names).map_or(String::new(), |known| format!("; did you mean `{known}`?"));
        let message = format!(
            "`{}` is not a playbook of this installation{hint} (GET /playbooks and `planner-arm playbooks` list them; \
             `none` means that none is followed)",
            shorten(name, 40)
        );
        Some(FieldError { field: "playbook".into(), message })
    }

    /// The playbook that fits `text` best and more than an `outline` for it, and whether its score is
    /// high enough to guide an LLM; `None` when none does.
    ///
    /// Single words in the bytes `aside` of `text` count only where neither the rest of it nor an outline points to a kind
    /// of work, and then only in `subject`, which is the text without times and reasons: a poem for the wedding is no
    /// wedding, and a repair before a journey is no journey.
    pub fn best(
        &self,
        text: &str,
        aside: Range<usize>,
        subject: &str,
        outline: &Playbook,
        place: Place,
    ) -> Option<(&Playbook, bool)> {
        let least = match place {
            Place::First => MIN_SCORE,
            Place::Later => MIN_LATER_SCORE,
            Place::Referring => MIN_REFERRING_SCORE,
        };
        // "…, and explain what each part does" is about the work before it.
        let is_later_question = |playbook: &Playbook| playbook.matches.starts_with && place != Place::First;
        let outweighs = |(playbook, score): &(&Playbook, usize)| {
            *score >= least + outline.matches.outweighs && !is_later_question(playbook)
        };
        let likeness = self.likeness(text, aside.clone());
        let to_the_point =
            self.ranked(Playbook::is_candidate, text, aside, &likeness).into_iter().next().filter(outweighs);
        let is_general = outline.name == GENERAL_OUTLINE;
        let beside = || if is_general { self.scored(subject).next().filter(outweighs) } else { None };
        to_the_point.or_else(beside).map(|(playbook, score)| (playbook, score >= GUIDING_SCORE))
    }

    /// The usual course of the kind of work that `text` asks for: the outline that fits it best, else the general one.
    pub fn outline(&self, text: &str) -> &Playbook {
        let is_special = |playbook: &Playbook| playbook.outline && playbook.name != GENERAL_OUTLINE;
        let best = self.ranked(is_special, text, 0..0, &[]).into_iter().next().map(|(playbook, _)| playbook);
        let general = || self.playbooks.iter().find(|playbook| playbook.name == GENERAL_OUTLINE);
        best.or_else(general).expect("built-in outlines can only be replaced")
    }

    /// The playbook that fits `text` so well that it may guide an LLM.
    pub fn guiding(&self, text: &str) -> Option<&Playbook> {
        self.scored(text).next().filter(|(_, score)| *score >= GUIDING_SCORE).map(|(playbook, _)| playbook)
    }

    /// The playbooks that fit `text` with their scores, the best first.
    pub fn scored(&self, text: &str) -> impl Iterator<Item = (&Playbook, usize)> {
        self.ranked(Playbook::is_candidate, text, 0..0, &self.likeness(text, text.len()..text.len()))
            .into_iter()
    }

    /// How like the examples of each playbook `text` is, whose bytes `aside` count less.
    fn likeness(&self, text: &str, aside: Range<usize>) -> Vec<f32> {
        let mut likeness = vec![0.0; self.playbooks.len()];
        let (main, beside) = match (text.get(..aside.start), text.get(aside)) {
            (Some(main), Some(beside)) if !main.trim().is_empty() => (main, beside),
            _ => (text, ""),
        };
        self.index().examples.like(main, beside).into_iter().for_each(|(place, like)| likeness[place] = like);
        likeness
    }

    /// Whether `playbook` fits `text` best or nearly so.
    pub fn fits_nearly_best(&self, playbook: &Playbook, text: &str) -> bool {
        let mut scored = self.scored(text).peekable();
        let best = scored.peek().map_or(0, |(_, score)| *score);
        scored.any(|(other, score)| other.name == playbook.name && score + NEARLY >= best)
    }

    fn ranked(
        &self,
        is_meant: fn(&Playbook) -> bool,
        text: &str,
        aside: Range<usize>,
        likeness: &[f32],
    ) -> Vec<(&Playbook, usize)> {
        let Index { entries, phrases, by_keyword, acts, .. } = self.index();
        let folded = fold(text);
        let found = phrases.find(&folded);
        let place_of = |end: usize| fold(text.get(..end).unwrap_or(text)).len();
        let aside = place_of(aside.start)..place_of(aside.end);
        let like = |place: usize| likeness.get(place).copied().unwrap_or_default();
        let is_question = text.trim_end().ends_with(['?', '？']);
        let weight = |number, at| match weight(phrases.phrase(number)) {
            0..CLEAR_WEIGHT if aside.contains(&at) => 0,
            weight => weight,
        };
        let mut has_keyword = vec![false; entries.len()];
        found.numbers().flat_map(|number| &by_keyword[number]).for_each(|&place| has_keyword[place] = true);
        let meant = self.playbooks.iter().zip(entries).enumerate().filter(|(place, (playbook, _))| {
            // Only a question can fit a playbook without any of its keywords or examples.
            is_meant(playbook) && (has_keyword[*place] || like(*place) > 0.0 || is_question)
        });
        let act = acts.of(&folded);
        let scored = meant.map(|(place, (playbook, entry))| {
            let score = entry.score(playbook, &found, is_question, like(place), weight) as f32;
            // The owner of a playbook knows what it is for.
            let act = act.filter(|_| playbook.built_in);
            let fit = act.map_or(1.0, |act| acts.fit(place, act));
            (playbook, (score * (FOREIGN_ACT + (1.0 - FOREIGN_ACT) * fit)).round() as usize)
        });
        let mut fitting: Vec<_> = scored.filter(|(_, score)| *score >= MIN_SCORE).collect();
        fitting.sort_by_key(|(_, score)| Reverse(*score));
        fitting
    }

    /// The phrases of playbooks in `text`.
    pub(crate) fn phrases_in(&self, text: &str) -> PhraseMatches {
        self.index().phrases.find(&fold(text))
    }

    /// For each step of `playbook`, whether it is for a text in which these phrases were found.
    pub(crate) fn applicable(&self, playbook: &Playbook, found: &PhraseMatches) -> Vec<bool> {
        let Some(entry) = self.entry(playbook) else { return vec![true; playbook.steps.len()] };
        entry.when.iter().map(|phrases| phrases.is_empty() || found.any(phrases)).collect()
    }

    /// The place of the step of `playbook` that does what a part of a goal asks for in which these phrases were found: the
    /// one with the longest of them.
    pub(crate) fn covering(&self, playbook: &Playbook, found: &PhraseMatches) -> Option<usize> {
        let longest = |numbers: &Vec<usize>| {
            found.among(numbers).map(|(number, _)| self.index().phrases.phrase(number).len()).max()
        };
        let lengths = self.entry(playbook)?.covers.iter().enumerate();
        let lengths = lengths.filter_map(|(place, phrases)| Some((longest(phrases)?, Reverse(place))));
        lengths.max().map(|(_, Reverse(place))| place)
    }

    fn entry(&self, playbook: &Playbook) -> Option<&Entry> {
        let place = self.playbooks.iter().position(|other| other.name == playbook.name)?;
        Some(&self.index().entries[place])
    }

    /// The steps that are added to plans of other playbooks where one of `texts` calls for them.
    pub fn addons(&self, texts: &[&str]) -> Vec<&PlaybookStep> {
        let Index { entries, phrases, .. } = self.index();
        let addons = self.playbooks.iter().zip(entries).filter(|(playbook, _)| playbook.addon);
        let found: Vec<PhraseMatches> = texts.iter().map(|text| phrases.find(&fold(text))).collect();
        let weight = |number, _| weight(phrases.phrase(number));
        let fits = |(playbook, entry): &(&Playbook, &Entry)| {
            found.iter().any(|found| entry.keyword_score(playbook, found, false, weight) > 0)
        };
        addons.filter(fits).filter_map(|(playbook, _)| playbook.steps.first()).collect()
    }
}

impl Index {
    fn new(playbooks: &[Playbook]) -> Self {
        let mut phrases = PhraseSetBuilder::default();
        let entries: Vec<Entry> =
            playbooks.iter().map(|playbook| Entry::new(playbook, &mut phrases)).collect();
        let mut outlines: Vec<&Playbook> = playbooks.iter().filter(|playbook| playbook.outline).collect();
        outlines.sort_by_key(|outline| !outline.matches.any_of.is_empty());
        let folded = |playbook: &Playbook| playbook.matches.examples.iter().map(|text| fold(text)).collect();
        let folded: Vec<Vec<String>> = playbooks.iter().map(folded).collect();
        let examples_of = || folded.iter().map(Vec::as_slice);
        // Every start of the service waits for these.
        let (examples, phrases, acts) = std::thread::scope(|scope| {
            let examples = scope.spawn(|| Examples::new(examples_of()));
            let (phrases, acts) = (phrases.build(), Acts::new(&outlines, examples_of()));
            (examples.join().expect("no panic"), phrases, acts)
        });
        let mut by_keyword = vec![Vec::new(); phrases.len()];
        for (place, entry) in entries.iter().enumerate() {
            entry.keywords.iter().for_each(|number| by_keyword[*number].push(place));
        }
        Self { entries, phrases, by_keyword, examples, acts }
    }
}

impl Entry {
    fn new(playbook: &Playbook, phrases: &mut PhraseSetBuilder) -> Self {
        let Match { keywords, any_of, none_of, .. } = &playbook.matches;
        Self {
            keywords: phrases.numbers(keywords),
            any_of: any_of.iter().map(|group| phrases.numbers(group)).collect(),
            none_of: phrases.numbers(none_of),
            when: playbook.steps.iter().map(|step| phrases.numbers(&step.when)).collect(),
            covers: playbook.steps.iter().map(|step| phrases.numbers(&step.covers)).collect(),
        }
    }

    /// How well `playbook` fits the text in which these phrases were found, by their `weight` at their places, and which
    /// is like its examples; 0: not at all.
    fn score(
        &self,
        playbook: &Playbook,
        found: &PhraseMatches,
        is_question: bool,
        likeness: f32,
        weight: impl Fn(usize, usize) -> usize,
    ) -> usize {
        let by_keywords = self.keyword_score(playbook, found, is_question, weight);
        let score = by_keywords.min(MAX_KEYWORD_SCORE) + (likeness * LIKENESS_SCORE).round() as usize;
        match by_keywords {
            1.. if playbook.built_in && playbook.matches.examples.is_empty() => by_keywords + MIN_SCORE,
            1..CLEAR_WEIGHT if !playbook.built_in => score.max(by_keywords + OWN_IF_UNCLEAR),
            CLEAR_WEIGHT.. if !playbook.built_in => score.max(by_keywords + OWN),
            _ => score,
        }
    }

    /// How well `playbook` fits by its keywords.
    fn keyword_score(
        &self,
        playbook: &Playbook,
        found: &PhraseMatches,
        is_question: bool,
        weight: impl Fn(usize, usize) -> usize,
    ) -> usize {
        let (score, leads) = found
            .among(&self.keywords)
            .fold((0, false), |(score, leads), (number, at)| (score + weight(number, at), leads || at == 0));
        // Most playbooks have no keyword in the text.
        if score == 0 && !is_question
            || found.any(&self.none_of)
            || !self.any_of.iter().all(|group| found.any(group))
        {
            return 0;
        }
        let leading = if leads { LEADING } else { 0 };
        if playbook.matches.starts_with {
            return if leads || is_question { 1 + LEADING } else { 0 };
        }
        let total = score + leading + usize::from(!self.any_of.is_empty());
        if score == 0 || total < playbook.matches.min_score { 0 } else { total }
    }
}

/// Phrases of several words say more.
fn weight(phrase: &str) -> usize {
    if phrase.chars().any(is_ideograph) { 2 } else { 2 * phrase.split(' ').count() - 1 }
}
