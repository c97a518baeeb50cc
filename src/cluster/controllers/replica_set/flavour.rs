//! ReplicaSets and ReplicationControllers are kept alike; this says how they differ. A ReplicationController is read as
//! the ReplicaSet that asks for the same.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerSpec, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::controllers::decode::decode;
use crate::cluster::controllers::engine::Failure;
use crate::object::selector::Selector;
use crate::object::{Kind, Object, kinds};

pub struct Flavour {
    pub kind: &'static Kind,
    /// Of the controller, in logs and metrics.
    pub name: &'static str,
    /// The same as the author of events.
    pub component: &'static str,
    /// The status says how many pods are on their way out.
    pub counts_terminating: bool,
    read: fn(&Object) -> Result<Arc<ReplicaSet>, Failure>,
}

pub const REPLICA_SETS: &Flavour = &Flavour {
    kind: kinds::REPLICA_SET,
    name: "replicaset",
    component: "replicaset-controller",
    counts_terminating: true,
    read: decode::<ReplicaSet>,
};

pub const REPLICATION_CONTROLLERS: &Flavour = &Flavour {
    kind: kinds::REPLICATION_CONTROLLER,
    name: "replicationcontroller",
    component: "replication-controller",
    counts_terminating: false,
    read: |object| Ok(Arc::new(as_replica_set(&*decode::<ReplicationController>(object)?))),
};

impl Flavour {
    pub fn read(&self, object: &Object) -> Result<Arc<ReplicaSet>, Failure> {
        (self.read)(object)
    }

    /// `None` when there is no selector, or one that selects everything.
    pub fn selector_of(&self, object: &Object) -> Option<Selector> {
        let set = self.read(object).ok()?;
        let selector = Selector::of_workload(&set.spec.as_ref()?.selector).ok()?;
        (!selector.is_everything()).then_some(selector)
    }
}

fn as_replica_set(controller: &ReplicationController) -> ReplicaSet {
    let spec = |spec: &ReplicationControllerSpec| ReplicaSetSpec {
        replicas: spec.replicas,
        min_ready_seconds: spec.min_ready_seconds,
        selector: LabelSelector { match_labels: spec.selector.clone(), ..LabelSelector::default() },
        template: spec.template.clone(),
    };
    let condition = |condition: &ReplicationControllerCondition| ReplicaSetCondition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: condition.last_transition_time.clone(),
    };
    let status = |status: &ReplicationControllerStatus| ReplicaSetStatus {
        replicas: status.replicas,
        fully_labeled_replicas: status.fully_labeled_replicas,
        ready_replicas: status.ready_replicas,
        available_replicas: status.available_replicas,
        terminating_replicas: None,
        observed_generation: status.observed_generation,
        conditions: status.conditions.as_ref().map(|all| all.iter().map(condition).collect()),
    };
    ReplicaSet {
        metadata: controller.metadata.clone(),
        spec: controller.spec.as_ref().map(spec),
        status: controller.status.as_ref().map(status),
    }
}
