//! `pods/NAME/portforward`: connections to ports of a pod, many over one request. Three protocols: SPDY on the upgraded
//! connection, SPDY inside a WebSocket, and the older WebSocket form with its ports in the query.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::ws::WebSocket;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::channels::Protocol;
use super::spdy::{self, Stream};
use super::upgrade::{self, Upgrade};
use super::websocket::halves;
use super::{legacy, pick, tunnel};
use crate::cluster::server::api::Server;
use crate::cluster::server::nodes::NodeStreams;
use crate::cluster::server::query::Parameters;
use crate::object::{ApiError, ObjectKey};
use crate::streams::{ForwardRequest, Message, OpenError, Opened, Request as Asked, StreamPair};

const SPDY: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// How long a client may take to open the second stream of a pair.
const PAIRING: Duration = Duration::from_secs(30);
/// Connections of one request at a time, and pairs that wait for their second stream.
const CONNECTIONS: usize = 256;

/// The pod that is connected to.
#[derive(Clone)]
pub struct Pod {
    nodes: Arc<dyn NodeStreams>,
    node: String,
    request: ForwardRequest,
}

impl Pod {
    /// # Errors
    /// When the node is away or the port does not answer, in words for the client.
    pub async fn dial(&self, port: u16) -> Result<Opened, String> {
        let request = ForwardRequest { port, ..self.request.clone() };
        let opened = self.nodes.open(&self.node, Asked::Forward(request)).await;
        opened.map_err(|error| {
            let why = match error {
                OpenError::Refused { message, .. } => message,
                other => format!("node {:?}: {other}", self.node),
            };
            let ForwardRequest { namespace, pod, pod_uid, .. } = &self.request;
            format!("error forwarding port {port} to pod {pod}_{namespace}, uid {pod_uid}: {why}")
        })
    }
}

/// # Errors
/// The refusal for the client.
pub async fn serve(server: &Server, key: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let object = server.registry.get(key)?;
    let pod = Pod {
        nodes: server.nodes.clone(),
        node: pick::node(&object)?,
        request: ForwardRequest {
            namespace: key.namespace.clone(),
            pod: key.name.clone(),
            pod_uid: object.meta.uid.clone(),
            port: 0,
            inside: true,
        },
    };
    let ports = ports(&Parameters::of(request.uri())?)?;
    match Upgrade::of(request).await? {
        Upgrade::Spdy(upgraded, offered) => {
            if !offered.is_empty() && !offered.iter().any(|one| one == SPDY) {
                return Ok(upgrade::no_common_version(&offered, &[SPDY]));
            }
            server.tasks.spawn_once("port-forward", async move {
                match upgraded.await {
                    Ok(io) => {
                        let (reader, writer) = tokio::io::split(TokioIo::new(io));
                        carry_all(reader, writer, pod).await;
                    }
                    Err(error) => tracing::debug!(%error, "a client did not go on after its upgrade"),
                }
            });
            Ok(upgrade::to_spdy(SPDY))
        }
        Upgrade::WebSocket(socket, offered) if offered.iter().any(|one| one == TUNNEL) => {
            Ok(upgrade::websocket(server, "port-forward", *socket, TUNNEL, move |socket| tunnelled(socket, pod)))
        }
        Upgrade::WebSocket(socket, offered) => {
            let Some(protocol) = Protocol::choose(&offered) else {
                return Ok(upgrade::no_common_version(&offered, &[TUNNEL, "v4.channel.k8s.io"]));
            };
            if ports.is_empty() {
                return Err(ApiError::bad_request("query parameter \"ports\" is required"));
            }
            let work = move |socket| legacy::carry(socket, protocol, ports, pod);
            Ok(upgrade::websocket(server, "port-forward", *socket, protocol.name, work))
        }
    }
}

