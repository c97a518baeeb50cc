//! What `kubectl get` prints of custom resources: the columns that their definition gives, or name and age.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use crate::object::custom::{Column, JsonPath, Version};

const NAME: &str = "Name of the object, unique in its namespace.";
const AGE: &str = "Time since the object was created.";
const CREATED: &str = ".metadata.creationTimestamp";

/// The column definitions as they go over the wire.
pub fn columns(version: &Version) -> Vec<Value> {
    let name = json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0});
    let shown = |c: &Column| json!({"name": c.name, "type": c.type_, "format": c.format, "description": c.description, "priority": c.priority});
    let mut columns = vec![name];
    columns.extend(version.columns.iter().map(shown));
    if version.columns.is_empty() {
        columns.push(json!({"name": "Age", "type": "date", "format": "", "description": AGE, "priority": 0}));
    }
    columns
}

pub fn row(version: &Version, object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![object["metadata"]["name"].clone()];
    cells.extend(version.columns.iter().map(|column| cell(&column.type_, &column.path, object, now)));
    if let (true, Ok(created)) = (version.columns.is_empty(), JsonPath::parse(CREATED)) {
        cells.push(cell("date", &created, object, now));
    }
    cells
}

/// Of several values the first; nothing where the value is not of the column's type.
fn cell(type_: &str, path: &JsonPath, object: &Value, now: Timestamp) -> Value {
    let Some(value) = path.find(object).first().copied() else { return Value::Null };
    match (type_, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => value.clone(),
        ("string", other) => json!(other.to_string()),
        #[allow(clippy::cast_possible_truncation, reason = "as Kubernetes shows fractions in such a column")]
        ("integer", Value::Number(number)) => json!(number.as_i64().or(number.as_f64().map(|float| float as i64))),
        ("date", Value::String(_)) if age::parse(value).is_none() => json!("<invalid>"),
        ("date", Value::String(_)) => json!(age::since(value, now)),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_of_the_type_of_their_column() {
        let object = json!({"spec": {"n": 5, "f": 1.5, "s": "hello", "o": {"x": 1}, "a": [{"x": 1}, {"x": 2}], "b": true,
            "t": "2026-01-01T00:00:00Z", "bad": "soon"}});
        let now = "2026-01-01T02:00:00Z".parse().expect("a time");
        let cases = [
            ("integer", ".spec.n", json!(5)),
            ("integer", ".spec.f", json!(1)),
            ("number", ".spec.f", json!(1.5)),
            ("string", ".spec.s", json!("hello")),
            ("string", ".spec.n", json!("5")),
            ("string", ".spec.o", json!("{\"x\":1}")),
            ("string", ".spec.a[*].x", json!("1")),
            ("boolean", ".spec.b", json!(true)),
            ("boolean", ".spec.n", json!(null)),
            ("date", ".spec.t", json!("120m")),
            ("date", ".spec.bad", json!("<invalid>")),
            ("string", ".spec.none", json!(null)),
        ];
        for (type_, path, want) in cases {
            let path = JsonPath::parse(path).expect("a path");
            assert_eq!(cell(type_, &path, &object, now), want, "{type_} {}", path.text());
        }
    }
}
