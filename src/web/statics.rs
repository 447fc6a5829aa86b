//! Files that never change while the daemon runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::State;
use super::error::Problem;

struct File {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal $content_type:literal),+ $(,)?) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/static/", $name)),
        }),+]
    };
}

const FILES: &[File] = files![
    "app.css" "text/css; charset=utf-8",
    "app.js" "text/javascript; charset=utf-8",
    "favicon.svg" "image/svg+xml",
    "uplot.iife.min.js" "text/javascript; charset=utf-8",
    "uplot.min.css" "text/css; charset=utf-8",
];

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/static/{name}", get(file)).route("/favicon.ico", get(favicon))
}

async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => file.answer(&headers),
        None => Problem::NoSuchPath.into_response(),
    }
}

/// Asked for by browsers that were shown no page yet.
async fn favicon(headers: HeaderMap) -> Response {
    file(Path("favicon.svg".to_owned()), headers).await
}

impl File {
    fn answer(&self, asked: &HeaderMap) -> Response {
        let digest = Sha256::digest(self.bytes);
        let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("\"{tag}\"");
        // Asked again at each page, answered from the browser's cache: a new version is seen at once.
        let headers = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
        if matches(asked, &tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, [(header::CONTENT_TYPE, self.content_type)], self.bytes).into_response()
    }
}

/// True when the asker has this version already.
pub(super) fn matches(asked: &HeaderMap, tag: &str) -> bool {
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag.trim_start_matches("W/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendored_files_are_those_of_the_list() {
        let list = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/static/SHA256SUMS"));
        let mut listed = 0;
        for line in list.lines() {
            let (want, name) = line.split_once("  ").expect("sum, two spaces, name");
            if let Some(file) = FILES.iter().find(|file| file.name == name) {
                let digest: String = Sha256::digest(file.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(digest, want, "{name}");
                listed += 1;
            }
        }
        assert_eq!(listed, 2, "the script and the style of uPlot");
    }
}
