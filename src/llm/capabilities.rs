//! What a server supports of a call, as learnt from its refusals.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Prompt;

/// Parts of a call that not every server supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// A JSON Schema with every constraint.
    TightSchema,
    /// Any JSON Schema.
    JsonSchema,
    /// Any `response_format`.
    ResponseFormat,
    /// `max_tokens`, which some models call `max_completion_tokens`.
    MaxTokens,
    /// A sampling temperature.
    Temperature,
    /// `stream_options`, with which a stream ends with the token counts.
    StreamOptions,
    /// An answer that is sent while it is generated.
    Stream,
    /// An answer that is sent when it is whole.
    WholeAnswer,
    /// An answer with the requested number of tokens.
    AnswerLength,
}

impl Feature {
    /// Its label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TightSchema => "tight_schema",
            Self::JsonSchema => "json_schema",
            Self::ResponseFormat => "response_format",
            Self::MaxTokens => "max_tokens",
            Self::Temperature => "temperature",
            Self::StreamOptions => "stream_options",
            Self::Stream => "stream",
            Self::WholeAnswer => "whole_answer",
            Self::AnswerLength => "answer_length",
        }
    }
}

/// What a server supports for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ServerCapabilities {
    structure: Structure,
    /// Newer models use this name for `max_tokens`, and some of them support no temperature.
    max_completion_tokens: bool,
    no_temperature: bool,
    stream: Stream,
    no_stream_options: bool,
    longest_answer: Option<AnswerLimit>,
}

/// Structured output, from the strictest to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Structure {
    #[default]
    TightSchema,
    PlainSchema,
    JsonObject,
    Text,
}

/// Streaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stream {
    #[default]
    AsWanted,
    Never,
    /// Some servers give certain models' answers in no other way.
    Always,
}

/// The longest answer that a model gives after a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AnswerLimit {
    pub(super) tokens: u32,
    /// Length of prompts, in bytes, from which the limit applies; 0 if it does not depend on the prompt.
    pub(super) prompt_bytes: usize,
}

impl ServerCapabilities {
    /// The capabilities without `feature`; `None` when it was not in use, so that nothing would change.
    ///
    /// One refusal leads as far down as it names, so that each feature costs one more call in the process's life.
    pub(super) fn downgrade(mut self, feature: Feature) -> Option<Self> {
        let before = self;
        match feature {
            Feature::TightSchema => self.structure = self.structure.max(Structure::PlainSchema),
            Feature::JsonSchema => self.structure = self.structure.max(Structure::JsonObject),
            Feature::ResponseFormat => self.structure = Structure::Text,
            // Models with the other name support no temperature but their default either.
            Feature::MaxTokens => (self.max_completion_tokens, self.no_temperature) = (true, true),
            Feature::Temperature => self.no_temperature = true,
            Feature::StreamOptions => self.no_stream_options = true,
            Feature::Stream if self.stream == Stream::AsWanted => self.stream = Stream::Never,
            Feature::WholeAnswer if self.stream == Stream::AsWanted => self.stream = Stream::Always,
            // How long an answer may be is said with `limit_answers`.
            Feature::Stream | Feature::WholeAnswer | Feature::AnswerLength => {}
        }
        // After a plain schema that is refused as too complex comes any JSON object.
        if self == before && feature == Feature::TightSchema && self.structure == Structure::PlainSchema {
            self.structure = Structure::JsonObject;
        }
        (self != before).then_some(self)
    }

    /// The part of the form of the answer that makes it as strict as it is; `None` for text.
    pub(super) fn strictest_part(self) -> Option<Feature> {
        match self.structure {
            Structure::TightSchema => Some(Feature::TightSchema),
            Structure::PlainSchema => Some(Feature::JsonSchema),
            Structure::JsonObject => Some(Feature::ResponseFormat),
            Structure::Text => None,
        }
    }

    /// The capabilities with answers of at most `limit`; `None` when that is no less than before.
    pub(super) fn limit_answers(self, limit: AnswerLimit) -> Option<Self> {
        let before = self.longest_answer.filter(|before| before.prompt_bytes <= limit.prompt_bytes);
        let is_lower = before.is_none_or(|before| limit.tokens < before.tokens);
        is_lower.then_some(Self { longest_answer: Some(limit), ..self })
    }

