//! Cuts lists into pages that all show one state, and reads and writes the tokens that join them. Tokens have
//! Kubernetes's form; what is in one comes from the client and is believed in nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Filter;
use super::list::candidates;
use super::query::{ListQuery, too_large};
use crate::cluster::store::{Snapshot, Store};
use crate::object::error::About;
use crate::object::{ApiError, Kind, Object, ObjectKey, Reason, Revision, views};

/// Snapshots that later pages of unfinished lists may still need; older ones expire.
const KEPT: usize = 64;
/// The one version of tokens.
const VERSION: &str = "meta.k8s.io/v1";
/// In place of a revision: whatever the latest state is.
const LATEST: i64 = -1;

/// A page of a list.
pub struct Page {
    pub objects: Vec<Arc<Object>>,
    pub metadata: Value,
}

/// Remembers the snapshots that unfinished lists were started on, so that all pages show one revision.
pub struct Pages {
    store: Store,
    kept: Mutex<VecDeque<Arc<Snapshot>>>,
}

/// Where the next page starts: `start` is the last object of the page before it, within the collection, and a zero byte.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Pages {
    pub fn new(store: Store) -> Self {
        Self { store, kept: Mutex::default() }
    }

    fn keep(&self, snapshot: &Arc<Snapshot>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|s| s.revision() == snapshot.revision()) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(snapshot.clone());
    }

    fn at(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = || {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().find(|s| s.revision() == revision).cloned()
        };
        self.store.state_at(revision).or_else(kept)
    }

    /// The objects that `query` asks for, and where the next page starts.
    ///
    /// # Errors
    /// `Expired` when a token's revision is gone; `Timeout` when a revision is asked for that is yet to come.
    pub fn page(
        &self,
        latest: Arc<Snapshot>,
        kind: &'static Kind,
        filter: &Filter,
        query: &ListQuery,
    ) -> Result<Page, ApiError> {
        let token = query.continue_token.as_deref().map(Token::decode).transpose()?;
        let snapshot = match &token {
            Some(_) if query.revision.is_some_and(|revision| revision.0 > 0) => {
                let why = "specifying resource version is not allowed when using continue";
                return Err(ApiError::bad_request(why));
            }
            Some(token) => self.snapshot_of(token, latest)?,
            None => self.snapshot_for(latest, query)?,
        };
        let stored = views::stored(kind);
        let start = token.map(|token| token.last(stored, &filter.namespace));
        let mut matching = candidates(&snapshot, stored, filter)
            .filter(|o| start.as_ref().is_none_or(|s| o.key > *s))
            .map(|o| snapshot.kinds().seen_as(stored, o))
            .filter(|o| filter.matches(o))
            .map(|o| snapshot.kinds().seen_as(kind, &o));
        let objects: Vec<Arc<Object>> = match query.limit {
            Some(limit) => matching.by_ref().take(limit).collect(),
            None => matching.by_ref().collect(),
        };
        let remaining = matching.count();
        let mut metadata = json!({"resourceVersion": snapshot.revision().to_string()});
        if let (true, Some(last)) = (remaining > 0, objects.last()) {
            metadata["continue"] = json!(Token::after(snapshot.revision(), &last.key, &filter.namespace).encode());
            // With a selector the rest would have to be counted object by object, so the API leaves it out.
            if filter.is_everything() {
                metadata["remainingItemCount"] = json!(remaining);
            }
            self.keep(&snapshot);
        }
        Ok(Page { objects, metadata })
    }

    fn snapshot_of(&self, token: &Token, latest: Arc<Snapshot>) -> Result<Arc<Snapshot>, ApiError> {
        let Ok(revision) = u64::try_from(token.rv).map(Revision) else { return Ok(latest) };
        if revision == latest.revision() {
            return Ok(latest);
        }
        if revision > latest.revision() {
            return Err(too_large(revision, latest.revision()));
        }
        self.at(revision).ok_or_else(|| token.expired())
    }

    fn snapshot_for(&self, latest: Arc<Snapshot>, query: &ListQuery) -> Result<Arc<Snapshot>, ApiError> {
        let Some(asked) = query.revision.filter(|r| r.0 > 0) else { return Ok(latest) };
        if asked > latest.revision() {
            return Err(too_large(asked, latest.revision()));
        }
        if query.exact && asked < latest.revision() {
            return self.at(asked).ok_or_else(|| {
                ApiError::new(Reason::Expired, "The resourceVersion for the provided list is too old.")
            });
        }
        Ok(latest)
    }
}

