//! `GET /`: a page that turns a goal into a plan, draws it while it is made, and helps to carry it out. Its files are
//! served from the binary, and it uses the public API.

use std::sync::LazyLock;

use axum::Router;

use crate::server::asset::{Asset, HTML, SCRIPT, STYLE, SVG, page_router};

const TEXT: &str = "text/plain; charset=utf-8";

/// Files of the folder `page`, by content type.
macro_rules! files {
    ($($kind:ident: $($name:literal)+;)+) => {
        vec![$($(Asset::new($name, $kind, include_str!(concat!("page/", $name))),)+)+]
    };
}

/// The page itself comes first. `dagre.js` is the unchanged `dist/dagre.esm.js` of `@dagrejs/dagre` 3.1.3.
static FILES: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    files! {
        HTML: "index.html";
        STYLE: "base.css" "page.css" "plan.css" "print.css";
        SVG: "icon.svg";
        SCRIPT:
            "api.js" "compare.js" "dagre.js" "detail.js" "dom.js" "edit.js" "form.js" "formats.js" "graph.js"
            "history.js" "layout.js" "options.js" "page.js" "picture.js" "progress.js" "questions.js" "request.js"
            "result.js" "saved.js" "session.js" "share.js" "steps.js" "timeline.js" "token.js" "viewport.js" "views.js"
            "words.js";
        TEXT: "dagre.LICENSE.txt";
    }
});

/// The page at `/` and its files.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    page_router(&FILES)
}
