//! `pods/NAME/log`: finds the container's node and passes its log on as it comes.

use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, Stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::answer;
use super::api::Server;
use super::nodes;
use super::query::Parameters;
use super::streams::pick_container;
use crate::object::error::About;
use crate::object::{ApiError, Cause, Object, ObjectKey, Reason};
use crate::streams::{Ended, LogRequest, Message, Opened, Request, Target};

/// # Errors
/// The refusal for the client, in Kubernetes's words: kubectl shows them as they are.
pub async fn serve(server: &Server, key: &ObjectKey, uri: &Uri) -> Result<Response, ApiError> {
    let parameters = Parameters::of(uri)?;
    let asked = Numbers::of(&parameters, &key.name)?;
    let pod = server.registry.get(key)?;
    let request = log_request(&pod, &parameters, &asked, server.registry.clock().now())?;
    let Some(node) = pod.meta.node.as_deref() else {
        // A pod that waits for its node has said nothing yet, which is no error.
        return Ok(answer::bytes(StatusCode::NO_CONTENT, Body::empty()));
    };
    let opened = server.nodes.open(node, Request::Logs(request)).await;
    let opened = opened.map_err(|error| nodes::refusal(node, error))?;
    // Followed logs end with the program, so that stopping need not wait for their readers.
    let stream = bytes(opened).take_until(server.shutdown.clone().cancelled_owned());
    let mut response = answer::bytes(StatusCode::OK, Body::from_stream(stream));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// The log itself, out of the messages that carry it.
fn bytes(opened: Opened) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(opened, |mut opened| async move {
        loop {
            match opened.pair.receiver.next().await.map_err(io::Error::other)? {
                Some(Message::Output(data)) => return Ok(Some((data, opened))),
                Some(Message::Ended(Ended::Failed { message })) => return Err(io::Error::other(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    })
}

/// Which part of which container's log a request means.
fn log_request(pod: &Object, parameters: &Parameters, asked: &Numbers, now: Timestamp) -> Result<LogRequest, ApiError> {
    let value = pod.value();
    let previous = parameters.flag("previous");
    let container = pick_container(pod, &value, parameters.text("container"))?;
    check_started(pod, &value, &container, previous)?;
    let since = match (asked.since_seconds, parameters.text("sinceTime")) {
        (Some(seconds), _) => {
            let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            Some(now.saturating_sub(ago).unwrap_or(Timestamp::MIN))
        }
        (None, Some(time)) => Some(time.parse().map_err(|e| ApiError::bad_request(format!("sinceTime: {e}")))?),
        (None, None) => None,
    };
    Ok(LogRequest {
        target: Target {
            namespace: pod.key.namespace.clone(),
            pod: pod.key.name.clone(),
            pod_uid: pod.meta.uid.clone(),
            container,
        },
        follow: parameters.flag("follow"),
        previous,
        timestamps: parameters.flag("timestamps"),
        tail_lines: asked.tail_lines,
        limit_bytes: asked.limit_bytes,
        since,
    })
}

/// The options that are numbers, each in its range.
#[derive(Debug, PartialEq)]
struct Numbers {
    tail_lines: Option<u64>,
    limit_bytes: Option<u64>,
    since_seconds: Option<u64>,
}

impl Numbers {
    /// # Errors
    /// `Invalid`, with all that is wrong. (Kubernetes, `ValidatePodLogOptions`.)
    fn of(parameters: &Parameters, pod: &str) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let mut number = |field: &str, least: i64| {
            let asked = parameters.integer(field)?;
            if let Some(value) = asked.filter(|value| *value < least) {
                let why = if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
                let message = format!("Invalid value: {value}: {why}");
                causes.push(Cause { reason: "FieldValueInvalid".into(), message, field: field.into() });
            }
            Ok::<_, ApiError>(asked.and_then(|value| u64::try_from(value).ok()))
        };
        let tail_lines = number("tailLines", 0)?;
        let limit_bytes = number("limitBytes", 1)?;
        let both = parameters.text("sinceTime").is_some() && parameters.text("sinceSeconds").is_some();
        let since_seconds = number("sinceSeconds", if both { i64::MIN } else { 1 })?;
        if both {
            let message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified".into();
            causes.push(Cause { reason: "FieldValueForbidden".into(), message, field: String::new() });
        }
        if causes.is_empty() {
            return Ok(Self { tail_lines, limit_bytes, since_seconds });
        }
        let each: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let listed = match each.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let about = About { name: pod.into(), kind: "PodLogOptions".into(), ..About::default() };
        let text = format!("PodLogOptions {pod:?} is invalid: {listed}");
        Err(ApiError { about: Some(Box::new(about)), causes, ..ApiError::new(Reason::Invalid, text) })
    }
}

/// A container that is yet to run has no log; what it waits for is the answer.
fn check_started(pod: &Object, value: &Value, container: &str, previous: bool) -> Result<(), ApiError> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all = lists.iter().filter_map(|list| value["status"][list].as_array()).flatten();
    let status = all.find(|s| s["name"] == container);
    let name = &pod.key.name;
    let terminated_before = status.is_some_and(|s| !s["lastState"]["terminated"].is_null());
    if previous && !terminated_before {
        let message = format!("previous terminated container {container:?} in pod {name:?} not found");
        return Err(ApiError::bad_request(message));
    }
    let waiting = status.and_then(|s| s["state"]["waiting"].as_object());
    if let Some(waiting) = waiting.filter(|_| !terminated_before) {
        let reason = waiting.get("reason").and_then(Value::as_str).unwrap_or("ContainerCreating");
        let why = match reason {
            "ErrImagePull" | "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
            reason => reason.to_owned(),
        };
        return Err(ApiError::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start: {why}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_their_range_are_refused_together() {
        let of = |query: &str| {
            let parameters = Parameters::of(&format!("/x?{query}").parse().unwrap()).unwrap();
            Numbers::of(&parameters, "web").map_err(|error| error.message)
        };
        let numbers = of("tailLines=0&limitBytes=1&sinceSeconds=1").unwrap();
        assert_eq!((numbers.tail_lines, numbers.since_seconds), (Some(0), Some(1)));
        let cases = [
            ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
            (
                "limitBytes=0&sinceSeconds=0",
                "[limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0]",
            ),
            (
                "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
                ": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            ),
        ];
        for (query, want) in cases {
            assert_eq!(of(query), Err(format!("PodLogOptions \"web\" is invalid: {want}")), "{query}");
        }
    }
}
