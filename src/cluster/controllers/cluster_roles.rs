//! Keeps the rules of each aggregated ClusterRole those of the ClusterRoles that it selects.

use std::sync::Arc;

use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::json;

use super::decode::decode;
use super::engine::{Controller, Failure, Next, Source};
use crate::cluster::rbac;
use crate::cluster::registry::{Author, Registry, WriteOptions};
use crate::cluster::store::Snapshot;
use crate::object::{ObjectKey, kinds};

pub struct ClusterRoleController {
    registry: Registry,
    author: Author,
}

impl Controller for ClusterRoleController {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation"
    }

    fn sources(&self) -> Vec<Source> {
        vec![
            Source::own(kinds::CLUSTER_ROLE),
            Source::new(kinds::CLUSTER_ROLE, |snapshot, event| {
                let states: Vec<_> = std::iter::once(&event.object).chain(&event.previous).collect();
                let roles = snapshot.list(kinds::CLUSTER_ROLE, "");
                let concerned = roles.filter(|role| states.iter().any(|state| rbac::selects(role, state)));
                concerned.map(|role| role.key.clone()).collect()
            }),
        ]
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let Some(rules) = rbac::aggregate(&snapshot, object) else { return Ok(Next::Done) };
        if decode::<ClusterRole>(object)?.rules.as_deref().unwrap_or_default() == rules {
            return Ok(Next::Done);
        }
        let mut role = object.value();
        role["rules"] = json!(rules);
        self.registry.update(&self.author, &key.into(), role, WriteOptions::default()).await?;
        Ok(Next::Done)
    }
}

impl ClusterRoleController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("clusterrole-aggregation-controller") }
    }
}
