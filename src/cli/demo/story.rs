//! The steps of the demo's story after the cluster is up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::Api;

use super::super::client;
use super::super::output::{short, table};
use super::load::{self, Load, Tally};
use super::stage::{Narrator, Repository};
use super::watch::{self, until};
use crate::object::SYSTEM_NAMESPACE;

const NAMESPACE: &str = "shop";
const WORKLOAD: &str = "web";
/// The file whose image changes, and what it changes from and to.
const WORKLOAD_FILE: &str = "web/deployment.yaml";
const IMAGES: [&str; 2] = ["windlass-demo:v1.0", "windlass-demo:v1.1"];
/// The file that goes at the end, and the ConfigMap in it.
const EXTRA: (&str, &str) = ("extras.yaml", "opening-hours");
/// How long the client goes on asking after a rollout is complete.
const AFTERWARDS: Duration = Duration::from_millis(500);

pub struct Story {
    pub repository: Repository,
    pub kube: kube::Client,
    /// For what happens behind windlass's back.
    pub docker: bollard::Docker,
}

impl Story {
    /// First commit -> pods ready and answering through their Service.
    pub async fn first_commit(&self, narrator: &mut Narrator, commit: &str) -> anyhow::Result<()> {
        narrator.step("The first commit runs");
        let started = Instant::now();
        watch::healthy_at(&self.kube, NAMESPACE, commit).await?;
        narrator.command("kubectl get pods -n shop");
        self.show_pods(narrator).await?;
        narrator.tell(&format!("Synced and Healthy {:.1} s after the start.", started.elapsed().as_secs_f64()));
        let address = self.service().await?;
        narrator.command(&format!("curl http://{address}/"));
        let answer = load::ask(address, "/").await.map_err(|e| anyhow::anyhow!("GET http://{address}/: {e}"))?;
        narrator.tell(answer.trim());
        narrator.command("kubectl get applications -A");
        self.show_application(narrator).await
    }

    /// A commit that changes the image -> rolling update without a failed request. Gives the ReplicaSets before
    /// and after.
    pub async fn rolling_update(&self, narrator: &mut Narrator) -> anyhow::Result<(String, String)> {
        narrator.step("A commit that changes the image: a rolling update, while a client asks in a loop");
        let before = self.replica_set().await?;
        self.repository.edit(WORKLOAD_FILE, IMAGES[0], IMAGES[1])?;
        narrator.command("sed -i s/v1.0/v1.1/ web/deployment.yaml && git commit -am 'web: v1.1'");
        self.while_asked(narrator, async { self.repository.commit("web: v1.1").await }).await?;
        narrator.command("kubectl get pods -n shop");
        self.show_pods(narrator).await?;
        let after = self.replica_set().await?;
        ensure!(before != after, "the image changed, yet the ReplicaSet {before} stayed");
        Ok((before, after))
    }

    /// `git revert` -> the earlier ReplicaSet comes back.
    pub async fn revert(&self, narrator: &mut Narrator, blue: &str, green: &str) -> anyhow::Result<()> {
        narrator.step("git revert rolls back, and the earlier ReplicaSet is used again");
        narrator.command("git revert HEAD");
        let revert = async {
            self.repository.git(&["revert", "--no-edit", "HEAD"]).await?;
            self.repository.git(&["rev-parse", "HEAD"]).await
        };
        self.while_asked(narrator, revert).await?;
        let now = self.replica_set().await?;
        ensure!(now == blue, "after the revert the ReplicaSet {now} runs the pods, not {blue} as before {green}");
        narrator.tell(&format!("ReplicaSet {blue} runs the pods again; {green} is scaled to 0."));
        Ok(())
    }

