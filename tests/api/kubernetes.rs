//! The manifests in `deploy/kubernetes`: that they agree with each other and with the service.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use planner_arm::config::Settings;
use serde_json::{Value, json};

use crate::support::{TestApp, repository_file, repository_yaml, settings, yaml as yaml_of};

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const SETTINGS: &str = include_str!("../../deploy/kubernetes/settings.env");

const FOLDER: &str = "deploy/kubernetes";

fn text(name: &str) -> String {
    repository_file(&format!("{FOLDER}/{name}"))
}

fn yaml(name: &str) -> Value {
    repository_yaml(&format!("{FOLDER}/{name}"))
}

/// The manifest of this kind among those that are applied.
fn manifest(kind: &str) -> Value {
    let files = yaml("kustomization.yaml")["resources"].take();
    let files = files.as_array().expect("a list").iter().map(|name| yaml(name.as_str().expect("a name")));
    files.into_iter().find(|file| file["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// What pods are made from, and the container in it.
fn pod() -> (Value, Value) {
    let mut pod = manifest("Deployment")["spec"]["template"].take();
    let container = pod["spec"]["containers"][0].take();
    (pod, container)
}

fn seconds(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("seconds: {value}"))
}

/// The settings in `settings.env`, which kustomize reads line by line.
fn variables() -> Vec<(&'static str, &'static str)> {
    let lines = SETTINGS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').expect("NAME=value")).collect()
}

/// The settings that a command which makes the Secret has in it.
fn secrets(command: &str) -> Vec<(&str, &str)> {
    let literals = command.split("--from-literal=").skip(1);
    literals
        .map(|rest| rest.split(|c: char| c.is_whitespace()).next().expect("a word"))
        .map(|word| word.split_once('=').expect("NAME=value"))
        .collect()
}

/// What a pod comes up with.
fn in_force() -> Settings {
    let comment = text("kustomization.yaml");
    let all = variables().into_iter().chain(secrets(&comment)).collect::<Vec<_>>();
    settings(&all).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_manifest_is_applied_and_has_a_known_api() {
    let apis = [
        ("Deployment", "apps/v1"),
        ("Service", "v1"),
        ("HorizontalPodAutoscaler", "autoscaling/v2"),
        ("PodDisruptionBudget", "policy/v1"),
        ("ServiceMonitor", "monitoring.coreos.com/v1"),
    ];
    for (kind, api) in apis {
        let manifest = manifest(kind);
        assert_eq!(manifest["apiVersion"], api, "{kind}");
        assert_eq!(manifest["metadata"]["name"], "planner-arm", "{kind}");
        assert_eq!(manifest["metadata"]["namespace"], Value::Null, "{kind}: the operator's choice");
    }
    let others =
        ["kustomization.yaml", "prometheus-adapter-values.yaml", "prometheus-rule-head.yaml", "settings.env"];
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)).expect("a folder");
    let manifests = files
        .map(|file| file.expect("a file").file_name().into_string().expect("UTF-8"))
        .filter(|name| !others.contains(&name.as_str()));
    let applied = yaml("kustomization.yaml")["resources"].take();
    let mut count = 0;
    for name in manifests {
        assert!(applied.as_array().expect("a list").contains(&json!(name)), "{name} is not applied");
        count += 1;
    }
    assert_eq!((count, applied.as_array().map(Vec::len)), (apis.len(), Some(apis.len())));
}

#[test]
fn all_select_the_pods_of_the_deployment() {
    let own = json!({ "app.kubernetes.io/name": "planner-arm" });
    let (deployment, service) = (manifest("Deployment"), manifest("Service"));
    let (pod, _) = pod();
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &pod["spec"]["topologySpreadConstraints"][1]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(*selector, own);
    }
    // The monitor selects Services.
    assert_eq!(manifest("ServiceMonitor")["spec"]["selector"]["matchLabels"], own);
    for labels in [&pod["metadata"]["labels"], &service["metadata"]["labels"]] {
        assert_eq!(labels["app.kubernetes.io/name"], own["app.kubernetes.io/name"]);
    }
    let scaled = &manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    for key in ["apiVersion", "kind"] {
        assert_eq!(scaled[key], deployment[key]);
    }
    assert_eq!(scaled["name"], deployment["metadata"]["name"]);
}

#[test]
fn the_settings_of_the_deployment_load() {
    let comment = text("kustomization.yaml");
    let names: Vec<String> =
        settings(&[]).expect("settings").shown().iter().map(|(name, _)| format!("PLANNER_{name}")).collect();
    let secret = ["PLANNER_AUTH_TOKENS", "PLANNER_OPENAI_API_KEY", "PLANNER_REDIS_URL"];
    let mut once = HashMap::new();
    for (name, value) in variables() {
        assert!(names.iter().any(|known| known == name), "{name} is no setting");
        assert!(!secret.contains(&name), "{name} belongs into the Secret");
        assert!(once.insert(name, value).is_none(), "{name} is set twice");
    }
    let mut in_secret: Vec<&str> = secrets(&comment).into_iter().map(|(name, _)| name).collect();
    in_secret.sort_unstable();
    assert_eq!(in_secret, secret);
    let loaded = in_force();
    assert_eq!(loaded.unknown_variables, [""; 0]);
    assert_eq!(loaded.auth_tokens.len(), 1, "in production nobody plans without a token");

    let blocks = crate::readme::blocks();
    let command = blocks.iter().find(|(_, block)| block.contains("kubectl create secret"));
    let (_, command) = command.expect("how to create the Secret is documented");
    for (name, _) in secrets(command) {
        assert!(secret.contains(&name), "{name}");
    }
    assert!(command.contains("secret generic planner-arm "), "{command}");
    assert!(comment.contains("secret generic planner-arm "));
    let (_, container) = pod();
    let names =
        json!([{ "configMapRef": { "name": "planner-arm" } }, { "secretRef": { "name": "planner-arm" } }]);
    assert_eq!(container["envFrom"], names);
    assert_eq!(yaml("kustomization.yaml")["configMapGenerator"][0]["name"], "planner-arm");
}

