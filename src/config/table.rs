//! Every setting: its name, what it may be, its default, and what it does.
//!
//! Reading, checks, `planner-arm config`, the manual page and `--help` follow from this table; `.env.example` and
//! docs/configuration.md are tested against it. A new setting is one entry here, and the line in `load.rs` that reads it.

use crate::text::nearest;

use super::OPENAI_BASE_URL;

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Its name in upper case: the variable adds a prefix, the file uses lower case.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: DefaultValue,
    /// What it does, as one sentence.
    pub about: &'static str,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that must not be blank, where a blank one is a fault and not an absence.
    Name,
    /// A whole number within a range.
    Whole(u64, u64),
    /// A number within a range.
    Number(f64, f64),
    /// Yes or no.
    Flag,
    /// One of several words.
    Word(&'static [&'static str]),
    /// A comma-separated list, or an array in the file.
    List,
    /// A URL.
    Url,
    /// A URL that may hold a password.
    SecretUrl,
    /// A text of visible ASCII characters that is never shown; the noun for it, such as `key`.
    Secret(&'static str),
    /// A comma-separated list of such texts.
    Secrets,
    /// A list of tables, which only the file can hold.
    FileOnly,
}

/// What holds when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// This text, read as if it had been set.
    Value(&'static str),
    /// What depends on something else, in words.
    Computed(&'static str),
    /// Nothing.
    NotSet,
}

use DefaultValue::{Computed, NotSet, Value};
use Kind::{FileOnly, Flag, List, Name, Number, Secret, SecretUrl, Secrets, Text, Url, Whole, Word};

/// The settings of `planner-arm`, in the order of the documentation.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("ENGINE", Word(&["auto", "openai", "embedded"]), Value("auto"),
        "What makes the plans: openai (any OpenAI-compatible LLM server) or embedded (the embedded planner, from playbooks). auto means the LLM if a key or a base URL is set, if a model was found on this machine, or outside development; otherwise it means the embedded planner."),
    setting("OPENAI_API_KEY", Secret("key"), NotSet,
        "The key for the LLM server; OPENAI_API_KEY is read if this one is not set."),
    setting("LLM_BASE_URL", Url, Value(OPENAI_BASE_URL),
        "The base URL of the LLM server; it may have any path, and a query, which is kept on every call."),
    setting("LLM_HEADERS", Text, NotSet,
        "Additional headers for every call to the LLM server, as `Name: value` pairs, one per line or separated by `;`; the values are secrets, and api-key replaces Authorization."),
    setting("LLM_CA_FILE", Text, NotSet,
        "A PEM file of certificate authorities to trust for the LLM server, in addition to those of the system."),
    setting("LLM_MODEL", Name, Value("gpt-3.5-turbo"),
        "The model that is asked first."),
    setting("DETECT_LOCAL_LLM", Flag, Computed("true in development, else false"),
        "Whether to look for a model on this machine (Ollama, llama.cpp, LM Studio), and use it, if engine is auto and neither a key nor a base URL is set."),
    setting("LLM_FALLBACK_MODELS", List, NotSet,
        "Models that are asked if the first one fails, in this order."),
    setting("LLM_MAX_ATTEMPTS", Whole(1, 10), Value("3"),
        "For each request and model: how many calls may fail, and how many answers the model may be asked for."),
    setting("LLM_BREAKER_THRESHOLD", Whole(1, 100), Value("5"),
        "Failed requests in a row that open the circuit breaker of a model."),
    setting("LLM_BREAKER_RESET_SECONDS", Number(1.0, 600.0), Value("30"),
        "Seconds until an open circuit breaker lets one request through as a probe."),
    setting("LLM_BUDGET_USD_PER_DAY", Number(0.0001, 1_000_000.0), NotSet,
        "What LLM calls may cost in any 24 hours, in US dollars; beyond it the fallback engine answers, or callers get 503."),
    setting("PLANNING_TEMPERATURE", Number(0.0, 2.0), Value("0.3"),
        "The sampling temperature of the LLM; lower values give more uniform plans."),
    setting("MAX_TOKENS", Whole(1, 128_000), Value("2000"),
        "Maximum number of tokens in one answer."),
    setting("MIN_PLAN_STEPS", Whole(1, 50), Value("3"),
        "Minimum number of steps in a plan."),
    setting("MAX_PLAN_STEPS", Whole(1, 50), Value("7"),
        "Maximum number of steps in a plan."),
    setting("REQUIRE_VERIFICATION_STEP", Flag, Value("true"),
        "Whether the last step of a plan must verify the result."),
    setting("CRITICS", Word(&["off", "warn", "enforce"]), Value("enforce"),
        "What happens to doubts about a valid plan: off does not look for any, warn reports them as warnings, enforce asks the LLM about them once. Budgets and policies always hold."),
    setting("TIMEOUT_SECONDS", Number(0.1, 600.0), Value("10"),
        "Seconds for a whole request, retries and waits included."),
    setting("FALLBACK_ENGINE", Word(&["none", "embedded"]), Value("none"),
        "What answers if every model has failed: none returns the error, embedded makes the plan with the embedded planner (playbooks)."),
    setting("HOST", Text, Value("0.0.0.0"),
        "The address to listen on."),
    setting("PORT", Whole(0, 65_535), Value("8001"),
        "The port to listen on; 0 lets the system choose."),
    setting("ENVIRONMENT", Word(&["development", "staging", "production"]), Value("development"),
        "Where the service runs; outside development a key is required and logs are JSON."),
    setting("SERVICE_NAME", Text, Value("planner-arm"),
        "The name of the service in logs and traces."),
    LOG_LEVEL,
    setting("LOG_FORMAT", Word(LOG_FORMATS), Computed("pretty in development, else json"),
        "The format of log lines: pretty is for people."),
    setting("CORS_ALLOWED_ORIGINS", List, NotSet,
        "Origins whose pages may call the API from a browser."),
    setting("AUTH_TOKENS", Secrets, NotSet,
        "Bearer tokens, any of which gives access; if there are none, anyone who can reach the service has access."),
    setting("RATE_LIMIT_PER_MINUTE", Whole(0, 1_000_000), Value("0"),
        "Plans per minute for each caller (its token, else its address); 0 means no limit."),
    setting("MAX_CONCURRENT_PLANS", Whole(1, 1_000_000), Value("1024"),
        "Maximum number of plans in flight; further requests get 503 at once."),
    setting("MAX_PROMPT_ARMS", Whole(1, 1_000), Value("100"),
        "If there are more arms than this, the prompt and the schema contain only those that fit the goal best."),
    setting("CACHE_TTL_SECONDS", Number(0.0, 31_536_000.0), Value("3600"),
        "Seconds for which a plan may be reused; 0 turns the cache off."),
    setting("CACHE_MAX_ENTRIES", Whole(0, 10_000_000), Value("10000"),
        "Maximum number of plans in memory; a long plan counts once for each 8 KiB; 0 turns the cache off."),
    setting("REDIS_URL", SecretUrl, NotSet,
        "A Redis for the cache, the rate limits and the LLM spend of all replicas."),
    setting("READY_REQUIRES_LLM", Flag, Value("false"),
        "Whether /ready fails while the LLM is unavailable."),
    setting("SHUTDOWN_DELAY_SECONDS", Number(0.0, 3_600.0), Value("0"),
        "Seconds for which plans are still accepted after SIGTERM while /ready fails, for load balancers to notice."),
    setting("SHUTDOWN_GRACE_SECONDS", Number(0.0, 3_600.0), Value("15"),
        "Seconds that plans in flight may take to finish once the shutdown delay is over."),
    setting("WORKER_THREADS", Whole(1, 256), Computed("the number of processor cores"),
        "Threads that serve requests."),
    setting("ARMS", FileOnly, Computed("planner, retriever, coder, executor, judge, guardian"),
        "The arms that steps can be assigned to."),
    setting("ARM_SOURCES", FileOnly, NotSet,
        "Where more arms are read from while the service runs: MCP servers, OpenAPI documents, /capabilities of other arms."),
    setting("ARM_REFRESH_SECONDS", Number(1.0, 86_400.0), Value("60"),
        "Seconds between two reads of an arm source."),
    setting("ARM_STALE_SECONDS", Number(1.0, 86_400.0), Value("300"),
        "Seconds for which the arms of an unavailable source are still offered."),
    setting("PLAYBOOKS", FileOnly, Computed("the built-in ones"),
        "Your own playbooks, in addition to the built-in ones; one with the name of a built-in one replaces it."),
    setting("PLAYBOOKS_DIR", Text, NotSet,
        "A directory with your own playbooks, one in each .toml, .yaml or .yml file."),
    setting("PRICES", FileOnly, Computed("OpenAI's list prices"),
        "Prices of models; they add to the built-in prices or replace them."),
    setting("POLICIES", FileOnly, NotSet,
        "Rules that every plan must keep, as CEL expressions."),
];

