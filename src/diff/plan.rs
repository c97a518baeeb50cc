//! A plan: what a commit would change, computed by the same code that then changes it.

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
        let place = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        format!("{} hook {} {place}{}", self.phase, self.kind, self.name)
    }
}

impl PlanStep {
    /// `Deployment default/web`, or `Node n1`.
    pub fn object(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
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
