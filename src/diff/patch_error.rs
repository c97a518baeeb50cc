//! Why a patch was refused, in Kubernetes's words and codes.

use serde_json::Value;

use crate::object::error::About;
use crate::object::{ApiError, Reason};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PatchError {
    #[error("error decoding patch: json: cannot unmarshal {got} into Go value of type {want}")]
    Document { got: &'static str, want: &'static str },
    #[error("Request entity too large: The allowed maximum operations in a JSON patch is {max}, got {got}")]
    TooManyOperations { max: usize, got: usize },
    #[error("Request entity too large: the patch makes the object larger than {max} bytes")]
    TooLarge { max: usize },
    /// An operation of a JSON Patch that does not fit the object.
    #[error("the server rejected our request due to an error in our request")]
    Rejected,
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive { directive: String, map: String },
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey { map: String, key: &'static str },
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirectiveInList,
    #[error("list element types are not identical: [{current} {patch}]")]
    MixedList { current: String, patch: String },
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order { patch: String, order: String },
    #[error("expected a []interface{{}}, but received a {got}")]
    NotAList { got: &'static str },
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        let reason = match error {
            PatchError::Document { .. } | PatchError::RetainKeys => Reason::BadRequest,
            PatchError::TooManyOperations { .. } | PatchError::TooLarge { .. } => Reason::RequestEntityTooLarge,
            PatchError::Rejected => {
                let about = Some(Box::new(About::default()));
                return Self { about, ..Self::new(Reason::Invalid, error.to_string()) };
            }
            _ => Reason::Unknown,
        };
        Self::new(reason, error.to_string())
    }
}

/// A value as Go prints it, which is how Kubernetes quotes a patch: `map[a:1 b:[x y]]`.
pub fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{}", go_print(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
