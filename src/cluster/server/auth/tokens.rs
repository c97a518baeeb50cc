//! Tokens of service accounts: signed statements (RFC 7519) of which account a caller is, for whom, until when, and to
//! which pod the token is bound. One is good for as long as it says, and no longer than what it names exists.
//! (Kubernetes reference, "Managing Service Accounts", and the TokenRequest API.)

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PublicKeyData};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::identity::Identity;
use crate::cluster::server::pki::{PkiError, private_key};
use crate::cluster::store::Snapshot;
use crate::object::{Kind, kinds};

/// Who issues the tokens, and for whom unless they are asked for somebody else.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// A clock that is behind by this much still takes a token that was just issued.
const LEEWAY: i64 = 5;
/// Longer than any token that is issued here.
const LONGEST: usize = 16 * 1024;

/// Issues and checks tokens with the cluster's key.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    /// The public key as a JSON Web Key (RFC 7517).
    key: Value,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not one of this cluster: {0}")]
    Foreign(String),
    #[error("the token is valid from {from} until {until}")]
    Time { from: i64, until: i64 },
    #[error("the token is for {0:?}")]
    Audience(Vec<String>),
    #[error("{0} that the token names does not exist any more")]
    Gone(String),
    #[error("the token cannot be signed: {0}")]
    Sign(String),
}

/// An object that a token lives and dies with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub name: String,
    pub uid: String,
}

/// What a token is bound to beside its account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundTo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    nbf: i64,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    private: Private,
}

#[derive(Serialize, Deserialize)]
struct Private {
    namespace: String,
    serviceaccount: Reference,
    #[serde(flatten)]
    bound: BoundTo,
}

/// What is to be stated in a token.
pub struct Statement<'a> {
    pub namespace: &'a str,
    pub account: Reference,
    pub audiences: Vec<String>,
    pub bound: BoundTo,
    pub lifetime: SignedDuration,
}

impl Tokens {
    /// With the key in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// When the key cannot be read, made or kept.
    pub fn open(folder: &Path) -> Result<Self, PkiError> {
        Ok(Self::with(&private_key(folder, "service-accounts")?))
    }

    /// With a key that is forgotten with the process.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn ephemeral() -> Result<Self, PkiError> {
        let pair = KeyPair::generate().map_err(|source| PkiError::Issue { subject: "tokens".into(), source })?;
        Ok(Self::with(&pair))
    }

    fn with(pair: &KeyPair) -> Self {
        let point = pair.der_bytes();
        // An uncompressed point: 4, then 32 bytes each of x and y.
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, point);
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "kid": URL_SAFE_NO_PAD.encode(digest.as_ref()), "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
        Self {
            encoding: EncodingKey::from_ec_der(&pair.serialize_der()),
            decoding: DecodingKey::from_ec_der(point),
            key,
        }
    }

    /// The public keys, for others that want to check tokens themselves (OpenID Connect Discovery).
    pub fn keys(&self) -> Value {
        json!({"keys": [self.key]})
    }

    /// Signs a token; gives it and the time when it ends.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn issue(&self, statement: Statement<'_>, now: Timestamp) -> Result<(String, Timestamp), TokenError> {
        let Statement { namespace, account, audiences, bound, lifetime } = statement;
        let end = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user(namespace, &account.name),
            aud: audiences,
            exp: end.as_second(),
            iat: now.as_second(),
            nbf: now.as_second(),
            jti: uuid::Uuid::new_v4().to_string(),
            private: Private { namespace: namespace.to_owned(), serviceaccount: account, bound },
        };
        let header = Header { kid: self.key["kid"].as_str().map(str::to_owned), ..Header::new(Algorithm::ES256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding);
        Ok((token.map_err(|error| TokenError::Sign(error.to_string()))?, end))
    }

    /// Who shows the token, and which of `audiences` it is for.
    ///
    /// # Errors
    /// Why the token is not taken.
    pub fn identify(
        &self,
        snapshot: &Snapshot,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(Identity, Vec<String>), TokenError> {
        let Claims { aud, exp, nbf, jti, private, .. } = self.decode(token)?;
        let second = now.as_second();
        if second >= exp || second + LEEWAY < nbf {
            return Err(TokenError::Time { from: nbf, until: exp });
        }
        let matched: Vec<String> = audiences.iter().filter(|wanted| aud.contains(wanted)).cloned().collect();
        if matched.is_empty() {
            return Err(TokenError::Audience(aud));
        }
        let Private { namespace, serviceaccount: account, bound } = private;
        exists(snapshot, kinds::SERVICE_ACCOUNT, &namespace, &account, now)?;
        let mut extra = BTreeMap::new();
        let mut add =
            |key: &str, value: String| extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
        add("credential-id", format!("JTI={jti}"));
        if let Some(pod) = &bound.pod {
            exists(snapshot, kinds::POD, &namespace, pod, now)?;
            add("pod-name", pod.name.clone());
            add("pod-uid", pod.uid.clone());
        }
        if let Some(secret) = &bound.secret {
            exists(snapshot, kinds::SECRET, &namespace, secret, now)?;
        }
        if let Some(node) = &bound.node {
            if bound.pod.is_none() {
                exists(snapshot, kinds::NODE, "", node, now)?;
            }
            add("node-name", node.name.clone());
            add("node-uid", node.uid.clone());
        }
        let identity = Identity { uid: account.uid, extra, ..service_account(&namespace, &account.name) };
        Ok((identity, matched))
    }

    fn decode(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Foreign("it is too long".into()));
        }
        // Only this algorithm is taken, whatever the token says of itself.
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[ISSUER]);
        // Times and audiences are checked above, against the cluster's own clock.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules);
        decoded.map(|data| data.claims).map_err(|error| TokenError::Foreign(error.to_string()))
    }
}

