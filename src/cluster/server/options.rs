//! The options of writes: from the query, from a body of `DeleteOptions`, and what is said of wrong ones.
//! (Kubernetes API reference, `CreateOptions`, `UpdateOptions`, `PatchOptions`, `DeleteOptions`.)

use http::Method;
use serde_json::Value;

use super::body::PatchType;
use super::query::{self, Parameters};
use crate::cluster::registry::{DeleteOptions, FieldValidation, Preconditions, Propagation, WriteOptions};
use crate::object::error::About;
use crate::object::{ApiError, Cause, Reason};

/// One thing that is wrong with an option.
pub struct Wrong {
    pub field: &'static str,
    pub what: What,
}

pub enum What {
    Forbidden(&'static str),
    Required(&'static str),
    /// The value given, and those that there are.
    Unsupported(String, &'static str),
    /// The value given, and what is wrong with it.
    Invalid(String, &'static str),
    /// More bytes than this.
    TooLong(usize),
}

impl Wrong {
    fn cause(&self) -> Cause {
        let (reason, message) = match &self.what {
            What::Forbidden(why) => ("FieldValueForbidden", format!("Forbidden: {why}")),
            What::Required(why) => ("FieldValueRequired", format!("Required value: {why}")),
            What::Unsupported(value, supported) => {
                ("FieldValueNotSupported", format!("Unsupported value: {value}: supported values: {supported}"))
            }
            What::Invalid(value, why) => ("FieldValueInvalid", format!("Invalid value: {value:?}: {why}")),
            What::TooLong(most) => ("FieldValueTooLong", format!("Too long: may not be more than {most} bytes")),
        };
        Cause { reason: reason.into(), message, field: self.field.into() }
    }
}

/// `DeleteOptions.meta.k8s.io "" is invalid: ...`
pub fn invalid(kind: &str, wrong: &[Wrong]) -> ApiError {
    let causes: Vec<Cause> = wrong.iter().map(Wrong::cause).collect();
    let each: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let listed = match each.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let about = About { group: "meta.k8s.io".into(), kind: kind.into(), ..About::default() };
    let text = format!("{kind}.meta.k8s.io \"\" is invalid: {listed}");
    ApiError { about: Some(Box::new(about)), causes, ..ApiError::new(Reason::Invalid, text) }
}

/// The kind of options that go with a method.
fn kind_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        Method::DELETE => "DeleteOptions",
        _ => "PatchOptions",
    }
}

/// `dryRun`, `fieldValidation` and `force` of a write.
///
/// # Errors
/// When a parameter has a value that means nothing.
pub fn of_write(method: &Method, parameters: &Parameters) -> Result<WriteOptions, ApiError> {
    let mut wrong = Vec::new();
    let manager = parameters.text("fieldManager").unwrap_or_default();
    if manager.len() > LONGEST_MANAGER {
        wrong.push(Wrong { field: "fieldManager", what: What::TooLong(LONGEST_MANAGER) });
    }
    if manager.chars().any(char::is_control) {
        let what = What::Invalid(manager.to_owned(), "should only contain printable characters");
        wrong.push(Wrong { field: "fieldManager", what });
    }
    let dry_run = match parameters.text("dryRun") {
        None => false,
        Some("All") => true,
        Some(other) => {
            wrong.push(bad_dry_run(&[other]));
            true
        }
    };
    let validation = match parameters.text("fieldValidation") {
        None | Some("Warn") => FieldValidation::Warn,
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        Some(other) => {
            let supported = "\"\", \"Ignore\", \"Strict\", \"Warn\"";
            let what = What::Unsupported(format!("{other:?}"), supported);
            wrong.push(Wrong { field: "fieldValidation", what });
            FieldValidation::Warn
        }
    };
    if !wrong.is_empty() {
        return Err(invalid(kind_of(method), &wrong));
    }
    Ok(WriteOptions { validation, force: parameters.flag("force"), dry_run })
}

/// Bytes of the longest name that a field manager can have.
pub const LONGEST_MANAGER: usize = 128;

fn bad_dry_run(values: &[&str]) -> Wrong {
    Wrong { field: "dryRun", what: What::Unsupported(format!("{values:?}"), "\"All\"") }
}

/// Server-side apply has to know who applies; no other patch can be forced.
///
/// # Errors
/// When the request says too little, or what means nothing.
pub fn check_patch(patch: PatchType, parameters: &Parameters) -> Result<(), ApiError> {
    let manager = parameters.text("fieldManager");
    let wrong = match patch {
        PatchType::Apply if manager.is_none() => {
            Wrong { field: "fieldManager", what: What::Required("is required for apply patch") }
        }
        PatchType::Json | PatchType::Merge | PatchType::Strategic if parameters.has("force") => {
            Wrong { field: "force", what: What::Forbidden("may not be specified for non-apply patch") }
        }
        _ => return Ok(()),
    };
    Err(invalid("PatchOptions", &[wrong]))
}

/// The options of a deletion: those of the body win over those of the query.
///
/// # Errors
/// When an option has a value that means nothing.
pub fn of_delete(body: &Value, parameters: &Parameters, dry_run: bool) -> Result<DeleteOptions, ApiError> {
    let kind = "DeleteOptions";
    if let Some(other) = body["kind"].as_str().filter(|named| !matches!(*named, "" | "DeleteOptions")) {
        let version = body["apiVersion"].as_str().unwrap_or_default();
        return Err(ApiError::bad_request(format!("no kind {other:?} is registered for version {version:?}")));
    }
    let asked: Vec<&str> = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if asked.iter().any(|value| *value != "All") {
        return Err(invalid(kind, &[bad_dry_run(&asked)]));
    }
    let named = body["propagationPolicy"].as_str().or_else(|| parameters.text("propagationPolicy"));
    let propagation = match (named, body["orphanDependents"].as_bool()) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            let supported = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
            let what = What::Unsupported(format!("{other:?}"), supported);
            return Err(invalid(kind, &[Wrong { field: "propagationPolicy", what }]));
        }
    };
    let grace = match &body["gracePeriodSeconds"] {
        Value::Null => parameters.integer("gracePeriodSeconds")?,
        value => Some(value.as_i64().ok_or_else(|| not_an_integer(value))?),
    };
    let conditions = &body["preconditions"];
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation,
        preconditions: Preconditions {
            uid: conditions["uid"].as_str().map(str::to_owned),
            revision: conditions["resourceVersion"].as_str().map(query::revision).transpose()?,
        },
        dry_run: dry_run || !asked.is_empty(),
    })
}

