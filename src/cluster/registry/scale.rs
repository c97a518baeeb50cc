//! The scale subresource: an `autoscaling/v1` Scale that stands for a workload's replicas.

use serde_json::{Value, json};

use super::options::{Patch, Target, WriteOptions};
use super::ownership;
use super::patch::patched;
use super::request;
use super::transaction::Transaction;
use super::update::Owned;
use crate::object::{ApiError, Cause, ObjectKey, Reason};

const SCALE: &str = "scale";

/// The Scale of a Deployment or ReplicaSet in its JSON form.
pub fn of(workload: &Value) -> Value {
    let mut metadata = serde_json::Map::new();
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = workload["metadata"].get(name) {
            metadata.insert(name.into(), value.clone());
        }
    }
    let mut status = json!({"replicas": workload["status"]["replicas"].as_i64().unwrap_or(0)});
    let selector = selector_text(&workload["spec"]["selector"]);
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    let mut spec = json!({});
    if let Some(replicas) = workload["spec"]["replicas"].as_i64().filter(|n| *n != 0) {
        spec["replicas"] = json!(replicas);
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

impl Transaction {
    pub(super) fn update_scale(
        &mut self,
        key: &ObjectKey,
        scale: Value,
        _options: WriteOptions,
    ) -> Result<(), ApiError> {
        let (version, name) = (scale["apiVersion"].as_str(), scale["kind"].as_str());
        if let Some(name) = name.filter(|name| *name != "Scale") {
            let named = version.unwrap_or_default();
            let short = named.rsplit('/').next().unwrap_or_default();
            return Err(ApiError::bad_request(format!(
                "{name} in version \"{short}\" cannot be handled as a Scale: converting ({short}.{name}) to (autoscaling.Scale): unknown conversion"
            )));
        }
        let current = self.require(key)?;
        request::check_name(key, &scale)?;
        if scale["metadata"]["namespace"].as_str().is_some_and(|named| named != key.namespace) {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if let version @ Some(_) = request::named_version(&scale)? {
            self.check_version(key, version, &current)?;
        }
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| {
                ApiError::bad_request(
                    "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is not an integer",
                )
            })?,
        };
        if replicas < 0 {
            return Err(negative(key, replicas));
        }
        let mut next = current.clone();
        next["spec"]["replicas"] = json!(replicas);
        ownership::record_update(key.kind, &current, &mut next, &self.author, Some(SCALE), self.now);
        self.scaled(key, &current, next)
    }

    /// Puts a workload whose owners are worked out.
    fn scaled(&mut self, key: &ObjectKey, current: &Value, mut next: Value) -> Result<(), ApiError> {
        ownership::forget_time(&mut next, &self.author, SCALE);
        self.replace(&Target::from(key.clone()), current, next, Owned::Stated)?;
        let answer = self.current(key).map(|workload| of(&workload)).unwrap_or_default();
        self.answer_with(answer);
        Ok(())
    }

    pub(super) fn patch_scale(&mut self, key: &ObjectKey, patch: Patch, options: WriteOptions) -> Result<(), ApiError> {
        if let Patch::Apply(config) = patch {
            return self.apply_scale(key, &config, options);
        }
        let current = of(&self.require(key)?);
        let scale = patched(key.kind, &current, &patch)?;
        self.update_scale(key, scale, options)
    }
}

impl Transaction {
    /// Applying a Scale owns the replicas of the workload.
    fn apply_scale(&mut self, key: &ObjectKey, config: &Value, options: WriteOptions) -> Result<(), ApiError> {
        let text = |name: &str| config[name].as_str().unwrap_or_default();
        if (text("apiVersion"), text("kind")) != ("autoscaling/v1", "Scale") {
            let named = text("apiVersion");
            let version = if named.contains('/') { named.to_owned() } else { format!("/{named}") };
            return Err(ApiError::bad_request(format!("invalid object type: {version}, Kind={}", text("kind"))));
        }
        let current = self.require(key)?;
        request::check_name(key, config)?;
        if let version @ Some(_) = request::named_version(config)? {
            self.check_version(key, version, &current)?;
        }
        let replicas = config["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            return Err(negative(key, replicas));
        }
        let config = json!({"apiVersion": key.kind.api_version(), "kind": key.kind.kind,
            "metadata": {"name": key.name, "namespace": key.namespace}, "spec": {"replicas": replicas}});
        let next =
            ownership::apply(key.kind, Some(&current), &config, &self.author, options.force, Some(SCALE), self.now)?;
        self.scaled(key, &current, next)
    }
}

fn negative(key: &ObjectKey, replicas: i64) -> ApiError {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
        field: "spec.replicas".into(),
    };
    let message = format!("Scale.autoscaling \"{}\" is invalid: {}: {}", key.name, cause.field, cause.message);
    let about = crate::object::error::About {
        name: key.name.clone(),
        group: "autoscaling".into(),
        kind: "Scale".into(),
        ..Default::default()
    };
    ApiError { about: Some(Box::new(about)), causes: vec![cause], ..ApiError::new(Reason::Invalid, message) }
}

/// A workload's selector as `kubectl get -l` takes it.
fn selector_text(selector: &Value) -> String {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<(String, String)> =
        pairs.map(|(key, value)| (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let text = match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => continue,
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_shows_replicas_and_the_selector_as_text() {
        let workload = json!({"metadata": {"name": "web", "namespace": "d", "uid": "u", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"},
                "matchExpressions": [{"key": "aa", "operator": "In", "values": ["y", "x"]}]}},
            "status": {"replicas": 2}});
        let scale = of(&workload);
        assert_eq!(scale["spec"], json!({"replicas": 3}));
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "a=1,aa in (x,y),b=2"}));
        assert_eq!(scale["metadata"], json!({"name": "web", "namespace": "d", "uid": "u"}));
    }
}
