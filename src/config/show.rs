//! The settings in force, for people: secrets masked.

use secrecy::{ExposeSecret, SecretString};

use super::{Environment, FallbackEngine, Settings, llm};

pub(super) const MASK: &str = "********";
const MASK_AT: &str = "********@";

pub(super) fn shown(s: &Settings) -> Vec<(&'static str, String)> {
    let arms: Vec<&str> = s.arms.arms().iter().map(|arm| arm.id.as_str()).collect();
    let models = std::iter::once(&s.llm_model).chain(&s.llm_fallback_models);
    let prices: Vec<String> = models
        .map(|model| match s.prices.get(model) {
            Some(price) => format!("{model} {price}"),
            None => format!("{model} unknown"),
        })
        .collect();
    vec![
        ("ENGINE", s.engine.as_str().to_owned()),
        ("OPENAI_API_KEY", masked(s.openai_api_key.as_ref())),
        ("LLM_BASE_URL", mask_url(&s.llm_base_url)),
        ("LLM_HEADERS", llm::shown_headers(&s.llm_headers)),
        ("LLM_CA_FILE", s.llm_ca_file.as_ref().map(|file| file.path.clone()).unwrap_or_default()),
        ("LLM_MODEL", s.llm_model.clone()),
        ("LLM_FALLBACK_MODELS", s.llm_fallback_models.join(",")),
        ("LLM_MAX_ATTEMPTS", s.llm_max_attempts.to_string()),
        ("LLM_BREAKER_THRESHOLD", s.llm_breaker_threshold.to_string()),
        ("LLM_BREAKER_RESET_SECONDS", s.llm_breaker_reset.as_secs_f64().to_string()),
        ("PLANNING_TEMPERATURE", s.planning_temperature.to_string()),
        ("MAX_TOKENS", s.max_tokens.to_string()),
        ("MIN_PLAN_STEPS", s.rules.min_steps.to_string()),
        ("MAX_PLAN_STEPS", s.rules.max_steps.to_string()),
        ("REQUIRE_VERIFICATION_STEP", s.rules.require_verification.to_string()),
        ("TIMEOUT_SECONDS", s.timeout.as_secs_f64().to_string()),
        ("FALLBACK_ENGINE", s.fallback_engine.as_str().to_owned()),
        ("HOST", s.host.clone()),
        ("PORT", s.port.to_string()),
        ("ENVIRONMENT", s.environment.as_str().to_owned()),
        ("SERVICE_NAME", s.service_name.clone()),
        ("LOG_LEVEL", s.log_level.as_str().to_owned()),
        ("LOG_FORMAT", s.log_format.as_str().to_owned()),
        ("CORS_ALLOWED_ORIGINS", s.cors_allowed_origins.join(",")),
        ("AUTH_TOKENS", vec![MASK; s.auth_tokens.len()].join(",")),
        ("RATE_LIMIT_PER_MINUTE", s.rate_limit_per_minute.to_string()),
        ("MAX_CONCURRENT_PLANS", s.max_concurrent_plans.to_string()),
        ("CACHE_TTL_SECONDS", s.cache_ttl.as_secs_f64().to_string()),
        ("CACHE_MAX_ENTRIES", s.cache_max_entries.to_string()),
        ("REDIS_URL", s.redis_url.as_ref().map(|url| mask_url(url.expose_secret())).unwrap_or_default()),
        ("READY_REQUIRES_LLM", s.ready_requires_llm.to_string()),
        ("SHUTDOWN_DELAY_SECONDS", s.shutdown_delay.as_secs_f64().to_string()),
        ("SHUTDOWN_GRACE_SECONDS", s.shutdown_grace.as_secs_f64().to_string()),
        ("WORKER_THREADS", s.worker_threads.to_string()),
        ("ARMS", arms.join(",")),
        ("PRICES", prices.join(", ")),
    ]
}

fn masked(secret: Option<&SecretString>) -> String {
    secret.map(|_| MASK.to_owned()).unwrap_or_default()
}

/// `url` with user, password and query masked.
pub(crate) fn mask_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(after_scheme);
    // A password may have a question mark in it, and even an @.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| (MASK_AT, rest));
    match rest.split_once('?') {
        Some((place, _)) => format!("{scheme}{user}{place}?{MASK}"),
        None => format!("{scheme}{user}{rest}"),
    }
}

impl FallbackEngine {
    /// As in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Embedded => "embedded",
        }
    }
}

impl Environment {
    /// As in the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}
