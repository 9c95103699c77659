//! Settings: layers, defaults, and everything that is wrong with them at once.

mod files;
mod lists;

use std::time::Duration;

use planner_arm::config::table::{DefaultValue, SETTINGS};
use planner_arm::config::{Environment, FallbackEngine, LogFormat, Settings};
use planner_arm::domain::EngineKind;
use planner_arm::domain::PlanRules;
use planner_arm::domain::prices::PriceList;
use secrecy::ExposeSecret;

use crate::support::{TempFile, settings};

/// Everything that is wrong with the settings in `variables`.
fn faults(variables: &[(&str, &str)]) -> Vec<String> {
    settings(variables).expect_err("bad settings").0
}

fn fault(variables: &[(&str, &str)]) -> String {
    let faults = faults(variables);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.concat()
}

fn from_file(name: &str, text: &str, more: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let file = TempFile::new(name, text);
    let mut variables = vec![("PLANNER_CONFIG_FILE", file.path.as_str())];
    variables.extend_from_slice(more);
    settings(&variables).map_err(|error| error.0)
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let s = settings(&[]).expect("settings");
    assert_eq!(s.engine, EngineKind::Embedded);
    assert_eq!(
        (s.llm_base_url.as_str(), s.llm_model.as_str()),
        ("https://api.openai.com/v1", "gpt-3.5-turbo")
    );
    assert_eq!((s.llm_max_attempts, s.llm_breaker_threshold), (3, 5));
    assert_eq!((s.llm_breaker_reset, s.timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    assert!((s.planning_temperature - 0.3).abs() < 1e-9 && s.max_tokens == 2_000);
    assert_eq!(s.rules, PlanRules { min_steps: 3, max_steps: 7, require_verification: true });
    assert_eq!((s.fallback_engine, s.environment), (FallbackEngine::None, Environment::Development));
    assert_eq!((s.host.as_str(), s.port, s.service_name.as_str()), ("0.0.0.0", 8001, "planner-arm"));
    assert_eq!((s.log_format, s.log_level.as_str()), (LogFormat::Pretty, "info"));
    assert_eq!((s.rate_limit_per_minute, s.max_concurrent_plans), (0, 1_024));
    assert_eq!((s.cache_ttl, s.cache_max_entries), (Duration::from_secs(3_600), 10_000));
    assert_eq!((s.shutdown_delay, s.shutdown_grace), (Duration::ZERO, Duration::from_secs(15)));
    assert!(!s.ready_requires_llm);
    assert!(s.auth_tokens.is_empty() && s.cors_allowed_origins.is_empty() && s.redis_url.is_none());
    assert_eq!(s.arms.arms().len(), 6);
    assert_eq!(s.prices, PriceList::default());
}

#[test]
fn every_variable_is_read() {
    let s = settings(&[
        ("PLANNER_ENGINE", "openai"),
        ("PLANNER_OPENAI_API_KEY", "sk-1"),
        ("PLANNER_LLM_BASE_URL", "http://localhost:11434/v1/"),
        ("PLANNER_LLM_HEADERS", "Api-Key: 1; x-team: planners"),
        ("PLANNER_LLM_MODEL", "llama"),
        ("PLANNER_DETECT_LOCAL_LLM", "true"),
        ("PLANNER_LLM_FALLBACK_MODELS", "a, b,,c "),
        ("PLANNER_LLM_MAX_ATTEMPTS", "10"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "7"),
        ("PLANNER_LLM_BREAKER_RESET_SECONDS", "1.5"),
        ("PLANNER_LLM_BUDGET_USD_PER_DAY", "12.5"),
        ("PLANNER_PLANNING_TEMPERATURE", "2"),
        ("PLANNER_MAX_TOKENS", "128000"),
        ("PLANNER_MIN_PLAN_STEPS", "1"),
        ("PLANNER_MAX_PLAN_STEPS", "50"),
        ("PLANNER_REQUIRE_VERIFICATION_STEP", "false"),
        ("PLANNER_TIMEOUT_SECONDS", "0.1"),
        ("PLANNER_FALLBACK_ENGINE", "embedded"),
        ("PLANNER_HOST", "127.0.0.1"),
        ("PLANNER_PORT", "9000"),
        ("PLANNER_ENVIRONMENT", "production"),
        ("PLANNER_SERVICE_NAME", "planner-7"),
        ("PLANNER_LOG_LEVEL", "DEBUG"),
        ("PLANNER_LOG_FORMAT", "pretty"),
        ("PLANNER_CORS_ALLOWED_ORIGINS", "https://a.example.com,http://localhost:3000"),
        ("PLANNER_AUTH_TOKENS", "one,two"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "60"),
        ("PLANNER_MAX_CONCURRENT_PLANS", "9"),
        ("PLANNER_CRITICS", "warn"),
        ("PLANNER_MAX_PROMPT_ARMS", "50"),
        ("PLANNER_ARM_REFRESH_SECONDS", "2"),
        ("PLANNER_ARM_STALE_SECONDS", "4.5"),
        ("PLANNER_CACHE_TTL_SECONDS", "0"),
        ("PLANNER_CACHE_MAX_ENTRIES", "0"),
        ("PLANNER_REDIS_URL", "redis://localhost:6379/0"),
        ("PLANNER_READY_REQUIRES_LLM", "yes"),
        ("PLANNER_SHUTDOWN_DELAY_SECONDS", "2.5"),
        ("PLANNER_SHUTDOWN_GRACE_SECONDS", "0"),
        ("PLANNER_WORKER_THREADS", "3"),
    ])
    .expect("settings");
    let shown: Vec<String> = s.shown().iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    ENGINE=openai
    OPENAI_API_KEY=********
    LLM_BASE_URL=http://localhost:11434/v1
    LLM_HEADERS=api-key: ********; x-team: ********
    LLM_CA_FILE=
    LLM_MODEL=llama
    DETECT_LOCAL_LLM=true
    LLM_FALLBACK_MODELS=a,b,c
    LLM_MAX_ATTEMPTS=10
    LLM_BREAKER_THRESHOLD=7
    LLM_BREAKER_RESET_SECONDS=1.5
    LLM_BUDGET_USD_PER_DAY=12.5
    PLANNING_TEMPERATURE=2
    MAX_TOKENS=128000
    MIN_PLAN_STEPS=1
    MAX_PLAN_STEPS=50
    REQUIRE_VERIFICATION_STEP=false
    CRITICS=warn
    TIMEOUT_SECONDS=0.1
    FALLBACK_ENGINE=embedded
    HOST=127.0.0.1
    PORT=9000
    ENVIRONMENT=production
    SERVICE_NAME=planner-7
    LOG_LEVEL=debug
    LOG_FORMAT=pretty
    CORS_ALLOWED_ORIGINS=https://a.example.com,http://localhost:3000
    AUTH_TOKENS=********,********
    RATE_LIMIT_PER_MINUTE=60
    MAX_CONCURRENT_PLANS=9
    MAX_PROMPT_ARMS=50
    CACHE_TTL_SECONDS=0
    CACHE_MAX_ENTRIES=0
    REDIS_URL=redis://localhost:6379/0
    READY_REQUIRES_LLM=true
    SHUTDOWN_DELAY_SECONDS=2.5
    SHUTDOWN_GRACE_SECONDS=0
    WORKER_THREADS=3
    ARMS=planner,retriever,coder,executor,judge,guardian
    ARM_SOURCES=
    ARM_REFRESH_SECONDS=2
    ARM_STALE_SECONDS=4.5
    PLAYBOOKS=built in
    PLAYBOOKS_DIR=
    PRICES=llama unknown, a unknown, b unknown, c unknown
    POLICIES=
    ");
}

#[test]
fn what_is_read_is_what_the_table_has() {
    let s = settings(&[]).expect("settings");
    let read: Vec<&str> = s.shown().iter().map(|(name, _)| *name).collect();
    let table: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(read, table);
    for (setting, (name, shown)) in SETTINGS.iter().zip(s.shown()) {
        match setting.default {
            DefaultValue::Value(_) if *name == "ENGINE" => assert_eq!(shown, "embedded"),
            DefaultValue::Value(text) => assert_eq!(shown, text, "{name}"),
            DefaultValue::NotSet => assert_eq!(shown, "", "{name}"),
            DefaultValue::Computed(_) => assert_ne!(shown, "", "{name}"),
        }
    }
}

#[test]
fn values_out_of_range_name_the_variable_the_value_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("PLANNER_ENGINE", "gpt", "one of auto, openai, embedded"),
        ("PLANNER_LLM_MAX_ATTEMPTS", "0", "a whole number from 1 to 10"),
        ("PLANNER_LLM_MAX_ATTEMPTS", "11", "a whole number from 1 to 10"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "101", "a whole number from 1 to 100"),
        ("PLANNER_LLM_BREAKER_RESET_SECONDS", "0.5", "a number from 1 to 600"),
        ("PLANNER_PLANNING_TEMPERATURE", "2.1", "a number from 0 to 2"),
        ("PLANNER_PLANNING_TEMPERATURE", "NaN", "a number from 0 to 2"),
        ("PLANNER_MAX_TOKENS", "128001", "a whole number from 1 to 128000"),
        ("PLANNER_MAX_TOKENS", "12.5", "a whole number from 1 to 128000"),
        ("PLANNER_MIN_PLAN_STEPS", "0", "a whole number from 1 to 50"),
        ("PLANNER_MAX_PLAN_STEPS", "51", "a whole number from 1 to 50"),
        ("PLANNER_REQUIRE_VERIFICATION_STEP", "maybe", "one of true, false"),
        ("PLANNER_TIMEOUT_SECONDS", "0.05", "a number from 0.1 to 600"),
        ("PLANNER_TIMEOUT_SECONDS", "601", "a number from 0.1 to 600"),
        ("PLANNER_FALLBACK_ENGINE", "llama", "one of none, embedded"),
        ("PLANNER_PORT", "70000", "a whole number from 0 to 65535"),
        ("PLANNER_PORT", "tcp://10.0.0.1:8001", "a whole number from 0 to 65535"),
        ("PLANNER_ENVIRONMENT", "prod", "one of development, staging, production"),
        ("PLANNER_LOG_LEVEL", "loud", "one of error, warn, info, debug, trace"),
        ("PLANNER_LOG_FORMAT", "xml", "one of pretty, json"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "-1", "a whole number from 0"),
        ("PLANNER_MAX_CONCURRENT_PLANS", "0", "a whole number from 1"),
        ("PLANNER_CORS_ALLOWED_ORIGINS", "https://a.example.com/path", "a comma-separated list of origins"),
        ("PLANNER_CORS_ALLOWED_ORIGINS", "*", "a comma-separated list of origins"),
        ("PLANNER_LLM_BASE_URL", "ftp://example.com/v1", "an http or https URL"),
        ("PLANNER_LLM_BASE_URL", "localhost:11434", "an http or https URL"),
        ("PLANNER_LLM_BASE_URL", "http://localhost:11434/v1/chat/completions", "must not end in /chat"),
        ("PLANNER_LLM_BASE_URL", "http://localhost:11434/v1#top", "must not have a fragment"),
        ("PLANNER_LLM_CA_FILE", "/nowhere/ca.pem", "a file that can be read"),
        ("PLANNER_REDIS_URL", "http://localhost", "a redis:// or rediss:// URL"),
    ] {
        let fault = fault(&[(name, value)]);
        assert!(fault.starts_with(name) && fault.contains(value) && fault.contains(allowed), "{fault}");
    }
}

