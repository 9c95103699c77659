//! What plans hold that wait for their LLM at the same time.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use comfy_table::Table;
use planner_arm::server::raise_open_file_limit;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::services::{Folder, Service};
use crate::{LINE, align, llm, load};

/// How many plans are asked for at once, and the pause behind them: more would have to wait at the listening socket.
const WAVE: usize = 100;
const PAUSE: Duration = Duration::from_millis(15);

/// What is measured.
pub(crate) struct Setup {
    /// Plans at once.
    pub(crate) plans: usize,
    /// How long the LLM takes for each.
    pub(crate) llm_time: Duration,
    /// How long behind them memory is looked at again.
    pub(crate) later: Duration,
}

/// Resident memory, in MiB.
pub(crate) struct Held {
    plans: usize,
    bad: usize,
    idle: f64,
    most: f64,
    later: f64,
}

/// Measures planner-arm, a process of its own for this.
pub(crate) async fn measure(binary: &Path, folder: &Folder, setup: &Setup) -> Result<Held, String> {
    let needed = 2 * setup.plans as u64 + 100;
    if raise_open_file_limit().is_some_and(|most| most < needed) {
        return Err(format!(
            "{needed} open files are needed: raise the limit (ulimit -Hn), or name fewer plans"
        ));
    }
    let llm = llm::start(setup.llm_time).await.map_err(|error| format!("the LLM: {error}"))?;
    let places = [("PLANNER_MAX_CONCURRENT_PLANS", setup.plans.to_string())];
    let service = Service::planner_arm(binary, folder, llm, &places).await?;
    let held = held_by(&service, setup).await.map_err(|error| format!("{} plans: {error}", setup.plans));
    let ended = service.end().await.map_err(|error| error.to_string());
    held.and_then(|held| ended.map(|()| held))
}

async fn held_by(service: &Service, setup: &Setup) -> io::Result<Held> {
    let plans = setup.plans;
    let idle = service.memory("VmRSS")?;
    let bad = ask(service.address, plans).await?;
    let most = service.memory("VmHWM")?;
    sleep(setup.later).await;
    Ok(Held { plans, bad, idle, most, later: service.memory("VmRSS")? })
}

/// Requests so many plans that none is answered before the last is requested; returns how many failed.
async fn ask(address: SocketAddr, plans: usize) -> io::Result<usize> {
    let mut answers = JoinSet::new();
    for number in 0..plans {
        answers.spawn(load::one(address));
        if number % WAVE == WAVE - 1 {
            sleep(PAUSE).await;
        }
    }
    let (mut last_sent, mut first_answered, mut bad) = (None, None::<Instant>, 0);
    while let Some(answer) = answers.join_next().await {
        let load::One { sent, answered, is_good } = answer.map_err(io::Error::other)??;
        last_sent = last_sent.max(Some(sent));
        first_answered = Some(first_answered.map_or(answered, |first| first.min(answered)));
        bad += usize::from(!is_good);
    }
    if last_sent > first_answered {
        let why = "some were answered before the last was asked for; this machine is too slow, or does other things";
        return Err(io::Error::new(ErrorKind::TimedOut, why));
    }
    Ok(bad)
}

/// A table of it.
pub(crate) fn table(held: &Held) -> Table {
    let Held { plans, bad, idle, most, later } = held;
    let mut table = Table::new();
    table.load_style(LINE).set_header([
        "Plans in flight",
        "Bad",
        "MiB idle",
        "MiB at most",
        "KiB a plan",
        "MiB later",
    ]);
    table.add_row([
        plans.to_string(),
        bad.to_string(),
        format!("{idle:.1}"),
        format!("{most:.1}"),
        format!("{:.1}", (most - idle) * 1024.0 / *plans as f64),
        format!("{later:.1}"),
    ]);
    align(&mut table);
    table
}
