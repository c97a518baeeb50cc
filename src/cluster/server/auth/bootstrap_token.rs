//! Bootstrap tokens: what a machine that knows nothing yet shows in order to join. `abcdef.0123456789abcdef` is kept
//! in the Secret `kube-system/bootstrap-token-abcdef`. (Kubernetes reference, "Authenticating with Bootstrap Tokens".)

use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;

use k8s_openapi::api::core::v1::Secret;

use super::identity::Identity;
use crate::cluster::store::Snapshot;
use crate::object::kinds;

const TYPE: &str = "bootstrap.kubernetes.io/token";
const GROUP: &str = "system:bootstrappers";

/// Whether the text has the form of a bootstrap token.
pub fn is_one(token: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    token.split_once('.').is_some_and(|(id, secret)| id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret))
}

/// Who shows the token; `None` when there is no such token, it has expired, or is not for authentication.
pub fn identify(snapshot: &Snapshot, token: &str, now: Timestamp) -> Option<Identity> {
    let (id, secret) = token.split_once('.')?;
    let object = snapshot.find(kinds::SECRET, "kube-system", &format!("bootstrap-token-{id}"))?;
    let kept = object.typed::<Secret>().ok()?;
    let text = |key: &str| {
        let bytes = kept.data.as_ref()?.get(key)?;
        std::str::from_utf8(&bytes.0).ok()
    };
    let right = is_same(text("token-secret")?, secret);
    let fresh = text("expiration").is_none_or(|time| time.parse::<Timestamp>().is_ok_and(|end| end > now));
    let meant = kept.type_.as_deref() == Some(TYPE)
        && text("token-id") == Some(id)
        && text("usage-bootstrap-authentication") == Some("true")
        && !object.meta.is_deleting();
    if !(right && fresh && meant) {
        return None;
    }
    let extra = text("auth-extra-groups").unwrap_or_default();
    let extra = extra.split(',').filter(|group| group.starts_with("system:bootstrappers:")).map(str::to_owned);
    Some(Identity::authenticated(format!("system:bootstrap:{id}"), std::iter::once(GROUP.to_owned()).chain(extra)))
}

/// Compares in a time that tells nothing of where the texts differ: by their codes under a key that nobody knows.
fn is_same(kept: &str, shown: &str) -> bool {
    let Ok(key) = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()) else { return false };
    hmac::verify(&key, kept.as_bytes(), hmac::sign(&key, shown.as_bytes()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::registry::{self, Author, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_token_is_taken_until_it_expires_and_only_for_what_it_is_for() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        registry::bootstrap(&registry).await.unwrap();
        let token = |id: &str, usage: &str| {
            json!({"metadata": {"name": format!("bootstrap-token-{id}")}, "type": TYPE, "stringData": {
                "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": usage,
                "expiration": "2030-01-01T00:00:00Z", "auth-extra-groups": "system:bootstrappers:nodes,system:masters"}})
        };
        for secret in [token("abcdef", "true"), token("uvwxyz", "false")] {
            let author = Author::controller("test");
            registry.create(&author, kinds::SECRET, "kube-system", secret, WriteOptions::default()).await.unwrap();
        }
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let cases = [
            ("abcdef.0123456789abcdef", "2029-12-31T00:00:00Z", true),
            ("abcdef.0123456789abcdef", "2030-01-02T00:00:00Z", false),
            ("abcdef.0123456789abcdee", "2029-12-31T00:00:00Z", false),
            ("uvwxyz.0123456789abcdef", "2029-12-31T00:00:00Z", false),
            ("nosuch.0123456789abcdef", "2029-12-31T00:00:00Z", false),
        ];
        for (shown, time, want) in cases {
            assert!(is_one(shown));
            let found = identify(&registry.snapshot(), shown, at(time));
            assert_eq!(found.is_some(), want, "{shown} at {time}");
            if let Some(identity) = found {
                assert_eq!(identity.groups, [GROUP, "system:bootstrappers:nodes", "system:authenticated"]);
            }
        }
        assert!(!is_one("eyJhbGciOi.J9.x") && !is_one("ABCDEF.0123456789abcdef"));
        tasks.stop().await;
    }
}
