//! Answers that no honest LLM gives, of any size: what could make a reader panic, recurse or read twice.

use std::fmt::Write as _;

/// Makes an answer of about this many bytes.
pub type Make = Box<dyn Fn(usize) -> String + Send>;

/// A name, and what makes the answer.
type Made = (&'static str, fn(usize) -> String);

/// Each kind of malicious answer by its name.
pub fn kinds() -> Vec<(String, Make)> {
    let mut kinds: Vec<(String, Make)> = Vec::new();
    for &(head, unit) in RUNS {
        kinds.push((format!("{head}({unit})*"), Box::new(move |size| run(head, unit, size))));
    }
    for &(name, make) in MADE {
        kinds.push((name.to_owned(), Box::new(make)));
    }
    kinds
}

/// One step in JSON.
const STEP: &str = r#"{"step":1,"action":"Do it","required_arm":"coder","acceptance_criteria":["done"],"depends_on":[],"estimated_cost_tier":2,"estimated_duration_seconds":30}"#;

/// A beginning, and what follows it again and again.
const RUNS: &[(&str, &str)] = &[
    // Nesting without end.
    ("", "["),
    ("", "{"),
    ("", "]"),
    ("", "}"),
    ("", "[]"),
    ("", "{\"a\":"),
    ("", "[{\"plan\":"),
    ("", "{\"plan\":[{\"plan\":"),
    ("", "{a:["),
    ("", "[{"),
    // Quotes without end.
    ("", "\""),
    ("", "'"),
    ("", "\\"),
    ("", "`"),
    ("", "```"),
    ("", "```json\n{"),
    ("{\"a\":\"", "a"),
    ("{\"a\":\"", "\""),
    ("{\"a\":\"", "\" "),
    ("{\"a\":\"", "\"\n"),
    ("{\"a\":\"", "\",\""),
    ("{\"a\":\"", "\",a"),
    ("{\"a\":\"", "\",a\n"),
    ("{\"a\":\"", "\", a b c d e f g h i j k l m n o p q r s t"),
    ("{\"a\":\"", "\\\""),
    ("{\"a\":\"", "\\u"),
    ("{\"a\":\"", "\\ud83d"),
    ("{\"a\":\"", "\" 'a' \"b\" "),
    ("{\"a\":'", "'"),
    ("{\"a\":'", "' "),
    ("{\"a\":'", "', '"),
    ("{\"a\":«", "«"),
    ("{\"a\":`", "` "),
    ("{\"a\":\"\"\"", "\"\""),
    ("{\"plan\":[\"", "x"),
    ("{\"plan\":[", "\"\","),
    ("{\"plan\":[", "\"a\" "),
    ("{\"plan\":[", "\"a\"\n"),
    ("[", "\"\"\""),
    ("[", "\"a "),
    ("[", "'a' "),
    ("[", "“”"),
    ("\"", "\\\""),
    // Members and keys.
    ("{\"a\" ", "\"a\" "),
    ("{\"a\":1,", "\"a\" "),
    ("{\"a\":1,", "\""),
    ("{\"a\":1,", "'"),
    ("{\"a\":1,", "\"'`"),
    ("{\"a\":1,", "«"),
    ("{\"a\":1,", "「"),
    ("{\"a\":1,", "x "),
    ("{\"a\":1,", "x,"),
    ("{\"a\":1,", "x\n"),
    ("{\"a\":1,", "x{"),
    ("{\"a\":1", "]"),
    ("{\"a\":1", "],"),
    ("{\"a\":1", "] x"),
    ("[{\"a\":1", "}"),
    ("[{\"a\":1}", "},{"),
    ("{\"", "a"),
    ("{\"a", " b\" c"),
    ("{", "a:b,"),
    ("{", "'a\":b,"),
    ("{\"a\":", "b,"),
    ("{\"a\":", "b, "),
    ("{\"a\":", "1,2"),
    ("{\"a\":", "1,"),
    ("{\"a\":", "/ "),
    ("{\"a\":", " /"),
    ("{\"a\":", "b =x"),
    ("{", "\"a\":1,"),
    ("{", "\"plan\":[],"),
    ("{", "\"a\":{},"),
    ("{", "\"a\":\"b\""),
    // Lists.
    ("[", "1,"),
    ("[", "1 "),
    ("[", "a,"),
    ("[", "a\n"),
    ("[", "a "),
    ("[", "[],"),
    ("[", "{},"),
    ("[", "{\"a\":1},"),
    ("[", "null,"),
    ("[", "\"...\","),
    ("[", "-"),
    ("[", "9"),
    ("{\"plan\":[", STEP),
    ("{\"plan\":[", "{\"step\":1,\"action\":\"x\"},"),
    ("{\"phases\":[", "{\"steps\":[{\"step\":1,\"action\":\"x\"}]},"),
    // Separators, comments, space.
    ("", ","),
    ("{", ","),
    ("[", ","),
    ("[", ";,"),
    ("{", "/*"),
    ("{", "//"),
    ("{", "//\n"),
    ("{", "/**/"),
    ("{", "#"),
    ("[", "#\n"),
    ("", "/*"),
    ("", "//"),
    ("", "#"),
    ("", " "),
    ("", "\n"),
    ("{", " "),
    ("[", "\n"),
    ("{\"a\"", " "),
    ("{\"a\":", " "),
    ("{\"a\":\"b\"", "\n"),
    ("{\"a\":\"b\",", "\n"),
    ("{\"a\":\"b\" \"c\" \"d\" \"e\" \"f\" \"g\" \"h\" \"i\" \"j\" \"k\" \"l\" \"m\" \"n\"", " "),
    ("", "..."),
    ("[", "...,"),
    ("{\"a\":1", ",..."),
    // Many documents.
    ("", "{}"),
    ("", "[1]"),
    ("", "{\"a\":1}\n"),
    ("", "{\"step\":1,\"action\":\"x\"}\n"),
    ("", "{x}"),
    ("", "[x](y) "),
    ("", "<think>"),
    ("", "<think></think>"),
    ("", "</think>{"),
    ("{\\", "\\\""),
    ("{&quot;a&quot;:", "&quot;"),
    // What is not ASCII.
    ("", "e\u{301}"),
    ("{\"a\":\"", "\u{301}"),
    ("{\"a\":", "\u{1f600}"),
    ("{", "\u{1f600}"),
    ("[", "\u{2028}"),
    ("[", "，"),
    ("{", "：，"),
    ("[", "「x」、"),
    ("\u{feff}", "\u{feff}"),
    ("[", "\0"),
];

/// What takes more than repeating.
const MADE: &[Made] = &[
    ("many keys", |size| joined("{", size, "}", |n| format!("\"k{n}\":1"))),
    ("many keys, each an object", |size| joined("{", size, "}", |n| format!("\"k{n}\":{{}}"))),
    ("many keys, wrapped", |size| {
        joined("{\"plan\":{\"plan\":{\"plan\":{", size, "}}}}", |n| format!("\"k{n}\":{{}}"))
    }),
    ("many keys in many steps", |size| {
        let step = joined("{\"action\":\"x\",", 600, "}", |n| format!("\"k{n}\":1"));
        joined("{\"plan\":[", size, "]}", |_| step.clone())
    }),
    ("many keys, unquoted", |size| joined("{", size, "", |n| format!("k{n}:1"))),
    ("keyed steps", |size| joined("{", size, "}", |n| format!("\"step {n}\":{{\"action\":\"x\"}}"))),
    ("a valid list of numbers", |size| joined("[", size, "]", |_| "1".into())),
    ("a valid list of objects", |size| joined("[", size, "]", |n| format!("{{\"a\":{n}}}"))),
    ("a valid list of texts", |size| joined("[", size, "]", |_| "\"a\"".into())),
    ("long lists", |size| joined("", size, "", |_| format!("[{}0]", "1,".repeat(10_000)))),
    ("long lists that are broken", |size| joined("", size, "", |_| format!("[{}0,}}", "1,".repeat(10_000)))),
    ("long lists of objects that are broken", |size| {
        joined("", size, "", |_| format!("[{}0,}}", "{\"a\":1},".repeat(4_000)))
    }),
    ("phases", |size| joined("{\"phases\":[", size, "]}", |n| format!("{{\"steps\":[{{\"id\":{n}}}]}}"))),
    ("one key", |size| format!("{{\"{}\":1}}", "k".repeat(size))),
    ("one word", |size| format!("{{k:{}}}", "k".repeat(size))),
    ("one number", |size| format!("{{\"plan\":{}}}", "9".repeat(size))),
    ("many distinct criteria", |size| step_with(size, "acceptance_criteria", |n| format!("\"c{n}\""))),
    ("many equal criteria", |size| step_with(size, "acceptance_criteria", |_| "\"c\"".into())),
    ("many dependencies", |size| step_with(size, "depends_on", |n| n.to_string())),
    ("many unreadable dependencies", |size| step_with(size, "depends_on", |_| "{}".into())),
    ("ranges of dependencies", |size| step_with(size, "depends_on", |_| "\"1-50\"".into())),
    ("dependencies in one text", |size| {
        let words = joined("", size, "", |n| format!("s{n}"));
        format!("[{}]", STEP.replace("\"depends_on\":[]", &format!("\"depends_on\":\"{words}\"")))
    }),
    ("all earlier steps, again and again", |size| {
        let steps = "{\"action\":\"x\"},".repeat(900);
        let step = step_with(size.saturating_sub(steps.len()), "depends_on", |_| "\"all\"".into());
        step.replacen('[', &format!("[{steps}"), 1)
    }),
    ("each step after all earlier ones", |size| {
        joined("[", size, "]", |n| format!("{{\"action\":\"{n}\",\"after\":\"all\"}}"))
    }),
    ("steps that are each other's cycle", |size| {
        let size = size.min(60_000);
        joined("[", size, "]", |n| format!("{{\"step\":{n},\"action\":\"x\",\"after\":[{}]}}", n + 1))
    }),
    ("an action of keywords", |size| step_saying(size, "action", "run")),
    ("an action of keywords between ideographs", |size| step_saying(size, "action", "搜fix")),
    ("an action of words", |size| step_saying(size, "action", "word ")),
    ("an arm of keywords", |size| step_saying(size, "required_arm", "fix")),
    ("a duration of digits", |size| step_saying(size, "estimated_duration_seconds", "1")),
    ("a duration of units", |size| step_saying(size, "estimated_duration_seconds", "1h ")),
    ("a duration of ranges", |size| step_saying(size, "estimated_duration_seconds", "1-")),
    ("a text in a text in a text", |size| {
        let mut text = format!("{{\"plan\":[{}", "1,".repeat(size / 8));
        for _ in 0..3 {
            text = serde_json::json!({ "plan": text }).to_string();
        }
        text
    }),
    ("a list in a text, wrapped", |size| {
        format!("{{\"plan\":{{\"steps\":{{\"tasks\":\"[{}0]\"}}}}}}", "1,".repeat(size / 2))
    }),
    ("a text in lists in lists", |size| {
        let (open, close) = ("[".repeat(50), "]".repeat(50));
        format!("[{}]", STEP.replace("\"Do it\"", &format!("{open}\"{}\"{close}", "x".repeat(size))))
    }),
    ("a list behind false beginnings", |size| format!("{}{}{{x}}", "[".repeat(16), "1,".repeat(size / 2))),
    ("a list behind long keys", |size| {
        let key = format!("{{\"{}\":", "k".repeat(100));
        format!("{}[{}", key.repeat(50), "1,".repeat(size / 2))
    }),
    ("a list behind objects that end early", |size| {
        let object = format!("{{\"a\":1,\"{}\":{{}},\"b\":", "k".repeat(100));
        format!("{}[{}", object.repeat(120), "1,".repeat(size / 2))
    }),
    ("a list too deep at its end", |size| format!("[{}{}", "{\"a\":1},".repeat(size / 8), "[".repeat(200))),
    ("a plan, then junk", |size| format!("{{\"plan\":[{STEP}]}}{}", noise(size))),
    ("junk, then a plan", |size| format!("{}{{\"plan\":[{STEP}]}}", noise(size))),
    ("noise", noise),
    ("noise of JSON's characters", |size| {
        let characters: Vec<char> = "{}[]\"':,\\\n /#`ab1.".chars().collect();
        let picked = bytes().map(|byte| characters[usize::from(byte) % characters.len()]);
        picked.take(size).collect()
    }),
];

/// `unit` behind `head`, again and again.
pub fn run(head: &str, unit: &str, size: usize) -> String {
    let mut text = head.to_owned();
    while text.len() < size {
        text.push_str(unit);
    }
    text
}

/// What `unit` says for 0, 1, 2 …, with commas between.
fn joined(head: &str, size: usize, tail: &str, unit: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for n in 0.. {
        let _ = write!(text, "{}", unit(n));
        if text.len() >= size {
            break;
        }
        text.push(',');
    }
    text + tail
}

/// A list of one step in which `key` is a long list.
fn step_with(size: usize, key: &str, unit: impl Fn(usize) -> String) -> String {
    let list = joined(&format!("\"{key}\":["), size, "]", unit);
    let empty = if key == "depends_on" { "\"depends_on\":[]" } else { "\"acceptance_criteria\":[\"done\"]" };
    format!("[{}]", STEP.replace(empty, &list))
}

/// A list of three steps that differ, in each of which `key` is a long text.
fn step_saying(size: usize, key: &str, unit: &str) -> String {
    let step = |n: u32| {
        let mut step: serde_json::Value = serde_json::from_str(STEP).expect("a step");
        step["action"] = format!("Do {n}").into();
        step[key] = run("", unit, size / 3).into();
        if key == "action" {
            step[key] = format!("{n} {}", run("", unit, size / 3)).into();
            step["required_arm"] = "nobody".into();
        }
        step
    };
    serde_json::json!([step(1), step(2), step(3)]).to_string()
}

/// Bytes that look random and are the same each time (Marsaglia's xorshift).
fn bytes() -> impl Iterator<Item = u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
}

fn noise(size: usize) -> String {
    let bytes: Vec<u8> = bytes().take(size).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
