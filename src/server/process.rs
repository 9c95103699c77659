//! What both programs share as processes: exit codes, and the health check for containers without curl.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Succeeds when `url` answers with a success status.
pub(crate) async fn healthcheck(url: &str) -> Result<(), String> {
    let client = crate::http_client::client_builder()
        .no_proxy()
        .timeout(HEALTHCHECK_TIMEOUT)
        .build()
        .map_err(|error| format!("the HTTP client cannot be set up: {error}"))?;
    match client.get(url).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{url} answered {}", response.status())),
        Err(error) if error.is_builder() => {
            Err(format!("{url} is not an http URL such as http://localhost:8001/health"))
        }
        Err(error) if error.is_timeout() => {
            Err(format!("{url} did not answer within {} s", HEALTHCHECK_TIMEOUT.as_secs()))
        }
        Err(_) => Err(format!("{url} cannot be reached; is the service running?")),
    }
}

/// The exit code of `program`: `code` when it failed, after the error was printed to standard error.
pub(crate) fn exit_as(program: &str, outcome: Result<(), String>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{program}: {what}");
            ExitCode::from(code)
        }
    }
}
