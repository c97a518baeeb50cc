//! The wire's Status: why a request was refused, in Kubernetes's words and codes.
//! (Kubernetes API conventions, "Response Status Kind".)

use std::fmt;

use serde_json::{Value, json};

use super::kinds::Kind;

/// A refusal that goes to a client as a `Status` object.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub reason: Reason,
    pub message: String,
    /// `details.name`, `details.group` and `details.kind`, where the error is about one object.
    pub about: Option<Box<About>>,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: Option<u32>,
    /// What was odd about the request besides, for the Warning header.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    pub name: String,
    pub group: String,
    /// The plural for most reasons, the kind for `Invalid`, as Kubernetes has it.
    pub kind: String,
    pub uid: String,
    /// `metadata.continue`, with which an expired list can be gone on with; the error is about no object then.
    pub continue_token: String,
}

/// One thing that is wrong, with the path of its field.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// For example `FieldValueInvalid`, `FieldManagerConflict`.
    pub reason: String,
    pub message: String,
    pub field: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    /// A failure that Kubernetes answers without a reason.
    Unknown,
}

impl Reason {
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError | Self::Unknown => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ApiError {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            about: None,
            causes: Vec::new(),
            retry_after_seconds: None,
            warnings: Vec::new(),
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// `deployments.apps "web" not found`
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(Reason::NotFound, kind, name, format!("{} \"{name}\" not found", kind.qualified()))
    }

    /// `deployments.apps "web" already exists`
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::about(Reason::AlreadyExists, kind, name, format!("{} \"{name}\" already exists", kind.qualified()))
    }

    /// `deployments.apps "web" is forbidden: WHY`
    pub fn forbidden(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        Self::about(Reason::Forbidden, kind, name, format!("{} \"{name}\" is forbidden: {why}", kind.qualified()))
    }

    /// `Operation cannot be fulfilled on deployments.apps "web": WHY`
    pub fn conflict(kind: &Kind, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::about(Reason::Conflict, kind, name, message)
    }

    /// The conflict of a write that was computed from an older state of the object.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// `Deployment.apps "web" is invalid: CAUSES`, all causes in one answer.
    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let mut each: Vec<String> = Vec::with_capacity(causes.len());
        // Kubernetes lists each cause, and says the same words only once.
        for line in causes.iter().map(|c| format!("{}: {}", c.field, c.message)) {
            if !each.contains(&line) {
                each.push(line);
            }
        }
        let listed = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {listed}", kind.qualified_kind());
        let about = About { name: name.into(), group: kind.group.into(), kind: kind.kind.into(), ..About::default() };
        Self { about: Some(Box::new(about)), causes, ..Self::new(Reason::Invalid, message) }
    }

    pub fn about(reason: Reason, kind: &Kind, name: &str, message: String) -> Self {
        let about = About { name: name.into(), group: kind.group.into(), kind: kind.plural.into(), ..About::default() };
        Self { about: Some(Box::new(about)), ..Self::new(reason, message) }
    }

    /// The refusal, with what was to be said had the request been granted.
    #[must_use]
    pub fn warned(self, warnings: &[String]) -> Self {
        Self { warnings: [&self.warnings, warnings].concat(), ..self }
    }

    /// The `Status` object for the answer's body.
    pub fn to_status(&self) -> Value {
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.reason.code()});
        let about = self.about.as_deref();
        if let Some(token) = about.map(|about| &about.continue_token).filter(|token| !token.is_empty()) {
            status["metadata"]["continue"] = json!(token);
        }
        if self.reason != Reason::Unknown {
            status["reason"] = json!(self.reason.to_string());
        }
        let mut details = serde_json::Map::new();
        let members =
            about.iter().flat_map(|a| [("name", &a.name), ("group", &a.group), ("kind", &a.kind), ("uid", &a.uid)]);
        for (name, value) in members.filter(|(_, value)| !value.is_empty()) {
            details.insert(name.into(), json!(value));
        }
        let causes: Vec<Value> = self.causes.iter().map(Cause::to_json).collect();
        if !causes.is_empty() {
            details.insert("causes".into(), json!(causes));
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), json!(seconds));
        }
        if about.is_some_and(|about| about.continue_token.is_empty()) || !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        status
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let members = [("reason", &self.reason), ("message", &self.message), ("field", &self.field)];
        members.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), json!(v))).collect()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::kinds;

    #[test]
    fn a_missing_object_reads_as_in_kubernetes() {
        let status = ApiError::not_found(kinds::DEPLOYMENT, "web").to_status();
        assert_eq!(
            status,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "deployments.apps \"web\" not found", "reason": "NotFound",
            "details": {"name": "web", "group": "apps", "kind": "deployments"}, "code": 404})
        );
    }
}
