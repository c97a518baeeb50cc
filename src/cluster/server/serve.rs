//! Accepts connections: TLS, HTTP/1.1 and HTTP/2 on one port, the caller's identity from its certificate.
//! Bounded in connections and in the time that a client may take to say what it wants.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::audit::Peer;
use super::auth::Identity;
use crate::tasks::Tasks;

/// Connections at a time; more wait in the system's queue.
const CONNECTIONS: usize = 4096;
/// Watches and requests that one HTTP/2 connection may have open; client libraries keep all of a program's on one.
const STREAMS: u32 = 1000;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(20);
/// How long requests under way may take when the program stops.
const DRAIN: Duration = Duration::from_secs(3);
/// Out of file descriptors, say: give it a moment instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Half-open HTTP/2 connections are found this way.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves `router` on `listener` until the tasks are stopped; requests under way may then end.
pub fn serve(listener: TcpListener, tls: Arc<rustls::ServerConfig>, router: Router, tasks: &Tasks) {
    let server = Arc::new(Acceptor { tls: TlsAcceptor::from(tls), router, tasks: tasks.clone() });
    tasks.spawn("accept", accept(listener, server));
}

struct Acceptor {
    tls: TlsAcceptor,
    router: Router,
    tasks: Tasks,
}

async fn accept(listener: TcpListener, server: Arc<Acceptor>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed, so the loop ends with its task only.
    while let Ok(slot) = slots.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let work = connection(server.clone(), socket, Peer(peer), slot);
                server.tasks.spawn_draining("connection", work);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(server: Arc<Acceptor>, socket: TcpStream, peer: Peer, _slot: OwnedSemaphorePermit) {
    let stopping = server.tasks.token().clone();
    let shaken = stopping.run_until_cancelled(handshake(&server.tls, socket)).await;
    let Some(Ok((stream, identity))) = shaken else { return };
    let router = server.router.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(KEEPALIVE)
        .adaptive_window(true);
    let mut served = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopping.cancelled() => {
            served.as_mut().graceful_shutdown();
            timeout(DRAIN, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

async fn handshake(tls: &TlsAcceptor, socket: TcpStream) -> io::Result<(TlsStream, Option<Identity>)> {
    // Watch events are small and must not wait for each other.
    socket.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE, tls.accept(socket)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let identity = certificate.and_then(|der| Identity::from_certificate(der));
    Ok((stream, identity))
}

/// The addresses and names under which a server that listens on `address` is reached.
pub fn names_of(address: std::net::SocketAddr, host: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(host.to_owned());
    // As pods call the Service of the API.
    names.extend(["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned));
    names.push("kubernetes.default.svc.cluster.local".to_owned());
    if !address.ip().is_unspecified() {
        names.push(address.ip().to_string());
    }
    names.dedup();
    names
}
