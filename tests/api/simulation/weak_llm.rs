//! A weak LLM: what it says to the n-th call for a request follows from a seed alone.

use std::sync::Arc;
use std::time::Duration;

use planner_arm::llm::{BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, Prompt};

use super::dice::Dice;
use super::writing::{self, Hand};

tokio::task_local! {
    /// Which request the task is about, and how many calls were made for it.
    pub static REQUEST: (u64, std::cell::Cell<u64>);
}

/// A model that behaves as [`Call`]s say.
pub struct WeakLlm {
    pub name: Arc<str>,
    pub seed: u64,
}

impl ChatModel for WeakLlm {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(
        &'a self,
        _: &'a Prompt,
        _: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        let (request, nth) = REQUEST.with(|(request, calls)| (*request, calls.replace(calls.get() + 1)));
        let Call { does, latency, .. } = Call::nth(self.seed, request, nth);
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            match does {
                Does::Say(completion) => Ok(completion),
                Does::Fail(error) => Err(error),
                Does::Hang => std::future::pending().await,
            }
        })
    }
}

/// One call, and what comes of it.
#[derive(Debug)]
pub struct Call {
    /// Its kind, in a few words.
    pub kind: &'static str,
    pub latency: Duration,
    /// The actions that the LLM had in mind.
    pub meant: Vec<String>,
    pub does: Does,
}

#[derive(Debug)]
pub enum Does {
    Say(Completion),
    Fail(CallError),
    Hang,
}

impl Call {
    /// The `nth` call for `request`, from 0.
    pub fn nth(seed: u64, request: u64, nth: u64) -> Self {
        let mut dice = Dice::new(&[seed, request, nth]);
        let latency = Duration::from_millis(500 + dice.below(2_501) as u64);
        if dice.chance(10) {
            let (kind, does) = fault(&mut dice);
            return Self { kind, latency, meant: Vec::new(), does };
        }
        let mut plan = ProposedPlan::draw(&mut dice);
        let (kind, completion) = match dice.below(100) {
            0..30 => malformed(&mut plan, &mut dice),
            30..45 => (bad_graph(&mut plan, &mut dice), writing::asked(&plan, &mut dice)),
            45..55 => (unknown_arm(&mut plan, &mut dice), writing::asked(&plan, &mut dice)),
            _ => ("clean", writing::asked(&plan, &mut dice)),
        };
        let meant = plan.steps.into_iter().map(|step| step.action).collect();
        Self { kind, latency, meant, does: Does::Say(completion) }
    }
}

/// A plan as the LLM has it in mind.
#[derive(Debug)]
pub struct ProposedPlan {
    pub steps: Vec<ProposedStep>,
    pub rationale: String,
    pub confidence: f64,
}

#[derive(Debug)]
pub struct ProposedStep {
    pub number: usize,
    pub action: String,
    pub arm: String,
    pub criteria: Vec<String>,
    pub needs: Vec<usize>,
    pub cost_tier: usize,
    pub seconds: usize,
}

/// Arms with what they do, in words of which only some are keywords of the registry.
const WORK: &[(&str, &[&str])] = &[
    ("retriever", &["Search for", "Collect all that is known about", "Read up on", "List the sources on"]),
    ("coder", &["Implement", "Refactor", "Write unit tests for", "Rewrite", "Simplify"]),
    ("executor", &["Deploy", "Run the pipeline for", "Restart", "Measure", "Call the API of"]),
    ("guardian", &["Redact personal data from", "Look for leaks in", "Enforce the policy on"]),
    ("planner", &["Break down", "Order the work on"]),
    ("judge", &["Review", "Assess", "Compare the results for"]),
];
const VERIFYING: &[&str] =
    &["Verify", "Confirm the quality of", "Check every constraint against", "Sign off"];
const THINGS: &[&str] = &[
    "the login flow",
    "the nightly import",
    "the customer's invoices",
    "the search index",
    "the release notes",
    "the billing service, old and new",
    "the \"sign up\" page",
    "the Dutch manual",
    "the cache (level 2)",
    "the on-call rota",
    "the metrics endpoint: /metrics",
    "the data set from 2019",
];

