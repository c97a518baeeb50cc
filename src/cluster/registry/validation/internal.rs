//! Shows objects as Kubernetes's messages about immutable fields show them: by the names and in the order of its
//! internal types, every field, and what changed as a unified diff of that.
//!
//! A type is a line of field names. A name alone is a pointer, list or map, which is `null` when absent; `$` is a
//! text, `#` a number, `?` a truth value, with their empty values; `:TYPE` gives a pointer's or an item's type, `!TYPE`
//! that of a struct that is always there; `/name` is the field's name in JSON where it does not follow from the other.

use serde_json::{Value, json};

use crate::diff::lines::{Hunk, Lines};

const TYPES: &[(&str, &str)] = &[
    (
        "PersistentVolumeClaimSpec",
        "AccessModes Selector Resources!VolumeResourceRequirements VolumeName$ StorageClassName VolumeMode \
         DataSource:TypedLocalObjectReference DataSourceRef:TypedObjectReference VolumeAttributesClassName",
    ),
    ("VolumeResourceRequirements", "Limits Requests"),
    ("TypedLocalObjectReference", "APIGroup Kind$ Name$"),
    ("TypedObjectReference", "APIGroup Kind$ Name$ Namespace"),
    (
        "PersistentVolumeSource",
        "GCEPersistentDisk AWSElasticBlockStore HostPath:HostPath Glusterfs NFS:NFS RBD Quobyte ISCSI FlexVolume Cinder \
         CephFS/cephfs FC Flocker AzureFile VsphereVolume AzureDisk PhotonPersistentDisk PortworxVolume ScaleIO \
         Local:Local StorageOS/storageos CSI:PersistentCSI",
    ),
    ("HostPath", "Path$ Type"),
    ("NFS", "Server$ Path$ ReadOnly?"),
    ("Local", "Path$ FSType"),
    (
        "PersistentCSI",
        "Driver$ VolumeHandle$ ReadOnly? FSType$ VolumeAttributes ControllerPublishSecretRef NodeStageSecretRef \
         NodePublishSecretRef ControllerExpandSecretRef NodeExpandSecretRef",
    ),
    ("VolumeNodeAffinity", "Required:NodeSelector"),
    ("NodeSelector", "NodeSelectorTerms:NodeSelectorTerm"),
    ("NodeSelectorTerm", "MatchExpressions:NodeRequirement MatchFields:NodeRequirement"),
    ("NodeRequirement", "Key$ Operator$ Values"),
    ("PodTemplateSpec", "Spec!PodSpec"),
    (
        "PodSpec",
        "Volumes:Volume InitContainers:Container Containers:Container EphemeralContainers RestartPolicy$ \
         TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy$ NodeSelector ServiceAccountName$ \
         AutomountServiceAccountToken NodeName$ SecurityContext!PodSecurityContext ImagePullSecrets:LocalObjectReference \
         Hostname$ Subdomain$ SetHostnameAsFQDN Affinity:Affinity SchedulerName$ Tolerations:Toleration HostAliases \
         PriorityClassName$ Priority PreemptionPolicy DNSConfig ReadinessGates RuntimeClassName Overhead \
         EnableServiceLinks TopologySpreadConstraints:TopologySpreadConstraint OS:LocalObjectReference \
         SchedulingGates:LocalObjectReference ResourceClaims Resources:ResourceRequirements HostnameOverride \
         SchedulingGroup",
    ),
    (
        "Container",
        "Name$ Image$ Command Args WorkingDir$ Ports:ContainerPort EnvFrom Env:EnvVar Resources!ResourceRequirements \
         ResizePolicy RestartPolicy RestartPolicyRules VolumeMounts:VolumeMount VolumeDevices LivenessProbe:Probe \
         ReadinessProbe:Probe StartupProbe:Probe Lifecycle:Lifecycle TerminationMessagePath$ TerminationMessagePolicy$ \
         ImagePullPolicy$ SecurityContext:SecurityContext Stdin? StdinOnce? TTY?",
    ),
    ("ResourceRequirements", "Limits Requests Claims"),
    ("ContainerPort", "Name$ HostPort# ContainerPort# Protocol$ HostIP$"),
    ("EnvVar", "Name$ Value$ ValueFrom:EnvVarSource"),
    (
        "EnvVarSource",
        "FieldRef:FieldRef ResourceFieldRef ConfigMapKeyRef:KeySelector SecretKeyRef:KeySelector FileKeyRef",
    ),
    ("FieldRef", "APIVersion$ FieldPath$"),
    ("KeySelector", "Name$ Key$ Optional"),
    ("VolumeMount", "Name$ ReadOnly? RecursiveReadOnly MountPath$ SubPath$ MountPropagation SubPathExpr$"),
    (
        "Probe",
        "Exec HTTPGet:HTTPGet TCPSocket GRPC InitialDelaySeconds# TimeoutSeconds# PeriodSeconds# SuccessThreshold# \
         FailureThreshold# TerminationGracePeriodSeconds",
    ),
    ("HTTPGet", "Path$ Port# Host$ Scheme$ HTTPHeaders"),
    ("Lifecycle", "PostStart:Handler PreStop:Handler StopSignal"),
    ("Handler", "Exec HTTPGet:HTTPGet TCPSocket Sleep"),
    (
        "SecurityContext",
        "Capabilities:Capabilities Privileged SELinuxOptions WindowsOptions RunAsUser RunAsGroup RunAsNonRoot \
         ReadOnlyRootFilesystem AllowPrivilegeEscalation ProcMount SeccompProfile:Profile AppArmorProfile:Profile",
    ),
    ("Capabilities", "Add Drop"),
    ("Profile", "Type$ LocalhostProfile"),
    (
        "PodSecurityContext",
        "HostNetwork? HostPID? HostIPC? ShareProcessNamespace HostUsers SELinuxOptions WindowsOptions RunAsUser \
         RunAsGroup RunAsNonRoot SupplementalGroups SupplementalGroupsPolicy FSGroup FSGroupChangePolicy Sysctls \
         SeccompProfile:Profile AppArmorProfile:Profile SELinuxChangePolicy",
    ),
    ("LocalObjectReference", "Name$"),
    ("Affinity", "NodeAffinity PodAffinity PodAntiAffinity"),
    ("Toleration", "Key$ Operator$ Value$ Effect$ TolerationSeconds"),
    (
        "TopologySpreadConstraint",
        "MaxSkew# TopologyKey$ WhenUnsatisfiable$ LabelSelector MinDomains NodeAffinityPolicy \
         NodeTaintsPolicy MatchLabelKeys",
    ),
    (
        "Volume",
        "Name$ HostPath:HostPath EmptyDir:EmptyDir GCEPersistentDisk AWSElasticBlockStore GitRepo Secret:SecretVolume \
         NFS:NFS ISCSI Glusterfs PersistentVolumeClaim:ClaimVolume RBD Quobyte FlexVolume Cinder CephFS/cephfs Flocker \
         DownwardAPI FC AzureFile ConfigMap:ConfigMapVolume VsphereVolume AzureDisk PhotonPersistentDisk Projected \
         PortworxVolume ScaleIO StorageOS/storageos CSI Ephemeral Image",
    ),
    ("EmptyDir", "Medium$ SizeLimit"),
    ("SecretVolume", "SecretName$ Items:KeyToPath DefaultMode Optional"),
    ("ConfigMapVolume", "Name$ Items:KeyToPath DefaultMode Optional"),
    ("KeyToPath", "Key$ Path$ Mode"),
    ("ClaimVolume", "ClaimName$ ReadOnly?"),
];

