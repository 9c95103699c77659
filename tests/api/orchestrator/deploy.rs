//! The development stack as `docker-compose.dev.yml` describes it.

use planner_arm::orchestrator::Settings;
use serde_json::Value;

use crate::support::repository_yaml;

fn stack() -> Value {
    repository_yaml("docker-compose.dev.yml")
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn every_service_is_checked_and_waits_for_those_that_it_needs() {
    let stack = stack();
    let services = keys(&stack["services"]);
    assert_eq!(
        services,
        ["grafana", "local-llm", "orchestrator", "planner-arm", "postgres", "prometheus", "redis"]
    );
    for name in &services {
        let service = &stack["services"][name];
        assert!(service["healthcheck"]["test"].is_array(), "{name} has a health check");
        assert_eq!(service["networks"], serde_json::json!(["octollm-network"]), "{name}");
        for needed in keys(&service["depends_on"]) {
            assert!(services.contains(&needed), "{name} needs {needed}");
            assert_eq!(
                service["depends_on"][needed]["condition"], "service_healthy",
                "{name} needs {needed}"
            );
        }
    }
    let needs = |name: &str| keys(&stack["services"][name]["depends_on"]);
    assert_eq!(needs("orchestrator"), ["planner-arm", "postgres"]);
    assert_eq!(needs("prometheus"), ["orchestrator", "planner-arm"]);
    assert_eq!(needs("grafana"), ["prometheus"]);
    assert_eq!(stack["services"]["planner-arm"]["depends_on"]["local-llm"]["required"], false);
}

#[test]
fn ports_and_names_are_those_of_octollm() {
    let stack = stack();
    for (service, port) in [
        ("grafana", "127.0.0.1:3000:3000"),
        ("orchestrator", "127.0.0.1:8000:8000"),
        ("planner-arm", "127.0.0.1:8001-8003:8001"),
        ("postgres", "127.0.0.1:15432:5432"),
        ("prometheus", "127.0.0.1:9090:9090"),
    ] {
        assert_eq!(stack["services"][service]["ports"], serde_json::json!([port]), "{service}");
    }
    assert_eq!(stack["networks"]["octollm-network"]["name"], "octollm-network");
    for target in ["names: [planner-arm]", "port: 8001", "orchestrator:8000"] {
        assert!(include_str!("../../../deploy/prometheus/prometheus.yml").contains(target), "{target}");
    }
}

#[test]
fn the_settings_of_the_services_load() {
    let stack = stack();
    let environment = &stack["services"]["orchestrator"]["environment"];
    let known: Vec<String> = Settings::variables().collect();
    let mut variables = std::collections::HashMap::new();
    for name in keys(environment) {
        assert!(known.iter().any(|known| known == name), "{name}");
        let value = environment[name].as_str().map_or_else(|| environment[name].to_string(), str::to_owned);
        // `${NAME:-}` is empty unless somebody sets it.
        variables.insert(name.to_owned(), if value.starts_with("${") { String::new() } else { value });
    }
    let settings = Settings::load(&variables).expect("good settings");
    assert_eq!((settings.port, settings.planner_arm_url.as_str()), (8000, "http://planner-arm:8001"));
    assert_eq!(settings.database.to_string(), "postgresql://********@postgres:5432/octollm");
}
