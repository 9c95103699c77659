//! From an environment and a file to checked [`Settings`].

use std::collections::HashMap;
use std::path::Path;

use ::config::{Config, ConfigError, File, FileFormat};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use crate::domain::EngineKind;
use crate::domain::PlanRules;
use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::prices::{Price, PriceList};

use super::reader::Reader;
use super::show::mask_url;
use super::{
    Environment, FallbackEngine, LogFormat, OPENAI_BASE_URL, PREFIX, Settings, SettingsError, llm, traces,
};

/// Every setting's name as in the file.
pub(super) const NAMES: &[&str] = &[
    "engine",
    "openai_api_key",
    "llm_base_url",
    "llm_headers",
    "llm_ca_file",
    "llm_model",
    "llm_fallback_models",
    "llm_max_attempts",
    "llm_breaker_threshold",
    "llm_breaker_reset_seconds",
    "planning_temperature",
    "max_tokens",
    "min_plan_steps",
    "max_plan_steps",
    "require_verification_step",
    "timeout_seconds",
    "fallback_engine",
    "host",
    "port",
    "environment",
    "service_name",
    "log_level",
    "log_format",
    "cors_allowed_origins",
    "auth_tokens",
    "rate_limit_per_minute",
    "max_concurrent_plans",
    "cache_ttl_seconds",
    "cache_max_entries",
    "redis_url",
    "ready_requires_llm",
    "shutdown_delay_seconds",
    "shutdown_grace_seconds",
    "worker_threads",
];

/// The settings that only a file can hold.
const ARMS: &str = "arms";
const PRICES: &str = "prices";
/// The variable that names the file.
const CONFIG_FILE: &str = "PLANNER_CONFIG_FILE";

pub(super) fn load(variables: &HashMap<String, String>) -> Result<Settings, SettingsError> {
    let mut faults = Vec::new();
    let layers = layers(variables, &mut faults);
    let values = layers.cache.into_table().unwrap_or_default();
    let mut reader = Reader { prefix: PREFIX, values, faults };
    let settings = read(&mut reader, variables);
    match settings {
        Some(settings) if reader.faults.is_empty() => Ok(settings),
        _ => Err(SettingsError(reader.faults)),
    }
}

/// The file below, the environment above. What cannot be read is a fault and left out.
fn layers(variables: &HashMap<String, String>, faults: &mut Vec<String>) -> Config {
    let mut ours: HashMap<String, String> = variables
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // Empty is absent, as compose files write it, but for the model, which must not be blank.
    ours.retain(|name, value| !value.trim().is_empty() || name == "PLANNER_LLM_MODEL");
    if let Some(key) = variables.get("OPENAI_API_KEY").filter(|key| !key.trim().is_empty()) {
        ours.entry(format!("{PREFIX}OPENAI_API_KEY")).or_insert_with(|| key.clone());
    }
    // Only a file can hold these: a variable of that name would hide them.
    for name in ["PLANNER_ARMS", "PLANNER_PRICES"] {
        ours.remove(name);
    }
    let file = ours.get(CONFIG_FILE).and_then(|path| read_file(path, faults));
    let environment = ::config::Environment::with_prefix(PREFIX.trim_end_matches('_')).source(Some(ours));
    let layers = Config::builder().add_source(file.unwrap_or_default()).add_source(environment);
    layers.build().unwrap_or_else(|error| {
        faults.push(format!("the settings cannot be read: {error}"));
        Config::default()
    })
}

/// The settings in the file, misspelled ones included, which are a fault as well.
fn read_file(path: &str, faults: &mut Vec<String>) -> Option<Config> {
    let mut refuse = |why: &str| faults.push(format!("{CONFIG_FILE} is \"{path}\"{why}"));
    let format = match Path::new(path).extension().and_then(|ending| ending.to_str()) {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        _ => {
            refuse("; it must end in .toml, .yaml or .yml");
            return None;
        }
    };
    let config = match Config::builder().add_source(File::new(path, format)).build() {
        Ok(config) => config,
        Err(error) => {
            // The parsers quote the bad line, which may hold a secret.
            refuse(match error {
                ConfigError::FileParse { .. } => {
                    ", which has a syntax error; check it with a TOML or YAML linter"
                }
                _ => ", which cannot be read; check the path and its permissions",
            });
            return None;
        }
    };
    let table = config.cache.clone().into_table().unwrap_or_default();
    let mut unknown: Vec<String> = table
        .keys()
        .filter(|key| ![ARMS, PRICES].contains(&key.as_str()) && !NAMES.contains(&key.as_str()))
        .map(|key| format!("`{key}`"))
        .collect();
    if !unknown.is_empty() {
        unknown.sort();
        refuse(&format!(
            ", in which these are no settings: {}; check the spelling, in lower case",
            unknown.join(", ")
        ));
    }
    Some(config)
}

