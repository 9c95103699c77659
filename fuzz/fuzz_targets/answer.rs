//! Any text as an LLM's answer.

#![no_main]

mod promises;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| promises::hold_for(&String::from_utf8_lossy(answer)));
