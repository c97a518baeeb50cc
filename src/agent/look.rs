//! Looks at a container over the network once, as an HTTP or TCP probe does. Follows no redirect: one is an answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::runtime::{Look, Sight};

/// What is read of an answer before the connection is closed.
const MAX_BODY: usize = 10 << 10;

/// Looks once. Commands are the runtime's, not ours.
pub async fn at(look: &Look, timeout: Duration) -> Sight {
    let (description, outcome) = match look {
        Look::Tcp { host, port } => {
            let address = SocketAddr::new(*host, *port);
            (String::new(), tokio::time::timeout(timeout, connect(address)).await.map(|done| done.map(drop)))
        }
        Look::Http { host, port, path, tls, headers } => {
            let scheme = if *tls { "https" } else { "http" };
            let url = format!("{scheme}://{}{path}", SocketAddr::new(*host, *port));
            let request = ask(*host, *port, path, *tls, headers);
            (format!("Get \"{url}\": "), tokio::time::timeout(timeout, request).await)
        }
        Look::Exec { .. } | Look::Grpc { .. } => return Sight::Unknown("not a look over HTTP or TCP".to_owned()),
    };
    match outcome {
        Ok(Ok(())) => Sight::Well,
        Ok(Err(Miss::Answer(status))) => Sight::Ill(format!("HTTP probe failed with statuscode: {status}")),
        Ok(Err(Miss::Network(why))) => Sight::Ill(format!("{description}{why}")),
        Err(_) => Sight::Ill(format!(
            "{description}context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

enum Miss {
    Answer(u16),
    Network(String),
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Miss> {
    let failed = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            _ => error.to_string(),
        };
        Miss::Network(format!("dial tcp {address}: {why}"))
    };
    TcpStream::connect(address).await.map_err(failed)
}

async fn ask(host: IpAddr, port: u16, path: &str, tls: bool, headers: &[(String, String)]) -> Result<(), Miss> {
    let stream = connect(SocketAddr::new(host, port)).await?;
    let status = if tls {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(network)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::IpAddress(host.into()), stream).await.map_err(network)?;
        status(stream, host, port, path, headers).await?
    } else {
        status(stream, host, port, path, headers).await?
    };
    if (200..400).contains(&status) { Ok(()) } else { Err(Miss::Answer(status)) }
}

async fn status(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: IpAddr,
    port: u16,
    path: &str,
    headers: &[(String, String)],
) -> Result<u16, Miss> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(network)?;
    let mut request = http::Request::get(path)
        .header("user-agent", "kube-probe/1.33")
        .header("accept", "*/*")
        .header("connection", "close");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", SocketAddr::new(host, port).to_string());
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(network)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(network)?;
        let status = answer.status().as_u16();
        // Read the body, so that the container does not see its answer cut off; a body beyond the bound is not waited for.
        let _ = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        Ok(status)
    };
    // The connection is driven here, beside the request; it may end (`connection: close`) just before the answer is read.
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        done = &mut exchange => done,
        _ = connection => exchange.await,
    }
}

fn network(error: impl std::fmt::Display) -> Miss {
    Miss::Network(error.to_string())
}

/// A probe asks whether the container answers, not who it is: as in Kubernetes, certificates are not checked.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
