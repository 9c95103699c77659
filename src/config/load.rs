//! From an environment and a file to checked [`Settings`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ::config::{Config, ConfigError, File, Value, ValueKind};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::prices::{Price, PriceList};
use crate::domain::{CriticsMode, EngineKind, PlanRules};
use crate::policies::{Policies, PolicySource};

use super::file;
use super::reader::SettingsReader;
use super::table::{SETTINGS, unknown};
use super::{
    ArmSource, Environment, FallbackEngine, LocalLlm, LogFormat, OPENAI_BASE_URL, PREFIX, Settings,
    SettingsError, arm_sources, llm, playbooks, traces,
};

/// The variable that names the file.
pub(crate) const CONFIG_FILE: &str = "PLANNER_CONFIG_FILE";

pub(super) fn load(variables: &HashMap<String, String>) -> Result<Settings, SettingsError> {
    let mut faults = Vec::new();
    let layers = layers(variables, &mut faults);
    let values = layers.cache.into_table().unwrap_or_default();
    let mut reader = SettingsReader::new(PREFIX, SETTINGS, values);
    reader.faults = faults;
    let settings = read(&mut reader, variables);
    let (shown, faults) = reader.finish();
    match settings {
        Some(settings) if faults.is_empty() => Ok(Settings { shown, ..settings }),
        _ => Err(SettingsError(faults)),
    }
}

/// The file, overridden by the environment. What cannot be read is reported and left out.
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
    for setting in SETTINGS.iter().filter(|setting| setting.is_file_only()) {
        ours.remove(&setting.variable(PREFIX));
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
    let Some(format) = file::format(Path::new(path)) else {
        refuse("; it must end in .toml, .yaml or .yml");
        return None;
    };
    let config = match Config::builder().add_source(File::new(path, format)).build() {
        Ok(config) => config,
        Err(error) => {
            match error {
                ConfigError::FileParse { cause, .. } => {
                    // The parsers quote the line, which may hold a secret, and `config` erases their types.
                    let place = line_and_column(&cause.to_string());
                    let place = place.map(|(line, column)| format!(" at line {line}, column {column}"));
                    refuse(&format!(", which has a syntax error{}", place.unwrap_or_default()));
                }
                _ => refuse(", which cannot be read; check the path and its permissions"),
            }
            return None;
        }
    };
    let table = config.cache.clone().into_table().unwrap_or_default();
    let mut keys: Vec<&String> =
        table.keys().filter(|key| !SETTINGS.iter().any(|setting| setting.key() == **key)).collect();
    keys.sort();
    for key in keys {
        let what = unknown(&format!("`{key}`"), key, SETTINGS, |known| format!("`{}`", known.key()));
        refuse(&format!(", which has an {what}"));
    }
    Some(config)
}

/// Where a parser's message says that the fault is: its `line 3, column 7` or `line 3 column 7`.
pub(super) fn line_and_column(message: &str) -> Option<(u32, u32)> {
    message.match_indices("line ").find_map(|(at, word)| {
        let mut words = message[at + word.len()..].split([' ', ',', '\n']).filter(|word| !word.is_empty());
        let line = words.next()?.parse().ok()?;
        words.next().filter(|word| *word == "column")?;
        Some((line, words.next()?.parse().ok()?))
    })
}