fn not_an_integer(value: &Value) -> ApiError {
    let found = match value {
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(_) | Value::Null => "number",
    };
    let field = "DeleteOptions.gracePeriodSeconds";
    ApiError::bad_request(format!("json: cannot unmarshal {found} into Go struct field {field} of type int64"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_body_of_a_deletion_wins_over_its_query() {
        let parameters = Parameters::of(&"/x?gracePeriodSeconds=5&propagationPolicy=Orphan".parse().unwrap()).unwrap();
        let body = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}, "dryRun": ["All"]});
        let options = of_delete(&body, &parameters, false).unwrap();
        assert_eq!(options.grace_period_seconds, Some(0));
        assert_eq!(options.propagation, Some(Propagation::Orphan));
        assert_eq!(options.preconditions.uid.as_deref(), Some("u"));
        assert!(options.dry_run);
        for bad in [json!({"dryRun": ["Some"]}), json!({"gracePeriodSeconds": "1"}), json!({"kind": "Pod"})] {
            assert!(of_delete(&bad, &parameters, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        let of = |query: &str| {
            let parameters = Parameters::of(&format!("/x?{query}").parse().unwrap()).unwrap();
            of_write(&Method::POST, &parameters)
        };
        assert!(of("dryRun=All").unwrap().dry_run);
        assert_eq!(
            of("dryRun=Some").unwrap_err().message,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""
        );
        assert!(of("fieldValidation=Foo").is_err());
        assert!(of("fieldManager=%07").is_err());
        let long = of(&format!("fieldManager={}", "m".repeat(129))).unwrap_err();
        assert_eq!(
            long.message,
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes"
        );
    }
}
