//! The words of references: numbers in words and in other scripts, words for steps, words for nothing.

use serde_json::Value;

use super::MAX_REFERENCES;
use crate::planner::parse::values::whole;

/// Words in front of a step's number.
#[rustfmt::skip]
pub(super) const STEP_WORDS: [&str; 48] = [
    "step", "steps", "task", "tasks", "subtask", "item", "action", "stage", "phase", "node", "id",
    "number", "no", "nr", "s", "t", "output", "outputs", "result", "results", "ref", "schritt",
    "schritte", "aufgabe", "ergebnis", "paso", "pasos", "tarea", "étape", "etape", "etapes", "tâche",
    "passo", "passos", "etapa", "passaggio", "stap", "steg", "trin", "krok", "korak", "pas", "lépés",
    "vaihe", "adım", "adim", "bước", "langkah",
];
/// First words of texts that say that there is no dependency.
#[rustfmt::skip]
const NOTHING: [&str; 47] = [
    "", "none", "no", "nothing", "n/a", "na", "n.a", "not", "null", "nil", "nan", "undefined", "false", "-", "–",
    "—", "∅", "keine", "kein", "nichts", "aucun", "aucune", "rien", "ninguna", "ninguno", "nada", "nessuna",
    "nessuno", "nenhuma", "nenhum", "geen", "ingen", "inga", "brak", "yok", "нет", "немає", "无", "無", "なし", "없음",
    "没有", "沒有", "independent", "start", "root", "initial",
];
/// Words that may stand around references and add nothing to them.
#[rustfmt::skip]
const FILLERS: [&str; 22] = [
    "of", "the", "from", "and", "to", "und", "et", "y", "и", "in", "both", "after", "nach", "once", "is", "are",
    "done", "complete", "completed", "completes", "finished", "from",
];
/// Words after which a text does not mean what its numbers say.
#[rustfmt::skip]
const EXCEPTIONS: [&str; 16] = [
    "except", "without", "not", "but", "unless", "excluding", "außer", "sauf", "if", "fails", "failed", "failure", "wenn",
    "falls", "если", "如果",
];
/// What may be in front of such phrases.
const SUBJECTS: [&str; 6] = ["this step ", "the step ", "this task ", "it ", "there are ", "there is "];
/// Whole words at the beginning of texts that speak of no dependency and name no step.
#[rustfmt::skip]
const NOTHING_PHRASES: [&str; 18] = [
    "no dependency", "no dependencies", "no prerequisites", "has no dependencies", "has no prerequisites",
    "does not depend", "doesn't depend", "does not require", "is independent", "sin dependencia",
    "sin dependencias", "sem dependências", "sans dépendance", "sans dépendances", "senza dipendenze",
    "ohne abhängigkeiten", "не зависит", "без зависимостей",
];
/// The same in scripts without spaces.
#[rustfmt::skip]
const NOTHING_BEGINNINGS: [&str; 14] = [
    "没有依赖", "没有任何依赖", "没有前置", "沒有依賴", "沒有任何依賴", "沒有前置", "不依赖", "不依賴", "无依赖", "无前置", "無依賴",
    "無前置", "依存なし", "依存関係なし",
];
/// Words behind a step's number.
const COUNTERS: [&str; 12] =
    ["step", "task", "단계", "번", "번째", "番", "番目", "步", "步骤", "步驟", "工程", "ステップ"];
/// Words that name a step in prose, where others mean much else.
const NOUNS: [&str; 10] = ["step", "steps", "schritt", "paso", "étape", "passo", "шаг", "шага", "步骤", "步"];
/// Words behind a step's number that say of what it is a step.
const OF: [&str; 7] = ["of", "der", "des", "du", "de", "del", "do"];
/// Words between steps of which one may be enough.
const ALTERNATIVES: [&str; 5] = ["or", "oder", "ou", "или", "或"];

