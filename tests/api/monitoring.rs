//! Alert rules and dashboard: that what they ask Prometheus for is what the service exposes.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::support::{
    FakeLlm, Reply, TempFile, TestApp, good_plan, repository_file, repository_yaml, settings, step,
};

/// The labels of a metric with their values.
type Labels = BTreeMap<String, BTreeSet<String>>;

const RULES: &str = "deploy/prometheus/planner-arm.rules.yml";
const DASHBOARD: &str = "deploy/grafana/dashboards/planner-arm.json";

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}"))
}

fn rules() -> Vec<Value> {
    let groups = repository_yaml(RULES)["groups"].take();
    list(&groups).iter().flat_map(|group| list(&group["rules"]).clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&repository_file(DASHBOARD)).expect("JSON")
}

/// The names behind `before` in `template`.
fn names_after<'a>(template: &'a str, before: &str) -> Vec<&'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let rest = template.split(before).skip(1);
    rest.map(|rest| rest.split(|c| !is_name(c)).next().expect("a first part")).collect()
}

/// Labels with the values that they are compared with.
type Matchers = Vec<(String, Vec<String>)>;

/// What an expression asks Prometheus for. That it is well formed is for promtool to check.
struct Query {
    /// Metrics, with the labels that they are selected by and the values of these.
    selectors: Vec<(String, Matchers)>,
    /// The labels that it names to keep or to match by.
    kept: Vec<String>,
}

fn read(expression: &str) -> Query {
    let regex = |pattern| Regex::new(pattern).expect("a pattern");
    let metric = regex(r"\b((?:\w+:)?(?:planner|process)_\w+(?::\w+)?|up|ALERTS)\b(?:\{([^}]*)\})?");
    let matcher = regex(r#"(\w+)(?:=~|!~|!=|=)"([^"]*)""#);
    let list = regex(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)");
    let matchers = |text: &str| {
        let pairs = matcher
            .captures_iter(text)
            .map(|pair| (pair[1].to_owned(), pair[2].split('|').map(str::to_owned).collect::<Vec<_>>()));
        pairs.collect()
    };
    let selectors = metric
        .captures_iter(expression)
        .map(|found| (found[1].to_owned(), matchers(found.get(2).map_or("", |labels| labels.as_str()))));
    let kept = list.captures_iter(expression).flat_map(|found| {
        let labels = found[1].split(',').map(|label| label.trim().to_owned());
        labels.filter(|label| !label.is_empty()).collect::<Vec<_>>()
    });
    Query { selectors: selectors.collect(), kept: kept.collect() }
}

/// An expression with its place, and the labels that are shown of its result.
struct Asked {
    place: String,
    query: Query,
    shown: Vec<String>,
}

fn asked(place: &str, expression: &str, shown: Vec<&str>) -> Asked {
    let shown = shown.into_iter().map(str::to_owned).collect();
    Asked { place: place.to_owned(), query: read(expression), shown }
}

fn asked_by_rules() -> Vec<Asked> {
    let rules = rules().into_iter().map(|rule| {
        let annotations = rule["annotations"].to_string();
        let name = rule["alert"].as_str().or(rule["record"].as_str()).expect("a name");
        asked(name, text(&rule["expr"]), names_after(&annotations, "$labels."))
    });
    rules.collect()
}

fn asked_by_dashboard() -> Vec<Asked> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for panel in list(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row") {
        for target in list(&panel["targets"]) {
            let shown = names_after(text(&target["legendFormat"]), "{{");
            all.push(asked(text(&panel["title"]), text(&target["expr"]), shown));
        }
    }
    for variable in list(&dashboard["templating"]["list"]).iter().filter(|one| one["type"] == "query") {
        let query = text(&variable["query"]["query"]);
        let (series, label) = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(")")?.rsplit_once(", "))
            .unwrap_or_else(|| panic!("{query}"));
        all.push(asked(query, series, vec![label]));
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        let shown = names_after(text(&annotation["titleFormat"]), "{{");
        all.push(asked(text(&annotation["name"]), text(&annotation["expr"]), shown));
    }
    all
}

/// Reads Prometheus's text format into `metrics`.
fn take_in(exposed: &str, metrics: &mut BTreeMap<String, Labels>) {
    for line in exposed.lines().filter(|line| !line.starts_with('#')) {
        let (series, _value) = line.rsplit_once(' ').expect("a series and its value");
        for (metric, matchers) in read(series).selectors {
            let labels = metrics.entry(metric).or_default();
            for (label, values) in matchers {
                labels.entry(label).or_default().extend(values);
            }
        }
    }
}

