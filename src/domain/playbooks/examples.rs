//! Recognises a kind of work by its likeness to examples.
//!
//! The likeness of two texts is the cosine of the angle between their features, which weigh the more the fewer kinds of work
//! have them. Features of a text are its words, the beginnings of longer ones, its pairs of neighbouring words (its
//! beginning counts as one) and, where words are written without spaces, its pairs of characters. A number is a number,
//! whichever. So no word lists of any language are needed.

use std::hash::{Hash, Hasher};

use crate::text::{fold, is_ideograph};

/// Longer words also have their beginnings as a feature: "insta" for "installing" and "installation".
const STEM_CHARS: usize = 5;
/// What the examples of one kind that are most like a text count, the most similar first.
const SHARES: [f32; 5] = [0.6, 0.5, 0.4, 0.3, 0.2];
/// What a pair of words weighs, compared with a word that is as rare.
const PAIR_WEIGHT: f32 = 0.6;
/// What a feature that no example has weighs, compared with one of a single kind of work: names and numbers are often such.
const UNKNOWN_WEIGHT: f32 = 0.7;
/// Added to the squared length of each example, so that one of two words is not like every text with both of them.
const SHORTNESS: f32 = 100.0;
/// What features of what is said beside the matter weigh, compared with those of the matter itself.
const BESIDE_WEIGHT: f32 = 0.4;
/// A feature of more kinds of work than this says nothing.
const MOST_KINDS: usize = 100;

/// Examples of all kinds of work, by their features.
#[derive(Debug, Default)]
pub(super) struct Examples {
    /// The hashes of all features, ascending.
    features: Vec<u64>,
    /// For each feature where its examples begin, and its weight.
    postings: Vec<(u32, f32)>,
    /// The examples that have a feature, feature by feature.
    occurrences: Vec<u32>,
    /// For each example the number of its kind, and its length: the root of the sum of its features' squared weights.
    kinds: Vec<(u32, f32)>,
    /// The weight of a feature that no example has.
    unknown: f32,
}

impl Examples {
    /// The folded examples of each kind, which is known by its number.
    pub(super) fn new<'t>(kinds: impl Iterator<Item = &'t [String]>) -> Self {
        let mut built = Self::default();
        let mut found: Vec<(u64, u32)> = Vec::new();
        let mut squared: Vec<f32> = Vec::new();
        let mut count = 0;
        for (kind, texts) in kinds.enumerate() {
            count += u32::from(!texts.is_empty());
            for text in texts {
                let example = built.kinds.len() as u32;
                found.extend(features(text).into_iter().map(|feature| (feature, example)));
                built.kinds.push((kind as u32, 0.0));
            }
        }
        squared.resize(built.kinds.len(), SHORTNESS);
        found.sort_unstable();
        let count = count as f32;
        for same in found.chunk_by(|(a, _), (b, _)| a == b) {
            let mut kinds: Vec<u32> =
                same.iter().map(|(_, example)| built.kinds[*example as usize].0).collect();
            kinds.dedup();
            let rarity = if kinds.len() > MOST_KINDS { 0.0 } else { (1.0 + count / kinds.len() as f32).ln() };
            let weight = rarity * share(same[0].0);
            built.features.push(same[0].0);
            built.postings.push((built.occurrences.len() as u32, weight));
            built.occurrences.extend(same.iter().map(|(_, example)| *example));
            for (_, example) in same {
                squared[*example as usize] += weight * weight;
            }
        }
        built.kinds.iter_mut().zip(squared).for_each(|((_, length), squared)| *length = squared.sqrt());
        built.unknown = (1.0 + count).ln() * UNKNOWN_WEIGHT;
        built
    }

    /// The kinds of work that have examples like `text`, each with its likeness: about 0.5 for one that is asked for in the
    /// words of an example, and up to 2 if several are like it.
    ///
    /// What is said `beside` it, such as when and for what it is done, counts less.
    pub(super) fn like(&self, text: &str, beside: &str) -> Vec<(usize, f32)> {
        let mut products = vec![0.0_f32; self.kinds.len()];
        let (mut touched, mut length) = (Vec::new(), 0.0);
        let main = features(&fold(text));
        let others =
            features(&fold(beside)).into_iter().filter(|feature| main.binary_search(feature).is_err());
        let others = others.map(|feature| (feature, BESIDE_WEIGHT));
        for (feature, share_of_text) in main.iter().map(|feature| (*feature, 1.0)).chain(others) {
            let place = self.features.binary_search(&feature);
            let weight = place.map_or(self.unknown * share(feature), |place| self.postings[place].1);
            length += (weight * share_of_text).powi(2);
            let (Ok(place), true) = (place, weight > 0.0) else { continue };
            let first = self.postings[place].0 as usize;
            let end = self.postings.get(place + 1).map_or(self.occurrences.len(), |(next, _)| *next as usize);
            for &example in &self.occurrences[first..end] {
                let product = &mut products[example as usize];
                if *product == 0.0 {
                    touched.push(example);
                }
                *product += weight * weight * share_of_text;
            }
        }
        let cosines = touched.into_iter().map(|example| {
            let (kind, norm) = self.kinds[example as usize];
            (kind, products[example as usize] / (norm * length.sqrt()))
        });
        let mut cosines: Vec<(u32, f32)> = cosines.collect();
        cosines.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then(y.total_cmp(x)));
        let of_kind = |same: &[(u32, f32)]| {
            let shares = same.iter().zip(SHARES).map(|((_, cosine), share)| cosine * share);
            (same[0].0 as usize, shares.sum())
        };
        cosines.chunk_by(|(a, _), (b, _)| a == b).map(of_kind).collect()
    }
}

