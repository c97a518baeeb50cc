//! Starts all controllers.

use std::sync::Arc;

use super::autoscaler::AutoscalerController;
use super::cluster_roles::ClusterRoleController;
use super::cron_job::CronJobController;
use super::daemon_set::DaemonSetController;
use super::definitions::DefinitionController;
use super::deployment::DeploymentController;
use super::disruption::DisruptionController;
use super::endpoints::EndpointsController;
use super::engine::{self, Counters};
use super::garbage::GarbageCollector;
use super::job::{JobController, TtlController};
use super::namespace::{AccountController, NamespaceController, RootCaController};
use super::node::{EvictionController, GoneController, LifeController};
use super::protection::ProtectionController;
use super::quota::QuotaController;
use super::replica_set::{REPLICA_SETS, REPLICATION_CONTROLLERS, ReplicaSetController};
use super::stateful_set::StatefulSetController;
use super::volumes::VolumeController;
use crate::cluster::registry::Registry;
use crate::cluster::usage::Usages;
use crate::tasks::Tasks;

/// The running controllers, by name, with what they have done.
#[derive(Debug)]
pub struct Controllers {
    pub counters: Vec<(&'static str, Arc<Counters>)>,
}

impl Controllers {
    /// Runs of all controllers since the start.
    pub fn runs(&self) -> u64 {
        self.counters.iter().map(|(_, counters)| counters.runs()).sum()
    }
}

/// Starts every controller; they run until `tasks` are stopped. Starting is also the recovery: whatever was left
/// half done is seen in the first listing.
pub fn start(registry: Registry, tasks: &Tasks) -> Controllers {
    let mut all = start_workloads(&registry, tasks);
    all.counters.extend(start_nodes(&registry, tasks).counters);
    let roles = engine::start(ClusterRoleController::new(&registry), registry.store(), tasks);
    all.counters.push(("clusterrole-aggregation", roles));
    all.counters.extend(start_volumes(&registry, tasks).counters);
    all
}

/// Starts the controllers that give claims their volumes.
pub fn start_volumes(registry: &Registry, tasks: &Tasks) -> Controllers {
    let volumes = engine::start(VolumeController::new(registry), registry.store(), tasks);
    Controllers { counters: vec![("persistentvolume-binder", volumes)] }
}

/// Starts the controllers that give pods what they need to talk to the API: the certificate of `authority` (PEM).
pub fn start_access(registry: &Registry, authority: &str, tasks: &Tasks) -> Controllers {
    let root_ca = RootCaController::new(registry, authority.to_owned());
    Controllers { counters: vec![("root-ca", engine::start(root_ca, registry.store(), tasks))] }
}

/// Starts the controllers that follow what users ask for.
pub fn start_workloads(registry: &Registry, tasks: &Tasks) -> Controllers {
    let store = registry.store();
    let counters = vec![
        ("deployment", engine::start(DeploymentController::new(registry), store, tasks)),
        ("replicaset", engine::start(ReplicaSetController::new(registry, REPLICA_SETS), store, tasks)),
        (
            "replicationcontroller",
            engine::start(ReplicaSetController::new(registry, REPLICATION_CONTROLLERS), store, tasks),
        ),
        ("job", engine::start(JobController::new(registry), store, tasks)),
        ("cronjob", engine::start(CronJobController::new(registry), store, tasks)),
        ("ttl-after-finished", engine::start(TtlController::new(registry), store, tasks)),
        ("statefulset", engine::start(StatefulSetController::new(registry), store, tasks)),
        ("daemonset", engine::start(DaemonSetController::new(registry), store, tasks)),
        ("disruption", engine::start(DisruptionController::new(registry), store, tasks)),
        ("resourcequota", engine::start(QuotaController::new(registry), store, tasks)),
        ("endpoints", engine::start(EndpointsController::new(registry), store, tasks)),
        ("definitions", engine::start(DefinitionController::new(registry), store, tasks)),
        ("garbage", engine::start(GarbageCollector::new(registry), store, tasks)),
        ("namespace", engine::start(NamespaceController::new(registry), store, tasks)),
        ("storage-protection", engine::start(ProtectionController::new(registry), store, tasks)),
        ("serviceaccount", engine::start(AccountController::new(registry), store, tasks)),
    ];
    Controllers { counters }
}

/// Starts the controllers that follow what becomes of nodes. Without them nodes may be mere objects.
pub fn start_nodes(registry: &Registry, tasks: &Tasks) -> Controllers {
    let store = registry.store();
    let counters = vec![
        ("node-life", engine::start(LifeController::new(registry), store, tasks)),
        ("taint-eviction", engine::start(EvictionController::new(registry), store, tasks)),
        ("node-gone", engine::start(GoneController::new(registry), store, tasks)),
    ];
    Controllers { counters }
}

/// Starts the controller that follows loads, as far as they are measured.
pub fn start_autoscaler(registry: &Registry, usages: Usages, tasks: &Tasks) -> Arc<Counters> {
    engine::start(AutoscalerController::new(registry, usages), registry.store(), tasks)
}
