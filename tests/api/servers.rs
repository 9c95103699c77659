//! Every answer of `tests/servers` comes to what its label says; streams with a hole; what servers say about us.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::process::Process;
use crate::support::fake_llm::{Act, FakeLlm, Reply, completion, send, send_json};
use crate::support::{TestApp, good_plan, problem, repository_file};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    name: String,
    refuses: Refuses,
    status: u16,
    header: Option<String>,
    #[serde(default)]
    body: String,
    becomes: String,
    calls: usize,
    /// A part of the problem's detail.
    detail: Option<String>,
    /// The code of `upstream`.
    code: Option<String>,
}

/// Which calls get the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refuses {
    Everything,
    /// The first call.
    Once,
    /// Those with a schema that has every constraint.
    Tight,
    Schema,
    /// Those with any `response_format`.
    Form,
    Temperature,
    #[serde(rename = "max_tokens")]
    MaxTokens,
    /// Those that do not ask for a stream.
    Whole,
    /// Those that ask for more tokens than there are.
    Long,
}

impl Refuses {
    fn refuses(self, number: usize, call: &Value) -> bool {
        let form = &call["response_format"];
        match self {
            Self::Everything => true,
            Self::Once => number == 0,
            Self::Tight => form.to_string().contains("minItems"),
            Self::Schema => form["type"] == "json_schema",
            Self::Form => !form.is_null(),
            Self::Temperature => !call["temperature"].is_null(),
            Self::MaxTokens => !call["max_tokens"].is_null(),
            Self::Whole => call["stream"] != true,
            Self::Long => call["max_tokens"].as_u64() > Some(1_348),
        }
    }
}

fn answers() -> Vec<Answer> {
    #[derive(Deserialize)]
    struct File {
        answer: Vec<Answer>,
    }
    let file: File = toml::from_str(&repository_file("tests/servers/answers.toml")).expect("TOML");
    file.answer
}

/// The text in chunks of a stream, each of this many bytes.
fn chunks(text: &str, size: usize) -> Vec<String> {
    let chunk = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).expect("ASCII");
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
    };
    text.as_bytes().chunks(size).map(chunk).collect()
}

const END: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn stream(chunks: &[String]) -> Vec<Act> {
    send(200, "content-type: text/event-stream\r\n", chunks.concat() + END)
}

fn plan_for(call: &Value) -> Vec<Act> {
    let text = good_plan().to_string();
    if call["stream"] == true { stream(&chunks(&text, 40)) } else { send_json(200, &completion(&text)) }
}

fn server(answer: &Answer) -> FakeLlm {
    let Answer { refuses, status, header, body, .. } = answer.clone();
    let body = match body.as_str() {
        "FAILED_GENERATION" => {
            json!({"error": {"code": "json_validate_failed", "failed_generation": good_plan().to_string()}})
                .to_string()
        }
        _ => body,
    };
    let header = header.map(|header| header + "\r\n").unwrap_or_default();
    FakeLlm::new(crate::support::fake_llm::Transport::Http, move |number, call| {
        if refuses.refuses(number, call) { send(status, &header, &body) } else { plan_for(call) }
    })
}

#[tokio::test]
async fn each_answer_comes_to_what_its_label_says() {
    let goal = json!({"goal": "Ship it"});
    let check = async |answer: Answer| {
        let name = &answer.name;
        let llm = server(&answer);
        let app = TestApp::with_llm(&llm, &[]).await;
        let response = app.plan(&goal).await;
        if answer.becomes == "plan" {
            assert_eq!(response.status(), 200, "{name}: {:?}", response.text().await);
            assert_eq!(llm.number_of_calls(), answer.calls, "{name}");
            app.planned(&goal).await;
            assert_eq!(llm.number_of_calls(), answer.calls + 1, "what works is remembered: {name}");
            return;
        }
        let (_, document) = problem(response).await;
        assert_eq!(document["code"], json!(answer.becomes), "{name}: {document}");
        assert_eq!(llm.number_of_calls(), answer.calls, "{name}");
        let upstream = json!({"status": answer.status, "code": answer.code});
        assert_eq!(document["upstream"], upstream, "{name}");
        let detail = document["detail"].as_str().expect("a detail");
        assert!(detail.contains(answer.detail.as_deref().expect("a detail")), "{name}: {detail}");
    };
    let checks = answers().into_iter().map(check);
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn a_stream_without_any_one_of_its_chunks_is_no_shorter_plan() {
    let plan = good_plan();
    let steps = plan["plan"].as_array().expect("steps").len();
    for size in [23, 61, 150] {
        let whole = chunks(&plan.to_string(), size);
        for missing in 0..whole.len() {
            let mut rest = whole.clone();
            rest.remove(missing);
            let broken = stream(&rest);
            let llm = FakeLlm::start([Reply::Acts(broken), Reply::Acts(stream(&whole))]).await;
            let app = TestApp::with_llm(&llm, &[]).await;
            let answer = app.planned(&json!({"goal": "Ship it"})).await;
            let is_asked_again = llm.number_of_calls() > 1;
            assert!(is_asked_again || answer.plan.len() >= steps, "chunk {missing} of {size} bytes");
        }
    }
}

#[tokio::test]
async fn the_log_has_the_servers_words_and_none_of_ours() {
    let goal = "Ship the Falcon to Zürich by Friday";
    let words = "Quota \"daily\" of project 7 is used up";
    let message =
        format!("{words}. Key sk-live-0123456789, prompt: {}", json!(goal).to_string().to_uppercase());
    let body = json!({"error": {"message": message + &"x".repeat(400), "code": "insufficient_quota"}});
    let llm = FakeLlm::start([Reply::Status(429, vec![], body)]).await;
    let variables =
        [("PLANNER_LLM_BASE_URL", llm.base_url.as_str()), ("PLANNER_OPENAI_API_KEY", "sk-live-0123456789")];
    let process = Process::start(&variables).await;
    let request = crate::process::client().post(format!("{}/plan", process.url)).json(&json!({"goal": goal}));
    let (_, document) = problem(request.send().await.expect("an answer")).await;
    assert_eq!(document["upstream"], json!({"status": 429, "code": "insufficient_quota"}));
    assert!(!document.to_string().contains("project 7"), "{document}");
    let (_, lines) = process.stop().await;
    let line =
        lines.iter().map(ToString::to_string).find(|line| line.contains("LLM call failed")).expect("a line");
    assert!(line.contains("is used up") && line.contains("project 7"), "{line}");
    for ours in ["FALCON", "falcon", "0123456789"] {
        assert!(!line.contains(ours), "{line}");
    }
    assert!(line.matches('x').count() < 300, "{line}");
}
