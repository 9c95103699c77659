//! `POST /plan` through all layers of the router, without a network and without logs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use criterion::{BatchSize, Criterion};
use http::{Request, Response, StatusCode};
use planner_arm::app::router;
use planner_arm::config::Settings;
use planner_arm::llm::fallback::CallPolicy;
use planner_arm::llm::{BoxFuture, CallError, CallObserver, ChatModel, Completion, FallbackChain, Prompt};
use planner_arm::planner::Engine;
use planner_arm::service::PlannerService;
use planner_arm::telemetry::metrics::Metrics;
use tower::ServiceExt;

use crate::{clean_answer, ordinary_request};

/// An LLM that answers at once.
struct Instant {
    name: Arc<str>,
    answer: String,
}

impl ChatModel for Instant {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(
        &'a self,
        _: &'a Prompt,
        _: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        let completion = Completion { content: self.answer.clone(), ..Completion::default() };
        Box::pin(std::future::ready(Ok(completion)))
    }
}

fn app() -> Arc<PlannerService> {
    // Without a cache: each request is planned.
    let variables = HashMap::from([("PLANNER_CACHE_TTL_SECONDS".to_owned(), "0".to_owned())]);
    let settings = Settings::load(&variables).expect("good settings");
    let metrics = Metrics::new();
    let model = Instant { name: "instant".into(), answer: clean_answer() };
    let policy = CallPolicy {
        max_attempts: settings.llm_max_attempts,
        breaker_threshold: settings.llm_breaker_threshold,
        breaker_reset: settings.llm_breaker_reset,
        request_time: Duration::from_secs(10),
    };
    let chain = FallbackChain::new(vec![Box::new(model)], &settings.prices, policy, metrics.clone());
    PlannerService::new(&settings, Engine::Llm { chain, fallback: false }, None, metrics).expect("a service")
}

pub(crate) fn plan(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let router = router(app());
    let body = Bytes::from(
        serde_json::json!({ "goal": ordinary_request().goal, "constraints": ordinary_request().constraints })
            .to_string(),
    );
    let request = || {
        let request = Request::post("/plan").header("content-type", "application/json");
        (router.clone(), request.body(Body::from(body.clone())).expect("a request"))
    };
    c.bench_function("POST /plan through all layers without a network", |b| {
        b.iter_batched(
            request,
            |(router, request)| {
                runtime.block_on(async {
                    let response: Response<Body> = router.oneshot(request).await.expect("an answer");
                    assert_eq!(response.status(), StatusCode::OK);
                    to_bytes(response.into_body(), usize::MAX).await.expect("a body")
                })
            },
            BatchSize::SmallInput,
        );
    });
}