/// Everything that Prometheus knows of a service to which all has happened that is counted.
async fn known() -> BTreeMap<String, Labels> {
    let refusal = json!({"error": {"message": "'response_format.json_schema' is not supported"}});
    let mut odd = good_plan();
    odd["plan"][0]["required_arm"] = json!("Retriever");
    let mut repeated = good_plan();
    repeated["plan"][1] = step(2, "coder", "Search the codebase for what the goal touches", &[1], 3, 60);
    let llm = FakeLlm::start([
        Reply::Status(400, vec![], refusal),
        Reply::status(500),
        Reply::plan(&repeated),
        Reply::plan(&odd),
        Reply::status(500),
        Reply::status(500),
        Reply::status(500),
        Reply::Never,
    ])
    .await;
    let sources = TempFile::new("planner.yaml", "arm_sources:\n  - mcp: http://127.0.0.1:1/mcp\n");
    let app = TestApp::with_llm(
        &llm,
        &[
            ("PLANNER_CONFIG_FILE", &sources.path),
            ("PLANNER_LLM_MODEL", "gpt-3.5-turbo"),
            ("PLANNER_FALLBACK_ENGINE", "embedded"),
            ("PLANNER_RATE_LIMIT_PER_MINUTE", "3"),
            ("PLANNER_REDIS_URL", "redis://127.0.0.1:1"),
        ],
    )
    .await;
    app.planned(&json!({ "goal": "Fix it" })).await;
    app.planned(&json!({ "goal": "Fix that" })).await;
    let hurried = app.client.post(app.url("/plan")).header("x-request-timeout-ms", "100");
    hurried.json(&json!({ "goal": "Fix all" })).send().await.expect("an answer");
    assert_eq!(app.plan(&json!({ "goal": "Fix more" })).await.status(), 429);
    let mut metrics = BTreeMap::new();
    take_in(&app.get("/metrics").await.text().await.expect("metrics"), &mut metrics);

    // What Prometheus adds to a target's series, and its own series.
    metrics.insert("up".to_owned(), Labels::new());
    metrics.insert("ALERTS".to_owned(), [("alertstate", "firing")].map(label).into());
    for labels in metrics.values_mut() {
        let job = text(&repository_yaml("deploy/prometheus/prometheus.yml")["scrape_configs"][0]["job_name"])
            .to_owned();
        labels.extend([label(("job", &job)), label(("instance", "")), label(("namespace", ""))]);
    }
    let names = alerts().iter().map(|rule| text(&rule["alert"]).to_owned()).collect();
    metrics.get_mut("ALERTS").expect("inserted above").insert("alertname".to_owned(), names);
    // Rules may ask for what other rules record: the labels that are kept of its source.
    for rule in rules().iter().filter(|rule| rule["record"].is_string()) {
        let Query { selectors, kept } = read(text(&rule["expr"]));
        let source = &metrics[&selectors[0].0];
        let labels = source.iter().filter(|(label, _)| kept.contains(label));
        let labels = labels.map(|(label, values)| (label.clone(), values.clone())).collect();
        metrics.insert(text(&rule["record"]).to_owned(), labels);
    }
    metrics
}

fn label((name, value): (&str, &str)) -> (String, BTreeSet<String>) {
    (name.to_owned(), [value.to_owned()].into())
}

/// What is wrong with a question to a Prometheus that knows these metrics.
fn faults(asked: &Asked, known: &BTreeMap<String, Labels>) -> Vec<String> {
    let Asked { place, query: Query { selectors, kept }, shown } = asked;
    let mut faults = Vec::new();
    if selectors.is_empty() {
        faults.push(format!("{place}: asks for nothing"));
    }
    let mut there = BTreeSet::new();
    for (metric, matchers) in selectors {
        let Some(labels) = known.get(metric) else {
            faults.push(format!("{place}: no metric {metric}"));
            continue;
        };
        there.extend(labels.keys());
        for (label, values) in matchers {
            let Some(exposed) = labels.get(label) else {
                faults.push(format!("{place}: {metric} has no label {label}"));
                continue;
            };
            let is_pattern = |value: &str| value.contains(['$', '*']);
            for value in values.iter().filter(|value| !is_pattern(value) && !exposed.contains(*value)) {
                faults.push(format!("{place}: {metric} has no {label}=\"{value}\""));
            }
        }
    }
    for label in kept.iter().filter(|label| !there.contains(label)) {
        faults.push(format!("{place}: nothing has a label {label} to keep"));
    }
    let is_left = |label: &String| {
        if kept.is_empty() { there.contains(label) } else { kept.contains(label) }
    };
    for label in shown.iter().filter(|label| !is_left(label) && place != "Alerts") {
        faults.push(format!("{place}: shows the label {label}, which is not left"));
    }
    faults
}

