//! How others check the tokens of service accounts themselves: who issues them, and the public keys (OpenID Connect
//! Discovery 1.0; Kubernetes reference, "Service account issuer discovery").

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use serde_json::json;

use super::api::Server;
use super::auth::ISSUER;

const KEYS: &str = "/openid/v1/jwks";
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=3600");

pub fn routes() -> Router<Arc<Server>> {
    let mut router = Router::new();
    for end in ["", "/"] {
        router = router
            .route(&format!("/.well-known/openid-configuration{end}"), get(configuration))
            .route(&format!("{KEYS}{end}"), get(keys));
    }
    router
}

async fn configuration(uri: Uri, headers: HeaderMap) -> Response {
    // HTTP/2 says in the address which host it asks.
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(Authority::as_str).or(named);
    let keys = host.map_or_else(|| format!("{ISSUER}{KEYS}"), |host| format!("https://{host}{KEYS}"));
    let body = json!({"issuer": ISSUER, "jwks_uri": keys, "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"]});
    ([(CACHE_CONTROL, FRESH)], Json(body)).into_response()
}

async fn keys(State(server): State<Arc<Server>>) -> Response {
    let form = HeaderValue::from_static("application/jwk-set+json");
    ([(CACHE_CONTROL, FRESH), (CONTENT_TYPE, form)], server.tokens.keys().to_string()).into_response()
}
