//! Settings and command line of the orchestrator, run as an operator runs it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::cli::{bare, outcome};

use super::support::{Api, TestDatabase, TestOrchestrator, settings};

/// The binary with these settings alone, named without their prefix.
pub fn binary(variables: &[(&str, &str)]) -> Command {
    let mut command = bare(env!("CARGO_BIN_EXE_orchestrator"));
    command.envs(variables.iter().map(|(name, value)| (format!("ORCHESTRATOR_{name}"), *value)));
    command
}

/// Runs the binary: exit code, standard output, standard error.
async fn run(variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    outcome(binary(variables).args(arguments)).await
}

#[test]
fn the_defaults_are_those_of_a_deployment() {
    let settings = settings(&[("PORT", "")]).expect("settings");
    assert_eq!(settings.database.to_string(), "sqlite://orchestrator.db");
    assert_eq!(settings.planner_arm_url, "http://planner-arm:8001");
    let planner = &settings.planner_arm;
    assert_eq!((planner.timeout, planner.max_retries), (Duration::from_secs(10), 3));
    assert_eq!((planner.breaker_threshold, planner.breaker_reset), (5, Duration::from_secs(60)));
    assert!(planner.token.is_none());
    assert_eq!((settings.host.as_str(), settings.port), ("0.0.0.0", 8000));
    assert_eq!(settings.max_concurrent_tasks, 32);
}

#[test]
fn every_bad_setting_is_named_and_no_secret_is_shown() {
    let faults = settings(&[
        ("DATABASE_URL", "mysql://user:canary@host/tasks"),
        ("PLANNER_ARM_URL", "http://user:canary@planner-arm:8001"),
        ("PLANNER_ARM_TIMEOUT", "0.5"),
        ("PLANNER_ARM_MAX_RETRIES", "11"),
        ("PLANNER_ARM_CIRCUIT_BREAKER_THRESHOLD", "0"),
        ("PLANNER_ARM_CIRCUIT_BREAKER_RESET_TIMEOUT", "601"),
        ("PLANNER_ARM_TOKEN", "canary canary"),
        ("MAX_CONCURRENT_TASKS", "0"),
        ("PORT", "x"),
        ("SHUTDOWN_GRACE_SECONDS", "-1"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ])
    .expect_err("bad settings");
    insta::assert_snapshot!(faults.join("\n"), @r#"
    ORCHESTRATOR_DATABASE_URL is "mysql://********@host/tasks"; it must be sqlite://FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE
    ORCHESTRATOR_PLANNER_ARM_URL is "http://********@planner-arm:8001/"; it must be an http or https URL without user, password and query, such as http://planner-arm:8001
    ORCHESTRATOR_PLANNER_ARM_TIMEOUT is "0.5"; it must be a number from 1 to 60
    ORCHESTRATOR_PLANNER_ARM_MAX_RETRIES is "11"; it must be a whole number from 1 to 10
    ORCHESTRATOR_PLANNER_ARM_CIRCUIT_BREAKER_THRESHOLD is "0"; it must be a whole number from 1 to 20
    ORCHESTRATOR_PLANNER_ARM_CIRCUIT_BREAKER_RESET_TIMEOUT is "601"; it must be a number from 1 to 600
    ORCHESTRATOR_PLANNER_ARM_TOKEN has a space or a special character in it; it must be the bare token
    ORCHESTRATOR_MAX_CONCURRENT_TASKS is "0"; it must be a whole number from 1 to 1000
    ORCHESTRATOR_PORT is "x"; it must be a whole number from 0 to 65535
    ORCHESTRATOR_SHUTDOWN_GRACE_SECONDS is "-1"; it must be a number from 0 to 3600
    ORCHESTRATOR_LOG_LEVEL is "loud"; it must be one of error, warn, info, debug, trace
    ORCHESTRATOR_LOG_FORMAT is "xml"; it must be one of pretty, json
    "#);
}

#[test]
fn a_database_is_a_file_or_a_postgresql_server() {
    let database = |url| settings(&[("DATABASE_URL", url)]).map(|settings| settings.database.to_string());
    for (url, shown) in [
        ("sqlite:tasks.db", "sqlite:tasks.db"),
        ("sqlite:///var/lib/orchestrator/tasks.db", "sqlite:///var/lib/orchestrator/tasks.db"),
        ("postgres://octollm@db/octollm", "postgres://********@db/octollm"),
        ("postgresql://octollm:canary@db:5432/octollm", "postgresql://********@db:5432/octollm"),
    ] {
        assert_eq!(database(url).as_deref(), Ok(shown));
    }
    for url in ["sqlite::memory:", "sqlite://?mode=memory", "sqlite://", "postgresql://:x", "tasks.db"] {
        assert!(database(url).is_err(), "{url}");
    }
}

#[test]
fn no_part_of_a_password_is_shown() {
    for url in [
        "postgresql://u:top?canary@h/db",
        "postgresql://octollm:canary",
        "mysql://u:can@ary?canary@h/db",
        "postgresql://u:canary@h:port/db",
    ] {
        let shown = match settings(&[("DATABASE_URL", url)]) {
            Ok(settings) => format!("{settings:?} {}", settings.database),
            Err(faults) => faults.concat(),
        };
        assert!(!shown.contains("canary") && !shown.contains("top"), "{shown}");
    }
}

#[tokio::test]
async fn bad_settings_end_with_78_and_one_message() {
    let (code, out, err) = run(&[("PORT", "x"), ("DATABASE_URL", "tasks.db")], &[]).await;
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("ORCHESTRATOR_PORT") && err.contains("ORCHESTRATOR_DATABASE_URL"), "{err}");
}

#[tokio::test]
async fn an_unusable_database_is_reported_in_one_sentence() {
    let listen = [("HOST", "127.0.0.1"), ("PORT", "0")];
    let missing = [("DATABASE_URL", "sqlite:///nowhere/at/all/tasks.db")];
    let (code, _, err) = run(&[&listen[..], &missing].concat(), &[]).await;
    assert_eq!(code, 1);
    assert!(
        err.starts_with("orchestrator: cannot use the database sqlite:///nowhere/at/all/tasks.db ("),
        "{err}"
    );
    assert!(err.contains("check ORCHESTRATOR_DATABASE_URL"), "{err}");
}

#[tokio::test]
async fn a_health_check_ends_with_0_or_1() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, "http://127.0.0.1:9").await;
    let url = orchestrator.api.url("/health");
    assert_eq!(run(&[], &["healthcheck", &url]).await.0, 0);
    let port = url::Url::parse(&url).expect("a URL").port().expect("a port").to_string();
    assert_eq!(run(&[("PORT", &port)], &["healthcheck"]).await.0, 0, "found by its settings");
    assert_eq!(run(&[], &["healthcheck", "http://127.0.0.1:9/health"]).await.0, 1);
}

