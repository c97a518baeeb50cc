//! Liveness, readiness and version: what is asked before anything else.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::api::Server;

/// The Kubernetes version whose API this is: kubectl picks its behaviour by the minor.
pub const MAJOR: &str = "1";
pub const MINOR: &str = "33";
pub const GIT_VERSION: &str = "v1.33.0";

pub async fn alive(uri: Uri) -> Response {
    match asks_for_more(&uri) {
        true => answer::text(StatusCode::OK, "[+]ping ok\nlivez check passed\n"),
        false => answer::text(StatusCode::OK, "ok"),
    }
}

pub async fn ready(State(server): State<Arc<Server>>, uri: Uri) -> Response {
    let ready = *server.ready.borrow();
    match (ready, asks_for_more(&uri)) {
        (true, true) => answer::text(StatusCode::OK, "[+]ping ok\n[+]started ok\nreadyz check passed\n"),
        (true, false) => answer::text(StatusCode::OK, "ok"),
        (false, _) => {
            let failed = "[+]ping ok\n[-]started failed: reason withheld\nreadyz check failed\n";
            answer::text(StatusCode::SERVICE_UNAVAILABLE, failed)
        }
    }
}

/// One check by its name.
pub async fn check(State(server): State<Arc<Server>>, Path(check): Path<String>) -> Response {
    match check.as_str() {
        "ping" => answer::text(StatusCode::OK, "ok"),
        "started" if *server.ready.borrow() => answer::text(StatusCode::OK, "ok"),
        "started" => answer::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: not started\n"),
        _ => answer::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

fn asks_for_more(uri: &Uri) -> bool {
    uri.query().unwrap_or_default().split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose="))
}

pub async fn version() -> Json<Value> {
    // Go's names of platforms, because clients compare them.
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Json(json!({"major": MAJOR, "minor": MINOR, "gitVersion": GIT_VERSION,
        "gitCommit": concat!("windlass-", env!("CARGO_PKG_VERSION")), "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{architecture}", std::env::consts::OS)}))
}
