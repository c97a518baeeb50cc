//! The Rust type of each kind: the one place that says with which type a kind's objects are read. Decoding, OpenAPI
//! and whatever else needs the type goes through [`visit`].

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::api::{autoscaling, events};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::application::Application;
use super::kinds::{self, Kind};
use super::views;

/// Something that is done with the type of a kind.
pub trait Visit {
    type Out;
    fn visit<T: DeserializeOwned + JsonSchema>(self) -> Self::Out;
}

macro_rules! types {
    ($($kind:ident $type:ident,)*) => {
        /// Calls `visitor` with the type of `kind`; `None` for a kind without one.
        pub fn visit<V: Visit>(kind: &'static Kind, visitor: V) -> Option<V::Out> {
            if let Some(view) = views::of(kind) {
                return match view.stored {
                    stored if stored == kinds::EVENT => Some(visitor.visit::<events::v1::Event>()),
                    _ => Some(visitor.visit::<autoscaling::v1::HorizontalPodAutoscaler>()),
                };
            }
            $(if kind == kinds::$kind {
                return Some(visitor.visit::<$type>());
            })*
            None
        }
    };
}

types! {
    POD Pod,
    CONFIG_MAP ConfigMap,
    ENDPOINTS Endpoints,
    EVENT Event,
    LIMIT_RANGE LimitRange,
    NAMESPACE Namespace,
    NODE Node,
    CLAIM PersistentVolumeClaim,
    VOLUME PersistentVolume,
    POD_TEMPLATE PodTemplate,
    REPLICATION_CONTROLLER ReplicationController,
    RESOURCE_QUOTA ResourceQuota,
    SECRET Secret,
    SERVICE_ACCOUNT ServiceAccount,
    SERVICE Service,
    CONTROLLER_REVISION ControllerRevision,
    DAEMON_SET DaemonSet,
    DEPLOYMENT Deployment,
    REPLICA_SET ReplicaSet,
    STATEFUL_SET StatefulSet,
    AUTOSCALER HorizontalPodAutoscaler,
    CRON_JOB CronJob,
    JOB Job,
    INGRESS_CLASS IngressClass,
    INGRESS Ingress,
    NETWORK_POLICY NetworkPolicy,
    DISRUPTION_BUDGET PodDisruptionBudget,
    CLUSTER_ROLE_BINDING ClusterRoleBinding,
    CLUSTER_ROLE ClusterRole,
    ROLE_BINDING RoleBinding,
    ROLE Role,
    STORAGE_CLASS StorageClass,
    ADMISSION_POLICY ValidatingAdmissionPolicy,
    ADMISSION_BINDING ValidatingAdmissionPolicyBinding,
    CUSTOM_RESOURCE_DEFINITION CustomResourceDefinition,
    PRIORITY_CLASS PriorityClass,
    LEASE Lease,
    ENDPOINT_SLICE EndpointSlice,
    APPLICATION Application,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl Visit for Nothing {
        type Out = ();
        fn visit<T: DeserializeOwned + JsonSchema>(self) {}
    }

    #[test]
    fn every_kind_of_the_table_has_a_type() {
        for kind in kinds::all() {
            assert!(visit(kind, Nothing).is_some(), "{}", kind.kind);
        }
    }
}
