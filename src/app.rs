//! The composition root: the front ends put together over one service, and the commands that serve.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use tracing::{info, warn};

use crate::config::{self, Environment, LocalLlm, PREFIX, Settings};
use crate::server::lifecycle::Phase;
use crate::server::observe::observe;
use crate::server::request::X_REQUEST_ID;
use crate::server::{self, StopSignals};
use crate::service::PlannerService;
use crate::{cli, http, mcp, telemetry};

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    cli::run(serve_http, serve_mcp)
}

/// Serves plans on `listener` until `stop` resolves; then lets plans in flight finish for up to `grace`.
///
/// While it drains, `/ready` answers 503 and new plans get 503 `shutting_down`.
pub async fn serve(
    listener: TcpListener,
    service: Arc<PlannerService>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    service.planner.prepare();
    let housekeeper = service.clone();
    let housekeeping = tokio::spawn(async move { housekeeper.housekeeping().await });
    let arms = service.refresh_arms().await;
    server::serve(listener, router(service.clone()), &service.lifecycle, grace, stop).await;
    arms.end().await;
    housekeeping.abort();
    service.traces.end().await;
    info!("stopped");
}

/// All routes with their middleware. Binds no port, so that tests can use it too.
pub fn router(service: Arc<PlannerService>) -> Router {
    let catcher = service.clone();
    let router = http::api_router()
        .merge(mcp::http::routes(&service))
        // Inside `observe`, so that a panic has a request id, a log line and its metrics.
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
            http::panic_response(&catcher, &*panic)
        }));
    // Outside the handlers, since preflight requests reach none of them.
    let router = if service.cors_allowed_origins.is_empty() {
        router
    } else {
        router.layer(cors(&service.cors_allowed_origins))
    };
    router
        // Outermost, so that every request is observed and every response has its id.
        .layer(middleware::from_fn_with_state(service.clone(), observe::<PlannerService>))
        .with_state(service)
}

/// Lets pages of `origins` call, and read our headers.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods(AllowMethods::list([::http::Method::GET, ::http::Method::POST]))
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(
            [::http::header::RETRY_AFTER, X_REQUEST_ID]
                .into_iter()
                .chain(http::PLAN_HEADERS)
                .chain(http::LIMIT_HEADERS),
        ))
        .max_age(Duration::from_secs(3_600))
}

/// `planner-arm serve`: serves until SIGTERM or SIGINT.
async fn serve_http(settings: Settings) -> Result<(), String> {
    let _log = telemetry::init(settings.log_level, settings.log_format, &settings.service_name);
    warn_about(&settings);
    server::raise_open_file_limit();
    let service = PlannerService::from_settings(&settings)?;
    let listener = server::bind(&settings.host, settings.port, PREFIX).await?;
    let signals = StopSignals::listen()?;
    let on_second = service.clone();
    signals.on_second(move || on_second.lifecycle.enter(Phase::Aborting));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %listener.local_addr().map_err(|error| error.to_string())?,
        engine = settings.engine.as_str(),
        model = &*service.planner.model(),
        environment = settings.environment.as_str(),
        arms = settings.arms.arms().len(),
        "listening"
    );
    let announcing = service.clone();
    let stop = async move {
        signals.first().await;
        if !settings.shutdown_delay.is_zero() {
            let delay_seconds = settings.shutdown_delay.as_secs_f64();
            info!(delay_seconds, "shutting down: /ready returns 503, plans are still accepted");
        }
        announcing.lifecycle.announce_shutdown(settings.shutdown_delay).await;
    };
    serve(listener, service, settings.shutdown_grace, stop).await;
    Ok(())
}

/// `planner-arm mcp`: serves one client on standard input and output, which carry nothing else; the log goes to
/// standard error.
async fn serve_mcp(settings: Settings) -> Result<(), String> {
    let _log = telemetry::init_on_stderr(settings.log_level, settings.log_format, &settings.service_name);
    log_model_notice(&settings);
    config::warn_about_unknown(&settings.unknown_variables);
    let service = PlannerService::from_settings(&settings)?;
    service.planner.prepare();
    let signals = StopSignals::listen()?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        engine = settings.engine.as_str(),
        model = &*service.planner.model(),
        environment = settings.environment.as_str(),
        arms = settings.arms.arms().len(),
        "serving MCP on standard input"
    );
    let arms = service.refresh_arms().await;
    let result = mcp::stdio::serve(service.clone(), signals.first()).await;
    arms.end().await;
    service.traces.end().await;
    info!("stopped");
    result
}

/// Warns about settings that an operator might not have intended.
fn warn_about(settings: &Settings) {
    log_model_notice(settings);
    if settings.auth_tokens.is_empty() && settings.environment != Environment::Development {
        warn!(
            "no bearer token is required: anyone who can reach this service can use /plan and /mcp; set PLANNER_AUTH_TOKENS to require one"
        );
    }
    config::warn_about_unknown(&settings.unknown_variables);
}

/// Logs which model makes the plans if none was configured.
fn log_model_notice(settings: &Settings) {
    match (settings.model_notice(), &settings.local_llm) {
        (Some(notice), LocalLlm::Found(_)) => info!("{notice}"),
        (Some(notice), _) => warn!("{notice}"),
        (None, _) => {}
    }
}
