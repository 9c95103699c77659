//! Settings files.

use super::*;

#[test]
fn a_file_is_read_and_the_environment_wins() {
    let toml = "port = 9001\nllm_model = \"from-file\"\nauth_tokens = [\"one\", \"two\"]\nready_requires_llm = true\n";
    let s = from_file("planner.toml", toml, &[("PLANNER_PORT", "9002")]).expect("settings");
    assert_eq!(
        (s.port, s.llm_model.as_str(), s.auth_tokens.len(), s.ready_requires_llm),
        (9002, "from-file", 2, true)
    );
    let yaml = "port: 9001\ntimeout_seconds: 2.5\nllm_fallback_models: a, b\n";
    let s = from_file("planner.yaml", yaml, &[]).expect("settings");
    assert_eq!((s.port, s.timeout, s.llm_fallback_models.len()), (9001, Duration::from_millis(2_500), 2));
}

#[test]
fn faults_in_a_file_have_positions() {
    let bad = from_file("planner.toml", "port = \"x\"\n", &[]).expect_err("a bad port").concat();
    assert!(bad.starts_with("PLANNER_PORT (in ") && bad.contains("planner.toml) is \"x\""), "{bad}");
    let unknown = from_file("planner.toml", "llm_modle = \"x\"\n", &[]).expect_err("a misspelling").concat();
    assert!(unknown.contains("unknown setting `llm_modle` (did you mean `llm_model`?)"), "{unknown}");
    let syntax =
        from_file("planner.toml", "openai_api_key = sk-canary", &[]).expect_err("bad syntax").concat();
    assert!(
        syntax.contains("has a syntax error at line 1, column 18") && !syntax.contains("canary"),
        "{syntax}"
    );
    let yaml = from_file("planner.yaml", "port: 1\nauth_tokens: [canary\nhost: x\n", &[])
        .expect_err("bad syntax")
        .concat();
    assert!(yaml.contains("has a syntax error at line 3, column 5") && !yaml.contains("canary"), "{yaml}");
    let missing = fault(&[("PLANNER_CONFIG_FILE", "/nowhere/planner.yaml")]);
    assert!(missing.contains("/nowhere/planner.yaml") && missing.contains("cannot be read"), "{missing}");
    let ending = fault(&[("PLANNER_CONFIG_FILE", "settings.ini")]);
    assert!(ending.contains("must end in .toml, .yaml or .yml"), "{ending}");
}

#[test]
fn a_value_of_the_wrong_kind_is_a_fault_and_not_an_absence() {
    for name in [
        "engine",
        "openai_api_key",
        "llm_base_url",
        "llm_model",
        "llm_max_attempts",
        "timeout_seconds",
        "environment",
        "require_verification_step",
        "port",
        "log_level",
        "redis_url",
        "auth_tokens",
        "llm_fallback_models",
    ] {
        let table =
            from_file("planner.yaml", &format!("{name}: {{main: canary}}\n"), &[]).expect_err(name).concat();
        assert!(table.contains(&format!("PLANNER_{} ", name.to_uppercase())), "{table}");
        assert!(!table.contains("canary"), "{table}");
        assert_eq!(table.matches("PLANNER_").count(), 1, "said once, and nothing else: {table}");
    }
    assert!(from_file("planner.yaml", "port: [9001]\n", &[]).is_err());
    assert!(from_file("planner.yaml", "auth_tokens: [{token: canary}, [x]]\n", &[]).is_err());
}

#[test]
fn a_misspelled_key_hides_no_other_fault() {
    let yaml = "log_leve: debug\nport: x\ntimeout_seconds: 0\nopenai_api_key: sk-file\n";
    let faults =
        from_file("planner.yaml", yaml, &[("PLANNER_ENVIRONMENT", "production")]).expect_err("bad settings");
    assert_eq!(faults.len(), 3, "{faults:?}");
}
