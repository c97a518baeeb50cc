//! The columns of each kind, under the names that Kubernetes gives them.

use crate::object::{Kind, kinds};

/// A column of a Table, as its definition goes over the wire.
#[derive(Debug, PartialEq)]
pub struct Column {
    pub name: &'static str,
    pub type_: &'static str,
    /// `name` for the column that holds the object's name.
    pub format: &'static str,
    pub description: &'static str,
    /// Columns above zero are for `-o wide`.
    pub priority: i32,
}

pub fn columns(kind: &'static Kind) -> &'static [Column] {
    match kind {
        k if k == kinds::POD => POD,
        k if k == kinds::DEPLOYMENT => DEPLOYMENT,
        k if k == kinds::REPLICA_SET => REPLICA_SET,
        k if k == kinds::REPLICATION_CONTROLLER => REPLICA_SET,
        k if k == kinds::STATEFUL_SET => STATEFUL_SET,
        k if k == kinds::DAEMON_SET => DAEMON_SET,
        k if k == kinds::POD_TEMPLATE => POD_TEMPLATE,
        k if k == kinds::CONTROLLER_REVISION => CONTROLLER_REVISION,
        k if k == kinds::JOB => JOB,
        k if k == kinds::CRON_JOB => CRON_JOB,
        k if k == kinds::AUTOSCALER => AUTOSCALER,
        k if k == kinds::DISRUPTION_BUDGET => DISRUPTION_BUDGET,
        k if k == kinds::SERVICE => SERVICE,
        k if k == kinds::NODE => NODE,
        k if k == kinds::ENDPOINTS => ENDPOINTS,
        k if k == kinds::ENDPOINT_SLICE => ENDPOINT_SLICE,
        k if k == kinds::EVENT => EVENT,
        k if k == kinds::NAMESPACE => NAMESPACE,
        k if k == kinds::CONFIG_MAP => CONFIG_MAP,
        k if k == kinds::SECRET => SECRET,
        k if k == kinds::LEASE => LEASE,
        k if k == kinds::PRIORITY_CLASS => PRIORITY_CLASS,
        k if k == kinds::VOLUME => VOLUME,
        k if k == kinds::CLAIM => CLAIM,
        k if k == kinds::STORAGE_CLASS => STORAGE_CLASS,
        k if k == kinds::INGRESS => INGRESS,
        k if k == kinds::INGRESS_CLASS => INGRESS_CLASS,
        k if k == kinds::NETWORK_POLICY => NETWORK_POLICY,
        k if k == kinds::ROLE_BINDING || k == kinds::CLUSTER_ROLE_BINDING => ROLE_BINDING,
        k if k == kinds::RESOURCE_QUOTA => RESOURCE_QUOTA,
        k if k == kinds::ADMISSION_POLICY => ADMISSION_POLICY,
        k if k == kinds::ADMISSION_BINDING => ADMISSION_BINDING,
        k if shows_date(k) => NAME_AND_DATE,
        k if k == kinds::APPLICATION => APPLICATION,
        k if k == kinds::CUSTOM_RESOURCE_DEFINITION => DEFINITION,
        _ => NAME_AND_AGE,
    }
}

/// Kinds for which Kubernetes has no columns of their own.
pub(super) fn shows_date(kind: &'static Kind) -> bool {
    [kinds::LIMIT_RANGE, kinds::ROLE, kinds::CLUSTER_ROLE, kinds::CUSTOM_RESOURCE_DEFINITION].contains(&kind)
}

const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, type_: "string", format: "", description, priority: 0 }
}

const fn number(name: &'static str, description: &'static str) -> Column {
    Column { type_: "integer", ..text(name, description) }
}

const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..text(name, description) }
}

const NAME: Column = Column { format: "name", ..text("Name", "Name of the object, unique in its namespace.") };
const AGE: Column = text("Age", "Time since the object was created.");

const DEFINITION: &[Column] = &[NAME, Column { type_: "date", ..text("Created At", "When the object was created.") }];

const NAME_AND_AGE: &[Column] = &[NAME, AGE];
const NAME_AND_DATE: &[Column] =
    &[NAME, Column { type_: "date", ..text("Created At", "When the object was created.") }];

const POD: &[Column] = &[
    NAME,
    text("Ready", "Containers that are ready, of all that should run."),
    text("Status", "What the pod is doing, or what keeps it from doing it."),
    text("Restarts", "How often containers were restarted, and when last."),
    AGE,
    wide("IP", "Address of the pod."),
    wide("Node", "Node that the pod is bound to."),
    wide("Nominated Node", "Node on which room is being made for the pod."),
    wide("Readiness Gates", "Extra conditions that hold, of all that readiness asks for."),
];

