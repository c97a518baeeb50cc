//! Questions of a client about itself: who am I, and what may I do? (`kubectl auth whoami`, `kubectl auth can-i`.)
//! They are answered, never stored.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::identity::{Identity, authorize};
use super::path::Attributes;
use super::{answer, body};
use crate::object::ApiError;

/// A kind of question.
pub struct Review {
    pub group: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

pub const RESOURCES: &[Review] = &[
    Review {
        group: AUTHENTICATION,
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
    },
];

pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(who_am_i))
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(can_i))
        .route("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", post(what_can_i))
}

async fn who_am_i(Extension(identity): Extension<Identity>, request: Request) -> Response {
    answered(request, |review| {
        review["status"] = json!({"userInfo": {"username": identity.user, "groups": identity.groups}});
    })
    .await
}

async fn can_i(Extension(identity): Extension<Identity>, request: Request) -> Response {
    answered(request, |review| {
        let verdict = authorize(&identity, &asked(&review["spec"]));
        review["status"] = match verdict {
            Ok(()) => json!({"allowed": true}),
            Err(refusal) => json!({"allowed": false, "reason": refusal.message}),
        };
    })
    .await
}

async fn what_can_i(Extension(identity): Extension<Identity>, request: Request) -> Response {
    let everything = authorize(&identity, &Attributes { verb: "*", path: "*".into(), ..Attributes::default() }).is_ok();
    answered(request, |review| {
        // Rules other than "everything" depend on the object and cannot be listed.
        review["status"] = match everything {
            true => json!({"incomplete": false,
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}),
            false => json!({"incomplete": true, "resourceRules": [], "nonResourceRules": []}),
        };
    })
    .await
}

/// The request that an access review asks about.
fn asked(spec: &Value) -> Attributes {
    let resource = &spec["resourceAttributes"];
    let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    if resource.is_object() {
        return Attributes {
            verb: verb(resource["verb"].as_str().unwrap_or_default()),
            group: text("group"),
            version: text("version"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: String::new(),
        };
    }
    let plain = &spec["nonResourceAttributes"];
    Attributes {
        verb: verb(plain["verb"].as_str().unwrap_or_default()),
        path: plain["path"].as_str().unwrap_or_default().to_owned(),
        ..Attributes::default()
    }
}

/// The verbs that mean something; any other is allowed to those only who may do everything.
fn verb(name: &str) -> &'static str {
    const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    VERBS.into_iter().find(|v| *v == name).unwrap_or("other")
}

async fn answered(request: Request, answer: impl FnOnce(&mut Value)) -> Response {
    let read = async {
        let (parts, bytes) = body::read(request).await?;
        let review = body::decode_plain("Review", &parts, &bytes)?;
        if review.is_object() { Ok(review) } else { Err(ApiError::bad_request("a review must be an object")) }
    };
    match read.await {
        Ok(mut review) => {
            answer(&mut review);
            answer::value(StatusCode::CREATED, &review)
        }
        Err(error) => error.into_response(),
    }
}
