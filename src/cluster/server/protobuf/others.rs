//! The messages of the groups beside the core. Tags are those of Kubernetes's published message definitions.

use super::core::*;
use super::meta::*;
use super::table::messages;

messages! {
    RollingUpdateDeployment { 1 maxUnavailable (keep int_or_string), 2 maxSurge (keep int_or_string) }
    DeploymentStrategy { 1 type text, 2 rollingUpdate RollingUpdateDeployment }
    DeploymentSpec {
        1 replicas (keep number), 2 selector LabelSelector, 3 template (plain PodTemplateSpec),
        4 strategy (plain DeploymentStrategy), 5 minReadySeconds number,
        6 revisionHistoryLimit (keep number), 7 paused flag, 9 progressDeadlineSeconds (keep number)
    }
    DeploymentCondition {
        1 type text, 2 status text, 6 lastUpdateTime time, 7 lastTransitionTime time, 4 reason text,
        5 message text
    }
    DeploymentStatus {
        1 observedGeneration number, 2 replicas number, 3 updatedReplicas number,
        7 readyReplicas number, 4 availableReplicas number, 5 unavailableReplicas number,
        9 terminatingReplicas number, 6 conditions [DeploymentCondition], 8 collisionCount (keep number)
    }
    Deployment { 1 metadata (plain ObjectMeta), 2 spec (plain DeploymentSpec), 3 status (plain DeploymentStatus) }
    ReplicaSetSpec {
        1 replicas (keep number), 4 minReadySeconds number, 2 selector LabelSelector,
        3 template (plain PodTemplateSpec)
    }
    ReplicaSetCondition { 1 type text, 2 status text, 3 lastTransitionTime time, 4 reason text, 5 message text }
    ReplicaSetStatus {
        1 replicas (keep number), 2 fullyLabeledReplicas number, 4 readyReplicas number,
        5 availableReplicas number, 7 terminatingReplicas number, 3 observedGeneration number,
        6 conditions [ReplicaSetCondition]
    }
    ReplicaSet { 1 metadata (plain ObjectMeta), 2 spec (plain ReplicaSetSpec), 3 status (plain ReplicaSetStatus) }
    EndpointConditions { 1 ready (keep flag), 2 serving (keep flag), 3 terminating (keep flag) }
    ForZone { 1 name text }
    ForNode { 1 name text }
    EndpointHints { 1 forZones [ForZone], 2 forNodes [ForNode] }
    Endpoint {
        1 addresses [text], 2 conditions EndpointConditions, 3 hostname text, 4 targetRef ObjectReference,
        5 deprecatedTopology texts, 6 nodeName text, 7 zone text, 8 hints EndpointHints
    }
    SliceEndpointPort { 1 name text, 2 protocol text, 3 port (keep number), 4 appProtocol text }
    EndpointSlice {
        1 metadata (plain ObjectMeta), 4 addressType text, 2 endpoints [Endpoint],
        3 ports [SliceEndpointPort]
    }
    LeaseSpec {
        1 holderIdentity text, 2 leaseDurationSeconds (keep number), 3 acquireTime micro_time,
        4 renewTime micro_time, 5 leaseTransitions (keep number), 6 strategy text, 7 preferredHolder text
    }
    Lease { 1 metadata (plain ObjectMeta), 2 spec (plain LeaseSpec) }
    UserInfo { 1 username text, 2 uid text, 3 groups [text], 4 extra lists }
    SelfSubjectReviewStatus { 1 userInfo UserInfo }
    SelfSubjectReview { 1 metadata (plain ObjectMeta), 2 status (plain SelfSubjectReviewStatus) }
    FieldSelectorAttributes { 1 rawSelector text, 2 requirements [FieldSelectorRequirement] }
    LabelSelectorAttributes { 1 rawSelector text, 2 requirements [LabelSelectorRequirement] }
    ResourceAttributes {
        1 namespace text, 2 verb text, 3 group text, 4 version text, 5 resource text, 6 subresource text,
        7 name text, 8 fieldSelector FieldSelectorAttributes, 9 labelSelector LabelSelectorAttributes
    }
    NonResourceAttributes { 1 path text, 2 verb text }
    SelfSubjectAccessReviewSpec {
        1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
    }
    SubjectAccessReviewStatus { 1 allowed (keep flag), 4 denied flag, 2 reason text, 3 evaluationError text }
    SelfSubjectAccessReview {
        1 metadata (plain ObjectMeta), 2 spec (plain SelfSubjectAccessReviewSpec),
        3 status (plain SubjectAccessReviewStatus)
    }
    SelfSubjectRulesReviewSpec { 1 namespace text }
    ResourceRule { 1 verbs [text], 2 apiGroups [text], 3 resources [text], 4 resourceNames [text] }
    NonResourceRule { 1 verbs [text], 2 nonResourceURLs [text] }
    SubjectRulesReviewStatus {
        1 resourceRules [ResourceRule], 2 nonResourceRules [NonResourceRule], 3 incomplete flag,
        4 evaluationError text
    }
    SelfSubjectRulesReview {
        1 metadata (plain ObjectMeta), 2 spec (plain SelfSubjectRulesReviewSpec),
        3 status (plain SubjectRulesReviewStatus)
    }
    Eviction { 1 metadata (plain ObjectMeta), 2 deleteOptions DeleteOptions }
    ScaleSpec { 1 replicas (keep number) }
    ScaleStatus { 1 replicas (keep number), 2 selector text }
    Scale { 1 metadata (plain ObjectMeta), 2 spec (plain ScaleSpec), 3 status (plain ScaleStatus) }
    PriorityClass {
        1 metadata (plain ObjectMeta), 2 value (keep number), 3 globalDefault flag, 4 description text,
        5 preemptionPolicy text
    }
}
