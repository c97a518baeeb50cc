//! The departures from the merge rule, a type a table, in the order in which the kinds are built of them.
//! Source: the merge strategies and list types that Kubernetes publishes in its OpenAPI documents.

use super::{Entries, Field, Form, Key, KeyDefault, ListPatch, Type};

const fn fields(fields: &'static [(&'static str, Field)]) -> Type {
    Type { form: Form::Fields, fields }
}

const fn form(form: Form) -> Type {
    Type { form, fields: &[] }
}

const fn object(inner: &'static Type) -> Field {
    Field { entries: Entries::Whole, patch: ListPatch::Replace, inner }
}

/// A list whose entries are told apart by `keys`, and by `patch` in a strategic merge patch.
const fn keyed(keys: &'static [Key], patch: &'static str, inner: &'static Type) -> Field {
    Field { entries: Entries::Keyed(keys), patch: ListPatch::Keyed(patch), inner }
}

/// Keyed for server-side apply; a strategic merge patch replaces it.
const fn keyed_apply(keys: &'static [Key]) -> Field {
    Field { entries: Entries::Keyed(keys), patch: ListPatch::Replace, inner: Type::UNKNOWN }
}

/// One value for server-side apply; a strategic merge patch merges it.
const fn keyed_patch(patch: &'static str, inner: &'static Type) -> Field {
    Field { entries: Entries::Whole, patch: ListPatch::Keyed(patch), inner }
}

const fn text(name: &'static str) -> Key {
    Key { name, default: KeyDefault::Text("") }
}

const NAME: &[Key] = &[text("name")];
const TYPE: &[Key] = &[text("type")];
const PROTOCOL: Key = Key { name: "protocol", default: KeyDefault::Text("TCP") };

static UNIQUE: Field = Field { entries: Entries::Set, patch: ListPatch::Union, inner: Type::UNKNOWN };
static SET: Field = Field { entries: Entries::Set, patch: ListPatch::Replace, inner: Type::UNKNOWN };
static CONDITIONS: Field = keyed(TYPE, "type", Type::UNKNOWN);

static WHOLE: Type = form(Form::Whole);
static TEXTS: Type = form(Form::Texts);
static AMOUNTS: Type = form(Form::Amounts);
pub(super) static AMOUNT: Type = form(Form::Amount);
static INT_OR_STRING: Type = form(Form::IntOrString);

static METADATA: Type = fields(&[
    ("annotations", object(&TEXTS)),
    ("finalizers", UNIQUE),
    ("labels", object(&TEXTS)),
    ("ownerReferences", keyed(&[text("uid")], "uid", &WHOLE)),
]);

static RESOURCES: Type =
    fields(&[("claims", keyed_apply(NAME)), ("limits", object(&AMOUNTS)), ("requests", object(&AMOUNTS))]);

static HANDLER_TARGET: Type = fields(&[("port", object(&INT_OR_STRING))]);
static HANDLER: Type = fields(&[("httpGet", object(&HANDLER_TARGET)), ("tcpSocket", object(&HANDLER_TARGET))]);
static LIFECYCLE: Type = fields(&[("postStart", object(&HANDLER)), ("preStop", object(&HANDLER))]);

static ENV_SOURCE: Type = fields(&[
    ("configMapKeyRef", object(&WHOLE)),
    ("fieldRef", object(&WHOLE)),
    ("fileKeyRef", object(&WHOLE)),
    ("resourceFieldRef", object(&WHOLE)),
    ("secretKeyRef", object(&WHOLE)),
]);
static ENV: Type = fields(&[("valueFrom", object(&ENV_SOURCE))]);

const CONTAINER_PORT: &[Key] = &[Key { name: "containerPort", default: KeyDefault::Number(0) }, PROTOCOL];

static CONTAINER: Type = fields(&[
    ("env", keyed(NAME, "name", &ENV)),
    ("lifecycle", object(&LIFECYCLE)),
    ("livenessProbe", object(&HANDLER)),
    ("ports", keyed(CONTAINER_PORT, "containerPort", Type::UNKNOWN)),
    ("readinessProbe", object(&HANDLER)),
    ("resources", object(&RESOURCES)),
    ("startupProbe", object(&HANDLER)),
    ("volumeDevices", keyed(&[text("devicePath")], "devicePath", Type::UNKNOWN)),
    ("volumeMounts", keyed(&[text("mountPath")], "mountPath", Type::UNKNOWN)),
]);

static CLAIM_SPEC: Type =
    fields(&[("dataSource", object(&WHOLE)), ("resources", object(&RESOURCES)), ("selector", object(&WHOLE))]);
