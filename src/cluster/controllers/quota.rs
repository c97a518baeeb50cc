//! Adds up, for each ResourceQuota, what the objects of its namespace use. The registry charges what is made; what
//! goes away, ends, or was there before the quota is counted here.

use std::sync::Arc;

use serde_json::json;

use super::decode::update_status;
use super::engine::{Controller, Failure, Next, Source};
use crate::cluster::quota::{self, Amount, Amounts, amounts};
use crate::cluster::registry::{Author, Registry};
use crate::cluster::store::Snapshot;
use crate::object::{Kind, ObjectKey, kinds};

pub struct QuotaController {
    registry: Registry,
    author: Author,
}

impl Controller for QuotaController {
    fn name(&self) -> &'static str {
        "resourcequota"
    }

    fn sources(&self) -> Vec<Source> {
        let counted = counted_kinds().map(|kind| {
            Source::new(kind, |snapshot, event| {
                let quotas = snapshot.list(kinds::RESOURCE_QUOTA, &event.object.key.namespace);
                quotas.map(|quota| quota.key.clone()).collect()
            })
        });
        std::iter::once(Source::own(kinds::RESOURCE_QUOTA)).chain(counted).collect()
    }

    async fn reconcile(&self, snapshot: Arc<Snapshot>, key: ObjectKey) -> Result<Next, Failure> {
        let Some(object) = snapshot.get(&key) else { return Ok(Next::Done) };
        let quota = object.value();
        let hard = amounts(&quota["spec"]["hard"]);
        let mut used: Amounts = hard.keys().map(|name| (name.clone(), Amount::default())).collect();
        let now = self.registry.clock().now();
        for kind in counted_kinds().filter(|kind| hard.keys().any(|name| concerns(name, kind))) {
            for counted in snapshot.list(kind, &key.namespace) {
                let value = counted.value();
                if !quota::counts(&quota["spec"], kind, &value) {
                    continue;
                }
                for (name, amount) in quota::usage(kind, &value, now) {
                    if let Some(sum) = used.get_mut(&name) {
                        *sum = sum.plus(amount);
                    }
                }
            }
        }
        let status = json!({"hard": quota["spec"]["hard"], "used": quota::to_value(&used)});
        if quota["status"] != status {
            let mut transaction = self.registry.begin(&self.author);
            update_status(&mut transaction, &key, |object| object["status"] = status)?;
            transaction.commit().await?;
        }
        Ok(Next::Done)
    }
}

impl QuotaController {
    pub fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), author: Author::controller("resourcequota-controller") }
    }
}

fn counted_kinds() -> impl Iterator<Item = &'static Kind> {
    kinds::all().iter().filter(|kind| kind.namespaced && *kind != kinds::EVENT && *kind != kinds::LEASE)
}

/// Whether objects of the kind may use the resource.
fn concerns(resource: &str, kind: &Kind) -> bool {
    match resource.strip_prefix("count/") {
        Some(counted) => counted == kind.qualified(),
        None if kind == kinds::POD => true,
        None => resource.contains(kind.plural) || kind == kinds::CLAIM && resource.ends_with("requests.storage"),
    }
}
