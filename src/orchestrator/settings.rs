//! The orchestrator's settings, from the environment.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use ::config::{Map, Value};

use crate::client::ClientOptions;
use crate::config::{LogFormat, LogLevel, Reader, SettingsError, mask_url, process_variables};
use crate::http_client::is_bare;

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
    /// How patient we are with it: 1 to 60 s a call, 1 to 10 retries, a breaker that opens after 1 to 20
    /// failures for 1 to 600 s; and the token that opens it.
    pub planner_arm: ClientOptions,
    /// Tasks planned at once, 1 to 1,000.
    pub max_concurrent_tasks: u32,
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
    /// Variables with our prefix that mean nothing, perhaps misspelled.
    pub unknown_variables: Vec<String>,
}

/// An SQLite file where the process runs.
const DEFAULT_DATABASE: &str = "sqlite://orchestrator.db";

/// Every setting's name in lower case and without the prefix.
const NAMES: &[&str] = &[
    "database_url",
    "planner_arm_url",
    "planner_arm_timeout",
    "planner_arm_max_retries",
    "planner_arm_circuit_breaker_threshold",
    "planner_arm_circuit_breaker_reset_timeout",
    "planner_arm_token",
    "max_concurrent_tasks",
    "host",
    "port",
    "shutdown_grace_seconds",
    "log_level",
    "log_format",
];

impl Settings {
    /// The names of all variables.
    pub fn variables() -> impl Iterator<Item = String> {
        NAMES.iter().map(|name| format!("{PREFIX}{}", name.to_uppercase()))
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
            Some((name.strip_prefix(PREFIX)?.to_lowercase(), Value::from(value.as_str())))
        };
        let values: Map<String, Value> = variables.iter().filter_map(ours).collect();
        let mut unknown: Vec<String> = values
            .keys()
            .filter(|name| !NAMES.contains(&name.as_str()))
            .map(|name| format!("{PREFIX}{}", name.to_uppercase()))
            .collect();
        unknown.sort();
        let mut reader = Reader { prefix: PREFIX, values, faults: Vec::new() };
        let reader = &mut reader;
        let settings = Self {
            database: database(reader),
            planner_arm_url: planner_arm_url(reader),
            planner_arm: ClientOptions {
                timeout: reader.seconds("planner_arm_timeout", 10.0, 1.0, 60.0),
                max_retries: reader.number("planner_arm_max_retries", 3, 1..=10),
                breaker_threshold: reader.number("planner_arm_circuit_breaker_threshold", 5, 1..=20),
                breaker_reset: reader.seconds("planner_arm_circuit_breaker_reset_timeout", 60.0, 1.0, 600.0),
                token: reader.visible_ascii("planner_arm_token", "token"),
            },
            max_concurrent_tasks: reader.number("max_concurrent_tasks", 32, 1..=1_000),
            host: reader.text("host").unwrap_or_else(|| "0.0.0.0".into()),
            port: reader.number("port", 8000, 0..=65_535),
            shutdown_grace: reader.seconds("shutdown_grace_seconds", 15.0, 0.0, 3_600.0),
            log_level: reader.log_level(),
            log_format: reader.log_format(if std::io::stdout().is_terminal() {
                LogFormat::Pretty
            } else {
                LogFormat::Json
            }),
            unknown_variables: unknown,
        };
        let faults = std::mem::take(&mut reader.faults);
        if faults.is_empty() { Ok(settings) } else { Err(SettingsError(faults)) }
    }
}

fn database(reader: &mut Reader) -> Database {
    let default = || DEFAULT_DATABASE.parse().expect("a database");
    let Some(url) = reader.text("database_url") else { return default() };
    url.parse().unwrap_or_else(|()| {
        // Without an @ it cannot be told where a password ends.
        let shown = match url.split_once("://") {
            Some((scheme, rest)) if !rest.contains('@') => format!("{scheme}://…"),
            _ => mask_url(&url),
        };
        let rule = "must be sqlite://FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE";
        reader.fault("database_url", &format!("is \"{shown}\""), rule);
        default()
    })
}

fn planner_arm_url(reader: &mut Reader) -> String {
    let default = "http://planner-arm:8001";
    let rule =
        "must be an http or https URL without user, password and query, such as http://planner-arm:8001";
    let Some(url) = reader.url("planner_arm_url", &["http", "https"], rule) else { return default.into() };
    if !is_bare(&url) {
        reader.fault("planner_arm_url", &format!("is \"{}\"", mask_url(url.as_str())), rule);
    }
    url.as_str().trim_end_matches('/').to_owned()
}