    /// The part of a call that defines the form of the answer.
    pub(super) fn response_format(self, prompt: &Prompt) -> Option<ResponseFormat<'_>> {
        let schema = &prompt.schema;
        let by_schema = |raw| ResponseFormat::JsonSchema {
            json_schema: NamedSchema { name: schema.name, strict: true, schema: raw },
        };
        match self.structure {
            Structure::TightSchema => Some(by_schema(&schema.tight)),
            Structure::PlainSchema => Some(by_schema(&schema.plain)),
            Structure::JsonObject => Some(ResponseFormat::JsonObject),
            Structure::Text => None,
        }
    }

    /// The most tokens of the answer to a prompt of `bytes` bytes.
    pub(super) fn longest_answer(self, most: u32, prompt_bytes: usize) -> u32 {
        let limit = self.longest_answer.filter(|limit| prompt_bytes >= limit.prompt_bytes);
        limit.map_or(most, |limit| limit.tokens.min(most))
    }

    /// The token limit under the name that the model supports.
    pub(super) fn token_limit(self, most: u32) -> TokenLimit {
        if self.max_completion_tokens {
            TokenLimit::MaxCompletionTokens(most)
        } else {
            TokenLimit::MaxTokens(most)
        }
    }

    /// The part of a call that asks for a stream.
    pub(super) fn streaming(self, wanted: bool) -> Streaming {
        let stream = match self.stream {
            Stream::AsWanted => wanted,
            Stream::Never => false,
            Stream::Always => true,
        };
        let is_counted = stream && !self.no_stream_options;
        Streaming { stream, stream_options: is_counted.then_some(StreamOptions { include_usage: true }) }
    }

    /// The temperature, where it is supported.
    pub(super) fn temperature(self, wanted: f64) -> Option<f64> {
        (!self.no_temperature).then_some(wanted)
    }
}

/// The form of the answer.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ResponseFormat<'a> {
    JsonSchema { json_schema: NamedSchema<'a> },
    JsonObject,
}

#[derive(Serialize)]
pub(super) struct NamedSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: &'a RawValue,
}

/// Maximum number of tokens of an answer.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TokenLimit {
    MaxTokens(u32),
    MaxCompletionTokens(u32),
}

/// Whether the answer is streamed; if not, the call has no such fields.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Streaming {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Clone, Copy, Serialize)]
struct StreamOptions {
    /// The last chunk has the token counts.
    include_usage: bool,
}

impl Streaming {
    pub(super) fn is_on(self) -> bool {
        self.stream
    }
}

/// Words of schemas and of the grammars made of them, which are in no other refusal.
const SCHEMA_KEYWORDS: [&str; 12] = [
    "prefixitems",
    "minitems",
    "maxitems",
    "minlength",
    "maxlength",
    "anyof",
    "$defs",
    "$ref",
    "'minimum'",
    "additionalproperties",
    "grammar",
    "response_schema",
];
/// Messages about a schema that is too complex.
const INVALID_SCHEMA: [&str; 6] = [
    "invalid schema",
    "invalid json schema",
    "invalid response_format schema",
    "schema is invalid",
    "unsupported schema",
    "schema is too",
];
/// Who says that a JSON object is possible refuses the schema; who says that it is not is asked for text next.
const ANY_SCHEMA: [&str; 4] = ["json_schema", "json schema", "structured output", "json_object"];
const ANY_FORMAT: [&str; 4] = ["response_format", "responseformat", "json mode", "guided_json"];

/// The feature that a server refuses, from the words (in lower case) of its 400.
pub(super) fn refused_feature(words: &str) -> Option<Feature> {
    if words.contains("stream_options") {
        Some(Feature::StreamOptions)
    } else if words.contains("max_completion_tokens") || words.contains("max_tokens") && refuses(words) {
        Some(Feature::MaxTokens)
    } else if words.contains("temperature") {
        Some(Feature::Temperature)
    } else if mentions_streams(words) {
        Some(Feature::Stream)
    } else {
        refused_form(words)
    }
}

/// The form of the answer that a server refuses, from the words (in lower case) of its error.
pub(super) fn refused_form(words: &str) -> Option<Feature> {
    let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if mentions(&SCHEMA_KEYWORDS) || mentions(&INVALID_SCHEMA) {
        Some(Feature::TightSchema)
    } else if mentions(&ANY_SCHEMA) {
        Some(Feature::JsonSchema)
    } else {
        mentions(&ANY_FORMAT).then_some(Feature::ResponseFormat)
    }
}

/// Whether the words mention streams, and not only "upstream".
fn mentions_streams(words: &str) -> bool {
    words.contains("流式")
        || words
            .split(|c: char| !c.is_ascii_alphabetic())
            .any(|word| matches!(word, "stream" | "streaming" | "streamed"))
}