/// The value as compact JSON of the internal type.
pub fn shown(of: &str, value: &Value) -> String {
    written(&internal(of, value), None)
}

/// A template of pods as compact JSON: its metadata is part of the struct itself and leaves out what is not set.
pub fn template(template: &Value) -> String {
    let metadata = ["labels", "annotations"].into_iter().filter(|name| !template["metadata"][name].is_null());
    let metadata: String = metadata.map(|name| format!("\"{name}\":{},", template["metadata"][name])).collect();
    shown("PodTemplateSpec", &json!({"spec": template["spec"]})).replacen('{', &format!("{{{metadata}"), 1)
}

/// What changed, line by line, with three lines around each change.
pub fn difference(of: &str, old: &Value, new: &Value) -> String {
    let [old, new] = [old, new].map(|value| written(&internal(of, value), Some(0)) + "\n");
    Lines::of(&old, &new).hunks(3).iter().map(Hunk::unified).collect()
}

/// A value with the members of its type in their order.
enum Shape {
    Leaf(Value),
    Items(Vec<Shape>),
    Members(Vec<(String, Shape)>),
}

fn internal(of: &str, value: &Value) -> Shape {
    let Some((_, fields)) = TYPES.iter().find(|(name, _)| *name == of) else { return untyped(value) };
    let lifted;
    let value = if of == "PodSpec" {
        lifted = with_host_settings(value);
        &lifted
    } else {
        value
    };
    let member = |field: &str| {
        let end = field.find(|c| "$#?:!/".contains(c)).unwrap_or(field.len());
        let (name, rule) = field.split_at(end);
        let json_name = rule.strip_prefix('/').map_or_else(|| json_name(name), str::to_owned);
        let given = &value[json_name.as_str()];
        let shape = match (rule.chars().next(), given) {
            (Some('$'), Value::Null) => Shape::Leaf(json!("")),
            (Some('#'), Value::Null) => Shape::Leaf(json!(0)),
            (Some('?'), Value::Null) => Shape::Leaf(json!(false)),
            (Some('!'), _) => internal(&rule[1..], given),
            (_, Value::Null) => Shape::Leaf(Value::Null),
            (Some(':'), Value::Array(items)) => {
                Shape::Items(items.iter().map(|item| internal(&rule[1..], item)).collect())
            }
            (Some(':'), given) => internal(&rule[1..], given),
            (None, given @ Value::Object(_)) if !is_map(name) => untyped(given),
            (_, given) => plain(given),
        };
        (name.to_owned(), shape)
    };
    Shape::Members(fields.split_whitespace().map(member).collect())
}