impl ProposedPlan {
    /// A valid plan of 3 to 7 steps.
    fn draw(dice: &mut Dice) -> Self {
        let count = 3 + dice.below(5);
        let mut things = THINGS.to_vec();
        let steps = (1..=count)
            .map(|number| {
                let thing = things.swap_remove(dice.below(things.len()));
                let (arm, verb) = if number == count {
                    ("judge", *dice.pick(VERIFYING))
                } else {
                    let (arm, verbs) = dice.pick(WORK);
                    (*arm, *dice.pick(verbs))
                };
                let mut needs: Vec<usize> = (1..number).filter(|_| dice.chance(35)).collect();
                if number == count && needs.is_empty() {
                    needs.push(number - 1);
                }
                ProposedStep {
                    number,
                    action: format!("{verb} {thing}"),
                    arm: arm.to_owned(),
                    criteria: [
                        format!("{thing} was dealt with, nothing is left open"),
                        "It's written down".into(),
                    ][..=dice.below(2)]
                        .to_vec(),
                    needs,
                    cost_tier: 1 + dice.below(5),
                    seconds: 5 + dice.below(600),
                }
            })
            .collect();
        let rationale = format!("First what has to be known; {count} steps are enough.");
        Self { steps, rationale, confidence: (50 + dice.below(50)) as f64 / 100.0 }
    }
}

/// What goes wrong before there is any answer, each equally often.
fn fault(dice: &mut Dice) -> (&'static str, Does) {
    let fail = |failure: CallFailure| Does::Fail(failure.into());
    match dice.below(5) {
        0 => ("connection", fail(CallFailure::Connection)),
        1 => ("hang", Does::Hang),
        2 => {
            let retry_after = Some(Duration::from_millis(200 + dice.below(801) as u64));
            ("429", Does::Fail(CallError { retry_after, ..CallError::from(CallFailure::RateLimited) }))
        }
        3 => ("500", fail(CallFailure::ServerError)),
        _ => ("malformed body", fail(CallFailure::Malformed)),
    }
}

/// Ten ways in which an answer is not the JSON that was asked for, each equally often.
fn malformed(plan: &mut ProposedPlan, dice: &mut Dice) -> (&'static str, Completion) {
    let mut hand = Hand::any(dice);
    let (kind, text) = match dice.below(10) {
        0 => ("fenced", writing::fenced(&hand.plan(plan, dice), dice)),
        1 => {
            hand.trailing_commas = true;
            ("trailing commas", hand.plan(plan, dice))
        }
        2 => {
            hand.python = true;
            ("Python literals", hand.plan(plan, dice))
        }
        3 => {
            hand.comments = true;
            hand.pretty = true;
            ("comments", hand.plan(plan, dice))
        }
        4 => {
            hand.bare_keys = true;
            ("unquoted keys", hand.plan(plan, dice))
        }
        5 => {
            writing::add_quotes(plan, dice);
            hand.raw_quotes = true;
            ("unescaped quotes", hand.plan(plan, dice))
        }
        6 => {
            let whole = hand.plan(plan, dice);
            let length = whole.chars().count();
            let kept = length * (5 + dice.below(90)) / 100;
            let content = whole.chars().take(kept).collect();
            return ("truncated", Completion { content, truncated: true, ..Completion::default() });
        }
        7 => ("wrapper and aliases", hand.with_other_names(dice).plan(plan, dice)),
        8 => {
            hand.steps_last = dice.chance(50);
            ("missing closers", writing::without_closers(&hand.plan(plan, dice), dice))
        }
        _ => ("prose alone", writing::prose(plan, dice)),
    };
    (kind, Completion { content: text, ..Completion::default() })
}

