//! What the syncer serves over HTTP: deliveries of git hosts, and plans. A plan is computed and given back; nothing
//! is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use git2::Oid;
use http::{HeaderMap, StatusCode, header};

use super::blocking::blocking;
use super::desired::{self, At};
use super::guard::Pruning;
use super::mirror::RepoLocation;
use super::moves::Search;
use super::plan;
use super::render::{Document, Rendered};
use super::request::{self, PlanRequest};
use super::settings::{self, DESTINATION, Settings};
use super::syncer::{Shared, Syncer};
use super::trigger::webhook::{self, Webhooks};
use super::upstream::OpenError;
use super::{application, tracking};
use crate::diff::plan::Plan;
use crate::object::application::Application;
use crate::object::{ApiError, ObjectKey, Reason, kinds};

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
        let plan = format!("{}/{{name}}/plan", kinds::APPLICATION.collection_path("{namespace}"));
        Router::new()
            .route("/api/webhook", post(receive))
            .route(&plan, post(serve_plan))
            .with_state(Arc::new(Routes { syncer: self.clone(), webhooks }))
    }
}

async fn receive(State(routes): State<Arc<Routes>>, headers: HeaderMap, body: Body) -> Response {
    let Shared { pool, reviews, .. } = &*routes.syncer.shared;
    let trigger = |trigger, urls: &[String]| {
        let urls = urls.iter().filter_map(|url| url.parse::<RepoLocation>().ok());
        let places: BTreeSet<String> = urls.map(|url| url.place()).collect();
        match pool.trigger(&trigger, |location| places.contains(&location.place())) {
            // It may be known by another name here.
            0 => pool.trigger(&trigger, |_| true),
            followers => followers,
        }
    };
    webhook::receive(&routes.webhooks, &headers, body, trigger, |request| reviews.put(request)).await
}

async fn serve_plan(
    State(routes): State<Arc<Routes>>,
    Path((namespace, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    let key = ObjectKey::new(kinds::APPLICATION, namespace, name);
    match answer_plan(&routes.syncer.shared, key, request.into_body()).await {
        Ok(plan) => axum::Json(plan).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.reason.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], error.to_status().to_string()).into_response()
        }
    }
}

async fn answer_plan(shared: &Arc<Shared>, key: ObjectKey, body: Body) -> Result<Plan, ApiError> {
    let application = application::read(&shared.registry, &key)?;
    let too_large = |_| ApiError::new(Reason::RequestEntityTooLarge, "the plan request is too large or was cut off");
    let body = to_bytes(body, MAX_PLAN_BODY).await.map_err(too_large)?;
    let request: PlanRequest = if body.is_empty() {
        PlanRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(format!("not a plan request: {error}")))?
    };
    let shared = shared.clone();
    // Rendering and planning compute for long; a plan is not worth holding others up.
    blocking(move || compute(&shared, &key, &application, request)).await
}

/// What the sources declare at their tips that `posted` are not. Blocking.
fn others(
    shared: &Shared,
    key: &ObjectKey,
    settings: &Settings,
    posted: Option<&[usize]>,
) -> Result<Option<Arc<Rendered>>, ApiError> {
    let Some(posted) = posted else { return Ok(None) };
    let all = settings.sources.iter().enumerate();
    let others: Vec<_> = all.filter(|(index, _)| !posted.contains(index)).map(|(_, source)| source.clone()).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let settings = Settings { sources: others, ..settings.clone() };
    let sources = desired::apart(shared, key, &settings);
    let read = desired::read(&sources, &settings, &shared.tools, &At::Tips { unless: None });
    Ok(Some(read.map_err(|error| ApiError::bad_request(error.to_string()))?.rendered))
}

/// What deploying what is asked for would change. Blocking.
///
/// # Errors
/// When it cannot be read or the Application cannot be planned.
pub(super) fn compute(
    shared: &Shared,
    key: &ObjectKey,
    application: &Application,
    request: PlanRequest,
) -> Result<Plan, ApiError> {
    let invalid = |wrong: Vec<String>| ApiError::bad_request(wrong.join("; "));
    let settings = settings::settings(&application.spec).map_err(invalid)?;
    let known = shared.registry.snapshot().kinds().clone();
    let mut inventory = tracking::inventory(&known, &application.status);
    let name = tracking::name_of(key);
    let mut successors = |documents: &[Document], revision| {
        let search = Search { shared, from: key, spec: &application.spec, documents, revision: Some(revision) };
        let found = search.successors(&inventory);
        inventory.retain(|key| !found.contains_key(key));
        found
    };
    let prune = settings.automated.as_ref().is_none_or(|automated| automated.prune);
    if let Some(documents) = request.documents {
        let namespace = if settings.namespace.is_empty() { DESTINATION } else { &settings.namespace };
        let others = others(shared, key, &settings, request.sources.as_deref())?;
        let receive = |documents, errors| {
            let received = Arc::new(request::receive(documents, errors, namespace));
            let mut rendered = Rendered::together([received].into_iter().chain(others.clone()));
            Arc::make_mut(&mut rendered).resolve(&known);
            rendered
        };
        let rendered = receive(documents, request.errors);
        let base = request.base.map(|base| receive(base, Vec::new()));
        // A commit that this repository does not have, or a work tree, says nothing of other Applications.
        let commit = request.revision.parse::<Oid>().map_or("", |_| request.revision.as_str());
        let successors = successors(&rendered.documents, commit);
        return Ok(plan::plan(
            &shared.registry,
            plan::Request {
                application: &name,
                revision: request.revision,
                commit: None,
                documents: &rendered.documents,
                hooks: &rendered.hooks,
                base: base.as_ref().map(|base| base.documents.as_slice()),
                inventory: &inventory,
                successors: &successors,
                settings: Some(&settings),
                pruning: Pruning::of(application, prune, ""),
                fingerprints: Some(&shared.fingerprints),
                errors: rendered.errors.clone(),
                warnings: request.warnings,
            },
        ));
    }
    let (base, revision) = match request.revision.split_once("..") {
        Some((a, b)) => (Some(a), b),
        None => (None, request.revision.as_str()),
    };
    let sources = desired::apart(shared, key, &settings);
    let read = |revision: &str| {
        let at = match revision {
            "" => At::Tips { unless: None },
            named => At::Named(vec![named.to_owned()]),
        };
        let refused = |error: OpenError| ApiError::bad_request(error.to_string());
        let mut desired = desired::read(&sources, &settings, &shared.tools, &at).map_err(refused)?;
        desired.resolve(&known);
        Ok::<_, ApiError>(desired)
    };
    let desired = read(revision)?;
    let base = base.map(read).transpose()?;
    let successors = successors(&desired.rendered.documents, &desired.commit().id.to_string());
    let mut pruning = Pruning::of(application, prune, &desired.commit().id.to_string());
    if desired::replaces_history(&sources, application, desired.commit().id) {
        pruning.distrust();
    }
    let mut plan = plan::plan(
        &shared.registry,
        plan::Request {
            application: &name,
            revision: desired.commit().id.to_string(),
            commit: Some(desired.commit()),
            documents: &desired.rendered.documents,
            hooks: &desired.rendered.hooks,
            base: base.as_ref().map(|base| base.rendered.documents.as_slice()),
            inventory: &inventory,
            successors: &successors,
            settings: Some(&settings),
            pruning,
            fingerprints: Some(&shared.fingerprints),
            errors: desired.rendered.errors.clone(),
            warnings: desired.rendered.warnings.clone(),
        },
    );
    desired::place(&sources, &desired.positions, &mut plan.errors);
    Ok(plan.sealed())
}
