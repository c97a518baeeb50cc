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
    let pod = server.registry.get(key)?;
    let request = log_request(&pod, &parameters, server.registry.clock().now())?;
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
fn log_request(pod: &Object, parameters: &Parameters, now: Timestamp) -> Result<LogRequest, ApiError> {
    let value = pod.value();
    let previous = parameters.flag("previous");
    let container = pick_container(pod, &value, parameters.text("container"))?;
    check_started(pod, &value, &container, previous)?;
    let count = |name: &'static str| -> Result<Option<u64>, ApiError> {
        let asked = parameters.integer(name)?;
        asked.map(|n| u64::try_from(n).map_err(|_| negative(pod, name, n))).transpose()
    };
    let since = match (count("sinceSeconds")?, parameters.text("sinceTime")) {
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
        tail_lines: count("tailLines")?,
        limit_bytes: count("limitBytes")?,
        since,
    })
}

fn negative(pod: &Object, field: &str, value: i64) -> ApiError {
    let message = format!("Invalid value: {value}: must be greater than or equal to 0");
    let name = &pod.key.name;
    let text = format!("PodLogOptions {name:?} is invalid: {field}: {message}");
    let about = About { name: name.clone(), kind: "PodLogOptions".into(), ..About::default() };
    let causes = vec![Cause { reason: "FieldValueInvalid".into(), message, field: field.into() }];
    ApiError { about: Some(Box::new(about)), causes, ..ApiError::new(Reason::Invalid, text) }
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
