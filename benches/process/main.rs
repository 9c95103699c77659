//! What one plan costs a whole process: planner-arm compared with nginx that forwards the same calls to the
//! same LLM, with a skeleton of the same crates that only forwards goals, and with a service in Python (`--fastapi`).
//! The LLM answers at once, so that nothing but the service is measured. Then the memory that thousands of plans hold
//! while they wait for a slow LLM.
//!
//! `cargo bench --bench process`. The figures to trust are processor time for each plan and its ratios to the
//! proxy's and the skeleton's; throughput and latency share the machine with the load and the LLM, which are this process.

mod fastapi;
mod held;
mod llm;
mod load;
mod services;
mod skeleton;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use tokio::signal::unix::{SignalKind, signal};

use load::Goals;
use services::{Folder, Service};

/// What one plan costs planner-arm, and a proxy that passes the same calls through.
#[derive(Parser)]
struct Arguments {
    /// Times that everything is measured; the medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for each row in each round.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Plans that wait for a slow LLM at the same time.
    #[arg(long, default_value_t = 5_000)]
    in_flight: usize,
    /// Measures the same service in Python too; its packages are installed into a temporary folder.
    #[arg(long)]
    fastapi: bool,
    /// One round of a second, and few plans in flight: whether it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Set by `cargo bench`; without it (`cargo test --benches`) it is quick.
    #[arg(long, hide = true)]
    bench: bool,
    /// Serves as the skeleton before the LLM at this address, for a benchmark that measures it.
    #[arg(long, hide = true)]
    skeleton: Option<std::net::SocketAddr>,
}

impl Arguments {
    fn held(&self) -> held::Setup {
        let (llm_time, later) = if self.quick { (1, 0) } else { (3, 60) };
        held::Setup {
            plans: self.in_flight,
            llm_time: Duration::from_secs(llm_time),
            later: Duration::from_secs(later),
        }
    }
}

/// One row of the table.
struct Case {
    name: &'static str,
    subject: Subject,
    connections: usize,
    goals: Goals,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Proxy,
    Skeleton,
    FastApi,
    PlannerArm,
}

/// Proxy and skeleton come before the rows that are compared with them.
const SUBJECTS: [(&str, Subject, Goals); 5] = [
    ("nginx, forwarding", Subject::Proxy, Goals::New),
    ("axum and async-openai alone", Subject::Skeleton, Goals::New),
    ("FastAPI and openai", Subject::FastApi, Goals::New),
    ("planner-arm, new goals", Subject::PlannerArm, Goals::New),
    ("planner-arm, the same goal", Subject::PlannerArm, Goals::Same),
];

const CONNECTIONS: [usize; 2] = [32, 1];

/// A row for each number of connections and each of these services.
fn cases(services: &BTreeMap<Subject, Service>) -> impl Iterator<Item = Case> {
    let rows = CONNECTIONS.iter().flat_map(|connections| SUBJECTS.map(|subject| (*connections, subject)));
    rows.filter(|(_, (_, subject, _))| services.contains_key(subject))
        .map(|(connections, (name, subject, goals))| Case { name, subject, connections, goals })
}

