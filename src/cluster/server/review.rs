//! Questions about who somebody is and what they may do (`kubectl auth whoami`, `kubectl auth can-i`, and the reviews
//! of programs that leave these decisions to the cluster). They are answered, never stored.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Server;
use super::auth::{Authenticator, Identity, Selected, decide};
use super::path::Attributes;
use super::{answer, body};
use crate::cluster::rbac::{self, Ask};
use crate::object::{ApiError, clock};

/// A kind of question.
pub struct Review {
    pub group: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub namespaced: bool,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

const fn review(group: &'static str, kind: &'static str, plural: &'static str, singular: &'static str) -> Review {
    Review { group, kind, plural, singular, namespaced: false }
}

pub const RESOURCES: &[Review] = &[
    review(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"),
    review(AUTHENTICATION, "TokenReview", "tokenreviews", "tokenreview"),
    Review {
        namespaced: true,
        ..review(AUTHORIZATION, "LocalSubjectAccessReview", "localsubjectaccessreviews", "localsubjectaccessreview")
    },
    review(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"),
    review(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"),
    review(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview"),
];

pub fn routes() -> Router<Arc<Server>> {
    let local = "/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews";
    Router::new()
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(who_am_i))
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(whose_is_it))
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(can_i))
        .route("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", post(what_can_i))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(can_they))
        .route(local, post(can_they_here))
}

type Asked = (State<Arc<Server>>, Extension<Identity>);

async fn who_am_i((State(server), Extension(identity)): Asked, request: Request) -> Response {
    let now = clock::rfc3339(server.registry.clock().now());
    answered(request, |review| {
        review["metadata"]["creationTimestamp"] = json!(now);
        review["status"] = json!({"userInfo": identity.user_info()});
        Ok(())
    })
    .await
}

/// TokenReview: whom does this token name?
async fn whose_is_it(State(server): State<Arc<Server>>, request: Request) -> Response {
    answered(request, |review| {
        let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
        }
        let mut audiences = Vec::<String>::deserialize(&review["spec"]["audiences"]).unwrap_or_default();
        if audiences.is_empty() {
            audiences.push(super::auth::ISSUER.to_owned());
        }
        let authenticator = Authenticator { tokens: server.tokens.clone() };
        let now = server.registry.clock().now();
        let known = authenticator.of_token(&server.registry.snapshot(), &token, &audiences, now);
        review["status"] = match known {
            Some((identity, audiences)) => {
                json!({"authenticated": true, "user": identity.user_info(), "audiences": audiences})
            }
            None => json!({"user": {}, "error": "the token is not one of this cluster, or not any more"}),
        };
        Ok(())
    })
    .await
}

async fn can_i((State(server), Extension(identity)): Asked, request: Request) -> Response {
    answered(request, |review| {
        review["status"] = judged(&server, &identity, &review["spec"])?;
        Ok(())
    })
    .await
}

async fn can_they(State(server): State<Arc<Server>>, request: Request) -> Response {
    answered(request, |review| {
        review["status"] = judged(&server, &subject(&review["spec"])?, &review["spec"])?;
        Ok(())
    })
    .await
}

async fn can_they_here(
    State(server): State<Arc<Server>>,
    Extension(attributes): Extension<Attributes>,
    request: Request,
) -> Response {
    answered(request, |review| {
        let named = review["spec"]["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
        if named != attributes.namespace {
            let why = format!("must match the namespace {:?} of the request", attributes.namespace);
            return Err(ApiError::bad_request(format!(
                "spec.resourceAttributes.namespace: Invalid value: {named:?}: {why}"
            )));
        }
        review["status"] = judged(&server, &subject(&review["spec"])?, &review["spec"])?;
        Ok(())
    })
    .await
}

async fn what_can_i((State(server), Extension(identity)): Asked, request: Request) -> Response {
    answered(request, |review| {
        let namespace = review["spec"]["namespace"].as_str().unwrap_or_default().to_owned();
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let (rules, missing) = rbac::rules_of(&server.registry.snapshot(), identity.caller(), &namespace);
        let (paths, resources): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|rule| rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()));
        // What a node may do depends on its pods and cannot be listed.
        let incomplete = identity.as_node().is_some() || !missing.is_empty();
        review["status"] = json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": incomplete});
        if !missing.is_empty() {
            review["status"]["evaluationError"] = json!(missing.join(", "));
        }
        Ok(())
    })
    .await
}

fn subject(spec: &Value) -> Result<Identity, ApiError> {
    let user = spec["user"].as_str().unwrap_or_default();
    let groups = Vec::<String>::deserialize(&spec["groups"]).unwrap_or_default();
    if user.is_empty() && groups.is_empty() {
        let message = "spec.user: Invalid value: \"\": at least one of user or group must be specified";
        return Err(ApiError::bad_request(message));
    }
    Ok(Identity { user: user.to_owned(), groups, ..Identity::default() })
}

fn judged(server: &Server, identity: &Identity, spec: &Value) -> Result<Value, ApiError> {
    let (resource, plain) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() == plain.is_object() {
        let message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(ApiError::bad_request(message));
    }
    let text = |name: &str| resource[name].as_str().or(plain[name].as_str()).unwrap_or_default();
    let selector = |of: &str| resource[of]["rawSelector"].as_str().unwrap_or_default();
    let selected = Selected { fields: selector("fieldSelector"), labels: selector("labelSelector") };
    let ask = Ask {
        verb: text("verb"),
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        name: text("name"),
        path: text("path"),
    };
    let verdict = decide(&server.registry.snapshot(), identity, text("namespace"), &ask, selected);
    let mut status = json!({"allowed": verdict.allowed});
    if !verdict.reason.is_empty() {
        status["reason"] = json!(verdict.reason);
    }
    Ok(status)
}

async fn answered(request: Request, answer: impl FnOnce(&mut Value) -> Result<(), ApiError>) -> Response {
    let read = async {
        let (parts, bytes) = body::read(request).await?;
        let mut review = body::decode_plain("Review", &parts, &bytes)?;
        if !review.is_object() {
            return Err(ApiError::bad_request("a review must be an object"));
        }
        if !review["metadata"].is_object() {
            review["metadata"] = json!({});
        }
        answer(&mut review)?;
        Ok(review)
    };
    match read.await {
        Ok(review) => answer::value(StatusCode::CREATED, &review),
        Err(error) => error.into_response(),
    }
}
