//! Who owns which field: the one place where writes meet `diff`'s managed fields.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::author::Author;
use crate::diff::apply::{self, Applier};
use crate::diff::managed;
use crate::object::ApiError;
use crate::object::clock::rfc3339;
use crate::object::custom::Described;

/// The author of a creation owns what it set. `object` has been defaulted, and has nothing yet from the server.
pub fn record_create(kind: Described<'_>, object: &mut Value, author: &Author, now: Timestamp) {
    managed::record_update(kind, None, object, &author.manager, None, &rfc3339(now));
}

/// The author of an update owns what it changed.
pub fn record_update(
    kind: Described<'_>,
    before: &Value,
    after: &mut Value,
    author: &Author,
    subresource: Option<&str>,
    now: Timestamp,
) {
    managed::record_update(kind, Some(before), after, &author.manager, subresource, &rfc3339(now));
}

/// What server-side apply makes of `live`, with its owners.
///
/// # Errors
/// When others own what it changes and it is not forced.
pub fn apply(
    kind: Described<'_>,
    live: Option<&Value>,
    config: &Value,
    author: &Author,
    force: bool,
    subresource: Option<&str>,
    now: Timestamp,
) -> Result<Value, ApiError> {
    let by = Applier { manager: &author.manager, force, subresource, now: &rfc3339(now) };
    Ok(apply::apply(kind, live, config, &by)?)
}

/// Takes the time off the author's entry for a subresource: a Scale does not keep it (as in Kubernetes).
pub fn forget_time(object: &mut Value, author: &Author, subresource: &str) {
    let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        let of = |name: &str| entry.get(name).and_then(Value::as_str);
        if of("manager") == Some(&author.manager) && of("subresource") == Some(subresource) {
            entry.remove("time");
        }
    }
}

/// Whether two states differ in nothing but the times at which managers are said to have written.
pub fn same(before: &Value, after: &Value) -> bool {
    same_but("", before, after, |name, before, after| match name {
        "metadata" => same_but("resourceVersion", before, after, |name, before, after| match (name, before, after) {
            ("managedFields", Value::Array(before), Value::Array(after)) => {
                let same = |(before, after)| same_but("time", before, after, |_, before, after| before == after);
                before.len() == after.len() && before.iter().zip(after).all(same)
            }
            _ => before == after,
        }),
        _ => before == after,
    })
}

/// Whether two values have the same members, as `same` finds, but for the one that is called `except`.
fn same_but(except: &str, before: &Value, after: &Value, same: impl Fn(&str, &Value, &Value) -> bool) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return before == after };
    let count = |members: &Map<String, Value>| members.len() - usize::from(members.contains_key(except));
    count(before) == count(after)
        && before
            .iter()
            .filter(|(name, _)| *name != except)
            .all(|(name, value)| after.get(name).is_some_and(|after| same(name, value, after)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_of_managers_and_the_version_make_no_difference() {
        let state = |time: &str, version: &str, data: &str| {
            json!({"metadata": {"name": "a", "resourceVersion": version, "managedFields": [{"manager": "m", "time": time}]},
                "data": {"k": data}})
        };
        assert!(same(&state("1", "1", "v"), &state("2", "2", "v")));
        assert!(!same(&state("1", "1", "v"), &state("1", "1", "w")));
        assert!(!same(&json!({"metadata": {}}), &json!({"metadata": {}, "data": {}})));
    }
}