/// Whether a parameter is unknown, rather than its value out of range.
pub(super) fn refuses(words: &str) -> bool {
    ["not support", "unsupported", "unknown", "unrecognized", "not permitted", "not allowed", "deprecated"]
        .iter()
        .any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_a_feature() {
        for (words, feature) in [
            (
                "invalid parameter: 'response_format' of type 'json_schema' is not supported with this model",
                Some(Feature::JsonSchema),
            ),
            ("'response_format.type' must be 'json_object' or 'text'", Some(Feature::JsonSchema)),
            ("argument not supported on this model: responseformat", Some(Feature::ResponseFormat)),
            (
                "invalid schema for response_format 'plan': in context=(), 'minitems' is not permitted",
                Some(Feature::TightSchema),
            ),
            ("failed to parse grammar", Some(Feature::TightSchema)),
            ("invalid json schema for response_format: 'plan'", Some(Feature::TightSchema)),
            (
                "unknown name \"prefixitems\" at 'generation_config.response_schema'",
                Some(Feature::TightSchema),
            ),
            ("response_format is not supported", Some(Feature::ResponseFormat)),
            ("extra inputs are not permitted: response_format", Some(Feature::ResponseFormat)),
            (
                "unsupported parameter: 'max_tokens' is not supported with this model. use 'max_completion_tokens' instead.",
                Some(Feature::MaxTokens),
            ),
            (
                "unsupported value: 'temperature' does not support 0.3 with this model",
                Some(Feature::Temperature),
            ),
            ("unrecognized request argument supplied: stream_options", Some(Feature::StreamOptions)),
            ("'stream_options' is only allowed when streaming", Some(Feature::StreamOptions)),
            ("streaming is not supported for this model", Some(Feature::Stream)),
            ("unsupported value: 'stream' does not support true", Some(Feature::Stream)),
            ("an upstream error: this is not supported", None),
            ("max_tokens is too large: 9000", None),
            ("temperature must be between 0 and 1", Some(Feature::Temperature)),
            ("enable_thinking must be set to false for non-streaming calls", Some(Feature::Stream)),
            ("messages must not be empty", None),
        ] {
            assert_eq!(refused_feature(words), feature, "{words}");
        }
    }

    #[test]
    fn an_answer_is_as_long_as_the_model_or_the_prompt_allows() {
        let limit = |tokens, prompt_bytes| AnswerLimit { tokens, prompt_bytes };
        let all = ServerCapabilities::default();
        assert_eq!(all.longest_answer(2_000, 500), 2_000);
        let limited = all.limit_answers(limit(900, 500)).expect("less");
        let longest = |prompt_bytes| limited.longest_answer(2_000, prompt_bytes);
        assert_eq!((longest(499), longest(500), longest(900)), (2_000, 900, 900));
        assert_eq!(limited.longest_answer(100, 500), 100);
        assert_eq!(limited.limit_answers(limit(900, 500)), None);
        let lower = limited.limit_answers(limit(800, 600)).expect("less");
        assert_eq!(lower.longest_answer(2_000, 600), 800);
    }

    #[test]
    fn each_refusal_downgrades_once_and_never_upgrades() {
        let all = ServerCapabilities::default();
        let plain = all.downgrade(Feature::TightSchema).expect("less");
        assert_eq!(plain.structure, Structure::PlainSchema);
        let object = plain.downgrade(Feature::TightSchema).expect("less");
        assert_eq!(object.structure, Structure::JsonObject);
        assert_eq!(all.downgrade(Feature::JsonSchema), Some(object));
        assert_eq!(object.downgrade(Feature::TightSchema), None);
        assert_eq!(object.downgrade(Feature::JsonSchema), None);
        let text = object.downgrade(Feature::ResponseFormat).expect("less");
        assert_eq!(text.structure, Structure::Text);
        assert_eq!(text.downgrade(Feature::ResponseFormat), None);
        let newer = text.downgrade(Feature::MaxTokens).expect("other");
        assert_eq!(newer.temperature(0.3), None);
        assert_eq!(newer.downgrade(Feature::MaxTokens), None);
        let uncounted = newer.downgrade(Feature::StreamOptions).expect("less");
        assert!(uncounted.streaming(true).is_on() && uncounted.streaming(true).stream_options.is_none());
        let whole = uncounted.downgrade(Feature::Stream).expect("less");
        assert!(!whole.streaming(true).is_on() && !newer.streaming(false).is_on());
        for feature in [Feature::Stream, Feature::WholeAnswer, Feature::StreamOptions] {
            assert_eq!(whole.downgrade(feature), None);
        }
        let always = all.downgrade(Feature::WholeAnswer).expect("other");
        assert!(always.streaming(false).is_on() && always.downgrade(Feature::Stream).is_none());
    }
}
