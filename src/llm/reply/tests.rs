//! Every shape of an answer that some server has been seen to send.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::failure::failure_of;
use super::*;
use crate::llm::Feature;

fn answer(body: impl Into<Bytes>) -> Result<Completion, CallError> {
    let body = normalised(&body.into());
    let answer = forgiving(&body);
    // What is read in one pass is the same as what the shapes that forgive make of it.
    assert_eq!(super::completion(&body), answer);
    answer
}

#[test]
fn the_usual_answer_is_read_in_one_pass_and_nothing_else_is() {
    let usual = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "{}", "refusal": null }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9 },
    });
    let in_one_pass = |body: &Value| {
        let usual = serde_json::from_value::<Usual>(body.clone()).ok().and_then(Usual::into_completion);
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

/// What a reply says; how it ended in its own words is looked at elsewhere.
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
fn content_comes_as_text_in_parts_or_parsed_already() {
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
fn what_is_not_in_the_content_is_found_elsewhere() {
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
fn the_first_choice_that_came_to_its_end_is_the_answer() {
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
fn tokens_are_counted_however_they_are_written() {
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
fn a_choice_that_says_nothing_is_an_empty_answer() {
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
fn errors_with_status_200_are_typed_by_what_they_say() {
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
        (json!({"error": "boom", "code": "404"}), F::UnknownModel),
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
fn marks_and_white_space_before_the_json_are_passed_over() {
    let plain = message(&json!({"content": "hello"})).to_string();
    for before in ["", "\u{feff}", " \r\n\t", "\u{feff}\n\n"] {
        let done = answer(format!("{before}{plain}")).expect("a text");
        assert_eq!(done.content, "hello", "{before:?}");
    }
    let shared = Bytes::from(plain);
    assert_eq!(normalised(&shared).as_ptr(), shared.as_ptr(), "plain JSON is not copied");
}

#[test]
fn bodies_that_are_no_chat_completion_are_malformed() {
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
        // The stream just stops.
        &format!("data: {line}\n\n"),
    ] {
        assert_eq!(answer(body.to_owned()), Err(CallFailure::Malformed.into()), "{body:?}");
    }
    assert_eq!(answer(&b"{\"choices\": [{\"text\": \"\xff\"}]}"[..]), Err(CallFailure::Malformed.into()));
}

#[test]
fn a_stream_that_nobody_asked_for_is_put_together() {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let cut = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}});
    let (role, he, llo) = (
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "he"})),
        delta(json!({"content": "llo"})),
    );
    let done = |completion: Completion| Ok(completion);
    let hello = Completion { content: "hello".into(), ..Completion::default() };
    let counted = Completion { prompt_tokens: 7, completion_tokens: 2, ..hello.clone() };
    let tool = |piece: &str| delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    let second = json!({"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}]});
    for (stream, result) in [
        (format!("data: {role}\n\ndata: {he}\n\ndata: {llo}\n\ndata: [DONE]\n\n"), done(hello.clone())),
        (
            format!(": ping\r\n\r\ndata:{he}\r\n\r\ndata:{llo}\r\n\r\ndata: {end}\r\n\r\n"),
            done(hello.clone()),
        ),
        (format!("event: message\nid: 1\ndata: {he}\n\ndata: {llo}\n\ndata: {end}"), done(hello.clone())),
        (format!("data: {he}\ndata: {llo}\ndata: [DONE]\n"), done(hello.clone())),
        (
            format!(
                "\u{feff}\ndata: {he}\n\ndata: {llo}\n\ndata: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n"
            ),
            done(counted),
        ),
        (format!("data: {}\n\n", message(&json!({"content": "hello"}))), done(hello.clone())),
        (
            format!("data: {he}\n\ndata: {cut}\n\ndata: [DONE]\n\n"),
            done(Completion { content: "he".into(), truncated: true, ..Completion::default() }),
        ),
        (
            format!("data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", tool("{\"a\""), tool(":1}")),
            done(Completion { content: "{\"a\":1}".into(), ..Completion::default() }),
        ),
        (
            format!("data: {he}\n\ndata: {second}\n\ndata: {llo}\n\ndata: [DONE]\n\n"),
            done(Completion { alternatives: vec!["other".into()], ..hello.clone() }),
        ),
        (
            format!(
                "data: {}\n\ndata: {he}\n\ndata: {llo}\n\ndata: [DONE]\n\n",
                delta(json!({"reasoning": "hm"}))
            ),
            done(hello),
        ),
        (
            format!("data: {}\n\ndata: [DONE]\n\n", delta(json!({"refusal": "no"}))),
            Err(CallFailure::ContentFilter),
        ),
        (
            format!("data: {he}\n\ndata: {}\n\n", json!({"error": {"message": "x", "code": 429}})),
            Err(CallFailure::RateLimited),
        ),
    ] {
        let said = answer(stream.clone()).map(|said| Completion { finish: None, ..said });
        assert_eq!(said.map_err(|error| error.failure), result, "{stream}");
        // However it is split, it comes to the same.
        for size in [1, 2, 3, 7, 64] {
            let (body, _) = incoming(stream.as_bytes(), size);
            assert_eq!(body, normalised(&stream.clone().into()), "{size}: {stream}");
        }
    }
}

#[test]
fn an_answer_says_what_it_is_called_who_gave_it_and_how_it_ended() {
    let named = |body: String| {
        let said = answer(body).expect("an answer");
        (said.id, said.model, said.finish)
    };
    let choice = json!({"index": 0, "message": {"content": "hello"}, "finish_reason": "length"});
    let whole = json!({"id": "chatcmpl-1", "model": "m-1", "choices": [choice]});
    let expected = (Some("chatcmpl-1".to_owned()), Some("m-1".to_owned()), Some("length"));
    assert_eq!(named(whole.to_string()), expected);
    // Azure's first chunk has no names.
    let first = json!({"id": "", "model": "", "choices": []});
    assert_eq!(named(format!("data: {first}\n\ndata: {whole}\n\ndata: [DONE]\n\n")), expected);
    let odd = json!({"id": 7, "model": "some words of an answer", "choices": [choice]});
    assert_eq!(named(odd.to_string()), (None, None, Some("length")));
}

/// A body that came so many bytes at a time, and what was heard of it.
fn incoming(bytes: &[u8], size: usize) -> (Bytes, Vec<String>) {
    let mut body = Incoming::new();
    let heard = bytes.chunks(size).map(|bytes| body.push(bytes)).filter(|said| !said.is_empty()).collect();
    (body.into_json(), heard)
}

#[test]
fn an_answer_is_heard_as_soon_as_it_is_there() {
    let chunk =
        |delta: Value| format!("data: {}\r\n\r\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let said = |text: &str| chunk(json!({ "content": text }));
    let tool = |piece: &str| chunk(json!({"tool_calls": [{"function": {"arguments": piece}}]}));
    let other = format!("data: {}\n\n", json!({"choices": [{"index": 1, "delta": {"content": "other"}}]}));
    let mut body = Incoming::new();
    for (bytes, heard) in [
        ("\u{feff}\n".to_owned(), ""),
        (chunk(json!({"role": "assistant", "content": ""})), ""),
        (chunk(json!({"reasoning_content": "hm", "content": null})), ""),
        (said("{\"é"), "{\"é"),
        (said("\u{1f600}"), "\u{1f600}"),
        (tool("beside it"), ""),
        (other, ""),
        (chunk(json!({"refusal": "no"})), ""),
        (said("a") + &said("b"), "ab"),
        ("data: {\"choices\":[{\"text\":\n".into(), ""),
        ("data: \"c\"}]}\n\n".into(), "c"),
        (": waiting\n\n".into(), ""),
    ] {
        assert_eq!(body.push(bytes.as_bytes()), heard, "{bytes}");
        assert!(!body.is_over());
    }
    body.push(b"data: [DONE]\n");
    assert!(body.is_over());

    let call = [tool("{\"a\""), tool(": 1}")].concat();
    assert_eq!(incoming(call.as_bytes(), call.len()).1, ["{\"a\": 1}"], "where there is nothing else");
    let whole = message(&json!({"content": "hello"})).to_string();
    assert_eq!(incoming(whole.as_bytes(), 5), (whole.into(), Vec::new()), "not a stream");
}

#[test]
fn statuses_and_what_the_server_says_become_failures() {
    use CallFailure as F;
    let error = |message: &str| json!({"error": {"message": message}});
    for (status, said, failure) in [
        (401, json!({}), F::BadKey),
        (403, json!(null), F::BadKey),
        (404, json!({"error": {"code": "model_not_found"}}), F::UnknownModel),
        (400, json!({"error": {"code": "context_length_exceeded"}}), F::ContextTooLong),
        (429, json!({"error": {"code": "context_length_exceeded"}}), F::ContextTooLong),
        (400, json!({"error": {"type": "exceed_context_size_error"}}), F::ContextTooLong),
        (400, error("This model's maximum context length is 4097 tokens."), F::ContextTooLong),
        (400, error("Please reduce the length of the messages."), F::ContextTooLong),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum"), F::ContextTooLong),
        (400, error("Input is too long for requested model."), F::ContextTooLong),
        (400, error("The request exceeds the model's context window"), F::ContextTooLong),
        (400, error("too many tokens: 9000"), F::ContextTooLong),
        (429, error("Too many tokens, please wait before trying again."), F::RateLimited),
        (413, json!({}), F::ContextTooLong),
        (500, error("the request exceeds the available context size"), F::ContextTooLong),
        (400, json!({"error": {"code": "content_filter"}}), F::ContentFilter),
        (
            400,
            json!({"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}, "code": "content_filter"}}),
            F::ContentFilter,
        ),
        (400, error("Invalid parameter: 'response_format'"), F::NotTaken(Feature::ResponseFormat)),
        (500, error("failed to parse grammar"), F::NotTaken(Feature::TightSchema)),
        (422, json!({"message": "json_schema is not supported"}), F::NotTaken(Feature::JsonSchema)),
        (
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs are not permitted", "input": {}}]}),
            F::NotTaken(Feature::ResponseFormat),
        ),
        (422, json!({"detail": [{"loc": ["body", "x"], "msg": "no", "input": "grammar"}]}), F::BadRequest),
        (
            400,
            json!({"error": {"message": "nope", "param": "response_format"}}),
            F::NotTaken(Feature::ResponseFormat),
        ),
        (400, error("nope"), F::BadRequest),
        (400, error("Incorrect API key provided: ***."), F::BadKey),
        (400, error("API key not valid. Please pass a valid API key."), F::BadKey),
        (400, error("x is not a valid model ID"), F::UnknownModel),
        (400, error("Your credit balance is too low"), F::QuotaExhausted),
        (402, error("Insufficient credits"), F::QuotaExhausted),
        (402, json!({}), F::QuotaExhausted),
        (429, json!({"error": {"code": "rate_limit_exceeded"}}), F::RateLimited),
        (429, json!({"error": {"code": "insufficient_quota"}}), F::QuotaExhausted),
        (429, error("You exceeded your current quota"), F::QuotaExhausted),
        (
            429,
            json!([{"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}]),
            F::RateLimited,
        ),
        (
            400,
            json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"error\":{\"message\":\"maximum context length\"}}"}}}),
            F::ContextTooLong,
        ),
        (408, json!({}), F::ServerError),
        (
            503,
            json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
            F::ServerError,
        ),
        (503, json!({"error": "Model x is currently loading", "estimated_time": 20.0}), F::ServerError),
        (500, json!("<html>"), F::ServerError),
        (529, json!({}), F::ServerError),
        (302, json!({}), F::BadRequest),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(failure_of(status, &said), failure, "{status} {said}");
    }
}

#[test]
fn errors_may_be_plain_text_and_pages_say_nothing() {
    let failure = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        refusal(status, &HeaderMap::new(), body.as_bytes()).failure
    };
    assert_eq!(failure(400, "prompt is too long"), CallFailure::ContextTooLong);
    assert_eq!(failure(502, " <html>content_filter</html>"), CallFailure::ServerError);
    assert_eq!(failure(400, ""), CallFailure::BadRequest);
    assert_eq!(failure(500, &"\u{fffd}".repeat(5_000)), CallFailure::ServerError);
}

#[test]
fn where_no_header_says_when_to_try_again_the_body_may() {
    let wait = |said: &Value, headers: &HeaderMap| {
        refusal(StatusCode::TOO_MANY_REQUESTS, headers, said.to_string().as_bytes()).retry_after
    };
    let error = |message: &str| json!({"error": {"message": message}});
    let gemini =
        json!([{"error": {"code": 429, "details": [{"@type": "…/QuotaFailure"}, {"retryDelay": "30s"}]}}]);
    for (said, millis) in [
        (error("Rate limit reached. Please try again in 1.5s. Visit …"), Some(1_500)),
        (error("Please try again in 20s."), Some(20_000)),
        (error("Please try again in 120ms."), Some(120)),
        (error("Please try again in 1m2.5s."), Some(62_500)),
        (error("Please try again in 1h0m1s."), Some(3_601_000)),
        (error("Please retry after 7 seconds."), Some(7_000)),
        (error("Please try again in 1 minute."), Some(60_000)),
        (gemini, Some(30_000)),
        (error("Please try again in a while."), None),
        (error("Please try again in 5 parsecs."), None),
        (error("Please try again in 1.2.3s."), None),
        (error("Please try again in "), None),
        (json!({}), None),
    ] {
        assert_eq!(wait(&said, &HeaderMap::new()), millis.map(Duration::from_millis), "{said}");
    }
    let header = HeaderMap::from_iter([(http::header::RETRY_AFTER, http::HeaderValue::from_static("2"))]);
    assert_eq!(
        wait(&error("try again in 9s"), &header),
        Some(Duration::from_secs(2)),
        "the header goes first"
    );
    let hidden = answer(json!({"error": {"code": 429, "message": "try again in 9s"}}).to_string());
    assert_eq!(hidden.map_err(|error| error.retry_after), Err(Some(Duration::from_secs(9))));
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
    fn no_json_breaks_the_reading(json in any_json(), choice in any_json(), status in 300_u16..600) {
        let status = StatusCode::from_u16(status).expect("a status");
        refusal(status, &HeaderMap::new(), json.to_string().as_bytes());
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
    fn no_bytes_break_the_reading(bytes in any::<Vec<u8>>(), stream in "(data:|event:|:|\\[DONE\\]|[\r\n{}\" ]|.){0,40}") {
        refusal(StatusCode::BAD_REQUEST, &HeaderMap::new(), &bytes);
        let _ = answer(bytes);
        let stream = format!("data:{stream}");
        for size in [1, 3, 1_000] {
            prop_assert_eq!(incoming(stream.as_bytes(), size).0, normalised(&stream.clone().into()));
        }
        let _ = answer(stream);
    }
}