/// Logging, least severe level; also of the orchestrator.
#[rustfmt::skip]
pub(crate) const LOG_LEVEL: Setting = setting(
    "LOG_LEVEL", Word(&["error", "warn", "info", "debug", "trace"]), Value("info"),
    "The least severe log level that is written; trace also logs goals.",
);
/// The values of `log_format`.
pub(crate) const LOG_FORMATS: &[&str] = &["pretty", "json"];

/// One entry of a table of settings.
pub(crate) const fn setting(
    name: &'static str,
    kind: Kind,
    default: DefaultValue,
    about: &'static str,
) -> Setting {
    Setting { name, kind, default, about }
}

/// What each of `settings` does, for `--help`.
pub(crate) fn help(settings: &[Setting], prefix: &str) -> String {
    let lines = settings.iter().map(|setting| {
        let name = if setting.is_file_only() {
            format!("{} (in the settings file only)", setting.key())
        } else {
            setting.variable(prefix)
        };
        format!("  {name}\n          {}\n", setting.description())
    });
    format!("Settings:\n{}", lines.collect::<String>())
}

impl Setting {
    /// The environment variable with `prefix`.
    pub fn variable(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.name)
    }

    /// Whether this is the setting of that name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Its name in the settings file.
    pub fn key(&self) -> String {
        self.name.to_lowercase()
    }

    /// Whether only the settings file can hold it.
    pub fn is_file_only(&self) -> bool {
        self.kind == FileOnly
    }

    /// Whether its value is never shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Secret(_) | Secrets | SecretUrl)
    }

    /// What it does, what it may be and its default, for manual page and help.
    pub fn description(&self) -> String {
        let allowed = match self.kind {
            Whole(..) | Number(..) => format!(" {}.", uppercase_first(&self.kind.allowed())),
            Word(words) => format!(" One of {}.", words.join(", ")),
            Flag => " true or false.".into(),
            List | Secrets => " A comma-separated list.".into(),
            Url | SecretUrl => " A URL.".into(),
            Text | Name | Secret(_) | FileOnly => String::new(),
        };
        let default = match self.default {
            Value(text) => format!(" Default: {text}."),
            Computed(words) => format!(" Default: {words}."),
            NotSet => " Not set by default.".into(),
        };
        format!("{}{allowed}{default}", self.about)
    }
}

