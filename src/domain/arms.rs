//! The arms that a step can be given to.
//!
//! Prompt, JSON Schema, validation, repair and the embedded planner all work from the registry, so an
//! installation with other arms changes nothing but its settings file.

use serde::{Deserialize, Serialize};

use crate::text::{find_phrase, fold};

/// The capability that makes an arm fit to verify a finished plan.
pub const VALIDATION: &str = "validation";

/// Longest arm id, in characters.
pub const MAX_ARM_ID_CHARS: usize = 100;

/// One arm: a specialised service that carries out steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Unique name, any script, at most 100 characters.
    pub id: String,
    /// What the arm does, in one line for the LLM.
    #[serde(default)]
    pub description: String,
    /// Machine-readable abilities; `validation` marks an arm that can verify a plan.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Words and phrases in a goal that point to this arm. None: the arm takes what fits nowhere else.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What one step usually costs here, 1 (cheap) to 5.
    #[serde(default = "default_cost_tier")]
    pub cost_tier: u8,
    /// Other names that LLMs use for it.
    #[serde(default)]
    pub aliases: Vec<String>,
}

fn default_cost_tier() -> u8 {
    2
}

/// How an arm's name was understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArmMatch {
    /// The id, to the letter.
    Exact,
    /// The id in another case or spelling, one of its aliases or one of its capabilities.
    Name,
    /// A keyword of the arm in the given name or in the step's action.
    Keyword,
    /// Nothing pointed anywhere; the arm that takes what fits nowhere else.
    CatchAll,
}

/// The arms of an installation: never empty, ids unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmRegistry {
    arms: Vec<Arm>,
}

impl ArmRegistry {
    /// Checks `arms` and makes a registry of them.
    ///
    /// # Errors
    /// Every fault of the list, one sentence each.
    pub fn new(arms: Vec<Arm>, verification_required: bool) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        if arms.is_empty() {
            faults.push("has no arm; name at least one".to_owned());
        }
        for (index, arm) in arms.iter().enumerate() {
            let place = format!("arms[{index}]");
            if arm.id.trim().is_empty() {
                faults.push(format!("{place}.id is blank"));
            } else if arm.id.trim() != arm.id || arm.id.chars().any(char::is_control) {
                faults.push(format!("{place}.id has white space around it or a control character in it"));
            }
            if arm.id.chars().count() > MAX_ARM_ID_CHARS {
                faults.push(format!("{place}.id is longer than {MAX_ARM_ID_CHARS} characters"));
            }
            if arms[..index].iter().any(|earlier| earlier.id == arm.id) {
                faults.push(format!("{place}.id `{}` is there twice", arm.id));
            }
            let words = arm.keywords.iter().chain(&arm.aliases).chain(&arm.capabilities);
            if words.into_iter().any(|word| word.trim().is_empty()) {
                faults.push(format!("{place} has a blank keyword, alias or capability"));
            }
            if !(1..=5).contains(&arm.cost_tier) {
                faults.push(format!("{place}.cost_tier is {}; it must be from 1 to 5", arm.cost_tier));
            }
        }
        let registry = Self { arms };
        if verification_required && !registry.arms.is_empty() && registry.verifier().is_none() {
            faults.push(format!(
                "has no arm with the capability `{VALIDATION}`; give it to one, or set PLANNER_REQUIRE_VERIFICATION_STEP=false"
            ));
        }
        if faults.is_empty() { Ok(registry) } else { Err(faults) }
    }

    /// All arms, in the order of the settings.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// The arm with exactly this id.
    pub fn get(&self, id: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.id == id)
    }

    /// Whether the arm with this id can verify a plan.
    pub fn verifies(&self, id: &str) -> bool {
        self.get(id).is_some_and(Arm::verifies)
    }

    /// The first arm that can verify a plan (judge by default).
    pub fn verifier(&self) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.verifies())
    }

    /// The arms that cannot verify a plan; none when all can.
    pub fn without_verifiers(&self) -> Option<Self> {
        let arms: Vec<Arm> = self.arms.iter().filter(|arm| !arm.verifies()).cloned().collect();
        (!arms.is_empty()).then_some(Self { arms })
    }

    /// The arm that takes what fits nowhere else: the first without keywords (planner by default).
    pub fn catch_all(&self) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.takes_the_rest())
    }

    /// The arm meant by `name`, with the step's `action` to help where the name says nothing.
    ///
    /// `None` when nothing points to any arm and none takes the rest.
    pub fn resolve(&self, name: &str, action: &str) -> Option<(&Arm, ArmMatch)> {
        if let Some(arm) = self.get(name) {
            return Some((arm, ArmMatch::Exact));
        }
        let folded = fold(name);
        if !folded.is_empty()
            && let Some(arm) = self.by_folded_name(&folded).or_else(|| self.first_named_in(&folded))
        {
            return Some((arm, ArmMatch::Name));
        }
        self.by_keywords(&folded)
            .or_else(|| self.by_keywords(&fold(action)))
            .map(|arm| (arm, ArmMatch::Keyword))
            .or_else(|| self.catch_all().map(|arm| (arm, ArmMatch::CatchAll)))
    }

    fn by_folded_name(&self, folded: &str) -> Option<&Arm> {
        let bare = folded.strip_suffix(" arm").unwrap_or(folded);
        let is = |text: &String| {
            let text = fold(text);
            text == folded || text == bare
        };
        let arms = || self.arms.iter();
        arms()
            .find(|arm| is(&arm.id))
            .or_else(|| arms().find(|arm| arm.aliases.iter().any(is)))
            .or_else(|| arms().find(|arm| arm.capabilities.iter().any(is)))
    }

    /// Of the arms whose id or alias stands in the folded `text` (`coder or executor`) the first.
    fn first_named_in(&self, text: &str) -> Option<&Arm> {
        let place = |arm: &Arm| {
            std::iter::once(&arm.id)
                .chain(&arm.aliases)
                .filter_map(|name| find_phrase(text, &fold(name)))
                .min()
        };
        self.arms
            .iter()
            .filter_map(|arm| Some((place(arm)?, arm)))
            .min_by_key(|(at, _)| *at)
            .map(|(_, arm)| arm)
    }

    /// The arm with the most keywords in the folded `text`; among equals the one named first in it.
    fn by_keywords(&self, text: &str) -> Option<&Arm> {
        self.arms
            .iter()
            .filter_map(|arm| {
                let places: Vec<usize> =
                    arm.keywords.iter().filter_map(|keyword| find_phrase(text, &fold(keyword))).collect();
                let first = *places.iter().min()?;
                Some((arm, places.len(), first))
            })
            .max_by(|a, b| a.1.cmp(&b.1).then(b.2.cmp(&a.2)))
            .map(|(arm, ..)| arm)
    }
}

