//! The departures from the merge rule, a type a table, in the order in which the kinds are built of them.
//! Source: the merge strategies and list types that Kubernetes publishes in its OpenAPI documents.

use super::{Entries, Field, Form, Key, KeyDefault, Keys, ListPatch, Table, Type};

const fn fields(fields: &'static [(&'static str, Field<'static>)]) -> Table {
    Table { form: Form::Fields, fields }
}

const fn form(form: Form) -> Table {
    Table { form, fields: &[] }
}

const fn object(inner: &'static Table) -> Field<'static> {
    Field { entries: Entries::Whole, patch: ListPatch::Replace, inner: Type::Table(inner) }
}

/// A list whose entries are told apart by `keys`, and by `patch` in a strategic merge patch.
const fn keyed(keys: &'static [Key], patch: &'static str, inner: &'static Table) -> Field<'static> {
    Field { entries: Entries::Keyed(Keys::Table(keys)), patch: ListPatch::Keyed(patch), inner: Type::Table(inner) }
}

/// Keyed for server-side apply; a strategic merge patch replaces it.
const fn keyed_apply(keys: &'static [Key]) -> Field<'static> {
    Field { entries: Entries::Keyed(Keys::Table(keys)), patch: ListPatch::Replace, inner: Type::UNKNOWN }
}

/// One value for server-side apply; a strategic merge patch merges it.
const fn keyed_patch(patch: &'static str, inner: &'static Table) -> Field<'static> {
    Field { entries: Entries::Whole, patch: ListPatch::Keyed(patch), inner: Type::Table(inner) }
}

const fn text(name: &'static str) -> Key {
    Key { name, default: KeyDefault::Text("") }
}

const NAME: &[Key] = &[text("name")];
const TYPE: &[Key] = &[text("type")];
const PROTOCOL: Key = Key { name: "protocol", default: KeyDefault::Text("TCP") };

static UNIQUE: Field<'static> = Field { entries: Entries::Set, patch: ListPatch::Union, inner: Type::UNKNOWN };
static SET: Field<'static> = Field { entries: Entries::Set, patch: ListPatch::Replace, inner: Type::UNKNOWN };
static CONDITIONS: Field<'static> = keyed(TYPE, "type", &UNKNOWN);

static UNKNOWN: Table = form(Form::Fields);
static WHOLE: Table = form(Form::Whole);
static TEXTS: Table = form(Form::Texts);
static AMOUNTS: Table = form(Form::Amounts);
pub(super) static AMOUNT: Table = form(Form::Amount);
static INT_OR_STRING: Table = form(Form::IntOrString);

pub(super) static METADATA: Table = fields(&[
    ("annotations", object(&TEXTS)),
    ("finalizers", UNIQUE),
    ("labels", object(&TEXTS)),
    ("ownerReferences", keyed(&[text("uid")], "uid", &WHOLE)),
]);

static RESOURCES: Table =
    fields(&[("claims", keyed_apply(NAME)), ("limits", object(&AMOUNTS)), ("requests", object(&AMOUNTS))]);

static HANDLER_TARGET: Table = fields(&[("port", object(&INT_OR_STRING))]);
static HANDLER: Table = fields(&[("httpGet", object(&HANDLER_TARGET)), ("tcpSocket", object(&HANDLER_TARGET))]);
static LIFECYCLE: Table = fields(&[("postStart", object(&HANDLER)), ("preStop", object(&HANDLER))]);

static ENV_SOURCE: Table = fields(&[
    ("configMapKeyRef", object(&WHOLE)),
    ("fieldRef", object(&WHOLE)),
    ("fileKeyRef", object(&WHOLE)),
    ("resourceFieldRef", object(&WHOLE)),
    ("secretKeyRef", object(&WHOLE)),
]);
static ENV: Table = fields(&[("valueFrom", object(&ENV_SOURCE))]);

const CONTAINER_PORT: &[Key] = &[Key { name: "containerPort", default: KeyDefault::Number(0) }, PROTOCOL];

static CONTAINER: Table = fields(&[
    ("env", keyed(NAME, "name", &ENV)),
    ("lifecycle", object(&LIFECYCLE)),
    ("livenessProbe", object(&HANDLER)),
    ("ports", keyed(CONTAINER_PORT, "containerPort", &UNKNOWN)),
    ("readinessProbe", object(&HANDLER)),
    ("resources", object(&RESOURCES)),
    ("startupProbe", object(&HANDLER)),
    ("volumeDevices", keyed(&[text("devicePath")], "devicePath", &UNKNOWN)),
    ("volumeMounts", keyed(&[text("mountPath")], "mountPath", &UNKNOWN)),
]);

static CLAIM_SPEC: Table =
    fields(&[("dataSource", object(&WHOLE)), ("resources", object(&RESOURCES)), ("selector", object(&WHOLE))]);
static CLAIM_TEMPLATE: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&CLAIM_SPEC))]);
static EPHEMERAL: Table = fields(&[("volumeClaimTemplate", object(&CLAIM_TEMPLATE))]);
static EMPTY_DIR: Table = fields(&[("sizeLimit", object(&AMOUNT))]);
static SECRET_REF: Table = fields(&[("secretRef", object(&WHOLE))]);
static CSI_VOLUME: Table = fields(&[("nodePublishSecretRef", object(&WHOLE)), ("volumeAttributes", object(&TEXTS))]);
static VOLUME: Table = fields(&[
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

static NODE_AFFINITY: Table = fields(&[("requiredDuringSchedulingIgnoredDuringExecution", object(&WHOLE))]);
static AFFINITY: Table = fields(&[("nodeAffinity", object(&NODE_AFFINITY))]);
static SPREAD: Table = fields(&[("labelSelector", object(&WHOLE))]);

static POD_SPEC: Table = fields(&[
    ("affinity", object(&AFFINITY)),
    ("containers", keyed(NAME, "name", &CONTAINER)),
    ("ephemeralContainers", keyed(NAME, "name", &CONTAINER)),
    ("hostAliases", keyed(&[text("ip")], "ip", &UNKNOWN)),
    ("imagePullSecrets", keyed(NAME, "name", &WHOLE)),
    ("initContainers", keyed(NAME, "name", &CONTAINER)),
    ("nodeSelector", object(&WHOLE)),
    ("overhead", object(&AMOUNTS)),
    ("resourceClaims", keyed(NAME, "name", &UNKNOWN)),
    ("resources", object(&RESOURCES)),
    ("schedulingGates", keyed(NAME, "name", &UNKNOWN)),
    ("topologySpreadConstraints", keyed(&[text("topologyKey"), text("whenUnsatisfiable")], "topologyKey", &SPREAD)),
    ("volumes", keyed(NAME, "name", &VOLUME)),
]);
static POD_TEMPLATE: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&POD_SPEC))]);
static POD_STATUS: Table = fields(&[
    ("conditions", CONDITIONS),
    ("hostIPs", keyed_patch("ip", &UNKNOWN)),
    ("podIPs", keyed(&[text("ip")], "ip", &UNKNOWN)),
    ("resourceClaimStatuses", keyed(NAME, "name", &UNKNOWN)),
]);
static POD: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&POD_SPEC)), ("status", object(&POD_STATUS))]);

