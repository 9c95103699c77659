//! An LLM that answers every call after the same time, with the same plan of five steps.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::wire::Connection;

/// Serves on a free port for as long as the process lives; each answer takes it `time`.
pub(crate) async fn start(time: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer: Arc<[u8]> = answer().into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that breaks is the caller's to report.
            tokio::spawn(serve(stream, answer.clone(), time));
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream, answer: Arc<[u8]>, time: Duration) -> io::Result<()> {
    let mut connection = Connection::over(stream)?;
    while connection.receive().await?.is_some() {
        if !time.is_zero() {
            sleep(time).await;
        }
        connection.send(&answer).await?;
    }
    Ok(())
}

fn answer() -> Vec<u8> {
    let step =
        |n: u32, arm: &str, action: &str, criteria: [&str; 2], needs: &[u32], tier: u8, seconds: u32| {
            json!({
                "step": n, "action": action, "required_arm": arm, "acceptance_criteria": criteria,
                "depends_on": needs, "estimated_cost_tier": tier, "estimated_duration_seconds": seconds,
            })
        };
    let plan = json!({
        "plan": [
            step(1, "retriever", "Search the code for what the goal touches", ["Files are listed", "Callers are known"], &[], 1, 20),
            step(2, "coder", "Write the change", ["It compiles", "It follows the style of the code"], &[1], 3, 60),
            step(3, "coder", "Write tests for the change", ["Edge cases are covered", "They fail without it"], &[1], 3, 45),
            step(4, "executor", "Run the whole test suite", ["All tests pass", "The output is kept"], &[2, 3], 2, 90),
            step(5, "judge", "Verify the result against every constraint", ["Each is checked", "None is broken"], &[4], 2, 30),
        ],
        "rationale": "Gather context, change, test, run, verify.",
        "confidence": 0.88,
    });
    let completion = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "instant",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": plan.to_string() }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 420, "completion_tokens": 510, "total_tokens": 930 },
    })
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    format!("{head} {}\r\n\r\n{completion}", completion.len()).into_bytes()
}
