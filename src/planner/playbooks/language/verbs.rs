//! Verbs: how they open a part of a goal, and their forms.

use crate::text::is_ideograph;

use super::{Language, bare, first_word};

/// How a word opens a part of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Opening {
    /// With an English verb.
    English,
    /// With a verb of another language.
    Foreign,
}

/// Behind the first word, these make a sentence a description.
pub(super) const IS: [&str; 8] = ["is", "are", "was", "were", "ist", "sind", "est", "sont"];

/// What may stand before a German verb: "vorbereiten", "einrichten".
const SEPARABLE: [&str; 23] = [
    "vor", "ab", "an", "auf", "aus", "bei", "ein", "fest", "her", "los", "mit", "nach", "um", "weg", "zu",
    "zurück", "durch", "über", "unter", "heraus", "zusammen", "bereit", "hinein",
];

/// Shorter German words with the ending of an infinitive are often none: "alten", "neben".
const MIN_INFINITIVE: usize = 7;

/// Endings of French, Spanish, Italian and Portuguese infinitives.
const INFINITIVES: [&str; 5] = ["er", "ir", "ar", "dre", "ire"];

/// Verbs before an object and a participle: "have the contract checked".
const CAUSING: [&str; 2] = ["get", "have"];

/// Verbs that only say that all is done.
const FINISHING: [&str; 4] = ["完成", "搞定", "做完", "结束"];

/// Shorter words are often prepositions: "de la".
const MIN_IMPERATIVE: usize = 4;

/// Most characters of a time before a verb, where no spaces are written.
const TIME_CHARS: usize = 9;

impl Language {
    /// How the first word of `text` opens it, if it does.
    pub(in super::super) fn opening(&self, text: &str) -> Option<Opening> {
        if text.starts_with(is_ideograph) {
            let opens = self.opens_unspaced(text) || self.opens_behind_time(text);
            return opens.then_some(Opening::Foreign);
        }
        let mut words = text.split_whitespace().map(bare);
        let first = words.next()?;
        // "Budget is 40,000 euros"
        if self.nouns_too.contains(&first)
            && words.clone().next().is_some_and(|second| IS.contains(&second.as_str()))
        {
            return None;
        }
        // "Repaint"
        if self.verbs.contains(&first)
            || first.strip_prefix("re").is_some_and(|verb| self.verbs.contains(verb))
        {
            return Some(Opening::English);
        }
        if self.foreign_verb(&first).is_some() {
            return Some(Opening::Foreign);
        }
        let second = words.next().unwrap_or_default();
        // "Quickly fix …", "automatically deploy …", "frobnicate it"
        let has_pronoun = || ["it", "them"].contains(&second.as_str()) && self.may_be_verb(&first);
        if first.ends_with("ly") && self.verbs.contains(&second) || has_pronoun() {
            return Some(Opening::English);
        }
        // "le faire relire", "les contrôler"
        if ["le", "la", "les", "leur", "lui", "y"].contains(&first.as_str())
            && INFINITIVES.iter().any(|ending| second.ends_with(ending))
            && self.foreign_verb(&second).is_some()
        {
            return Some(Opening::Foreign);
        }
        // "prévenir les invités"
        let has_article = ["l'", "d'", "l’", "d’"].iter().any(|article| second.starts_with(article))
            || self.object_articles.contains(&second)
            // "Vacuna a los perros"
            || second == "a" && words.next().is_some_and(|third| self.object_articles.contains(&third));
        let is_infinitive = || {
            INFINITIVES.iter().any(|ending| first.ends_with(ending))
                && first.chars().count() >= MIN_IMPERATIVE
                && !self.function_words.contains(&first)
        };
        if has_article && (is_infinitive() || self.may_be_imperative(&first)) {
            return Some(Opening::Foreign);
        }
        self.ends_with_verb(text).then_some(Opening::Foreign)
    }

    /// Whether `word`, which an article follows, looks like an imperative of another language: "encarga la tarta".
    fn may_be_imperative(&self, word: &str) -> bool {
        let ends = ["a", "e", "is", "ds", "ez"].iter().any(|ending| word.ends_with(ending));
        ends && word.len() >= MIN_IMPERATIVE && !self.function_words.contains(word) && self.may_be_verb(word)
    }

    /// Whether `text` begins with a verb that a list has.
    pub(in super::super) fn knows_verb(&self, text: &str) -> bool {
        let first = first_word(text);
        self.verbs.contains(&first) || self.foreign_verb(&first).is_some()
    }

    /// Whether `text` begins with an English verb that is hardly ever anything else.
    pub(in super::super) fn opens_clearly(&self, text: &str) -> bool {
        let first = first_word(text);
        self.verbs.contains(&first) && !self.nouns_too.contains(&first)
    }

    fn opens_unspaced(&self, text: &str) -> bool {
        self.unspaced_verbs.iter().any(|verb| text.starts_with(verb.as_str()))
    }

