//! The API as one router: authorises, then hands each request to the part that answers it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::USER_AGENT;
use http::{HeaderValue, Method};
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::audit::{AuditLog, Impersonator, Who};
use super::auth::{self, Authenticator, Identity, Tokens};
use super::in_flight::InFlight;
use super::metrics::Metrics;
use super::nodes::NodeStreams;
use super::pages::Pages;
use super::path::Attributes;
use super::present::Presentation;
use super::{answer, compress, discovery, health, issuer, metrics, objects, openapi, review};
use crate::cluster::registry::Registry;
use crate::object::ApiError;
use crate::object::kinds::Subresource;
use crate::tasks::Tasks;

/// What the API is built from.
pub struct Api {
    pub registry: Registry,
    pub nodes: Arc<dyn NodeStreams>,
    /// Shared with all parts that count; served at `/metrics`.
    pub metrics: Metrics,
    /// Issues and checks the tokens of service accounts.
    pub tokens: Arc<Tokens>,
    /// Where every request is written down, if it is.
    pub audit: Option<AuditLog>,
    /// Whether `/readyz` says so.
    pub ready: tokio::sync::watch::Receiver<bool>,
    /// Streams run as these; stopped, they end watches and followed logs.
    pub tasks: Tasks,
}

/// The state of all handlers.
pub struct Server {
    pub registry: Registry,
    pub nodes: Arc<dyn NodeStreams>,
    pub metrics: Metrics,
    pub tokens: Arc<Tokens>,
    pub audit: Option<AuditLog>,
    pub ready: tokio::sync::watch::Receiver<bool>,
    pub tasks: Tasks,
    pub shutdown: CancellationToken,
    pub in_flight: InFlight,
    pub pages: Pages,
    pub documents: openapi::Documents,
}

/// The whole API. Routes of `extra` go through the same authorisation; it has no fallback of its own.
///
/// Who asks is the request extension [`Identity`]; without one the caller is anonymous.
pub fn router(api: Api, extra: Router) -> Router {
    let Api { registry, nodes, metrics, tokens, audit, ready, tasks } = api;
    let server = Arc::new(Server {
        pages: Pages::new(registry.store().clone()),
        registry,
        nodes,
        metrics,
        tokens,
        audit,
        ready,
        shutdown: tasks.token().clone(),
        tasks,
        in_flight: InFlight::default(),
        documents: openapi::Documents::default(),
    });
    let own = Router::new()
        .route("/healthz", get(health::alive))
        .route("/healthz/{check}", get(health::check))
        .route("/livez", get(health::alive))
        .route("/livez/{check}", get(health::check))
        .route("/readyz", get(health::ready))
        .route("/readyz/{check}", get(health::check))
        .route("/version", get(health::version))
        .route("/version/", get(health::version))
        .route("/metrics", get(metrics::serve))
        .route("/openapi/v2", get(openapi::v2))
        .route("/openapi/v3", get(openapi::index))
        .route("/openapi/v3/{*path}", get(openapi::document))
        .route("/", get(discovery::paths))
        .merge(discovery::routes())
        .merge(review::routes())
        .merge(issuer::routes())
        .method_not_allowed_fallback(|| async { answer::method_not_allowed() })
        .fallback(objects::serve)
        .with_state(server.clone());
    extra.merge(own).layer(middleware::from_fn_with_state(server, guard)).layer(compress::layer())
}

/// The same API for a client in this process, which acts as `identity` and calls itself `agent`: a `kube::Client` takes
/// it as its service.
pub fn in_process(router: Router, identity: Identity, agent: &'static str) -> Router {
    let agent = HeaderValue::from_static(agent);
    router.layer(axum::Extension(identity)).layer(middleware::from_fn(move |mut request: Request, next: Next| {
        request.headers_mut().entry(USER_AGENT).or_insert(agent.clone());
        next.run(request)
    }))
}

/// Finds out who asks, authorises the request, answers it, and counts it.
async fn guard(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let attributes = Attributes::of(request.method(), request.uri());
    let head = request.method() == Method::HEAD;
    let clock = server.registry.clock();
    let noted = server.audit.as_ref().filter(|_| !is_health(&attributes.path));
    let noted = noted.map(|log| (log, AuditLog::received(&request, &attributes, clock.now())));
    let admitted = admitted(&server, &mut request, &attributes);
    let who = Who::of(&request);
    let presentation = Presentation::of(&request);
    let mut response = match admitted {
        // The place is held until there is an answer.
        Ok(_place) => answer::warn(next.run(request).await, &attributes.warnings()),
        Err(error) => error.into_response(),
    };
    if attributes.verb != "watch" && attributes.subresource != Subresource::Proxy.as_str() {
        response = presentation.apply(response).await;
    }
    if let Some((log, received)) = noted {
        log.answered(received, &who, response.status(), clock.now()).await;
    }
    server.metrics.count(server.registry.snapshot().kinds(), &attributes, response.status(), started.elapsed());
    if head {
        *response.body_mut() = axum::body::Body::empty();
    }
    tracing::debug!(verb = attributes.verb, path = attributes.path, status = response.status().as_u16(), "served");
    answer::sealed(response)
}

/// What load balancers ask all the time.
fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/livez" | "/readyz")
}

/// Leaves the caller's identity and the request's attributes in the request, for the part that answers it. Gives its place
/// among those that are answered now.
fn admitted<'a>(
    server: &'a Server,
    request: &mut Request,
    attributes: &Attributes,
) -> Result<Option<SemaphorePermit<'a>>, ApiError> {
    let snapshot = server.registry.snapshot();
    let connected = request.extensions().get::<Identity>().cloned();
    // The webhook's credentials are its sender's, and checked there.
    let identity = match connected {
        None if attributes.path == "/api/webhook" => Identity::anonymous(),
        connected => {
            let authenticator = Authenticator { tokens: server.tokens.clone() };
            let caller =
                authenticator.identify(&snapshot, connected, request.headers(), server.registry.clock().now())?;
            match auth::impersonate(&snapshot, &caller, request.headers())? {
                Some(identity) => {
                    request.extensions_mut().insert(Impersonator(caller));
                    identity
                }
                None => caller,
            }
        }
    };
    request.extensions_mut().insert(identity.clone());
    auth::authorize(&snapshot, &identity, attributes)?;
    request.extensions_mut().insert(attributes.clone());
    server.in_flight.admit(&identity, attributes)
}