impl Token {
    fn after(revision: Revision, last: &ObjectKey, within: &str) -> Self {
        let place = match (within, last.namespace.as_str()) {
            ("", namespace) if !namespace.is_empty() => format!("{namespace}/"),
            _ => String::new(),
        };
        let rv = i64::try_from(revision.0).unwrap_or(i64::MAX);
        Self { v: VERSION.into(), rv, start: format!("{place}{}\0", last.name) }
    }

    /// The object that the page before ended with.
    fn last(&self, kind: &'static Kind, within: &str) -> ObjectKey {
        let start = self.start.strip_suffix('\0').unwrap_or(&self.start);
        let (namespace, name) = match start.split_once('/') {
            Some((namespace, name)) if within.is_empty() => (namespace, name),
            _ => (within, start),
        };
        ObjectKey::new(kind, namespace, name)
    }

    /// The state is gone that the list began on. Its rest can still be had, from the latest state.
    fn expired(&self) -> ApiError {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";
        let on = Self { v: VERSION.into(), rv: LATEST, start: self.start.clone() };
        let about = About { continue_token: on.encode(), ..About::default() };
        ApiError { about: Some(Box::new(about)), ..ApiError::new(Reason::Expired, message) }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid =
            |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid(""))?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|_| match String::from_utf8_lossy(&bytes).chars().next() {
                None => invalid(": unexpected end of JSON input"),
                Some(first) => invalid(&format!(": invalid character '{first}' looking for beginning of value")),
            })?;
        let version = value["v"].as_str().unwrap_or_default();
        if version != VERSION {
            return Err(invalid(&format!(": server does not recognize this encoded version {version}")));
        }
        let token: Self = serde_json::from_value(value).map_err(|_| invalid(""))?;
        // A path that leads anywhere but straight into the collection was not written here.
        let strays = |part: &str| matches!(part, "" | "." | "..");
        match token.start.trim_start_matches('/') {
            _ if token.rv == 0 => Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")),
            _ if token.start.is_empty() => Err(invalid(": encoded start key empty (version meta.k8s.io/v1)")),
            start if start.split('/').any(strays) => Err(invalid("")),
            _ => Ok(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_token_leads_back_to_the_object_that_it_was_made_of() {
        let key = ObjectKey::new(kinds::CONFIG_MAP, "d", "a.b");
        let node = ObjectKey::new(kinds::NODE, "", "n");
        for (key, within, start) in [(&key, "d", "a.b\0"), (&key, "", "d/a.b\0"), (&node, "", "n\0")] {
            let token = Token::decode(&Token::after(Revision(7), key, within).encode()).expect("a token of ours");
            assert_eq!((token.rv, &*token.start), (7, start));
            assert_eq!(token.last(key.kind, within), *key);
        }
    }

    #[test]
    fn tokens_that_were_not_made_here_are_refused() {
        let refused = |json: &str| Token::decode(&URL_SAFE_NO_PAD.encode(json)).err().map(|error| error.message);
        for (json, why) in [
            ("", ": unexpected end of JSON input"),
            ("x", ": invalid character 'x' looking for beginning of value"),
            (r#"{"v":"v9","rv":1,"start":"a"}"#, ": server does not recognize this encoded version v9"),
            (
                r#"{"v":"meta.k8s.io/v1","start":"a"}"#,
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (r#"{"v":"meta.k8s.io/v1","rv":5}"#, ": encoded start key empty (version meta.k8s.io/v1)"),
            (r#"{"v":"meta.k8s.io/v1","rv":5,"start":"../secrets"}"#, ""),
            (r#"{"v":"meta.k8s.io/v1","rv":"5","start":"a"}"#, ""),
        ] {
            let want = format!("invalid continue token: continue key is not valid{why}");
            assert_eq!(refused(json), Some(want), "{json}");
        }
        assert!(Token::decode("*").is_err());
    }
}