static ROLLING: Table = fields(&[("maxSurge", object(&INT_OR_STRING)), ("maxUnavailable", object(&INT_OR_STRING))]);
static STRATEGY: Table = fields(&[("rollingUpdate", object(&ROLLING))]);
static WITH_CONDITIONS: Table = fields(&[("conditions", CONDITIONS)]);
static WORKLOAD_SPEC: Table = fields(&[
    ("selector", object(&WHOLE)),
    ("strategy", object(&STRATEGY)),
    ("template", object(&POD_TEMPLATE)),
    ("updateStrategy", object(&STRATEGY)),
]);
/// Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController.
static WORKLOAD: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC)), ("status", object(&WITH_CONDITIONS))]);

static UNCOUNTED: Table = fields(&[("failed", SET), ("succeeded", SET)]);
static JOB_STATUS: Table =
    fields(&[("conditions", keyed_patch("type", &UNKNOWN)), ("uncountedTerminatedPods", object(&UNCOUNTED))]);
static JOB: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC)), ("status", object(&JOB_STATUS))]);
static JOB_TEMPLATE: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&WORKLOAD_SPEC))]);
static CRON_JOB_SPEC: Table = fields(&[("jobTemplate", object(&JOB_TEMPLATE))]);
static CRON_JOB: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&CRON_JOB_SPEC))]);

