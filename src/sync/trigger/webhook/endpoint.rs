//! Takes deliveries over HTTP: bounded in size, time and number before anything is looked at.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::sync::Semaphore;

use super::delivery::{self, Event};
use super::pull_request::{self, PullRequest};
use super::replay::Seen;
use super::repository;
use crate::object::Clock;
use crate::sync::trigger::Trigger;

/// A larger body is refused unread; hosts send some hundred KiB for a large push.
const MAX_BODY: usize = 8 << 20;
/// Deliveries that are read at the same time.
const AT_ONCE: usize = 8;
/// Time in which a body must have come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What the endpoint knows.
pub struct Webhooks {
    secret: Option<Vec<u8>>,
    loopback: bool,
    clock: Clock,
    seen: Mutex<Seen>,
    reading: Semaphore,
}

impl Webhooks {
    /// Without a secret, deliveries are taken only when nobody but this machine can send them (`loopback`).
    pub fn new(secret: Option<Vec<u8>>, loopback: bool, clock: Clock) -> Self {
        let secret = secret.filter(|secret| !secret.is_empty());
        Self { secret, loopback, clock, seen: Mutex::default(), reading: Semaphore::new(AT_ONCE) }
    }
}

/// Answers one delivery; calls `trigger`, with the repository's URLs, when it is genuine, new and about a push, and `review` when about a pull request.
pub async fn receive(
    webhooks: &Webhooks,
    headers: &HeaderMap,
    body: Body,
    trigger: impl FnOnce(Trigger, &[String]) -> usize,
    review: impl FnOnce(PullRequest),
) -> Response {
    if webhooks.secret.is_none() && !webhooks.loopback {
        let why = "webhooks need a secret when the server listens on more than loopback; see --webhook-secret-file";
        return answer(StatusCode::FORBIDDEN, why);
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "the delivery is too large");
    }
    let Ok(_permit) = webhooks.reading.try_acquire() else {
        return answer(StatusCode::TOO_MANY_REQUESTS, "too many deliveries at once");
    };
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return answer(StatusCode::PAYLOAD_TOO_LARGE, "the delivery is too large or was cut off"),
        Err(_) => return answer(StatusCode::REQUEST_TIMEOUT, "the delivery took too long to arrive"),
    };
    let delivery = match delivery::read(headers, &body, webhooks.secret.as_deref(), webhooks.clock.now()) {
        Ok(delivery) => delivery,
        Err(refusal) => {
            tracing::warn!(%refusal, "a webhook delivery was refused");
            return answer(StatusCode::UNAUTHORIZED, &refusal.to_string());
        }
    };
    let host = delivery.host.name();
    let is_new =
        delivery.id.is_none_or(|id| webhooks.seen.lock().unwrap_or_else(PoisonError::into_inner).is_new(host, &id));
    match delivery.event {
        _ if !is_new => answer(StatusCode::OK, "known: this delivery was taken before"),
        Event::Ping => answer(StatusCode::OK, "pong"),
        Event::Other => answer(StatusCode::OK, "ignored: not about a push"),
        Event::PullRequest => match pull_request::read(delivery.host, &body) {
            Some(request) => {
                review(request);
                answer(StatusCode::ACCEPTED, "accepted: what merging it would change is worked out now")
            }
            None => answer(StatusCode::OK, "ignored: the pull request has no new commit"),
        },
        Event::Push => {
            let urls = serde_json::from_slice(&body).map(|body| repository::urls(&body)).unwrap_or_default();
            let followers = trigger(Trigger::Webhook(host), &urls);
            answer(StatusCode::ACCEPTED, &format!("accepted: {followers} sources of Applications are looked at now"))
        }
    }
}

fn answer(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}

#[cfg(test)]
mod tests {
    use ring::hmac;

    use super::*;

    async fn send(webhooks: &Webhooks, pairs: &[(&str, &str)], body: &[u8]) -> (u16, Option<Trigger>) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let mut triggered = None;
        let trigger = |trigger, _: &[String]| {
            triggered = Some(trigger);
            1
        };
        let answer = receive(webhooks, &headers, Body::from(body.to_vec()), trigger, |_| ()).await;
        (answer.status().as_u16(), triggered)
    }

    fn webhooks(secret: Option<&[u8]>, loopback: bool) -> Webhooks {
        Webhooks::new(secret.map(<[u8]>::to_vec), loopback, Clock::start())
    }

    #[tokio::test(start_paused = true)]
    async fn only_genuine_and_new_deliveries_trigger() {
        let webhooks = webhooks(Some(b"s"), false);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"s"), b"{}");
        let signature = tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let forged = signature.replace("sha256=", "sha256=0");
        let push =
            |signature, id| [("x-github-event", "push"), ("x-hub-signature-256", signature), ("x-github-delivery", id)];
        assert_eq!(send(&webhooks, &push(&forged, "1"), b"{}").await, (401, None));
        assert_eq!(send(&webhooks, &push(&signature, "1"), b"{ }").await, (401, None));
        assert_eq!(send(&webhooks, &push(&signature, "1"), b"{}").await, (202, Some(Trigger::Webhook("GitHub"))));
        assert_eq!(send(&webhooks, &push(&signature, "1"), b"{}").await, (200, None), "replayed");
        assert_eq!(send(&webhooks, &push(&signature, "2"), b"{}").await.0, 202);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_secret_only_this_machine_is_heard() {
        assert_eq!(send(&webhooks(None, false), &[], b"").await, (403, None));
        assert_eq!(send(&webhooks(Some(b""), false), &[], b"").await, (403, None));
        assert_eq!(send(&webhooks(None, true), &[], b"").await.0, 202);
    }

    #[tokio::test(start_paused = true)]
    async fn large_and_slow_bodies_are_refused() {
        let open = webhooks(None, true);
        let large = vec![b' '; MAX_BODY + 1];
        assert_eq!(send(&open, &[], &large).await, (413, None));
        assert_eq!(send(&open, &[("content-length", "1000000000")], b"").await, (413, None));
        let slow = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let answer = receive(&open, &HeaderMap::new(), slow, |_, _| 0, |_| ()).await;
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
