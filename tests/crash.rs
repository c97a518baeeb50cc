//! `kill -9` of windlass at random moments while commits go on, then started again: the cluster ends as the last
//! commit says, no acknowledged write is lost, and what did not change ran on.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ListParams};
use support::{TestRepo, Windlass, docker, eventually};
use tempfile::TempDir;

/// Kills a run; each is followed by a start.
const KILLS: u32 = 8;

fn workload(name: &str, image: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: default}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: {name}
          image: {image}
          imagePullPolicy: Never
"
    )
}

fn number(n: u32) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: number, namespace: default}}\ndata: {{n: '{n}'}}\n")
}

/// What runs, by pod name: container id and restarts.
async fn running(client: &kube::Client, app: &str) -> BTreeMap<String, (String, i32)> {
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let listed = pods.list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap();
    let ready = listed.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).filter_map(|pod| {
        let status = pod.status?.container_statuses?.into_iter().next()?;
        status.ready.then(|| (pod.metadata.name.unwrap(), (status.container_id.unwrap(), status.restart_count)))
    });
    ready.collect()
}

async fn all_ready(client: &kube::Client, app: &str, image: &str, replicas: usize) -> BTreeMap<String, (String, i32)> {
    eventually(&format!("{replicas} pods of {app} with {image}"), || async {
        let deployment = Api::<Deployment>::default_namespaced(client.clone()).get_opt(app).await.ok()??;
        let status = deployment.status?;
        let wanted = Some(replicas as i32);
        let settled = status.observed_generation == deployment.metadata.generation
            && [status.replicas, status.updated_replicas, status.available_replicas] == [wanted; 3]
            && deployment.spec?.template.spec?.containers[0].image.as_deref() == Some(image);
        let running = running(client, app).await;
        (settled && running.len() == replicas).then_some(running)
    })
    .await
}

/// Drives commits and kills, and gives the restarts of the workload that never changed.
async fn story(runtime: &str, images: [&str; 2], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (repo, data) = (TestRepo::new(), TempDir::new().unwrap());
    repo.write("steady.yaml", &workload("steady", images[0], 2));
    repo.write("web.yaml", &workload("web", images[0], 3));
    repo.write("number.yaml", &number(0));
    repo.commit("first");
    let args = ["--runtime", runtime, "--node-name", "crash-node"];
    let _clean_up = (runtime == "docker").then(|| docker::CleanUp(data.path()));

    let mut windlass = Windlass::up(repo.path(), data.path(), &args);
    let steady = all_ready(&windlass.client().await, "steady", images[0], 2).await;
    let mut newest = 0;
    for kill in 1..=KILLS {
        let image = images[kill as usize % 2];
        repo.write("web.yaml", &workload("web", image, 3));
        repo.write("number.yaml", &number(kill));
        repo.commit(&format!("change {kill}"));
        // The moment of the crash is the point of this test, so it is left to chance.
        tokio::time::sleep(Duration::from_millis(random.u64(0..1500))).await;
        windlass.kill();
        windlass = Windlass::up(repo.path(), data.path(), &args);
        let seen = Api::<ConfigMap>::default_namespaced(windlass.client().await).list(&ListParams::default()).await;
        let revision: u64 = seen.unwrap().metadata.resource_version.unwrap().parse().unwrap();
        assert!(revision >= newest, "seed {seed}: revision went back from {newest} to {revision}");
        newest = revision;
    }

    let client = windlass.client().await;
    all_ready(&client, "web", images[KILLS as usize % 2], 3).await;
    let number = Api::<ConfigMap>::default_namespaced(client.clone()).get("number").await.unwrap();
    assert_eq!(number.data.unwrap()["n"], KILLS.to_string(), "seed {seed}");
    let steady_now = all_ready(&client, "steady", images[0], 2).await;
    if runtime == "docker" {
        assert_eq!(steady_now, steady, "seed {seed}: what did not change was restarted");
    }
    assert_eq!(windlass.stop(), Some(0));
}

#[tokio::test]
async fn a_killed_control_plane_ends_where_the_last_commit_says() {
    story("scripted", ["web:1", "web:2"], fastrand::u64(..)).await;
}

#[tokio::test]
async fn containers_run_on_through_every_kill() {
    if !docker::answers() {
        return docker::say_skipped("containers_run_on_through_every_kill");
    }
    docker::load_demo_images().await;
    story("docker", ["windlass-demo:v1.0", "windlass-demo:v1.1"], fastrand::u64(..)).await;
}
