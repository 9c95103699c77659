//! The faults of LLMs and what must come of each: one row each.

use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::kinds::{lasting, passing, passing_late, silent};
use crate::stream::events::{DONE, ends, event, first_step_then, head, says, stream};
use crate::support::fake_llm::{Act, Transport, completion, drip, send, send_json};
use crate::support::good_plan;

/// One way in which an LLM fails for as long as the fault lasts.
#[derive(Clone)]
pub struct Fault {
    pub what: &'static str,
    pub does: Does,
    pub becomes: Becomes,
}

/// What the LLM does.
#[derive(Clone)]
pub enum Does {
    /// It takes no connection.
    Refuse,
    /// It answers each call with `whole`, or `streamed` where the call asks for a stream.
    Answer { whole: Vec<Act>, streamed: Vec<Act> },
}

impl Fault {
    pub fn can_be_met_over(&self, transport: Transport) -> bool {
        match &self.does {
            Does::Refuse => true,
            Does::Answer { whole, streamed } => transport.carries(whole) && transport.carries(streamed),
        }
    }
}

/// What must come of it where each model has two attempts.
#[derive(Debug, Clone, Copy)]
pub enum Becomes {
    /// A plan, after one call: there is nothing to it.
    Plan,
    /// An outage: it may pass, so it is tried again.
    Outage,
    /// An outage of some seconds, after some calls; the caller is told.
    OutageFor(u64, u32),
    /// A refusal for good, which is not tried again.
    Refusal,
    /// The LLM answers, is told what is wrong, and answers no better.
    NoPlan,
    /// Nothing by the deadline, also from a second, parallel call.
    Late,
}

/// Every fault.
pub fn faults() -> Vec<Fault> {
    let of = |faults: Vec<(&'static str, Vec<Act>)>, becomes| {
        faults.into_iter().map(move |(what, acts)| row(what, acts, becomes))
    };
    [Fault { what: "connection refused", does: Does::Refuse, becomes: Becomes::Outage }]
        .into_iter()
        .chain(of(passing(), Becomes::Outage))
        .chain(of(lasting(), Becomes::Refusal))
        .chain(of(vec![passing_late()], Becomes::OutageFor(37, 1)))
        .chain(of(silent(), Becomes::Late))
        .chain(slow())
        .chain(answers())
        .chain(streams())
        .collect()
}

/// A fault that looks the same whatever was asked for.
fn row(what: &'static str, acts: Vec<Act>, becomes: Becomes) -> Fault {
    Fault { what, does: Does::Answer { whole: acts.clone(), streamed: acts }, becomes }
}

/// What takes time and comes to an end.
fn slow() -> Vec<Fault> {
    let whole = completion(&good_plan().to_string()).to_string();
    vec![
        row("a short wait asked for", send(429, "retry-after-ms: 50\r\n", "{}"), Becomes::OutageFor(1, 2)),
        row("drips in time", drip(&whole, whole.len() / 10, Duration::from_millis(5)), Becomes::Plan),
    ]
}

/// Chat completions that hold no valid plan.
fn answers() -> Vec<Fault> {
    let plan = good_plan().to_string();
    let mut cycle = good_plan();
    cycle["plan"][1]["depends_on"] = json!([3]);
    cycle["plan"][2]["depends_on"] = json!([2]);
    let mut short = good_plan();
    short["plan"].as_array_mut().expect("steps").truncate(1);
    let content =
        |what, text: &str, finish, becomes| answer(what, &json!({ "content": text }), finish, becomes);
    vec![
        answer("null", &json!({ "content": null }), "stop", Becomes::NoPlan),
        content("nothing", "", "stop", Becomes::NoPlan),
        content("no JSON", "I would rather not plan that.", "stop", Becomes::NoPlan),
        content("JSON that is none", "{\"plan\": [}{{\"step\" 1 ]]", "stop", Becomes::NoPlan),
        content("JSON that is cut off", &plan[..plan.len() / 2], "stop", Becomes::NoPlan),
        content("the token limit", &plan[..plan.len() / 2], "length", Becomes::NoPlan),
        content("a cycle each time", &cycle.to_string(), "stop", Becomes::NoPlan),
        content("one step each time", &short.to_string(), "stop", Becomes::NoPlan),
        content("a filtered answer", &plan[..40], "content_filter", Becomes::Refusal),
        answer("a refusal", &json!({ "content": null, "refusal": "canary" }), "stop", Becomes::Refusal),
    ]
}

/// An answer with this message, whole or streamed.
fn answer(what: &'static str, message: &Value, finish: &str, becomes: Becomes) -> Fault {
    let whole = send_json(200, &json!({ "choices": [{ "message": message, "finish_reason": finish }] }));
    let delta = event(&json!({ "choices": [{ "index": 0, "delta": message, "finish_reason": null }] }));
    let streamed = stream(vec![delta, ends(finish)]);
    Fault { what, does: Does::Answer { whole, streamed }, becomes }
}

/// What goes wrong in a stream, asked for or not.
fn streams() -> Vec<Fault> {
    let plan = good_plan().to_string();
    let finish = event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }));
    let garbage = b"data: \xff\xfe{canary\n\n".to_vec();
    let comment = b": still working\n\n".to_vec();
    let error = Act::Body(event(&json!({ "error": { "message": "canary", "code": "server_error" } })));
    let within_token = Act::Body(says(&plan)[..200].to_vec());
    let heartbeat = vec![head(), Act::Drip(comment.repeat(1_000), comment.len(), Duration::from_millis(20))];
    let closed = vec![head(), Act::Body([says(&plan), finish.clone()].concat()), Act::Close];
    // Who asked for a stream need not wait for its end.
    let error = Fault {
        what: "an error after the first step",
        does: Does::Answer {
            whole: first_step_then([error.clone(), Act::End]),
            streamed: first_step_then([error, Act::Silence]),
        },
        becomes: Becomes::Outage,
    };
    let ends_after_first_step = |finish| first_step_then([Act::Body(ends(finish)), Act::End]);
    let row_of = |what, pieces: &[&[u8]], becomes| {
        row(what, stream(pieces.iter().map(|piece| piece.to_vec()).collect()), becomes)
    };
    vec![
        error,
        row("stalls after the first step", first_step_then([Act::Silence]), Becomes::Late),
        row("reset after the first step", first_step_then([Act::Reset]), Becomes::Outage),
        row("ends after the first step", first_step_then([Act::End]), Becomes::Outage),
        row("a filter after the first step", ends_after_first_step("content_filter"), Becomes::Refusal),
        row("the token limit after the first step", ends_after_first_step("length"), Becomes::NoPlan),
        row("cut within a token", vec![head(), within_token, Act::Close], Becomes::Outage),
        row_of("garbage alone", &[&garbage, DONE], Becomes::Outage),
        row_of("garbage in between", &[&garbage, &says(&plan), &garbage, &ends("stop")], Becomes::Outage),
        row_of("no end", &[&says(&plan)], Becomes::Outage),
        row_of("no [DONE]", &[&says(&plan), &finish], Becomes::Plan),
        row("no [DONE], and closed", closed, Becomes::Outage),
        row_of("an empty stream", &[], Becomes::Outage),
        row_of("[DONE] alone", &[DONE], Becomes::Outage),
        row_of("comments alone", &[&comment, &comment], Becomes::Outage),
        row("comments for ever", heartbeat, Becomes::Late),
    ]
}
