//! What the API counts, and the registry in which all parts of the program register what they count.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Catalogue;

use super::api::Server;
use super::path::Attributes;
use crate::cluster::store::Store;
use crate::object::{ApiError, Kind, Kinds};

/// Metrics of the program: clones are one.
#[derive(Clone)]
pub struct Metrics {
    catalogue: Arc<Mutex<Catalogue>>,
    requests: Family<Outcome, Counter>,
    seconds: Family<Action, Histogram, fn() -> Histogram>,
    watches: Family<Watched, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    verb: &'static str,
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    verb: &'static str,
    resource: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    resource: &'static str,
}

fn seconds() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, watches) = (Family::default(), Family::default());
        let seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let mut catalogue = Catalogue::default();
        catalogue.register("apiserver_request", "API requests answered", requests.clone());
        let help = "Time until an API request is answered, watches and logs excluded";
        catalogue.register("apiserver_request_duration_seconds", help, seconds.clone());
        catalogue.register("apiserver_longrunning_requests", "Watches that are open", watches.clone());
        Self { catalogue: Arc::new(Mutex::new(catalogue)), requests, seconds, watches }
    }
}

impl Metrics {
    /// Adds metrics of another part.
    pub fn register(&self, add: impl FnOnce(&mut Catalogue)) {
        add(&mut self.catalogue.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Shows the revision of a store and its objects by kind.
    pub fn observe_store(&self, store: Store) {
        self.register(|catalogue| catalogue.register_collector(Box::new(Stored(store))));
    }

    pub(super) fn count(&self, kinds: &Kinds, request: &Attributes, status: StatusCode, took: Duration) {
        let Attributes { group, version, resource, subresource, .. } = request;
        // Only what is served becomes a label: a client that asks for made-up names must not make series.
        let resource = match kinds.by_plural(group, version, resource) {
            Some(kind) if kind.subresources.iter().any(|s| s.as_str() == subresource) => {
                format!("{}/{subresource}", kind.plural)
            }
            Some(kind) => kind.plural.to_owned(),
            None => String::new(),
        };
        let outcome = Outcome { verb: request.verb, resource: resource.clone(), code: status.as_u16() };
        self.requests.get_or_create(&outcome).inc();
        if request.verb != "watch" && request.subresource != "log" {
            self.seconds.get_or_create(&Action { verb: request.verb, resource }).observe(took.as_secs_f64());
        }
    }

    /// Counts one open watch until the guard is dropped.
    pub(super) fn watching(&self, kind: &'static Kind) -> Watching {
        let gauge = self.watches.get_or_create_owned(&Watched { resource: kind.plural });
        gauge.inc();
        Watching(gauge)
    }

    fn render(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.catalogue.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(page)
    }
}

/// One open watch.
pub struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Reads the store when asked, so that nothing has to be kept in step with it.
struct Stored(Store);

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored")
    }
}

impl Collector for Stored {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.0.snapshot();
        let revision = ConstGauge::new(snapshot.revision().0);
        let kind = prometheus_client::metrics::MetricType::Gauge;
        revision.encode(encoder.encode_descriptor("store_revision", "Revision of the store", None, kind)?)?;
        let counts: Family<Watched, Gauge<u64, AtomicU64>> = Family::default();
        for kind in snapshot.kinds().stored() {
            let count = snapshot.list(kind, "").count();
            counts.get_or_create(&Watched { resource: kind.plural }).set(count as u64);
        }
        counts.encode(encoder.encode_descriptor("apiserver_storage_objects", "Objects stored, by kind", None, kind)?)
    }
}

pub async fn serve(State(server): State<Arc<Server>>) -> Response {
    match server.metrics.render() {
        Ok(page) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, form)], page).into_response()
        }
        Err(error) => ApiError::internal(error).into_response(),
    }
}