/// Fields whose members are data, not fields.
fn is_map(name: &str) -> bool {
    matches!(
        name,
        "Limits" | "Requests" | "NodeSelector" | "Overhead" | "VolumeAttributes" | "Selector" | "LabelSelector"
    )
}

/// The settings of the host are among a pod's security settings internally.
fn with_host_settings(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
        if !spec[field].is_null() {
            spec["securityContext"][field] = spec[field].take();
        }
    }
    spec
}

/// A struct whose type is not listed: what is there, under internal names.
fn untyped(value: &Value) -> Shape {
    match value {
        Value::Object(members) => {
            let named = members.iter().map(|(name, value)| (internal_name(name), untyped(value)));
            Shape::Members(named.collect())
        }
        Value::Array(items) => Shape::Items(items.iter().map(untyped).collect()),
        leaf => Shape::Leaf(leaf.clone()),
    }
}

fn plain(value: &Value) -> Shape {
    match value {
        Value::Object(members) => Shape::Members(members.iter().map(|(k, v)| (k.clone(), plain(v))).collect()),
        Value::Array(items) => Shape::Items(items.iter().map(plain).collect()),
        leaf => Shape::Leaf(leaf.clone()),
    }
}

/// `dnsPolicy` of `DNSPolicy`, `tty` of `TTY`.
fn json_name(name: &str) -> String {
    let capitals = name.chars().take_while(char::is_ascii_uppercase).count();
    let lowered = if capitals == name.len() { capitals } else { capitals.saturating_sub(1).max(1) };
    name[..lowered].to_lowercase() + &name[lowered..]
}

fn internal_name(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// As JSON: compact, or indented by a space a level.
fn written(shape: &Shape, level: Option<usize>) -> String {
    let inner = level.map(|level| level + 1);
    let (parts, open, close): (Vec<String>, _, _) = match shape {
        Shape::Leaf(value) => return value.to_string(),
        Shape::Items(items) => (items.iter().map(|item| written(item, inner)).collect(), "[", "]"),
        Shape::Members(members) => {
            let colon = if level.is_some() { ": " } else { ":" };
            let member = |(name, value): &(String, Shape)| format!("{}{colon}{}", json!(name), written(value, inner));
            (members.iter().map(member).collect(), "{", "}")
        }
    };
    match level {
        Some(level) if !parts.is_empty() => {
            let (outer, inner) = (" ".repeat(level), " ".repeat(level + 1));
            format!("{open}\n{inner}{}\n{outer}{close}", parts.join(&format!(",\n{inner}")))
        }
        _ => format!("{open}{}{close}", parts.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_among_all_fields_of_the_internal_type() {
        let spec = |mode: &str| json!({"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}});
        let diff = difference("PersistentVolumeClaimSpec", &spec("ReadWriteOnce"), &spec("ReadWriteMany"));
        let want = "@@ -1,6 +1,6 @@\n {\n  \"AccessModes\": [\n-  \"ReadWriteOnce\"\n+  \"ReadWriteMany\"\n  ],\n  \
                    \"Selector\": null,\n  \"Resources\": {\n";
        assert_eq!(diff, want);
    }

    #[test]
    fn names_in_json_follow_from_internal_ones() {
        for (internal, json) in
            [("DNSPolicy", "dnsPolicy"), ("TTY", "tty"), ("Name", "name"), ("SELinuxOptions", "seLinuxOptions")]
        {
            assert_eq!(json_name(internal), json);
        }
    }

    #[test]
    fn a_pods_host_settings_are_security_settings() {
        let pod = shown("PodSpec", &json!({"hostNetwork": true, "containers": [{"name": "c"}]}));
        assert!(pod.contains("\"SecurityContext\":{\"HostNetwork\":true,\"HostPID\":false"), "{pod}");
        assert!(pod.contains("\"Containers\":[{\"Name\":\"c\",\"Image\":\"\""), "{pod}");
    }
}
