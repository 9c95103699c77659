//! Streams of events: written as an LLM does, read as a caller does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fake_llm::Act;
use crate::support::{TestApp, good_plan, header};

/// The head of a stream.
pub fn head() -> Act {
    Act::Head(200, "content-type: text/event-stream\r\n".into())
}

pub fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into()
}

pub fn says(text: &str) -> Vec<u8> {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// The last event of a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// The last events of an answer, and what it took.
pub fn ends(finish: &str) -> Vec<u8> {
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 420, "completion_tokens": 510}});
    [event(&end), event(&usage), DONE.to_vec()].concat()
}

/// A plan as text, cut behind each of its steps.
pub fn cut(plan: &Value) -> Vec<String> {
    let text = plan.to_string();
    let mut rest = text.as_str();
    let mut pieces = Vec::new();
    for step in plan["plan"].as_array().expect("steps") {
        let step = step.to_string();
        let (piece, behind) = rest.split_at(rest.find(&step).expect("the step") + step.len());
        pieces.push(piece.to_owned());
        rest = behind;
    }
    pieces.push(rest.to_owned());
    pieces
}

pub fn stream_of(plan: &Value) -> Vec<Act> {
    let text: Vec<u8> = cut(plan).iter().flat_map(|piece| says(piece)).collect();
    stream(vec![text, ends("stop")])
}

/// A complete stream of these pieces.
pub fn stream(pieces: Vec<Vec<u8>>) -> Vec<Act> {
    std::iter::once(head()).chain(pieces.into_iter().map(Act::Body)).chain([Act::End]).collect()
}

/// The first step of the good plan, and then `acts`.
pub fn first_step_then(acts: impl IntoIterator<Item = Act>) -> Vec<Act> {
    let first = [head(), Act::Body(says(&cut(&good_plan())[0]))];
    first.into_iter().chain(acts).collect()
}

/// The rest of a stream: this text, and the end.
pub fn rest_of_stream(text: &str, finish: &str) -> [Act; 2] {
    [Act::Body([says(text), ends(finish)].concat()), Act::End]
}

/// The events of a response, while they come.
pub struct Events {
    pub response: reqwest::Response,
    pub text: String,
    pub comments: Vec<String>,
}

impl Events {
    pub async fn of(app: &TestApp, path: &str, body: &Value) -> Self {
        let request = app.client.post(app.url(path)).header("accept", "text/event-stream").json(body);
        Self::in_response(request.send().await.expect("an answer"))
    }

    /// Those of a response that must be a stream.
    pub fn in_response(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "x-accel-buffering"), "no");
        Self { response, text: String::new(), comments: Vec::new() }
    }

    pub async fn plan(app: &TestApp) -> Self {
        Self::of(app, "/plan", &super::goal()).await
    }

    pub fn id(&self) -> String {
        header(&self.response, "x-request-id").to_owned()
    }

    /// Reads more of the body; false at its end.
    pub async fn more(&mut self) -> bool {
        let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
        let chunk = chunk.await.expect("never silence").expect("a body");
        // What we send is whole events.
        let bytes = chunk.as_deref().unwrap_or_default();
        self.text.push_str(std::str::from_utf8(bytes).expect("UTF-8"));
        chunk.is_some()
    }

    /// The next event and its data.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let Some((block, _)) = self.text.split_once("\n\n") else {
                if self.more().await {
                    continue;
                }
                assert_eq!(self.text, "", "the last event is whole");
                return None;
            };
            let (mut name, mut data, behind) = (String::new(), None, block.len() + 2);
            for line in block.lines() {
                match line.split_once(':').expect("a field or a comment") {
                    ("", comment) => self.comments.push(comment.trim().to_owned()),
                    ("event", event) => event.trim().clone_into(&mut name),
                    ("data", json) => data = Some(serde_json::from_str(json).expect("JSON")),
                    other => panic!("{other:?}"),
                }
            }
            self.text.drain(..behind);
            if let Some(data) = data {
                return Some((name, data));
            }
        }
    }

    /// All that are still to come: the steps, and the last with its name.
    pub async fn rest(&mut self) -> (Vec<Value>, String, Value) {
        let mut steps = Vec::new();
        while let Some((name, data)) = self.next().await {
            if name == "step" {
                steps.push(data);
            } else {
                assert_eq!(self.next().await, None, "nothing follows {name}");
                return (steps, name, data);
            }
        }
        panic!("silence after {steps:?}")
    }

    /// What a header of the answer would be that is not streamed.
    pub fn comment(&self, name: &str) -> Option<&str> {
        self.comments.iter().find_map(|comment| comment.strip_prefix(name)?.strip_prefix(": "))
    }
}
