//! What both programs do as processes: how they end, and the health check for containers without curl.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds when `url` answers with a success.
pub(crate) async fn healthcheck(url: &str) -> Result<(), String> {
    let client = crate::http_client::client_builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| format!("the HTTP client cannot be set up: {error}"))?;
    match client.get(url).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{url} answered {}", response.status())),
        Err(error) if error.is_builder() => Err(format!("{url} is not an http URL")),
        Err(error) if error.is_timeout() => {
            Err(format!("{url} did not answer within {} s", PATIENCE.as_secs()))
        }
        Err(_) => Err(format!("{url} cannot be reached; is the service running?")),
    }
}

/// How `program` ends: when it failed with `code`, and with what went wrong on standard error.
pub(crate) fn exit_as(program: &str, outcome: Result<(), String>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{program}: {what}");
            ExitCode::from(code)
        }
    }
}