fn read(reader: &mut Reader, variables: &HashMap<String, String>) -> Option<Settings> {
    let environment = reader.choice(
        "environment",
        Environment::Development,
        &[
            ("development", Environment::Development),
            ("staging", Environment::Staging),
            ("production", Environment::Production),
        ],
    );
    let log_format = match environment {
        Environment::Development => LogFormat::Pretty,
        _ => LogFormat::Json,
    };
    let rules = rules(reader);
    let arms = arms(reader, rules.require_verification);
    let prices = prices(reader);
    let openai_api_key = reader.visible_ascii("openai_api_key", "key");
    let base_url = llm::base_url(reader);
    let engine = engine(reader, environment, base_url.as_deref());
    let service_name = reader.text("service_name").unwrap_or_else(|| "planner-arm".into());
    let traces = traces::read(variables, &service_name, environment, &mut reader.faults);
    Some(Settings {
        engine,
        openai_api_key,
        llm_base_url: base_url.unwrap_or_else(|| OPENAI_BASE_URL.to_owned()),
        llm_headers: llm::headers(reader),
        llm_ca_file: llm::ca_file(reader),
        llm_model: reader.not_blank("llm_model", "gpt-3.5-turbo"),
        llm_fallback_models: reader.list("llm_fallback_models"),
        llm_max_attempts: reader.number("llm_max_attempts", 3, 1..=10),
        llm_breaker_threshold: reader.number("llm_breaker_threshold", 5, 1..=100),
        llm_breaker_reset: reader.seconds("llm_breaker_reset_seconds", 30.0, 1.0, 600.0),
        planning_temperature: reader.number("planning_temperature", 0.3, 0.0..=2.0),
        max_tokens: reader.number("max_tokens", 2_000, 1..=128_000),
        rules,
        timeout: reader.seconds("timeout_seconds", 10.0, 0.1, 600.0),
        fallback_engine: reader.choice(
            "fallback_engine",
            FallbackEngine::None,
            &[("none", FallbackEngine::None), ("embedded", FallbackEngine::Embedded)],
        ),
        host: reader.text("host").unwrap_or_else(|| "0.0.0.0".into()),
        port: reader.number("port", 8001, 0..=65_535),
        environment,
        service_name,
        log_level: reader.log_level(),
        log_format: reader.log_format(log_format),
        cors_allowed_origins: origins(reader),
        auth_tokens: tokens(reader),
        rate_limit_per_minute: reader.number("rate_limit_per_minute", 0, 0..=1_000_000),
        max_concurrent_plans: reader.number("max_concurrent_plans", 1_024, 1..=1_000_000),
        shutdown_delay: reader.seconds("shutdown_delay_seconds", 0.0, 0.0, 3_600.0),
        shutdown_grace: reader.seconds("shutdown_grace_seconds", 15.0, 0.0, 3_600.0),
        ready_requires_llm: reader.flag("ready_requires_llm", false),
        cache_ttl: reader.seconds("cache_ttl_seconds", 3_600.0, 0.0, 31_536_000.0),
        cache_max_entries: reader.number("cache_max_entries", 10_000, 0..=10_000_000),
        redis_url: redis_url(reader),
        arms: arms?,
        prices: prices?,
        worker_threads: reader.number("worker_threads", cores(), 1..=256),
        traces,
        unknown_variables: unknown_variables(variables),
    })
}

/// Processor cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(256)
}

fn rules(reader: &mut Reader) -> PlanRules {
    let rules = PlanRules {
        min_steps: reader.number("min_plan_steps", 3, 1..=50),
        max_steps: reader.number("max_plan_steps", 7, 1..=50),
        require_verification: reader.flag("require_verification_step", true),
    };
    if rules.min_steps > rules.max_steps {
        let rule = format!("must not be above PLANNER_MAX_PLAN_STEPS, which is {}", rules.max_steps);
        reader.fault("min_plan_steps", &format!("is {}", rules.min_steps), &rule);
    }
    rules
}

