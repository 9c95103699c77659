//! Playbooks in settings, requests, prompts and answers.

use serde_json::{Value, json};

use crate::cli::run;
use crate::support::{FakeLlm, Reply, TempFile, TestApp, good_plan, header, json_of, problem};

/// A playbook for the settings file, of this mode.
fn release(mode: &str) -> String {
    format!(
        r#"
playbooks:
  - name: acme-release
    description: Release the Acme shop.
    mode: {mode}
    notes: Fridays are out.
    match:
      keywords: [acme shop]
    steps:
      - action: Tag the release of {{object}}
        capability: code_generation
        acceptance_criteria: ["The tag is signed", "Kept: {{constraints}}"]
        cost_tier: 2
        duration_seconds: 600
      - action: Roll out {{object}}
        capability: shell_execution
        depends_on: 1
        acceptance_criteria: [All replicas run it]
        cost_tier: 3
        duration_seconds: 1200
        irreversible: true
      - action: Verify that {{object}} serves customers
        capability: validation
        depends_on: [2]
        acceptance_criteria: [An order was placed]
        cost_tier: 1
        duration_seconds: 300
"#
    )
}

const CACHE: (&str, &str) = ("PLANNER_CACHE_TTL_SECONDS", "60");

struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

async fn outcome(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let (code, stdout, stderr) = run(variables, arguments).await;
    Output { code, stdout, stderr }
}

fn actions(plan: &Value) -> Vec<&str> {
    plan["plan"].as_array().expect("steps").iter().filter_map(|step| step["action"].as_str()).collect()
}

#[tokio::test]
async fn the_embedded_planner_names_the_playbooks_that_it_follows() {
    let app = TestApp::embedded().await;
    let response = app.plan(&json!({"goal": "Hire a developer"})).await;
    assert_eq!(header(&response, "x-planner-playbook"), "hiring");
    let response = app.plan(&json!({"goal": "Fix the login bug and translate the manual into French"})).await;
    assert_eq!(header(&response, "x-planner-playbook"), "bug-fix, translation");
    let response = app.plan(&json!({"goal": "Hire a developer", "playbook": "none"})).await;
    assert_eq!(response.headers().get("x-planner-playbook"), None);
    let plan = json_of(response).await;
    assert!(plan["confidence"].as_f64().expect("a number") <= 0.4, "{plan}");
    let response =
        app.plan(&json!({"goal": "Hire a developer and fix the login bug", "playbook": "event"})).await;
    assert_eq!(header(&response, "x-planner-playbook"), "event");
    let plan = json_of(response).await.to_string();
    assert!(plan.contains("Hire a developer") || plan.contains("hire a developer"), "{plan}");
    assert!(plan.contains("Covers what was asked: “fix the login bug”"), "{plan}");
}

#[tokio::test]
async fn an_unknown_playbook_is_refused_with_the_nearest_name() {
    let app = TestApp::embedded().await;
    let (status, document) = problem(app.plan(&json!({"goal": "x", "playbook": "bugfix"})).await).await;
    assert_eq!((status, &document["errors"][0]["field"]), (422, &json!("playbook")), "{document}");
    let message = document["errors"][0]["message"].as_str().expect("a text");
    assert!(message.contains("did you mean `bug-fix`?"), "{message}");
}

#[tokio::test]
async fn all_playbooks_are_listed_with_their_steps_for_those_who_have_the_token() {
    let file = TempFile::new("settings.yaml", &release("guide"));
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_AUTH_TOKENS", "secret"),
        ("PLANNER_CONFIG_FILE", file.path.as_str()),
    ])
    .await;
    assert_eq!(app.get("/playbooks").await.status(), 401);
    let list = app.client.get(app.url("/playbooks")).bearer_auth("secret").send().await.expect("an answer");
    let list: Value = list.json().await.expect("JSON");
    let list = list["playbooks"].as_array().expect("a list");
    assert!(list.len() > 30, "{}", list.len());
    assert_eq!((&list[0]["name"], &list[0]["built_in"]), (&json!("acme-release"), &json!(false)));
    assert_eq!(list[0]["steps"][1]["action"], "Roll out {object}");
    assert!(list.iter().all(|playbook| playbook["name"] != "guard"), "what is only added cannot be chosen");
}