    /// Whether a verb that no space follows may join what is before it in `text`; it is not the first half of a noun, as in
    /// "费用和办理时间".
    pub(in super::super) fn joins_unspaced(&self, text: &str) -> bool {
        let behind = |verb: &String| text.strip_prefix(verb.as_str());
        let names = |rest: &str| self.unspaced_nouns.iter().any(|noun| rest.starts_with(noun.as_str()));
        self.unspaced_verbs.iter().filter_map(behind).any(|rest| !names(rest))
    }

    /// Whether a verb follows a time at the beginning of `text`: "周五之前交给经理".
    fn opens_behind_time(&self, text: &str) -> bool {
        let head = text.char_indices().nth(TIME_CHARS).map_or(text, |(end, _)| &text[..end]);
        let mut times =
            self.unspaced_times.iter().filter_map(|time| Some(head.find(time.as_str())? + time.len()));
        // "周五之前完成" is a date only.
        let is_work =
            |rest: &str| self.opens_unspaced(rest) && !FINISHING.iter().any(|verb| rest.starts_with(verb));
        times.any(|end| is_work(&text[end..]))
    }

    /// What `text` has somebody do: "get the brakes fixed by Friday" → "fix the brakes by Friday".
    pub(in super::super) fn caused(&self, text: &str) -> Option<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if !CAUSING.contains(&bare(words.first()?).as_str()) {
            return None;
        }
        // "Get my money back for a cancelled concert"
        let places = (2..words.len()).take_while(|at| !self.begins_aside(words[*at]));
        let mut places = places.filter(|at| !self.articles.contains(&bare(words[at - 1])));
        let (at, verb) = places.find_map(|at| Some((at, self.verb_of_participle(&bare(words[at]))?)))?;
        let object = &words[1..at];
        Some([&[verb.as_str()], object, &words[at + 1..]].concat().join(" "))
    }

    fn verb_of_participle(&self, word: &str) -> Option<String> {
        self.participles.get(word).cloned().or_else(|| self.verb_of(word.strip_suffix("ed")?))
    }

    /// The English verb with this `stem` before "ed" or "ing": "fix", "paint", "bak" → "bake", "plann" → "plan".
    fn verb_of(&self, stem: &str) -> Option<String> {
        let undoubled = stem.get(..stem.len().checked_sub(1)?)?;
        let forms = [stem.to_owned(), format!("{stem}e"), undoubled.to_owned()];
        forms.into_iter().find(|form| self.verbs.contains(form))
    }

    /// Whether no list has `word` as something that is no verb.
    fn may_be_verb(&self, word: &str) -> bool {
        let others = [&self.articles, &self.object_ends, &self.asides, &self.stating, &self.descriptions];
        word.chars().all(char::is_alphabetic) && !others.iter().any(|words| words.contains(word))
    }

    /// Whether `text` ends with the verb that it asks for, as in German: "die Daten prüfen".
    pub(in super::super) fn ends_with_verb(&self, text: &str) -> bool {
        // "Wohngeld beantragen, bevor die Miete fällig ist"
        let main = text.split_once(", ");
        let main = main.filter(|(main, clause)| !main.contains(':') && self.is_subordinate(clause));
        let text = main.map_or(text, |(main, _)| main).trim_end_matches(|c: char| !c.is_alphanumeric());
        let (object, last) = text.rsplit_once(' ').unwrap_or(("", text));
        let Some(stem) = last.strip_suffix('n').filter(|_| last.starts_with(char::is_lowercase)) else {
            return false;
        };
        let stems = SEPARABLE.iter().filter_map(|prefix| stem.strip_prefix(prefix)).chain([stem]);
        // "prüfen": "prüfe"; "sichern": "sichere"
        let is_listed = stems.into_iter().any(|stem| {
            self.listed_verbs.contains_key(stem) || self.listed_verbs.contains_key(&format!("{stem}e"))
        });
        // "den Auszubildenden einarbeiten"
        let is_infinitive = || {
            ["e", "el", "er"].iter().any(|ending| stem.ends_with(ending))
                && last.len() >= MIN_INFINITIVE
                && text.split(' ').any(|word| self.german_words.contains(&bare(word)))
        };
        // "Balkon fliesen", but not "New kitchen"
        let follows_nouns = || {
            last.ends_with("en")
                && last.len() >= MIN_INFINITIVE
                && !self.no_infinitives.contains(last)
                && object.split(' ').all(|word| word.starts_with(char::is_uppercase) || bare(word) == "und")
        };
        is_listed || is_infinitive() || follows_nouns()
    }

    /// Whether what `text` asks for is the verb at its end, and not one at its beginning.
    pub(in super::super) fn opens_with_object(&self, text: &str) -> bool {
        self.ends_with_verb(text)
            && self.foreign_verb(&first_word(text)).is_none()
            && !self.verbs.contains(&first_word(text))
    }

    /// `text` with the verb at its beginning as an infinitive: "running the tests" → "run the tests".
    pub(in super::super) fn infinitive(&self, text: &str) -> Option<String> {
        let (gerund, rest) = text.split_once(' ')?;
        let stem = gerund.to_lowercase();
        if self.events.contains(&stem) {
            return None;
        }
        let verb = self.verb_of(stem.strip_suffix("ing")?)?;
        Some(format!("{verb} {rest}"))
    }

    /// `text` with the verb at its beginning as it is listed: "publícalo" → "publica".
    pub(in super::super) fn with_plain_verb(&self, text: &str) -> String {
        let first = text.split_whitespace().next().unwrap_or_default();
        // "investigate" is no "investiga".
        if self.verbs.contains(&bare(first)) {
            return text.to_owned();
        }
        let forms = verb_forms(&bare(first));
        let plain = forms.iter().find_map(|(form, _)| self.listed_verbs.get(form));
        // "Bring der Oma das Tippen bei"
        let clause = text.split(',').next().unwrap_or_default();
        let half = clause.rsplit(' ').next().filter(|last| SEPARABLE.contains(last)).unwrap_or_default();
        match plain {
            Some(plain) if half.is_empty() && *plain == bare(first) => text.to_owned(),
            Some(plain) => format!("{plain} {half} {text}"),
            None => text.to_owned(),
        }
    }

    /// Whether a pronoun is attached to the verb of another language that `text` begins with.
    pub(in super::super) fn attaches_pronoun(&self, text: &str) -> bool {
        self.foreign_verb(&first_word(text)).unwrap_or_default()
    }

    /// Whether a pronoun is attached to the foreign verb `word`; `None` if it is none.
    fn foreign_verb(&self, word: &str) -> Option<bool> {
        // "vérifié" is a participle.
        if word.ends_with('é') {
            return None;
        }
        let listed = verb_forms(word).into_iter().find(|(form, _)| self.listed_verbs.contains_key(form));
        // "imprime-le"
        let attaches = || ["-le", "-la", "-les"].iter().any(|pronoun| word.ends_with(pronoun));
        listed.map(|(_, has_pronoun)| has_pronoun).or_else(|| attaches().then_some(true))
    }

    /// `text` without its verb: after its first word, or before its last one, or after a verb that no space follows.
    pub(in super::super) fn behind_verb<'t>(&self, text: &'t str) -> &'t str {
        if self.opens_with_object(text) {
            return text.rsplit_once(' ').map_or(text, |(object, _)| object);
        }
        let unspaced = self.unspaced_verbs.iter().filter_map(|verb| text.strip_prefix(verb.as_str()));
        let shortest = unspaced.min_by_key(|rest| rest.len());
        let object = shortest.or_else(|| text.split_once(' ').map(|(_, rest)| rest)).unwrap_or_default();
        // "查一下有哪些规定"
        object.trim_start_matches("一下").trim()
    }
}

