//! What the syncer counts, in the names that dashboards for Argo CD know.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Catalogue;
use serde::Deserialize;

use super::mirror::scrub;
use crate::cluster::registry::Registry;
use crate::object::application::{ApplicationSpec, HealthStatus, SyncStatus};
use crate::object::{ObjectKey, kinds};

/// Clones are one.
#[derive(Clone)]
pub struct SyncMetrics {
    syncs: Family<Synced, Counter>,
    seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Synced {
    namespace: String,
    name: String,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    namespace: String,
    name: String,
    project: String,
    repo: String,
    dest_namespace: String,
    sync_status: String,
    health_status: String,
    autosync_enabled: String,
}

const PHASES: [&str; 2] = ["Succeeded", "Failed"];

impl Default for SyncMetrics {
    fn default() -> Self {
        let seconds = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0]);
        Self { syncs: Family::default(), seconds }
    }
}

impl SyncMetrics {
    /// Counts a sync that has ended.
    pub fn count(&self, application: &ObjectKey, succeeded: bool, seconds: f64) {
        self.syncs.get_or_create(&synced(application, PHASES[usize::from(!succeeded)])).inc();
        self.seconds.observe(seconds);
    }

    /// The Application is gone: its series end.
    pub fn forget(&self, application: &ObjectKey) {
        for phase in PHASES {
            self.syncs.remove(&synced(application, phase));
        }
    }

    /// Shows them, and the Applications as `registry` has them whenever somebody asks.
    pub fn register(&self, catalogue: &mut Catalogue, registry: Registry) {
        catalogue.register("argocd_app_sync", "Syncs that have ended, by how they did", self.syncs.clone());
        let help = "Time from the first look at a commit to the end of its sync";
        catalogue.register("argocd_app_sync_duration_seconds", help, self.seconds.clone());
        catalogue.register_collector(Box::new(Applications(registry)));
    }
}

fn synced(application: &ObjectKey, phase: &'static str) -> Synced {
    Synced { namespace: application.namespace.clone(), name: application.name.clone(), phase }
}

struct Applications(Registry);

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applications")
    }
}

impl Collector for Applications {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.0.snapshot();
        let infos: Family<Info, Gauge> = Family::default();
        for object in snapshot.list(kinds::APPLICATION, "") {
            if let Ok(application) = object.decode::<Counted>() {
                infos.get_or_create(&info(&object.key, &application)).set(1);
            }
        }
        let help = "An Application as it is now; always 1";
        infos.encode(encoder.encode_descriptor("argocd_app_info", help, None, MetricType::Gauge)?)
    }
}

/// An Application without the objects that it lists.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Counted {
    spec: ApplicationSpec,
    status: CountedStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CountedStatus {
    sync: SyncStatus,
    health: HealthStatus,
}

fn info(key: &ObjectKey, application: &Counted) -> Info {
    let Counted { spec, status } = application;
    let or_unknown = |text: &str| if text.is_empty() { "Unknown" } else { text }.to_owned();
    let automated = spec.sync_policy.automated.as_ref();
    Info {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        project: spec.project.clone(),
        repo: spec.all_sources().first().map(|source| scrub(&source.repo_url)).unwrap_or_default(),
        dest_namespace: spec.destination.namespace.clone(),
        sync_status: or_unknown(&status.sync.status),
        health_status: or_unknown(&status.health.status),
        autosync_enabled: automated.is_some_and(|automated| automated.enabled.unwrap_or(true)).to_string(),
    }
}
