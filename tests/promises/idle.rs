//! A cluster at rest costs nothing: a thousand Deployments with running pods cause no run of any controller.

use std::time::Duration;

use serde_json::json;
use windlass::object::kinds;

use crate::cluster::Cluster;

#[tokio::test(start_paused = true)]
async fn a_thousand_deployments_with_running_pods_cause_no_work() {
    let cluster = Cluster::start().await;
    for number in 0..1000 {
        let app = format!("app-{number}");
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": app}}, "template": {"metadata": {"labels": {"app": app}},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]}}}});
        cluster.create(deployment).await.unwrap();
    }
    cluster.settle().await;
    for pod in cluster.list(kinds::POD) {
        cluster.report(&pod, cluster.ready(true)).await;
    }
    // Progress that was awaited is forgotten after ten minutes.
    cluster.settle().await;
    tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    let available = |object: &serde_json::Value| object["status"]["availableReplicas"] == 1;
    assert_eq!(cluster.list(kinds::DEPLOYMENT).iter().filter(|object| available(object)).count(), 1000);

    let (revision, runs) = (cluster.registry.store().revision(), cluster.controllers.runs());
    // Less than an hour: then Events expire, which is a write.
    tokio::time::sleep(Duration::from_secs(30 * 60)).await;
    assert_eq!(cluster.registry.store().revision(), revision, "something was written");
    assert_eq!(cluster.controllers.runs() - runs, 0, "controllers ran");
}