#[tokio::test]
async fn a_fitting_playbook_guides_the_llm_also_when_it_is_asked_again() {
    let file = TempFile::new("settings.yaml", &release("guide"));
    let script = [Reply::Text("no plan".into()), Reply::plan(&good_plan()), Reply::plan(&good_plan())];
    let llm = FakeLlm::start(script).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_CONFIG_FILE", file.path.as_str()), CACHE]).await;
    let request = json!({"goal": "Bring out the Acme shop, secretly", "constraints": ["No downtime"]});
    let response = app.plan(&request).await;
    assert_eq!(header(&response, "x-planner-playbook"), "acme-release");
    assert_eq!(header(&response, "x-planner-engine"), "openai");
    assert_eq!(
        header(&app.plan(&request).await, "x-planner-playbook"),
        "acme-release",
        "also from the cache"
    );
    let prompts = llm.bodies();
    assert_eq!(prompts.len(), 2);
    for prompt in &prompts {
        let prompt = prompt.to_string();
        for text in
            ["1. Tag the release of [the subject]", "2. Roll out [the subject] (after 1)", "Fridays are out."]
        {
            assert!(prompt.contains(text), "{text}: {prompt}");
        }
    }
    let none = json!({"goal": "Bring out the Acme shop, secretly", "playbook": "none"});
    assert_eq!(app.plan(&none).await.headers().get("x-planner-playbook"), None, "the cache tells them apart");
    assert!(!llm.bodies()[2].to_string().contains("Tag the release"));
}

