//! Whether the indexes that have succeeded are enough for the whole Job. Pure. (Kubernetes documentation,
//! "Success policy".)

use k8s_openapi::api::batch::v1::SuccessPolicy;

use super::indexes::Indexes;

/// The message of the first rule that is met.
pub fn met(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Indexes) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let met = policy?.rules.iter().position(|rule| match (&rule.succeeded_indexes, rule.succeeded_count) {
        (Some(indexes), count) => {
            let required = Indexes::parse(indexes, completions);
            succeeded.common(&required) >= count.unwrap_or(required.len())
        }
        (None, Some(count)) => succeeded.len() >= count,
        (None, None) => false,
    })?;
    Some(format!("Matched rules at index {met}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_asks_for_indexes_or_a_count_or_a_count_of_indexes() {
        for (rule, succeeded, want) in [
            (json!({"succeededIndexes": "0-1"}), "0", false),
            (json!({"succeededIndexes": "0-1"}), "0-2", true),
            (json!({"succeededCount": 2}), "3", false),
            (json!({"succeededCount": 2}), "1,3", true),
            (json!({"succeededIndexes": "1-3", "succeededCount": 1}), "0", false),
            (json!({"succeededIndexes": "1-3", "succeededCount": 1}), "0,2", true),
        ] {
            let policy: SuccessPolicy = serde_json::from_value(json!({"rules": [rule]})).unwrap();
            let met = met(Some(&policy), 4, &Indexes::parse(succeeded, 4));
            assert_eq!(met, want.then(|| "Matched rules at index 0".to_owned()), "{rule} {succeeded}");
        }
    }
}
