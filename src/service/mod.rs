//! The service behind every front end: its state, and what happens to a request between the front end and the
//! planner.

pub(crate) mod admission;
pub(crate) mod arm_sources;
pub(crate) mod auth;
pub(crate) mod cache;
mod collector;
mod engine;
pub(crate) mod rate_limit;
pub(crate) mod redis;
pub(crate) mod reply;
pub(crate) mod span;
mod spend;
mod track_record;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use crate::config::Settings;
use crate::domain::arms::ArmList;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::{CacheStatus, PlanRequest, PlanResponse, SubTask};
use crate::planner::critics::{Critic, Critics, PolicyCritic};
use crate::planner::normalize::PlanDetails;
use crate::planner::{Engine, PlanJob, PlannerArm, estimate};
use crate::server::body::OVERLOAD_WAIT;
use crate::server::lifecycle::Lifecycle;
use crate::server::origin::check_origin;
use crate::server::request::peer;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

use arm_sources::ArmSources;
use auth::{Caller, Token, authorize};
use cache::{PlanCache, PlanCall, PlanOutcome};
use collector::Collector;
use rate_limit::PlanLimiter;
use redis::Redis;
use reply::PlanMetadata;
use spend::Spend;
use track_record::PlanCount;

pub use engine::detect_local_llm;
pub(crate) use reply::Include;
pub use track_record::TrackRecord;

/// Plans that are validated at once. They have permits of their own, so that a flood of them cannot take those of
/// `/plan`, and few, since nothing else limits them.
const MAX_VALIDATIONS: usize = 32;
/// What the arms that requests for plans in flight have brought may take together, in bytes of their texts: each takes
/// some 15 times that, for as long as an LLM is slow.
const MAX_ARM_BYTES: usize = 8 * 1024 * 1024;
/// How often callers with a fully restored rate limit are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What all requests share.
pub struct PlannerService {
    /// Makes the plans.
    pub planner: PlannerArm,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// The phase from start to end, and the permits for plans in flight.
    pub lifecycle: Lifecycle,
    pub(crate) cache: Option<PlanCache>,
    pub(crate) redis: Option<Arc<Redis>>,
    pub(crate) limiter: PlanLimiter,
    arm_sources: ArmSources,
    spend: Option<Arc<Spend>>,
    auth_tokens: Vec<Token>,
    validations: Semaphore,
    /// A permit for each byte of arms in requests for plans.
    arm_bytes: Arc<Semaphore>,
    pub(crate) timeout: Duration,
    pub(crate) ready_requires_llm: bool,
    pub(crate) cors_allowed_origins: Vec<HeaderValue>,
    /// One sentence on which model makes the plans if none was configured.
    pub(crate) model_notice: Option<String>,
    /// Where spans go.
    pub(crate) traces: Traces,
    plans: PlanCount,
}

impl PlannerService {
    /// The service with the engine and the Redis that `settings` name. Must be called within a runtime.
    ///
    /// # Errors
    /// When the LLM's client or that of Redis cannot be set up, with the reason.
    pub fn from_settings(settings: &Settings) -> Result<Arc<Self>, String> {
        let metrics = Metrics::new();
        let redis = settings.redis_url.as_ref().map(|url| Redis::new(url, metrics.clone())).transpose()?;
        let spend = settings
            .llm_budget_usd_per_day
            .map(|usd| Arc::new(Spend::new(usd, redis.clone(), metrics.clone())));
        let engine = engine::from_settings(settings, spend.clone(), &metrics)?;
        let traces = match &settings.traces {
            Some(traces) => Traces::new(traces, Collector::new(traces)?)?,
            None => Traces::default(),
        };
        Ok(Arc::new(Self { spend, traces, ..Self::build(settings, engine, redis, metrics)? }))
    }

