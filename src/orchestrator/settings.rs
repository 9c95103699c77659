//! The orchestrator's settings, from the environment.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use ::config::Map;

use crate::client::ClientOptions;
use crate::config::table::DefaultValue::{Computed, NotSet, Value};
use crate::config::table::Kind::{List, Number, Secret, SecretUrl, Text, Url, Whole, Word};
use crate::config::table::{self, LOG_FORMATS, LOG_LEVEL, Setting, setting};
use crate::config::{LogFormat, LogLevel, SettingsError, SettingsReader, mask_url, process_variables};
use crate::http_client::has_no_credentials_or_query;

use super::store::Database;

/// Prefix of every environment variable of the orchestrator.
pub const PREFIX: &str = "ORCHESTRATOR_";

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where tasks and plans are kept.
    pub database: Database,
    /// The planner arm's URL.
    pub planner_arm_url: String,
    /// Timeout, retries, circuit breaker and token for calling it.
    pub planner_arm: ClientOptions,
    /// Tasks planned at once, 1 to 1,000.
    pub max_concurrent_tasks: u32,
    /// Origins of web pages that may submit and cancel tasks.
    pub allowed_origins: Vec<String>,
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// How long plans being made may take to finish after a signal to stop, 0 to 3,600 s.
    pub shutdown_grace: Duration,
    /// Least severe log level.
    pub log_level: LogLevel,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// A sentence for each variable with our prefix that is not a setting, perhaps misspelled.
    pub unknown_variables: Vec<String>,
}

/// Every setting, in the order of the documentation.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("DATABASE_URL", SecretUrl, Value("sqlite://orchestrator.db"),
        "Where tasks and plans are stored: an SQLite file (sqlite://FILE) or a PostgreSQL database (postgresql://USER:PASSWORD@HOST:PORT/DATABASE)."),
    setting("PLANNER_ARM_URL", Url, Value("http://planner-arm:8001"),
        "The address of the planner arm."),
    setting("PLANNER_ARM_TIMEOUT", Number(1.0, 60.0), Value("10"),
        "Time limit for one call to the planner arm, in seconds."),
    setting("PLANNER_ARM_MAX_RETRIES", Whole(1, 10), Value("3"),
        "Maximum number of retries of a failed call."),
    setting("PLANNER_ARM_CIRCUIT_BREAKER_THRESHOLD", Whole(1, 20), Value("5"),
        "Failed calls in a row that open the circuit breaker."),
    setting("PLANNER_ARM_CIRCUIT_BREAKER_RESET_TIMEOUT", Number(1.0, 600.0), Value("60"),
        "Longest time in seconds until an open circuit breaker lets a probe through. It is 5 seconds at first, and each failed probe doubles it."),
    setting("PLANNER_ARM_TOKEN", Secret("token"), NotSet,
        "One of the planner arm's PLANNER_AUTH_TOKENS, if it has any."),
    setting("MAX_CONCURRENT_TASKS", Whole(1, 1_000), Value("32"),
        "Maximum number of tasks planned at once."),
    setting("ALLOWED_ORIGINS", List, NotSet,
        "Origins whose pages may submit and cancel tasks, in addition to the orchestrator's own page at an address or localhost."),
    setting("HOST", Text, Value("0.0.0.0"),
        "The address to listen on."),
    setting("PORT", Whole(0, 65_535), Value("8000"),
        "The port to listen on; 0 lets the system choose."),
    setting("SHUTDOWN_GRACE_SECONDS", Number(0.0, 3_600.0), Value("15"),
        "Seconds that tasks being planned may take to finish after SIGTERM; the others are released."),
    LOG_LEVEL,
    setting("LOG_FORMAT", Word(LOG_FORMATS), Computed("pretty in a terminal, else json"),
        "The format of log lines: pretty is for people."),
];

impl Settings {
    /// The names of all variables.
    pub fn variables() -> impl Iterator<Item = String> {
        SETTINGS.iter().map(|setting| setting.variable(PREFIX))
    }

    /// The settings of this process.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_process() -> Result<Self, SettingsError> {
        Self::load(&process_variables())
    }

    /// The settings in `variables`, an environment. An empty variable counts as not set.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(variables: &HashMap<String, String>) -> Result<Self, SettingsError> {
        let ours = |(name, value): (&String, &String)| {
            Some((name.strip_prefix(PREFIX)?.to_lowercase(), ::config::Value::from(value.as_str())))
        };
        let values: Map<String, ::config::Value> = variables.iter().filter_map(ours).collect();
        let unknown = |name: &String| {
            let variable = format!("{PREFIX}{}", name.to_uppercase());
            let is_known = SETTINGS.iter().any(|setting| setting.is_named(name));
            (!is_known).then(|| table::unknown(&variable, name, SETTINGS, |known| known.variable(PREFIX)))
        };
        let mut unknown_variables: Vec<String> = values.keys().filter_map(unknown).collect();
        unknown_variables.sort();
        let mut reader = SettingsReader::new(PREFIX, SETTINGS, values);
        let log_format = if std::io::stdout().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
        let settings = Self {
            database: database(&mut reader),
            planner_arm_url: planner_arm_url(&mut reader),
            planner_arm: ClientOptions {
                timeout: reader.seconds("planner_arm_timeout"),
                max_retries: reader.whole("planner_arm_max_retries"),
                breaker_threshold: reader.whole("planner_arm_circuit_breaker_threshold"),
                breaker_reset: reader.seconds("planner_arm_circuit_breaker_reset_timeout"),
                token: reader.secret("planner_arm_token"),
            },
            max_concurrent_tasks: reader.whole("max_concurrent_tasks"),
            allowed_origins: reader.origins("allowed_origins"),
            host: reader.text("host"),
            port: reader.whole("port"),
            shutdown_grace: reader.seconds("shutdown_grace_seconds"),
            log_level: reader.log_level(),
            log_format: reader.log_format(log_format),
            unknown_variables,
        };
        let (_, faults) = reader.finish();
        if faults.is_empty() { Ok(settings) } else { Err(SettingsError(faults)) }
    }
}

/// The default when it is invalid.
fn database(reader: &mut SettingsReader) -> Database {
    let url = reader.given_or_default("database_url");
    url.parse().unwrap_or_else(|()| {
        // Without an @ the end of a password cannot be determined.
        let shown = match url.split_once("://") {
            Some((scheme, rest)) if !rest.contains('@') => format!("{scheme}://…"),
            _ => mask_url(&url),
        };
        let rule = "must be sqlite://FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE";
        reader.fault("database_url", &format!("is \"{shown}\""), rule);
        reader.default("database_url").parse().expect("a database")
    })
}

fn planner_arm_url(reader: &mut SettingsReader) -> String {
    let rule =
        "must be an http or https URL without user, password and query, such as http://planner-arm:8001";
    let Some(url) = reader.url("planner_arm_url", &["http", "https"], rule) else {
        return reader.default("planner_arm_url").to_owned();
    };
    if !has_no_credentials_or_query(&url) {
        reader.fault("planner_arm_url", &format!("is \"{}\"", mask_url(url.as_str())), rule);
    }
    url.as_str().trim_end_matches('/').to_owned()
}
