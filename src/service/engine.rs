//! The engine that the settings name.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::warn;

use crate::config::{FallbackEngine, LocalLlm, Settings, SettingsError};
use crate::domain::EngineKind;
use crate::llm::fallback::CallPolicy;
use crate::llm::local::find_model;
use crate::llm::openai::{OpenAiServer, OpenAiSettings};
use crate::llm::{ChatModel, FallbackChain, ServerSettings};
use crate::planner::Engine;
use crate::telemetry::metrics::Metrics;

use super::spend::Spend;

/// `settings` with the first model that a server at `addresses` offers, where they ask for a model on this machine.
///
/// # Errors
/// When there is none, and the settings require one.
pub async fn detect_local_llm(
    settings: Settings,
    addresses: &[SocketAddr],
) -> Result<Settings, SettingsError> {
    let LocalLlm::Requested(name) = &settings.local_llm else { return Ok(settings) };
    let found = find_model(addresses, name.as_deref()).await;
    settings.with_local_model(found)
}

/// The engine that `settings` name, whose calls count against `spend`.
///
/// # Errors
/// When the LLM's client cannot be set up, with the reason.
pub(super) fn from_settings(
    settings: &Settings,
    spend: Option<Arc<Spend>>,
    metrics: &Arc<Metrics>,
) -> Result<Engine, String> {
    if settings.engine == EngineKind::Embedded {
        return Ok(Engine::Embedded);
    }
    let server = OpenAiServer::new(OpenAiSettings {
        server: ServerSettings {
            base_url: settings.llm_base_url.clone(),
            api_key: settings.openai_api_key.clone(),
            headers: settings.llm_headers.clone(),
            authorities: settings.llm_ca_file.clone(),
        },
        temperature: settings.planning_temperature,
        max_tokens: settings.max_tokens,
    })?;
    let names = std::iter::once(&settings.llm_model).chain(&settings.llm_fallback_models);
    let models = names.map(|name| Box::new(server.model(name)) as Box<dyn ChatModel>).collect();
    let policy = CallPolicy {
        max_attempts: settings.llm_max_attempts,
        breaker_threshold: settings.llm_breaker_threshold,
        breaker_reset: settings.llm_breaker_reset,
        request_time: settings.timeout,
    };
    let fallback = settings.fallback_engine == FallbackEngine::Embedded;
    let mut chain = FallbackChain::new(models, &settings.prices, policy, metrics.clone());
    if let Some(spend) = spend {
        let highest_price = settings.prices.highest_price();
        let names = std::iter::once(&settings.llm_model).chain(&settings.llm_fallback_models);
        for model in names.filter(|name| settings.prices.get(name).is_none()) {
            warn!(%model, price = %highest_price, "the price of this model is unknown; its calls count against the budget at the highest known price until you add it to the setting `prices`");
        }
        chain = chain.with_spend_limit(spend, highest_price, settings.max_tokens);
    }
    Ok(Engine::Llm { chain, fallback })
}
