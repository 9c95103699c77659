//! `planner-arm mcp`: the tools for an agent host that starts this program.

use tracing::info;

use crate::app::App;
use crate::config::Settings;
use crate::mcp::stdio;
use crate::server::StopSignals;
use crate::telemetry;

/// Serves one client on standard input and output, which carry nothing else: the log goes to standard error.
pub(super) async fn mcp(settings: Settings) -> Result<(), String> {
    let _log = telemetry::init_on_stderr(settings.log_level, settings.log_format, &settings.service_name);
    super::serve::warn_about_engine(settings.engine);
    super::serve::warn_about_unknown(&settings.unknown_variables);
    let app = App::from_settings(&settings)?;
    let signals = StopSignals::listen()?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        engine = settings.engine.as_str(),
        model = &*app.planner.model(),
        environment = settings.environment.as_str(),
        arms = settings.arms.arms().len(),
        "serving MCP on standard input"
    );
    let result = stdio::serve(app.clone(), signals.first()).await;
    app.traces.end().await;
    info!("stopped");
    result
}
