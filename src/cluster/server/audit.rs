//! The audit log: who asked for what, when, from where, and whether it was allowed. One JSON object a line, in the shape
//! of `audit.k8s.io/v1` at the level `Metadata`: bodies, and so secrets, are never in it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::extract::Request;
use http::StatusCode;
use http::header::USER_AGENT;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::auth::Identity;
use super::path::Attributes;
use crate::tasks::Tasks;

/// Entries that wait for the disk; requests wait when there are more, so that none is lost.
const WAITING: usize = 4096;
/// A file that is larger is put aside under `NAME.1`, and that under `NAME.2` before.
const LARGEST: u64 = 100 * 1024 * 1024;
const KEPT: u32 = 5;

/// Who asked in the name of another; a request extension.
#[derive(Clone)]
pub struct Impersonator(pub Identity);

/// Who a request is of.
pub struct Who {
    /// Unknown when the credentials were refused.
    caller: Option<Identity>,
    /// In whose name the caller asked.
    impersonated: Option<Identity>,
}

impl Who {
    /// As the extensions of an admitted request say.
    pub fn of(request: &Request) -> Self {
        let identity = request.extensions().get::<Identity>().cloned();
        match request.extensions().get::<Impersonator>().cloned() {
            Some(Impersonator(caller)) => Self { caller: Some(caller), impersonated: identity },
            None => Self { caller: identity, impersonated: None },
        }
    }
}

/// Where a request came from; a request extension, put there by whoever accepted the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

#[derive(Clone, Debug)]
pub struct AuditLog {
    entries: mpsc::Sender<String>,
}

/// What is known of a request before it is answered.
pub struct Received {
    at: Timestamp,
    entry: Value,
}

impl AuditLog {
    /// Appends to `path`, which only its owner may read.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(path: &Path, tasks: &Tasks) -> io::Result<Self> {
        let mut log = Log::open(path.to_owned()).await?;
        let (entries, mut waiting) = mpsc::channel::<String>(WAITING);
        let stopping = tasks.token().clone();
        tasks.spawn_draining("audit log", async move {
            while let Some(Some(entry)) = stopping.run_until_cancelled(waiting.recv()).await {
                log.write(entry).await;
            }
            // What was said before the stop is still written.
            while let Ok(entry) = waiting.try_recv() {
                log.write(entry).await;
            }
        });
        Ok(Self { entries })
    }

    pub fn received(request: &Request, attributes: &Attributes, at: Timestamp) -> Received {
        let agent = request.headers().get(USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_string());
        // Over HTTP/2 the URI has the server's name as well.
        let asked = request.uri().path_and_query().map_or("", |path| path.as_str());
        let mut entry = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "auditID": uuid::Uuid::new_v4().to_string(), "stage": "ResponseComplete",
            "requestURI": asked, "verb": attributes.verb, "userAgent": agent,
            "sourceIPs": peer.into_iter().collect::<Vec<_>>(), "requestReceivedTimestamp": at.to_string()});
        if !attributes.resource.is_empty() {
            let parts = [
                ("resource", &attributes.resource),
                ("namespace", &attributes.namespace),
                ("name", &attributes.name),
                ("apiGroup", &attributes.group),
                ("apiVersion", &attributes.version),
                ("subresource", &attributes.subresource),
            ];
            let parts = parts.into_iter().filter(|(_, text)| !text.is_empty());
            entry["objectRef"] = parts.map(|(name, text)| (name.to_owned(), json!(text))).collect();
        }
        Received { at, entry }
    }

    /// Writes down how the request ended.
    pub async fn answered(&self, received: Received, who: &Who, status: StatusCode, now: Timestamp) {
        let Received { at, mut entry } = received;
        entry["user"] = who.caller.as_ref().map_or_else(|| json!({}), Identity::user_info);
        if let Some(impersonated) = &who.impersonated {
            entry["impersonatedUser"] = impersonated.user_info();
        }
        entry["responseStatus"] = json!({"metadata": {}, "code": status.as_u16()});
        entry["stageTimestamp"] = json!(now.max(at).to_string());
        let decision = if status == StatusCode::FORBIDDEN { "forbid" } else { "allow" };
        entry["annotations"] = json!({"authorization.k8s.io/decision": decision});
        // The log has ended: the program is stopping.
        let _ = self.entries.send(entry.to_string()).await;
    }
}

struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    async fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).await?;
        let size = file.metadata().await?.len();
        Ok(Self { path, file, size })
    }

    async fn write(&mut self, mut entry: String) {
        entry.push('\n');
        self.size += entry.len() as u64;
        let mut written = self.file.write_all(entry.as_bytes()).await;
        if written.is_ok() {
            written = self.file.flush().await;
        }
        if self.size > LARGEST && written.is_ok() {
            written = self.rotate().await;
        }
        if let Err(error) = written {
            tracing::error!(%error, path = %self.path.display(), "the audit log cannot be written");
        }
    }

    async fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..KEPT).rev() {
            match tokio::fs::rename(numbered(n), numbered(n + 1)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        tokio::fs::rename(&self.path, numbered(1)).await?;
        *self = Self::open(self.path.clone()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_is_one_line_that_says_who_asked_in_whose_name() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("audit.log");
        let tasks = Tasks::default();
        let log = AuditLog::open(&path, &tasks).await.unwrap();
        let now = Timestamp::UNIX_EPOCH;
        for impersonator in [None, Some(Identity::admin("root"))] {
            let mut request = Request::builder().method("DELETE").uri("/api/v1/namespaces/a/pods/b?x=y");
            request = request.extension(Identity::authenticated("ann", Vec::new()));
            if let Some(caller) = impersonator {
                request = request.extension(Impersonator(caller));
            }
            let request = request.body(axum::body::Body::empty()).unwrap();
            let attributes = Attributes::of(request.method(), request.uri());
            let received = AuditLog::received(&request, &attributes, now);
            log.answered(received, &Who::of(&request), StatusCode::FORBIDDEN, now).await;
        }
        tasks.stop().await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let who = |line: &Value| (line["user"]["username"].clone(), line["impersonatedUser"]["username"].clone());
        assert_eq!(who(&lines[0]), (json!("ann"), Value::Null));
        assert_eq!(who(&lines[1]), (json!("root"), json!("ann")));
        assert_eq!(lines[0]["objectRef"]["resource"], "pods");
        assert_eq!((&lines[0]["verb"], &lines[0]["responseStatus"]["code"]), (&json!("delete"), &json!(403)));
        assert_eq!(lines[0]["annotations"]["authorization.k8s.io/decision"], "forbid");
    }
}
