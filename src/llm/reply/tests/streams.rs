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
            assert_eq!(body, to_json(stream.as_bytes()), "{size}: {stream}");
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
    assert_eq!(incoming(whole.as_bytes(), 5), (Ok(whole.into()), Vec::new()), "not a stream");
}

fn delta(text: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string()
}

fn end() -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string()
}

#[test]
fn a_stream_with_a_hole_is_no_answer() {
    let (he, llo, end) = (delta("he"), delta("llo"), end());
    let cut = &he[..20];
    for stream in [
        format!("data: {he}\n\ndata: {cut}\n\ndata: {llo}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!("data: {he}\n\ndata: {cut}data: {llo}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!("data: {he}\n\ndata: {cut}\ndata: {llo}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!("data: {he}\n\ndata: oops\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!("data: {he}\n\ndata: \"llo\"\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        format!("data: {he}\n\ndata: {llo}\n\n"),
        format!("data: {he}\n\ndata: {llo}\n\ndata: {{\"choi"),
    ] {
        assert_eq!(
            answer(stream.clone()).map_err(|error| error.failure),
            Err(CallFailure::BrokenStream),
            "{stream}"
        );
    }
}

#[test]
fn streams_are_framed_tolerantly() {
    let (he, llo, end) = (delta("he"), delta("llo"), end());
    for stream in [
        format!("data:\n {he}\n\ndata:\n {llo}\n\ndata:\n {end}\n\n"),
        format!("data: {he}\r\rdata: {llo}\r\rdata: {end}\r\r"),
        format!("data: {he}\n\n\n\ndata\nevent: message\ndata: {llo}\n\ndata: {end}\n\ndata: [DO"),
        format!(
            ": hi\nretry: 5\nid\nx-field: y\ndata: {he}\n\nevent: ping\ndata: now\n\ndata: {llo}\ndata: {end}\n"
        ),
        format!("data: {he}\n\ndata: {llo}\n\ndata: {end}\n\ndata: later\n\n"),
        format!("data: {he}\n\ndata: {}\n\ndata: {llo}\n\ndata: {end}\n\n", json!({"type": "ping"})),
    ] {
        let text = answer(stream.clone()).map(|answer| answer.content);
        assert_eq!(text, Ok("hello".into()), "{stream}");
    }
}

#[test]
fn a_text_that_is_repeated_so_far_counts_once() {
    let chunk = |choice: Value| format!("data: {}\n\n", json!({"choices": [choice]}));
    let both = |delta: &str, message: &str| {
        chunk(json!({"delta": {"content": delta}, "message": {"role": "assistant", "content": message}}))
    };
    let last = |message: &str| chunk(json!({"message": {"content": message}, "finish_reason": "stop"}));
    let deltas =
        |texts: &[&str]| texts.iter().map(|text| format!("data: {}\n\n", delta(text))).collect::<String>();
    for (stream, text) in [
        (deltas(&["{", "{\"plan\"", "{\"plan\": []}"]), "{\"plan\": []}"),
        (deltas(&["{\"plan\":", "{\"plan\": []}"]), "{\"plan\": []}"),
        (deltas(&["{\"plan\":", "{\"plan\": []}", "{\"plan\": []}", ""]), "{\"plan\": []}"),
        (deltas(&["[", "[1]]"]), "[[1]]"),
        (deltas(&["1", "1", "1"]), "111"),
        ([both("he", "he"), both("llo", "hello")].concat(), "hello"),
        ([both("he", ""), both("llo", "")].concat(), "hello"),
        ([both("he", "he"), both("llo", "llo")].concat(), "hello"),
        ([deltas(&["he", "llo"]), last("hello")].concat(), "hello"),
        // The last word is the server's.
        ([deltas(&["he", "o"]), last("hello")].concat(), "hello"),
        ([last("he"), last("llo")].concat(), "hello"),
    ] {
        let answer = answer(format!("{stream}data: [DONE]\n\n")).map(|answer| answer.content);
        assert_eq!(answer, Ok(text.to_owned()), "{stream}");
    }
}

#[test]
fn an_error_in_a_stream_is_one_in_any_form() {
    let he = delta("he");
    for (event, failure) in [
        ("event: error\ndata: upstream overloaded\n\n", CallFailure::ServerError),
        ("event: error\ndata: {\"message\": \"slow down\", \"code\": 429}\n\n", CallFailure::RateLimited),
        ("event: error\ndata: {\"error\": {\"code\": \"invalid_api_key\"}}\n\n", CallFailure::BadKey),
        ("data: {\"error\": \"overloaded\"}\n\n", CallFailure::ServerError),
    ] {
        let answer = answer(format!("data: {he}\n\n{event}data: [DONE]\n\n"));
        assert_eq!(answer.map_err(|error| error.failure), Err(failure), "{event}");
    }
}

#[test]
fn each_tool_call_of_a_stream_is_a_text() {
    let chunk =
        |calls: Value| format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": calls}}]}));
    let call = |arguments: &str| json!({"arguments": arguments});
    let by_index = [
        chunk(
            json!([{"index": 0, "id": "a", "function": call("{\"a\"")}, {"index": 1, "id": "b", "function": call("{\"b\"")}]),
        ),
        chunk(json!([{"index": 1, "function": call(":2}")}, {"index": 0, "function": call(":1}")}])),
    ];
    let by_id = [
        chunk(json!([{"id": "a", "function": call("{\"a\"")}])),
        chunk(json!([{"function": call(":1}")}])),
        chunk(json!([{"id": "b", "function": call("{\"b\":2}")}])),
    ];
    for stream in [by_index.concat(), by_id.concat()] {
        let answer = answer(format!("{stream}data: [DONE]\n\n")).expect("an answer");
        assert_eq!(
            (answer.content.as_str(), answer.alternatives),
            ("{\"a\":1}", vec!["{\"b\":2}".to_owned()]),
            "{stream}"
        );
    }
}

#[test]
fn token_counts_are_found_wherever_they_are() {
    let counts = json!({"prompt_tokens": 7, "completion_tokens": 2});
    let choice = json!({"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"});
    let mut counted = choice.clone();
    counted["usage"] = counts.clone();
    let hello = delta("hello");
    for body in [
        json!({"choices": [choice], "usage": counts}).to_string(),
        json!({"choices": [counted]}).to_string(),
        json!({"choices": [choice], "x_server": {"usage": counts}}).to_string(),
        json!({"choices": [choice], "usage": {"input_tokens": 7, "output_tokens": 2}}).to_string(),
        json!({"choices": [choice], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2}})
            .to_string(),
        json!({"choices": [choice], "usage": {"promptTokens": "7", "completionTokens": "2"}}).to_string(),
        json!({"choices": [choice], "usage": {"prompt_tokens": 7, "total_tokens": 9}}).to_string(),
        json!({"choices": [choice], "meta": {"tokens": {"input_tokens": 7, "output_tokens": 2}}}).to_string(),
        json!({"choices": [choice], "prompt_eval_count": 7, "eval_count": 2}).to_string(),
        json!({"choices": [choice], "timings": {"prompt_n": 7, "predicted_n": 2}}).to_string(),
        format!("data: {hello}\n\ndata: {}\n\n", json!({"choices": [counted]})),
        format!(
            "data: {hello}\n\ndata: {}\n\n",
            json!({"choices": [{"delta": {}, "finish_reason": "stop"}], "x_server": {"usage": counts}})
        ),
    ] {
        let answer = answer(body.clone()).expect("an answer");
        assert_eq!((answer.prompt_tokens, answer.completion_tokens), (7, 2), "{body}");
    }
    let quoted = json!({"choices": [{"message": {"content": {"usage": counts}}, "finish_reason": "stop"}]});
    assert_eq!(
        answer(quoted.to_string()).map(|answer| answer.prompt_tokens),
        Ok(0),
        "the answer is not searched"
    );
}
