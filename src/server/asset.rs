//! Files of a page, served from the binary.

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::headers::list_entries;
use crate::text::hex;

use super::problem::of_status;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(crate) const STYLE: &str = "text/css; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";

/// Allows files of our own only, nothing inline, and no text as markup or script (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of a page.
pub(crate) struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
    etag: HeaderValue,
}

/// A page: the first of `files` at `/`, the others at `/page/{name}`.
pub(crate) fn page_router<S: Clone + Send + Sync + 'static>(files: &'static [Asset]) -> Router<S> {
    let asset = move |Path(name): Path<String>, headers: HeaderMap| async move {
        match files[1..].iter().find(|file| file.name == name) {
            Some(file) => file.answer(&headers),
            None => of_status(StatusCode::NOT_FOUND).into_response(),
        }
    };
    Router::new()
        .route("/", get(move |headers: HeaderMap| async move { files[0].answer(&headers) }))
        .route("/page/{name}", get(asset))
}

impl Asset {
    pub(crate) fn new(name: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let hash = hex(&Sha256::digest(text)[..8]);
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).expect("hexadecimal digits in quotes");
        Self { name, content_type, text, etag }
    }

    /// The file, or 304 when the caller has it. Callers revalidate each time, so that files of two versions never mix.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (ETAG, self.etag.clone()),
        ];
        if self.is_cached_by(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, [(CONTENT_TYPE, self.content_type)], self.text).into_response()
    }

    /// Whether the caller has this version already (RFC 9110, section 13.1.2).
    fn is_cached_by(&self, request: &HeaderMap) -> bool {
        list_entries(request, IF_NONE_MATCH)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes())
    }
}
