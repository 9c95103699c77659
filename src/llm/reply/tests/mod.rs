//! Shapes of answers that servers send.

mod failures;
mod streams;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::failure::failure_of;
use super::*;
use crate::llm::Feature;

/// A body that arrives at once, as JSON.
fn to_json(body: &[u8]) -> Result<Bytes, CallError> {
    incoming(body, body.len().max(1)).0
}

fn answer(body: impl Into<Bytes>) -> Result<Completion, CallError> {
    let body = to_json(&body.into())?;
    let answer = lenient_completion(&body);
    // Reading in one pass gives the same result.
    assert_eq!(super::completion(&body), answer);
    answer
}

#[test]
fn a_strict_completion_is_read_in_one_pass_and_nothing_else_is() {
    let usual = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "{}", "refusal": null }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9 },
    });
    let in_one_pass = |body: &Value| {
        let usual = serde_json::from_value::<StrictCompletion>(body.clone())
            .ok()
            .and_then(StrictCompletion::into_completion);
        let answer = answer(body.to_string());
        assert!(usual.is_none() || usual.as_ref() == answer.as_ref().ok(), "{body}");
        usual.is_some()
    };
    assert!(in_one_pass(&usual));
    for (place, other) in [
        ("/choices", json!([])),
        ("/choices/0/finish_reason", json!("length")),
        ("/choices/0/message/content", json!(" ")),
        ("/choices/0/message/refusal", json!("no")),
        (
            "/choices/0/message",
            json!({ "content": "{}", "tool_calls": [{ "function": { "arguments": "{}" } }] }),
        ),
        ("/usage", Value::Null),
        ("", json!({ "choices": usual["choices"], "usage": usual["usage"], "error": { "message": "no" } })),
    ] {
        let mut body = usual.clone();
        *body.pointer_mut(place).expect("a place") = other;
        assert!(!in_one_pass(&body), "{place}");
    }
}

/// The completion without its finish reason, which other tests check.
fn completion(reply: &Value) -> Result<Completion, CallFailure> {
    let said = answer(reply.to_string()).map_err(|error| error.failure)?;
    Ok(Completion { finish: None, ..said })
}

/// The first text of a reply and what else may hold the answer.
fn texts(reply: &Value) -> Result<(String, Vec<String>), CallFailure> {
    completion(reply).map(|completion| (completion.content, completion.alternatives))
}

fn choices(choices: &Value) -> Value {
    json!({ "choices": choices })
}

fn message(message: &Value) -> Value {
    json!({ "choices": [{ "message": message, "finish_reason": "stop" }] })
}

/// A body that arrives `size` bytes at a time, and the deltas of its answer.
fn incoming(bytes: &[u8], size: usize) -> (Result<Bytes, CallError>, Vec<String>) {
    let mut body = IncomingBody::new();
    let deltas = bytes.chunks(size).map(|bytes| body.push(bytes)).filter(|delta| !delta.is_empty()).collect();
    (body.into_json(), deltas)
}

#[test]
fn only_the_text_is_needed() {
    let hello = Completion { content: "hello".into(), ..Completion::default() };
    for reply in [
        choices(&json!([{"message": {"content": "hello"}}])),
        choices(&json!([{"message": {"content": "hello"}, "finish_reason": null}])),
        choices(&json!([{"message": {"content": "hello"}, "finish_reason": "eos_token"}])),
        choices(&json!([{"message": {"content": "hello"}, "finish_reason": 0, "index": "0"}])),
        choices(&json!([{"message": {"content": "hello", "role": 7, "refusal": null, "tool_calls": null}}])),
        choices(
            &json!([{"message": {"content": "hello", "refusal": "", "tool_calls": [], "reasoning": " "}}]),
        ),
        choices(&json!([{"message": {"content": "hello", "tool_calls": "none", "function_call": []}}])),
        choices(&json!([{"message": "hello"}])),
        choices(&json!([{"delta": {"content": "hello"}}])),
        choices(&json!([{"text": "hello"}])),
        choices(&json!([null, 1, "x", [], {"message": null}, {"message": {"content": "hello"}}])),
        choices(&json!([{"message": {"content": null}}, {"message": {"content": "hello"}}])),
        choices(&json!([{"message": {"content": " \n"}}, {"message": {"content": "hello"}}])),
        json!({"choices": [{"message": {"content": "hello"}}], "usage": null, "error": null}),
        json!({"choices": [{"message": {"content": "hello"}}], "usage": "none", "error": {}}),
        json!({"choices": [{"message": {"content": "hello"}}], "error": {"code": 500}, "id": 1, "created": "now"}),
    ] {
        assert_eq!(completion(&reply), Ok(hello.clone()), "{reply}");
    }
}