const SERVICE_PORTS: &[Key] = &[Key { name: "port", default: KeyDefault::Number(0) }, PROTOCOL];
static SERVICE_PORT: Table = fields(&[("targetPort", object(&INT_OR_STRING))]);
static SERVICE_SPEC: Table =
    fields(&[("ports", keyed(SERVICE_PORTS, "port", &SERVICE_PORT)), ("selector", object(&WHOLE))]);
static SERVICE: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&SERVICE_SPEC)), ("status", object(&WITH_CONDITIONS))]);

static NODE_SPEC: Table = fields(&[("podCIDRs", UNIQUE)]);
static NODE_STATUS: Table = fields(&[
    ("addresses", keyed(TYPE, "type", &UNKNOWN)),
    ("allocatable", object(&AMOUNTS)),
    ("capacity", object(&AMOUNTS)),
    ("conditions", CONDITIONS),
]);
static NODE: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&NODE_SPEC)), ("status", object(&NODE_STATUS))]);

static WITH_STATUS: Table = fields(&[("metadata", object(&METADATA)), ("status", object(&WITH_CONDITIONS))]);
static PLAIN: Table = fields(&[("metadata", object(&METADATA))]);
static DATA: Table = fields(&[
    ("binaryData", object(&UNKNOWN)),
    ("data", object(&TEXTS)),
    ("metadata", object(&METADATA)),
    ("stringData", object(&TEXTS)),
]);
static SERVICE_ACCOUNT: Table = fields(&[("metadata", object(&METADATA)), ("secrets", keyed(NAME, "name", &WHOLE))]);
static EVENT: Table = fields(&[
    ("involvedObject", object(&WHOLE)),
    ("metadata", object(&METADATA)),
    ("regarding", object(&WHOLE)),
    ("related", object(&WHOLE)),
]);

static CLAIM: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&CLAIM_SPEC)), ("status", object(&CLAIM_STATUS))]);
static CLAIM_STATUS: Table = fields(&[("capacity", object(&AMOUNTS)), ("conditions", CONDITIONS)]);
static VOLUME_AFFINITY: Table = fields(&[("required", object(&WHOLE))]);
static CSI_PERSISTENT_VOLUME: Table = fields(&[
    ("controllerExpandSecretRef", object(&WHOLE)),
    ("controllerPublishSecretRef", object(&WHOLE)),
    ("nodeExpandSecretRef", object(&WHOLE)),
    ("nodePublishSecretRef", object(&WHOLE)),
    ("nodeStageSecretRef", object(&WHOLE)),
]);
static PERSISTENT_VOLUME_SPEC: Table = fields(&[
    ("capacity", object(&AMOUNTS)),
    ("cephfs", object(&SECRET_REF)),
    ("cinder", object(&SECRET_REF)),
    ("csi", object(&CSI_PERSISTENT_VOLUME)),
    ("flexVolume", object(&SECRET_REF)),
    ("iscsi", object(&SECRET_REF)),
    ("nodeAffinity", object(&VOLUME_AFFINITY)),
    ("rbd", object(&SECRET_REF)),
    ("scaleIO", object(&SECRET_REF)),
    ("storageos", object(&SECRET_REF)),
]);
static PERSISTENT_VOLUME: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&PERSISTENT_VOLUME_SPEC))]);
static QUOTA_SPEC: Table = fields(&[("hard", object(&AMOUNTS)), ("scopeSelector", object(&WHOLE))]);
static QUOTA_STATUS: Table = fields(&[("hard", object(&AMOUNTS)), ("used", object(&AMOUNTS))]);
static QUOTA: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&QUOTA_SPEC)), ("status", object(&QUOTA_STATUS))]);
static BUDGET_SPEC: Table = fields(&[
    ("maxUnavailable", object(&INT_OR_STRING)),
    ("minAvailable", object(&INT_OR_STRING)),
    ("selector", Field { entries: Entries::Whole, patch: ListPatch::ReplaceObject, inner: Type::Table(&WHOLE) }),
]);
static BUDGET: Table =
    fields(&[("metadata", object(&METADATA)), ("spec", object(&BUDGET_SPEC)), ("status", object(&WITH_CONDITIONS))]);
