//! How well arms fit a text: BM25 over weighted fields, with words and groups of three characters as terms.
//!
//! The crates for BM25 know one field, terms without weights and words alone; names of arms are short, so the fields
//! and the groups of characters are what finds them.

use std::collections::HashMap;
use std::hash::Hasher;

use rust_stemmers::{Algorithm, Stemmer};

use super::Arm;
use super::names::fold_name;
use crate::text::is_ideograph;

/// How fast repetitions of a term stop counting, and how much long fields are discounted.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// What a term in a field counts for.
const NAME: f32 = 3.0;
const KEYWORD: f32 = 2.0;
const DESCRIPTION: f32 = 1.0;
/// A group of characters counts for less than a word.
const GRAM: f32 = 0.3;
/// Longer texts are not read further, in characters.
const MAX_CHARS_READ: usize = 2_000;

/// Words that carry no meaning here.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "do",
    "does", "each", "for", "from", "given", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "me", "my", "need", "no", "not", "of", "on", "one", "or", "our", "out", "please", "s", "so", "some",
    "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
    "use", "used", "uses", "using", "want", "was", "we", "were", "what", "when", "where", "which", "who",
    "will", "with", "would", "you", "your",
];

/// A term by its hash.
type Term = u64;

/// The terms of all arms. In arrays, as a map of lists takes twice the memory, and requests bring arms of their own.
#[derive(Debug, Clone, Default)]
pub(super) struct Relevance {
    /// Each once, ascending.
    terms: Vec<Term>,
    /// Where the postings of each term end; they begin where those of the term before end.
    ends: Vec<u32>,
    /// The arms that have a term, and what it counts for there.
    postings: Vec<(u32, f32)>,
    arms: usize,
}

/// A text to compare arms with: what each of its terms counts for, and whether it is a word.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(HashMap<Term, (f32, bool)>);

/// How well an arm fits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fit {
    pub(super) score: f32,
    /// Whether it has a word of the text, and not only groups of characters.
    pub(super) has_word: bool,
}

impl Query {
    /// Adds the terms of `text`, each with `weight`.
    pub(super) fn add(&mut self, text: &str, weight: f32) {
        terms(text, &mut |term, share| {
            let (counts_for, is_word) = self.0.entry(term).or_default();
            *counts_for = counts_for.max(weight * share);
            *is_word = share > GRAM;
        });
    }
}

/// What a term in each field of an arm counts for, as [`fields_of`] lists them.
const FIELD_WEIGHTS: [f32; 3] = [NAME, KEYWORD, DESCRIPTION];

/// The texts of an arm that terms are taken from: names, keywords with capabilities, description.
fn fields_of(arm: &Arm) -> [String; 3] {
    let joined = |texts: Vec<&String>| texts.into_iter().map(String::as_str).collect::<Vec<_>>().join("; ");
    [
        joined(std::iter::once(&arm.id).chain(&arm.aliases).collect()),
        joined(arm.keywords.iter().chain(&arm.capabilities).collect()),
        arm.description.clone(),
    ]
}

/// The mean length of this field, over the arms that have it.
fn mean_length(lengths: &[[f32; 3]], field: usize) -> f32 {
    let lengths = lengths.iter().map(|of_arm| of_arm[field]).filter(|length| *length > 0.0);
    let (sum, count) = lengths.fold((0.0, 0.0), |(sum, count), length| (sum + length, count + 1.0_f32));
    if count > 0.0 { sum / count } else { 1.0 }
}