fn read(reader: &mut SettingsReader, variables: &HashMap<String, String>) -> Option<Settings> {
    let environment = reader.word("environment", &Environment::ALL, Environment::as_str);
    let log_format = match environment {
        Environment::Development => LogFormat::Pretty,
        _ => LogFormat::Json,
    };
    let rules = rules(reader);
    let arms = arms(reader, rules.require_verification);
    let arm_sources = sources(reader, variables);
    let policies = policies(reader, arms.as_ref(), &rules);
    let playbooks = playbooks::read(reader, &rules);
    let openai_api_key = reader.secret("openai_api_key");
    let base_url = llm::base_url(reader);
    let EngineChoice { engine, is_engine_chosen, wants_local_llm } =
        engine(reader, environment, base_url.as_deref());
    let llm_model = reader.name("llm_model");
    let local_llm = if wants_local_llm {
        LocalLlm::Requested(reader.is_set("llm_model").then(|| llm_model.clone()))
    } else {
        LocalLlm::Off
    };
    let llm_fallback_models = reader.list("llm_fallback_models");
    let prices = prices(reader, std::iter::once(&llm_model).chain(&llm_fallback_models));
    let service_name = reader.text("service_name");
    let traces = traces::read(variables, &service_name, environment, &mut reader.faults);
    Some(Settings {
        engine,
        is_engine_chosen,
        local_llm,
        openai_api_key,
        llm_base_url: base_url.unwrap_or_else(|| OPENAI_BASE_URL.to_owned()),
        llm_headers: llm::headers(reader),
        llm_ca_file: llm::ca_file(reader),
        llm_model,
        llm_fallback_models,
        llm_max_attempts: reader.whole("llm_max_attempts"),
        llm_breaker_threshold: reader.whole("llm_breaker_threshold"),
        llm_breaker_reset: reader.seconds("llm_breaker_reset_seconds"),
        llm_budget_usd_per_day: reader.number_if_set("llm_budget_usd_per_day"),
        planning_temperature: reader.number("planning_temperature"),
        max_tokens: reader.whole("max_tokens"),
        rules,
        critics: reader.word("critics", &CriticsMode::ALL, CriticsMode::as_str),
        timeout: reader.seconds("timeout_seconds"),
        is_timeout_set: reader.is_set("timeout_seconds"),
        fallback_engine: reader.word("fallback_engine", &FallbackEngine::ALL, FallbackEngine::as_str),
        host: reader.text("host"),
        port: reader.whole("port"),
        environment,
        service_name,
        log_level: reader.log_level(),
        log_format: reader.log_format(log_format),
        cors_allowed_origins: reader.origins("cors_allowed_origins"),
        auth_tokens: reader.secrets("auth_tokens"),
        rate_limit_per_minute: reader.whole("rate_limit_per_minute"),
        max_prompt_arms: reader.whole("max_prompt_arms"),
        max_concurrent_plans: reader.whole("max_concurrent_plans"),
        shutdown_delay: reader.seconds("shutdown_delay_seconds"),
        shutdown_grace: reader.seconds("shutdown_grace_seconds"),
        ready_requires_llm: reader.flag("ready_requires_llm"),
        cache_ttl: reader.seconds("cache_ttl_seconds"),
        cache_max_entries: reader.whole("cache_max_entries"),
        redis_url: redis_url(reader),
        arms: arms?,
        arm_sources: arm_sources?,
        arm_refresh: reader.seconds("arm_refresh_seconds"),
        arm_stale: reader.seconds("arm_stale_seconds"),
        playbooks: playbooks?,
        prices: prices?,
        policies: Arc::new(policies?),
        worker_threads: reader.whole_or("worker_threads", cores()),
        traces,
        unknown_variables: unknown_variables(variables),
        shown: Vec::new(),
    })
}

/// Processor cores that this process may use.
fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(256) as u64
}

fn rules(reader: &mut SettingsReader) -> PlanRules {
    let rules = PlanRules {
        min_steps: reader.whole("min_plan_steps"),
        max_steps: reader.whole("max_plan_steps"),
        require_verification: reader.flag("require_verification_step"),
    };
    if rules.min_steps > rules.max_steps {
        let rule = format!("must not be above PLANNER_MAX_PLAN_STEPS, which is {}", rules.max_steps);
        reader.fault("min_plan_steps", &format!("is {}", rules.min_steps), &rule);
    }
    rules
}