impl Kind {
    /// What is allowed, as in "must be …".
    pub(super) fn allowed(self) -> String {
        match self {
            Whole(low, high) => format!("a whole number from {low} to {high}"),
            Number(low, high) => format!("a number from {low} to {high}"),
            Word(words) => format!("one of {}", words.join(", ")),
            Flag => "one of true, false, 1, 0, yes, no".into(),
            Text | Name | Secret(_) => "a text".into(),
            List | Secrets => "a comma-separated list or an array of strings".into(),
            Url | SecretUrl => "a URL".into(),
            FileOnly => "a list of tables".into(),
        }
    }
}

fn uppercase_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The sentence about `name`, written `given`, which is not in `table`: `unknown setting GIVEN (did you mean OTHER?)`.
pub(crate) fn unknown(
    given: &str,
    name: &str,
    table: &[Setting],
    written: impl Fn(&Setting) -> String,
) -> String {
    let name = name.to_uppercase();
    let nearest = nearest(&name, table.iter().map(|setting| setting.name));
    match table.iter().find(|setting| Some(setting.name) == nearest) {
        Some(known) => format!("unknown setting {given} (did you mean {}?)", written(known)),
        None => format!("unknown setting {given}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_none_that_is_far() {
        for (name, nearest) in [
            ("MODEL", Some("LLM_MODEL")),
            ("LLM_MODLE", Some("LLM_MODEL")),
            ("PRT", Some("PORT")),
            ("API_KEY", Some("OPENAI_API_KEY")),
            ("BASE_URL", Some("LLM_BASE_URL")),
            ("TIMEOUT", Some("TIMEOUT_SECONDS")),
            ("MAX_STEPS", Some("MAX_PLAN_STEPS")),
            ("log_leve", Some("LOG_LEVEL")),
            ("SWEETNESS", None),
            ("X", None),
        ] {
            let sentence = unknown(name, name, SETTINGS, |setting| setting.name.to_owned());
            let suggested = sentence.split_once("did you mean ").map(|(_, rest)| rest.trim_end_matches("?)"));
            assert_eq!(suggested, nearest, "{sentence}");
        }
    }
}