static NETWORK_POLICY_SPEC: Table = fields(&[("podSelector", object(&WHOLE))]);
static NETWORK_POLICY: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&NETWORK_POLICY_SPEC))]);
static BACKEND_SERVICE: Table = fields(&[("port", object(&WHOLE))]);
static BACKEND: Table = fields(&[("resource", object(&WHOLE)), ("service", object(&BACKEND_SERVICE))]);
static INGRESS_SPEC: Table = fields(&[("defaultBackend", object(&BACKEND))]);
static INGRESS: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&INGRESS_SPEC))]);
static CONTROLLER_REVISION: Table = fields(&[("data", object(&WHOLE)), ("metadata", object(&METADATA))]);
static POD_TEMPLATE_KIND: Table = fields(&[("metadata", object(&METADATA)), ("template", object(&POD_TEMPLATE))]);
static POLICY_SPEC: Table = fields(&[
    ("matchConditions", keyed(NAME, "name", &UNKNOWN)),
    ("matchConstraints", object(&WHOLE)),
    ("paramKind", object(&WHOLE)),
    ("variables", keyed(NAME, "name", &WHOLE)),
]);
static CONDITIONS_OF_APPLY: Table = fields(&[("conditions", keyed_apply(TYPE))]);
static POLICY: Table = fields(&[
    ("metadata", object(&METADATA)),
    ("spec", object(&POLICY_SPEC)),
    ("status", object(&CONDITIONS_OF_APPLY)),
]);
static POLICY_BINDING_SPEC: Table =
    fields(&[("matchResources", object(&WHOLE)), ("paramRef", object(&WHOLE)), ("validationActions", SET)]);
static POLICY_BINDING: Table = fields(&[("metadata", object(&METADATA)), ("spec", object(&POLICY_BINDING_SPEC))]);
static DEFINITION: Table = fields(&[("metadata", object(&METADATA)), ("status", object(&CONDITIONS_OF_APPLY))]);
static ROLE_BINDING: Table = fields(&[("metadata", object(&METADATA)), ("roleRef", object(&WHOLE))]);

/// What is known of the kind's objects.
pub(super) fn root(group: &str, kind: &str) -> &'static Table {
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
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") | ("", "ReplicationController") => {
            &WORKLOAD
        }
        ("", "PodTemplate") => &POD_TEMPLATE_KIND,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => &POLICY,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => &POLICY_BINDING,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => &DEFINITION,
        ("apps", "ControllerRevision") => &CONTROLLER_REVISION,
        ("batch", "Job") => &JOB,
        ("batch", "CronJob") => &CRON_JOB,
        ("policy", "PodDisruptionBudget") => &BUDGET,
        ("networking.k8s.io", "Ingress") => &INGRESS,
        ("networking.k8s.io", "NetworkPolicy") => &NETWORK_POLICY,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => &ROLE_BINDING,
        _ => &PLAIN,
    }
}