fn arms(reader: &mut SettingsReader, verification_required: bool) -> Option<ArmRegistry> {
    let fields = "each arm has an id, and may have description, capabilities, keywords, cost_tier, aliases, inputs, outputs";
    let arms =
        file_list(reader, "arms", fields, |arms: Vec<Arm>| ArmRegistry::new(arms, verification_required))?;
    let ids: Vec<&str> = arms.arms().iter().map(|arm| arm.id.as_str()).collect();
    reader.show("arms", ids.join(","));
    Some(arms)
}

/// The sources of arms, shown by name.
fn sources(reader: &mut SettingsReader, variables: &HashMap<String, String>) -> Option<Vec<ArmSource>> {
    let sources = file_list(reader, "arm_sources", arm_sources::FIELDS, |entries| {
        arm_sources::read(entries, variables)
    })?;
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    reader.show("arm_sources", names.join(","));
    Some(sources)
}

/// Where `arms` are invalid, policies are tried out with the usual ones, so that all faults are reported at once.
fn policies(reader: &mut SettingsReader, arms: Option<&ArmRegistry>, rules: &PlanRules) -> Option<Policies> {
    let fields =
        "each policy has name, require and message, and may have when and severity (error or warning)";
    let (usual_arms, usual_rules) = (ArmRegistry::default(), PlanRules::default());
    let arms = arms.unwrap_or(&usual_arms);
    let rules = if rules.min_steps <= rules.max_steps { rules } else { &usual_rules };
    let policies = file_list(reader, "policies", fields, |sources: Vec<PolicySource>| {
        Policies::new(&sources, arms, rules)
    })?;
    let names: Vec<&str> = policies.sources().map(|source| source.name.as_str()).collect();
    reader.show("policies", names.join(","));
    Some(policies)
}

/// Only the prices of `models` are shown.
fn prices<'a>(reader: &mut SettingsReader, models: impl Iterator<Item = &'a String>) -> Option<PriceList> {
    let fields =
        "each price has model, prompt_usd_per_million and completion_usd_per_million, and may have as_of";
    let prices = file_list(reader, "prices", fields, |prices: Vec<Price>| PriceList::new(prices))?;
    let of_model = |model: &String| match prices.get(model) {
        Some(price) => format!("{model} {price}"),
        None => format!("{model} unknown"),
    };
    let shown: Vec<String> = models.map(of_model).collect();
    reader.show("prices", shown.join(", "));
    Some(prices)
}

/// What is made of a list in the file, the default without one; `None` when it is invalid.
fn file_list<T: DeserializeOwned, L: Default>(
    reader: &mut SettingsReader,
    name: &str,
    fields: &str,
    make: impl FnOnce(Vec<T>) -> Result<L, Vec<String>>,
) -> Option<L> {
    let Some(written) = reader.file_only(name) else { return Some(L::default()) };
    match entries(written, name, fields).and_then(make) {
        Ok(list) => Some(list),
        Err(faults) => {
            let faults = faults.into_iter().map(|fault| format!("the setting `{name}` is invalid: {fault}"));
            reader.faults.extend(faults);
            None
        }
    }
}

