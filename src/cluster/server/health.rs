//! Liveness, readiness and version: what is asked before anything else.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer;
use super::api::Server;

/// The Kubernetes version whose API this is: kubectl picks its behaviour by the minor.
pub const MAJOR: &str = "1";
pub const MINOR: &str = "33";
pub const GIT_VERSION: &str = "v1.33.0";

pub async fn alive() -> Response {
    answer::text(StatusCode::OK, "ok")
}

pub async fn ready(State(server): State<Arc<Server>>) -> Response {
    let ready = *server.ready.borrow();
    match ready {
        true => answer::text(StatusCode::OK, "ok"),
        false => answer::text(StatusCode::SERVICE_UNAVAILABLE, "starting"),
    }
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
