//! The application: everything that handlers share, and the router over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::{Router, middleware};
use http::HeaderValue;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::cache::{Answer, CacheUse, PlanCache};
use crate::config::{FallbackEngine, Settings};
use crate::http as web;
use crate::lifecycle::Lifecycle;
use crate::llm::ladder::CallPolicy;
use crate::llm::openai::{OpenAiServer, OpenAiSettings};
use crate::llm::{ChatModel, Ladder};
use crate::mcp;
use crate::metrics::Metrics;
use crate::models::{FieldError, PlanResponse};
use crate::planner::embedded::EmbeddedPlanner;
use crate::planner::{Engine, EngineKind, Order, PlannerArm, estimate};
use crate::redis::Redis;
use crate::telemetry::traces::Traces;

/// Largest request body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What all requests share.
pub struct App {
    /// Makes the plans.
    pub planner: PlannerArm,
    /// Counts everything.
    pub metrics: Arc<Metrics>,
    /// From start to end.
    pub lifecycle: Lifecycle,
    pub(crate) cache: Option<PlanCache>,
    pub(crate) redis: Option<Arc<Redis>>,
    pub(crate) limiter: web::PlanLimiter,
    pub(crate) auth_tokens: Vec<web::Token>,
    pub(crate) timeout: Duration,
    pub(crate) ready_requires_llm: bool,
    pub(crate) cors_allowed_origins: Vec<HeaderValue>,
    /// Where spans go.
    pub(crate) traces: Traces,
    plans: PlanCount,
}

/// This process's own experience with plans.
#[derive(Debug, Default)]
struct PlanCount {
    made: AtomicU64,
    failed: AtomicU64,
    /// Time that the made ones took, in microseconds.
    micros: AtomicU64,
}

/// What an orchestrator may expect of this arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackRecord {
    /// Mean time to a plan, in milliseconds.
    pub average_latency_ms: u64,
    /// Share of requests that got a plan.
    pub success_rate: f64,
}

impl App {
    /// How long callers wait that come while there is no place.
    pub(crate) const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

    /// Plans until which [`TrackRecord`] is what is usual for this arm.
    const EXPERIENCE: u64 = 20;

    /// The application with the engine and the Redis that `settings` name. Must be called within a runtime.
    ///
    /// # Errors
    /// When the LLM's client or that of Redis cannot be set up, with the reason.
    pub fn from_settings(settings: &Settings) -> Result<Arc<Self>, String> {
        let metrics = Metrics::new();
        let engine = engine(settings, &metrics)?;
        let redis = settings.redis_url.as_ref().map(|url| Redis::new(url, metrics.clone())).transpose()?;
        let traces = Traces::new(settings.traces.as_ref())?;
        Ok(Arc::new(Self { traces, ..Self::made(settings, engine, redis, metrics) }))
    }

