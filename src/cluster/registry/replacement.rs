//! Tells refusals that a replacement gets around from those that it does not.

use crate::object::{ApiError, Reason};

/// How validation says that a field cannot change while the object exists.
const IMMUTABLE: &[&str] = &[
    "field is immutable",
    "may not change once set",
    "immutable after creation",
    "pod updates may not change fields",
    "pod updates may not add or remove containers",
    "may not be changed in an update",
];

/// Nothing but immutable fields stands in the way of the update: deleting the object and creating it anew, as two
/// steps of one transaction, would do what the update asks.
pub fn asks_for_replacement(refusal: &ApiError) -> bool {
    let immutable = |text: &str| IMMUTABLE.iter().any(|words| text.contains(words));
    refusal.reason == Reason::Invalid
        && !refusal.causes.is_empty()
        && refusal.causes.iter().all(|cause| immutable(&cause.message) && !cause.field.starts_with("metadata"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Cause, kinds};

    #[test]
    fn only_immutable_fields_ask_for_a_replacement() {
        let cause = |field: &str, message: &str| Cause {
            reason: "FieldValueInvalid".into(),
            message: message.into(),
            field: field.into(),
        };
        let selector = cause("spec.selector", "Invalid value: {}: field is immutable");
        let wrong = cause("spec.replicas", "Invalid value: -1: must be greater than or equal to 0");
        let uid = cause("metadata.uid", "Invalid value: \"u\": field is immutable");
        let cases = [
            (vec![selector.clone()], true),
            (vec![selector, wrong.clone()], false),
            (vec![wrong], false),
            (vec![uid], false),
        ];
        for (causes, replace) in cases {
            let error = ApiError::invalid(kinds::DEPLOYMENT, "web", causes);
            assert_eq!(asks_for_replacement(&error), replace, "{error}");
        }
        assert!(!asks_for_replacement(&ApiError::not_found(kinds::DEPLOYMENT, "web")));
    }
}
