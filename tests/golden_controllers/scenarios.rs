//! What a user sees of a Deployment: it becomes ready, heals, rolls and is cleaned up, and then the cluster rests.

use serde_json::{Value, json};
use windlass::cluster::registry::{DeleteOptions, Propagation};
use windlass::object::kinds;

use crate::cluster::Cluster;

fn deployment(replicas: i32, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": image}]}}}})
}

impl Cluster {
    async fn make_all_ready(&self) {
        for pod in self.list(kinds::POD) {
            self.report(&pod, self.ready(true)).await;
        }
        self.settle().await;
    }

    /// Rolls on until nothing changes any more.
    async fn roll_to_the_end(&self) {
        loop {
            let before = self.registry.store().revision();
            self.finish_deletions().await;
            let pods = self.list(kinds::POD);
            for pod in pods.iter().filter(|p| p["status"]["phase"] != "Running") {
                self.report(pod, self.ready(true)).await;
            }
            self.settle().await;
            if self.registry.store().revision() == before {
                return;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_ready_and_then_the_cluster_does_no_work_at_all() {
    let cluster = Cluster::start().await;
    cluster.create(deployment(3, "app:1")).await.unwrap();
    cluster.settle().await;
    assert_eq!(cluster.list(kinds::POD).len(), 3);
    cluster.make_all_ready().await;
    let web = cluster.get(kinds::DEPLOYMENT, "web").unwrap();
    assert_eq!(web["status"]["readyReplicas"], 3);
    assert_eq!(web["status"]["conditions"][1]["reason"], "NewReplicaSetAvailable", "{web:#}");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");

    let (runs, revision) = (cluster.controllers.runs(), cluster.registry.store().revision());
    // Less than an hour: after that the store lets go of the events.
    tokio::time::sleep(std::time::Duration::from_secs(3000)).await;
    assert_eq!(cluster.controllers.runs(), runs);
    assert_eq!(cluster.registry.store().revision(), revision);
}

#[tokio::test(start_paused = true)]
async fn a_new_image_rolls_and_the_old_one_comes_back_with_its_replica_set() {
    let cluster = Cluster::start().await;
    cluster.create(deployment(4, "app:1")).await.unwrap();
    cluster.settle().await;
    cluster.roll_to_the_end().await;
    let first = cluster.list(kinds::REPLICA_SET)[0]["metadata"]["name"].clone();
    for (image, revision) in [("app:2", "2"), ("app:1", "3")] {
        let spec = deployment(4, image)["spec"].clone();
        cluster.patch(kinds::DEPLOYMENT, "web", json!({"spec": spec})).await.unwrap();
        cluster.settle().await;
        cluster.roll_to_the_end().await;
        let web = cluster.get(kinds::DEPLOYMENT, "web").unwrap();
        assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], revision);
        assert_eq!(web["status"]["availableReplicas"], 4, "{web:#}");
        assert_eq!(web["status"]["replicas"], 4);
    }
    let sets = cluster.list(kinds::REPLICA_SET);
    assert_eq!(sets.len(), 2, "the rollback uses the earlier one again");
    let active: Vec<_> = sets.iter().filter(|s| s["spec"]["replicas"] == 4).collect();
    assert_eq!(active[0]["metadata"]["name"], first);
    assert_eq!(active[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_deployment_takes_everything_with_it() {
    let cluster = Cluster::start().await;
    cluster.create(deployment(3, "app:1")).await.unwrap();
    cluster.settle().await;
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    cluster.delete(kinds::DEPLOYMENT, "web", options).await.unwrap();
    cluster.settle().await;
    cluster.finish_deletions().await;
    assert_eq!(cluster.list(kinds::REPLICA_SET), Vec::<Value>::new());
    assert_eq!(cluster.list(kinds::POD), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_is_replaced_also_while_the_controllers_are_down() {
    let mut cluster = Cluster::start().await;
    cluster.create(deployment(2, "app:1")).await.unwrap();
    cluster.settle().await;
    cluster.tasks.stop().await;
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let gone = cluster.list(kinds::POD)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.delete(kinds::POD, &gone, options).await.unwrap();
    cluster.restart().await;
    cluster.settle().await;
    assert_eq!(cluster.list(kinds::POD).len(), 2);
    assert!(cluster.get(kinds::POD, &gone).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_replication_controller_keeps_its_pods() {
    let cluster = Cluster::start().await;
    let controller = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "web"}, "spec": {
        "replicas": 2, "selector": {"app": "web"}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]}}}});
    cluster.create(controller).await.unwrap();
    cluster.settle().await;
    cluster.make_all_ready().await;
    let web = cluster.get(kinds::REPLICATION_CONTROLLER, "web").unwrap();
    assert_eq!((&web["status"]["replicas"], &web["status"]["availableReplicas"]), (&json!(2), &json!(2)));
    assert_eq!(web["status"]["terminatingReplicas"], Value::Null);
    let pod = &cluster.list(kinds::POD)[0];
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicationController");
    cluster.patch(kinds::REPLICATION_CONTROLLER, "web", json!({"spec": {"replicas": 1}})).await.unwrap();
    cluster.settle().await;
    cluster.finish_deletions().await;
    assert_eq!(cluster.list(kinds::POD).len(), 1);
}
