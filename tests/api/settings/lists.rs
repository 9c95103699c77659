//! What only a file can hold: arms and prices.

use planner_arm::config::Settings;

use super::from_file;

#[test]
fn arms_come_from_the_file_and_only_an_id_is_needed() {
    let yaml = "
require_verification_step: true
arms:
  - id: Übersetzer 译
    keywords: [translate, übersetzen]
  - id: prüfer
    description: checks
    capabilities: [validation]
    cost_tier: 1
    aliases: [validator]
";
    let s = from_file("planner.yml", yaml, &[]).expect("settings");
    let ids: Vec<&str> = s.arms.arms().iter().map(|arm| arm.id.as_str()).collect();
    assert_eq!(ids, ["Übersetzer 译", "prüfer"]);
    assert_eq!(s.arms.verifier().map(|arm| arm.id.as_str()), Some("prüfer"));
}

#[test]
fn bad_arms_are_named_one_by_one() {
    let yaml = format!(
        "arms:\n  - id: ' '\n  - id: a\n  - id: a\n  - id: {}\n  - id: b\n    cost_tier: 9\n",
        "x".repeat(101)
    );
    let faults = from_file("planner.yaml", &yaml, &[]).expect_err("bad arms");
    for part in [
        "arms[0].id is blank",
        "arms[2].id `a` is listed twice",
        "arms[3].id is longer",
        "arms[4].cost_tier is 9",
        "no arm has the capability `validation`",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} in {faults:?}");
    }
    let no_verifier = "require_verification_step: false\narms:\n  - id: a\n";
    assert!(from_file("planner.yaml", no_verifier, &[]).is_ok());
    assert!(from_file("planner.yaml", "arms: []\n", &[]).is_err());
    let yaml = "arms:\n  - {name: a}\n  - {id: a, cost_tier: high}\n  - a\n";
    let faults = from_file("planner.yaml", yaml, &[]).expect_err("bad arms");
    for (fault, part) in faults.iter().zip([
        "arms[0]: unknown field `name`",
        "arms[1].cost_tier is a string \"high\", not an integer",
        "arms[2] must be a table",
    ]) {
        assert!(fault.contains(part), "{part} in {faults:?}");
    }
    assert_eq!(faults.len(), 3, "{faults:?}");
}

/// The prices in force of these models.
fn shown_prices(settings: &Settings) -> String {
    settings.shown().iter().find(|(name, _)| *name == "PRICES").expect("prices").1.clone()
}

#[test]
fn prices_in_the_file_replace_built_in_ones_and_add_to_them() {
    let toml = r#"
llm_fallback_models = ["gpt-4o-2024-08-06", "acme/large", "local", "other"]
[[prices]]
model = "gpt-4o"
prompt_usd_per_million = 2
completion_usd_per_million = 7.5
as_of = "2026-01-31"
[[prices]]
model = "acme/large"
prompt_usd_per_million = 0.1
completion_usd_per_million = 0.25
[[prices]]
model = "local"
prompt_usd_per_million = 0
completion_usd_per_million = 0
"#;
    assert_eq!(
        shown_prices(&from_file("planner.toml", toml, &[]).expect("settings")),
        "gpt-3.5-turbo 0.5/1.5 (2025-09-01), gpt-4o-2024-08-06 2/7.5 (2026-01-31), acme/large 0.1/0.25, local 0/0, other unknown"
    );
}

