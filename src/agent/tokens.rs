//! The tokens that pods show to the API server: asked for when a pod's volume needs one, shown until most of their life
//! has passed, then asked for anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::{Api, PostParams};

use super::context::{self, ApiFailure, Context};

/// A token is replaced when this part of its life, in percent, has passed; a long-lived one once a day.
const STALE_PERCENT: i64 = 80;
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);
const DEFAULT_LIFETIME: i64 = 3600;

/// Pod, account and audience that a token is for.
type Key = (String, String, String);

#[derive(Default)]
pub struct Tokens {
    kept: Mutex<BTreeMap<Key, Kept>>,
}

struct Kept {
    token: String,
    stale: Timestamp,
}

/// How long a token that a volume asks for is shown.
pub fn shown_for(projection: &ServiceAccountTokenProjection) -> Duration {
    let lifetime = projection.expiration_seconds.unwrap_or(DEFAULT_LIFETIME);
    SignedDuration::from_secs(lifetime / 100 * STALE_PERCENT).min(LONGEST_USE).unsigned_abs()
}

/// A token of the pod's account, bound to the pod.
///
/// # Errors
/// When the API refuses or does not answer.
pub async fn of(
    context: &Context,
    pod: &Pod,
    projection: &ServiceAccountTokenProjection,
) -> Result<String, ApiFailure> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
    let account = account.unwrap_or_else(|| "default".to_owned());
    let key = (text(&pod.metadata.uid), account.clone(), text(&projection.audience));
    let now = context.clock.now();
    if let Some(token) = context.tokens.fresh(&key, now) {
        return Ok(token);
    }
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: projection.audience.iter().cloned().collect(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
            expiration_seconds: projection.expiration_seconds,
        },
        ..TokenRequest::default()
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let accounts: Api<ServiceAccount> = Api::namespaced(context.client.clone(), namespace);
    let options = PostParams::default();
    let answer = accounts.create_token_request(&account, &options, &request);
    let token = context::request(answer).await?.status.map(|status| status.token).unwrap_or_default();
    let used = SignedDuration::try_from(shown_for(projection)).unwrap_or(LONGEST_USE);
    let stale = now.saturating_add(used).unwrap_or(now);
    context.tokens.keep(key, Kept { token: token.clone(), stale });
    Ok(token)
}

impl Tokens {
    fn fresh(&self, key: &Key, now: Timestamp) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| kept.stale > now).map(|kept| kept.token.clone())
    }

    fn keep(&self, key: Key, token: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
    }

    /// Forgets the tokens of a pod that is gone.
    pub fn forget(&self, uid: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(pod, ..), _| pod != uid);
    }
}
