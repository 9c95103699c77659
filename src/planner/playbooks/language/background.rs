//! What a sentence says beside what it asks for: aims, reasons, conditions.

use crate::text::{find_phrase, fold, is_ideograph};

use super::super::wording::without_quotations;
use super::{Language, bare, first_word, strip_words};

/// Most words before one such as "wants".
const SUBJECT_WORDS: usize = 6;

impl Language {
    /// What `text` says about the state of things or as the aim, and the request behind it: "We close in May; please tell all
    /// patients", "I want to move, so find a van", "The council wants to ask the citizens: prepare a questionnaire".
    pub(in super::super) fn aim<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let speaks = self.subjects.strip(text).is_some();
        let (wishes, plans) = (self.wishes.strip(text).is_some(), self.plans.strip(text).is_some());
        let masked = without_quotations(text, true);
        let mut marks = masked.match_indices([',', ';', ':', '，', '；', '：']);
        let (at, request) = marks.find_map(|(at, mark)| {
            let (head, behind) = (&text[..at], text[at + mark.len()..].trim_start());
            let (follows, polite) = (self.consequences.strip(behind), self.polite.strip(behind));
            let is_comma = matches!(mark, "," | "，");
            let is_said = match mark {
                ":" | "：" => speaks || self.wants(head),
                ";" | "；" => speaks || self.describes(head),
                _ => false,
            };
            let request = self.without_lead_ins(follows.or(polite).unwrap_or(behind));
            // What is asked for politely need not begin with a verb where it is written without spaces.
            let opens = polite.is_some() && request.starts_with(is_ideograph)
                || (follows.is_some() || polite.is_some() || is_said)
                    && (self.opens_part(request) || self.opens_behind_time_clause(request));
            // "I need you to translate it, please check it too" asks twice.
            let is_work = self.opening(self.without_lead_ins(head)).is_some();
            let is_aim = !is_work || plans || speaks && follows.is_some() || wishes && !is_comma;
            (opens && is_aim).then_some((at, request))
        })?;
        Some((&text[..at], request))
    }

    /// Whether `sentence` says what somebody wants or plans, or who they are.
    pub(in super::super) fn is_wish(&self, sentence: &str) -> bool {
        let is_said = [&self.wishes, &self.plans].iter().any(|phrases| phrases.strip(sentence).is_some());
        is_said || sentence.starts_with("我们是")
    }

    /// Whether `sentence` clearly asks for something.
    pub(in super::super) fn requests(&self, sentence: &str) -> bool {
        self.polite.strip(sentence).is_some() || self.opens_clearly(sentence)
    }

    /// Whether `head` says what somebody wants: "La mairie veut organiser une fête".
    fn wants(&self, head: &str) -> bool {
        let mut words = head.split(' ').take(SUBJECT_WORDS).map(bare);
        words.any(|word| self.stating.contains(&word) || self.wanting.contains(&word))
    }

    /// Whether `text` begins with a word such as "before".
    pub(in super::super) fn begins_time(&self, text: &str) -> bool {
        self.before_words.contains(&first_word(text))
    }

    /// Whether `text` says when, for what or within which limits something is done, in a script without spaces.
    pub(in super::super) fn is_circumstance(&self, text: &str) -> bool {
        self.unspaced_circumstances
            .iter()
            .any(|[start, end]| text.starts_with(start.as_str()) && text.ends_with(end.as_str()))
    }

    /// Whether `text` asks for something behind a clause such as "before we sign".
    fn opens_behind_time_clause(&self, text: &str) -> bool {
        self.begins_time(text) && text.split_once(", ").is_some_and(|(_, request)| self.opens_part(request))
    }

    /// `text` before it says why it is done or what limits it, and that.
    pub(in super::super) fn reason<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let begins =
            |rest: &str, words: &[String]| words.iter().any(|word| strip_words(rest, word).is_some());
        // "…, but the amount must be corrected first"
        let is_duty = |rest: &str| {
            let clause = fold(rest.split([',', ';']).next().unwrap_or_default());
            self.duties.iter().any(|duty| find_phrase(&clause, &fold(duty)).is_some())
        };
        let mut places = text.char_indices().skip(1).filter(|(at, c)| {
            let before = text[..*at].trim_end();
            let is_start = text[..*at].ends_with(' ') || is_ideograph(*c);
            let is_behind_comma = || before.trim_end_matches(" and").ends_with([',', '，']);
            let rest = &text[*at..];
            is_start
                && (begins(rest, &self.reasons)
                    || is_behind_comma() && begins(rest, &self.reasons_behind_comma) && !is_duty(rest))
        });
        places.next().map(|(at, _)| text.split_at(at))
    }

    /// Whether something else than the reason begins with `text`, which is behind a space: "and find a new flat".
    pub(in super::super) fn joins_part(&self, text: &str) -> bool {
        self.joint(text).is_some_and(|end| self.opens_part(text[end..].trim_start()))
    }

    /// Whether a thing that is acted on may begin with `word`: "the tests", "Eva's approval".
    pub(in super::super) fn begins_thing(&self, word: &str) -> bool {
        word.starts_with(char::is_uppercase) || self.articles.contains(&bare(word))
    }

    /// Whether `text` is a German clause that says more about what is before it: "weil …", "bei dem …".
    pub(in super::super) fn is_subordinate(&self, text: &str) -> bool {
        let mut words = text.split(' ').map(bare);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let relates = ["dem", "denen", "dessen", "deren"].contains(&second.as_str());
        self.subordinating.contains(&first) || relates && self.german_words.contains(&first)
    }

    /// Whether one such as "if" behind `text` makes no condition: "… even", "tell me …", "… por".
    pub(in super::super) fn concedes(&self, text: &str) -> bool {
        let folded = fold(text);
        let ends = |phrase: &String| {
            folded.strip_suffix(phrase.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '))
        };
        self.concessions.iter().any(ends)
    }

    /// Whether `text` says what something that is made will do: "write a script that …".
    pub(in super::super) fn has_relative_clause(&self, text: &str) -> bool {
        let first = first_word(text);
        let makes = self.purposeful.contains(&first) || self.writing.contains(&first);
        makes && text.split(' ').skip(2).any(|word| self.relatives.contains(&bare(word)))
    }
}
