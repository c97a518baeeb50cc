//! The HTTP/1.1 side of leaving HTTP: what a client offers, and the answer that accepts it. (RFC 9110, section 7.8.)

use axum::body::Body;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use tokio::sync::oneshot;

use crate::cluster::server::api::Server;
use crate::object::ApiError;

/// One header line for each version that the client offers, or a list in one.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const SPDY: &str = "SPDY/3.1";
/// The largest WebSocket message: some clients send a whole file as one.
const LARGEST: usize = 16 * 1024 * 1024;

/// What the connection is to become.
pub enum Upgrade {
    WebSocket(Box<WebSocketUpgrade>, Vec<String>),
    Spdy(hyper::upgrade::OnUpgrade, Vec<String>),
}

impl Upgrade {
    /// # Errors
    /// `BadRequest` when the request asks for no upgrade that there is.
    pub async fn of(mut request: Request) -> Result<Self, ApiError> {
        if asks_for(&request, SPDY) {
            let offered = offered(request.headers(), &STREAM_PROTOCOL);
            return Ok(Self::Spdy(hyper::upgrade::on(&mut request), offered));
        }
        if !asks_for(&request, "websocket") {
            return Err(ApiError::bad_request("Upgrade request required"));
        }
        let offered = offered(request.headers(), &SEC_WEBSOCKET_PROTOCOL);
        let (mut parts, _) = request.into_parts();
        let socket = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
        let socket = socket.map_err(|refused| ApiError::bad_request(refused.body_text()))?;
        Ok(Self::WebSocket(Box::new(socket.max_message_size(LARGEST).max_frame_size(LARGEST)), offered))
    }
}

pub fn asks_for(request: &Request, protocol: &str) -> bool {
    let has = |name: &HeaderName, word: &str| {
        let values = request.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    has(&CONNECTION, "upgrade") && has(&UPGRADE, protocol)
}

fn offered(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let each = values.flat_map(|value| value.split(',')).map(|one| one.trim().to_owned());
    each.filter(|one| !one.is_empty()).collect()
}

/// `101 Switching Protocols`.
pub fn switch(protocol: &str, version: Option<&str>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    for (name, value) in [(UPGRADE, Some(protocol)), (STREAM_PROTOCOL, version)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// The answer that accepts SPDY.
pub fn to_spdy(version: &str) -> Response {
    switch(SPDY, Some(version))
}

/// None of the versions that the client offers is known here.
pub fn no_common_version(offered: &[String], known: &[&str]) -> Response {
    let message = format!(
        "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
    );
    (StatusCode::FORBIDDEN, message).into_response()
}

/// The answer that accepts a WebSocket, and what is done with it, as a task that is looked after.
pub fn websocket<F>(
    server: &Server,
    task: &'static str,
    socket: WebSocketUpgrade,
    protocol: &'static str,
    work: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (give, take) = oneshot::channel();
    server.tasks.spawn_once(task, async move {
        if let Ok(socket) = take.await {
            work(socket).await;
        }
    });
    socket.protocols([protocol]).on_upgrade(move |socket| async move {
        // Nobody takes it when the program is stopping.
        let _ = give.send(socket);
    })
}
