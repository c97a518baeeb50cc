//! Which empty values are stored. Most empty fields mean the same as absent ones and are not stored, so that a
//! manifest that spells them out is no different from one that does not. Where empty means something of its own
//! (`replicas: 0` is not the default of 1), the field is listed here.

use serde_json::Value;

/// Whether the value is what an absent field reads as. An empty object is, if it is a map (an empty `emptyDir`
/// is not).
pub fn is_empty(value: &Value, is_map: bool) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => is_map && members.is_empty(),
    }
}

/// Whether the field of the struct is stored even when it is empty.
pub fn is_kept(of: &str, field: &str) -> bool {
    KEPT.iter().any(|(name, fields)| (*name == of || *name == ANY) && fields.contains(&field))
}

const ANY: &str = "*";

/// Fields for which Kubernetes tells empty from absent: required ones, and those whose default is not empty.
const KEPT: &[(&str, &[&str])] = &[
    (ANY, &["apiVersion", "kind", "optional", "defaultMode", "mode", "appProtocol", "immutable", "apiGroup"]),
    ("ObjectMeta", &["deletionGracePeriodSeconds", "managedFields"]),
    ("OwnerReference", &["name", "uid", "controller", "blockOwnerDeletion"]),
    ("Condition", &["type", "status", "reason", "message"]),
    ("LabelSelectorRequirement", &["key", "operator"]),
    (
        "PodSpec",
        &[
            "containers",
            "activeDeadlineSeconds",
            "automountServiceAccountToken",
            "enableServiceLinks",
            "hostUsers",
            "preemptionPolicy",
            "priority",
            "runtimeClassName",
            "setHostnameAsFQDN",
            "shareProcessNamespace",
            "terminationGracePeriodSeconds",
        ],
    ),
    ("Container", &["name"]),
    ("EphemeralContainer", &["name"]),
    ("ContainerPort", &["containerPort"]),
    ("EnvVar", &["name"]),
    ("ConfigMapKeySelector", &["key"]),
    ("SecretKeySelector", &["key"]),
    ("ObjectFieldSelector", &["fieldPath"]),
    ("ResourceFieldSelector", &["resource", "divisor"]),
    ("HTTPHeader", &["name", "value"]),
    ("HTTPGetAction", &["port"]),
    ("TCPSocketAction", &["port"]),
    ("GRPCAction", &["port", "service"]),
    ("SleepAction", &["seconds"]),
    ("Probe", &["terminationGracePeriodSeconds"]),
    (
        "SecurityContext",
        &[
            "allowPrivilegeEscalation",
            "privileged",
            "procMount",
            "readOnlyRootFilesystem",
            "runAsGroup",
            "runAsNonRoot",
            "runAsUser",
        ],
    ),
    ("PodSecurityContext", &["fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser"]),
    ("SeccompProfile", &["type", "localhostProfile"]),
    ("AppArmorProfile", &["type", "localhostProfile"]),
    (
        "WindowsSecurityContextOptions",
        &["gmsaCredentialSpec", "gmsaCredentialSpecName", "hostProcess", "runAsUserName"],
    ),
    ("Sysctl", &["name", "value"]),
    ("HostAlias", &["ip"]),
    ("PodOS", &["name"]),
    ("PodReadinessGate", &["conditionType"]),
    ("PodSchedulingGate", &["name"]),
    ("PodResourceClaim", &["name", "resourceClaimName", "resourceClaimTemplateName"]),
    ("PodDNSConfigOption", &["value"]),
    ("NodeSelector", &["nodeSelectorTerms"]),
    ("NodeSelectorRequirement", &["key", "operator"]),
    ("PreferredSchedulingTerm", &["weight"]),
    ("WeightedPodAffinityTerm", &["weight"]),
    ("PodAffinityTerm", &["topologyKey"]),
    ("TopologySpreadConstraint", &["maxSkew", "topologyKey", "whenUnsatisfiable", "minDomains"]),
    ("Toleration", &["tolerationSeconds"]),
    ("Volume", &["name"]),
    ("VolumeMount", &["name", "mountPath", "mountPropagation", "recursiveReadOnly"]),
    ("VolumeDevice", &["name", "devicePath"]),
    ("KeyToPath", &["key", "path"]),
    ("DownwardAPIVolumeFile", &["path"]),
    ("HostPathVolumeSource", &["path", "type"]),
    ("EmptyDirVolumeSource", &["sizeLimit"]),
    ("NFSVolumeSource", &["server", "path"]),
    ("PersistentVolumeClaimVolumeSource", &["claimName"]),
    ("PersistentVolumeClaimSpec", &["storageClassName", "volumeAttributesClassName", "volumeMode"]),
    ("CSIVolumeSource", &["driver", "readOnly", "fsType"]),
    ("ISCSIVolumeSource", &["targetPortal", "iqn", "lun"]),
    ("ProjectedVolumeSource", &["sources"]),
    ("ServiceAccountTokenProjection", &["path", "expirationSeconds"]),
    ("PodCondition", &["type", "status"]),
    ("ContainerStatus", &["name", "ready", "restartCount", "image", "imageID", "started"]),
    ("ContainerStateTerminated", &["exitCode", "startedAt", "finishedAt"]),
    ("Taint", &["key", "effect"]),
    ("NodeCondition", &["type", "status"]),
    ("NodeAddress", &["type", "address"]),
    ("DaemonEndpoint", &["Port"]),
    ("ContainerImage", &["names"]),
    (
        "NodeSystemInfo",
        &[
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
            "kubeletVersion",
            "kubeProxyVersion",
            "operatingSystem",
            "architecture",
        ],
    ),
    ("NamespaceCondition", &["type", "status"]),
    (
        "ServiceSpec",
        &[
            "allocateLoadBalancerNodePorts",
            "internalTrafficPolicy",
            "ipFamilyPolicy",
            "loadBalancerClass",
            "trafficDistribution",
        ],
    ),
    ("ServicePort", &["port", "targetPort"]),
    ("ClientIPConfig", &["timeoutSeconds"]),
    ("PortStatus", &["port", "protocol"]),
    ("ServiceAccount", &["automountServiceAccountToken"]),
    ("Event", &["reportingComponent", "reportingInstance"]),
    ("DeploymentSpec", &["replicas", "progressDeadlineSeconds", "revisionHistoryLimit"]),
    ("DeploymentStatus", &["collisionCount", "terminatingReplicas"]),
    ("DeploymentCondition", &["type", "status"]),
    ("RollingUpdateDeployment", &["maxSurge", "maxUnavailable"]),
    ("ReplicaSetSpec", &["replicas"]),
    ("ReplicaSetStatus", &["replicas", "terminatingReplicas"]),
    ("ReplicaSetCondition", &["type", "status"]),
    // Of core/v1 and of discovery.k8s.io/v1, where name, port and protocol of a port tell empty from absent.
    ("EndpointPort", &["name", "port", "protocol"]),
    ("EndpointAddress", &["ip", "nodeName"]),
    ("EndpointSlice", &["addressType"]),
    ("Endpoint", &["addresses", "hostname", "nodeName", "zone"]),
    ("EndpointConditions", &["ready", "serving", "terminating"]),
    ("PriorityClass", &["value"]),
    ("LeaseSpec", &["holderIdentity", "leaseDurationSeconds", "leaseTransitions", "preferredHolder", "strategy"]),
    // Argo CD's: an automated policy that is switched off by `enabled: false` is not one that is absent.
    ("Automated", &["enabled"]),
    ("ApplicationSpec", &["revisionHistoryLimit", "project"]),
];
