//! OctoLLM's own arms.

use super::{Arm, ArmRegistry, VALIDATION};

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
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        Self::of(vec![
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
        ])
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
