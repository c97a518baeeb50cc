//! Finds where a proxied request goes, connects, and passes it on.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{Method, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::pass::{Way, pass};
use super::pipe::{Pipe, bytes_of};
use super::target::{self, Endpoint, Named, unavailable};
use super::{kubelet, pipe, tls};
use crate::cluster::server::answer;
use crate::cluster::server::api::Server;
use crate::cluster::server::path::Attributes;
use crate::cluster::server::streams::pick;
use crate::object::{ApiError, Kind, ObjectKey, kinds};
use crate::streams::{ForwardRequest, Request as Asked};

/// How long an endpoint outside of the cluster may take to accept.
const DIAL: Duration = Duration::from_secs(10);

/// # Errors
/// The refusal for the client.
pub async fn serve(
    server: &Server,
    kind: &'static Kind,
    at: &Attributes,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(named) = Named::parse(&at.name) else {
        return Err(ApiError::bad_request(format!("invalid {} request {:?}", kind.singular, at.name)));
    };
    let (prefix, rest) = split(request.uri().path(), if at.namespace.is_empty() { 6 } else { 8 });
    if rest.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        return Ok((StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{prefix}/{query}"))]).into_response());
    }
    let key = ObjectKey::new(kind, at.namespace.clone(), named.name.clone());
    let object = server.registry.get(&key)?;
    if kind == kinds::NODE {
        return match *request.method() {
            Method::GET | Method::HEAD => kubelet::answer(server, &named.name, &rest).await,
            _ => Err(answer::method_not_allowed()),
        };
    }
    let (pipe, host): (Box<dyn pipe::Pipe>, String) = if kind == kinds::POD {
        let port = target::of_pod(&object.value(), &named.port)?;
        let node = pick::node(&object)?;
        let forward = ForwardRequest {
            namespace: at.namespace.clone(),
            pod: named.name.clone(),
            pod_uid: object.meta.uid.clone(),
            port,
            inside: false,
        };
        (Box::new(through(server, &node, forward).await?), format!("{}:{port}", named.name))
    } else {
        let endpoints = ObjectKey::new(kinds::ENDPOINTS, at.namespace.clone(), named.name.clone());
        let endpoints = server.registry.get(&endpoints)?.value();
        let endpoint = target::of_service(&object.value(), &endpoints, &named.port, fastrand::usize(..))?;
        let host = SocketAddr::from((endpoint.address, endpoint.port)).to_string();
        (to_endpoint(server, endpoint).await?, host)
    };
    let pipe = match named.tls {
        // A pod has no name that its certificate could be for.
        true => timeout(DIAL, tls::over(pipe, &named.name)).await.map_err(|_| "TLS handshake timeout".to_owned()),
        false => Ok(Ok(pipe)),
    };
    let unreachable = |why| unavailable(format!("error trying to reach service: {why}"));
    let pipe = pipe.and_then(|connected| connected).map_err(unreachable)?;
    let path = match request.uri().query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest,
    };
    let way = Way { prefix: &prefix, path: &path, host: &host };
    pass(request, way, pipe, &server.tasks).await
}

/// The part of the path that names the proxy, and the part for the service with its `/`.
fn split(path: &str, segments: usize) -> (String, String) {
    let all: Vec<&str> = path.split('/').collect();
    let (ours, theirs) = all.split_at(segments.min(all.len()));
    let rest = if theirs.is_empty() { String::new() } else { format!("/{}", theirs.join("/")) };
    (ours.join("/"), rest)
}

async fn through(server: &Server, node: &str, forward: ForwardRequest) -> Result<impl Pipe + use<>, ApiError> {
    let opened = server.nodes.open(node, Asked::Forward(forward)).await;
    opened.map(bytes_of).map_err(|error| unavailable(format!("error trying to reach service: {error}")))
}

async fn to_endpoint(server: &Server, endpoint: Endpoint) -> Result<Box<dyn Pipe>, ApiError> {
    let Endpoint { address, port, pod } = endpoint;
    if let Some((node, namespace, pod, pod_uid)) = pod {
        return Ok(Box::new(
            through(server, &node, ForwardRequest { namespace, pod, pod_uid, port, inside: false }).await?,
        ));
    }
    if !target::may_be_reached(address) {
        return Err(ApiError::bad_request("address not allowed"));
    }
    let unreachable = |why: String| unavailable(format!("error trying to reach service: {why}"));
    let to = SocketAddr::from((address, port));
    let dialled = timeout(DIAL, TcpStream::connect(to)).await;
    let stream = dialled.map_err(|_| unreachable(format!("dial tcp {to}: i/o timeout")))?;
    Ok(Box::new(stream.map_err(|error| unreachable(format!("dial tcp {to}: {error}")))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_for_the_service_is_what_follows_the_proxy() {
        let pod = "/api/v1/namespaces/d/pods/p/proxy";
        for (rest, want) in [("", ""), ("/", "/"), ("/a/b/", "/a/b/"), ("//a", "//a")] {
            assert_eq!(split(&format!("{pod}{rest}"), 8), (pod.to_owned(), want.to_owned()), "{rest:?}");
        }
        assert_eq!(split("/api/v1/nodes/n/proxy/pods", 6), ("/api/v1/nodes/n/proxy".into(), "/pods".into()));
    }
}