#[test]
fn all_bad_settings_are_named_at_once() {
    let error = settings(&[
        ("PLANNER_PORT", "x"),
        ("PLANNER_TIMEOUT_SECONDS", "0"),
        ("PLANNER_ENVIRONMENT", "production"),
        ("PLANNER_MIN_PLAN_STEPS", "9"),
    ])
    .expect_err("bad settings");
    insta::assert_snapshot!(error, @r#"
    4 settings are invalid:
      - PLANNER_MIN_PLAN_STEPS is 9; it must not be above PLANNER_MAX_PLAN_STEPS, which is 7
      - PLANNER_OPENAI_API_KEY is not set; it is required unless PLANNER_LLM_BASE_URL names another server or PLANNER_ENGINE is embedded
      - PLANNER_TIMEOUT_SECONDS is "0"; it must be a number from 0.1 to 600
      - PLANNER_PORT is "x"; it must be a whole number from 0 to 65535
    "#);
}

#[test]
fn the_engine_follows_from_key_url_and_environment() {
    let engine =
        |variables: &[(&str, &str)]| settings(variables).map(|s| s.engine).map_err(|error| error.0.len());
    let (key, url) = (("PLANNER_OPENAI_API_KEY", "sk-1"), ("PLANNER_LLM_BASE_URL", "http://localhost:1/v1"));
    let production = ("PLANNER_ENVIRONMENT", "production");
    assert_eq!(engine(&[]), Ok(EngineKind::Embedded));
    assert_eq!(engine(&[key]), Ok(EngineKind::OpenAi));
    assert_eq!(engine(&[url]), Ok(EngineKind::OpenAi));
    assert_eq!(engine(&[url, production]), Ok(EngineKind::OpenAi));
    assert_eq!(engine(&[key, production]), Ok(EngineKind::OpenAi));
    assert_eq!(engine(&[production]), Err(1));
    assert_eq!(engine(&[("PLANNER_ENVIRONMENT", "staging")]), Err(1));
    assert_eq!(engine(&[production, ("PLANNER_ENGINE", "embedded")]), Ok(EngineKind::Embedded));
    assert_eq!(engine(&[key, ("PLANNER_ENGINE", "embedded")]), Ok(EngineKind::Embedded));
    assert_eq!(engine(&[("PLANNER_ENGINE", "openai")]), Err(1));
    assert_eq!(engine(&[("PLANNER_LLM_BASE_URL", "https://api.openai.com/v1")]), Err(1));
}

#[test]
fn openai_api_key_counts_and_ours_wins() {
    let key = |variables: &[(&str, &str)]| {
        let key = settings(variables).expect("settings").openai_api_key;
        key.map(|key| key.expose_secret().to_owned())
    };
    assert_eq!(key(&[("OPENAI_API_KEY", "usual")]).as_deref(), Some("usual"));
    assert_eq!(
        key(&[("OPENAI_API_KEY", "usual"), ("PLANNER_OPENAI_API_KEY", "ours")]).as_deref(),
        Some("ours")
    );
    assert_eq!(key(&[("OPENAI_API_KEY", "")]), None);
}

#[test]
fn empty_counts_as_absent_except_for_the_model() {
    let s = settings(&[("PLANNER_PORT", ""), ("PLANNER_OPENAI_API_KEY", ""), ("PLANNER_LOG_LEVEL", "")]);
    assert_eq!(s.map(|s| (s.port, s.engine)).ok(), Some((8001, EngineKind::Embedded)));
    for blank in ["", "  "] {
        assert_eq!(
            fault(&[("PLANNER_LLM_MODEL", blank)]),
            "PLANNER_LLM_MODEL is blank or has a control character in it; it must be a name"
        );
    }
}

#[test]
fn a_trailing_slash_of_the_base_url_is_dropped() {
    for (given, kept) in [
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("https://name.openai.azure.com/openai/v1/", "https://name.openai.azure.com/openai/v1"),
        ("https://host.example.com/v1beta/openai/", "https://host.example.com/v1beta/openai"),
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://localhost:11434/", "http://localhost:11434"),
        (
            "https://h/openai/deployments/x/?api-version=1%20a",
            "https://h/openai/deployments/x?api-version=1%20a",
        ),
        ("https://h?api-version=1", "https://h?api-version=1"),
    ] {
        assert_eq!(settings(&[("PLANNER_LLM_BASE_URL", given)]).expect("settings").llm_base_url, kept);
    }
    let fragment = fault(&[("PLANNER_LLM_BASE_URL", "http://h/v1?key=canary#top")]);
    assert!(fragment.starts_with("PLANNER_LLM_BASE_URL") && !fragment.contains("canary"), "{fragment}");
}

#[test]
fn llm_headers_are_pairs_whose_values_are_secrets() {
    for text in ["api-key: canary; x-team : a b ;", "api-key:canary\n\nX-Team: a b\n"] {
        let s = settings(&[("PLANNER_LLM_HEADERS", text)]).expect("settings");
        let value = |name: &str| s.llm_headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(
            (s.llm_headers.len(), value("api-key"), value("x-team")),
            (2, Some("canary"), Some("a b"))
        );
        assert!(!format!("{:?} {s:?}", s.shown()).contains("canary"));
    }
    for (text, rule) in [
        ("canary", "`Name: value` pairs"),
        ("a b: canary", "`Name: value` pairs"),
        ("x-empty:", "`Name: value` pairs"),
        ("x-team: a; content-length: 7", "headers of the transport"),
    ] {
        let fault = fault(&[("PLANNER_LLM_HEADERS", text)]);
        assert!(fault.starts_with("PLANNER_LLM_HEADERS") && fault.contains(rule), "{fault}");
        assert!(!fault.contains("canary"), "{fault}");
    }
}

#[test]
fn the_ca_file_must_hold_certificates() {
    for (text, rule) in [
        ("", "has none"),
        ("no PEM at all", "has none"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "has none"),
        ("-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n", "is damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "X.509 certificates"),
    ] {
        let file = TempFile::new("ca.pem", text);
        let fault = fault(&[("PLANNER_LLM_CA_FILE", file.path.as_str())]);
        assert!(fault.starts_with("PLANNER_LLM_CA_FILE") && fault.contains(rule), "{fault}");
    }
    let authority = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).expect("a certificate");
    let file = TempFile::new("ca.pem", &authority.cert.pem());
    let s = settings(&[("PLANNER_LLM_CA_FILE", file.path.as_str())]).expect("settings");
    assert!(s.shown().contains(&("LLM_CA_FILE", file.path.clone())));
}

#[test]
fn no_secret_is_in_a_message_or_in_what_is_shown() {
    let s = settings(&[
        ("PLANNER_OPENAI_API_KEY", "sk-canary"),
        ("PLANNER_AUTH_TOKENS", "canary-1,canary-2"),
        ("PLANNER_REDIS_URL", "redis://user:canary@localhost:6379"),
    ])
    .expect("settings");
    assert!(!format!("{:?} {s:?}", s.shown()).contains("canary"));
    let faults = faults(&[
        ("PLANNER_OPENAI_API_KEY", "sk canary"),
        ("PLANNER_AUTH_TOKENS", "can ary,canary"),
        ("PLANNER_REDIS_URL", "http://user:canary@localhost"),
        ("PLANNER_LLM_BASE_URL", "ftp://user:canary@localhost/v1"),
    ]);
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(!faults.concat().contains("canary"), "{faults:?}");
    let in_url = fault(&[("PLANNER_LLM_BASE_URL", "http://user:canary@localhost/v1")]);
    assert!(in_url.contains("must not contain a user or password") && !in_url.contains("canary"), "{in_url}");
}

#[test]
fn unknown_variables_are_reported() {
    let variables = [
        ("PLANNER_LLM_MODLE", "x"),
        ("PLANNER_ARM_URL", "http://x"),
        ("PLANNER_ARMS", "coder"),
        ("PLANNER_PRICES", "0"),
        ("OTHER", "x"),
    ];
    let s = settings(&variables).expect("settings");
    assert_eq!(
        s.unknown_variables,
        [
            "PLANNER_ARMS is ignored: only the file that PLANNER_CONFIG_FILE names can hold it",
            "PLANNER_PRICES is ignored: only the file that PLANNER_CONFIG_FILE names can hold it",
            "unknown setting PLANNER_LLM_MODLE (did you mean PLANNER_LLM_MODEL?)",
        ]
    );
    assert_eq!(s.arms.arms().len(), 6);
}

#[test]
fn the_health_check_finds_the_local_service() {
    for (host, url) in [
        ("0.0.0.0", "http://127.0.0.1:8001/health"),
        ("::", "http://[::1]:8001/health"),
        ("10.1.2.3", "http://10.1.2.3:8001/health"),
        ("fd00::1", "http://[fd00::1]:8001/health"),
        ("localhost", "http://localhost:8001/health"),
    ] {
        assert_eq!(settings(&[("PLANNER_HOST", host)]).expect("settings").health_url(), url);
    }
}
