//! `pods/eviction`: a deletion that a disruption budget may refuse, and that is charged to it. The budget, the pod and
//! the deletion change together, so two evictions never spend the same allowance.
//! (Kubernetes documentation, "API-initiated Eviction".)

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use serde_json::{Value, json};

use super::options::{DeleteOptions, Target, WriteOptions};
use super::policies::Judged;
use super::strategy;
use super::transaction::Transaction;
use crate::object::selector::Selector;
use crate::object::{ApiError, Cause, ObjectKey, Reason, kinds};
use crate::policy::Operation;

const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
/// Evictions that may wait to be confirmed by the controller.
const UNCONFIRMED: usize = 2000;
const RETRY_SECONDS: u32 = 10;

impl Transaction {
    /// # Errors
    /// `TooManyRequests` when a budget does not allow it now, and the refusals of a deletion.
    pub fn evict(&mut self, key: &ObjectKey, eviction: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
        let name = eviction["metadata"]["name"].as_str().unwrap_or_default();
        if !name.is_empty() && name != key.name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
        }
        let pod = self.require(key)?;
        let operation = Operation::Create;
        self.judge(&Judged { key, subresource: "eviction", operation, object: Some(eviction), old: None })?;
        if !is_beyond_protection(&pod) {
            match self.budgets_of(key, &pod)?.as_slice() {
                [] => {}
                [budget] => self.charge(budget, key, &pod)?,
                _ => {
                    let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                    return Err(ApiError::new(Reason::Unknown, message));
                }
            }
        }
        self.mark_disrupted(key, pod)?;
        self.delete_allowed(key, options)?;
        self.answer_with(super::pods::success());
        Ok(())
    }

    /// The budgets whose selector chooses the pod.
    fn budgets_of(&self, key: &ObjectKey, pod: &Value) -> Result<Vec<ObjectKey>, ApiError> {
        let labels = crate::object::meta::string_map(&pod["metadata"]["labels"]);
        let mut chosen = Vec::new();
        for object in self.base.list(kinds::DISRUPTION_BUDGET, &key.namespace) {
            let budget = object.typed::<PodDisruptionBudget>().map_err(ApiError::internal)?;
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let selector = selector.and_then(|selector| Selector::of_workload(selector).ok());
            if selector.is_some_and(|selector| selector.matches(&labels)) {
                chosen.push(object.key.clone());
            }
        }
        Ok(chosen)
    }

    /// Takes one eviction from the budget, or refuses it.
    fn charge(&mut self, key: &ObjectKey, pod_key: &ObjectKey, pod: &Value) -> Result<(), ApiError> {
        let mut object = self.require(key)?;
        let budget: PodDisruptionBudget = serde_json::from_value(object.clone()).map_err(ApiError::internal)?;
        let (spec, status) = (budget.spec.unwrap_or_default(), budget.status.unwrap_or_default());
        if !is_ready(pod) && is_free_of_charge(&spec, status.current_healthy, status.desired_healthy) {
            return Ok(());
        }
        let name = &key.name;
        let generation = budget.metadata.generation.unwrap_or_default();
        if status.observed_generation.unwrap_or_default() < generation {
            let why = format!("The disruption budget {name} is still being processed by the server.");
            return Err(too_many(Some(RETRY_SECONDS), why));
        }
        let forbidden = |why: &str| Err(ApiError::forbidden(kinds::DISRUPTION_BUDGET, name, why));
        if status.disruptions_allowed < 0 {
            return forbidden("pdb disruptions allowed is negative");
        }
        if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > UNCONFIRMED) {
            return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
        }
        if status.disruptions_allowed == 0 {
            let failed = status.conditions.iter().flatten().find(|c| c.reason == "SyncFailed" && c.status == "False");
            let why = match failed {
                Some(condition) => {
                    format!(
                        "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                        condition.message
                    )
                }
                None => format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    status.desired_healthy, status.current_healthy
                ),
            };
            return Err(too_many(None, why));
        }
        let left = status.disruptions_allowed - 1;
        object["status"]["disruptionsAllowed"] = json!(left);
        if left == 0 {
            for condition in object["status"].get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if condition["type"] == "DisruptionAllowed" {
                    condition["status"] = json!("False");
                    condition["reason"] = json!("InsufficientPods");
                    condition["lastTransitionTime"] = strategy::time(self.now);
                }
            }
        }
        // The pod counts as gone from now on, until the controller sees that it is, or that it stays after all.
        object["status"]["disruptedPods"][&pod_key.name] = strategy::time(self.now);
        self.update(&Target::status(key.clone()), object, WriteOptions::default())
    }

    /// Tells the pod, and whoever looks at it, why it ends.
    fn mark_disrupted(&mut self, key: &ObjectKey, mut pod: Value) -> Result<(), ApiError> {
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": strategy::time(self.now)});
        let conditions = &mut pod["status"]["conditions"];
        match conditions.as_array_mut() {
            Some(all) => {
                all.retain(|known| known["type"] != "DisruptionTarget");
                all.push(condition);
            }
            None => *conditions = json!([condition]),
        }
        self.update(&Target::status(key.clone()), pod, WriteOptions::default())
    }
}

/// Pods that do not run, or are ending already, are nobody's availability.
fn is_beyond_protection(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"))
        || !pod["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Whether a pod that is not ready may go without being counted: always, if the budget says so; else only when
/// enough others are healthy.
fn is_free_of_charge(spec: &PodDisruptionBudgetSpec, healthy: i32, wanted: i32) -> bool {
    spec.unhealthy_pod_eviction_policy.as_deref() == Some("AlwaysAllow") || healthy >= wanted && wanted > 0
}

fn too_many(retry_after_seconds: Option<u32>, why: String) -> ApiError {
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    ApiError {
        causes: vec![cause],
        retry_after_seconds,
        about: Some(Box::default()),
        ..ApiError::new(Reason::TooManyRequests, REFUSED)
    }
}
