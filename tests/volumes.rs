//! Volumes of a StatefulSet on a real Docker engine: what is written stays through the loss of a pod, a rolling update and
//! `kill -9`, and goes with the claims where the StatefulSet says so.

mod support;

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use support::{TestRepo, Windlass, docker, eventually};
use tempfile::TempDir;

fn ledger(version: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: ledger, namespace: default}}
spec:
  serviceName: ledger
  replicas: 2
  persistentVolumeClaimRetentionPolicy: {{whenDeleted: Delete, whenScaled: Retain}}
  selector: {{matchLabels: {{app: ledger}}}}
  template:
    metadata: {{labels: {{app: ledger}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: c
          image: {image}
          imagePullPolicy: Never
          command: [sh, -c, 'echo version {version} >> /data/log; sleep 600']
          volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
    - metadata: {{name: data}}
      spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}
",
        image = docker::SHELL_IMAGE
    )
}

/// Container ids of the pods that are ready, in the order of their names.
async fn ready(client: &kube::Client, version: u32) -> Vec<String> {
    let command = format!("version {version} ");
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let listed = pods.list(&ListParams::default().labels("app=ledger")).await.unwrap().items.into_iter();
    let of_version = listed.filter(|pod| {
        let command_of = pod.spec.as_ref().and_then(|spec| spec.containers[0].command.clone()).unwrap_or_default();
        pod.metadata.deletion_timestamp.is_none() && command_of.iter().any(|word| word.contains(&command))
    });
    let ready = of_version.filter_map(|pod| {
        let status = pod.status?.container_statuses?.into_iter().next()?;
        status.container_id.filter(|_| status.ready)
    });
    ready.collect()
}

async fn both_ready(client: &kube::Client, version: u32) -> Vec<String> {
    eventually(&format!("two members of version {version}"), || async {
        Some(ready(client, version).await).filter(|ids| ids.len() == 2)
    })
    .await
}

/// Where the volume of a claim is on this machine.
async fn directory(client: &kube::Client, claim: &str) -> PathBuf {
    let claim = Api::<PersistentVolumeClaim>::default_namespaced(client.clone()).get(claim).await.unwrap();
    assert_eq!(claim.status.unwrap().phase.as_deref(), Some("Bound"));
    let volume = claim.spec.unwrap().volume_name.unwrap();
    let volume = Api::<PersistentVolume>::all(client.clone()).get(&volume).await.unwrap();
    volume.spec.unwrap().host_path.unwrap().path.into()
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("log")).unwrap_or_default()
}

#[tokio::test]
async fn what_a_member_writes_outlives_its_pods() {
    if !docker::answers() {
        return docker::say_skipped("what_a_member_writes_outlives_its_pods");
    }
    docker::make_shell_image();
    let (repo, data) = (TestRepo::new(), TempDir::new().unwrap());
    repo.write("ledger.yaml", &ledger(1));
    repo.commit("a ledger");
    let args = ["--runtime", "docker", "--node-name", "volume-node"];
    let _clean_up = docker::CleanUp(data.path());
    let windlass = Windlass::up(repo.path(), data.path(), &args);
    let client = windlass.client().await;
    both_ready(&client, 1).await;
    let (first, second) = (directory(&client, "data-ledger-0").await, directory(&client, "data-ledger-1").await);
    assert!(first.starts_with(data.path()) && first != second, "{first:?} {second:?}");
    assert_eq!((log(&first), log(&second)), ("version 1\n".into(), "version 1\n".into()));

    let pods = Api::<Pod>::default_namespaced(client.clone());
    pods.delete("ledger-1", &DeleteParams::default()).await.unwrap();
    eventually("the member is back and has written", || async {
        (log(&second) == "version 1\nversion 1\n").then_some(())
    })
    .await;
    both_ready(&client, 1).await;

    repo.write("ledger.yaml", &ledger(2));
    repo.commit("another version");
    let running = both_ready(&client, 2).await;
    assert_eq!(
        (log(&first), log(&second)),
        ("version 1\nversion 2\n".into(), "version 1\nversion 1\nversion 2\n".into())
    );

    windlass.kill();
    let windlass = Windlass::up(repo.path(), data.path(), &args);
    let client = windlass.client().await;
    assert_eq!(both_ready(&client, 2).await, running, "nothing was restarted");

    repo.remove("ledger.yaml");
    repo.write("rest.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rest, namespace: default}\n");
    repo.commit("no ledger");
    eventually("volumes and their directories are gone", || async {
        let left = Api::<PersistentVolume>::all(client.clone()).list(&ListParams::default()).await.ok()?.items.len();
        (left == 0 && !first.exists() && !second.exists()).then_some(())
    })
    .await;
    assert_eq!(windlass.stop(), Some(0));
}