#[test]
fn bad_prices_are_named_one_by_one() {
    let price = |model: &str, prompt: &str, completion: &str, more: &str| {
        format!(
            "  - model: {model}\n    prompt_usd_per_million: {prompt}\n    completion_usd_per_million: {completion}\n{more}"
        )
    };
    let list = |prices: &[String]| format!("prices:\n{}", prices.concat());
    let yaml = list(&[
        price("' '", "-1", "NaN", ""),
        price("a", "inf", "1", "    as_of: 2026-02-30\n"),
        price("a", "1", "1000001", "    as_of: 2026-02-28\n"),
    ]);
    let faults = from_file("planner.yaml", &yaml, &[]).expect_err("bad prices");
    for part in [
        "prices[0].model is blank",
        "prices[0].prompt_usd_per_million is -1",
        "prices[0].completion_usd_per_million is NaN",
        "prices[1].prompt_usd_per_million is inf",
        "prices[1].as_of is \"2026-02-30\"",
        "prices[2].completion_usd_per_million is 1000001",
        "prices[2].model `a` is listed twice",
    ] {
        let message = format!("the setting `prices` is invalid: {part}");
        assert!(faults.iter().any(|fault| fault.starts_with(&message)), "{part} in {faults:?}");
    }
    assert_eq!(faults.len(), 7, "{faults:?}");
    let toml = "[[prices]]\nmodel = \"a\"\nprompt_usd_per_million = nan\ncompletion_usd_per_million = 1\n";
    let nan = from_file("planner.toml", toml, &[]).expect_err("not a number").concat();
    assert!(nan.contains("prices[0].prompt_usd_per_million is NaN"), "{nan}");
    for (yaml, message) in [
        (list(&[price("a", "1", "1", "    currency: EUR\n")]), "prices[0]: unknown field `currency`"),
        (
            list(&[price("a", "cheap", "1", "")]),
            "prices[0].prompt_usd_per_million is a string \"cheap\", not ",
        ),
        (
            "prices:\n  - model: a\n    prompt_usd_per_million: 1\n".into(),
            "prices[0].completion_usd_per_million is missing",
        ),
        ("prices: gpt-4o 2.5/10\n".into(), "it must be a list of tables"),
        ("prices:\n  gpt-4o: 1\n".into(), "it must be a list of tables"),
    ] {
        let fault = from_file("planner.yaml", &yaml, &[]).expect_err(message).concat();
        assert!(fault.starts_with("the setting `prices` is invalid: ") && fault.contains(message), "{fault}");
        assert!(fault.contains("each price has model, prompt_usd_per_million"), "{fault}");
    }
}

#[test]
fn everything_that_is_wrong_with_arm_sources_is_named() {
    let yaml = r#"
arm_sources:
  - mcp: "ftp://user:canary@host/"
  - mcp: https://user:canary@host/mcp
  - {}
  - mcp: https://a.example/mcp
    openapi: https://a.example/openapi.json
  - mcp_command: []
  - capabilities: https://b.example/capabilities?key=canary
    token_env: NOBODY_SET_THIS
  - mcp: https://c.example/mcp
    token_env: SPACED
  - mcp_command: [npx, -y, tools]
    token_env: PLAIN
  - mcp_command: [/usr/bin/npx, others]
    env: [NOBODY_SET_THIS]
  - openapi: https://d.example/
    env: [PLAIN]
    name: " "
  - mcp: https://e.example/mcp
    prefix: " x"
  - mcp: https://e.example/mcp?other
"#;
    let more = [("SPACED", "can ary"), ("PLAIN", "canary")];
    let faults = from_file("planner.yaml", yaml, &more).expect_err("bad sources");
    for part in [
        "arm_sources[0].mcp is \"ftp://********@host/\"; it must be an http or https URL",
        "arm_sources[1].mcp must not contain a user or password",
        "arm_sources[2] must have exactly one of",
        "arm_sources[3] must have exactly one of",
        "arm_sources[4].mcp_command must be a list",
        "arm_sources[5].token_env names the environment variable `NOBODY_SET_THIS`, which is not set",
        "arm_sources[6].token_env names `SPACED`, which has a space",
        "arm_sources[7].token_env is for URLs",
        "arm_sources[8].env names the environment variable `NOBODY_SET_THIS`",
        "arm_sources[8] has the same name as an earlier one, `npx`",
        "arm_sources[9].env is for mcp_command alone",
        "arm_sources[9].name must be 1 to 100 characters",
        "arm_sources[10].prefix starts with white space",
        "arm_sources[11] has the same name as an earlier one, `https://e.example/mcp`",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} in {faults:#?}");
    }
    assert!(!faults.concat().contains("canary"), "{faults:#?}");
    let faults = from_file("planner.yaml", "arm_sources:\n  - url: x\n", &[]).expect_err("an unknown field");
    assert!(faults.concat().contains("each source has one of mcp"), "{faults:?}");
}

#[test]
fn arm_sources_are_shown_by_name() {
    let yaml = "
arm_sources:
  - mcp: https://a.example/mcp?key=canary
    token_env: TOKEN
  - mcp_command: [/usr/bin/npx, --key=canary]
  - capabilities: https://b.example/capabilities
    name: painter
";
    let s = from_file("planner.yaml", yaml, &[("TOKEN", "canary")]).expect("settings");
    let shown = s.shown().iter().find(|(name, _)| *name == "ARM_SOURCES").expect("sources").1.clone();
    assert_eq!(shown, "https://a.example/mcp,npx,painter");
    assert!(!format!("{:?}", s.shown()).contains("canary"));
    assert_eq!((s.arm_refresh.as_secs(), s.arm_stale.as_secs()), (60, 300));
}