    /// A container killed behind windlass's back -> healed.
    pub async fn heal(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.step("A container is killed behind its back");
        let pods = watch::pods(&self.kube, NAMESPACE).await?;
        let pod = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_none()).context("there is no pod")?;
        let name = pod.metadata.name.clone().unwrap_or_default();
        let (id, restarts) = container(pod).context("the pod has no container")?;
        narrator.command(&format!("docker kill {}", id.get(..12).unwrap_or(&id)));
        let started = Instant::now();
        self.docker.kill_container(&id, None).await.context("docker kill")?;
        let healed = move |pod: Option<&Pod>| {
            pod.and_then(container).is_some_and(|(now, count)| now != id && count > restarts)
                && pod.is_some_and(is_ready)
        };
        let api = Api::<Pod>::namespaced(self.kube.clone(), NAMESPACE);
        until(api, &name, "the killed container runs again", healed).await?;
        narrator.tell(&format!("{name} is ready again after {:.1} s:", started.elapsed().as_secs_f64()));
        self.show_pods(narrator).await
    }

    /// A file is removed -> what was in it is pruned, and only that.
    pub async fn prune(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.step("A file is removed: its objects go, and only they");
        let (file, name) = EXTRA;
        let api = Api::<ConfigMap>::namespaced(self.kube.clone(), NAMESPACE);
        let before = api.get(name).await.with_context(|| format!("ConfigMap {name} of {file} is not there"))?;
        narrator.command(&format!("git rm {file} && git commit -m 'no more extras'"));
        self.repository.git(&["rm", "--quiet", file]).await?;
        let commit = self.repository.commit("no more extras").await?;
        watch::healthy_at(&self.kube, NAMESPACE, &commit).await?;
        ensure!(api.get_opt(name).await?.is_none(), "ConfigMap {name} is still there");
        let uid = before.metadata.uid.unwrap_or_default();
        narrator.tell(&format!("ConfigMap {name} (uid {uid}) is pruned; nothing else changed."));
        let pods = watch::pods(&self.kube, NAMESPACE).await?;
        ensure!(pods.iter().all(is_ready), "a pod was disturbed");
        Ok(())
    }

    /// Has clients ask the Service while `change` makes a commit and it is rolled out; no request may fail.
    async fn while_asked(
        &self,
        narrator: &Narrator,
        change: impl Future<Output = anyhow::Result<String>>,
    ) -> anyhow::Result<()> {
        let load = Load::start(self.service().await?);
        let started = Instant::now();
        let outcome = async {
            let commit = change.await?;
            watch::healthy_at(&self.kube, NAMESPACE, &commit).await?;
            let api = Api::<Deployment>::namespaced(self.kube.clone(), NAMESPACE);
            until(api, WORKLOAD, "the rollout", watch::rolled_out).await?;
            anyhow::Ok(commit)
        };
        let outcome = outcome.await;
        let took = started.elapsed();
        tokio::time::sleep(AFTERWARDS).await;
        let tally = load.finish().await;
        let commit = outcome?;
        narrator.tell(&format!("{} rolled out in {:.1} s.", short(&commit), took.as_secs_f64()));
        report(narrator, &tally)
    }

    async fn service(&self) -> anyhow::Result<SocketAddr> {
        let service = Api::<Service>::namespaced(self.kube.clone(), NAMESPACE).get(WORKLOAD).await?;
        let spec = service.spec.context("the Service has no spec")?;
        let ip = spec.cluster_ip.context("the Service has no cluster IP")?.parse().context("the cluster IP")?;
        let port = spec.ports.iter().flatten().next().context("the Service has no port")?.port;
        Ok(SocketAddr::new(ip, u16::try_from(port).context("the Service's port")?))
    }

    async fn replica_set(&self) -> anyhow::Result<String> {
        match watch::active_replica_sets(&self.kube, NAMESPACE).await?.as_slice() {
            [one] => Ok(one.clone()),
            many => bail!("one ReplicaSet should have pods, not {many:?}"),
        }
    }

    async fn show_pods(&self, narrator: &Narrator) -> anyhow::Result<()> {
        let pods = watch::pods(&self.kube, NAMESPACE).await?;
        narrator.tell(&watch::pod_table(&pods, Timestamp::now()));
        Ok(())
    }

    async fn show_application(&self, narrator: &Narrator) -> anyhow::Result<()> {
        let all = client::applications(&self.kube, SYSTEM_NAMESPACE).list(&kube::api::ListParams::default()).await?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let rows = all.items.iter().map(|object| {
            let status = &object.data["status"];
            let name = object.metadata.name.clone().unwrap_or_default();
            let revision = text(&status["sync"]["revision"]);
            vec![name, text(&status["sync"]["status"]), text(&status["health"]["status"]), short(&revision).to_owned()]
        });
        narrator.tell(&table(&["NAME", "SYNC STATUS", "HEALTH STATUS", "REVISION"], &rows.collect::<Vec<_>>()));
        Ok(())
    }
}

fn report(narrator: &Narrator, tally: &Tally) -> anyhow::Result<()> {
    let seen: Vec<_> = tally.answers.iter().map(|(answer, count)| format!("{count} from {answer}")).collect();
    narrator.tell(&format!("{} requests: {}; {} failures.", tally.requests(), seen.join(", "), tally.failed()));
    ensure!(tally.failed() == 0, "requests failed during the rollout: {:?}", tally.failures);
    ensure!(tally.requests() > 0, "the client got no answer at all");
    Ok(())
}

/// Id and restarts of a pod's first container.
fn container(pod: &Pod) -> Option<(String, i32)> {
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let id = status.container_id.as_deref()?.split("//").last()?;
    Some((id.to_owned(), status.restart_count))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.clone().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
