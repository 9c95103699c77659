//! How long an answer may be, from what a server says about one that may not be as long as was asked for.

use super::capabilities::AnswerLimit;

/// Smaller numbers in such messages count something else.
const MIN_FIGURE: u32 = 16;
/// A plan does not fit into fewer tokens.
const MIN_PLAN_TOKENS: u32 = 200;

/// The limit that `message` gives for an answer of which `asked` tokens were too many, after a prompt of `bytes` bytes.
///
/// Servers say how large the context is, and how much of it the prompt takes, or the sum of prompt and answer; or how
/// long the longest answer is. `None` where the figures have no such reading, or leave too little for a plan.
pub(super) fn limit_in_message(message: &str, asked: u32, prompt_bytes: usize) -> Option<AnswerLimit> {
    let figures: Vec<u32> = figures(message).into_iter().filter(|figure| *figure != asked).collect();
    let sum =
        figures.iter().copied().find(|sum| sum.checked_sub(asked).is_some_and(|p| figures.contains(&p)));
    let (context, prompt) = match (sum, figures.as_slice()) {
        (Some(sum), _) => {
            let others = figures.iter().copied().filter(|figure| ![sum, sum - asked].contains(figure));
            (others.max().unwrap_or(asked), sum - asked)
        }
        (None, []) => return None,
        // Gemini names the first number that is too large.
        (None, [longest]) if message.contains("(exclusive)") => (longest - 1, 0),
        (None, [longest]) => (*longest, 0),
        // Context and sum, or context and prompt.
        (None, [a, b]) if *a.min(b) > asked => (*a.min(b), a.max(b) - asked),
        (None, [a, b, ..]) => (*a.max(b), *a.min(b)),
    };
    let tokens = context.checked_sub(prompt)?;
    let limit = AnswerLimit { tokens, prompt_bytes: if prompt == 0 { 0 } else { prompt_bytes } };
    (MIN_PLAN_TOKENS..asked).contains(&tokens).then_some(limit)
}

/// The distinct numbers of a text that are words by themselves, also with separators (`2,048`). Those in names, such as
/// `gpt-4-32768`, do not.
fn figures(text: &str) -> Vec<u32> {
    let mut figures = Vec::new();
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ',' | '/');
    for word in text.split(|c| !is_of_word(c)) {
        let digits = word.trim_matches(['.', ',']).replace([',', '_'], "");
        if let Ok(figure) = digits.parse()
            && figure >= MIN_FIGURE
            && !figures.contains(&figure)
        {
            figures.push(figure);
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_servers_are_read() {
        let context = |tokens| Some(AnswerLimit { tokens, prompt_bytes: 77 });
        let answer = |tokens| Some(AnswerLimit { tokens, prompt_bytes: 0 });
        for (message, limit) in [
            // OpenAI, vLLM.
            (
                "This model's maximum context length is 2048 tokens. However, you requested 2700 tokens (700 in the messages, 2000 in the completion). Please reduce the length of the messages or completion.",
                context(1_348),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 2048 tokens and your request has 700 input tokens (2000 > 2048 - 700).",
                context(1_348),
            ),
            (
                "max_tokens is too large: 2000. This model supports at most 1024 completion tokens, whereas you provided 2000.",
                answer(1_024),
            ),
            // Text Generation Inference, Together.
            (
                "`inputs` tokens + `max_new_tokens` must be <= 2,048. Given: 700 `inputs` tokens and 2000 `max_new_tokens`",
                context(1_348),
            ),
            // Anthropic.
            (
                "max_tokens: 2000 > 1024, which is the maximum allowed number of output tokens for claude-20241022",
                answer(1_024),
            ),
            // DeepSeek.
            ("Invalid max_tokens value, the valid range of max_tokens is [1, 1024]", answer(1_024)),
            ("maximum context length is 2048 tokens, however you requested 2700 tokens", context(1_348)),
            // Gemini.
            (
                "it has a maxOutputTokens value of 2000 but the supported range is from 1 (inclusive) to 1025 (exclusive)",
                answer(1_024),
            ),
            // Bedrock.
            (
                "The maximum tokens you requested exceeds the model limit of 1024. Try again with a maximum tokens value that is lower than 1024.",
                answer(1_024),
            ),
            // OpenRouter.
            (
                "This endpoint's maximum context length is 2048 tokens. However, you requested about 2700 tokens (700 of text input, 2000 in the output).",
                context(1_348),
            ),
            // Nothing fits.
            (
                "maximum context length is 2048 tokens; you requested 4000 tokens (2000 in the messages, 2000 in the completion)",
                None,
            ),
            (
                "maximum context length is 2048 tokens; you requested 5000 tokens (3000 in the messages, 2000 in the completion)",
                None,
            ),
            ("max_tokens is too large", None),
            ("max_tokens is too large: 2000", None),
            ("max_tokens must be at most 99999999999999999999", None),
        ] {
            assert_eq!(limit_in_message(message, 2_000, 77), limit, "{message}");
        }
    }
}