#[tokio::test]
async fn a_fixed_playbook_answers_without_a_call_and_says_so() {
    let file = TempFile::new("settings.yaml", &release("fixed"));
    let llm = FakeLlm::start([Reply::plan(&good_plan()), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_CONFIG_FILE", file.path.as_str()), CACHE]).await;
    let request = json!({"goal": "Update the Acme shop", "constraints": ["No downtime"]});
    let mut plans = Vec::new();
    for cache in ["miss", "hit"] {
        let response = app.plan(&request).await;
        for (name, value) in [
            ("x-planner-engine", "embedded"),
            ("x-planner-model", "embedded"),
            ("x-planner-playbook", "acme-release"),
            ("x-planner-attempts", "0"),
            ("x-planner-cache", cache),
        ] {
            assert_eq!(header(&response, name), value, "{name}");
        }
        plans.push(json_of(response).await);
    }
    assert_eq!(plans[0], plans[1]);
    assert_eq!(
        actions(&plans[0]),
        [
            "Tag the release of the Acme shop",
            "Roll out the Acme shop",
            "Verify that the Acme shop serves customers"
        ]
    );
    assert!(plans[0].to_string().contains("Kept: “No downtime”"), "{}", plans[0]);
    assert_eq!(llm.number_of_calls(), 0);
    // It fits one part of this goal only, and another one not at all.
    for goal in ["Update the Acme shop and hire a developer", "Hire a developer"] {
        assert_eq!(header(&app.plan(&json!({"goal": goal})).await, "x-planner-engine"), "openai", "{goal}");
    }
}

#[tokio::test]
async fn playbooks_of_a_directory_are_read_and_all_their_faults_named() {
    let directory = std::env::temp_dir().join(format!("planner-playbooks-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("written");
    write("a.toml", "name = \"none\"\ndescription = \"\"\n[[steps]]\naction = \"Do {this}\"\n");
    write("b.toml", "name = \"b\"\nmach = 1\n");
    write("c.yaml", "name: c\nsteps: [\n");
    write("README.md", "no playbook");
    let path = directory.to_str().expect("UTF-8");
    let output = outcome(&[("PLANNER_PLAYBOOKS_DIR", path)], &["playbooks"]).await;
    assert_eq!(output.code, 78, "{}", output.stderr);
    for text in [
        "a.toml\" is invalid: playbook `none`: name must not be `none`",
        "description is missing or blank",
        "match.keywords and match.examples are missing or empty",
        "steps[0].action has the unknown slot `{this}`",
        "steps[0].acceptance_criteria is missing",
        "steps[0] has neither `capability` nor `arm`",
        "steps[0].cost_tier must be from 1 to 5",
        "b.toml\" is invalid: line 2, column 1: unknown field `mach`",
        "c.yaml\" is invalid: line ",
    ] {
        assert!(output.stderr.contains(text), "{text}:\n{}", output.stderr);
    }
    write("a.toml", &toml_playbook("hiring"));
    for name in ["b.toml", "c.yaml"] {
        std::fs::remove_file(directory.join(name)).expect("removed");
    }
    let output = outcome(&[("PLANNER_PLAYBOOKS_DIR", path)], &["playbooks", "hiring"]).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("hiring: How we hire"), "{}", output.stdout);
    assert!(output.stdout.contains("by planning; cost 1; 2 weeks"), "{}", output.stdout);
    let output = outcome(
        &[("PLANNER_PLAYBOOKS_DIR", path)],
        &["playbooks", "--test", "Fix the typo and hire a nurse"],
    )
    .await;
    for text in ["- Fix the typo: bug-fix", "- hire a nurse: hiring"] {
        assert!(output.stdout.contains(text), "{}", output.stdout);
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}

fn toml_playbook(name: &str) -> String {
    format!(
        r#"name = "{name}"
description = "How we hire."
[match]
keywords = ["hire"]
[[steps]]
action = "Ask the works council about {{object}}"
capability = "planning"
acceptance_criteria = ["It agreed in writing"]
cost_tier = 1
duration_seconds = 1209600
"#
    )
}

#[tokio::test]
async fn a_fixed_playbook_with_more_steps_than_plans_may_have_is_invalid() {
    let file = TempFile::new("settings.yaml", &release("fixed"));
    let settings = [
        ("PLANNER_CONFIG_FILE", file.path.as_str()),
        ("PLANNER_MAX_PLAN_STEPS", "2"),
        ("PLANNER_MIN_PLAN_STEPS", "1"),
    ];
    let output = outcome(&settings, &["config"]).await;
    assert_eq!(output.code, 78);
    assert!(output.stderr.contains("mode is fixed, and its plans have 3 steps"), "{}", output.stderr);
}

#[tokio::test]
async fn the_command_line_follows_a_named_playbook() {
    let output =
        outcome(&[("PLANNER_ENGINE", "embedded")], &["plan", "--playbook", "event", "Summer in the park"])
            .await;
    assert!(output.stdout.contains("Follows the playbook event"), "{}{}", output.stdout, output.stderr);
    let output = outcome(&[("PLANNER_ENGINE", "embedded")], &["plan", "--playbook", "evnt", "Summer"]).await;
    assert!(output.stderr.contains("did you mean `event`?"), "{}", output.stderr);
}

#[tokio::test]
async fn a_playbook_may_name_arms_as_people_call_them() {
    for (arm, is_followed) in [
        ("oven-7", true),
        ("Oven 7", true),
        ("the baking tool", true),
        ("bakes bread", true),
        ("juggler", false),
    ] {
        let playbook = json!({"name": "baking", "description": "Bake something.", "match": {"keywords": ["bake", "rye", "bread"]}, "steps": [
            {"action": "Bake {object}", "arm": arm, "acceptance_criteria": ["It is done"], "cost_tier": 1, "duration_seconds": 60},
            {"action": "Taste {object}", "capability": "validation", "depends_on": [1], "acceptance_criteria": ["It is good"], "cost_tier": 1, "duration_seconds": 60}]});
        let arms = json!([
            {"id": "oven-7", "description": "Bakes bread and cakes", "aliases": ["baking"]},
            {"id": "phone", "description": "Calls a customer"},
            {"id": "taster", "capabilities": ["validation"]}]);
        let text = json!({"arms": arms, "playbooks": [playbook], "min_plan_steps": 2}).to_string();
        let file = TempFile::new("planner.yaml", &text);
        let app =
            TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_CONFIG_FILE", &file.path)]).await;
        let response = app.plan(&json!({"goal": "Bake a rye bread"})).await;
        assert_eq!(header(&response, "x-planner-playbook") == "baking", is_followed, "{arm}");
        if is_followed {
            let plan = json_of(response).await;
            assert_eq!(plan["plan"][0]["required_arm"], "oven-7", "{arm}: {plan}");
        }
    }
}

#[tokio::test]
async fn any_playbook_may_be_requested_with_arms_that_cannot_follow_it() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded")]).await;
    let listed = json_of(app.get("/playbooks").await).await;
    for playbook in listed["playbooks"].as_array().expect("a list") {
        for arms in [json!([{"id": "0"}]), json!(["retriever"]), json!(["judge"])] {
            let request = json!({"goal": "Do it", "playbook": playbook["name"], "arms": arms});
            let response = app.plan(&request).await;
            assert_eq!(response.status(), 200, "{request}: {}", json_of(response).await);
        }
    }
}
