//! `serviceaccounts/token`: a token for an account, for whoever may ask for one (`kubectl create token`, and the agent
//! for the pods that it runs).

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use jiff::SignedDuration;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequestSpec};
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Value, json};

use super::identity::Identity;
use super::tokens::{BoundTo, ISSUER, Reference, Statement};
use crate::cluster::server::api::Server;
use crate::cluster::server::{answer, body};
use crate::cluster::store::Snapshot;
use crate::object::error::About;
use crate::object::{ApiError, Cause, Kind, Object, ObjectKey, Reason, clock, kinds};

const HOUR: i64 = 60 * 60;
const SHORTEST: i64 = 10 * 60;
const LONGEST: i64 = 1 << 32;

/// # Errors
/// The refusal for the client.
pub async fn serve(server: &Server, account: &ObjectKey, request: Request) -> Result<Response, ApiError> {
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or_else(Identity::anonymous);
    let (parts, bytes) = body::read(request).await?;
    let mut review = body::decode_plain("TokenRequest", &parts, &bytes)?;
    let spec = TokenRequestSpec::deserialize(&review["spec"])
        .map_err(|error| ApiError::bad_request(format!("the spec of the TokenRequest cannot be read: {error}")))?;
    let lifetime = lifetime(spec.expiration_seconds)?;
    let snapshot = server.registry.snapshot();
    let found = snapshot.get(account).ok_or_else(|| ApiError::not_found(account.kind, &account.name))?;
    let bound = match &spec.bound_object_ref {
        Some(reference) => bind(&snapshot, account, reference)?,
        None => BoundTo::default(),
    };
    check_node(&identity, account, &bound)?;
    let audiences = if spec.audiences.is_empty() { vec![ISSUER.to_owned()] } else { spec.audiences };
    let now = server.registry.clock().now();
    let statement = Statement {
        namespace: &account.namespace,
        account: reference(found),
        audiences: audiences.clone(),
        bound,
        lifetime: SignedDuration::from_secs(lifetime),
    };
    let (token, end) = server.tokens.issue(statement, now).map_err(ApiError::internal)?;
    review["apiVersion"] = json!("authentication.k8s.io/v1");
    review["kind"] = json!("TokenRequest");
    review["metadata"] = json!({"name": account.name, "namespace": account.namespace,
        "creationTimestamp": clock::rfc3339(now)});
    review["spec"]["audiences"] = json!(audiences);
    review["spec"]["expirationSeconds"] = json!(lifetime);
    if review["spec"].get("boundObjectRef").is_none() {
        review["spec"]["boundObjectRef"] = Value::Null;
    }
    review["status"] = json!({"token": token, "expirationTimestamp": clock::rfc3339(end)});
    Ok(answer::value(StatusCode::CREATED, &review))
}

fn lifetime(asked: Option<i64>) -> Result<i64, ApiError> {
    let seconds = asked.unwrap_or(HOUR);
    let why = match seconds {
        ..SHORTEST => "may not specify a duration less than 10 minutes",
        SHORTEST..=LONGEST => return Ok(seconds),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let field = "spec.expirationSeconds";
    let message = format!("Invalid value: {seconds}: {why}");
    let about = About { group: "authentication.k8s.io".into(), kind: "TokenRequest".into(), ..About::default() };
    Err(ApiError {
        about: Some(Box::new(about)),
        causes: vec![Cause { reason: "FieldValueInvalid".into(), message: message.clone(), field: field.into() }],
        ..ApiError::new(
            Reason::Invalid,
            format!("TokenRequest.authentication.k8s.io \"\" is invalid: {field}: {message}"),
        )
    })
}

fn reference(object: &Object) -> Reference {
    Reference { name: object.key.name.clone(), uid: object.meta.uid.clone() }
}

/// What the token is bound to, after the reference to it has been checked.
fn bind(snapshot: &Snapshot, account: &ObjectKey, wanted: &BoundObjectReference) -> Result<BoundTo, ApiError> {
    let name = wanted.name.as_deref().unwrap_or_default();
    let find = |kind: &'static Kind, namespace: &str| {
        let object = snapshot.find(kind, namespace, name).ok_or_else(|| ApiError::not_found(kind, name))?;
        match wanted.uid.as_deref().filter(|uid| !uid.is_empty() && *uid != object.meta.uid) {
            None => Ok(object.clone()),
            Some(uid) => {
                let why = format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
                );
                Err(ApiError::conflict(kind, name, why))
            }
        }
    };
    let kind = wanted.kind.as_deref().unwrap_or_default();
    match (wanted.api_version.as_deref().unwrap_or_default(), kind) {
        ("v1", "Pod") => {
            let object = find(kinds::POD, &account.namespace)?;
            let pod = object.typed::<Pod>().map_err(ApiError::internal)?;
            let runs_as = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
            if runs_as.unwrap_or("default") != account.name {
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    account.name
                )));
            }
            let node = object.meta.node.as_deref().and_then(|node| snapshot.find(kinds::NODE, "", node));
            Ok(BoundTo { pod: Some(reference(&object)), node: node.map(|n| reference(n)), ..BoundTo::default() })
        }
        ("v1", "Secret") => {
            let object = find(kinds::SECRET, &account.namespace)?;
            Ok(BoundTo { secret: Some(reference(&object)), ..BoundTo::default() })
        }
        ("v1", "Node") => {
            let object = find(kinds::NODE, "")?;
            Ok(BoundTo { node: Some(reference(&object)), ..BoundTo::default() })
        }
        _ => Err(ApiError::bad_request(format!("cannot bind token to object of type {kind}"))),
    }
}

/// A node gets tokens only for pods that it runs.
fn check_node(identity: &Identity, account: &ObjectKey, bound: &BoundTo) -> Result<(), ApiError> {
    let Some(node) = identity.as_node() else { return Ok(()) };
    let refuse = |why: &str| Err(ApiError::forbidden(account.kind, &account.name, why));
    match (&bound.pod, &bound.node) {
        (None, _) => refuse("node requested token not bound to a pod"),
        (Some(_), Some(on)) if on.name == node => Ok(()),
        (Some(_), _) => refuse("node requested token bound to a pod scheduled on a different node"),
    }
}