/// One case in one round.
struct Measurement {
    /// Processor time of the service for each plan, in microseconds.
    micros: f64,
    per_second: f64,
    /// In milliseconds, at the nearest rank.
    p50: f64,
    p99: f64,
    /// Resident, in MiB.
    memory: f64,
    bad: usize,
    cache: BTreeSet<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    arguments.quick |= !arguments.bench;
    if arguments.quick {
        (arguments.rounds, arguments.seconds, arguments.in_flight) = (1, 1.0, 200);
    }
    if let Some(llm) = arguments.skeleton {
        return skeleton::serve(llm).await.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    // Whichever way it ends, the services are dropped, and so killed.
    let ended = tokio::select! {
        ended = run(&arguments) => ended,
        signal = stopped() => Err(signal),
    };
    ended.map_or_else(
        |why| {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn stopped() -> String {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return "cannot listen for signals".into();
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    "stopped".into()
}

#[expect(clippy::print_stdout, reason = "the result")]
async fn run(arguments: &Arguments) -> Result<(), String> {
    if !Path::new("/proc/self/stat").exists() {
        return Err("processor time is read from /proc, which only Linux has".into());
    }
    if arguments.rounds == 0 || arguments.in_flight == 0 || !(0.1..=600.0).contains(&arguments.seconds) {
        return Err("--rounds and --in-flight must be at least 1, --seconds from 0.1 to 600".into());
    }
    let binary = binary();
    if binary.components().any(|part| part.as_os_str() == OsStr::new("debug")) {
        println!("{} is no release build: its figures say nothing.", binary.display());
    }
    let llm = llm::start(Duration::ZERO).await.map_err(|error| format!("the LLM: {error}"))?;
    // Dropped last.
    let folder = Folder::new()?;
    let mut services = BTreeMap::from([
        (Subject::Proxy, Service::nginx(&folder, llm).await?),
        (Subject::Skeleton, Service::skeleton(&folder, llm).await?),
        (Subject::PlannerArm, Service::planner_arm(&binary, &folder, llm, &[]).await?),
    ]);
    if arguments.fastapi {
        match fastapi::install(&folder).await {
            Ok(python) => {
                services.insert(Subject::FastApi, Service::fastapi(&python, &folder, llm).await?);
            }
            Err(why) => println!("FastAPI is left out, since its packages cannot be installed: {why}"),
        }
    }

    let time = Duration::from_secs_f64(arguments.seconds);
    let mut rows: Vec<(Case, Vec<Measurement>)> = cases(&services).map(|case| (case, Vec::new())).collect();
    for round in 1..=arguments.rounds {
        // Rounds one after the other, so that a slow spell of the machine hits all cases alike.
        for (case, row) in &mut rows {
            eprintln!("round {round}: {}, {} at once", case.name, case.connections);
            let measured = measure(&services[&case.subject], case, time).await;
            row.push(measured.map_err(|error| format!("{}: {error}", case.name))?);
        }
    }
    for service in services.into_values() {
        service.end().await.map_err(|error| error.to_string())?;
    }
    println!("{}", table(&rows));
    let held = held::measure(&binary, &folder, &arguments.held()).await?;
    println!("\n{}", held::table(&held));
    Ok(())
}

/// The binary that Cargo has built together with this benchmark, in the same profile, unless another is named.
fn binary() -> PathBuf {
    std::env::var_os("PLANNER_BENCH_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_planner-arm").into(), PathBuf::from)
}

async fn measure(service: &Service, case: &Case, time: Duration) -> std::io::Result<Measurement> {
    let drive = |time| load::drive(service.address, case.connections, case.goals, time);
    drive(time / 10).await?;
    service.cut_log()?;
    let before = service.processor_seconds()?;
    let answers = drive(time).await?;
    let spent = service.processor_seconds()? - before;
    let count = answers.took.len() as f64;
    let rank = |share: f64| answers.took[(share * count).ceil() as usize - 1].as_secs_f64() * 1e3;
    Ok(Measurement {
        micros: spent * 1e6 / count,
        per_second: count / answers.elapsed.as_secs_f64(),
        p50: rank(0.5),
        p99: rank(0.99),
        memory: service.memory("VmRSS")?,
        bad: answers.bad,
        cache: answers.cache,
    })
}

/// One line below the header.
const LINE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Medians over the rounds.
fn table(rows: &[(Case, Vec<Measurement>)]) -> Table {
    let mut table = Table::new();
    table.load_style(LINE).set_header([
        "Service",
        "At once",
        "Processor µs a plan",
        "× proxy",
        "× skeleton",
        "Plans/s",
        "p50 ms",
        "p99 ms",
        "MiB",
        "Bad",
        "Cache",
    ]);
    let (mut proxy, mut skeleton) = (f64::NAN, f64::NAN);
    for (case, row) in rows {
        let middle = |value: fn(&Measurement) -> f64| median(row.iter().map(value).collect());
        let micros = middle(|m| m.micros);
        match case.subject {
            Subject::Proxy => (proxy, skeleton) = (micros, f64::NAN),
            Subject::Skeleton => skeleton = micros,
            Subject::FastApi | Subject::PlannerArm => {}
        }
        let cache: BTreeSet<&str> = row.iter().flat_map(|m| &m.cache).map(String::as_str).collect();
        table.add_row([
            case.name.to_owned(),
            case.connections.to_string(),
            format!("{micros:.1}"),
            format!("{:.2}", micros / proxy),
            if skeleton.is_nan() { "-".to_owned() } else { format!("{:.2}", micros / skeleton) },
            format!("{:.0}", middle(|m| m.per_second)),
            format!("{:.2}", middle(|m| m.p50)),
            format!("{:.2}", middle(|m| m.p99)),
            format!("{:.1}", middle(|m| m.memory)),
            row.iter().map(|m| m.bad).sum::<usize>().to_string(),
            cache.into_iter().collect::<Vec<_>>().join(", "),
        ]);
    }
    align(&mut table);
    table
}

/// Numbers to the right.
fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