#[tokio::test]
async fn rules_and_dashboard_use_exposed_metrics() {
    let known = known().await;
    let all: Vec<Asked> = asked_by_rules().into_iter().chain(asked_by_dashboard()).collect();
    assert!(all.len() > 60, "{} expressions", all.len());
    let found: Vec<String> = all.iter().flat_map(|asked| faults(asked, &known)).collect();
    assert_eq!(found, [""; 0]);

    for (expression, shown, fault) in [
        ("rate(planner_plans_total[5m])", "", "no metric planner_plans_total"),
        ("up{host=\"a\"}", "", "no label host"),
        ("planner_plan_requests_total{outcome=~\"ok|overload\"}", "", "no outcome=\"overload\""),
        ("sum by (model) (planner_panics_total)", "", "no label model"),
        ("sum by (job) (planner_llm_calls_total)", "model", "shows the label model"),
        ("1 + 1", "", "asks for nothing"),
    ] {
        let shown = if shown.is_empty() { vec![] } else { vec![shown] };
        let found = faults(&asked("a panel", expression, shown), &known).join("; ");
        let fault = fault.replace("no label model", "nothing has a label model");
        assert!(found.contains(&fault), "{expression}: {found}");
    }
}

#[test]
fn each_alert_has_instructions_and_is_in_the_runbook() {
    let page = crate::readme::page("docs/monitoring.md");
    let section = page.split_once("\n## Alerts\n").expect("a section").1;
    let section = section.split("\n## ").next().expect("its text");
    let settings: Vec<String> =
        settings(&[]).expect("settings").shown().iter().map(|(name, _)| format!("PLANNER_{name}")).collect();
    let alerts = alerts();
    for alert in &alerts {
        let name = text(&alert["alert"]);
        assert!(section.contains(&format!("| `{name}` |")), "{name} is not in the runbook");
        assert!(["critical", "warning"].contains(&text(&alert["labels"]["severity"])), "{name}");
        let notes = &alert["annotations"];
        assert!(!text(&notes["summary"]).is_empty(), "{name}");
        assert_eq!(notes["runbook"], "docs/monitoring.md#alerts", "{name}");
        let description = text(&notes["description"]);
        for setting in names_after(description, "PLANNER_") {
            assert!(settings.contains(&format!("PLANNER_{setting}")), "{name}: {setting}");
        }
    }
    assert_eq!(section.matches("| `Planner").count(), alerts.len(), "the runbook names others");

    let dashboard = repository_file(DASHBOARD);
    for name in names_after(&dashboard, " Planner").into_iter().filter(|name| !name.is_empty()) {
        let name = format!("Planner{name}");
        assert!(alerts.iter().any(|alert| alert["alert"] == name.as_str()), "the dashboard names {name}");
    }
}

#[test]
fn each_panel_has_its_own_name_place_and_description() {
    let dashboard = dashboard();
    let (mut ids, mut squares) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{title}: its id is another's");
        let number = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(number("x") + number("w") <= 24, "{title} is out of the grid");
        for square in (number("x")..number("x") + number("w"))
            .flat_map(|x| (number("y")..number("y") + number("h")).map(move |y| (x, y)))
        {
            assert!(squares.insert(square), "{title} lies on another panel");
        }
        if panel["type"] != "row" {
            assert!(!text(&panel["description"]).is_empty(), "{title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}: the one that is chosen");
        }
    }
}

#[test]
fn the_development_stack_loads_the_rules_and_the_dashboard() {
    let stack = repository_yaml("docker-compose.dev.yml");
    let mounts = |service: &str| -> Vec<(String, String)> {
        list(&stack["services"][service]["volumes"])
            .iter()
            .filter_map(|volume| text(volume).strip_prefix("./")?.strip_suffix(":ro")?.split_once(':'))
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .collect()
    };
    let has = |service: &str, from: &str, to: &str| {
        assert!(mounts(service).contains(&(from.to_owned(), to.to_owned())), "{from} in {service}");
    };
    has("prometheus", "deploy/prometheus", "/etc/prometheus");
    let file = repository_yaml("deploy/prometheus/prometheus.yml")["rule_files"][0].take();
    assert_eq!(format!("deploy/prometheus/{}", text(&file)), RULES);

    has("grafana", "deploy/grafana/provisioning", "/etc/grafana/provisioning");
    let provider = repository_yaml("deploy/grafana/provisioning/dashboards/planner-arm.yml");
    let folder = text(&provider["providers"][0]["options"]["path"]);
    has("grafana", "deploy/grafana/dashboards", folder);
    let source = repository_yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(source["datasources"][0]["url"], "http://prometheus:9090");
    let interval = &repository_yaml("deploy/prometheus/prometheus.yml")["global"]["scrape_interval"];
    assert_eq!(source["datasources"][0]["jsonData"]["timeInterval"], *interval);
    assert_eq!(stack["services"]["grafana"]["profiles"], json!(["grafana"]), "only where it is wanted");
}