/// A piece of a text: a word, a whole number, a mark.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Number(i64),
    Mark(char),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// The words, numbers and marks of a text; anything but a whole number (`1.5`) is a word.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let of_kind = |is: fn(&char) -> bool| rest.find(|c| !is(&c)).unwrap_or(rest.len());
        let end = if c.is_ascii_digit() {
            let end = of_kind(char::is_ascii_digit);
            let is_decimal = rest[end..].starts_with('.')
                && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit() && c != '0');
            match rest[..end].parse() {
                Ok(number) if !is_decimal => tokens.push(Token::Number(number)),
                _ => tokens.push(Token::Word(rest[..end].to_owned())),
            }
            if is_decimal {
                end + 1 + rest[end + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - end - 1)
            } else {
                end
            }
        } else if c.is_alphabetic() {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            tokens.push(
                number_word(&rest[..end]).map_or_else(|| Token::Word(rest[..end].to_owned()), Token::Number),
            );
            end
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Mark(c));
            }
            c.len_utf8()
        };
        rest = &rest[end..];
    }
    tokens
}

/// The number of a label and nothing else: `#E1`, `T1`, `p-2`, `first`, `the second one`, `V`. Labels are one letter:
/// in `python 3` the number is not a step's.
pub(super) fn label(text: &str) -> Option<i64> {
    if let Some(at) = ["i", "v"].iter().position(|roman| *roman == text) {
        return Some(1 + 4 * at as i64);
    }
    let mut numbers = Vec::new();
    for token in tokens(text) {
        match token {
            Token::Number(number) => numbers.push(number),
            Token::Mark('#' | '_' | '-') => {}
            Token::Word(word) if numbers.is_empty() && (word.chars().count() == 1 || word == "the") => {}
            _ => return None,
        }
    }
    // `the second one`, where `one` is read as a number, too.
    match numbers.as_slice() {
        &[number] | &[number, 1] if text.ends_with("one") || numbers.len() == 1 => Some(number),
        _ => None,
    }
}

fn number_word(word: &str) -> Option<i64> {
    // Roman numerals of one letter are mostly something else.
    const WORDS: [[&str; 3]; 9] = [
        ["one", "first", "1st"],
        ["two", "second", "ii"],
        ["three", "third", "iii"],
        ["four", "fourth", "iv"],
        ["five", "fifth", "5th"],
        ["six", "sixth", "vi"],
        ["seven", "seventh", "vii"],
        ["eight", "eighth", "viii"],
        ["nine", "ninth", "ix"],
    ];
    let spoken = (1..).zip(WORDS).find(|(_, words)| words.contains(&word)).map(|(number, _)| number);
    spoken.or_else(|| chinese_number(word))
}

/// `二`, `第二步`, `步骤二`.
fn chinese_number(word: &str) -> Option<i64> {
    let is_around = |c: char| "第步骤驟任务務阶階段项項个個".contains(c);
    let digits = word.trim_matches(is_around).chars();
    let digit = "一二三四五六七八九".chars().position(|digit| Some(digit) == digits.clone().next())?;
    (digits.count() == 1).then_some(digit as i64 + 1)
}

/// The numbers in `tokens` that are steps': those after a word for a step (in any script) or a mark of a
/// template, those that follow such a number, and an ordinal in front of such a word.
pub(super) fn step_numbers(tokens: &[Token]) -> Vec<i64> {
    let is_step_word = |token: Option<&Token>| {
        token.and_then(Token::word).is_some_and(|word| STEP_WORDS.contains(&word) || !word.is_ascii())
    };
    let mut numbers: Vec<i64> = Vec::new();
    let mut continues = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Number(number) => {
                let mut before = tokens[..at].iter().rev().skip_while(|token| {
                    matches!(token, Token::Mark('_' | '-' | '.' | '#' | '[' | '(' | '{' | '$' | '№' | ':'))
                });
                let marked = at > 0 && matches!(tokens[at - 1], Token::Mark('$' | '#' | '@' | '№'))
                    || at > 1
                        && matches!(
                            (&tokens[at - 2], &tokens[at - 1]),
                            (Token::Mark('$' | '{'), Token::Mark('{'))
                        );
                let ordinal =
                    tokens.get(at + 1).and_then(Token::word).is_some_and(|word| COUNTERS.contains(&word));
                continues = continues || is_step_word(before.next()) || marked || ordinal;
                if continues {
                    numbers.push(*number);
                }
            }
            Token::Mark(',' | '&' | '+' | '/' | ']' | '[' | ')' | '}' | '.' | '_') => {}
            Token::Word(word) if matches!(word.as_str(), "and" | "und" | "y" | "et" | "or") => {}
            // What follows is the step's title.
            Token::Mark(':') if !numbers.is_empty() && continues => break,
            _ => continues = false,
        }
    }
    numbers.truncate(MAX_REFERENCES);
    numbers
}

