//! Names of arms, compared the way people mean them.

use heck::ToSnakeCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words around a name that say what kind of thing it names, not which.
const AFFIXES: &[&str] = &[
    "agent",
    "api",
    "arm",
    "assistant",
    "bot",
    "function",
    "helper",
    "module",
    "plugin",
    "service",
    "skill",
    "the",
    "tool",
    "worker",
];

/// In names of this many characters typing errors are not looked for, as that would take too long.
const LONG_NAME: usize = 200;

/// `text` as words in lower case, without accents, separated by single spaces: `ImageColorizer`,
/// `image-colorizer` and `Image Colorizer` are the same.
pub fn fold_name(text: &str) -> String {
    without_accents(text).to_snake_case().replace('_', " ")
}

/// `text` without the accents of Latin, Greek and Cyrillic letters. Marks of other scripts are letters of their own.
pub(super) fn without_accents(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let is_accent = |c: &char| matches!(c, '\u{300}'..='\u{36f}') && is_combining_mark(*c);
    text.nfkd().filter(|c| !is_accent(c)).nfc().collect()
}

/// The folded `name` without the words around it that name a kind; unchanged if nothing else is left.
pub(super) fn bare(name: &str) -> &str {
    let mut bare = name;
    while let Some((first, rest)) = bare.split_once(' ')
        && AFFIXES.contains(&first)
    {
        bare = rest;
    }
    while let Some((rest, last)) = bare.rsplit_once(' ')
        && AFFIXES.contains(&last)
    {
        bare = rest;
    }
    bare
}

/// Whether two names are the same but for case, separators, accents and affixes.
pub fn is_same_name(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(fold_name);
    joined(bare(&a)) == joined(bare(&b))
}

/// The folded `name` written in one word.
pub(super) fn joined(name: &str) -> String {
    name.replace(' ', "")
}

/// How many typing errors the `joined` names may be apart to be taken for the same, and are; `None` when they are
/// further apart. Names that differ in a digit are different things.
pub(super) fn typing_errors(a: &str, b: &str) -> Option<usize> {
    let (length_a, length_b) = (a.chars().count(), b.chars().count());
    let allowed = match length_a.min(length_b) {
        0..=4 | LONG_NAME.. => 0,
        5..=7 => 1,
        _ => 2,
    };
    if allowed == 0 || length_a.abs_diff(length_b) > allowed {
        return None;
    }
    let digits = |text: &str| text.chars().filter(|c| c.is_numeric()).collect::<String>();
    let errors = strsim::osa_distance(a, b);
    (errors <= allowed && digits(a) == digits(b)).then_some(errors)
}

/// Byte offset of the folded `part` in the folded `whole`, as whole words.
pub(super) fn find_words(whole: &str, part: &str) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    whole.match_indices(part).map(|(at, _)| at).find(|&at| {
        let starts = at == 0 || whole[..at].ends_with(' ');
        let end = at + part.len();
        starts && (end == whole.len() || whole[end..].starts_with(' '))
    })
}
