//! Finds out who sends a request: the client certificate of its connection decides, else its bearer token, else the
//! caller is anonymous. A token that is wrong is refused, and not taken for anonymous.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;

use super::bootstrap_token;
use super::identity::Identity;
use super::tokens::{ISSUER, Tokens};
use crate::cluster::store::Snapshot;
use crate::object::{ApiError, Reason};

#[derive(Clone)]
pub struct Authenticator {
    pub tokens: Arc<Tokens>,
}

impl Authenticator {
    /// `connected` is whom the connection's certificate names.
    ///
    /// # Errors
    /// `Unauthorized` for a token that is not taken.
    pub fn identify(
        &self,
        snapshot: &Snapshot,
        connected: Option<Identity>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Identity, ApiError> {
        if let Some(identity) = connected {
            return Ok(identity);
        }
        let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Identity::anonymous()) };
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let token = bearer.ok_or_else(unauthorized)?;
        self.of_token(snapshot, token, &[ISSUER.to_owned()], now).map(|(identity, _)| identity).ok_or_else(unauthorized)
    }

    /// Who shows the token, and for which of `audiences` it is.
    pub fn of_token(
        &self,
        snapshot: &Snapshot,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Option<(Identity, Vec<String>)> {
        if bootstrap_token::is_one(token) {
            let known = bootstrap_token::identify(snapshot, token, now)?;
            return Some((known, vec![ISSUER.to_owned()]));
        }
        match self.tokens.identify(snapshot, token, audiences, now) {
            Ok(known) => Some(known),
            Err(why) => {
                // The client hears no reason: it might be an attacker's question.
                tracing::debug!(%why, "a token was refused");
                None
            }
        }
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(Reason::Unauthorized, "Unauthorized")
}
