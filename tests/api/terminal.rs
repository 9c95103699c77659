//! What a person sees of `planner-arm plan` in a real terminal, tmux's, while an LLM writes.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::stream::events::{cut, ends, head, says, stream_of};
use crate::support::fake_llm::{Act, send};
use crate::support::{FakeLlm, good_plan, step};

/// A terminal of its own, which ends with the value.
struct Terminal(String);

impl Terminal {
    fn start(columns: u16) -> Self {
        let terminal = Self(format!("planner-arm-{}", Uuid::new_v4()));
        let columns = columns.to_string();
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            "40",
            "PS1='$ ' exec sh",
        ]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.0]).args(arguments).output().expect("tmux runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn types(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Runs `planner-arm plan` with the LLM of `llm`.
    fn plans(&self, llm: &FakeLlm, rest: &str) {
        let (url, binary) = (&llm.base_url, env!("CARGO_BIN_EXE_planner-arm"));
        let settings = format!("PLANNER_LLM_BASE_URL={url} PLANNER_TIMEOUT_SECONDS=60 OPENAI_API_KEY=");
        self.types(&[&format!("clear; {settings} {binary} plan {rest}"), "Enter"]);
    }

    /// The screen once it is as `is_so` says.
    async fn shows(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let look = async {
            loop {
                let screen = self.tmux(&["capture-pane", "-p"]);
                if is_so(&screen) {
                    return screen;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let shown = tokio::time::timeout(Duration::from_secs(30), look).await;
        shown.unwrap_or_else(|_| panic!("{what}:\n{}", self.tmux(&["capture-pane", "-p"])))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.0, "kill-server"]).output();
    }
}

/// An answer that goes on after its first two steps when told.
fn in_two_parts(go_on: &Arc<Notify>) -> Vec<Act> {
    let pieces = cut(&good_plan());
    let says_all = |pieces: &[String]| pieces.iter().flat_map(|piece| says(piece)).collect::<Vec<u8>>();
    vec![
        head(),
        Act::Body(says_all(&pieces[..2])),
        Act::Until(go_on.clone()),
        Act::Body([says_all(&pieces[2..]), ends("stop")].concat()),
        Act::End,
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tmux; run by .ci/run"]
async fn steps_appear_one_by_one_and_the_plan_replaces_them() {
    let go_on = Arc::new(Notify::new());
    let llm = FakeLlm::start([in_two_parts(&go_on)]).await;
    let terminal = Terminal::start(60);
    terminal.plans(&llm, "'Ship it' -f tree");
    let first =
        |screen: &str| screen.contains("2 coder  Write the change") && screen.contains("planning with");
    let screen = terminal.shows("two steps", first).await;
    assert!(screen.contains("1 retriever  Search the codebase") && !screen.contains("3 coder"), "{screen}");
    // Made narrower meanwhile, it leaves nothing behind.
    terminal.tmux(&["resize-window", "-x", "40"]);
    let narrow = |screen: &str| screen.contains("1 retriever  Search the codebase for wha\n2 coder  Write");
    terminal.shows("narrower lines", narrow).await;
    go_on.notify_one();
    let screen = terminal.shows("the plan", |screen| screen.contains("930 tokens")).await;
    assert!(!screen.contains("planning with") && !screen.contains("for wha\n"), "{screen}");
    for step in 1..=5 {
        let heads = [format!("● {step} "), format!("○ {step} ")];
        let found: usize = heads.iter().map(|head| screen.matches(head).count()).sum();
        assert_eq!(found, 1, "{step}\n{screen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tmux; run by .ci/run"]
async fn steps_of_a_rejected_answer_disappear() {
    let void = json!({"plan": [
        step(1, "coder", "Void one", &[], 1, 5), step(2, "coder", "Void two", &[3], 1, 5),
        step(3, "coder", "Void three", &[2], 1, 5),
    ], "rationale": "None.", "confidence": 0.5});
    let go_on = Arc::new(Notify::new());
    let llm = FakeLlm::start([stream_of(&void), in_two_parts(&go_on)]).await;
    let terminal = Terminal::start(100);
    terminal.plans(&llm, "'Ship it' -f json > /dev/null");
    let second =
        |screen: &str| screen.contains("2 coder  Write the change") && screen.contains("planning with");
    let screen = terminal.shows("the second answer", second).await;
    assert!(!screen.contains("Void"), "{screen}");
    assert!(!screen.contains("planner_arm::"), "no log lines\n{screen}");
    go_on.notify_one();
    let over = |screen: &str| !screen.contains("planning with") && !screen.contains("Write the change");
    let screen = terminal.shows("the end", over).await;
    assert!(!screen.contains("\"plan\""), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tmux; run by .ci/run"]
async fn an_interrupt_clears_the_progress() {
    let llm = FakeLlm::start([in_two_parts(&Arc::new(Notify::new()))]).await;
    let terminal = Terminal::start(60);
    terminal.plans(&llm, "'Ship it'; echo \"ended: $?\"");
    terminal.shows("two steps", |screen| screen.contains("2 coder  Write the change")).await;
    terminal.types(&["C-c"]);
    let screen = terminal.shows("the end", |screen| screen.contains("ended: 130")).await;
    assert!(!screen.contains("coder") && !screen.contains("planning with"), "{screen}");
    llm.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tmux; run by .ci/run"]
async fn a_missing_goal_is_an_error_at_once() {
    let llm = FakeLlm::start([stream_of(&good_plan())]).await;
    let terminal = Terminal::start(100);
    terminal.plans(&llm, "; echo \"ended: $?\"");
    let screen = terminal.shows("the end", |screen| screen.contains("ended: 2")).await;
    assert!(screen.contains("no goal: give one as an argument or on standard input"), "{screen}");
    // The same on a terminal that cannot move its cursor: nothing is drawn, and nothing coloured.
    terminal.types(&["export TERM=dumb", "Enter"]);
    terminal.plans(&llm, "'Ship it'");
    let screen = terminal.shows("the plan", |screen| screen.contains("by openai")).await;
    assert!(!screen.contains("planning with"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tmux; run by .ci/run"]
async fn log_lines_appear_above_the_steps_and_a_narrow_terminal_gets_a_tree() {
    let go_on = Arc::new(Notify::new());
    let llm = FakeLlm::start([send(500, "", ""), in_two_parts(&go_on)]).await;
    let terminal = Terminal::start(70);
    terminal.types(&["export PLANNER_LOG_LEVEL=debug", "Enter"]);
    terminal.plans(&llm, "Ship it");
    let two = |screen: &str| screen.contains("2 coder  Write the change") && screen.contains("planning with");
    let screen = terminal.shows("two steps", two).await;
    let (log, step) = (screen.find("retrying=true"), screen.find("1 retriever  Search"));
    assert!(log.is_some() && log < step, "{screen}");
    assert_eq!(screen.matches("planning with").count(), 1, "{screen}");
    go_on.notify_one();
    let screen = terminal.shows("the plan", |screen| screen.contains("by openai")).await;
    assert!(screen.contains("● on the critical path") && !screen.contains('┌'), "{screen}");
    assert!(!screen.contains("planning with"), "{screen}");
    terminal.types(&[&format!("clear; {} arms", env!("CARGO_BIN_EXE_planner-arm")), "Enter"]);
    let screen = terminal.shows("the arms", |screen| screen.contains("guardian · cost tier 1")).await;
    assert!(screen.contains("  Capabilities: pii_detection") && !screen.contains('┌'), "{screen}");
}