    /// The service with `engine`, and `redis` for what replicas share. It sends no traces.
    ///
    /// # Errors
    /// When the HTTP client for a source of arms cannot be set up.
    pub fn new(
        settings: &Settings,
        engine: Engine,
        redis: Option<Arc<Redis>>,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self::build(settings, engine, redis, metrics)?))
    }

    fn build(
        settings: &Settings,
        engine: Engine,
        redis: Option<Arc<Redis>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let registry = Arc::new(settings.arms.clone());
        let origins =
            settings.cors_allowed_origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        metrics.set_plan_limit(settings.max_concurrent_plans);
        let planner = PlannerArm::new(registry, settings.rules.clone(), engine, metrics.clone())
            .with_max_prompt_arms(settings.max_prompt_arms)
            .with_critics(Critics::new(settings.critics, further_critics(settings)))
            .with_playbooks(settings.playbooks.clone());
        Ok(Self {
            arm_sources: ArmSources::from_settings(settings, metrics.clone())?,
            cache: PlanCache::from_settings(settings, &planner, redis.clone()),
            planner,
            metrics,
            lifecycle: Lifecycle::new(settings.max_concurrent_plans),
            limiter: PlanLimiter::new(settings.rate_limit_per_minute, redis.clone()),
            redis,
            spend: None,
            validations: Semaphore::new(MAX_VALIDATIONS),
            arm_bytes: Arc::new(Semaphore::new(MAX_ARM_BYTES)),
            auth_tokens: settings.auth_tokens.iter().cloned().map(Token::from).collect(),
            timeout: settings.timeout,
            ready_requires_llm: settings.ready_requires_llm,
            model_notice: settings.model_notice(),
            traces: Traces::default(),
            cors_allowed_origins: origins.collect(),
            plans: PlanCount::default(),
        })
    }

    /// Who sends `request`.
    ///
    /// # Errors
    /// When the bearer token is missing or wrong; without configured tokens, when a page of a foreign origin calls.
    pub(crate) fn authorize(&self, request: &Request) -> Result<Caller, Problem> {
        if self.auth_tokens.is_empty() {
            self.check_origin(request.headers())?;
        }
        authorize(request.headers(), peer(request), &self.auth_tokens)
    }

    /// Checks that the page which sends a request, if a page does, may call.
    ///
    /// # Errors
    /// When it is a page of a foreign origin.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        check_origin(headers, &self.cors_allowed_origins, "PLANNER_CORS_ALLOWED_ORIGINS")
    }

    /// Plans `job`, or answers it from the cache unless `no_cache` is set.
    pub(crate) async fn plan(
        &self,
        job: &PlanJob,
        deadline: Instant,
        steps: Option<&UnboundedSender<SubTask>>,
        no_cache: bool,
    ) -> PlanOutcome {
        let call = PlanCall { planner: &self.planner, job, deadline, steps };
        let outcome = match &self.cache {
            // A replan is asked for once.
            Some(cache) if job.progress.is_none() => cache.answer(call, no_cache).await,
            _ => call.make(CacheStatus::Off).await,
        };
        self.metrics.cache.record_status(outcome.cache);
        outcome
    }

    /// The valid plan in `proposal` for as much of `request` as is known, with its schedule, its repairs and its warnings.
    /// Calls no LLM, and no rate limit counts it.
    ///
    /// # Errors
    /// Each fault with its field, and what to do about it; or that too many plans are being validated.
    pub(crate) async fn validate(
        &self,
        proposal: String,
        request: PlanRequest,
    ) -> Result<PlanResponse, Problem> {
        let _permit = self.validations.try_acquire().map_err(|_| {
            let detail = "Too many plans are being validated at the moment; retry shortly.";
            Problem::new(ErrorCode::Overloaded, detail).retry_after(OVERLOAD_WAIT)
        })?;
        let plan = self.planner.validate(proposal, request).await?;
        let schedule = estimate::schedule(plan.steps());
        let (response, PlanDetails { repairs, warnings, .. }) = plan.into_response();
        Ok(PlanResponse {
            schedule: Some(schedule),
            repairs: Some(repairs),
            warnings: Some(warnings),
            ..response
        })
    }

    /// All arms, and where they come from.
    pub(crate) fn arms(&self) -> Arc<ArmList> {
        self.arm_sources.published()
    }

    /// Reads the sources of arms once, for commands that run once.
    pub(crate) async fn read_arm_sources(self: &Arc<Self>) {
        self.arm_sources.read_once().await;
        self.arm_sources.publish(self).await;
    }

    /// Reads the sources of arms in the background until [`ArmRefresh::end`]. Returns once each has been read, or has
    /// failed, or takes too long.
    pub(crate) async fn refresh_arms(self: &Arc<Self>) -> ArmRefresh {
        let (stop, stopped) = watch::channel(false);
        let service = self.clone();
        let refreshing = tokio::spawn(async move { service.arm_sources.keep_fresh(&service, stopped).await });
        self.arm_sources.first_round().await;
        ArmRefresh { stop, refreshing }
    }

    /// Updates the gauges that are read rather than counted.
    pub(crate) fn update_gauges(&self) {
        self.arm_sources.update_gauges();
        if let Some(spend) = &self.spend {
            spend.update_gauges();
        }
        self.planner.update_gauges();
        self.metrics.cache.set_entries(self.cache.as_ref().map_or(0, PlanCache::entries));
        if let Some(redis) = &self.redis {
            self.metrics.cache.set_redis_up(redis.is_available());
        }
    }

    /// Counts a request for a plan that is over. `outcome` is `ok`, an error's code or `client_closed`.
    pub(crate) fn plan_ended(&self, outcome: &'static str, metadata: Option<&PlanMetadata>, took: Duration) {
        self.metrics.record_plan_request(outcome, took);
        if metadata.is_some() {
            // Requests that reached no engine are not counted.
            self.plans.record(outcome == "ok", took);
        }
    }

    /// This process's own figures once it has made enough plans, until then the usual ones.
    pub(crate) fn track_record(&self) -> TrackRecord {
        self.plans.track_record()
    }

    /// Frees what is no longer needed, every minute.
    pub(crate) async fn housekeeping(&self) {
        let mut rounds = interval(HOUSEKEEPING);
        loop {
            rounds.tick().await;
            self.limiter.forget_idle();
        }
    }
}

