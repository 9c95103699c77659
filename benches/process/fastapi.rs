//! The same service in Python, for comparison: `FastAPI`, pydantic and the official OpenAI client (`fastapi_service.py`).

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::services::Folder;

/// Current in November 2026; uvicorn with its faster event loop and parser.
const PACKAGES: [&str; 3] = ["fastapi==0.165.0", "uvicorn[standard]==0.54.0", "openai==3.57.0"];

/// A Python with the packages, in a virtual environment that is gone with `folder`.
///
/// # Errors
/// Why there is none.
pub(crate) async fn install(folder: &Folder) -> Result<PathBuf, String> {
    let environment = folder.path().join("python");
    let mut command = Command::new("python3");
    run("python3 -m venv", command.args(["-m", "venv"]).arg(&environment)).await?;
    let python = environment.join("bin/python");
    let mut command = Command::new(&python);
    run("pip install", command.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES)).await?;
    Ok(python)
}

async fn run(name: &str, command: &mut Command) -> Result<(), String> {
    let finished = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let Output { status, stdout, stderr } = finished.map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let output = [stdout, stderr].concat();
    let output = String::from_utf8_lossy(&output);
    Err(format!("{name}: {}", output.trim().lines().last().unwrap_or("it failed")))
}
