//! Records what happens to objects as Events of the API, counting repetitions. Never holds up who records: when the
//! queue is full, the event is dropped.

use std::collections::HashMap;
use std::fmt::Write;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use super::context;
use crate::object::{Clock, clock};
use crate::tasks::Tasks;

/// Events that may wait for the API.
const QUEUE: usize = 512;
/// Events whose repetitions are counted; beyond it counting starts anew.
const REMEMBERED: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    Normal,
    Warning,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub struct Subject(ObjectReference);

impl Subject {
    pub fn pod(pod: &Pod) -> Self {
        Self(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: None,
        })
    }

    pub fn container(pod: &Pod, name: &str) -> Self {
        let is_init = super::lifecycle::spec::inits(pod).iter().any(|init| init.name == name);
        let list = if is_init { "initContainers" } else { "containers" };
        let mut subject = Self::pod(pod);
        subject.0.field_path = Some(format!("spec.{list}{{{name}}}"));
        subject
    }
}

struct Record {
    subject: Subject,
    severity: Severity,
    reason: &'static str,
    message: String,
}

/// Takes events. Clones share the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Record>,
}

impl Recorder {
    pub fn start(client: kube::Client, node_name: String, clock: Clock, tasks: &Tasks) -> Self {
        let (queue, records) = mpsc::channel(QUEUE);
        let writer = Writer { client, node_name, clock, known: HashMap::new(), sequence: 0 };
        tasks.spawn("event recorder", writer.run(records));
        Self { queue }
    }

    pub fn record(&self, subject: Subject, severity: Severity, reason: &'static str, message: &str) {
        let record = Record { subject, severity, reason, message: message.chars().take(1024).collect() };
        if self.queue.try_send(record).is_err() {
            tracing::debug!(reason, "an event was dropped: too many are waiting");
        }
    }
}

struct Writer {
    client: kube::Client,
    node_name: String,
    clock: Clock,
    /// Name and count of events by what they say.
    known: HashMap<String, (String, i32)>,
    sequence: u64,
}

impl Writer {
    async fn run(mut self, mut records: mpsc::Receiver<Record>) {
        while let Some(record) = records.recv().await {
            if let Err(error) = self.write(record).await {
                tracing::debug!(%error, "an event could not be written");
            }
        }
        // The recorder's owners are gone: the agent is stopping. Wait to be stopped too.
        std::future::pending().await
    }

    async fn write(&mut self, record: Record) -> Result<(), context::ApiFailure> {
        let now = self.clock.now();
        let Subject(subject) = &record.subject;
        // Cluster-scoped objects have their events in the default namespace.
        let namespace = subject.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let key = key(&record);
        if let Some((name, count)) = self.known.get_mut(&key) {
            let patch = json!({"count": *count + 1, "lastTimestamp": clock::rfc3339(now)});
            match context::request(events.patch(name, &PatchParams::default(), &Patch::Merge(patch))).await {
                Ok(_) => {
                    *count += 1;
                    return Ok(());
                }
                // It has expired: a new one is made below.
                Err(error) if error.code() == Some(404) => {}
                Err(error) => return Err(error),
            }
        }
        self.sequence += 1;
        let stamp = (now.as_nanosecond() as u64).wrapping_add(self.sequence);
        let name = format!("{}.{stamp:x}", subject.name.as_deref().unwrap_or_default());
        let event = self.event(&record, name.clone(), namespace, now);
        context::request(events.create(&PostParams::default(), &event)).await?;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(key, (name, 1));
        Ok(())
    }

    fn event(&self, record: &Record, name: String, namespace: String, now: jiff::Timestamp) -> Event {
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
            involved_object: record.subject.0.clone(),
            reason: Some(record.reason.to_owned()),
            message: Some(record.message.clone()),
            type_: Some(format!("{:?}", record.severity)),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(self.node_name.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node_name.clone()),
            ..Event::default()
        }
    }
}

fn key(record: &Record) -> String {
    let Subject(subject) = &record.subject;
    let mut key = String::new();
    let _ = write!(key, "{:?}|{:?}|{:?}|", subject.uid, subject.name, subject.field_path);
    let _ = write!(key, "{:?}|{}|{}", record.severity, record.reason, record.message);
    key
}