impl Arm {
    /// Whether this arm can verify a plan.
    pub fn verifies(&self) -> bool {
        self.capabilities.iter().any(|c| c == VALIDATION)
    }

    /// Whether this arm takes what fits nowhere else.
    pub fn takes_the_rest(&self) -> bool {
        self.keywords.is_empty()
    }
}

impl Default for ArmRegistry {
    /// OctoLLM's six arms.
    fn default() -> Self {
        let arm = |id: &str,
                   cost_tier: u8,
                   description: &str,
                   capabilities: &[&str],
                   keywords: &[&str],
                   aliases: &[&str]| Arm {
            id: id.to_owned(),
            description: description.to_owned(),
            capabilities: owned(capabilities),
            keywords: owned(keywords),
            cost_tier,
            aliases: owned(aliases),
        };
        Self {
            arms: vec![
                arm(
                    "planner",
                    2,
                    "decomposes tasks, plans, resolves dependencies",
                    &["planning", "task_decomposition", "dependency_resolution"],
                    &[],
                    &["planning-arm"],
                ),
                arm(
                    "retriever",
                    1,
                    "searches knowledge bases, documentation, the web",
                    &["search", "knowledge_retrieval", "documentation_search", "web_search"],
                    &["search", "find", "research", "look up", "gather"],
                    &["researcher", "search-arm"],
                ),
                arm(
                    "coder",
                    4,
                    "writes, debugs, refactors, analyses code",
                    &["code_generation", "debugging", "refactoring", "code_analysis"],
                    &["code", "function", "implement", "debug", "fix", "refactor", "script"],
                    &["developer", "programmer"],
                ),
                arm(
                    "executor",
                    3,
                    "runs shell commands, calls APIs, scrapes the web",
                    &["shell_execution", "api_calls", "web_scraping"],
                    &["run", "execute", "deploy", "install", "call", "build"],
                    &["tool-executor", "runner", "shell"],
                ),
                arm(
                    "judge",
                    2,
                    "validates output, checks facts, assures quality",
                    &[VALIDATION, "fact_checking", "quality_assurance"],
                    &["validate", "verify", "review", "check", "evaluate"],
                    &["validator", "reviewer", "verifier"],
                ),
                arm(
                    "guardian",
                    1,
                    "detects PII, checks safety, enforces policy",
                    &["pii_detection", "safety_check", "policy_enforcement"],
                    &["pii", "privacy", "secret", "safety", "compliance", "redact"],
                    &["safety-guardian", "safety"],
                ),
            ],
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
