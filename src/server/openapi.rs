//! What the descriptions of our HTTP APIs have in common.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::domain::problem::{ErrorCode, PROBLEM_JSON};

/// Adds `/openapi.json`, under the tag `tag`: it cannot be described by the document that it is made of.
pub(crate) fn describe_itself(api: &mut OpenApi, tag: &str) {
    let body = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::Object))).build();
    let operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some("openapi"))
        .summary(Some("Returns this description as OpenAPI 3.1."))
        .response("200", ResponseBuilder::new().description("OpenAPI 3.1").content("application/json", body))
        .build();
    api.paths.add_path_operation("/openapi.json", vec![HttpMethod::Get], operation);
}

/// Serves the description at `/openapi.json`.
pub(crate) fn description_router<S: Clone + Send + Sync + 'static>(api: &OpenApi) -> Router<S> {
    let json: Bytes = api.to_json().expect("a description of our own types serialises").into();
    Router::new()
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], json) }))
}

/// Describes the request id, which every response has.
pub(crate) fn add_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("X-Request-ID".into(), text_header("The request's id"));
        }
    }
}

/// Describes one response for each status, naming the codes that come with it and, by `headers_with`, their headers.
pub(crate) fn add_problems<'a>(
    operation: &mut Operation,
    codes: impl Iterator<Item = &'a ErrorCode>,
    headers_with: HeadersWith,
) {
    let mut by_status: BTreeMap<String, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16().to_string()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let responses = &mut operation.responses.responses;
        responses.entry(status).or_insert_with(|| RefOr::T(problem_response(&codes, headers_with)));
    }
}

/// The headers of a problem with a code, and their descriptions.
pub(crate) type HeadersWith = fn(ErrorCode) -> &'static [(&'static str, &'static str)];

fn problem_response(codes: &[ErrorCode], headers_with: HeadersWith) -> Response {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response =
        ResponseBuilder::new().description(names.join(", ")).content(PROBLEM_JSON, body).build();
    for (name, description) in codes.iter().flat_map(|code| headers_with(*code)) {
        response.headers.insert((*name).into(), text_header(description));
    }
    response
}

fn text_header(description: &str) -> RefOr<Header> {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build()
        .into()
}