/// Whether a text says that there is no dependency.
pub(super) fn is_nothing(text: &str) -> bool {
    let text = text.trim();
    if text.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let end = text.find(|c: char| c.is_whitespace() || "(,;:".contains(c)).unwrap_or(text.len());
    let predicate = SUBJECTS.iter().find_map(|subject| text.strip_prefix(subject)).unwrap_or(text);
    let begins = |phrase: &&str| {
        predicate.strip_prefix(*phrase).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    let says_so = || {
        NOTHING_PHRASES.iter().any(begins) || NOTHING_BEGINNINGS.iter().any(|words| text.starts_with(words))
    };
    NOTHING.contains(&&text[..end]) || says_so() && step_numbers(&tokens(text)).is_empty()
}

/// Whether prose speaks of steps at all.
pub(super) fn speaks_of_steps(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| token.word().is_some_and(|word| NOUNS.contains(&word)))
}

/// `tokens` without the numbers of steps of something else: `step 1 of the signup form`, `Schritt 2 der Anmeldung`.
pub(super) fn without_steps_of_others(mut tokens: Vec<Token>) -> Vec<Token> {
    let word = |at: usize| tokens.get(at).and_then(Token::word);
    let is_of_other = |at: &usize| {
        let next = word(at + 1);
        next.is_some_and(|next| OF.contains(&next)) || (next, word(at + 2)) == (Some("in"), Some("the"))
    };
    let numbers = (0..tokens.len()).filter(|at| tokens[*at].number().is_some());
    let of_others: Vec<usize> = numbers.filter(is_of_other).collect();
    for at in of_others.into_iter().rev() {
        tokens.remove(at);
    }
    tokens
}

/// Whether there are other numbers in `tokens` than those that were read as steps', of which one may be a step's. What
/// follows a colon after a number is a title.
pub(super) fn has_other_numbers(tokens: &[Token], read: usize) -> bool {
    let is_number = |token: &&Token| matches!(token, Token::Number(_));
    let first = tokens.iter().position(|token| is_number(&token)).unwrap_or_default();
    let title = tokens.iter().skip(first).position(|token| *token == Token::Mark(':'));
    let end = title.map_or(tokens.len(), |title| first + title);
    tokens[..end].iter().filter(is_number).count() > read
}

/// Whether `tokens` are numbers with nothing around them but words for steps and marks.
pub(super) fn are_numbers_alone(tokens: &[Token]) -> bool {
    tokens.iter().all(|token| match token {
        Token::Number(_) => true,
        Token::Word(word) => is_filler(word),
        Token::Mark(mark) => "#.,()[]{}<>@$№_\"'`".contains(*mark),
    })
}

/// Whether a word of a reference adds nothing to it.
pub(super) fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word) || STEP_WORDS.contains(&word) || COUNTERS.contains(&word)
}

/// Whether one of the steps that a text names may be enough.
pub(super) fn has_alternatives(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| token.word().is_some_and(|word| ALTERNATIVES.contains(&word)))
}

/// Whether a text takes something out of what it names.
pub(super) fn has_exceptions(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| token.word().is_some_and(|word| EXCEPTIONS.contains(&word)))
}

/// Whether nothing is said but that all steps before are meant.
pub(super) fn is_all(words: &str) -> bool {
    let of_all = [
        "all",
        "of",
        "the",
        "previous",
        "prior",
        "earlier",
        "preceding",
        "above",
        "before",
        "other",
        "steps",
        "step",
        "tasks",
    ];
    words.starts_with("all") && words.split(' ').all(|word| of_all.contains(&word))
}

/// `1-3`, `steps 1 to 3`.
pub(super) fn range(part: &str) -> Option<(i64, i64)> {
    let (first, last) = ["-", "–", " to ", " through ", " bis ", "...", ".."]
        .iter()
        .find_map(|dash| part.split_once(dash))?;
    let (first, last) = (whole(&Value::from(first))?, whole(&Value::from(last))?);
    (first < last && last - first < 50).then_some((first, last))
}
