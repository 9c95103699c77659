//! Real requests and answers in `/openapi.json`, which `/docs` shows. `tests/api/examples.rs` repeats each of them.

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::example::{Example as Described, ExampleBuilder};
use utoipa::openapi::{Content, OpenApi, RefOr};

/// One call, as it was made.
#[derive(Deserialize)]
struct Example {
    name: String,
    /// What it shows.
    summary: String,
    path: String,
    /// The body, of calls that have one.
    request: Option<Value>,
    status: u16,
    response: Value,
}

/// Adds the examples to the operations that they are of. Requests that end in an error are not meant to be copied: of
/// these only the answers are shown.
pub(super) fn add_examples(api: &mut OpenApi) {
    let examples: Vec<Example> =
        serde_json::from_str(include_str!("docs/examples.json")).expect("examples, which tests read too");
    for Example { name, summary, path, request, status, response } in examples {
        let path = path.split('?').next().unwrap_or(&path);
        let item = api.paths.paths.get_mut(path).expect("a described path");
        let operation = [&mut item.get, &mut item.post].into_iter().flatten().next().expect("an operation");
        let described =
            |value: Value| RefOr::T(ExampleBuilder::new().summary(&summary).value(Some(value)).build());
        if let (Some(RefOr::T(body)), Some(request), 200) = (&mut operation.request_body, request, status) {
            add(body.content.values_mut(), &name, &described(request));
        }
        let answer = operation.responses.responses.get_mut(&status.to_string());
        if let Some(RefOr::T(answer)) = answer {
            let json = answer.content.iter_mut().filter(|(media_type, _)| media_type.ends_with("json"));
            add(json.map(|(_, content)| content), &name, &described(response));
        }
    }
}

fn add<'a>(contents: impl Iterator<Item = &'a mut RefOr<Content>>, name: &str, example: &RefOr<Described>) {
    for content in contents {
        if let RefOr::T(content) = content {
            // A body has one example or several.
            content.example = None;
            content.examples.insert(name.to_owned(), example.clone());
        }
    }
}