/// `ports=80&ports=443` or `ports=80,443`.
fn ports(parameters: &Parameters) -> Result<Vec<u16>, ApiError> {
    let words = parameters.all("ports").flat_map(|list| list.split(',')).filter(|word| !word.is_empty());
    let port = |word: &str| match word.trim().parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(ApiError::bad_request(format!("unable to parse {word:?} as a port: it must be between 1 and 65535"))),
    };
    let ports: Vec<u16> = words.map(port).collect::<Result<_, _>>()?;
    match ports.len() {
        // Two channels each, and the channel's number is a byte.
        ..=127 => Ok(ports),
        _ => Err(ApiError::bad_request("too many ports: at most 127 can be forwarded at once")),
    }
}

async fn tunnelled(socket: WebSocket, pod: Pod) {
    let (mouth, frames) = halves(socket);
    let (reader, writer) = (tunnel::reader(frames), tunnel::writer(mouth.clone()));
    tokio::select! {
        () = carry_all(reader, writer, pod) => {}
        () = mouth.ping() => {}
    }
    mouth.close().await;
}

/// Carries all connections of a client until it leaves.
async fn carry_all(reader: impl AsyncRead + Send, writer: impl AsyncWrite + Send, pod: Pod) {
    let (connection, driver) = spdy::serve(reader, writer);
    tokio::select! {
        () = driver => {}
        () = pairs(connection, pod) => {}
    }
}

/// The first stream of a pair, and until when the second may come.
struct Half {
    stream: Stream,
    until: Instant,
}

/// Puts the streams of a request id together: one for data, one for what went wrong.
async fn pairs(mut connection: spdy::Connection, pod: Pod) {
    let mut halves: HashMap<String, Half> = HashMap::new();
    let mut carried = FuturesUnordered::new();
    loop {
        let earliest = halves.values().map(|half| half.until).min();
        tokio::select! {
            stream = connection.accept() => {
                let Some(stream) = stream else { break };
                let id = stream.header("requestid").to_owned();
                match halves.remove(&id) {
                    Some(other) if other.stream.header("streamtype") != stream.header("streamtype") => {
                        let is_error = stream.header("streamtype") == "error";
                        let (error, data) = if is_error { (stream, other.stream) } else { (other.stream, stream) };
                        carried.push(carry(error, data, pod.clone()));
                    }
                    _ if carried.len() + halves.len() >= CONNECTIONS => stream.writer.reset().await,
                    _ => drop(halves.insert(id, Half { stream, until: Instant::now() + PAIRING })),
                }
            }
            Some(()) = carried.next() => {}
            () = async { sleep_until(earliest.unwrap_or_else(Instant::now)).await }, if earliest.is_some() => {
                let now = Instant::now();
                let late: Vec<Half> = halves.extract_if(|_, half| half.until <= now).map(|(_, half)| half).collect();
                for half in late {
                    half.stream.writer.reset().await;
                }
            }
        }
    }
    // Connections that are open go on until the client leaves.
    while carried.next().await.is_some() {}
}

/// One connection, from its pair of streams to the port.
async fn carry(error: Stream, data: Stream, pod: Pod) {
    let dialled = match data.header("port").parse::<u16>() {
        Ok(port @ 1..) => pod.dial(port).await,
        _ => Err(format!("unable to parse port {:?}", data.header("port"))),
    };
    match dialled {
        Ok(opened) => join(opened, data).await,
        Err(why) => {
            error.writer.send(Bytes::from(why)).await;
            // A client waits for the end of the data before it looks at the error.
            data.writer.finish().await;
        }
    }
    error.writer.finish().await;
}

/// Carries bytes both ways until the pod has no more to say, or the client gives the stream up.
async fn join(opened: Opened, data: Stream) {
    let Opened { pair: StreamPair { sender, mut receiver }, .. } = opened;
    let Stream { mut reader, writer, .. } = data;
    let given_up = reader.reset();
    let up = async move {
        while let Some(bytes) = reader.next().await {
            if !sender.send(Message::Input(bytes)).await {
                break;
            }
        }
        sender.send(Message::EndOfInput).await;
        // The pod may have more to say than the client.
        std::future::pending::<()>().await;
    };
    let down = async {
        while let Ok(Some(message)) = receiver.next().await {
            if let Message::Output(bytes) = message
                && !writer.send(bytes).await
            {
                return;
            }
        }
        writer.finish().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        () = given_up.cancelled() => {}
    }
}
