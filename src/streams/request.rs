//! What is asked for when a stream is opened: the first message on it, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub enum Request {
    Logs(LogRequest),
    Exec(ExecRequest),
    Attach(AttachRequest),
    Forward(ForwardRequest),
    /// The figures of now, as one `Measurement`.
    Measure,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub pod_uid: String,
    pub container: String,
}

/// Which lines of which container's log. (Kubernetes API, `PodLogOptions`.)
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogRequest {
    pub target: Target,
    pub follow: bool,
    /// The container's run before the present one.
    pub previous: bool,
    /// Each line starts with its RFC 3339 time.
    pub timestamps: bool,
    pub tail_lines: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub since: Option<Timestamp>,
}

/// Which of a process's streams are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wanted {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// One terminal instead of three streams; what it shows comes as output.
    pub tty: bool,
}

/// A command to run in a container. (Kubernetes API, `PodExecOptions`.)
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecRequest {
    pub target: Target,
    pub command: Vec<String>,
    pub wanted: Wanted,
}

/// The streams of a container's own process. (Kubernetes API, `PodAttachOptions`.)
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachRequest {
    pub target: Target,
    pub wanted: Wanted,
}

/// A connection to a port of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ForwardRequest {
    pub namespace: String,
    pub pod: String,
    pub pod_uid: String,
    pub port: u16,
    /// From within the pod's network, so that what listens on its loopback only is reached as well.
    pub inside: bool,
}

/// Counters of a node and its containers at an instant; two of them make a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    pub at: Timestamp,
    /// Processor time of the whole machine since its start, in nanoseconds.
    pub node_cpu_nanoseconds: Option<u64>,
    pub node_memory_bytes: Option<u64>,
    pub containers: Vec<MeasuredContainer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuredContainer {
    /// Tells one run of a container from the next, whose counters begin at zero.
    pub id: String,
    pub namespace: String,
    pub pod: String,
    pub pod_uid: String,
    pub container: String,
    pub at: Timestamp,
    pub cpu_nanoseconds: u64,
    pub memory_bytes: u64,
}
