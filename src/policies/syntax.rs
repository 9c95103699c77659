//! Parses expressions. Of what the parser reports, the first fault is named, in plain words: the others follow from it.

use cel::IdedExpr as Expression;
use cel::common::ast::SourceInfo;
use cel::parser::Parser;

/// How deep parentheses, brackets and braces may nest.
const MAX_BRACKETS: u16 = 30;
/// Enough for the longest expression, whatever it is: parser and check are recursive.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// What other languages write for an operator.
const OPERATORS: [(&str, &str); 4] = [("and", "&&"), ("or", "||"), ("not", "!"), ("=", "==")];

/// The result of `work` on a stack of its own, which only takes the memory that is used; `None` if it panics.
pub(super) fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

/// The expression in `text`.
///
/// # Errors
/// The first fault, with its line and column.
pub(super) fn parse(text: &str) -> Result<(Expression, SourceInfo), String> {
    let parsed = Parser::default().max_recursion_depth(MAX_BRACKETS).parse_with_source_info(text);
    parsed.map_err(|found| {
        // What is too deep, or breaks the grammar, causes the others.
        let that = |is_it: fn(&str) -> bool| found.errors.iter().find(|error| is_it(&error.msg));
        let of_grammar = that(is_too_deep).or_else(|| that(|message| message.starts_with(GRAMMAR)));
        let Some(first) = of_grammar.or(found.errors.first()) else { return "cannot be parsed".to_owned() };
        match first.pos {
            (line @ 1.., column) => format!("line {line}, column {column}: {}", in_words(&first.msg)),
            _ => in_words(&first.msg),
        }
    })
}

/// How the parser begins what it says about the grammar.
const GRAMMAR: &str = "Syntax error: ";

fn is_too_deep(message: &str) -> bool {
    message.contains("Recursion limit")
}

/// What the parser means.
fn in_words(message: &str) -> String {
    let Some(message) = message.strip_prefix(GRAMMAR) else {
        return match message {
            "invalid argument to has() macro" => "`has` needs a field: write `has(record.field)`".to_owned(),
            "argument must be a simple name" => {
                "the first argument must be the name of a variable".to_owned()
            }
            other if other.starts_with("invalid string literal") => {
                "this string has an invalid escape".to_owned()
            }
            other if other.contains(['`', '{']) => "this is incomplete".to_owned(),
            other => other.to_owned(),
        };
    };
    if is_too_deep(message) {
        return format!("parentheses and brackets nest deeper than {MAX_BRACKETS} levels");
    }
    if let Some((what, at)) = message.strip_prefix("missing ").and_then(|rest| rest.split_once(" at ")) {
        return format!("`{}` is missing before {}", unquoted(what), named(unquoted(at)));
    }
    let (_, token) = message.split_once('\'').unwrap_or_default();
    let end = token.rfind("' expecting ").or_else(|| token.rfind('\'')).unwrap_or(token.len());
    match &token[..end] {
        text if message.starts_with("token recognition") && text.starts_with(['\'', '"']) => {
            "this string has no end".to_owned()
        }
        token => {
            let instead = OPERATORS.iter().find(|(other, _)| *other == token.trim());
            let instead = instead.map(|(_, operator)| format!("; write `{operator}`")).unwrap_or_default();
            format!("{} is unexpected{instead}", named(token.trim()))
        }
    }
}

fn unquoted(token: &str) -> &str {
    token.strip_prefix('\'').and_then(|token| token.strip_suffix('\'')).unwrap_or(token)
}

/// How a token is named.
fn named(token: &str) -> String {
    match token {
        "<EOF>" => "the end of the expression".to_owned(),
        token => format!("`{}`", crate::text::shorten(token, 40)),
    }
}
