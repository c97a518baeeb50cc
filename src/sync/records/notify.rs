//! What a receiver of notifications is sent. Pure.

use ring::hmac;
use serde_json::json;

use super::call::{Call, Method};
use super::outcome::Outcome;
use super::targets::Receiver;

/// A notification. Its `Idempotency-Key` is the same whenever it is sent again: after a stop between the delivery and
/// the note of it, a receiver can tell that it has it.
pub fn call(receiver: &Receiver, outcome: &Outcome, release: &str) -> Call {
    let body = json!({
        "application": outcome.application.name,
        "namespace": outcome.application.namespace,
        "repository": outcome.repository.to_string(),
        "revision": outcome.revision.to_string(),
        "previousRevision": outcome.previous,
        "subject": outcome.subject,
        "author": outcome.author,
        "phase": format!("{:?}", outcome.phase),
        "message": outcome.message,
        "changed": outcome.changed,
        "release": outcome.release,
        "startedAt": outcome.started,
        "finishedAt": outcome.finished.map(|time| time.to_string()),
    });
    let body = body.to_string();
    let mut headers = vec![("idempotency-key", format!("{}-{release}", outcome.uid))];
    if !receiver.secret.is_empty() {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, receiver.secret.as_bytes()), body.as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        headers.push(("x-signature", format!("sha256={hex}")));
    }
    Call { method: Method::Post, url: receiver.url.clone(), headers, body }
}
