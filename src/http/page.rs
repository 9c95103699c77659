//! `GET /`: a page that turns a goal into a plan and draws it while it is made. Its files are served from the binary,
//! and it uses the public API.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::headers::words;
use crate::server::problem::of_status;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Allows files of our own only, nothing inline, and no text as markup or script (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
    etag: HeaderValue,
}

/// The page itself comes first.
static FILES: LazyLock<[File; 10]> = LazyLock::new(|| {
    [
        File::new("index.html", HTML, include_str!("page/index.html")),
        File::new("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
        File::new("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
        File::new("dom.js", SCRIPT, include_str!("page/dom.js")),
        File::new("graph.js", SCRIPT, include_str!("page/graph.js")),
        File::new("layout.js", SCRIPT, include_str!("page/layout.js")),
        File::new("page.js", SCRIPT, include_str!("page/page.js")),
        File::new("result.js", SCRIPT, include_str!("page/result.js")),
        File::new("talk.js", SCRIPT, include_str!("page/talk.js")),
        File::new("words.js", SCRIPT, include_str!("page/words.js")),
    ]
});

/// The page at `/` and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { FILES[0].answer(&headers) }))
        .route("/page/{name}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES[1..].iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => of_status(StatusCode::NOT_FOUND).into_response(),
    }
}

impl File {
    fn new(name: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let hash: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).expect("hexadecimal digits in quotes");
        Self { name, content_type, text, etag }
    }

    /// The file, or 304 when the caller has it. Callers revalidate each time, so that files of two versions never mix.
    fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (ETAG, self.etag.clone()),
        ];
        if self.is_with(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, [(CONTENT_TYPE, self.content_type)], self.text).into_response()
    }

    /// Whether the caller has this version already (RFC 9110, section 13.1.2).
    fn is_with(&self, request: &HeaderMap) -> bool {
        words(request, IF_NONE_MATCH)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes())
    }
}
