//! `GET /`: a page that lists the tasks and their plans. It uses the public API.

use std::sync::LazyLock;

use axum::Router;

use crate::server::asset::{Asset, HTML, SCRIPT, STYLE, SVG, page_router};

/// The page itself comes first.
static FILES: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("index.html", HTML, include_str!("page/index.html")),
        Asset::new("page.css", STYLE, include_str!("page/page.css")),
        Asset::new("icon.svg", SVG, include_str!("page/icon.svg")),
        Asset::new("page.js", SCRIPT, include_str!("page/page.js")),
    ]
});

/// The page at `/` and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    page_router(&*FILES)
}
