//! Registers the node and keeps it alive: a Lease every ten seconds, the status when it changes and every five minutes.
//! A node whose engine does not answer says so, and goes on renewing its Lease: it is the engine that is away, not we.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::watch;

use super::object::{self, EngineState, Facts};
use crate::agent::context::{self, ApiFailure};
use crate::agent::runtime::Runtime;
use crate::object::{Clock, local_path};

const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const RENEWAL: Duration = Duration::from_secs(10);
const STATUS_EVERY: Duration = Duration::from_secs(300);
/// How often the engine is asked whether it is there, and how long it may take to answer.
const CHECK: Duration = Duration::from_secs(5);
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(1);

/// Whether the engine answers, for whoever wants to know.
pub type Health = watch::Receiver<bool>;

pub struct Heartbeat {
    pub client: kube::Client,
    pub node_name: String,
    pub facts: Facts,
    /// Where the agent keeps volumes that outlive pods.
    pub volumes: PathBuf,
    pub runtime: Arc<dyn Runtime>,
    pub clock: Clock,
    pub health: watch::Sender<bool>,
    /// Told once, when the API has the node.
    pub registered: watch::Sender<bool>,
}

impl Heartbeat {
    pub async fn run(self) {
        let mut node = self.register().await;
        self.registered.send_replace(true);
        let mut engine = EngineState { trouble: None };
        let mut told: Option<(EngineState, tokio::time::Instant)> = None;
        let mut renewals = tokio::time::interval(RENEWAL);
        let mut checks = tokio::time::interval(CHECK);
        for ticks in [&mut renewals, &mut checks] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        loop {
            let due = told.as_ref().is_none_or(|(state, at)| *state != engine || at.elapsed() >= STATUS_EVERY);
            if due {
                match self.tell(&node, &engine).await {
                    Ok(conditions) => {
                        node.status.get_or_insert_default().conditions = Some(conditions);
                        told = Some((engine.clone(), tokio::time::Instant::now()));
                    }
                    // Somebody deleted the node: it is registered again, for it is here.
                    Err(error) if error.code() == Some(404) => node = self.register().await,
                    Err(error) => tracing::debug!(%error, "the node's status could not be written"),
                }
            }
            tokio::select! {
                _ = renewals.tick() => {
                    if let Err(error) = self.renew(&node).await {
                        tracing::debug!(%error, "the node's lease could not be renewed");
                    }
                }
                _ = checks.tick() => {
                    engine = self.check().await;
                    self.health.send_if_modified(|well| {
                        std::mem::replace(well, engine.trouble.is_none()) != engine.trouble.is_none()
                    });
                }
            }
        }
    }

    async fn check(&self) -> EngineState {
        let trouble = match tokio::time::timeout(CHECK_TIMEOUT, self.runtime.engine()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it did not answer within {} s", CHECK_TIMEOUT.as_secs())),
        };
        EngineState { trouble }
    }

    /// Makes the node or takes over the one that is there, as long as it takes.
    async fn register(&self) -> Node {
        loop {
            match self.try_register().await {
                Ok(node) => return node,
                Err(error) => {
                    tracing::warn!(%error, "the node could not be registered yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn try_register(&self) -> Result<Node, ApiFailure> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let labels = object::labels(&self.node_name, &self.facts);
        let annotations = BTreeMap::from([(local_path::DIRECTORY.to_owned(), self.volumes.display().to_string())]);
        let metadata = ObjectMeta {
            name: Some(self.node_name.clone()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        };
        let status = object::status(&self.facts, &EngineState { trouble: None }, &[], self.clock.now());
        let node = Node { metadata: metadata.clone(), spec: None, status: Some(status) };
        match context::request(nodes.create(&PostParams::default(), &node)).await {
            Ok(node) => Ok(node),
            Err(error) if error.code() == Some(409) => {
                let patch = json!({"metadata": {"labels": metadata.labels, "annotations": metadata.annotations}});
                context::request(nodes.patch(&self.node_name, &PatchParams::default(), &Patch::Merge(patch))).await
            }
            Err(error) => Err(error),
        }
    }

    async fn tell(&self, node: &Node, engine: &EngineState) -> Result<Vec<NodeCondition>, ApiFailure> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let present = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        let status = object::status(&self.facts, engine, &present, self.clock.now());
        let conditions = status.conditions.clone().unwrap_or_default();
        let patch = json!({"status": status});
        context::request(nodes.patch_status(&self.node_name, &PatchParams::default(), &Patch::Merge(patch))).await?;
        Ok(conditions)
    }

    async fn renew(&self, node: &Node) -> Result<(), ApiFailure> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), LEASE_NAMESPACE);
        let now = micro(self.clock.now());
        let patch = json!({"spec": {"holderIdentity": self.node_name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}});
        match context::request(leases.patch(&self.node_name, &PatchParams::default(), &Patch::Merge(patch))).await {
            Err(error) if error.code() == Some(404) => {}
            other => return other.map(drop),
        }
        let owner = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: self.node_name.clone(),
            uid: node.metadata.uid.clone().unwrap_or_default(),
            ..OwnerReference::default()
        };
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.node_name.clone()),
                namespace: Some(LEASE_NAMESPACE.to_owned()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.node_name.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        context::request(leases.create(&PostParams::default(), &lease)).await.map(drop)
    }
}

fn micro(now: Timestamp) -> MicroTime {
    MicroTime(now)
}
