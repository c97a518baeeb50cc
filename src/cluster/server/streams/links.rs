//! The connections of the nodes: each agent opens one, and the newest of a node is the one that is used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::upgrade;
use crate::cluster::server::Identity;
use crate::cluster::server::nodes::NodeStreams;
use crate::object::{ApiError, Reason};
use crate::streams::{Link, OpenError, Opened, PROTOCOL, Request as Asked};
use crate::tasks::Tasks;

/// Clones share the connections.
#[derive(Clone)]
pub struct Links {
    nodes: Arc<Mutex<BTreeMap<String, Link>>>,
    tasks: Tasks,
}

impl Links {
    pub fn new(tasks: &Tasks) -> Self {
        Self { nodes: Arc::default(), tasks: tasks.clone() }
    }

    /// Uses a connection for `node` until it ends.
    ///
    /// # Errors
    /// When the other side does not speak the protocol.
    pub async fn connect<I>(&self, node: &str, io: I) -> Result<(), hyper::Error>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (link, driver) = Link::over(io).await?;
        self.nodes().insert(node.to_owned(), link);
        let (links, node) = (self.clone(), node.to_owned());
        tracing::info!(node, "the node is connected");
        self.tasks.spawn_once("node link", async move {
            driver.await;
            // A newer connection of the same node stays.
            links.nodes().retain(|name, link| *name != node || !link.is_gone());
            tracing::info!(node, "the node's connection has ended");
        });
        Ok(())
    }

    /// The names of the nodes that can be asked.
    pub fn connected(&self) -> Vec<String> {
        self.nodes().iter().filter(|(_, link)| !link.is_gone()).map(|(name, _)| name.clone()).collect()
    }

    /// Where agents of other machines connect; authorised as writes to `nodes/connect`.
    pub fn routes(&self) -> Router {
        Router::new().route("/api/v1/nodes/{name}/connect", post(accept)).with_state(self.clone())
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Link>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeStreams for Links {
    fn open(&self, node: &str, request: Asked) -> BoxFuture<'_, Result<Opened, OpenError>> {
        let link = self.nodes().get(node).cloned();
        async move { link.ok_or(OpenError::Gone)?.open(&request).await }.boxed()
    }
}

async fn accept(
    State(links): State<Links>,
    Extension(identity): Extension<Identity>,
    Path(node): Path<String>,
    mut request: Request,
) -> Response {
    // Only a node may answer for itself, whatever else the caller may do.
    if identity.as_node() != Some(node.as_str()) {
        let message = format!("nodes {node:?} is forbidden: only the node itself can connect");
        return ApiError::new(Reason::Forbidden, message).into_response();
    }
    if !upgrade::asks_for(&request, PROTOCOL) {
        return ApiError::bad_request(format!("Upgrade request to {PROTOCOL} required")).into_response();
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let tasks = links.tasks.clone();
    tasks.spawn_once("node connection", async move {
        let connected = match upgraded.await {
            Ok(io) => links.connect(&node, TokioIo::new(io)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = connected {
            tracing::debug!(%error, node, "a node could not be connected");
        }
    });
    upgrade::switch(PROTOCOL, None)
}