/// The entries of the list `name`, or what is wrong with each that is invalid.
fn entries<T: DeserializeOwned>(written: Value, name: &str, fields: &str) -> Result<Vec<T>, Vec<String>> {
    let written = written.into_array().map_err(|_| vec![format!("it must be a list of tables; {fields}")])?;
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    for (index, entry) in written.into_iter().enumerate() {
        let place = format!("{name}[{index}]");
        if !matches!(entry.kind, ValueKind::Table(_)) {
            faults.push(format!("{place} must be a table; {fields}"));
            continue;
        }
        match entry.try_deserialize() {
            Ok(entry) => entries.push(entry),
            Err(error) => faults.push(format!("{}; {fields}", entry_fault(&place, &error))),
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

/// What is wrong with the entry at `place`.
fn entry_fault(place: &str, error: &ConfigError) -> String {
    match error {
        ConfigError::NotFound(field) => format!("{place}.{field} is missing"),
        ConfigError::Type { unexpected, expected, key: Some(field), .. } => {
            format!("{place}.{field} is a {unexpected}, not {expected}")
        }
        ConfigError::At { error, key: Some(field), .. } => format!("{place}.{field}: {error}"),
        error => format!("{place}: {error}"),
    }
}

/// What `engine` says, and what follows for `auto`.
struct EngineChoice {
    engine: EngineKind,
    is_engine_chosen: bool,
    wants_local_llm: bool,
}

/// Decides `auto`, and that there is a key where one is needed.
fn engine(reader: &mut SettingsReader, environment: Environment, base_url: Option<&str>) -> EngineChoice {
    let choices = [None, Some(EngineKind::OpenAi), Some(EngineKind::Embedded)];
    let choice = reader.word("engine", &choices, |kind| kind.map_or("auto", EngineKind::as_str));
    // An invalid URL or key has its own fault already; it was meant to be there.
    let (has_key, has_url) = (reader.is_set("openai_api_key"), reader.is_set("llm_base_url"));
    let is_development = environment == Environment::Development;
    let engine = choice.unwrap_or(if has_key || has_url || !is_development {
        EngineKind::OpenAi
    } else {
        EngineKind::Embedded
    });
    let detects = reader.flag_or("detect_local_llm", is_development);
    reader.show("detect_local_llm", detects);
    let wants_local_llm = detects && choice.is_none() && !has_key && !has_url;
    reader.show("engine", engine.as_str());
    let is_openai = base_url.map_or(!has_url, |url| url.contains("://api.openai.com/"));
    if engine == EngineKind::OpenAi && is_openai && !has_key && !wants_local_llm {
        reader.fault(
            "openai_api_key",
            "is not set",
            "is required unless PLANNER_LLM_BASE_URL names another server or PLANNER_ENGINE is embedded",
        );
    }
    EngineChoice { engine, is_engine_chosen: choice.is_some(), wants_local_llm }
}

fn redis_url(reader: &mut SettingsReader) -> Option<SecretString> {
    let rule = "must be a redis:// or rediss:// URL";
    let url = reader.url("redis_url", &["redis", "rediss"], rule)?;
    Some(SecretString::from(url.to_string()))
}

/// What is wrong with each variable with our prefix that is not a setting. `PLANNER_ARM_*` is what Kubernetes sets for a
/// service of that name, and what callers of this service use, unless it is nearly the name of a setting.
pub(crate) fn unknown_variables(variables: &HashMap<String, String>) -> Vec<String> {
    let is_of_others = |name: &str| {
        name.starts_with("PLANNER_ARM_")
            && !SETTINGS
                .iter()
                .any(|setting| strsim::damerau_levenshtein(name, &setting.variable(PREFIX)) <= 2)
    };
    let ours = variables.keys().filter(|name| *name != CONFIG_FILE && !is_of_others(name));
    let mut unknown: Vec<String> = ours.filter_map(|name| unknown_variable(name)).collect();
    unknown.sort();
    unknown
}

fn unknown_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?;
    match SETTINGS.iter().find(|setting| setting.is_named(name)) {
        Some(setting) if setting.is_file_only() => {
            Some(format!("{variable} is ignored: only the file that {CONFIG_FILE} names can hold it"))
        }
        Some(_) => None,
        None => Some(unknown(variable, name, SETTINGS, |known| known.variable(PREFIX))),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_empty_key_of_ours_leaves_openais_in_force() {
        let variables = [("PLANNER_OPENAI_API_KEY", ""), ("OPENAI_API_KEY", "sk-theirs")];
        let settings = load(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
            .expect("valid settings");
        assert_eq!(settings.engine, EngineKind::OpenAi);
        assert_eq!(settings.openai_api_key.expect("a key").expose_secret(), "sk-theirs");
    }
}
