//! Calls of other people's HTTP APIs: bounded in time and size, without redirects, and with errors that show no secret.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::sync::blocking::blocking;
use crate::sync::mirror::scrub;

const CONNECT_TIME: Duration = Duration::from_secs(5);
const WHOLE_TIME: Duration = Duration::from_secs(15);
/// A page of comments.
const MAX_ANSWER: u64 = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Put,
}

/// A request; its headers may be secret.
#[derive(Clone, PartialEq)]
pub struct Call {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    /// JSON, already written: it may be signed. Empty for none.
    pub body: String,
}

/// Sends calls.
#[derive(Clone)]
pub struct Client(Agent);

impl Default for Client {
    fn default() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_global(Some(WHOLE_TIME))
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(Agent::new_with_config(config))
    }
}

impl Client {
    /// Gives the answer's JSON, null when it is none.
    ///
    /// # Errors
    /// When nobody answers, or with anything but success.
    pub async fn send(&self, call: Call) -> Result<Value, String> {
        let agent = self.0.clone();
        blocking(move || send(&agent, &call)).await
    }
}

fn send(agent: &Agent, call: &Call) -> Result<Value, String> {
    // Some hooks have their secret in the path: only the host is told.
    let shown = scrub(&call.url);
    let place = shown.split('/').take(3).collect::<Vec<_>>().join("/");
    let answered = match call.method {
        Method::Get => {
            let request =
                call.headers.iter().fold(agent.get(&call.url), |request, (name, value)| request.header(*name, value));
            request.call()
        }
        with_body => {
            let request = match with_body {
                Method::Patch => agent.patch(&call.url),
                Method::Put => agent.put(&call.url),
                Method::Get | Method::Post => agent.post(&call.url),
            };
            let request = call.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            request.header("content-type", "application/json").send(&call.body)
        }
    };
    let mut answer = answered.map_err(|error| format!("{place} does not answer: {error}"))?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
    if !status.is_success() {
        let text = text.unwrap_or_default();
        let message = serde_json::from_str::<Value>(&text).ok();
        let message = message.and_then(|message| message["message"].as_str().map(str::to_owned));
        return Err(format!("{place} answers {status}{}", message.map(|text| format!(": {text}")).unwrap_or_default()));
    }
    let text = text.map_err(|error| format!("{place} stops in its answer: {error}"))?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
