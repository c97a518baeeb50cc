//! An autoscaler follows the load of its Deployment, as the figures of the agents say it.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::cluster::controllers;
use windlass::cluster::usage::{ContainerUsage, PodUsage, Usage, Usages};
use windlass::object::kinds;

use crate::cluster::{Cluster, NAMESPACE};

struct Load {
    cluster: Cluster,
    usages: Usages,
}

impl Load {
    async fn start(metrics: Value) -> Self {
        let cluster = Cluster::start().await;
        let usages = Usages::default();
        controllers::start_autoscaler(&cluster.registry, usages.clone(), &cluster.tasks);
        let resources = json!({"requests": {"cpu": "100m"}});
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {
            "app": "web"}}, "spec": {"containers": [{"name": "app", "image": "app:1", "resources": resources}]}}}});
        cluster.create(web).await.unwrap();
        let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"}, "spec": {"minReplicas": 1, "maxReplicas": 6, "metrics": metrics,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
        cluster.settle().await;
        cluster.create(autoscaler).await.unwrap();
        Self { cluster, usages }
    }

    /// Every pod runs, is ready, and uses so much for a minute.
    async fn uses(&self, millicores: u64) {
        for _ in 0..6 {
            let clock = self.cluster.registry.clock();
            let mut figures = Vec::new();
            for pod in self.cluster.list(kinds::POD) {
                if pod["status"]["phase"] != "Running" {
                    let mut status = self.cluster.ready(true);
                    status["startTime"] = json!("2025-12-31T00:00:00Z");
                    self.cluster.report(&pod, status).await;
                }
                let usage = Usage { cpu_nanocores: millicores * 1_000_000, memory_bytes: 1 << 20 };
                figures.push(PodUsage {
                    namespace: NAMESPACE.into(),
                    name: pod["metadata"]["name"].as_str().unwrap().into(),
                    uid: pod["metadata"]["uid"].as_str().unwrap().into(),
                    timestamp: clock.now(),
                    window: Duration::from_secs(10),
                    containers: vec![ContainerUsage { name: "app".into(), usage }],
                });
            }
            self.usages.record("n1", None, figures);
            tokio::time::sleep(Duration::from_secs(16)).await;
            self.cluster.finish_deletions().await;
        }
    }

    fn replicas(&self) -> Value {
        self.cluster.get(kinds::DEPLOYMENT, "web").unwrap()["spec"]["replicas"].clone()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let web = self.cluster.get(kinds::AUTOSCALER, "web").unwrap();
        let conditions = web["status"]["conditions"].as_array().unwrap();
        let condition = conditions.iter().find(|c| c["type"] == kind).unwrap();
        let text = |name: &str| condition[name].as_str().unwrap().to_owned();
        (text("status"), text("reason"))
    }
}

fn cpu(percent: i32) -> Value {
    json!([{"type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}])
}

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[tokio::test(start_paused = true)]
async fn load_adds_pods_at_once_and_rest_takes_them_away_after_five_minutes() {
    let load = Load::start(cpu(50)).await;
    load.uses(95).await;
    assert_eq!(load.replicas(), 6, "each needs two, up to the most");
    assert_eq!(load.condition("ScalingActive"), said("True", "ValidMetricFound"));
    assert_eq!(load.condition("ScalingLimited"), said("True", "TooManyReplicas"));
    load.uses(5).await;
    assert_eq!(load.replicas(), 6);
    assert_eq!(load.condition("AbleToScale"), said("True", "ScaleDownStabilized"));
    for _ in 0..4 {
        load.uses(5).await;
    }
    assert_eq!(load.replicas(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_measures_is_said_and_changes_nothing() {
    let requests = json!({"metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "5"}});
    let load = Load::start(json!([{"type": "Pods", "pods": requests}])).await;
    load.uses(95).await;
    assert_eq!(load.replicas(), 2);
    assert_eq!(load.condition("ScalingActive"), said("False", "FailedGetPodsMetric"));
}