/// The arms of `settings`, and those that their sources have now.
///
/// # Errors
/// When the HTTP client for a source cannot be set up.
pub(crate) async fn read_arms(settings: &Settings) -> Result<ArmList, String> {
    let sources = ArmSources::from_settings(settings, Metrics::new())?;
    sources.read_once().await;
    Ok(sources.list())
}

/// The sources of arms being read in the background.
#[must_use]
pub(crate) struct ArmRefresh {
    stop: watch::Sender<bool>,
    refreshing: JoinHandle<()>,
}

impl ArmRefresh {
    /// Ends it, with the processes that were started for it.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        let _ = self.refreshing.await;
    }
}

/// The critics that the settings bring.
fn further_critics(settings: &Settings) -> Vec<Box<dyn Critic>> {
    if settings.policies.is_empty() {
        return Vec::new();
    }
    vec![Box::new(PolicyCritic::new(settings.policies.clone()))]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[tokio::test]
    async fn validations_have_permits_of_their_own_and_more_are_refused() {
        let variables = HashMap::from([("PLANNER_ENGINE".to_owned(), "embedded".to_owned())]);
        let settings = Settings::load(&variables).unwrap_or_else(|error| panic!("{error}"));
        let service = PlannerService::from_settings(&settings).expect("a service");
        let permits = service.validations.try_acquire_many(MAX_VALIDATIONS as u32).expect("all permits");
        let refused =
            service.validate("[]".into(), PlanRequest::default()).await.expect_err("no permit is left");
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::Overloaded, Some(OVERLOAD_WAIT)));
        assert!(service.lifecycle.try_permit().is_some(), "plans have theirs");
        drop(permits);
        let invalid = service.validate("[]".into(), PlanRequest::default()).await.expect_err("no plan");
        assert_eq!(invalid.code, ErrorCode::InvalidRequest);
    }
}
