//! `planner-arm serve`: the service.

use tracing::{info, warn};

use crate::app::App;
use crate::config::{Environment, PREFIX, Settings};
use crate::lifecycle::Phase;
use crate::planner::EngineKind;
use crate::server::{self, StopSignals};
use crate::telemetry;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(settings: Settings) -> Result<(), String> {
    let _log = telemetry::init(settings.log_level, settings.log_format, &settings.service_name);
    warn_about(&settings);
    server::allow_all_files();
    let app = App::from_settings(&settings)?;
    let listener = server::bind(&settings.host, settings.port, PREFIX).await?;
    let signals = StopSignals::listen()?;
    let hurried = app.clone();
    signals.on_second(move || hurried.lifecycle.enter(Phase::Over));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %listener.local_addr().map_err(|error| error.to_string())?,
        engine = settings.engine.as_str(),
        model = &*app.planner.model(),
        environment = settings.environment.as_str(),
        arms = settings.arms.arms().len(),
        "listening"
    );
    let leaving = app.clone();
    let stop = async move {
        signals.first().await;
        if !settings.shutdown_delay.is_zero() {
            let delay_seconds = settings.shutdown_delay.as_secs_f64();
            info!(delay_seconds, "going to stop: /ready says 503, plans are made still");
        }
        leaving.lifecycle.leave(settings.shutdown_delay).await;
    };
    server::run(listener, app, settings.shutdown_grace, stop).await;
    Ok(())
}

/// What an operator should know and might not have meant.
fn warn_about(settings: &Settings) {
    warn_about_engine(settings.engine);
    if settings.auth_tokens.is_empty() && settings.environment != Environment::Development {
        warn!(
            "/plan is open to everybody who can reach it, and so is /mcp; set PLANNER_AUTH_TOKENS to close both"
        );
    }
    warn_about_unknown(&settings.unknown_variables);
}

/// Plans that no LLM makes.
pub(super) fn warn_about_engine(engine: EngineKind) {
    if engine == EngineKind::Embedded {
        warn!(
            "no LLM: plans come from the embedded planner's rules; set PLANNER_OPENAI_API_KEY or PLANNER_LLM_BASE_URL for a model"
        );
    }
}

/// Variables that look like settings and are none.
pub(crate) fn warn_about_unknown(variables: &[String]) {
    if !variables.is_empty() {
        let variables = variables.join(",");
        warn!(variables, "these variables mean nothing; check their spelling");
    }
}