impl Relevance {
    pub(super) fn new(arms: &[Arm]) -> Self {
        let mut lengths = vec![[0.0_f32; 3]; arms.len()];
        let mut found: Vec<(Term, u32, u8)> = Vec::new();
        for (at, arm) in arms.iter().enumerate() {
            for (field, text) in fields_of(arm).iter().enumerate() {
                terms(text, &mut |term, share| {
                    lengths[at][field] += share;
                    found.push((term, at as u32, field as u8));
                });
            }
        }
        let means = [0, 1, 2].map(|field| mean_length(&lengths, field));
        found.sort_by_key(|(term, ..)| *term);
        let mut relevance = Self { arms: arms.len(), ..Self::default() };
        for of_term in found.chunk_by(|a, b| a.0 == b.0) {
            let start = relevance.postings.len();
            for &(_, arm, field) in of_term {
                let field = usize::from(field);
                let length = lengths[arm as usize][field];
                let frequency = FIELD_WEIGHTS[field] / (1.0 - B + B * length / means[field]);
                match relevance.postings[start..].last_mut() {
                    Some((last, sum)) if *last == arm => *sum += frequency,
                    _ => relevance.postings.push((arm, frequency)),
                }
            }
            weigh_by_rarity(&mut relevance.postings[start..], arms.len() as f32);
            relevance.terms.push(of_term[0].0);
            relevance.ends.push(relevance.postings.len() as u32);
        }
        relevance.terms.shrink_to_fit();
        relevance.ends.shrink_to_fit();
        relevance.postings.shrink_to_fit();
        relevance
    }

    /// The arms that have `term`, and what it counts for there.
    fn postings_of(&self, term: Term) -> &[(u32, f32)] {
        let Ok(place) = self.terms.binary_search(&term) else { return &[] };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.postings[start as usize..self.ends[place] as usize]
    }

    /// How well each arm fits `query`.
    pub(super) fn fits(&self, query: &Query) -> Vec<Fit> {
        let mut fits = vec![Fit::default(); self.arms];
        // In one order, so that sums are the same each time.
        let mut terms: Vec<(&Term, &(f32, bool))> = query.0.iter().collect();
        terms.sort_unstable_by_key(|(term, _)| **term);
        for (term, (weight, is_word)) in terms {
            for (arm, score) in self.postings_of(*term) {
                let fit = &mut fits[*arm as usize];
                fit.score += weight * score;
                fit.has_word |= is_word;
            }
        }
        fits
    }
}

/// Makes scores of the frequencies of one term in some of `all` arms: terms that few arms have count for more.
fn weigh_by_rarity(frequencies: &mut [(u32, f32)], all: f32) {
    // What a word counts for that only one arm has, as its whole name.
    let max = (1.0 + (all - 0.5) / 1.5).ln() * NAME * (K1 + 1.0) / (NAME + K1);
    let having = frequencies.len() as f32;
    let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
    for (_, frequency) in frequencies {
        *frequency = rarity * *frequency * (K1 + 1.0) / (*frequency + K1) / max;
    }
}

/// Calls `found` with each term in `text` and what it counts for.
fn terms(text: &str, found: &mut impl FnMut(Term, f32)) {
    let end = text.char_indices().nth(MAX_CHARS_READ).map_or(text.len(), |(at, _)| at);
    let stemmer = Stemmer::create(Algorithm::English);
    let folded = fold_name(&text[..end]);
    for word in folded.split(' ').filter(|word| !word.is_empty()) {
        if word.chars().any(is_ideograph) {
            // Such scripts have no spaces: two characters are about a word.
            let chars: Vec<char> = word.chars().collect();
            chars.windows(2.min(chars.len())).for_each(|pair| found(hashed(0, pair.iter().copied()), 1.0));
            continue;
        }
        if !FUNCTION_WORDS.contains(&word) {
            found(hashed(0, stemmer.stem(word).chars()), 1.0);
        }
    }
    // Groups of characters run across words, so that they tell `text to speech` from `speech to text`.
    let mut group = [' '; 3];
    for c in folded.chars().chain([' ']) {
        group = [group[1], group[2], c];
        if group[1] != ' ' || group[0] != ' ' && group[2] != ' ' {
            found(hashed(1, group), GRAM);
        }
    }
}

/// The term that these characters are.
fn hashed(kind: u8, chars: impl IntoIterator<Item = char>) -> Term {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write_u8(kind);
    chars.into_iter().for_each(|c| hasher.write_u32(c.into()));
    hasher.finish()
}