/// `object` without the second half of a German or French verb: "die Steuererklärung vor", "en place une équipe".
pub(in super::super) fn without_separable(object: &str) -> &str {
    let halves = ["en place ", "en œuvre ", "en ligne ", "à jour ", "en relation "];
    let object = halves.iter().find_map(|half| object.strip_prefix(half)).unwrap_or(object);
    match object.rsplit_once(' ') {
        Some((rest, last)) if SEPARABLE.contains(&last) => rest,
        // "Finde heraus, warum …"
        _ if SEPARABLE.contains(&object) => "",
        _ => object,
    }
}

/// What may be the verb in `word`, as it is listed, and whether a pronoun is attached to it: "organiser" → "organise",
/// "importe-le" → "importe", "publícalo" → "publica", "l'envoyer" → "envoye".
fn verb_forms(word: &str) -> Vec<(String, bool)> {
    let word = without_accents(word);
    let behind_pronoun = word.split_once(['\'', '’']).map(|(_, verb)| verb);
    let before_dash = word.split_once('-').map(|(verb, _)| verb);
    let before_pronoun =
        ["selo", "sela", "selos", "selas", "lo", "la", "los", "las", "le", "me", "te", "se", "nos"]
            .iter()
            .find_map(|pronoun| word.strip_suffix(pronoun));
    let attached = [behind_pronoun, before_dash, before_pronoun].into_iter().flatten();
    let verbs = std::iter::once((word.as_str(), false)).chain(attached.map(|verb| (verb, true)));
    verbs
        .flat_map(|(verb, has_pronoun)| {
            let stems = ["", "re", "r", "n"].iter().filter_map(move |ending| verb.strip_suffix(ending));
            stems.map(move |stem| (stem.to_owned(), has_pronoun))
        })
        .collect()
}

/// `word` without the accents that move or go when a verb is inflected.
pub(super) fn without_accents(word: &str) -> String {
    let plain = |c| "áéíóúèêâîôû".chars().zip("aeioueeaiou".chars()).find(|(accented, _)| *accented == c);
    word.chars().map(|c| plain(c).map_or(c, |(_, plain)| plain)).collect()
}
