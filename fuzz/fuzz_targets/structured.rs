//! A valid plan, damaged as LLMs damage JSON: deep into the reader, where text alone seldom comes.

#![no_main]

mod promises;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// Valid plans in the forms in which they come.
const PLANS: [&str; 4] = [
    r#"{"plan":[{"step":1,"action":"Gather the reports","required_arm":"retriever","acceptance_criteria":["All of June","None twice"],"depends_on":[],"estimated_cost_tier":1,"estimated_duration_seconds":20},{"step":2,"action":"Fix the upload","required_arm":"coder","acceptance_criteria":["Test passes"],"depends_on":[1],"estimated_cost_tier":4,"estimated_duration_seconds":60},{"step":3,"action":"Verify the upload","required_arm":"judge","acceptance_criteria":["2 GB file works"],"depends_on":[1,2],"estimated_cost_tier":2,"estimated_duration_seconds":30}],"rationale":"Reports lead to the bug.","confidence":0.8}"#,
    "Sure!\n```json\n{\n  'steps': [\n    {'id': 'a', 'task': 'It's found', 'agent': 'Retriever', 'criteria': 'Found', 'duration': '1-2 min',},\n    {'id': 'b', 'task': 'Write it', 'agent': 'coder', 'criteria': ['Written'], 'after': 'a', 'cost': '2/5'},\n    {'id': 'c', 'task': 'Check it', 'agent': 'judge', 'criteria': ['Checked'], 'after': ['a', 'b']} // last\n  ],\n  'confidence': '80%'\n}\n```",
    r#"{"result":{"phases":[{"steps":[{"step_1":{"action":"One","arm":"coder","done_when":"- a\n- b"}},{"step":2,"action":"Two","arm":["coder"],"criteria":{"x":"y"},"deps":"step 1 and 1-1"}]},{"steps":[{"step":"3","action":"Three","arm":{"name":"judge"},"criteria":[{"text":"ok"}],"requires":"all previous steps","estimated_minutes":1.5}]}]}}"#,
    r#"{"plan":"[{\"step\":1,\"action\":\"One\",\"arm\":\"coder\",\"criteria\":[\"\\u00e9\"]},{\"step\":2,\"action\":\"Two\",\"arm\":\"coder\",\"criteria\":[\"b\"]},{\"step\":3,\"action\":\"Three\",\"arm\":\"judge\",\"criteria\":[\"c\"]}]"}"#,
];

/// What is put in where it does not belong.
const PIECES: [&str; 32] = [
    "\"",
    "'",
    "`",
    "“",
    "”",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=>",
    "\n",
    " ",
    "//",
    "/*",
    "*/",
    "#",
    "...",
    "…",
    "null",
    "None",
    "1",
    "-",
    "\\u",
    "\"\"\"",
    "```",
    "</think>",
    "\u{1f600}",
    "，",
    "\"plan\":",
];

#[derive(Debug, Arbitrary)]
struct Damage {
    plan: u8,
    edits: Vec<Edit>,
}

#[derive(Debug, Arbitrary)]
enum Edit {
    /// Up to 255 bytes go.
    Delete { at: u16, length: u8 },
    /// One byte goes.
    DeleteOne { at: u16 },
    /// A piece comes in.
    Insert { at: u16, piece: u8 },
    /// Any bytes come in.
    InsertBytes { at: u16, bytes: Vec<u8> },
    /// All behind goes.
    Truncate { at: u16 },
    /// Up to 255 bytes are duplicated.
    Duplicate { at: u16, length: u8 },
    /// Every one of a piece becomes another.
    Replace { piece: u8, by: u8 },
    /// The whole is duplicated.
    Double,
}

fuzz_target!(|damage: Damage| {
    let mut text = PLANS[usize::from(damage.plan) % PLANS.len()].as_bytes().to_vec();
    for edit in damage.edits.iter().take(64) {
        apply(edit, &mut text);
    }
    promises::hold_for(&String::from_utf8_lossy(&text));
});

fn apply(edit: &Edit, text: &mut Vec<u8>) {
    /// Longer texts only take longer.
    const MAX_BYTES: usize = 64 * 1024;
    let place = |at: u16| usize::from(at) % (text.len() + 1);
    let piece = |piece: u8| PIECES[usize::from(piece) % PIECES.len()];
    let range = |at: u16, length: u8| place(at)..(place(at) + usize::from(length)).min(text.len());
    match edit {
        Edit::Delete { at, length } => drop(text.drain(range(*at, *length))),
        Edit::DeleteOne { at } => drop(text.drain(range(*at, 1))),
        Edit::Insert { at, piece: number } => {
            let at = place(*at);
            text.splice(at..at, piece(*number).bytes());
        }
        Edit::InsertBytes { at, bytes } => {
            let at = place(*at);
            text.splice(at..at, bytes.iter().copied());
        }
        Edit::Truncate { at } => text.truncate(place(*at)),
        Edit::Duplicate { at, length } => {
            let range = range(*at, *length);
            let twice = text[range.clone()].to_vec();
            text.splice(range.start..range.start, twice);
        }
        Edit::Replace { piece: number, by } => {
            let replaced = String::from_utf8_lossy(text).replace(piece(*number), piece(*by));
            *text = replaced.into_bytes();
        }
        Edit::Double => text.extend_from_within(..),
    }
    text.truncate(MAX_BYTES);
}
