//! The shapes in which chat completions and errors come.

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess};
use serde_json::{Value, json};

use super::failure::stated_status;
use super::lenient::{Carried, Count, Lenient, Name};

/// Every field is read whatever its type. The plain ones cost nothing where they are absent or `null`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) choices: Lenient<Vec<Choice>>,
    pub(super) usage: Lenient<Usage>,
    // Some servers send their errors with status 200, each in its own shape.
    pub(super) error: Option<Value>,
    pub(super) errors: Option<Value>,
    pub(super) detail: Option<Value>,
    pub(super) message: Option<Value>,
    pub(super) object: Option<Value>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Value>,
    pub(super) code: Option<Value>,
    pub(super) status: Option<Value>,
}

/// What a server calls an answer, and the model that gave it. Read by itself, as each chunk of a stream repeats it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Names {
    pub(super) id: Lenient<Name>,
    pub(super) model: Lenient<Name>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) prompt_tokens: Lenient<Count>,
    pub(super) completion_tokens: Lenient<Count>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    pub(super) index: Lenient<Count>,
    pub(super) message: Lenient<Message>,
    /// A piece of a message, in a stream.
    pub(super) delta: Lenient<Message>,
    /// Where text completions have it.
    pub(super) text: Lenient<String>,
    pub(super) finish_reason: Lenient<String>,
    /// Routers say here what went wrong at the server behind them.
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) content: Lenient<Content>,
    pub(super) refusal: Lenient<String>,
    // Servers name it one way, the other, or both at once.
    pub(super) reasoning_content: Lenient<String>,
    pub(super) reasoning: Lenient<String>,
    pub(super) tool_calls: Lenient<Vec<ToolCall>>,
    pub(super) function_call: Lenient<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolCall {
    pub(super) function: Lenient<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) arguments: Lenient<Arguments>,
}

/// Text, also where it comes as an object that has been parsed already.
#[derive(Debug)]
pub(super) struct Arguments(String);

/// What a message says: text, parts of text, or an object that has been parsed already.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) text: String,
    /// Parts that are marked as reasoning.
    pub(super) thought: String,
    /// Parts that are marked as a refusal.
    pub(super) refusal: String,
}

impl Carried for Body {
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }

    /// Gemini wraps its errors in an array.
    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(Vec::from_list(list)?.and_then(|bodies| bodies.into_iter().next()))
    }
}

/// What comes as an object, and as nothing else.
macro_rules! carried_by_objects {
    ($($shape:ty),*) => {$(
        impl Carried for $shape {
            fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )*};
}

carried_by_objects!(Usage, Choice, ToolCall, Function);

impl Carried for Message {
    fn from_text(text: String) -> Option<Self> {
        Some(Self { content: Lenient(Content::from_text(text)), ..Self::default() })
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl Carried for Arguments {
    fn from_text(text: String) -> Option<Self> {
        Some(Self(text))
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        let object = Value::deserialize(MapAccessDeserializer::new(object))?;
        Ok(Some(Self(object.to_string())))
    }
}

impl Carried for Content {
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
                "reasoning" | "thinking" => content.thought.push_str(text.unwrap_or_default()),
                "refusal" => content.refusal.push_str(part["refusal"].as_str().or(text).unwrap_or_default()),
                _ => content.text.push_str(text.unwrap_or_default()),
            }
        }
        content
    }

    /// An answer that is no text but JSON itself.
    fn parsed(answer: &Value) -> Self {
        Self { text: answer.to_string(), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thought.is_empty() && self.refusal.is_empty()
    }
}

impl Message {
    /// What it was to call a tool with: some servers make the wanted structure a tool.
    pub(super) fn first_arguments(&self) -> Option<String> {
        let calls = self.tool_calls.0.as_deref().unwrap_or_default();
        let functions = calls.iter().map(|call| &call.function).chain([&self.function_call]);
        let mut arguments = functions.filter_map(|function| function.0.as_ref()?.arguments.0.as_ref());
        arguments.find(|arguments| !arguments.0.is_empty()).map(|arguments| arguments.0.clone())
    }
}

impl Usage {
    pub(super) fn prompt(&self) -> u64 {
        self.prompt_tokens.0.map_or(0, |count| count.0)
    }

    pub(super) fn completion(&self) -> u64 {
        self.completion_tokens.0.map_or(0, |count| count.0)
    }
}

impl Body {
    /// What it says is wrong, when it says so.
    pub(super) fn complaint(&self) -> Option<Value> {
        let said = json!({
            "error": self.error, "errors": self.errors, "detail": self.detail, "message": self.message,
            "type": self.kind, "code": self.code, "status": self.status,
        });
        let is_error = |value: &Option<Value>| value.as_ref().is_some_and(|value| value == "error");
        let is_available =
            |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && !is_empty(value);
        let complains = ["error", "errors", "detail"].iter().any(|name| is_available(&said[name]))
            || is_error(&self.object)
            || is_error(&self.kind)
            || stated_status(&said).is_some();
        complains.then_some(said)
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
