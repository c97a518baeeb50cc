//! The messages of the kinds that make pods out of a template. Tags are those of Kubernetes's published message
//! definitions.

use super::core::*;
use super::meta::*;
use super::storage::PersistentVolumeClaim;
use super::table::messages;

messages! {
    ReplicationControllerSpec {
        1 replicas (keep number), 4 minReadySeconds number, 2 selector texts, 3 template PodTemplateSpec
    }
    ReplicationControllerCondition {
        1 type (keep text), 2 status text, 3 lastTransitionTime time, 4 reason text, 5 message text
    }
    ReplicationControllerStatus {
        1 replicas (keep number), 2 fullyLabeledReplicas number, 4 readyReplicas number, 5 availableReplicas number,
        3 observedGeneration number, 6 conditions [ReplicationControllerCondition]
    }
    ReplicationController {
        1 metadata (plain ObjectMeta), 2 spec (plain ReplicationControllerSpec),
        3 status (plain ReplicationControllerStatus)
    }
    PodTemplate { 1 metadata (plain ObjectMeta), 2 template (plain PodTemplateSpec) }
    ControllerRevision { 1 metadata (plain ObjectMeta), 2 data raw, 3 revision (keep number) }
    RollingUpdateDaemonSet { 1 maxUnavailable (keep int_or_string), 2 maxSurge (keep int_or_string) }
    DaemonSetUpdateStrategy { 1 type text, 2 rollingUpdate RollingUpdateDaemonSet }
    DaemonSetSpec {
        1 selector LabelSelector, 2 template (plain PodTemplateSpec),
        3 updateStrategy (plain DaemonSetUpdateStrategy), 4 minReadySeconds number,
        6 revisionHistoryLimit (keep number)
    }
    DaemonSetCondition { 1 type (keep text), 2 status text, 3 lastTransitionTime time, 4 reason text, 5 message text }
    DaemonSetStatus {
        1 currentNumberScheduled (keep number), 2 numberMisscheduled (keep number),
        3 desiredNumberScheduled (keep number), 4 numberReady (keep number), 5 observedGeneration number,
        6 updatedNumberScheduled number, 7 numberAvailable number, 8 numberUnavailable number,
        9 collisionCount (keep number), 10 conditions [DaemonSetCondition]
    }
    DaemonSet { 1 metadata (plain ObjectMeta), 2 spec (plain DaemonSetSpec), 3 status (plain DaemonSetStatus) }
    RollingUpdateStatefulSetStrategy { 1 partition (keep number), 2 maxUnavailable (keep int_or_string) }
    StatefulSetUpdateStrategy { 1 type text, 2 rollingUpdate RollingUpdateStatefulSetStrategy }
    StatefulSetPersistentVolumeClaimRetentionPolicy { 1 whenDeleted text, 2 whenScaled text }
    StatefulSetOrdinals { 1 start (keep number) }
    StatefulSetSpec {
        1 replicas (keep number), 2 selector LabelSelector, 3 template (plain PodTemplateSpec),
        4 volumeClaimTemplates [PersistentVolumeClaim], 5 serviceName text, 6 podManagementPolicy text,
        7 updateStrategy (plain StatefulSetUpdateStrategy), 8 revisionHistoryLimit (keep number),
        9 minReadySeconds number,
        10 persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy,
        11 ordinals StatefulSetOrdinals
    }
    StatefulSetCondition {
        1 type (keep text), 2 status text, 3 lastTransitionTime time, 4 reason text, 5 message text
    }
    StatefulSetStatus {
        1 observedGeneration number, 2 replicas (keep number), 3 readyReplicas number, 4 currentReplicas number,
        5 updatedReplicas number, 6 currentRevision text, 7 updateRevision text, 9 collisionCount (keep number),
        10 conditions [StatefulSetCondition], 11 availableReplicas (keep number)
    }
    StatefulSet { 1 metadata (plain ObjectMeta), 2 spec (plain StatefulSetSpec), 3 status (plain StatefulSetStatus) }
    PodFailurePolicyOnExitCodesRequirement { 1 containerName (keep text), 2 operator text, 3 values [number] }
    PodFailurePolicyOnPodConditionsPattern { 1 type (keep text), 2 status text }
    PodFailurePolicyRule {
        1 action text, 2 onExitCodes PodFailurePolicyOnExitCodesRequirement,
        3 onPodConditions [PodFailurePolicyOnPodConditionsPattern]
    }
    PodFailurePolicy { 1 rules [PodFailurePolicyRule] }
    SuccessPolicyRule { 1 succeededIndexes (keep text), 2 succeededCount (keep number) }
    SuccessPolicy { 1 rules [SuccessPolicyRule] }
    JobSpec {
        1 parallelism (keep number), 2 completions (keep number), 3 activeDeadlineSeconds (keep number),
        11 podFailurePolicy PodFailurePolicy, 16 successPolicy SuccessPolicy, 7 backoffLimit (keep number),
        12 backoffLimitPerIndex (keep number), 13 maxFailedIndexes (keep number), 4 selector LabelSelector,
        5 manualSelector (keep flag), 6 template (plain PodTemplateSpec), 8 ttlSecondsAfterFinished (keep number),
        9 completionMode (keep text), 10 suspend (keep flag), 14 podReplacementPolicy (keep text),
        15 managedBy (keep text)
    }
    JobCondition {
        1 type (keep text), 2 status text, 3 lastProbeTime time, 4 lastTransitionTime time, 5 reason text,
        6 message text
    }
    UncountedTerminatedPods { 1 succeeded [text], 2 failed [text] }
    JobStatus {
        1 conditions [JobCondition], 2 startTime time, 3 completionTime time, 4 active number, 5 succeeded number,
        6 failed number, 11 terminating (keep number), 7 completedIndexes text, 10 failedIndexes (keep text),
        8 uncountedTerminatedPods UncountedTerminatedPods, 9 ready (keep number)
    }
    Job { 1 metadata (plain ObjectMeta), 2 spec (plain JobSpec), 3 status (plain JobStatus) }
    JobTemplateSpec { 1 metadata (plain ObjectMeta), 2 spec (plain JobSpec) }
    CronJobSpec {
        1 schedule text, 8 timeZone (keep text), 2 startingDeadlineSeconds (keep number), 3 concurrencyPolicy text,
        4 suspend (keep flag), 5 jobTemplate (plain JobTemplateSpec), 6 successfulJobsHistoryLimit (keep number),
        7 failedJobsHistoryLimit (keep number)
    }
    CronJobStatus { 1 active [ObjectReference], 4 lastScheduleTime time, 5 lastSuccessfulTime time }
    CronJob { 1 metadata (plain ObjectMeta), 2 spec (plain CronJobSpec), 3 status (plain CronJobStatus) }
}
