//! Answers that are streams of events.

use super::*;

#[test]
fn a_stream_that_was_not_asked_for_is_assembled() {
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
        // The same, wherever it is split.
        for size in [1, 2, 3, 7, 64] {
            let (body, _) = incoming(stream.as_bytes(), size);
            assert_eq!(body, to_json(&stream.clone().into()), "{size}: {stream}");
        }
    }
}

#[test]
fn id_model_and_finish_reason_are_read() {
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

#[test]
fn text_is_passed_on_as_it_arrives() {
    let chunk =
        |delta: Value| format!("data: {}\r\n\r\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let said = |text: &str| chunk(json!({ "content": text }));
    let tool = |piece: &str| chunk(json!({"tool_calls": [{"function": {"arguments": piece}}]}));
    let other = format!("data: {}\n\n", json!({"choices": [{"index": 1, "delta": {"content": "other"}}]}));
    let mut body = IncomingBody::new();
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
        assert!(!body.is_complete());
    }
    body.push(b"data: [DONE]\n");
    assert!(body.is_complete());

    let call = [tool("{\"a\""), tool(": 1}")].concat();
    assert_eq!(incoming(call.as_bytes(), call.len()).1, ["{\"a\": 1}"], "where there is nothing else");
    let whole = message(&json!({"content": "hello"})).to_string();
    assert_eq!(incoming(whole.as_bytes(), 5), (whole.into(), Vec::new()), "not a stream");
}
