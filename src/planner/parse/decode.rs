//! What surrounds the answer as a whole: reasoning, another encoding.

use std::borrow::Cow;

use super::lenient;

/// The tags of reasoning blocks.
pub(super) const REASONING: [(&str, &str); 3] =
    [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")];

/// What follows the reasoning block that the answer begins with. Without its opening tag nothing is left
/// out: the last plan counts, and a plan may speak of tags.
pub(super) fn without_reasoning(answer: &str) -> &str {
    REASONING
        .iter()
        .find_map(|(begin, end)| {
            let begins = answer.trim_start().starts_with(begin);
            begins.then(|| answer.rfind(end).map(|at| &answer[at + end.len()..])).flatten()
        })
        .unwrap_or(answer)
}

/// The JSON in an answer that was encoded once too often, or whose first brace is missing.
pub(super) fn decoded(answer: &str) -> Cow<'_, str> {
    let first_quote = answer.find('"').unwrap_or(answer.len());
    let before = &answer[..first_quote];
    if before.is_empty() {
        if let Some(inner) = decoded_string(answer) {
            return inner.into();
        }
        if lenient::begins_with_key(answer) {
            return format!("{{{answer}").into();
        }
    }
    // A JSON string without its quotes.
    if before.starts_with(['{', '[']) && before.ends_with('\\') {
        let quoted = format!("\"{}\"", answer.replace('\n', "\\n"));
        if let Some(inner) = decoded_string(&quoted) {
            return inner.into();
        }
    }
    // As HTML.
    if before.len() == answer.len() && answer.contains("&quot;") {
        let entities = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        return entities.iter().fold(answer.to_owned(), |text, (from, to)| text.replace(from, to)).into();
    }
    // By a keyboard for Chinese.
    if before.contains('｛') && !answer.contains('{') {
        let wide = [("｛", "{"), ("｝", "}"), ("［", "["), ("］", "]")];
        return wide.iter().fold(answer.to_owned(), |text, (from, to)| text.replace(from, to)).into();
    }
    answer.into()
}

/// What is in a JSON string, and in the JSON string that it holds, and so on.
fn decoded_string(text: &str) -> Option<String> {
    let inner: String = serde_json::from_str(text).ok()?;
    if inner.starts_with('"') { decoded_string(&inner).or(Some(inner)) } else { Some(inner) }
}
