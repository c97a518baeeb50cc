//! What differs between kinds when they are written: one row a kind, in the terms of Kubernetes's strategies.
//! The rows say which rules apply; `create`, `update` and `delete` carry them out.

use serde_json::{Value, json};

use crate::object::kinds::{self, Shape, Subresource};
use crate::object::{Kind, clock};

/// Which changes `metadata.generation` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The kind has no generation.
    None,
    /// Changes of `spec`.
    Spec,
    /// Changes of `spec` and of annotations: a Deployment's controller copies its annotations to ReplicaSets.
    SpecAndAnnotations,
    /// Changes of `template`.
    Template,
    /// Changes of labels and of everything beside metadata and status.
    Content,
    /// Changes of everything beside metadata. Where a write cannot touch status, status has not changed.
    AllButMetadata,
}

/// What a write to the status subresource may change beside `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusScope {
    /// All of metadata but these members.
    MetadataExcept(&'static [&'static str]),
    /// Nothing: custom resources.
    StatusOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    pub generation: Generation,
    pub status: Option<StatusScope>,
    /// An update may leave out the resourceVersion.
    pub unconditional_update: bool,
    /// An update of an object that does not exist creates it.
    pub create_on_update: bool,
}

const PLAIN: Strategy =
    Strategy { generation: Generation::None, status: None, unconditional_update: true, create_on_update: false };
const WITH_STATUS: Strategy = Strategy { status: Some(StatusScope::MetadataExcept(&[])), ..PLAIN };

impl Strategy {
    pub fn of(kind: &'static Kind) -> Self {
        if kind == kinds::POD {
            let status = Some(StatusScope::MetadataExcept(&["ownerReferences", "deletionTimestamp"]));
            Self { generation: Generation::Spec, status, ..PLAIN }
        } else if kind == kinds::DEPLOYMENT {
            let status = Some(StatusScope::MetadataExcept(&["labels"]));
            Self { generation: Generation::SpecAndAnnotations, status, ..PLAIN }
        } else if [
            kinds::REPLICA_SET,
            kinds::REPLICATION_CONTROLLER,
            kinds::STATEFUL_SET,
            kinds::DAEMON_SET,
            kinds::JOB,
            kinds::CRON_JOB,
            kinds::INGRESS,
        ]
        .contains(&kind)
        {
            Self { generation: Generation::Spec, ..WITH_STATUS }
        } else if kind == kinds::DISRUPTION_BUDGET || kind == kinds::CUSTOM_RESOURCE_DEFINITION {
            Self { generation: Generation::Spec, unconditional_update: false, ..WITH_STATUS }
        } else if kind == kinds::POD_TEMPLATE {
            Self { generation: Generation::Template, ..PLAIN }
        } else if kind == kinds::ADMISSION_POLICY {
            Self { generation: Generation::Spec, unconditional_update: false, ..WITH_STATUS }
        } else if kind == kinds::SERVICE {
            Self { create_on_update: true, ..WITH_STATUS }
        } else if [kinds::NAMESPACE, kinds::NODE, kinds::CLAIM, kinds::VOLUME, kinds::RESOURCE_QUOTA, kinds::AUTOSCALER]
            .contains(&kind)
        {
            WITH_STATUS
        } else if kind == kinds::ENDPOINTS || kind == kinds::EVENT {
            Self { create_on_update: true, ..PLAIN }
        } else if kind == kinds::ADMISSION_BINDING {
            Self { generation: Generation::Spec, unconditional_update: false, ..PLAIN }
        } else if [kinds::PRIORITY_CLASS, kinds::NETWORK_POLICY, kinds::INGRESS_CLASS].contains(&kind) {
            Self { generation: Generation::Spec, ..PLAIN }
        } else if [
            kinds::LIMIT_RANGE,
            kinds::ROLE,
            kinds::CLUSTER_ROLE,
            kinds::ROLE_BINDING,
            kinds::CLUSTER_ROLE_BINDING,
        ]
        .contains(&kind)
        {
            Self { create_on_update: true, ..PLAIN }
        } else if kind == kinds::ENDPOINT_SLICE {
            Self { generation: Generation::Content, ..PLAIN }
        } else if kind == kinds::LEASE {
            Self { unconditional_update: false, create_on_update: true, ..PLAIN }
        } else if kind.shape == Shape::Spec {
            // Kinds of our own behave as custom resources do.
            let status = kind.has(Subresource::Status).then_some(StatusScope::StatusOnly);
            Self { generation: Generation::AllButMetadata, status, unconditional_update: false, ..PLAIN }
        } else {
            PLAIN
        }
    }

    /// Whether the generation of `new` must be one more than that of `old`.
    pub fn counts(&self, new: &Value, old: &Value) -> bool {
        match self.generation {
            Generation::None => false,
            Generation::Spec => new["spec"] != old["spec"],
            Generation::Template => new["template"] != old["template"],
            Generation::SpecAndAnnotations => {
                new["spec"] != old["spec"] || new["metadata"]["annotations"] != old["metadata"]["annotations"]
            }
            Generation::AllButMetadata => {
                let content = |object: &'_ Value| {
                    let mut rest = object.clone();
                    rest.as_object_mut().map(|members| members.remove("metadata"));
                    rest
                };
                content(new) != content(old)
            }
            Generation::Content => {
                let content = |object: &'_ Value| {
                    let mut rest = object.clone();
                    if let Some(members) = rest.as_object_mut() {
                        members.retain(|name, _| name != "metadata" && name != "status");
                    }
                    rest
                };
                let labels = self.status.is_none() && new["metadata"]["labels"] != old["metadata"]["labels"];
                labels || content(new) != content(old)
            }
        }
    }
}

/// `metadata.creationTimestamp` and the like.
pub fn time(now: jiff::Timestamp) -> Value {
    json!(clock::rfc3339(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_counts_its_own_changes() {
        let base =
            json!({"metadata": {"labels": {"a": "1"}, "annotations": {"x": "1"}}, "spec": {"n": 1}, "status": {}});
        let with = |pointer: &str, value: Value| {
            let mut object = base.clone();
            *object.pointer_mut(pointer).expect("the path is there") = value;
            object
        };
        let cases = [
            (kinds::DEPLOYMENT, "/spec/n", true),
            (kinds::DEPLOYMENT, "/metadata/annotations/x", true),
            (kinds::DEPLOYMENT, "/metadata/labels/a", false),
            (kinds::REPLICA_SET, "/metadata/annotations/x", false),
            (kinds::REPLICA_SET, "/spec/n", true),
            (kinds::SERVICE, "/spec/n", false),
            (kinds::POD_TEMPLATE, "/metadata/labels/a", false),
            (kinds::ENDPOINT_SLICE, "/metadata/labels/a", true),
            (kinds::APPLICATION, "/metadata/labels/a", false),
            (kinds::APPLICATION, "/spec/n", true),
        ];
        for (kind, pointer, counted) in cases {
            let new = with(pointer, json!("changed"));
            assert_eq!(Strategy::of(kind).counts(&new, &base), counted, "{} {pointer}", kind.kind);
        }
    }
}