    /// The application with `engine`, and `redis` for what replicas share. It sends no traces.
    pub fn new(
        settings: &Settings,
        engine: Engine,
        redis: Option<Arc<Redis>>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self::made(settings, engine, redis, metrics))
    }

    fn made(settings: &Settings, engine: Engine, redis: Option<Arc<Redis>>, metrics: Arc<Metrics>) -> Self {
        let registry = Arc::new(settings.arms.clone());
        let origins =
            settings.cors_allowed_origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        metrics.plans_are_limited_to(settings.max_concurrent_plans);
        let planner = PlannerArm::new(registry, settings.rules.clone(), engine, metrics.clone());
        Self {
            cache: cache(settings, &planner, redis.clone()),
            planner,
            metrics,
            lifecycle: Lifecycle::new(settings.max_concurrent_plans),
            limiter: web::PlanLimiter::new(settings.rate_limit_per_minute, redis.clone()),
            redis,
            auth_tokens: settings.auth_tokens.iter().cloned().map(web::Token::from).collect(),
            timeout: settings.timeout,
            ready_requires_llm: settings.ready_requires_llm,
            traces: Traces::default(),
            cors_allowed_origins: origins.collect(),
            plans: PlanCount::default(),
        }
    }

    /// The answer to an order, from the cache where there is one; with `anew` it is made in any case.
    pub(crate) async fn answer(&self, order: Order<'_>, anew: bool) -> Answer {
        let answer = match &self.cache {
            // What is left of a plan is asked for once.
            Some(cache) if order.past.is_none() => cache.answer(&self.planner, order, anew).await,
            _ => Answer::made(CacheUse::Off, self.planner.plan(order).await),
        };
        self.metrics.cache.used(answer.cache);
        answer
    }

    /// The plan that somebody wrote down, once it is sound, with its schedule and what was mended in it. No LLM is
    /// asked, and no limit counts it.
    ///
    /// # Errors
    /// Each fault with its field, and what to do about it.
    pub(crate) async fn validate(&self, proposal: String) -> Result<PlanResponse, Vec<FieldError>> {
        let plan = self.planner.validate(proposal).await?;
        let schedule = estimate::schedule(plan.steps());
        let (response, repairs) = plan.into_response();
        Ok(PlanResponse { schedule: Some(schedule), repairs: Some(repairs), ..response })
    }

    /// Shows in the metrics what changes without anything being counted.
    pub(crate) fn report(&self) {
        self.planner.report();
        self.metrics.cache.has(self.cache.as_ref().map_or(0, PlanCache::entries));
        if let Some(redis) = &self.redis {
            self.metrics.cache.redis_is_there(redis.is_there());
        }
    }

    /// Counts a request for a plan that is over. `outcome` is `ok`, an error's code or `client_closed`.
    pub(crate) fn plan_ended(&self, outcome: &'static str, notes: Option<&web::PlanNotes>, took: Duration) {
        self.metrics.plan_ended(outcome, took);
        if notes.is_some() {
            // Somebody was asked for a plan: what callers did wrong and what was shed is no experience.
            self.record(outcome == "ok", took);
        }
    }

    /// Takes a plan that was made, or could not be, into the track record.
    fn record(&self, made: bool, took: Duration) {
        if made {
            self.plans.made.fetch_add(1, Ordering::Relaxed);
            self.plans.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        } else {
            self.plans.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// This process's own figures once it has made enough plans, until then the usual ones.
    pub(crate) fn track_record(&self) -> TrackRecord {
        let made = self.plans.made.load(Ordering::Relaxed);
        let failed = self.plans.failed.load(Ordering::Relaxed);
        if made + failed < Self::EXPERIENCE {
            return TrackRecord { average_latency_ms: 1_500, success_rate: 0.92 };
        }
        let micros = self.plans.micros.load(Ordering::Relaxed);
        let rate = made as f64 / (made + failed) as f64;
        TrackRecord {
            average_latency_ms: micros.checked_div(made).map_or(1_500, |mean| mean / 1_000),
            success_rate: (rate * 10_000.0).round() / 10_000.0,
        }
    }
}

/// The cache that `settings` want for the plans of `planner`.
fn cache(settings: &Settings, planner: &PlannerArm, redis: Option<Arc<Redis>>) -> Option<PlanCache> {
    if settings.cache_ttl.is_zero() || settings.cache_max_entries == 0 {
        return None;
    }
    let setting = format!(
        "{} {} {} {} {}",
        env!("CARGO_PKG_VERSION"),
        settings.llm_base_url,
        settings.planning_temperature,
        settings.max_tokens,
        planner.setting()
    );
    Some(PlanCache::new(&setting, settings.cache_max_entries, settings.cache_ttl, redis))
}

/// The engine that `settings` name.
fn engine(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Engine, String> {
    let embedded = || EmbeddedPlanner::new(Arc::new(settings.arms.clone()), settings.rules.clone());
    if settings.engine == EngineKind::Embedded {
        return Ok(Engine::Embedded(embedded()));
    }
    let server = OpenAiServer::new(OpenAiSettings {
        base_url: settings.llm_base_url.clone(),
        api_key: settings.openai_api_key.clone(),
        temperature: settings.planning_temperature,
        max_tokens: settings.max_tokens,
    })?;
    let names = std::iter::once(&settings.llm_model).chain(&settings.llm_fallback_models);
    let models = names.map(|name| Box::new(server.model(name)) as Box<dyn ChatModel>).collect();
    let policy = CallPolicy {
        max_attempts: settings.llm_max_attempts,
        breaker_threshold: settings.llm_breaker_threshold,
        breaker_reset: settings.llm_breaker_reset,
        fair_time: settings.timeout / 4,
    };
    let fallback = (settings.fallback_engine == FallbackEngine::Embedded).then(embedded);
    Ok(Engine::Llm { ladder: Ladder::new(models, &settings.prices, policy, metrics.clone()), fallback })
}

/// All routes and what surrounds them. Binds nothing: the server and every test use it.
pub fn router(app: Arc<App>) -> Router {
    let catcher = app.clone();
    let router = web::api_router()
        .merge(mcp::http::routes(&app))
        // Inside of what observes, so that a panic has its id, its log line and its place in the metrics.
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
            web::panic_response(&catcher, &*panic)
        }));
    // Outside of the handlers, as preflight requests reach none of them.
    let router = if app.cors_allowed_origins.is_empty() {
        router
    } else {
        router.layer(cors(&app.cors_allowed_origins))
    };
    router
        // Outermost, so that whatever happens further in is observed and every response has its id.
        .layer(middleware::from_fn_with_state(app.clone(), web::observe::<App>))
        .with_state(app)
}

/// Pages of the named origins may call, and read our headers.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods(AllowMethods::list([http::Method::GET, http::Method::POST]))
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(
            [http::header::RETRY_AFTER, web::X_REQUEST_ID]
                .into_iter()
                .chain(web::PLAN_HEADERS)
                .chain(web::LIMIT_HEADERS),
        ))
        .max_age(Duration::from_secs(3_600))
}
