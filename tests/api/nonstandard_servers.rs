//! Servers that call themselves OpenAI-compatible, over real sockets: what carries a plan is used, what
//! does not is a typed error. Every shape by itself is a case in the unit tests of `llm::reply`.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::fake_llm::{Act, FakeLlm, completion, send, send_json};
use crate::support::{TestApp, assert_valid_by_default, good_plan, header, json_of, problem};

/// Asks once for each answer, of one service.
async fn each<T>(answers: Vec<(T, Vec<Act>)>, more: &[(&str, &str)]) -> Vec<(T, reqwest::Response)> {
    let (cases, script): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    let llm = FakeLlm::start(script).await;
    let mut variables = vec![
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "100"),
    ];
    variables.extend_from_slice(more);
    let app = TestApp::start(&variables).await;
    let mut responses = Vec::new();
    for case in cases {
        responses.push((case, app.plan_at("/plan?include=repairs,usage", &json!({"goal": "Ship it"})).await));
    }
    assert_eq!(llm.calls().len(), responses.len(), "one call for each");
    responses
}

/// Each answer must give the good plan, unrepaired.
async fn all_give_the_plan(answers: Vec<(&str, Vec<Act>)>) {
    for (what, response) in each(answers, &[]).await {
        assert_eq!(response.status(), 200, "{what}: {}", response.text().await.expect("a body"));
        assert_eq!(header(&response, "x-planner-repairs"), "0", "{what}");
        let body = json_of(response).await;
        let plan = serde_json::from_value(body.clone()).expect("a plan");
        assert_valid_by_default(&plan);
        assert_eq!(body["plan"], good_plan()["plan"], "{what}");
        assert_eq!(body["confidence"], json!(0.88), "{what}");
    }
}