static CLAIM_TEMPLATE: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&CLAIM_SPEC))]);
static EPHEMERAL: Type = fields(&[("volumeClaimTemplate", object(&CLAIM_TEMPLATE))]);
static EMPTY_DIR: Type = fields(&[("sizeLimit", object(&AMOUNT))]);
static SECRET_REF: Type = fields(&[("secretRef", object(&WHOLE))]);
static CSI_VOLUME: Type = fields(&[("nodePublishSecretRef", object(&WHOLE)), ("volumeAttributes", object(&TEXTS))]);
static VOLUME: Type = fields(&[
    ("cephfs", object(&SECRET_REF)),
    ("cinder", object(&SECRET_REF)),
    ("csi", object(&CSI_VOLUME)),
    ("emptyDir", object(&EMPTY_DIR)),
    ("ephemeral", object(&EPHEMERAL)),
    ("flexVolume", object(&SECRET_REF)),
    ("iscsi", object(&SECRET_REF)),
    ("rbd", object(&SECRET_REF)),
    ("scaleIO", object(&SECRET_REF)),
    ("storageos", object(&SECRET_REF)),
]);

static NODE_AFFINITY: Type = fields(&[("requiredDuringSchedulingIgnoredDuringExecution", object(&WHOLE))]);
static AFFINITY: Type = fields(&[("nodeAffinity", object(&NODE_AFFINITY))]);
static SPREAD: Type = fields(&[("labelSelector", object(&WHOLE))]);

static POD_SPEC: Type = fields(&[
    ("affinity", object(&AFFINITY)),
    ("containers", keyed(NAME, "name", &CONTAINER)),
    ("ephemeralContainers", keyed(NAME, "name", &CONTAINER)),
    ("hostAliases", keyed(&[text("ip")], "ip", Type::UNKNOWN)),
    ("imagePullSecrets", keyed(NAME, "name", &WHOLE)),
    ("initContainers", keyed(NAME, "name", &CONTAINER)),
    ("nodeSelector", object(&WHOLE)),
    ("overhead", object(&AMOUNTS)),
    ("resourceClaims", keyed(NAME, "name", Type::UNKNOWN)),
    ("resources", object(&RESOURCES)),
    ("schedulingGates", keyed(NAME, "name", Type::UNKNOWN)),
    ("topologySpreadConstraints", keyed(&[text("topologyKey"), text("whenUnsatisfiable")], "topologyKey", &SPREAD)),
    ("volumes", keyed(NAME, "name", &VOLUME)),
]);
static POD_TEMPLATE: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&POD_SPEC))]);
static POD_STATUS: Type = fields(&[
    ("conditions", CONDITIONS),
    ("hostIPs", keyed_patch("ip", Type::UNKNOWN)),
    ("podIPs", keyed(&[text("ip")], "ip", Type::UNKNOWN)),
    ("resourceClaimStatuses", keyed(NAME, "name", Type::UNKNOWN)),
]);
static POD: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&POD_SPEC)), ("status", object(&POD_STATUS))]);

static ROLLING: Type = fields(&[("maxSurge", object(&INT_OR_STRING)), ("maxUnavailable", object(&INT_OR_STRING))]);
static STRATEGY: Type = fields(&[("rollingUpdate", object(&ROLLING))]);
static WITH_CONDITIONS: Type = fields(&[("conditions", CONDITIONS)]);
static WORKLOAD_SPEC: Type = fields(&[
    ("selector", object(&WHOLE)),
    ("strategy", object(&STRATEGY)),
    ("template", object(&POD_TEMPLATE)),
    ("updateStrategy", object(&STRATEGY)),
]);
/// Deployment, ReplicaSet, StatefulSet, DaemonSet.
static WORKLOAD: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC)), ("status", object(&WITH_CONDITIONS))]);

static UNCOUNTED: Type = fields(&[("failed", SET), ("succeeded", SET)]);
static JOB_STATUS: Type =
    fields(&[("conditions", keyed_patch("type", Type::UNKNOWN)), ("uncountedTerminatedPods", object(&UNCOUNTED))]);
static JOB: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC)), ("status", object(&JOB_STATUS))]);
static JOB_TEMPLATE: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC))]);
static CRON_JOB_SPEC: Type = fields(&[("jobTemplate", object(&JOB_TEMPLATE))]);
static CRON_JOB: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&CRON_JOB_SPEC))]);