fn arms(reader: &mut Reader, verification_required: bool) -> Option<ArmRegistry> {
    let fields = "each arm has an id, and may have description, capabilities, keywords, cost_tier, aliases";
    file_list(reader, ARMS, fields, |arms: Vec<Arm>| ArmRegistry::new(arms, verification_required))
}

fn prices(reader: &mut Reader) -> Option<PriceList> {
    let fields =
        "each price has model, prompt_usd_per_million and completion_usd_per_million, and may have as_of";
    file_list(reader, PRICES, fields, |prices: Vec<Price>| PriceList::new(prices))
}

/// What is made of a list in the file, the default without one; `None` when it is bad.
fn file_list<T: DeserializeOwned, L: Default>(
    reader: &mut Reader,
    name: &str,
    fields: &str,
    make: impl FnOnce(Vec<T>) -> Result<L, Vec<String>>,
) -> Option<L> {
    let Some(written) = reader.values.get(name) else { return Some(L::default()) };
    let entries =
        written.clone().try_deserialize::<Vec<T>>().map_err(|error| vec![format!("{error}; {fields}")]);
    match entries.and_then(make) {
        Ok(list) => Some(list),
        Err(faults) => {
            let faults = faults.into_iter().map(|fault| format!("the setting `{name}` is bad: {fault}"));
            reader.faults.extend(faults);
            None
        }
    }
}

/// Decides `auto`, and that there is a key where one is needed.
fn engine(reader: &mut Reader, environment: Environment, base_url: Option<&str>) -> EngineKind {
    let choice = reader.choice(
        "engine",
        None,
        &[("auto", None), ("openai", Some(EngineKind::OpenAi)), ("embedded", Some(EngineKind::Embedded))],
    );
    // A bad URL or key has its own fault already; it was meant to be there.
    let (has_key, has_url) = (reader.is_set("openai_api_key"), reader.is_set("llm_base_url"));
    let engine = choice.unwrap_or(if has_key || has_url || environment != Environment::Development {
        EngineKind::OpenAi
    } else {
        EngineKind::Embedded
    });
    let is_openai = base_url.map_or(!has_url, |url| url.contains("://api.openai.com/"));
    if engine == EngineKind::OpenAi && is_openai && !has_key {
        reader.fault(
            "openai_api_key",
            "is not set",
            "must be, unless PLANNER_LLM_BASE_URL names another server or PLANNER_ENGINE is embedded",
        );
    }
    engine
}

fn origins(reader: &mut Reader) -> Vec<String> {
    let origins = reader.list("cors_allowed_origins");
    for origin in &origins {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == *origin
        });
        if !is_origin {
            let rule = "must be a comma list of origins such as https://app.example.com, without a path";
            reader.fault("cors_allowed_origins", &format!("has \"{}\"", mask_url(origin)), rule);
        }
    }
    origins
}

fn tokens(reader: &mut Reader) -> Vec<SecretString> {
    let tokens = reader.list("auth_tokens");
    if tokens.iter().any(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        reader.fault(
            "auth_tokens",
            "has a token with a space or a special character in it",
            "must be a comma list of tokens of visible ASCII characters",
        );
    }
    tokens.into_iter().map(SecretString::from).collect()
}

fn redis_url(reader: &mut Reader) -> Option<SecretString> {
    let rule = "must be a redis:// or rediss:// URL";
    let url = reader.url("redis_url", &["redis", "rediss"], rule)?;
    Some(SecretString::from(url.to_string()))
}

/// Variables with our prefix that mean nothing. `PLANNER_ARM_*` is what Kubernetes sets for a service of
/// that name, and what callers of this service use.
fn unknown_variables(variables: &HashMap<String, String>) -> Vec<String> {
    let mut unknown: Vec<String> = variables
        .keys()
        .filter(|name| name.as_str() != CONFIG_FILE && !name.starts_with("PLANNER_ARM_"))
        .filter(|name| {
            name.strip_prefix(PREFIX).is_some_and(|rest| !NAMES.contains(&rest.to_lowercase().as_str()))
        })
        .cloned()
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_empty_key_of_ours_leaves_openais_in_force() {
        let variables = [("PLANNER_OPENAI_API_KEY", ""), ("OPENAI_API_KEY", "sk-theirs")];
        let settings = load(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
            .expect("good settings");
        assert_eq!(settings.engine, EngineKind::OpenAi);
        assert_eq!(settings.openai_api_key.expect("a key").expose_secret(), "sk-theirs");
    }
}
