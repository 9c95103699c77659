//! The page at `/`: how its files are served. What it does is tested in a browser, in `tests/browser`.

use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::support::{TestApp, header, problem};

/// The page's files as it names them itself, and as its scripts name each other.
async fn files(app: &TestApp) -> Vec<String> {
    let page = app.get("/").await.text().await.expect("the page");
    let mut names: Vec<String> =
        page.split('"').filter(|part| part.starts_with("page/")).map(|part| format!("/{part}")).collect();
    names.sort();
    names.dedup();
    for script in names.clone().iter().filter(|name| name.contains(".js")) {
        let text = app.get(script).await.text().await.expect("a script");
        for name in text.split('"').filter_map(|part| part.strip_prefix("./")) {
            assert!(names.contains(&format!("/page/{name}")), "{script} needs {name}, which comes late");
        }
    }
    names
}

#[tokio::test]
async fn the_page_and_all_its_files_are_served_under_a_strict_policy() {
    let app = TestApp::embedded().await;
    let files = files(&app).await;
    assert!(files.len() >= 30, "{files:?}");
    for path in std::iter::once("/").chain(files.iter().map(String::as_str)) {
        let response = app.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        for part in
            ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "trusted-types 'none'"]
        {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(header(&response, name), value, "{path}: {name}");
        }
        let kind = match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header(&response, "content-type"), kind, "{path}");
    }
}

#[tokio::test]
async fn unchanged_files_are_not_sent_again() {
    let app = TestApp::embedded().await;
    for path in ["/", "/page/page.css", "/page/page.js", "/page/dagre.js"] {
        let etag = header(&app.get(path).await, "etag").to_owned();
        for (condition, status) in [
            (etag.clone(), 304),
            (format!("W/{etag}"), 304),
            (format!("\"other\", {etag}"), 304),
            ("*".into(), 304),
            ("\"other\"".into(), 200),
        ] {
            let request = app.client.get(app.url(path)).header("if-none-match", &condition);
            let response = request.send().await.expect("an answer");
            assert_eq!(
                (response.status().as_u16(), header(&response, "etag")),
                (status, &*etag),
                "{path} {condition}"
            );
            assert_eq!(header(&response, "cache-control"), "no-cache");
            assert_eq!(
                response.text().await.expect("a body").is_empty(),
                status == 304,
                "{path} {condition}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_takes_get_and_head_and_has_no_other_files() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_AUTH_TOKENS", "a-token")]).await;
    for path in ["/", "/page/page.js"] {
        let page = app.get(path).await;
        assert_eq!(page.status(), 200, "the page itself needs no token: {path}");
        let head = app.client.head(app.url(path)).send().await.expect("an answer");
        assert_eq!(head.status(), 200);
        for name in ["content-length", "content-type", "etag", "content-security-policy"] {
            assert_eq!(header(&head, name), header(&page, name), "{path}: {name}");
        }
        assert!(head.text().await.expect("a body").is_empty());
        let response = app.client.request(Method::POST, app.url(path)).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(problem(response).await.1["code"], "method_not_allowed");
    }
    // `/` is its only name, so that what it names is found from where it is.
    for path in ["/page/index.html", "/page/nothing.js", "/page/", "/page/..%2fpage.rs"] {
        assert_eq!(problem(app.get(path).await).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_has_no_inline_code_or_external_address() {
    let app = TestApp::embedded().await;
    let page = app.get("/").await.text().await.expect("the page");
    for inline in [" style=", "<style", " onclick=", " onload=", "<script>", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    for path in std::iter::once("/".to_owned()).chain(files(&app).await) {
        let text = app.get(&path).await.text().await.expect("a file");
        // The name of a namespace, and an example of a context: nobody goes there.
        let text = text.replace("http://www.w3.org/2000/svg", "").replace("https://example.com/repo", "");
        for outside in ["http://", "https://", "src=\"//", "href=\"/", "src=\"/"] {
            assert!(!text.contains(outside), "{path}: {outside}");
        }
        for markup in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "sessionStorage",
            "document.cookie",
        ] {
            assert!(!text.contains(markup), "{path}: {markup}");
        }
        // One module stores plans; it must not handle tokens.
        assert_eq!(text.contains("localStorage"), path == "/page/history.js", "{path}");
    }
}

#[tokio::test]
async fn the_layout_library_comes_unchanged_with_its_licence() {
    let app = TestApp::embedded().await;
    let library = app.get("/page/dagre.js").await.bytes().await.expect("a script");
    // `dist/dagre.esm.js` of the npm package @dagrejs/dagre 3.1.3.
    let hash: String = Sha256::digest(&library).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "b0ddaf4af1417bec9bd89373a3a3987f081727d6cc6d95fc40dbf85a19bdf3b0");
    let response = app.get("/page/dagre.LICENSE.txt").await;
    assert_eq!(header(&response, "content-type"), "text/plain; charset=utf-8");
    let licence = response.text().await.expect("a licence");
    assert!(licence.contains("Permission is hereby granted, free of charge"), "{licence}");
}

#[tokio::test]
async fn the_page_and_its_files_are_one_route_to_the_metrics() {
    let app = TestApp::embedded().await;
    for path in ["/", "/page/page.js", "/page/page.css"] {
        app.get(path).await.bytes().await.expect("a file");
    }
    let counted = app.metric("planner_http_requests_total{method=\"GET\",route=\"/\",status=\"200\"}").await;
    assert!((counted - 3.0).abs() < 1e-9, "{counted}");
    let metrics = app.get("/metrics").await.text().await.expect("metrics");
    assert!(!metrics.contains("route=\"/page"), "{metrics}");
}
