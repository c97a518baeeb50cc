//! The messages of autoscalers. Tags are those of Kubernetes's published message definitions.

use super::meta::*;
use super::table::messages;

messages! {
    CrossVersionObjectReference { 1 kind text, 2 name text, 3 apiVersion text }
    MetricTarget { 1 type (keep text), 2 value quantity, 3 averageValue quantity, 4 averageUtilization (keep number) }
    MetricIdentifier { 1 name text, 2 selector LabelSelector }
    ObjectMetricSource {
        1 describedObject (plain CrossVersionObjectReference), 2 target (plain MetricTarget),
        3 metric (plain MetricIdentifier)
    }
    PodsMetricSource { 1 metric (plain MetricIdentifier), 2 target (plain MetricTarget) }
    ResourceMetricSource { 1 name text, 2 target (plain MetricTarget) }
    ContainerResourceMetricSource { 1 name text, 2 target (plain MetricTarget), 3 container text }
    ExternalMetricSource { 1 metric (plain MetricIdentifier), 2 target (plain MetricTarget) }
    MetricSpec {
        1 type (keep text), 2 object ObjectMetricSource, 3 pods PodsMetricSource, 4 resource ResourceMetricSource,
        7 containerResource ContainerResourceMetricSource, 5 external ExternalMetricSource
    }
    HPAScalingPolicy { 1 type (keep text), 2 value (keep number), 3 periodSeconds (keep number) }
    HPAScalingRules {
        3 stabilizationWindowSeconds (keep number), 1 selectPolicy (keep text), 2 policies [HPAScalingPolicy],
        4 tolerance quantity
    }
    HorizontalPodAutoscalerBehavior { 1 scaleUp HPAScalingRules, 2 scaleDown HPAScalingRules }
    HorizontalPodAutoscalerSpec {
        1 scaleTargetRef (plain CrossVersionObjectReference), 2 minReplicas (keep number),
        3 maxReplicas (keep number), 4 metrics [MetricSpec], 5 behavior HorizontalPodAutoscalerBehavior
    }
    MetricValueStatus { 1 value quantity, 2 averageValue quantity, 3 averageUtilization (keep number) }
    ObjectMetricStatus {
        1 metric (plain MetricIdentifier), 2 current (plain MetricValueStatus),
        3 describedObject (plain CrossVersionObjectReference)
    }
    PodsMetricStatus { 1 metric (plain MetricIdentifier), 2 current (plain MetricValueStatus) }
    ResourceMetricStatus { 1 name text, 2 current (plain MetricValueStatus) }
    ContainerResourceMetricStatus { 1 name text, 2 current (plain MetricValueStatus), 3 container text }
    ExternalMetricStatus { 1 metric (plain MetricIdentifier), 2 current (plain MetricValueStatus) }
    MetricStatus {
        1 type (keep text), 2 object ObjectMetricStatus, 3 pods PodsMetricStatus, 4 resource ResourceMetricStatus,
        7 containerResource ContainerResourceMetricStatus, 5 external ExternalMetricStatus
    }
    HorizontalPodAutoscalerCondition {
        1 type (keep text), 2 status text, 3 lastTransitionTime time, 4 reason text, 5 message text
    }
    HorizontalPodAutoscalerStatus {
        1 observedGeneration (keep number), 2 lastScaleTime time, 3 currentReplicas number,
        4 desiredReplicas (keep number), 5 currentMetrics [MetricStatus],
        6 conditions [HorizontalPodAutoscalerCondition]
    }
    HorizontalPodAutoscaler {
        1 metadata (plain ObjectMeta), 2 spec (plain HorizontalPodAutoscalerSpec),
        3 status (plain HorizontalPodAutoscalerStatus)
    }
    HorizontalPodAutoscalerSpecV1 {
        1 scaleTargetRef (plain CrossVersionObjectReference), 2 minReplicas (keep number),
        3 maxReplicas (keep number), 4 targetCPUUtilizationPercentage (keep number)
    }
    HorizontalPodAutoscalerStatusV1 {
        1 observedGeneration (keep number), 2 lastScaleTime time, 3 currentReplicas (keep number),
        4 desiredReplicas (keep number), 5 currentCPUUtilizationPercentage (keep number)
    }
    HorizontalPodAutoscalerV1 {
        1 metadata (plain ObjectMeta), 2 spec (plain HorizontalPodAutoscalerSpecV1),
        3 status (plain HorizontalPodAutoscalerStatusV1)
    }
}