const SERVICE_PORTS: &[Key] = &[Key { name: "port", default: KeyDefault::Number(0) }, PROTOCOL];
static SERVICE_PORT: Type = fields(&[("targetPort", object(&INT_OR_STRING))]);
static SERVICE_SPEC: Type =
    fields(&[("ports", keyed(SERVICE_PORTS, "port", &SERVICE_PORT)), ("selector", object(&WHOLE))]);
static SERVICE: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&SERVICE_SPEC)), ("status", object(&WITH_CONDITIONS))]);

static NODE_SPEC: Type = fields(&[("podCIDRs", UNIQUE)]);
static NODE_STATUS: Type = fields(&[
    ("addresses", keyed(TYPE, "type", Type::UNKNOWN)),
    ("allocatable", object(&AMOUNTS)),
    ("capacity", object(&AMOUNTS)),
    ("conditions", CONDITIONS),
]);
static NODE: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&NODE_SPEC)), ("status", object(&NODE_STATUS))]);

static WITH_STATUS: Type = fields(&[("metadata", object(&METADATA)), ("status", object(&WITH_CONDITIONS))]);
static PLAIN: Type = fields(&[("metadata", object(&METADATA))]);
static DATA: Type = fields(&[
    ("binaryData", object(Type::UNKNOWN)),
    ("data", object(&TEXTS)),
    ("metadata", object(&METADATA)),
    ("stringData", object(&TEXTS)),
]);
static SERVICE_ACCOUNT: Type = fields(&[("metadata", object(&METADATA)), ("secrets", keyed(NAME, "name", &WHOLE))]);
static EVENT: Type = fields(&[
    ("involvedObject", object(&WHOLE)),
    ("metadata", object(&METADATA)),
    ("regarding", object(&WHOLE)),
    ("related", object(&WHOLE)),
]);

static CLAIM: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&CLAIM_SPEC)), ("status", object(&CLAIM_STATUS))]);
static CLAIM_STATUS: Type = fields(&[("capacity", object(&AMOUNTS)), ("conditions", CONDITIONS)]);
static VOLUME_AFFINITY: Type = fields(&[("required", object(&WHOLE))]);
static PERSISTENT_VOLUME_SPEC: Type =
    fields(&[("capacity", object(&AMOUNTS)), ("nodeAffinity", object(&VOLUME_AFFINITY))]);
static PERSISTENT_VOLUME: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&PERSISTENT_VOLUME_SPEC))]);
static QUOTA_SPEC: Type = fields(&[("hard", object(&AMOUNTS)), ("scopeSelector", object(&WHOLE))]);
static QUOTA_STATUS: Type = fields(&[("hard", object(&AMOUNTS)), ("used", object(&AMOUNTS))]);
static QUOTA: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&QUOTA_SPEC)), ("status", object(&QUOTA_STATUS))]);
static BUDGET_SPEC: Type = fields(&[
    ("maxUnavailable", object(&INT_OR_STRING)),
    ("minAvailable", object(&INT_OR_STRING)),
    ("selector", Field { entries: Entries::Whole, patch: ListPatch::ReplaceObject, inner: &WHOLE }),
]);
static BUDGET: Type =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&BUDGET_SPEC)), ("status", object(&WITH_CONDITIONS))]);
static NETWORK_POLICY_SPEC: Type = fields(&[("podSelector", object(&WHOLE))]);
static NETWORK_POLICY: Type = fields(&[("metadata", object(&METADATA)), ("spec", object(&NETWORK_POLICY_SPEC))]);
static ROLE_BINDING: Type = fields(&[("metadata", object(&METADATA)), ("roleRef", object(&WHOLE))]);

/// What is known of the kind's objects.
pub(super) fn root(group: &str, kind: &str) -> &'static Type {
    match (group, kind) {
        ("", "Pod") => &POD,
        ("", "Service") => &SERVICE,
        ("", "Node") => &NODE,
        ("", "Namespace") | ("autoscaling", "HorizontalPodAutoscaler") => &WITH_STATUS,
        ("", "ConfigMap" | "Secret") => &DATA,
        ("", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("" | "events.k8s.io", "Event") => &EVENT,
        ("", "PersistentVolumeClaim") => &CLAIM,
        ("", "PersistentVolume") => &PERSISTENT_VOLUME,
        ("", "ResourceQuota") => &QUOTA,
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => &WORKLOAD,
        ("batch", "Job") => &JOB,
        ("batch", "CronJob") => &CRON_JOB,
        ("policy", "PodDisruptionBudget") => &BUDGET,
        ("networking.k8s.io", "NetworkPolicy") => &NETWORK_POLICY,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &ROLE_BINDING,
        _ => &PLAIN,
    }
}
