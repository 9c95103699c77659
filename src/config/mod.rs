//! Settings: a file, then the environment, then checks that report everything that is wrong at once.

mod arm_sources;
pub(crate) mod file;
mod llm;
mod load;
mod local;
mod playbooks;
mod reader;
mod show;
pub mod table;
mod traces;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use secrecy::SecretString;
use tracing::warn;

use crate::domain::arms::ArmRegistry;
use crate::domain::playbooks::Library;
use crate::domain::prices::PriceList;
use crate::domain::{CriticsMode, EngineKind, PlanRules};
use crate::policies::Policies;

pub use crate::http_client::CertificateFile;
pub use local::{LocalLlm, LocalModel};

pub use crate::telemetry::settings::{LogFormat, LogLevel, Sampler, TraceSettings};
pub use arm_sources::{ArmSource, ArmSourceKind};
pub(crate) use load::{CONFIG_FILE, unknown_variables};

#[cfg(feature = "orchestrator")]
pub(crate) use reader::SettingsReader;
#[cfg(feature = "orchestrator")]
pub(crate) use show::mask_url;

/// Prefix of every environment variable of the planner arm.
pub const PREFIX: &str = "PLANNER_";

/// OpenAI's own API.
pub const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// Exit code for invalid settings (`EX_CONFIG` of sysexits.h).
pub const EXIT_CODE: u8 = 78;

/// What answers if every model has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackEngine {
    /// Nothing: the caller gets the error.
    None,
    /// The embedded planner.
    Embedded,
}

/// Where the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On a developer's machine: readable logs, no key needed.
    Development,
    /// Like production, without its users.
    Staging,
    /// For its users.
    Production,
}

/// All settings, checked. The variable of each is [`PREFIX`] and its name in upper case.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What answers requests, `auto` already decided.
    pub engine: EngineKind,
    /// Whether the engine was named, and not `auto`.
    pub is_engine_chosen: bool,
    /// Whether a model on this machine is looked for.
    pub local_llm: LocalLlm,
    /// Key of the LLM server.
    pub openai_api_key: Option<SecretString>,
    /// Base URL of the LLM server, without a slash at the end of its path; it may have a query.
    pub llm_base_url: String,
    /// Further headers of every call to the LLM server; their values are secrets.
    pub llm_headers: HeaderMap,
    /// Certificate authorities to trust for the LLM server, in addition to those of the system.
    pub llm_ca_file: Option<CertificateFile>,
    /// The model that is asked first.
    pub llm_model: String,
    /// Models that are asked next, in order.
    pub llm_fallback_models: Vec<String>,
    /// Calls of one model for one request that may fail, and answers that it may be asked for, 1 to 10.
    pub llm_max_attempts: u32,
    /// Failed requests in a row that open a model's breaker, 1 to 100.
    pub llm_breaker_threshold: u32,
    /// How long a breaker stays open before it lets a probe through, 1 to 600 s.
    pub llm_breaker_reset: Duration,
    /// What LLM calls may cost in 24 hours, in US dollars; `None`: no limit.
    pub llm_budget_usd_per_day: Option<f64>,
    /// Sampling temperature, 0.0 to 2.0.
    pub planning_temperature: f64,
    /// Maximum number of tokens of one answer, 1 to 128,000.
    pub max_tokens: u32,
    /// Limits of plans.
    pub rules: PlanRules,
    /// What becomes of doubts about a valid plan.
    pub critics: CriticsMode,
    /// The whole time for one request, 0.1 to 600 s.
    pub timeout: Duration,
    /// Whether it was set.
    pub is_timeout_set: bool,
    /// What answers if every model has failed.
    pub fallback_engine: FallbackEngine,
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Where the service runs.
    pub environment: Environment,
    /// Name of the service in its logs.
    pub service_name: String,
    /// Least severe log level.
    pub log_level: LogLevel,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Origins whose pages may call the API.
    pub cors_allowed_origins: Vec<String>,
    /// Bearer tokens for `/plan`; if empty, no token is required.
    pub auth_tokens: Vec<SecretString>,
    /// Plans a minute for one caller; 0: no limit.
    pub rate_limit_per_minute: u32,
    /// Plans in flight beyond which more are shed.
    pub max_concurrent_plans: u32,
    /// How long plans are still accepted after a signal to stop, until load balancers have noticed.
    pub shutdown_delay: Duration,
    /// How long plans in flight may take to finish after that.
    pub shutdown_grace: Duration,
    /// Whether an LLM outage takes the replica out of rotation.
    pub ready_requires_llm: bool,
    /// How long an answer may be reused; zero: never.
    pub cache_ttl: Duration,
    /// Answers kept at most; 0: none.
    pub cache_max_entries: u64,
    /// What replicas share their cache, rate limits and spend through.
    pub redis_url: Option<SecretString>,
    /// The arms.
    pub arms: ArmRegistry,
    /// Where further arms are read from.
    pub arm_sources: Vec<ArmSource>,
    /// How often they are read, 1 to 86,400 s.
    pub arm_refresh: Duration,
    /// How long the arms of an unavailable source are still offered, 1 to 86,400 s.
    pub arm_stale: Duration,
    /// With more arms than these, the prompt carries those that fit the goal best.
    pub max_prompt_arms: usize,
    /// The playbooks: those of the settings and the built-in ones.
    pub playbooks: Arc<Library>,
    /// What models cost.
    pub prices: PriceList,
    /// Rules that every plan must keep.
    pub policies: Arc<Policies>,
    /// Threads that serve requests, 1 to 256.
    pub worker_threads: usize,
    /// Where traces go; `None`: nowhere.
    pub traces: Option<TraceSettings>,
    /// A sentence for each variable with our prefix that is not a setting, perhaps misspelled.
    pub unknown_variables: Vec<String>,
    /// Every setting in force as it is shown.
    shown: Vec<(&'static str, String)>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {}:{}", .0.len(), if .0.len() == 1 { "setting is invalid" } else { "settings are invalid" }, lines(.0))]
pub struct SettingsError(pub Vec<String>);

fn lines(faults: &[String]) -> String {
    faults.iter().map(|fault| format!("\n  - {fault}")).collect()
}

impl Settings {
    /// The settings in `variables`, an environment, and in the file that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(variables: &HashMap<String, String>) -> Result<Self, SettingsError> {
        load::load(variables)
    }

    /// Every setting in force as name and value, in the order of the documentation. Secrets are masked.
    pub fn shown(&self) -> &[(&'static str, String)] {
        &self.shown
    }

    /// The variables of OpenTelemetry in force, in the same form; none if traces are off.
    pub fn shown_of_traces(&self) -> Vec<(&'static str, String)> {
        self.traces.as_ref().map(traces::shown).unwrap_or_default()
    }

    /// The service's health check, for a process on the same machine.
    pub fn health_url(&self) -> String {
        health_url(&self.host, self.port)
    }
}

/// Every environment variable of this process.
pub(crate) fn process_variables() -> HashMap<String, String> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

/// Logs a warning about each variable that looks like a setting but is not one.
pub(crate) fn warn_about_unknown(variables: &[String]) {
    for variable in variables {
        warn!("{variable}");
    }
}

/// The health check of a service that listens there, for a process on the same machine.
pub(crate) fn health_url(host: &str, port: u16) -> String {
    match host {
        "0.0.0.0" | "" => format!("http://127.0.0.1:{port}/health"),
        "::" => format!("http://[::1]:{port}/health"),
        host if host.contains(':') => format!("http://[{host}]:{port}/health"),
        host => format!("http://{host}:{port}/health"),
    }
}
