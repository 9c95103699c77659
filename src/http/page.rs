//! `GET /`: a page that turns a goal into a plan and draws it while it is made. Its files are served from the binary,
//! and it uses the public API.

use std::sync::LazyLock;

use axum::Router;

use crate::server::asset::{Asset, HTML, SCRIPT, STYLE, SVG, page_router};

/// The page itself comes first.
static FILES: LazyLock<[Asset; 10]> = LazyLock::new(|| {
    [
        Asset::new("index.html", HTML, include_str!("page/index.html")),
        Asset::new("page.css", STYLE, include_str!("page/page.css")),
        Asset::new("icon.svg", SVG, include_str!("page/icon.svg")),
        Asset::new("dom.js", SCRIPT, include_str!("page/dom.js")),
        Asset::new("graph.js", SCRIPT, include_str!("page/graph.js")),
        Asset::new("layout.js", SCRIPT, include_str!("page/layout.js")),
        Asset::new("page.js", SCRIPT, include_str!("page/page.js")),
        Asset::new("result.js", SCRIPT, include_str!("page/result.js")),
        Asset::new("talk.js", SCRIPT, include_str!("page/talk.js")),
        Asset::new("words.js", SCRIPT, include_str!("page/words.js")),
    ]
});

/// The page at `/` and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    page_router(&*FILES)
}