/// The identity of an account, whoever vouches for it.
pub fn service_account(namespace: &str, name: &str) -> Identity {
    let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    Identity::authenticated(user(namespace, name), groups)
}

fn user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// An object of the same name that was made anew is another one. One that is being deleted counts until its grace
/// period has passed.
fn exists(
    snapshot: &Snapshot,
    kind: &'static Kind,
    namespace: &str,
    wanted: &Reference,
    now: Timestamp,
) -> Result<(), TokenError> {
    let found = snapshot.find(kind, namespace, &wanted.name);
    let alive = found.is_some_and(|object| {
        let ended = object.meta.deleted.is_some_and(|end| end.saturating_add(AFTER_DELETION).unwrap_or(end) < now);
        object.meta.uid == wanted.uid && !ended
    });
    if alive { Ok(()) } else { Err(TokenError::Gone(format!("{} {namespace}/{}", kind.singular, wanted.name))) }
}

/// A pod that ends may still use its token this long after its grace period.
const AFTER_DELETION: SignedDuration = SignedDuration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registry::{self, Author, DeleteOptions, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::{Clock, ObjectKey};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_token_is_good_for_its_account_its_audience_and_its_time() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        registry::bootstrap(&registry).await.unwrap();
        let author = Author::controller("test");
        let account = json!({"metadata": {"name": "robot"}});
        let made = registry.create(&author, kinds::SERVICE_ACCOUNT, "default", account, WriteOptions::default());
        let uid = made.await.unwrap().object.meta.uid.clone();
        let (ours, theirs) = (Tokens::ephemeral().unwrap(), Tokens::ephemeral().unwrap());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later = |seconds: i64| now + SignedDuration::from_secs(seconds);
        let statement = |audience: &str| Statement {
            namespace: "default",
            account: Reference { name: "robot".into(), uid: uid.clone() },
            audiences: vec![audience.into()],
            bound: BoundTo::default(),
            lifetime: SignedDuration::from_secs(600),
        };
        let (token, end) = ours.issue(statement(ISSUER), now).unwrap();
        assert_eq!(end, later(600));
        let api = [ISSUER.to_owned()];
        let snapshot = registry.snapshot();
        let (identity, audiences) = ours.identify(&snapshot, &token, &api, later(1)).unwrap();
        assert_eq!(identity.user, "system:serviceaccount:default:robot");
        assert_eq!(
            identity.groups,
            ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
        );
        assert_eq!((identity.uid.as_str(), audiences), (uid.as_str(), api.to_vec()));

        let refused = |token: &str, at: i64| ours.identify(&snapshot, token, &api, later(at)).unwrap_err();
        assert!(matches!(refused(&token, 600), TokenError::Time { .. }));
        assert!(matches!(refused(&token, -60), TokenError::Time { .. }));
        assert!(matches!(refused(&ours.issue(statement("vault"), now).unwrap().0, 1), TokenError::Audience(_)));
        assert!(matches!(refused(&theirs.issue(statement(ISSUER), now).unwrap().0, 1), TokenError::Foreign(_)));
        // `alg: none`, with the claims of a good one.
        let claims = token.split('.').nth(1).unwrap();
        let none = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
        for bad in [none.as_str(), "x", "a.b.c", "", &"x".repeat(LONGEST + 1), &token[..token.len() - 3]] {
            assert!(matches!(refused(bad, 1), TokenError::Foreign(_)), "{bad:.40}");
        }

        let key = ObjectKey::new(kinds::SERVICE_ACCOUNT, "default", "robot");
        registry.delete(&author, &key, &DeleteOptions::default()).await.unwrap();
        let gone = ours.identify(&registry.snapshot(), &token, &api, later(1));
        assert!(matches!(gone, Err(TokenError::Gone(_))));
        tasks.stop().await;
    }
}
