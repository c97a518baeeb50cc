//! The `scale` subresource: a workload's replica count as an `autoscaling/v1` Scale, so that `kubectl scale` and
//! autoscalers need not know the kind behind it.

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Server;
use super::write::{WriteRequest, decode_patch};
use super::{answer, body};
use crate::cluster::registry::{Patch, Target};
use crate::object::error::About;
use crate::object::{ApiError, Cause, Object, ObjectKey, Reason};

/// GET, PUT and PATCH of `.../scale`.
///
/// # Errors
/// The refusal for the client.
pub async fn serve(server: &Server, key: ObjectKey, verb: &str, request: Request) -> Result<Response, ApiError> {
    let workload = server.registry.get(&key)?;
    if verb == "get" {
        return Ok(answer::value(StatusCode::OK, &scale_of(&workload)));
    }
    let (parts, bytes) = body::read(request).await?;
    let write = WriteRequest::of(&parts)?;
    let asked = match verb {
        "update" => body::decode(body::encoding(&parts)?, &bytes)?,
        _ => patched(scale_of(&workload), decode_patch(&parts, &bytes, &write)?)?,
    };
    let change = Patch::Merge(change(&key, &asked)?);
    let written = server.registry.patch(&write.author, &Target::from(key), change, write.options).await?;
    Ok(answer::warn(answer::value(StatusCode::OK, &scale_of(&written.object)), &written.warnings))
}

/// The Scale of a workload.
fn scale_of(workload: &Object) -> Value {
    let object = workload.value();
    let meta = &object["metadata"];
    let selector = selector_text(&object["spec"]["selector"]);
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"]},
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(1)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector}})
}

/// A workload's selector in the text form that lists take; terms are ordered as Kubernetes orders them, by key.
fn selector_text(selector: &Value) -> String {
    let Ok(selector) = LabelSelector::deserialize(selector) else { return String::new() };
    let labels = selector.match_labels.into_iter().flatten();
    let mut terms: Vec<(String, String)> = labels.map(|(k, v)| (k.clone(), format!("{k}={v}"))).collect();
    for expression in selector.match_expressions.into_iter().flatten() {
        let (key, values) = (expression.key, expression.values.unwrap_or_default().join(","));
        let term = match expression.operator.as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.clone(),
            _ => format!("!{key}"),
        };
        terms.push((key, term));
    }
    terms.sort();
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}

/// A Scale has no lists, so strategic merge and apply come to the same as a merge.
fn patched(mut scale: Value, patch: Patch) -> Result<Value, ApiError> {
    match patch {
        Patch::Merge(document) | Patch::Strategic(document) | Patch::Apply(document) => {
            // Without a resourceVersion of its own a patch is not bound to the state it was computed on.
            let named = document["metadata"]["resourceVersion"].clone();
            json_patch::merge(&mut scale, &document);
            scale["metadata"]["resourceVersion"] = named;
        }
        Patch::Json(document) => {
            let patch: json_patch::Patch =
                serde_json::from_value(document).map_err(|e| ApiError::bad_request(e.to_string()))?;
            json_patch::patch(&mut scale, &patch)
                .map_err(|e| ApiError::new(Reason::Invalid, format!("the patch does not apply: {e}")))?;
        }
    }
    Ok(scale)
}

/// The change of the workload that a Scale asks for.
fn change(key: &ObjectKey, scale: &Value) -> Result<Value, ApiError> {
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        value => value.as_i64().ok_or_else(|| ApiError::bad_request("spec.replicas: must be an integer"))?,
    };
    if replicas < 0 {
        let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        let field = "spec.replicas".to_owned();
        let text = format!("Scale.autoscaling \"{}\" is invalid: {field}: {message}", key.name);
        let about =
            About { name: key.name.clone(), group: "autoscaling".into(), kind: "Scale".into(), ..About::default() };
        let causes = vec![Cause { reason: "FieldValueInvalid".into(), message, field }];
        return Err(ApiError { about: Some(Box::new(about)), causes, ..ApiError::new(Reason::Invalid, text) });
    }
    let mut change = json!({"spec": {"replicas": replicas}});
    if let Some(version) = scale["metadata"]["resourceVersion"].as_str().filter(|v| !v.is_empty()) {
        change["metadata"] = json!({"resourceVersion": version});
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_as_lists_take_it() {
        let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "a", "operator": "Exists"}, {"key": "tier", "operator": "In", "values": ["x", "y"]}]});
        assert_eq!(selector_text(&selector), "a,app=web,tier in (x,y)");
    }

    #[test]
    fn patching_a_scale_keeps_only_preconditions_that_the_patch_names() {
        let scale = json!({"metadata": {"resourceVersion": "5"}, "spec": {"replicas": 1}});
        let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
        let key = ObjectKey::new(crate::object::kinds::DEPLOYMENT, "d", "web");
        assert_eq!(change(&key, &patched(scale, patch).unwrap()).unwrap(), json!({"spec": {"replicas": 3}}));
        assert_eq!(change(&key, &json!({"spec": {"replicas": -1}})).unwrap_err().reason, Reason::Invalid);
    }
}
