//! The kinds table: one row a kind. Routes, discovery, Table output, the CLI and the diff are driven by it;
//! a new kind is a row here and, where it has rules of its own, a strategy file in the registry.
//! CustomResourceDefinitions add rows at run time: `custom::Kinds` is the table together with those.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A kind that the cluster serves (the Kubernetes API conventions call it a resource type).
#[derive(Debug)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    pub subresources: &'static [Subresource],
    /// Where the object's fields live beside metadata: `Spec` kinds have a generation that counts changes of spec.
    pub shape: Shape,
    /// What a loss of power may take: volatile kinds are served and watched like all others but never wait for the disk.
    pub durability: Durability,
    /// Where the row is from.
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This table.
    Table,
    /// A CustomResourceDefinition.
    Definition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subresource {
    Status,
    Scale,
    Binding,
    Eviction,
    Log,
    Exec,
    Attach,
    PortForward,
    /// Of a pod, to those in its network that speak HTTP; of a service and a node alike.
    Proxy,
    EphemeralContainers,
    Finalize,
    Token,
}

impl Subresource {
    /// The path segment, for example `portforward`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Log => "log",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Finalize => "finalize",
            Self::Token => "token",
        }
    }
}

/// Whether an object has a `spec` whose changes are counted in `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Spec,
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Durable,
    Volatile,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `pods` or `deployments.apps`, as error messages name a kind.
    pub fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Pod` or `Deployment.apps`, as validation errors name a kind.
    pub fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.kind.to_owned(),
            group => format!("{}.{group}", self.kind),
        }
    }

    /// `/api/v1` or `/apis/apps/v1`.
    pub fn root_path(&self) -> String {
        match self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        }
    }

    /// The path of the collection in a namespace; across all namespaces when `namespace` is empty.
    pub fn collection_path(&self, namespace: &str) -> String {
        match namespace {
            "" => format!("{}/{}", self.root_path(), self.plural),
            namespace => format!("{}/namespaces/{namespace}/{}", self.root_path(), self.plural),
        }
    }

    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// A row of the table, and not one that a CustomResourceDefinition added.
    pub fn is_built_in(&self) -> bool {
        self.origin == Origin::Table
    }

    fn identity(&self) -> (&'static str, &'static str) {
        (self.group, self.plural)
    }
}

/// All versions of a resource are one kind: they are views of the same objects, so a key finds its object and a
/// watch its changes whichever version they are asked by. Rows are compared by address first: keys of one kind,
/// which is what maps compare mostly, cost no string comparison.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.identity() == other.identity()
    }
}
impl Eq for Kind {}
impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        if std::ptr::eq(self, other) { Ordering::Equal } else { self.identity().cmp(&other.identity()) }
    }
}
impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// All kinds, in the order of discovery (which is the order in which `kubectl get all` prints).
pub fn all() -> &'static [Kind] {
    KINDS
}

/// The kind served at `/apis/GROUP/VERSION/PLURAL`.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.group == group && k.version == version && k.plural == plural)
}

/// The kind of a group and plural, in the version that is stored.
pub fn by_resource(group: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.group == group && k.plural == plural)
}

/// The kind of a manifest's `apiVersion` and `kind`.
pub fn by_manifest(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = split_api_version(api_version);
    // The name first: it differs most.
    KINDS.iter().find(|k| k.kind == kind && k.version == version && k.group == group)
}

/// The kind that is ordered before all others.
pub fn lowest() -> &'static Kind {
    KINDS.iter().min().unwrap_or(NAMESPACE)
}

/// `apps/v1` is group `apps`, version `v1`; `v1` is the core group's.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

macro_rules! kinds {
    ($($constant:ident = $group:literal / $version:literal $kind:literal $plural:literal $singular:literal
        $shorts:expr, $categories:expr, $scope:ident, $subresources:expr, $shape:ident, $durability:ident;)*) => {
        $(pub const $constant: &Kind = &KINDS[Row::$constant as usize];)*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Row { $($constant),* }
        static KINDS: &[Kind] = &[$(Kind {
            group: $group, version: $version, kind: $kind, plural: $plural, singular: $singular,
            short_names: &$shorts, categories: &$categories, namespaced: kinds!(@scope $scope),
            subresources: &$subresources, shape: Shape::$shape, durability: Durability::$durability,
            origin: Origin::Table,
        }),*];
    };
    (@scope namespaced) => { true };
    (@scope cluster) => { false };
}

use Subresource::{
    Attach, Binding, EphemeralContainers, Eviction, Exec, Finalize, Log, PortForward, Proxy, Scale, Status, Token,
};

kinds! {
    CONFIG_MAP = "" / "v1" "ConfigMap" "configmaps" "configmap" ["cm"], [], namespaced, [], Plain, Durable;
    ENDPOINTS = "" / "v1" "Endpoints" "endpoints" "endpoints" ["ep"], [], namespaced, [], Plain, Durable;
    EVENT = "" / "v1" "Event" "events" "event" ["ev"], [], namespaced, [], Plain, Volatile;
    LIMIT_RANGE = "" / "v1" "LimitRange" "limitranges" "limitrange" ["limits"], [], namespaced, [], Spec, Durable;
    NAMESPACE = "" / "v1" "Namespace" "namespaces" "namespace" ["ns"], [], cluster, [Status, Finalize], Spec, Durable;
    NODE = "" / "v1" "Node" "nodes" "node" ["no"], [], cluster, [Status, Proxy], Spec, Durable;
    CLAIM = "" / "v1" "PersistentVolumeClaim" "persistentvolumeclaims" "persistentvolumeclaim" ["pvc"], [], namespaced, [Status], Spec, Durable;
    VOLUME = "" / "v1" "PersistentVolume" "persistentvolumes" "persistentvolume" ["pv"], [], cluster, [Status], Spec, Durable;
    POD = "" / "v1" "Pod" "pods" "pod" ["po"], ["all"], namespaced, [Status, Binding, Eviction, EphemeralContainers, Log, Exec, Attach, PortForward, Proxy], Spec, Durable;
    POD_TEMPLATE = "" / "v1" "PodTemplate" "podtemplates" "podtemplate" [], [], namespaced, [], Plain, Durable;
    REPLICATION_CONTROLLER = "" / "v1" "ReplicationController" "replicationcontrollers" "replicationcontroller" ["rc"], ["all"], namespaced, [Status, Scale], Spec, Durable;
    RESOURCE_QUOTA = "" / "v1" "ResourceQuota" "resourcequotas" "resourcequota" ["quota"], [], namespaced, [Status], Spec, Durable;
    SECRET = "" / "v1" "Secret" "secrets" "secret" [], [], namespaced, [], Plain, Durable;
    SERVICE_ACCOUNT = "" / "v1" "ServiceAccount" "serviceaccounts" "serviceaccount" ["sa"], [], namespaced, [Token], Plain, Durable;
    SERVICE = "" / "v1" "Service" "services" "service" ["svc"], ["all"], namespaced, [Status, Proxy], Spec, Durable;
    CONTROLLER_REVISION = "apps" / "v1" "ControllerRevision" "controllerrevisions" "controllerrevision" [], [], namespaced, [], Plain, Durable;
    DAEMON_SET = "apps" / "v1" "DaemonSet" "daemonsets" "daemonset" ["ds"], ["all"], namespaced, [Status], Spec, Durable;
    DEPLOYMENT = "apps" / "v1" "Deployment" "deployments" "deployment" ["deploy"], ["all"], namespaced, [Status, Scale], Spec, Durable;
    REPLICA_SET = "apps" / "v1" "ReplicaSet" "replicasets" "replicaset" ["rs"], ["all"], namespaced, [Status, Scale], Spec, Durable;
    STATEFUL_SET = "apps" / "v1" "StatefulSet" "statefulsets" "statefulset" ["sts"], ["all"], namespaced, [Status, Scale], Spec, Durable;
    AUTOSCALER = "autoscaling" / "v2" "HorizontalPodAutoscaler" "horizontalpodautoscalers" "horizontalpodautoscaler" ["hpa"], ["all"], namespaced, [Status], Spec, Durable;
    CRON_JOB = "batch" / "v1" "CronJob" "cronjobs" "cronjob" ["cj"], ["all"], namespaced, [Status], Spec, Durable;
    JOB = "batch" / "v1" "Job" "jobs" "job" [], ["all"], namespaced, [Status], Spec, Durable;
    INGRESS_CLASS = "networking.k8s.io" / "v1" "IngressClass" "ingressclasses" "ingressclass" [], [], cluster, [], Spec, Durable;
    INGRESS = "networking.k8s.io" / "v1" "Ingress" "ingresses" "ingress" ["ing"], [], namespaced, [Status], Spec, Durable;
    NETWORK_POLICY = "networking.k8s.io" / "v1" "NetworkPolicy" "networkpolicies" "networkpolicy" ["netpol"], [], namespaced, [], Spec, Durable;
    DISRUPTION_BUDGET = "policy" / "v1" "PodDisruptionBudget" "poddisruptionbudgets" "poddisruptionbudget" ["pdb"], [], namespaced, [Status], Spec, Durable;
    CLUSTER_ROLE_BINDING = "rbac.authorization.k8s.io" / "v1" "ClusterRoleBinding" "clusterrolebindings" "clusterrolebinding" [], [], cluster, [], Plain, Durable;
    CLUSTER_ROLE = "rbac.authorization.k8s.io" / "v1" "ClusterRole" "clusterroles" "clusterrole" [], [], cluster, [], Plain, Durable;
    ROLE_BINDING = "rbac.authorization.k8s.io" / "v1" "RoleBinding" "rolebindings" "rolebinding" [], [], namespaced, [], Plain, Durable;
    ROLE = "rbac.authorization.k8s.io" / "v1" "Role" "roles" "role" [], [], namespaced, [], Plain, Durable;
    STORAGE_CLASS = "storage.k8s.io" / "v1" "StorageClass" "storageclasses" "storageclass" ["sc"], [], cluster, [], Plain, Durable;
    ADMISSION_POLICY = "admissionregistration.k8s.io" / "v1" "ValidatingAdmissionPolicy" "validatingadmissionpolicies" "validatingadmissionpolicy" [], ["api-extensions"], cluster, [Status], Spec, Durable;
    ADMISSION_BINDING = "admissionregistration.k8s.io" / "v1" "ValidatingAdmissionPolicyBinding" "validatingadmissionpolicybindings" "validatingadmissionpolicybinding" [], ["api-extensions"], cluster, [], Spec, Durable;
    CUSTOM_RESOURCE_DEFINITION = "apiextensions.k8s.io" / "v1" "CustomResourceDefinition" "customresourcedefinitions" "customresourcedefinition" ["crd", "crds"], ["api-extensions"], cluster, [Status], Spec, Durable;
    PRIORITY_CLASS = "scheduling.k8s.io" / "v1" "PriorityClass" "priorityclasses" "priorityclass" ["pc"], [], cluster, [], Plain, Durable;
    LEASE = "coordination.k8s.io" / "v1" "Lease" "leases" "lease" [], [], namespaced, [], Spec, Volatile;
    ENDPOINT_SLICE = "discovery.k8s.io" / "v1" "EndpointSlice" "endpointslices" "endpointslice" [], [], namespaced, [], Plain, Durable;
    APPLICATION = "argoproj.io" / "v1alpha1" "Application" "applications" "application" ["app", "apps"], [], namespaced, [Status], Spec, Durable;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_names_its_own_row() {
        assert_eq!(POD.kind, "Pod");
        assert_eq!(APPLICATION.plural, "applications");
        assert_eq!(by_manifest("apps/v1", "Deployment"), Some(DEPLOYMENT));
        assert_eq!(by_plural("", "v1", "pods"), Some(POD));
        assert_eq!(by_manifest("v1", "Deployment"), None);
    }

    #[test]
    fn paths_are_those_of_the_api_conventions() {
        assert_eq!(DEPLOYMENT.collection_path("default"), "/apis/apps/v1/namespaces/default/deployments");
        assert_eq!(POD.collection_path(""), "/api/v1/pods");
        assert_eq!(DEPLOYMENT.qualified(), "deployments.apps");
    }
}
