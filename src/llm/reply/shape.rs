//! The shapes of chat completions and errors.

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess};
use serde_json::{Value, json};

use super::failure::status_field;
use super::lenient::{Count, FromJson, Identifier, Lenient};
use super::usage::Usage;

/// A body, every field of which may be of any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplyBody {
    pub(super) choices: Lenient<Vec<Choice>>,
    pub(super) usage: Lenient<Usage>,
    // Errors that come with status 200, in the shapes of different servers.
    pub(super) error: Option<Value>,
    pub(super) errors: Option<Value>,
    pub(super) detail: Option<Value>,
    pub(super) message: Option<Value>,
    pub(super) object: Option<Value>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Value>,
    pub(super) code: Option<Value>,
    pub(super) status: Option<Value>,
    pub(super) base_resp: Option<Value>,
}

/// The id of an answer and its model. Read separately, as each chunk of a stream repeats them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    pub(super) id: Lenient<Identifier>,
    pub(super) model: Lenient<Identifier>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    pub(super) index: Lenient<Count>,
    pub(super) message: Lenient<ReplyMessage>,
    /// A part of a message, in a stream.
    pub(super) delta: Lenient<ReplyMessage>,
    /// The text, in text completions.
    pub(super) text: Lenient<String>,
    pub(super) finish_reason: Lenient<String>,
    /// Routers put the error of the server behind them here.
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplyMessage {
    pub(super) content: Lenient<Content>,
    pub(super) refusal: Lenient<String>,
    // Servers use one name, the other, or both.
    pub(super) reasoning_content: Lenient<String>,
    pub(super) reasoning: Lenient<String>,
    pub(super) tool_calls: Lenient<Vec<ToolCall>>,
    pub(super) function_call: Lenient<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCall {
    pub(super) index: Lenient<Count>,
    pub(super) id: Lenient<String>,
    function: Lenient<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) arguments: Lenient<Arguments>,
}

/// JSON text; some servers send it as an object that they have parsed already.
#[derive(Debug)]
pub(super) struct Arguments(pub(super) String);

/// The content of a message: text, parts of text, or JSON that the server has parsed already.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) text: String,
    /// Parts that are marked as reasoning.
    pub(super) reasoning: String,
    /// Parts that are marked as a refusal.
    pub(super) refusal: String,
}

impl FromJson for ReplyBody {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }

    /// Gemini wraps its errors in an array.
    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::from_list(list)?.and_then(|bodies| bodies.into_iter().next()))
    }
}

/// For types that are JSON objects and nothing else.
macro_rules! from_json_objects {
    ($($shape:ty),*) => {$(
        impl FromJson for $shape {
            fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )*};
}

from_json_objects!(Choice, ToolCall, Function);

impl FromJson for ReplyMessage {
    fn from_text(text: String) -> Option<Self> {
        Some(Self { content: Lenient(Content::from_text(text)), ..Self::default() })
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl FromJson for Arguments {
    fn from_text(text: String) -> Option<Self> {
        Some(Self(text))
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let object = Value::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Some(Self(object.to_string())))
    }
}

impl FromJson for Content {
    fn from_text(text: String) -> Option<Self> {
        Some(Self { text, ..Self::default() })
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let object = Value::deserialize(MapAccessDeserializer::new(object))?;
        let part = Self::of_parts(std::slice::from_ref(&object));
        Ok(Some(if part.is_empty() { Self::parsed(&object) } else { part }))
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        let parts: Vec<Value> = Vec::deserialize(SeqAccessDeserializer::new(list))?;
        let is_part =
            |part: &Value| !part.is_object() || ["type", "text"].iter().any(|key| !part[key].is_null());
        let is_parsed = !parts.is_empty() && !parts.iter().any(is_part);
        Ok(Some(if is_parsed { Self::parsed(&Value::Array(parts)) } else { Self::of_parts(&parts) }))
    }
}

impl Content {
    /// The texts of the parts.
    fn of_parts(parts: &[Value]) -> Self {
        let mut content = Self::default();
        for part in parts {
            let kind = part["type"].as_str().unwrap_or_default();
            // `{"text": {"value": …}}` is the form of the Assistants API.
            let text = [part, &part["text"], &part["text"]["value"]].into_iter().find_map(Value::as_str);
            match kind {
                "reasoning" | "thinking" => content.reasoning.push_str(text.unwrap_or_default()),
                "refusal" => content.refusal.push_str(part["refusal"].as_str().or(text).unwrap_or_default()),
                _ => content.text.push_str(text.unwrap_or_default()),
            }
        }
        content
    }

    /// An answer that is JSON instead of text.
    fn parsed(answer: &Value) -> Self {
        Self { text: answer.to_string(), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.refusal.is_empty()
    }
}

impl ToolCall {
    pub(super) fn arguments(self) -> Option<String> {
        self.function.0?.arguments.0.map(|arguments| arguments.0)
    }
}

impl ReplyMessage {
    /// The arguments of each tool call: some servers turn the schema of the answer into a tool.
    pub(super) fn take_arguments(&mut self) -> Vec<String> {
        let calls = self.tool_calls.0.take().unwrap_or_default();
        let function = self.function_call.0.take().and_then(|function| function.arguments.0);
        let function = function.map(|arguments| arguments.0);
        calls.into_iter().filter_map(ToolCall::arguments).chain(function).collect()
    }

    /// The text of its content.
    pub(super) fn text(&self) -> Option<&str> {
        self.content.0.as_ref().map(|content| content.text.as_str())
    }
}

impl ReplyBody {
    /// The fields that describe an error, if it reports one.
    pub(super) fn reported_error(&self) -> Option<Value> {
        let fields = json!({
            "error": self.error, "errors": self.errors, "detail": self.detail, "message": self.message,
            "type": self.kind, "code": self.code, "status": self.status, "base_resp": self.base_resp,
        });
        let is_error = |value: &Option<Value>| value.as_ref().is_some_and(|value| value == "error");
        let is_present =
            |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && !is_empty(value);
        let is_reported = ["error", "errors", "detail"].iter().any(|name| is_present(&fields[name]))
            || fields["base_resp"]["status_code"].as_i64().is_some_and(|code| code != 0)
            || is_error(&self.object)
            || is_error(&self.kind)
            || status_field(&fields).is_some();
        is_reported.then_some(fields)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
