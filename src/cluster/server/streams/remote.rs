//! `pods/NAME/exec` and `pods/NAME/attach`: finds the container's node, begins there, and only then leaves HTTP, so that
//! a refusal is an answer like any other.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper_util::rt::TokioIo;

use super::channels::{PROTOCOLS, Protocol};
use super::upgrade::{self, Upgrade};
use super::{pick, terminal};
use crate::cluster::server::api::Server;
use crate::cluster::server::nodes;
use crate::cluster::server::query::Parameters;
use crate::object::{ApiError, ObjectKey};
use crate::streams::{AttachRequest, ExecRequest, OpenError, Opened, Request as Asked, Target, Wanted};

/// Newest first; version 4 says how it ended in a Status.
const SPDY_VERSIONS: [&str; 4] = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Exec,
    Attach,
}

/// # Errors
/// The refusal for the client, in Kubernetes's words: kubectl shows them as they are.
pub async fn serve(server: &Server, key: &ObjectKey, verb: Verb, request: Request) -> Result<Response, ApiError> {
    let parameters = Parameters::of(request.uri())?;
    let pod = server.registry.get(key)?;
    let value = pod.value();
    let target = Target {
        namespace: key.namespace.clone(),
        pod: key.name.clone(),
        pod_uid: pod.meta.uid.clone(),
        container: pick::container(&pod, &value, parameters.text("container"))?,
    };
    let node = pick::node(&pod)?;
    let tty = parameters.flag("tty");
    let wanted = Wanted {
        stdin: parameters.flag("stdin"),
        stdout: parameters.flag("stdout"),
        // A terminal has one output.
        stderr: parameters.flag("stderr") && !tty,
        tty,
    };
    if !wanted.stdin && !wanted.stdout && !wanted.stderr {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let asked = match verb {
        Verb::Exec => {
            let command: Vec<String> = parameters.all("command").map(str::to_owned).collect();
            if command.is_empty() {
                return Err(ApiError::bad_request("you must specify at least one command for the container"));
            }
            Asked::Exec(ExecRequest { target, command, wanted })
        }
        Verb::Attach => Asked::Attach(AttachRequest { target, wanted }),
    };
    let upgrade = Upgrade::of(request).await?;
    if let Some(refused) = unknown_version(&upgrade) {
        return Ok(refused);
    }
    match server.nodes.open(&node, asked).await {
        Ok(opened) => Ok(begin(server, upgrade, wanted, opened)),
        // The node's own words go to the client as they are.
        Err(OpenError::Refused { status, message }) => {
            let status = if status.is_server_error() { StatusCode::INTERNAL_SERVER_ERROR } else { status };
            Ok((status, message).into_response())
        }
        Err(error) => Err(nodes::refusal(&node, error)),
    }
}

fn unknown_version(upgrade: &Upgrade) -> Option<Response> {
    match upgrade {
        Upgrade::WebSocket(_, offered) if Protocol::choose(offered).is_none() => {
            Some(upgrade::no_common_version(offered, &PROTOCOLS.map(|known| known.name)))
        }
        Upgrade::Spdy(_, offered) if spdy_version(offered).is_none() => {
            Some(upgrade::no_common_version(offered, &SPDY_VERSIONS))
        }
        _ => None,
    }
}

/// A client that names no version speaks the first one.
fn spdy_version(offered: &[String]) -> Option<&'static str> {
    if offered.is_empty() {
        return SPDY_VERSIONS.last().copied();
    }
    offered.iter().find_map(|one| SPDY_VERSIONS.into_iter().find(|known| known == one))
}

fn begin(server: &Server, upgrade: Upgrade, wanted: Wanted, opened: Opened) -> Response {
    match upgrade {
        Upgrade::WebSocket(socket, offered) => {
            let Some(protocol) = Protocol::choose(&offered) else {
                return upgrade::no_common_version(&offered, &[]);
            };
            upgrade::websocket(server, "exec", *socket, protocol.name, move |socket| {
                terminal::over_websocket(socket, protocol, wanted, opened)
            })
        }
        Upgrade::Spdy(upgraded, offered) => {
            let version = spdy_version(&offered).unwrap_or_default();
            let statuses = version == SPDY_VERSIONS[0];
            server.tasks.spawn_once("exec", async move {
                match upgraded.await {
                    Ok(io) => terminal::over_spdy(TokioIo::new(io), statuses, wanted, opened).await,
                    Err(error) => tracing::debug!(%error, "a client did not go on after its upgrade"),
                }
            });
            upgrade::to_spdy(version)
        }
    }
}
