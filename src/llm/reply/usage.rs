//! The token counts of an answer, under the names of all servers.

use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;
use serde_json::{Map, Value};

use super::lenient::{Count, FromJson};

/// How deep the token counts of an answer may be.
const MAX_DEPTH: u8 = 5;
/// Names of the tokens of a prompt, in lower case and without separators: OpenAI's, Anthropic's, Gemini's, Ollama's
/// and llama.cpp's.
const PROMPT: [&str; 7] = [
    "prompttokens",
    "inputtokens",
    "prompttokencount",
    "inputtokencount",
    "promptevalcount",
    "promptn",
    "tokensevaluated",
];
/// And of an answer.
const COMPLETION: [&str; 7] = [
    "completiontokens",
    "outputtokens",
    "candidatestokencount",
    "outputtokencount",
    "evalcount",
    "predictedn",
    "tokenspredicted",
];
/// Of both.
const TOTAL: [&str; 2] = ["totaltokens", "totaltokencount"];
/// Fields that hold the answer, which may be JSON with such names.
const ANSWER_FIELDS: [&str; 4] = ["content", "arguments", "function", "text"];

/// How many tokens were counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) prompt: u64,
    pub(super) completion: u64,
}

impl FromJson for Usage {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let object = Map::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Self::of(&object))
    }
}

impl Usage {
    /// The counts among the fields of an object.
    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let named = |names: &[&str]| {
            fields.iter().find(|(name, _)| is_one_of(name, names)).and_then(|(_, value)| count(value))
        };
        let prompt = named(&PROMPT).unwrap_or_default();
        let rest = || named(&TOTAL)?.checked_sub(prompt);
        let usage = Self { prompt, completion: named(&COMPLETION).or_else(rest).unwrap_or_default() };
        (usage != Self::default()).then_some(usage)
    }

    /// The counts anywhere in a body: next to the choices, in one of them, or in a server's own extension.
    pub(super) fn anywhere_in(body: &Value) -> Option<Self> {
        Self::within(body, MAX_DEPTH)
    }

    fn within(place: &Value, depth: u8) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        match place {
            Value::Array(entries) => entries.iter().find_map(|entry| Self::within(entry, depth)),
            Value::Object(fields) => {
                let others = fields.iter().filter(|(name, _)| !ANSWER_FIELDS.contains(&name.as_str()));
                Self::of(fields)
                    .or_else(|| others.into_iter().find_map(|(_, field)| Self::within(field, depth)))
            }
            _ => None,
        }
    }
}

/// Whether a chunk of a stream may have counts in it.
pub(super) fn may_be_counted(chunk: &str) -> bool {
    ["usage", "Usage", "okens", "_count", "timings"].iter().any(|part| chunk.contains(part))
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    let plain = |name: &str| {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    name.len() < 40 && names.contains(&&*String::from_utf8_lossy(&plain(name)))
}

fn count(value: &Value) -> Option<u64> {
    let count = match value {
        Value::Number(number) => Count::from_number(number.as_f64()?),
        Value::String(text) => Count::from_text(text.clone()),
        _ => None,
    };
    count.map(|count| count.0)
}
