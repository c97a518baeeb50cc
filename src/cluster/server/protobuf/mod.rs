//! Reads objects in Kubernetes's protobuf encoding, as kubectl from 1.32 on and Go programs send them, into JSON.
//! Answers are JSON always: every client that sends protobuf accepts it.
//! (Kubernetes API concepts, "Protobuf encoding": four magic bytes, then an envelope that names the kind.)

mod access;
mod autoscaling;
mod core;
mod decode;
mod meta;
mod others;
mod policies;
mod storage;
mod table;
mod wire;
mod workloads;

use serde_json::{Value, json};

pub use decode::DecodeError;
use table::Message;
use wire::{Content, Reader};

const MAGIC: &[u8] = b"k8s\0";

/// The object in the body.
///
/// # Errors
/// When the bytes are not the protobuf of a kind that is known here.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(DecodeError::Magic)?;
    let (mut api_version, mut kind, mut raw): (String, String, &[u8]) = (String::new(), String::new(), b"");
    let mut reader = Reader::new(envelope);
    while let Some((tag, content)) = reader.next()? {
        match (tag, content) {
            (1, Content::Bytes(bytes)) => (api_version, kind) = type_meta(bytes)?,
            (2, Content::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let Some(message) = message_of(&api_version, &kind) else {
        return Err(DecodeError::Unknown { api_version, kind });
    };
    let mut object = decode::members(message, raw)?;
    object.insert("apiVersion".into(), json!(api_version));
    object.insert("kind".into(), json!(kind));
    Ok(Value::Object(object))
}

fn type_meta(bytes: &[u8]) -> Result<(String, String), DecodeError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        match (tag, content) {
            (1, Content::Bytes(bytes)) => api_version = String::from_utf8_lossy(bytes).into_owned(),
            (2, Content::Bytes(bytes)) => kind = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn message_of(api_version: &str, kind: &str) -> Option<&'static Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => &core::Namespace,
        ("v1", "Node") => &core::Node,
        ("v1", "Pod") => &core::Pod,
        ("v1", "Service") => &core::Service,
        ("v1", "Endpoints") => &core::Endpoints,
        ("v1", "ConfigMap") => &core::ConfigMap,
        ("v1", "Secret") => &core::Secret,
        ("v1", "ServiceAccount") => &core::ServiceAccount,
        ("v1", "Event") => &core::Event,
        ("v1", "Binding") => &core::Binding,
        ("v1", "LimitRange") => &policies::LimitRange,
        ("v1", "PersistentVolume") => &storage::PersistentVolume,
        ("v1", "PersistentVolumeClaim") => &storage::PersistentVolumeClaim,
        ("v1", "PodTemplate") => &workloads::PodTemplate,
        ("v1", "ReplicationController") => &workloads::ReplicationController,
        ("v1", "ResourceQuota") => &policies::ResourceQuota,
        ("apps/v1", "ControllerRevision") => &workloads::ControllerRevision,
        ("apps/v1", "DaemonSet") => &workloads::DaemonSet,
        ("apps/v1", "StatefulSet") => &workloads::StatefulSet,
        ("batch/v1", "CronJob") => &workloads::CronJob,
        ("batch/v1", "Job") => &workloads::Job,
        ("autoscaling/v1", "HorizontalPodAutoscaler") => &autoscaling::HorizontalPodAutoscalerV1,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => &autoscaling::HorizontalPodAutoscaler,
        ("networking.k8s.io/v1", "Ingress") => &policies::Ingress,
        ("networking.k8s.io/v1", "IngressClass") => &policies::IngressClass,
        ("networking.k8s.io/v1", "NetworkPolicy") => &policies::NetworkPolicy,
        ("policy/v1", "PodDisruptionBudget") => &policies::PodDisruptionBudget,
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => &access::ClusterRole,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => &access::ClusterRoleBinding,
        ("rbac.authorization.k8s.io/v1", "Role") => &access::Role,
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => &access::RoleBinding,
        ("storage.k8s.io/v1", "StorageClass") => &storage::StorageClass,
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => &policies::ValidatingAdmissionPolicy,
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
            &policies::ValidatingAdmissionPolicyBinding
        }
        ("authentication.k8s.io/v1", "TokenRequest") => &access::TokenRequest,
        ("authentication.k8s.io/v1", "TokenReview") => &access::TokenReview,
        ("authorization.k8s.io/v1", "LocalSubjectAccessReview") => &access::LocalSubjectAccessReview,
        ("authorization.k8s.io/v1", "SubjectAccessReview") => &access::SubjectAccessReview,
        ("apps/v1", "Deployment") => &others::Deployment,
        ("apps/v1", "ReplicaSet") => &others::ReplicaSet,
        ("autoscaling/v1", "Scale") => &others::Scale,
        ("coordination.k8s.io/v1", "Lease") => &others::Lease,
        ("discovery.k8s.io/v1", "EndpointSlice") => &others::EndpointSlice,
        ("scheduling.k8s.io/v1", "PriorityClass") => &others::PriorityClass,
        ("policy/v1", "Eviction") => &others::Eviction,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => &others::SelfSubjectReview,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => &others::SelfSubjectAccessReview,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => &others::SelfSubjectRulesReview,
        // Options travel under the version of the group that they are for.
        (_, "DeleteOptions") => &meta::DeleteOptions,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