const CONTAINERS: Column = wide("Containers", "Names of the template's containers.");
const IMAGES: Column = wide("Images", "Images of the template's containers.");
const POD_SELECTOR: Column = wide("Selector", "Labels of the pods that belong to it.");

const DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready", "Pods that are ready, of all that are wanted."),
    text("Up-to-date", "Pods that were made from the newest template."),
    text("Available", "Pods that have been ready for long enough."),
    AGE,
    CONTAINERS,
    IMAGES,
    POD_SELECTOR,
];

const REPLICA_SET: &[Column] = &[
    NAME,
    number("Desired", "Pods that are wanted."),
    number("Current", "Pods that there are."),
    number("Ready", "Pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    POD_SELECTOR,
];

const STATEFUL_SET: &[Column] =
    &[NAME, text("Ready", "Pods that are ready, of all that are wanted."), AGE, CONTAINERS, IMAGES];

const DAEMON_SET: &[Column] = &[
    NAME,
    number("Desired", "Nodes that should run the pod."),
    number("Current", "Nodes that run the pod and should."),
    number("Ready", "Nodes whose pod is ready."),
    number("Up-to-date", "Nodes whose pod was made from the newest template."),
    number("Available", "Nodes whose pod has been ready for long enough."),
    text("Node Selector", "Labels of the nodes that should run the pod."),
    AGE,
    CONTAINERS,
    IMAGES,
    POD_SELECTOR,
];

const JOB: &[Column] = &[
    NAME,
    text("Status", "Whether it runs, has ended, or waits."),
    text("Completions", "Pods that succeeded, of all that should."),
    text("Duration", "How long it took, or has taken so far."),
    AGE,
    CONTAINERS,
    IMAGES,
    POD_SELECTOR,
];

const CRON_JOB: &[Column] = &[
    NAME,
    text("Schedule", "When jobs are to start."),
    text("Timezone", "Time zone that the schedule is meant in."),
    Column { type_: "boolean", ..text("Suspend", "Whether no more jobs are started.") },
    number("Active", "Jobs that run."),
    text("Last Schedule", "Time since the last job was started."),
    AGE,
    CONTAINERS,
    IMAGES,
    POD_SELECTOR,
];

const POD_TEMPLATE: &[Column] = &[
    NAME,
    text("Containers", "Names of the template's containers."),
    text("Images", "Images of the template's containers."),
    text("Pod Labels", "Labels of the pods that are made of it."),
];

const CONTROLLER_REVISION: &[Column] =
    &[NAME, text("Controller", "Whose revision it is."), text("Revision", "Number of the revision."), AGE];

const AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference", "What is scaled."),
    text("Targets", "Metrics as they are, and as they should be."),
    text("MinPods", "Pods that there are at least."),
    text("MaxPods", "Pods that there are at most."),
    text("Replicas", "Pods that there are."),
    AGE,
];

const DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    text("Min Available", "Pods that must stay available."),
    text("Max Unavailable", "Pods that may be unavailable."),
    number("Allowed Disruptions", "Pods that may be evicted now."),
    AGE,
];

const SERVICE: &[Column] = &[
    NAME,
    text("Type", "From where the service can be reached."),
    text("Cluster-IP", "Address of the service inside the cluster."),
    text("External-IP", "Addresses of the service outside the cluster."),
    text("Port(s)", "Ports of the service, with the port on every node where there is one."),
    AGE,
    wide("Selector", "Labels of the pods that the service leads to."),
];

const NODE: &[Column] = &[
    NAME,
    text("Status", "Whether the node is ready, and whether it takes new pods."),
    text("Roles", "Roles that the node's labels give it."),
    AGE,
    text("Version", "Version of the node's agent."),
    wide("Internal-IP", "Address of the node inside the cluster."),
    wide("External-IP", "Address of the node outside the cluster."),
    wide("OS-Image", "Operating system of the node."),
    wide("Kernel-Version", "Kernel of the node."),
    wide("Container-Runtime", "What runs the node's containers."),
];

const ENDPOINTS: &[Column] = &[NAME, text("Endpoints", "Addresses and ports that are ready."), AGE];

const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    text("AddressType", "Kind of the addresses."),
    text("Ports", "Ports of every endpoint."),
    text("Endpoints", "Addresses of the endpoints."),
    AGE,
];

