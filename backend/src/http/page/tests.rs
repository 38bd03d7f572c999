use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::*;

async fn get_with(path: &str, if_none_match: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(tags) = if_none_match {
        request = request.header(header::IF_NONE_MATCH, tags);
    }
    routes::<()>()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn text(response: &Response, name: header::HeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn body(response: Response) -> String {
    String::from_utf8(
        to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap()
            .to_vec(),
    )
    .unwrap()
}

/// What the markup and the modules ask for: every `/page/x` and every `./x.js`.
fn mentions(source: &str) -> BTreeSet<String> {
    ["\"/page/", "'/page/", "\"./", "'./"]
        .iter()
        .flat_map(|start| source.split(start).skip(1))
        .filter_map(|rest| rest.split(['"', '\'']).next())
        .map(|name| name.trim_start_matches("page/").to_owned())
        .collect()
}

#[tokio::test]
async fn the_page_and_each_of_its_files_come_with_their_type_and_strict_headers() {
    let paths = ASSETS
        .iter()
        .map(|asset| (format!("/page/{}", asset.name), asset.content_type));
    let mut checked = 0;
    let rest = [
        ("/".to_owned(), HTML),
        ("/admin".to_owned(), HTML),
        ("/berth-chat.js".to_owned(), JAVASCRIPT),
    ];
    for (path, content_type) in paths.chain(rest) {
        let response = get_with(&path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(
            text(&response, header::CONTENT_TYPE),
            content_type,
            "{path}"
        );
        assert_eq!(
            text(&response, header::X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        assert_eq!(text(&response, header::CACHE_CONTROL), "no-cache", "{path}");
        let policy = text(&response, header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; "),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert!(!body(response).await.is_empty(), "{path}");
        checked += 1;
    }
    assert_eq!(checked, ASSETS.len() + 3);
}

#[tokio::test]
async fn a_browser_that_has_the_file_is_told_so() {
    let etag = text(&get_with("/page/chat.js", None).await, header::ETAG).to_owned();
    assert!(
        etag.len() > 10 && etag.starts_with('"') && etag.ends_with('"'),
        "{etag}"
    );
    for tags in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let response = get_with("/page/chat.js", Some(&tags)).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tags}");
        assert_eq!(text(&response, header::ETAG), etag);
        assert_eq!(body(response).await, "");
    }
    assert_eq!(
        get_with("/page/chat.js", Some("\"other\"")).await.status(),
        StatusCode::OK
    );
    assert_ne!(text(&get_with("/", None).await, header::ETAG), etag);
}

#[tokio::test]
async fn only_the_table_is_served() {
    for path in [
        "/page/",
        "/page/package.json",
        "/page/tests",
        "/page/..%2Fsrc%2Fmain.rs",
        "/page/a/b.js",
    ] {
        assert_eq!(
            get_with(path, None).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let request = Request::post("/").body(Body::empty()).unwrap();
    let response = routes::<()>().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn everything_the_page_refers_to_is_in_the_table_and_the_table_has_nothing_else() {
    let sources =
        ASSETS
            .iter()
            .map(|asset| asset.body)
            .chain([INDEX.body, ADMIN.body, HELPER.body]);
    let wanted: BTreeSet<String> = sources.flat_map(mentions).collect();
    let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
    assert_eq!(wanted, served);
}

#[test]
fn the_table_has_every_file_of_the_folder() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("page");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        // Tells Node, which runs the tests, that these are modules; no browser asks for it.
        .filter(|name| name != "package.json" && !name.ends_with(".html"))
        .collect();
    let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
    assert_eq!(on_disk, served);
}

#[test]
fn the_markup_has_nothing_inline_that_the_policy_would_block() {
    for page in [INDEX.body, ADMIN.body] {
        for forbidden in [
            "style=",
            "<style",
            " onclick",
            " onload",
            "javascript:",
            "http://",
            "https://",
        ] {
            let markup = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!markup.contains(forbidden), "{forbidden}");
        }
        assert_eq!(page.matches("<script").count(), 1);
    }
}