#[test]
fn content_may_be_text_parts_or_parsed_json() {
    for (content, text) in [
        (json!("hello"), "hello"),
        (json!([{"type": "text", "text": "he"}, {"text": "llo"}]), "hello"),
        (json!([{"type": "output_text", "text": "hello", "annotations": []}]), "hello"),
        (json!(["he", "llo"]), "hello"),
        (json!([{"type": "text", "text": {"value": "hello"}}]), "hello"),
        (
            json!([{"type": "image_url", "image_url": {"url": "data:"}}, null, 3, {"type": "text", "text": "hello"}]),
            "hello",
        ),
        (
            json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hello"}]),
            "hello",
        ),
        (json!({"type": "text", "text": "hello"}), "hello"),
        (json!({"plan": [1, {"a": null}]}), r#"{"plan":[1,{"a":null}]}"#),
        (json!({"type": "plan", "plan": []}), r#"{"plan":[],"type":"plan"}"#),
        (json!([{"step": 1}, {"step": 2}]), r#"[{"step":1},{"step":2}]"#),
    ] {
        let reply = message(&json!({ "content": content }));
        assert_eq!(texts(&reply), Ok((text.into(), vec![])), "{reply}");
    }
}

#[test]
fn an_answer_outside_the_content_is_found() {
    for (said, text, others) in [
        (
            json!({"content": null, "tool_calls": [{"function": {"name": "plan", "arguments": "{}"}}]}),
            "{}",
            vec![],
        ),
        (json!({"tool_calls": [{"function": {"arguments": {"plan": []}}}]}), r#"{"plan":[]}"#, vec![]),
        (json!({"tool_calls": [null, {"function": null}, {"function": {"arguments": "{}"}}]}), "{}", vec![]),
        (json!({"content": "", "function_call": {"name": "plan", "arguments": "{}"}}), "{}", vec![]),
        (json!({"content": "I plan:", "function_call": {"arguments": "{}"}}), "I plan:", vec!["{}"]),
        (json!({"content": null, "reasoning_content": "{}"}), "{}", vec![]),
        (json!({"content": " ", "reasoning": "{}"}), "{}", vec![]),
        (json!({"content": "hello", "reasoning": "hm", "reasoning_content": "hm"}), "hello", vec![]),
        (json!({"content": [{"type": "reasoning", "text": "hm"}, {"text": "hello"}]}), "hello", vec![]),
        (json!({"content": [{"type": "thinking", "text": "{}"}]}), "{}", vec![]),
        (json!({"function_call": {"arguments": "{}"}, "reasoning": "hm"}), "{}", vec![]),
    ] {
        let others = others.into_iter().map(str::to_owned).collect();
        assert_eq!(texts(&message(&said)), Ok((text.into(), others)), "{said}");
    }
}

#[test]
fn the_first_complete_choice_is_the_answer() {
    let say = |text: &str, finish: &str| json!({"message": {"content": text}, "finish_reason": finish});
    let think = |text: &str| json!({"message": {"content": text, "reasoning": format!("about {text}")}});
    for (said, text, others, truncated) in [
        (json!([say("a", "stop"), say("b", "stop")]), "a", vec!["b"], false),
        (json!([say("a", "length"), say("b", "stop"), say("c", "length")]), "b", vec![], false),
        (json!([say("a", "max_tokens"), say("b", "length")]), "a", vec![], true),
        (json!([say("a", "content_filter"), say("b", "stop")]), "b", vec![], false),
        (json!([say("a", "content_filter: RECITATION"), say("b", "stop")]), "b", vec![], false),
        (json!([say("a", "error"), say("b", "stop")]), "b", vec![], false),
        (json!([think("a"), think("b")]), "a", vec!["b"], false),
        (json!([{"message": {"reasoning": "hm"}, "finish_reason": "length"}]), "hm", vec![], true),
    ] {
        let done = completion(&choices(&said)).expect("a text");
        assert_eq!((done.content.as_str(), done.truncated), (text, truncated), "{said}");
        assert_eq!(done.alternatives, others, "{said}");
    }
}

#[test]
fn token_counts_may_have_any_type() {
    for (usage, prompt, answer) in [
        (json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}), 7, 2),
        (json!({"prompt_tokens": 12.0, "completion_tokens": -1}), 12, 0),
        (json!({"prompt_tokens": "12", "completion_tokens": " 2.0 "}), 12, 2),
        (json!({"prompt_tokens": null, "completion_tokens": "many"}), 0, 0),
        (json!({"prompt_tokens": {"cached": 1}, "completion_tokens": [1]}), 0, 0),
        (json!([]), 0, 0),
    ] {
        let reply = json!({"choices": [{"message": {"content": "x"}}], "usage": usage});
        let done = completion(&reply).expect("a text");
        assert_eq!((done.prompt_tokens, done.completion_tokens), (prompt, answer), "{reply}");
    }
}

#[test]
fn a_choice_without_text_is_an_empty_answer() {
    for said in [json!({"content": "  "}), json!({"content": 7}), json!({"content": [{"type": "image_url"}]})]
    {
        let said = completion(&message(&said)).expect("an answer");
        assert_eq!((said.content.as_str(), said.truncated), ("", false));
    }
    let thought_all_the_time = json!({
        "choices": [{"message": {"content": null}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 2000},
    });
    let said = completion(&thought_all_the_time).expect("an answer");
    assert_eq!((said.content.as_str(), said.truncated, said.completion_tokens), ("", true, 2000));
}

#[test]
fn answers_without_text_are_typed_errors() {
    use CallFailure as F;
    for (reply, failure) in [
        (json!({}), F::Malformed),
        (json!([]), F::Malformed),
        (json!(null), F::Malformed),
        (json!("hello"), F::Malformed),
        (json!({"choices": []}), F::Malformed),
        (json!({"choices": {}}), F::Malformed),
        (json!({"choices": [null]}), F::Malformed),
        (message(&json!({"content": null, "refusal": "I cannot"})), F::ContentFilter),
        (message(&json!({"content": [{"type": "refusal", "refusal": "I cannot"}]})), F::ContentFilter),
        (
            choices(&json!([{"message": {"content": "x"}, "finish_reason": "content_filter"}])),
            F::ContentFilter,
        ),
        (choices(&json!([{"finish_reason": "content_filter: PROHIBITED_CONTENT"}])), F::ContentFilter),
        (
            choices(&json!([{"message": {"content": "x"}, "finish_reason": "content-filter"}])),
            F::ContentFilter,
        ),
        (
            choices(&json!([{"message": {"content": ""}, "finish_reason": "PROHIBITED_CONTENT"}])),
            F::ContentFilter,
        ),
        (choices(&json!([{"message": {"content": ""}, "finish_reason": "sensitive"}])), F::ContentFilter),
        (json!({"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}), F::BadKey),
        (json!({"error": "Invalid API key"}), F::BadKey),
        (json!({"error": {"code": "model_not_found"}}), F::UnknownModel),
        (choices(&json!([{"message": {"content": "x"}, "finish_reason": "error"}])), F::Malformed),
        (choices(&json!([{"finish_reason": "error", "error": {"code": 429}}])), F::RateLimited),
    ] {
        assert_eq!(completion(&reply), Err(failure), "{reply}");
    }
}

#[test]
fn errors_with_status_200_are_typed_by_their_words() {
    use CallFailure as F;
    for (reply, failure) in [
        (json!({"error": "boom"}), F::ServerError),
        (json!({"error": {"message": "boom"}}), F::ServerError),
        (json!({"error": {"message": "boom", "code": 503}, "choices": []}), F::ServerError),
        (json!({"error": {"message": "boom", "code": 401}}), F::BadKey),
        (json!({"error": {"message": "boom", "code": "401"}}), F::BadKey),
        (json!({"error": {"message": "boom", "status": 429}}), F::RateLimited),
        (json!({"error": {"message": "boom", "code": 7}}), F::ServerError),
        (json!({"error": {"message": "boom", "code": "rate_limit_exceeded"}}), F::RateLimited),
        (json!({"type": "error", "error": {"type": "authentication_error", "message": "x"}}), F::BadKey),
        (json!({"type": "error", "error": {"type": "invalid_request_error", "message": "x"}}), F::BadRequest),
        (json!({"error": {"code": "context_length_exceeded"}}), F::ContextTooLong),
        (json!({"error": "boom", "code": "404"}), F::NotFound),
        (json!({"error": true, "status": 429, "message": "slow down"}), F::RateLimited),
        (
            json!({"object": "error", "message": "The model `x` does not exist.", "code": 404}),
            F::UnknownModel,
        ),
        (
            json!({"object": "error", "message": "This model's maximum context length is 4096 tokens", "code": 400}),
            F::ContextTooLong,
        ),
        (json!({"object": "error", "message": "boom"}), F::ServerError),
        (json!({"code": 429, "message": "slow down"}), F::RateLimited),
        (json!({"status": "503", "message": "slow down"}), F::ServerError),
        (json!({"message": "hello"}), F::Malformed),
        (json!({"code": 0, "status": "ok"}), F::Malformed),
        (json!({"detail": "Not Found"}), F::ServerError),
        (json!({"detail": {"code": 401}}), F::BadKey),
        (json!({"errors": [{"code": 10000, "message": "Authentication error"}]}), F::ServerError),
        (json!({"errors": [{"code": 429, "message": "x"}], "success": false}), F::RateLimited),
        (json!({"errors": ["insufficient credits"]}), F::QuotaExhausted),
        (
            json!([{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}]),
            F::BadKey,
        ),
        (json!([{"error": {"message": "slow down", "status": "RESOURCE_EXHAUSTED"}}]), F::RateLimited),
        (json!({"error": {}, "errors": [], "detail": ""}), F::Malformed),
    ] {
        assert_eq!(completion(&reply), Err(failure), "{reply}");
    }
}

#[test]
fn byte_order_marks_and_leading_white_space_are_skipped() {
    let plain = message(&json!({"content": "hello"})).to_string();
    for before in ["", "\u{feff}", " \r\n\t", "\u{feff}\n\n"] {
        let done = answer(format!("{before}{plain}")).expect("a text");
        assert_eq!(done.content, "hello", "{before:?}");
    }
}

#[test]
fn other_bodies_are_malformed() {
    let whole = message(&json!({"content": "hello"})).to_string();
    let line = r#"{"choices":[{"delta":{"content":"hello"}}]}"#;
    for body in [
        "",
        "\u{feff}",
        "<html>data: {}</html>",
        "hello",
        &whole[..whole.len() - 1],
        &format!("{whole}{whole}"),
        &format!("{line}\n{line}\n"),
        "data: [DONE]\n\n",
        "data:\n\n",
        ": ping\n\n",
    ] {
        assert_eq!(answer(body.to_owned()), Err(CallFailure::Malformed.into()), "{body:?}");
    }
    assert_eq!(answer(&b"{\"choices\": [{\"text\": \"\xff\"}]}"[..]), Err(CallFailure::Malformed.into()));
}

/// Any JSON made of the words that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "choices",
        "message",
        "delta",
        "content",
        "text",
        "type",
        "error",
        "errors",
        "detail",
        "code",
        "status",
        "usage",
        "prompt_tokens",
        "index",
        "finish_reason",
        "length",
        "refusal",
        "reasoning",
        "tool_calls",
        "function",
        "arguments",
        "retryDelay",
        "try again in 1m",
        "try again in 9.",
        "retry after é",
        "429",
        "{}",
        "",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        let key = proptest::sample::select(words.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key, inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_can_be_read(json in any_json(), choice in any_json(), status in 300_u16..600) {
        let status = StatusCode::from_u16(status).expect("a status");
        error_response(status, &HeaderMap::new(), json.to_string().as_bytes());
        for body in [
            json.to_string(),
            json!({"choices": [choice], "error": json}).to_string(),
            json!({"choices": [{"message": choice, "finish_reason": json}]}).to_string(),
            format!("data: {json}\n\ndata: {}\n\ndata: [DONE]", json!({"choices": [{"delta": choice}]})),
        ] {
            if let Ok(done) = answer(body) {
                prop_assert!(!done.content.trim().is_empty() || done.alternatives.is_empty());
                prop_assert!(done.alternatives.iter().all(|text| !text.trim().is_empty()));
            }
        }
    }

    #[test]
    fn any_bytes_can_be_read(bytes in any::<Vec<u8>>(), stream in "(data:|event:|:|\\[DONE\\]|[\r\n{}\" ]|.){0,40}") {
        error_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), &bytes);
        let _ = answer(bytes);
        let stream = format!("data:{stream}");
        for size in [1, 3, 1_000] {
            prop_assert_eq!(incoming(stream.as_bytes(), size).0, to_json(stream.as_bytes()));
        }
        let _ = answer(stream);
    }
}
