//! What the syncer serves over HTTP: deliveries of git hosts, and plans. A plan is computed and given back; nothing
//! is written.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};

use super::deploy::blocking;
use super::mirror::{Commit, MirrorError};
use super::plan;
use super::request::{self, PlanRequest};
use super::syncer::{DESTINATION, Shared, Syncer};
use super::trigger::webhook::{self, Webhooks};
use super::{application, tracking};
use crate::diff::plan::Plan;
use crate::object::{ApiError, Reason, kinds};

/// The rendered documents of a large repository.
const MAX_PLAN_BODY: usize = 64 << 20;

struct Routes {
    syncer: Syncer,
    webhooks: Webhooks,
}

impl Syncer {
    /// `POST /api/webhook` (which checks signatures of its own) and `POST .../applications/NAME/plan` (which the
    /// API's authorisation guards).
    pub fn routes(&self) -> Router {
        let Shared { config, registry, .. } = &*self.shared;
        let webhooks = Webhooks::new(config.webhook_secret.clone(), config.loopback, registry.clock());
        let plan = format!("{}/{{name}}/plan", kinds::APPLICATION.collection_path(crate::object::SYSTEM_NAMESPACE));
        Router::new()
            .route("/api/webhook", post(receive))
            .route(&plan, post(serve_plan))
            .with_state(Arc::new(Routes { syncer: self.clone(), webhooks }))
    }
}

async fn receive(State(routes): State<Arc<Routes>>, headers: HeaderMap, body: Body) -> Response {
    webhook::receive(&routes.webhooks, &headers, body, |trigger| routes.syncer.trigger(trigger)).await
}

async fn serve_plan(State(routes): State<Arc<Routes>>, Path(name): Path<String>, request: Request) -> Response {
    match answer_plan(&routes.syncer.shared, &name, request.into_body()).await {
        Ok(plan) => axum::Json(plan).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.reason.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], error.to_status().to_string()).into_response()
        }
    }
}

async fn answer_plan(shared: &Arc<Shared>, name: &str, body: Body) -> Result<Plan, ApiError> {
    if name != shared.application.name {
        return Err(ApiError::not_found(kinds::APPLICATION, name));
    }
    let too_large = |_| ApiError::new(Reason::RequestEntityTooLarge, "the plan request is too large or was cut off");
    let body = to_bytes(body, MAX_PLAN_BODY).await.map_err(too_large)?;
    let request: PlanRequest = if body.is_empty() {
        PlanRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(format!("not a plan request: {error}")))?
    };
    let shared = shared.clone();
    // Rendering and planning compute for long; a plan is not worth holding others up.
    blocking(move || compute(&shared, request)).await
}

fn compute(shared: &Shared, request: PlanRequest) -> Result<Plan, ApiError> {
    let application = application::read(&shared.registry, &shared.application)?;
    let inventory = tracking::inventory(&application.status);
    let name = shared.application.name.as_str();
    if let Some(documents) = request.documents {
        let rendered = request::receive(documents, request.errors, DESTINATION);
        let base = request.base.map(|base| request::receive(base, Vec::new(), DESTINATION));
        return Ok(plan::plan(
            &shared.registry,
            plan::Request {
                application: name,
                revision: request.revision,
                commit: None,
                documents: &rendered.documents,
                base: base.as_ref().map(|base| base.documents.as_slice()),
                inventory: &inventory,
                errors: rendered.errors.clone(),
                warnings: request.warnings,
            },
        ));
    }
    let mut reader = shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
    let refused = |error: MirrorError| ApiError::bad_request(error.to_string());
    let (base, revision) = match request.revision.split_once("..") {
        Some((a, b)) => (Some(a), b),
        None => (None, request.revision.as_str()),
    };
    let id = if revision.is_empty() { reader.mirror.tip(&shared.branch) } else { reader.mirror.resolve(revision) };
    let reading = reader.read(id.map_err(refused)?).map_err(refused)?;
    let base = match base {
        Some(base) => {
            let id = reader.mirror.resolve(base).map_err(refused)?;
            Some(reader.read(id).map_err(refused)?)
        }
        None => None,
    };
    drop(reader);
    let commit: &Commit = &reading.commit;
    let mut plan = plan::plan(
        &shared.registry,
        plan::Request {
            application: name,
            revision: commit.id.to_string(),
            commit: Some(commit),
            documents: &reading.rendered.documents,
            base: base.as_ref().map(|base| base.rendered.documents.as_slice()),
            inventory: &inventory,
            errors: reading.rendered.errors.clone(),
            warnings: reading.rendered.warnings.clone(),
        },
    );
    let reader = shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
    reader.place(commit.id, &mut plan.errors);
    Ok(plan.sealed())
}