/// The bit that is set in the hashes of pairs of words alone.
const PAIR: u64 = 1;

/// What a feature weighs, compared with a word that is as rare.
fn share(feature: u64) -> f32 {
    if feature & PAIR == 0 { 1.0 } else { PAIR_WEIGHT }
}

/// The hashes of the features of a `folded` text, each once.
fn features(folded: &str) -> Vec<u64> {
    let mut features = Vec::new();
    let mut previous = Some(hash("^", 0));
    for word in folded.split(' ').flat_map(by_script).filter(|word| !word.is_empty()) {
        if word.starts_with(is_ideograph) {
            let ends = word.char_indices().map(|(at, _)| at).skip(2).chain([word.len()]);
            features
                .extend(word.char_indices().zip(ends).map(|((at, _), end)| hash(&word[at..end], 0) & !PAIR));
            previous = None;
            continue;
        }
        // Numbers differ from case to case.
        let word = if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word };
        let whole = hash(word, 0) & !PAIR;
        features.push(whole);
        if let Some((end, _)) = word.char_indices().nth(STEM_CHARS) {
            features.push(hash(&word[..end], 1) & !PAIR);
        }
        if let Some(previous) = previous {
            features.push(hash(word, previous) | PAIR);
        }
        previous = Some(whole);
    }
    features.sort_unstable();
    features.dedup();
    features
}

/// `word` where scripts with and without spaces between words meet.
fn by_script(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| is_ideograph(c) != is_ideograph(first)).unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

/// `text` as a number, different for each `seed`.
fn hash(text: &str, seed: u64) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (text, seed).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str) -> Option<usize> {
        let kinds = [
            vec!["Hire a nurse", "fill the vacancy in accounting", "Stelle als Koch besetzen"],
            vec!["Paint the kitchen", "Wände im Flur streichen", "粉刷厨房"],
            vec!["Book a table at a restaurant", "Reservar mesa"],
        ]
        .map(|texts| texts.iter().map(|text| fold(text)).collect::<Vec<_>>());
        let like = Examples::new(kinds.iter().map(Vec::as_slice)).like(text, "");
        like.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(kind, _)| kind)
    }

    #[test]
    fn a_text_is_most_like_the_examples_with_its_rarest_words() {
        assert_eq!(like("hire someone for accounting"), Some(0));
        assert_eq!(like("we need two nurses; please fill the vacancies"), Some(0));
        assert_eq!(like("Die Wände streichen"), Some(1));
        assert_eq!(like("请粉刷卧室"), Some(1));
        assert_eq!(like("restaurants for Friday"), Some(2));
        assert_eq!(like("Quantum chromodynamics"), None);
    }

    #[test]
    fn the_same_words_are_more_like_an_example_than_some_of_them() {
        let texts = [fold("Book a table at a restaurant")];
        let examples = Examples::new([&texts[..], &[]].into_iter());
        let likeness = |text: &str| examples.like(text, "")[0].1;
        assert!(likeness("book a table at a place") < likeness("book a table at a restaurant!"));
        assert!(likeness("book a table") < likeness("book a table at a place"));
        assert!(likeness("reserve a table") < likeness("book a table"));
    }
}
