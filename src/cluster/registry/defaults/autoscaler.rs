//! Defaults of HorizontalPodAutoscalers and PodDisruptionBudgets.

use serde_json::{Value, json};

use super::{fill, present};

/// How full of its request the processor is to be kept, in per cent.
const CPU_UTILIZATION: i64 = 80;

pub fn apply(autoscaler: &mut Value) {
    let spec = &mut autoscaler["spec"];
    fill(spec, "minReplicas", || 1);
    fill(spec, "metrics", cpu_metric);
    if let Some(behavior) = present(spec, "behavior") {
        scale_up(&mut behavior["scaleUp"]);
        scale_down(&mut behavior["scaleDown"]);
    }
    fill(&mut autoscaler["status"], "desiredReplicas", || 0);
    fill(&mut autoscaler["status"], "currentMetrics", || Value::Null);
}

/// The processor's utilisation as a metric.
fn cpu_metric() -> Value {
    json!([{"type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": CPU_UTILIZATION}}}])
}

fn scale_up(rules: &mut Value) {
    fill(rules, "stabilizationWindowSeconds", || 0);
    fill(rules, "selectPolicy", || "Max");
    fill(
        rules,
        "policies",
        || json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]),
    );
}

fn scale_down(rules: &mut Value) {
    fill(rules, "selectPolicy", || "Max");
    fill(rules, "policies", || json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
}

pub fn disruption_budget(budget: &mut Value) {
    fill(budget, "spec", || json!({}));
    for count in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        fill(&mut budget["status"], count, || 0);
    }
}
