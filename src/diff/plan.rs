//! A plan: what a commit would change, computed by the same code that then changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What executing would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    pub id: String,
    /// The Application that it is for.
    pub application: String,
    /// Commit in full, or `work tree`.
    pub revision: String,
    /// Store revision that it was computed from.
    pub base: u64,
    pub steps: Vec<PlanStep>,
    /// What the sync runs beside its steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<PlannedHook>,
    /// What becomes of pods, as far as that can be foreseen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<Rollout>,
    /// Objects that go from one Application to another as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Objects that are as git says.
    pub unchanged: usize,
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    pub action: Action,
    pub api_version: String,
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    #[serde(default)]
    pub namespace: String,
    pub name: String,
    /// Where git says so: `FILE:LINE`.
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub changes: Vec<FieldChange>,
}

/// An object that is made at a moment of the sync.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedHook {
    /// `PreSync`, `Sync`, `PostSync`, or `SyncFail` for the case that it fails; several with commas.
    pub phase: String,
    pub kind: String,
    #[serde(default)]
    pub namespace: String,
    pub name: String,
    #[serde(default)]
    pub source: String,
}

/// What becomes of the pods of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub kind: String,
    #[serde(default)]
    pub namespace: String,
    pub name: String,
    pub effect: RolloutEffect,
    /// New pods, by the node on which they would be put.
    #[serde(default)]
    pub nodes: BTreeMap<String, usize>,
    /// New pods for which there would be no node, and why.
    #[serde(default)]
    pub unfit: usize,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RolloutEffect {
    /// It is new.
    Start,
    /// Its pods are replaced.
    Restart,
    /// Its pods stay as they are, and there are more or fewer.
    Scale { from: usize, to: usize },
}

/// An object that is another Application's from now on, or was until now. It is not deleted on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    pub kind: String,
    #[serde(default)]
    pub namespace: String,
    pub name: String,
    /// Of the two Applications.
    pub from: String,
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    /// An immutable field differs: delete and create.
    Replace,
    /// Git no longer has it.
    Prune,
}

/// One field; list entries are addressed by their merge key: `spec.template.spec.containers[name=web].image`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Something wrong in a manifest, with the place for an editor to jump to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceError {
    /// Path inside the repository.
    pub file: String,
    /// From 1; 0 when the whole file is meant.
    pub line: u32,
    pub message: String,
}

impl Plan {
    /// The plan with its id: a hash over what it does and what is wrong with it, in 12 hex digits. Where both are the same it is the
    /// same plan, whoever rendered it and whatever else changed meanwhile.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        // A plan of strings and JSON values has no way not to serialise.
        let content = (&self.application, &self.steps, &self.hooks, &self.errors);
        let content = serde_json::to_vec(&content).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        self.id = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        self
    }

    /// How many steps take this action.
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    /// Nothing to do and nothing wrong.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.errors.is_empty()
    }
}

impl PlannedHook {
    /// `PreSync hook Job default/migrate`
    pub fn object(&self) -> String {
        format!("{} hook {}", self.phase, object(&self.kind, &self.namespace, &self.name))
    }
}

impl PlanStep {
    /// `Deployment default/web`, or `Node n1`.
    pub fn object(&self) -> String {
        object(&self.kind, &self.namespace, &self.name)
    }
}

impl Rollout {
    /// `Deployment default/web restarts: 2 pods on n1, 1 on n2`
    pub fn text(&self) -> String {
        let effect = match self.effect {
            RolloutEffect::Start => "starts".to_owned(),
            RolloutEffect::Restart => "restarts".to_owned(),
            RolloutEffect::Scale { from, to } => format!("scales from {from} to {to}"),
        };
        let pods = |count: usize| if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") };
        let mut parts: Vec<String> =
            self.nodes.iter().map(|(node, count)| format!("{} on {node}", pods(*count))).collect();
        if self.unfit > 0 {
            parts.push(format!("no node for {} ({})", pods(self.unfit), self.why));
        }
        let places = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        format!("{} {effect}{places}", object(&self.kind, &self.namespace, &self.name))
    }
}

impl Move {
    /// `ConfigMap default/conf goes from Application a to b`
    pub fn text(&self) -> String {
        let what = object(&self.kind, &self.namespace, &self.name);
        format!("{what} goes from Application {} to {}", self.from, self.to)
    }
}

fn object(kind: &str, namespace: &str, name: &str) -> String {
    match namespace {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_that_of_what_is_done_and_of_what_is_wrong() {
        let plan = Plan { application: "a".into(), base: 7, ..Plan::default() }.sealed();
        assert_eq!(plan.id.len(), 12);
        assert_eq!(plan.clone().sealed(), plan);
        assert_eq!(Plan { base: 8, revision: "work tree".into(), ..plan.clone() }.sealed().id, plan.id);
        let error = SourceError { file: "a.yaml".into(), line: 1, message: "bad".into() };
        assert_ne!(Plan { errors: vec![error], ..plan.clone() }.sealed().id, plan.id);
        assert_ne!(Plan { application: "b".into(), ..plan.clone() }.sealed().id, plan.id);
    }
}
