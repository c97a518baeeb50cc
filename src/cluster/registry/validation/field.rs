//! Paths of fields, and what is found wrong with them, in the words of the Kubernetes API.

use std::fmt;

use serde_json::Value;

use crate::object::Cause;

/// Where a field is: a chain on the stack, written out only when something is wrong there.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    Root,
    Child(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    Key(&'a Path<'a>, &'a str),
}

impl Path<'_> {
    pub fn child<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path::Child(self, name)
    }

    pub fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    /// An entry of a map: `data[key]`.
    pub fn key<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path::Key(self, key)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Child(Path::Root, name) => f.write_str(name),
            Self::Child(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

/// Everything that is wrong with an object, in the order in which it was found.
#[derive(Default)]
pub struct Findings(Vec<Cause>);

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_causes(self) -> Vec<Cause> {
        self.0
    }

    /// What was found elsewhere.
    pub fn push(&mut self, cause: Cause) {
        self.0.push(cause);
    }

    /// As [`Findings::unsupported`], at a path that is written out already.
    pub fn unsupported_at(&mut self, path: String, value: &Value, supported: &[&str]) {
        self.unsupported(Path::Root, value, supported);
        if let Some(last) = self.0.last_mut() {
            last.field = path;
        }
    }

    fn add(&mut self, reason: &str, path: Path<'_>, message: String) {
        self.0.push(Cause { reason: reason.to_owned(), message, field: path.to_string() });
    }

    /// `Invalid value: VALUE: WHY`
    pub fn invalid(&mut self, path: Path<'_>, value: &Value, why: impl fmt::Display) {
        self.invalid_shown(path, &shown(value), why);
    }

    pub fn invalid_text(&mut self, path: Path<'_>, value: &str, why: impl fmt::Display) {
        self.invalid_shown(path, &quoted(value), why);
    }

    /// As [`Findings::invalid`], of a value that is written out already.
    pub fn invalid_shown(&mut self, path: Path<'_>, value: &str, why: impl fmt::Display) {
        self.add("FieldValueInvalid", path, format!("Invalid value: {value}: {why}"));
    }

    /// As [`Findings::invalid`], of a value that is too large to write out.
    pub fn invalid_omitted(&mut self, path: Path<'_>, why: impl fmt::Display) {
        self.add("FieldValueInvalid", path, format!("Invalid value: {why}"));
    }

    /// One finding for each complaint about the text.
    pub fn complain(&mut self, path: Path<'_>, value: &str, complaints: impl IntoIterator<Item = String>) {
        for complaint in complaints {
            self.invalid_text(path, value, complaint);
        }
    }

    pub fn required(&mut self, path: Path<'_>, why: &str) {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        self.add("FieldValueRequired", path, message);
    }

    pub fn forbidden(&mut self, path: Path<'_>, why: impl fmt::Display) {
        self.add("FieldValueForbidden", path, format!("Forbidden: {why}"));
    }

    pub fn duplicate(&mut self, path: Path<'_>, value: &Value) {
        self.add("FieldValueDuplicate", path, format!("Duplicate value: {}", shown(value)));
    }

    pub fn duplicate_shown(&mut self, path: Path<'_>, value: &str) {
        self.add("FieldValueDuplicate", path, format!("Duplicate value: {value}"));
    }

    pub fn not_found(&mut self, path: Path<'_>, value: &str) {
        self.add("FieldValueNotFound", path, format!("Not found: {}", quoted(value)));
    }

    pub fn unsupported(&mut self, path: Path<'_>, value: &Value, supported: &[&str]) {
        self.unsupported_shown(path, &shown(value), supported);
    }

    pub fn unsupported_shown(&mut self, path: Path<'_>, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|s| quoted(s)).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        self.add("FieldValueNotSupported", path, message);
    }

    pub fn too_long(&mut self, path: Path<'_>, most: usize) {
        self.add("FieldValueTooLong", path, format!("Too long: may not be more than {most} bytes"));
    }

    pub fn too_many(&mut self, path: Path<'_>, given: usize, most: usize) {
        self.add("FieldValueTooMany", path, format!("Too many: {given}: must have at most {most} items"));
    }

    /// The value, if it is set, must be one of `supported`.
    pub fn one_of(&mut self, path: Path<'_>, value: &Value, supported: &[&str]) {
        if let Some(text) = value.as_str().filter(|text| !supported.contains(text)) {
            self.unsupported_shown(path, &quoted(text), supported);
        }
    }

    pub fn not_negative(&mut self, path: Path<'_>, value: &Value) {
        if value.as_i64().is_some_and(|number| number < 0) {
            self.invalid(path, value, "must be greater than or equal to 0");
        }
    }
}

/// Members of the structs that messages show, in the order in which Kubernetes writes them.
const ORDER: [&str; 11] = [
    "apiVersion",
    "kind",
    "name",
    "uid",
    "controller",
    "blockOwnerDeletion",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
];

/// The value as compact JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{}:{}", quoted(k), shown(v))).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

pub fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The text of a field; empty when it is absent.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

pub fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

/// The text entries of a map.
pub fn entries(map: &Value) -> impl Iterator<Item = (&str, &str)> {
    map.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}