#[tokio::test]
async fn ports_and_paths_are_those_of_the_service() {
    let (_, container) = pod();
    let port = in_force().port;
    assert_eq!(container["ports"], json!([{ "name": "http", "containerPort": port }]));
    let served = &manifest("Service")["spec"]["ports"][0];
    assert_eq!(
        (&served["name"], &served["port"], &served["targetPort"]),
        (&json!("http"), &json!(port), &json!("http"))
    );
    assert!(DOCKERFILE.contains(&format!("\nEXPOSE {port}\n")));

    let app = TestApp::embedded().await;
    let scraped = &manifest("ServiceMonitor")["spec"]["endpoints"][0];
    assert_eq!(scraped["port"], "http");
    assert_eq!(app.get(scraped["path"].as_str().expect("a path")).await.status(), 200);
    for (probe, path) in
        [("startupProbe", "/ready"), ("readinessProbe", "/ready"), ("livenessProbe", "/health")]
    {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "http" }), "{probe}");
        assert_eq!(app.get(path).await.status(), 200, "{probe}");
    }
}

#[test]
fn a_replica_has_time_to_finish_its_plans() {
    let (pod, container) = pod();
    let settings = in_force();
    let until_sigterm = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    // The two seconds are for connections to close.
    let needed = until_sigterm + (settings.shutdown_delay + settings.shutdown_grace).as_secs() + 2;
    assert!(seconds(&pod["spec"]["terminationGracePeriodSeconds"]) > needed, "more than {needed} seconds");
    assert!(settings.shutdown_grace >= settings.timeout, "a plan may take as long as its deadline");
    let rolling = &manifest("Deployment")["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(rolling["maxUnavailable"], 0);
}

#[tokio::test]
async fn the_autoscaler_uses_an_existing_metric() {
    let scaler = manifest("HorizontalPodAutoscaler");
    let metric = &scaler["spec"]["metrics"][0]["pods"];
    let name = metric["metric"]["name"].as_str().expect("a name");
    let metrics = TestApp::embedded().await.get("/metrics").await.text().await.expect("metrics");
    assert!(metrics.contains(&format!("\n# TYPE {name} gauge\n")), "{name}");
    let rule = &yaml("prometheus-adapter-values.yaml")["rules"]["custom"][0];
    assert!(rule["seriesQuery"].as_str().is_some_and(|query| query.starts_with(&format!("{name}{{"))));

    let target: u32 =
        metric["target"]["averageValue"].as_str().and_then(|n| n.parse().ok()).expect("a number");
    assert_eq!(target * 2, in_force().max_concurrent_plans);
    // With less than two replicas the budget would let a drained node take the last.
    assert_eq!((&scaler["spec"]["minReplicas"], &scaler["spec"]["maxReplicas"]), (&json!(2), &json!(20)));
    assert_eq!(manifest("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    assert_eq!(manifest("Deployment")["spec"]["replicas"], Value::Null, "the autoscaler's");
}

#[test]
fn the_container_has_least_privileges() {
    let (pod, container) = pod();
    let image = DOCKERFILE.split("AS planner-arm").last().expect("the image's stage");
    assert!(image.contains("\nUSER 1000:1000\n"));
    assert_eq!(
        pod["spec"]["securityContext"],
        json!({ "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "seccompProfile": { "type": "RuntimeDefault" } })
    );
    assert_eq!(
        container["securityContext"],
        json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } })
    );
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    assert_eq!(pod["spec"]["enableServiceLinks"], false);
    assert_eq!(container["resources"]["limits"], json!({ "memory": "320Mi" }));

    let named = &yaml("kustomization.yaml")["images"][0];
    assert_eq!(container["image"], named["name"]);
    assert_eq!(named["newTag"], env!("CARGO_PKG_VERSION"));
}

/// The documented command that installs the alerts, without the installation.
#[test]
fn the_alerts_become_a_prometheus_rule() {
    let blocks = crate::readme::blocks();
    let command = blocks.iter().find_map(|(_, block)| block.split_once(" | kubectl apply -f -"));
    let command = command.filter(|(command, _)| command.contains("prometheus-rule-head.yaml"));
    let command = command.expect("a documented command").0;
    let output = Command::new("sh").args(["-ec", command]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rule = yaml_of(&String::from_utf8(output.stdout).expect("UTF-8")).expect("YAML");
    assert_eq!(
        (&rule["apiVersion"], &rule["kind"]),
        (&json!("monitoring.coreos.com/v1"), &json!("PrometheusRule"))
    );
    assert_eq!(rule["metadata"], manifest("ServiceMonitor")["metadata"]);
    assert_eq!(rule["spec"], repository_yaml("deploy/prometheus/planner-arm.rules.yml"));
}