fn message(message: &Value) -> Vec<Act> {
    send_json(200, &json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
}

/// The good plan's text in two halves.
fn halves() -> (String, String) {
    let text = good_plan().to_string();
    let (first, second) = text.split_at(text.len() / 2);
    (first.to_owned(), second.to_owned())
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}

fn chunked(pieces: &[&str]) -> Vec<Act> {
    let pieces = pieces.iter().map(|piece| Act::Body(piece.as_bytes().to_vec()));
    std::iter::once(Act::Head(200, String::new())).chain(pieces).chain([Act::End]).collect()
}

#[tokio::test]
async fn plans_are_found_in_every_known_place() {
    let (plan, text) = (good_plan(), good_plan().to_string());
    let (first, second) = halves();
    let choices = |choices: Value| send_json(200, &json!({ "choices": choices }));
    let full = |finish: Value| choices(json!([{"message": {"content": text}, "finish_reason": finish}]));
    all_give_the_plan(vec![
        ("nothing but the text", choices(json!([{"message": {"content": text}}]))),
        ("finish_reason null", full(json!(null))),
        ("an unknown finish_reason", full(json!("eos"))),
        ("a finish_reason that is a number", full(json!(2))),
        ("text parts", message(&json!({"content": [{"type": "text", "text": first}, {"type": "text", "text": second}]}))),
        ("output_text parts", message(&json!({"content": [{"type": "output_text", "text": text}]}))),
        ("strings as parts", message(&json!({"content": [first, second]}))),
        ("an image among parts", message(&json!({"content": [{"type": "image_url"}, {"type": "text", "text": text}]}))),
        ("an object as content", message(&json!({"content": plan}))),
        ("reasoning beside it", message(&json!({"content": text, "reasoning_content": "Well…"}))),
        ("in the reasoning", message(&json!({"content": null, "reasoning_content": text}))),
        ("in the reasoning of another server", message(&json!({"content": "", "reasoning": text, "reasoning_content": null}))),
        ("in a tool call", message(&json!({"content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "plan", "arguments": text}}]}))),
        ("in a tool call, parsed", message(&json!({"tool_calls": [{"function": {"arguments": plan}}]}))),
        ("in a function call", message(&json!({"content": null, "function_call": {"name": "plan", "arguments": text}}))),
        ("in the second choice", choices(json!([{"message": {"content": null}}, {"message": {"content": text}}]))),
        ("in the choice that is whole", choices(json!([{"message": {"content": "{\"plan\": ["}, "finish_reason": "length"}, {"message": {"content": text}, "finish_reason": "stop"}]))),
        ("beside a refusal", choices(json!([{"message": {"content": null, "refusal": "no"}}, {"message": {"content": text}}]))),
        ("after null", choices(json!([null, {"message": {"content": text}}]))),
        ("a text completion", choices(json!([{"text": text, "logprobs": null}]))),
        ("an error beside it", send_json(200, &json!({"choices": [{"message": {"content": text}}], "error": {"code": 500}}))),
    ])
    .await;
}

#[tokio::test]
async fn plans_are_read_from_bodies_of_every_form() {
    let whole = completion(&good_plan().to_string()).to_string();
    let (first, second) = halves();
    let delta = |piece: &str| json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
    let stream = format!(
        ": hello\n\ndata: {}\n\ndata: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        delta(&first),
        delta(&second),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    );
    let (head, tail) = whole.split_at(whole.len() / 3);
    let http_1_0 = format!("HTTP/1.0 200 OK\r\nserver: old\r\n\r\n{whole}");
    let typed = |content_type: &str| send(200, &format!("content-type: {content_type}\r\n"), &whole);
    all_give_the_plan(vec![
        ("as plain text", typed("text/plain; charset=utf-8")),
        ("as a page", typed("text/html")),
        ("as nothing", send(200, "", &whole)),
        ("201", send(201, "", &whole)),
        ("gzip", send(200, "content-encoding: gzip\r\n", gzip(whole.as_bytes()))),
        ("in chunks", chunked(&[head, tail])),
        (
            "after a hint",
            [vec![Act::Raw(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())], send(200, "", &whole)].concat(),
        ),
        ("up to the close", vec![Act::Raw(http_1_0.into()), Act::Close]),
        ("after a byte order mark", send(200, "", format!("\u{feff}{whole}"))),
        ("after white space", send(200, "", format!("\r\n\n   {whole}\n"))),
        ("as a stream", send(200, "content-type: text/event-stream\r\n", &stream)),
        ("as a stream of lines with CR", send(200, "", stream.replace('\n', "\r\n"))),
        ("as a stream in chunks", chunked(&[&stream[..90], &stream[90..]])),
    ])
    .await;
}

#[tokio::test]
async fn token_counts_of_every_form_are_read() {
    let with = |usage: Value| {
        let mut answer = completion(&good_plan().to_string());
        answer["usage"] = usage;
        send_json(200, &answer)
    };
    let answers = vec![
        ((7, 2), with(json!({"prompt_tokens": 7, "completion_tokens": 2}))),
        ((7, 2), with(json!({"prompt_tokens": 7.0, "completion_tokens": "2"}))),
        ((0, 0), with(json!({"prompt_tokens": null, "completion_tokens": []}))),
        ((0, 0), with(json!("none"))),
        ((0, 0), with(json!(null))),
    ];
    for ((prompt, answer), response) in each(answers, &[]).await {
        assert_eq!(response.status(), 200);
        let usage = &json_of(response).await["usage"];
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(prompt), &json!(answer)));
    }
}

#[tokio::test]
async fn errors_of_every_shape_are_typed() {
    let failed = (500, "llm_failed");
    let down = (503, "llm_unavailable");
    let empty = (500, "plan_invalid");
    let ok = |body: Value| send_json(200, &body);
    let answers = vec![
        (failed, ok(json!({"error": {"message": "x", "code": 401}}))),
        (failed, ok(json!({"error": {"message": "x", "code": "401"}}))),
        (failed, ok(json!({"error": {"message": "x", "status": 403}}))),
        (failed, ok(json!({"error": "unknown model", "status": "404"}))),
        (failed, ok(json!({"object": "error", "message": "prompt is too long", "code": 400}))),
        (
            failed,
            ok(
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}}),
            ),
        ),
        (failed, ok(json!([{"error": {"code": 400, "message": "API key not valid."}}]))),
        (failed, ok(json!({"errors": [{"message": "This model's maximum context length is 7 tokens"}]}))),
        (failed, ok(json!({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}))),
        (failed, send_json(400, &json!([{"error": {"code": 400, "message": "API key not valid."}}]))),
        (failed, send_json(400, &json!({"detail": "prompt is too long"}))),
        (failed, send_json(422, &json!({"detail": [{"loc": ["body", "model"], "msg": "field required"}]}))),
        (failed, send_json(400, &json!({"error": "content_filter"}))),
        (failed, send(400, "content-type: text/plain\r\n", "Input is too long")),
        (down, ok(json!({"error": "x"}))),
        (down, ok(json!({"error": {"message": "x", "code": "529"}}))),
        (down, ok(json!({"detail": "x"}))),
        (down, ok(json!({"choices": [{"finish_reason": "error", "error": {"code": 502}}]}))),
        (down, send(200, "content-type: text/html\r\n", "<html>{\"choices\": []}</html>")),
        (down, send(502, "content-type: text/html\r\n", "<html>context_length_exceeded</html>")),
        (down, send_json(503, &json!({"error": {"code": 503, "message": "Loading model"}}))),
        (down, send_json(429, &json!([{"error": {"message": "x", "status": "RESOURCE_EXHAUSTED"}}]))),
        (empty, ok(json!({"choices": [{"message": {"content": null}}]}))),
        (empty, ok(json!({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}))),
        (down, ok(json!({"choices": null}))),
        (down, send(200, "", "{\"choices\": [{\"text\": \"{}\"}]}\n{\"done\": true}\n")),
        (down, send(200, "", "data: {\"choices\": [{\"delta\": {\"content\": \"{}\"}}]}\n\n")),
    ];
    for (index, ((status, code), response)) in each(answers, &[]).await.into_iter().enumerate() {
        let (got, document) = problem(response).await;
        assert_eq!((got, &document["code"]), (status, &json!(code)), "case {index}: {document}");
    }
}

#[tokio::test]
async fn a_plan_is_found_in_any_text_of_an_answer() {
    let text = good_plan().to_string();
    let choice = |content: &str| json!({"message": {"content": content}, "finish_reason": "stop"});
    all_give_the_plan(vec![
        (
            "second choice",
            send_json(200, &json!({"choices": [choice("I would rather not."), choice(&text)]})),
        ),
        (
            "tool call after words",
            message(
                &json!({"content": "I call the tool.", "tool_calls": [{"function": {"arguments": text}}]}),
            ),
        ),
    ])
    .await;
}
