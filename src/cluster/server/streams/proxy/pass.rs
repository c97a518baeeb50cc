//! Passes one HTTP/1.1 request on over a connection of its own, and the answer back as it comes; an upgrade becomes a
//! connection between the two.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, LOCATION, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::pipe::Pipe;
use super::target::unavailable;
use crate::object::ApiError;
use crate::tasks::Tasks;

/// How long a service may take to begin to answer.
const ANSWER: Duration = Duration::from_secs(300);
/// Headers that are about one connection. (RFC 9110, section 7.6.1.)
const OF_A_CONNECTION: [&str; 6] =
    ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"];

/// What the service sees of where the request came from.
pub struct Way<'a> {
    /// The path of the API that stands for the service's root.
    pub prefix: &'a str,
    /// The path and query at the service.
    pub path: &'a str,
    pub host: &'a str,
}

/// # Errors
/// `ServiceUnavailable` when the service does not answer.
pub async fn pass(
    mut request: Request,
    way: Way<'_>,
    pipe: impl Pipe + 'static,
    tasks: &Tasks,
) -> Result<Response, ApiError> {
    let unreachable = |why: &dyn std::fmt::Display| unavailable(format!("error trying to reach service: {why}"));
    let (mut service, connection) = http1::handshake(TokioIo::new(pipe)).await.map_err(|error| unreachable(&error))?;
    tasks.spawn_once("proxy", async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a proxied connection broke");
        }
    });
    let wants_upgrade = request.headers().contains_key(UPGRADE);
    let upgrading = wants_upgrade.then(|| hyper::upgrade::on(&mut request));
    let onward = onward(request, &way)?;
    let answered = tokio::time::timeout(ANSWER, service.send_request(onward)).await;
    let mut answer = answered.map_err(|_| unreachable(&"it does not answer"))?.map_err(|error| unreachable(&error))?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrading)) = (answer.status(), upgrading) {
        let upgraded = hyper::upgrade::on(&mut answer);
        tasks.spawn_once("proxied upgrade", async move {
            if let (Ok(client), Ok(service)) = futures::join!(upgrading, upgraded) {
                let (mut client, mut service) = (TokioIo::new(client), TokioIo::new(service));
                // Either side may end it as it likes.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
            }
        });
        return Ok(answer.map(|_| Body::empty()));
    }
    let (mut parts, body) = answer.into_parts();
    strip(&mut parts.headers);
    parts.headers.remove(CONNECTION);
    parts.headers.remove(TRANSFER_ENCODING);
    if let Some(location) = parts.headers.get(LOCATION).and_then(|to| relocate(to, &way)) {
        parts.headers.insert(LOCATION, location);
    }
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn onward(request: Request, way: &Way<'_>) -> Result<Request, ApiError> {
    let (mut parts, body) = request.into_parts();
    parts.uri = way.path.parse::<Uri>().map_err(|error| ApiError::bad_request(error.to_string()))?;
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    let original = headers.get(HOST).cloned();
    strip(headers);
    // Who the client is to the API is none of the service's business.
    headers.remove(AUTHORIZATION);
    if !headers.contains_key(UPGRADE) {
        headers.remove(CONNECTION);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let forwarded = [
        (HOST, HeaderValue::from_str(way.host).ok()),
        (HeaderName::from_static("x-forwarded-uri"), HeaderValue::from_str(way.prefix).ok()),
        (HeaderName::from_static("x-forwarded-host"), original),
        (HeaderName::from_static("x-forwarded-proto"), Some(HeaderValue::from_static("https"))),
    ];
    for (name, value) in forwarded {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    Ok(Request::from_parts(parts, body))
}

fn strip(headers: &mut HeaderMap) {
    OF_A_CONNECTION.iter().for_each(|name| drop(headers.remove(*name)));
}

/// A redirect inside the service stays inside the proxy.
fn relocate(location: &HeaderValue, way: &Way<'_>) -> Option<HeaderValue> {
    let to: Uri = location.to_str().ok()?.parse().ok()?;
    let is_own = to.authority().is_none_or(|authority| authority.as_str() == way.host);
    let path = to.path_and_query()?.as_str();
    let within = is_own && path.starts_with('/');
    within.then(|| HeaderValue::from_str(&format!("{}{path}", way.prefix.trim_end_matches('/'))).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_of_the_service_lead_back_through_the_proxy() {
        let way = Way { prefix: "/api/v1/namespaces/d/services/web/proxy/", path: "/", host: "10.0.0.2:80" };
        let cases = [
            ("/login?a=b", Some("/api/v1/namespaces/d/services/web/proxy/login?a=b")),
            ("http://10.0.0.2:80/x", Some("/api/v1/namespaces/d/services/web/proxy/x")),
            ("http://example.com/x", None),
        ];
        for (location, want) in cases {
            let got = relocate(&HeaderValue::from_static(location), &way);
            assert_eq!(got.as_ref().map(|to| to.to_str().unwrap()), want, "{location}");
        }
    }
}
