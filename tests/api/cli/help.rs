//! Help, completions and the manual page.

use super::run;
use crate::support::settings;

#[tokio::test]
async fn every_command_has_help() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["mcp", "--help"],
        &["plan", "--help"],
        &["validate", "--help"],
        &["replan", "--help"],
        &["arms", "--help"],
        &["eval", "--help"],
        &["healthcheck", "--help"],
        &["config", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let (code, out, _) = run(&[], arguments).await;
        assert_eq!(code, 0, "{arguments:?}");
        assert!(out.contains("Usage: planner-arm"), "{out}");
    }
    assert!(run(&[], &["--version"]).await.1.contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn shells_complete_whatever_the_settings() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, err) = run(&[("PLANNER_PORT", "x")], &["completions", shell]).await;
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        for word in ["planner-arm", "validate", "healthcheck", "completions", "feedback", "min-success"] {
            assert!(out.contains(word), "{shell}: {word}");
        }
        let knows_values = !["elvish", "powershell"].contains(&shell);
        assert_eq!(out.contains("mermaid"), knows_values, "{shell}");
    }
    let (code, _, err) = run(&[], &["completions", "tcsh"]).await;
    assert!(code == 2 && err.contains("possible values: bash, elvish, fish, powershell, zsh"), "{err}");
}

#[tokio::test]
async fn the_manual_page_has_every_command_argument_setting_and_exit_code() {
    let (code, page, err) = run(&[("PLANNER_PORT", "x")], &["man"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let page = page.replace("\\-", "-");
    for name in [
        "serve",
        "mcp",
        "plan",
        "validate",
        "replan",
        "arms",
        "eval",
        "healthcheck",
        "config",
        "completions",
        "man",
    ] {
        assert!(page.contains(&format!("planner-arm {name}")), "{name}\n{page}");
    }
    for part in [
        "--config",
        "--constraint",
        "--min-success",
        "--feedback",
        "--include",
        "table, tree, json, mermaid, markdown",
        "NO_COLOR",
        "OPENAI_API_KEY",
        "fB130",
        "fB78",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let traced = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")]).expect("settings");
    for (name, _) in traced.shown_of_traces() {
        assert!(page.contains(name), "{name}\n{page}");
    }
    for (name, _) in settings(&[]).expect("settings").shown() {
        let is_in_files_only = ["ARMS", "ARM_SOURCES", "PLAYBOOKS", "POLICIES", "PRICES"].contains(name);
        assert_eq!(page.contains(&format!("PLANNER_{name}\\fR")), !is_in_files_only, "{name}\n{page}");
    }
}

#[tokio::test]
async fn the_manual_page_and_the_help_say_what_each_setting_does() {
    let (_, page, _) = run(&[], &["man"]).await;
    let (_, help, _) = run(&[], &["config", "--help"]).await;
    let one_line = |text: &str| text.replace('\\', "").split_whitespace().collect::<Vec<_>>().join(" ");
    let (page, help) = (one_line(&page), one_line(&help));
    for setting in planner_arm::config::table::SETTINGS {
        let about = one_line(setting.about);
        assert!(help.contains(&about), "{}\n{help}", setting.name);
        assert_eq!(page.contains(&about), !setting.is_file_only(), "{}\n{page}", setting.name);
    }
}