#[tokio::test]
async fn the_program_has_help() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["healthcheck", "--help"]] {
        let (code, out, _) = run(&[], arguments).await;
        assert_eq!(code, 0, "{arguments:?}");
        assert!(out.contains("Usage: orchestrator"), "{out}");
    }
    assert!(run(&[], &["--version"]).await.1.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn health_checks_and_scrapes_are_logged_at_debug_level() {
    let database = TestDatabase::sqlite();
    for (level, expected) in
        [("info", &["/tasks"][..]), ("debug", &["/health", "/ready", "/metrics", "/tasks"])]
    {
        let variables = [
            ("DATABASE_URL", database.url.as_str()),
            ("PLANNER_ARM_URL", "http://127.0.0.1:9"),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", level),
        ];
        let mut running = binary(&variables).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(running.stdout.take().expect("its log")).lines();
        let mut next_line = async || -> Value {
            let line = lines.next_line().await.expect("a line").expect("one more line");
            serde_json::from_str(&line).expect("JSON")
        };
        let api = loop {
            if let Some(address) = next_line().await["address"].as_str() {
                break Api::at(&format!("http://{address}"));
            }
        };
        for path in ["/health", "/ready", "/metrics", "/tasks"] {
            assert_eq!(api.get(path).await.status(), 200, "{path}");
        }
        let mut routes = Vec::new();
        while routes.last().is_none_or(|route| route != "/tasks") {
            routes.extend(next_line().await["route"].as_str().map(str::to_owned));
        }
        assert_eq!(routes, expected, "{level}");
        running.kill().await.expect("it ran until now");
    }
}

#[tokio::test]
async fn the_help_says_what_each_setting_does() {
    let (code, help, _) = run(&[], &["--help"]).await;
    assert_eq!(code, 0);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for setting in planner_arm::orchestrator::SETTINGS {
        assert!(help.contains(&format!("ORCHESTRATOR_{} {}", setting.name, setting.about)), "{help}");
    }
}
