//! `GET /docs`: Swagger UI, its assets served from the binary, without any external address.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use crate::server::asset::{HTML, SCRIPT, STYLE};
use crate::server::problem::of_status;

/// Scripts and styles of our own only; Swagger UI sets styles and small pictures inline.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Serves a page for trying out each call.
#[utoipa::path(get, path = "/docs", tag = "documentation", operation_id = "docs",
    responses((status = 200, description = "Swagger UI", body = String, content_type = "text/html")))]
pub(super) async fn page() -> Response {
    asset(HTML, Bytes::from_static(include_bytes!("docs/index.html")))
}

/// One of the page's assets.
pub(super) async fn page_asset(Path(name): Path<String>) -> Response {
    match ASSETS.get(name.as_str()) {
        Some((content_type, bytes)) => asset(content_type, bytes.clone()),
        None => of_status(http::StatusCode::NOT_FOUND).into_response(),
    }
}

/// What the page loads, by name: the content type and the bytes, and unpacked when first requested if they
/// belong to Swagger UI.
static ASSETS: LazyLock<BTreeMap<&str, (&str, Bytes)>> = LazyLock::new(|| {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("a zip file");
    // The folder that holds everything is called after the version of Swagger UI, and comes first.
    let folder = archive.by_index(0).expect("a folder").name().expect("UTF-8").into_owned();
    let mut unpack = |name: &str| {
        let mut file = archive.by_name(&format!("{folder}dist/{name}")).expect("a file of Swagger UI");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("an intact file");
        Bytes::from(bytes)
    };
    BTreeMap::from([
        ("dark.js", (SCRIPT, Bytes::from_static(include_bytes!("docs/dark.js")))),
        ("docs.css", (STYLE, Bytes::from_static(include_bytes!("docs/docs.css")))),
        ("start.js", (SCRIPT, Bytes::from_static(include_bytes!("docs/start.js")))),
        ("favicon-32x32.png", ("image/png", unpack("favicon-32x32.png"))),
        ("swagger-ui-bundle.js", (SCRIPT, unpack("swagger-ui-bundle.js"))),
        ("swagger-ui.css", (STYLE, unpack("swagger-ui.css"))),
    ])
});

fn asset(content_type: &str, bytes: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, bytes).into_response()
}