/// Six ways in which steps cannot depend on each other, each equally often.
fn bad_graph(plan: &mut ProposedPlan, dice: &mut Dice) -> &'static str {
    let steps = &mut plan.steps;
    let count = steps.len();
    match dice.below(6) {
        0 => {
            let step = dice.pick_mut(steps);
            step.needs.push(step.number);
            "self reference"
        }
        1 => {
            let nowhere = if dice.chance(30) { 0 } else { count + 1 + dice.below(20) };
            dice.pick_mut(steps).needs.push(nowhere);
            "dangling reference"
        }
        2 => {
            // The last step depends on something.
            let index = (dice.below(count)..count).find(|&index| !steps[index].needs.is_empty());
            let needs = &mut steps[index.expect("the last step at least")].needs;
            needs.push(*dice.pick(needs));
            "duplicate reference"
        }
        3 => {
            // Reversing an edge between neighbours makes no cycle.
            let index = dice.below(count - 1);
            steps[index + 1].needs.retain(|&needed| needed != index + 1);
            steps[index].needs.push(index + 2);
            "forward reference"
        }
        4 => {
            let [a, b, _] = dice.three_below(count);
            steps[a].needs.push(b + 1);
            steps[b].needs.push(a + 1);
            dedup(steps);
            "cycle of two"
        }
        _ => {
            let [a, b, c] = dice.three_below(count);
            steps[a].needs.push(c + 1);
            steps[c].needs.push(b + 1);
            steps[b].needs.push(a + 1);
            dedup(steps);
            "cycle of three"
        }
    }
}

fn dedup(steps: &mut [ProposedStep]) {
    for step in steps {
        step.needs.sort_unstable();
        step.needs.dedup();
    }
}

/// Five ways of naming an arm that the registry does not have, each equally often.
fn unknown_arm(plan: &mut ProposedPlan, dice: &mut Dice) -> &'static str {
    let step = dice.pick_mut(&mut plan.steps);
    let names = |of: &[(&str, &[&str])], dice: &mut Dice| {
        let (_, names) = of.iter().find(|(arm, _)| *arm == step.arm).expect("every arm is there");
        (*dice.pick(names)).to_owned()
    };
    let (kind, name) = match dice.below(5) {
        0 => ("arm by alias", names(ALIASES, dice)),
        1 => {
            let capital = format!("{}{}", step.arm[..1].to_uppercase(), &step.arm[1..]);
            let all = [step.arm.to_uppercase(), format!("{capital} Arm"), capital];
            ("arm in another case", dice.pick(&all).clone())
        }
        2 => ("arm by capability", names(CAPABILITIES, dice)),
        3 => ("arm by keyword", names(WITH_KEYWORDS, dice)),
        _ => (
            "nonsense arm",
            (*dice.pick(&["wizard", "arm_7", "gpt-4", "the team", "N/A", "", "机器人"])).into(),
        ),
    };
    step.arm = name;
    kind
}

const ALIASES: &[(&str, &[&str])] = &[
    ("planner", &["planning-arm", "planning_arm"]),
    ("retriever", &["researcher", "search-arm"]),
    ("coder", &["developer", "programmer"]),
    ("executor", &["tool-executor", "runner", "shell"]),
    ("judge", &["validator", "reviewer", "verifier"]),
    ("guardian", &["safety-guardian", "safety"]),
];
const CAPABILITIES: &[(&str, &[&str])] = &[
    ("planner", &["planning", "task_decomposition"]),
    ("retriever", &["knowledge_retrieval", "web search"]),
    ("coder", &["code_generation", "debugging"]),
    ("executor", &["shell_execution", "api_calls"]),
    ("judge", &["validation", "fact-checking"]),
    ("guardian", &["pii_detection", "policy_enforcement"]),
];
const WITH_KEYWORDS: &[(&str, &[&str])] = &[
    // No keyword points to it.
    ("planner", &["coordinator", "organiser"]),
    ("retriever", &["search engine", "research specialist"]),
    ("coder", &["code writer", "debug expert"]),
    ("executor", &["deploy bot", "build server"]),
    ("judge", &["review join", "who can verify"]),
    ("guardian", &["privacy officer", "compliance team"]),
];