const EVENT: &[Column] = &[
    text("Last Seen", "Time since it happened last."),
    text("Type", "Normal or Warning."),
    text("Reason", "Why the event was sent, in one word."),
    text("Object", "What the event is about."),
    wide("Subobject", "Part of the object that the event is about."),
    wide("Source", "Who sent the event."),
    text("Message", "What happened."),
    wide("First Seen", "Time since it happened first."),
    wide("Count", "How often it happened."),
    Column { priority: 1, ..NAME },
];

const NAMESPACE: &[Column] = &[NAME, text("Status", "Active, or Terminating while it is emptied."), AGE];
const CONFIG_MAP: &[Column] = &[NAME, text("Data", "Number of entries."), AGE];
const SECRET: &[Column] = &[NAME, text("Type", "What the secret is for."), text("Data", "Number of entries."), AGE];
const LEASE: &[Column] = &[NAME, text("Holder", "Who holds the lease."), AGE];

const PRIORITY_CLASS: &[Column] = &[
    NAME,
    number("Value", "Priority of the pods that name the class."),
    Column { type_: "boolean", ..text("Global-Default", "Whether it is for pods that name no class.") },
    AGE,
    text("PreemptionPolicy", "Whether its pods may preempt others."),
];

const ATTRIBUTES: Column = text("VolumeAttributesClass", "Class of the attributes of the volume.");
const VOLUME_MODE: Column = wide("VolumeMode", "Whether it is a disk or has a file system.");

const VOLUME: &[Column] = &[
    NAME,
    text("Capacity", "How much can be stored."),
    text("Access Modes", "How many may use it, and for what."),
    text("Reclaim Policy", "What becomes of the data once the claim is gone."),
    text("Status", "Whether it is free, bound or released."),
    text("Claim", "The claim that it is bound to."),
    text("StorageClass", "Class that it belongs to."),
    ATTRIBUTES,
    text("Reason", "Why it is in its state, in one word."),
    AGE,
    VOLUME_MODE,
];

const CLAIM: &[Column] = &[
    NAME,
    text("Status", "Whether it has a volume."),
    text("Volume", "The volume that it is bound to."),
    text("Capacity", "How much the volume can store."),
    text("Access Modes", "How many may use the volume, and for what."),
    text("StorageClass", "Class that the volume is to be of."),
    ATTRIBUTES,
    AGE,
    VOLUME_MODE,
];

const STORAGE_CLASS: &[Column] = &[
    NAME,
    text("Provisioner", "Who makes the volumes of the class."),
    text("ReclaimPolicy", "What becomes of the data once a claim is gone."),
    text("VolumeBindingMode", "When a claim is given its volume."),
    text("AllowVolumeExpansion", "Whether claims may grow."),
    AGE,
];

const INGRESS: &[Column] = &[
    NAME,
    text("Class", "Who carries the rules out."),
    text("Hosts", "Names that the rules are for."),
    text("Address", "Where it can be reached."),
    text("Ports", "Ports of plain and of encrypted requests."),
    AGE,
];

const INGRESS_CLASS: &[Column] = &[
    NAME,
    text("Controller", "Who carries the rules of the class out."),
    text("Parameters", "Object that configures the controller."),
    AGE,
];

const NETWORK_POLICY: &[Column] = &[NAME, text("Pod-Selector", "Labels of the pods that it is for."), AGE];

const ROLE_BINDING: &[Column] = &[
    NAME,
    text("Role", "The role that is given."),
    AGE,
    wide("Users", "Users who have it."),
    wide("Groups", "Groups who have it."),
    wide("ServiceAccounts", "Service accounts that have it."),
];

const RESOURCE_QUOTA: &[Column] =
    &[NAME, text("Request", "Requests and counts: used and allowed."), text("Limit", "Limits: used and allowed."), AGE];

const ADMISSION_POLICY: &[Column] =
    &[NAME, number("Validations", "Number of rules."), text("ParamKind", "Kind of the policy's parameters."), AGE];

const ADMISSION_BINDING: &[Column] = &[
    NAME,
    text("PolicyName", "The policy that is bound."),
    text("ParamRef", "The parameters that the policy is given."),
    AGE,
];

const APPLICATION: &[Column] = &[
    NAME,
    text("Sync Status", "Whether the cluster is as the repository says."),
    text("Health Status", "Whether what was deployed works."),
    text("Revision", "Commit that the cluster was compared with."),
    AGE,
];
