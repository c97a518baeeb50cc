//! Binding a pod to a node.

use serde_json::{Value, json};

use super::ownership;
use super::policies::Judged;
use super::strategy;
use super::transaction::Transaction;
use crate::object::error::About;
use crate::object::{ApiError, ObjectKey, Reason, kinds};
use crate::policy::Operation;

impl Transaction {
    /// `pods/binding`: puts the pod on a node, once and for all.
    ///
    /// # Errors
    /// `Conflict` when the pod is on a node already or is being deleted.
    pub fn bind(&mut self, key: &ObjectKey, node: &str) -> Result<(), ApiError> {
        let pod = self.require(key)?;
        let refused = |why: String| Err(binding_conflict(key, &why));
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            return refused(format!("pod {} is being deleted, cannot be assigned to a host", key.name));
        }
        if let Some(bound) = pod["spec"]["nodeName"].as_str().filter(|bound| !bound.is_empty()) {
            return refused(format!("pod {} is already assigned to node {bound:?}", key.name));
        }
        if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            return refused(format!("pod {} has non-empty .spec.schedulingGates", key.name));
        }
        let binding = json!({"apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace}, "target": {"kind": "Node", "name": node}});
        let operation = Operation::Create;
        self.judge(&Judged { key, subresource: "binding", operation, object: Some(&binding), old: None })?;
        let mut next = pod.clone();
        next["spec"]["nodeName"] = json!(node);
        set_scheduled(&mut next, self.now);
        ownership::record_update(key.kind.into(), &pod, &mut next, &self.author, Some("binding"), self.now);
        self.put(key.clone(), Some(&pod), next);
        self.answer_with(success());
        Ok(())
    }

    /// `pods/binding` with a request's body.
    ///
    /// # Errors
    /// The refusal for the client.
    pub fn bind_by(&mut self, key: &ObjectKey, binding: &Value) -> Result<(), ApiError> {
        if binding["metadata"]["name"].as_str().is_some_and(|name| name != key.name) {
            return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
        }
        let target = &binding["target"];
        if let Some(kind) = target["kind"].as_str().filter(|kind| !matches!(*kind, "" | "Node")) {
            let message = format!("target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\"");
            return Err(ApiError::new(Reason::Unknown, message));
        }
        match target["name"].as_str().unwrap_or_default() {
            "" => Err(ApiError::new(Reason::Unknown, "target.name: Required value")),
            node => self.bind(key, node),
        }
    }
}

fn set_scheduled(pod: &mut Value, now: jiff::Timestamp) {
    let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": strategy::time(now)});
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    match conditions.iter_mut().find(|c| c["type"] == "PodScheduled") {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    pod["status"]["conditions"] = json!(conditions);
}

fn binding_conflict(key: &ObjectKey, why: &str) -> ApiError {
    let message = format!("Operation cannot be fulfilled on pods/binding \"{}\": {why}", key.name);
    let about = About { name: key.name.clone(), kind: format!("{}/binding", kinds::POD.plural), ..About::default() };
    ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::Conflict, message) }
}

pub(super) fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
