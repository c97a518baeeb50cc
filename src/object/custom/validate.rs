//! Judges custom resources by the schema of their kind, in the words of Kubernetes: all that is wrong at once.

use serde_json::Value;

use super::cel::{Judge, counterpart};
use super::definition::Version;
use super::schema::{Checks, Schema};
use super::{formats, lists, numbers};
use crate::object::Cause;

/// Findings of one object; more would only repeat themselves.
const MOST_FINDINGS: usize = 1_000;
/// Reasons after which rules are not asked: they may count on what is wrong.
const BLOCKING: &[&str] = &[
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// What is wrong with an object, in the order in which it was found.
#[derive(Default)]
pub struct Findings {
    causes: Vec<Cause>,
    /// Alternatives are only tried: what is wrong with them is not said.
    silent: bool,
    count: usize,
}

impl Version {
    /// What is wrong with an object that is to be created or, with `old`, to replace another. What was there before
    /// and stays as it was is not judged anew.
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let schema = self.schema();
        let mut found = Findings::default();
        check(schema, object, old, "", &mut found);
        embedded(schema, object, "", true, &mut found);
        if old != Some(object) {
            lists::check(schema, object, "", &mut found);
        }
        if schema.has_rules() {
            if found.causes.iter().any(|cause| BLOCKING.contains(&cause.reason.as_str())) {
                let why = "some validation rules were not checked because the object was invalid; correct the existing \
                           errors to complete validation";
                found.add("FieldValueInvalid", "", format!("Invalid value: null: {why}"));
            } else {
                Judge::default().judge(schema, object, old, "", &mut found);
            }
        }
        found.causes
    }
}

/// What is wrong with the default that a definition gives a value, by the value's own schema.
pub fn valid_default(schema: &Schema, default: &Value, path: &str) -> Vec<Cause> {
    let mut filled = default.clone();
    super::defaults::fill(schema, &mut filled);
    let mut found = Findings::default();
    check(schema, &filled, None, path, &mut found);
    found.causes
}

impl Findings {
    fn add(&mut self, reason: &str, path: &str, message: String) {
        self.count += 1;
        if self.silent || self.causes.len() >= MOST_FINDINGS {
            return;
        }
        // A finding about no field in particular has a path that Go prints so.
        let field = if path.is_empty() { "<nil>" } else { path };
        self.causes.push(Cause { reason: reason.into(), message, field: field.into() });
    }

    fn invalid(&mut self, path: &str, value: &Value, why: &str) {
        self.add("FieldValueInvalid", path, format!("Invalid value: {}: {why}", shown(value)));
    }

    fn mistyped(&mut self, path: &str, value: &Value, wanted: &str) {
        let kind = format!("{:?}", type_of(value));
        let message = format!("Invalid value: {kind}: {} must be of type {wanted}: {kind}", in_body(path));
        self.add("FieldValueTypeInvalid", path, message);
    }

    fn too_many(&mut self, path: &str, given: usize, most: u64) {
        self.add("FieldValueTooMany", path, format!("Too many: {given}: must have at most {most} items"));
    }

    /// About the value as a whole, which Kubernetes files under no field.
    fn unfiled(&mut self, message: &str) {
        self.add("FieldValueInvalid", "", format!("Invalid value: \"\": {message}"));
    }

    pub fn duplicate(&mut self, path: &str, value: &Value) {
        self.add("FieldValueDuplicate", path, format!("Duplicate value: {}", shown(value)));
    }

    /// A rule that cannot be evaluated.
    pub fn invalid_rule(&mut self, path: &str, value: Option<&Value>, why: &str) {
        self.broken_rule(path, value, why, "");
    }

    pub fn broken_rule(&mut self, path: &str, value: Option<&Value>, why: &str, reason: &str) {
        let of_value = value.map_or_else(String::new, |value| format!("{}: ", shown(value)));
        match reason {
            "FieldValueForbidden" => self.add(reason, path, format!("Forbidden: {why}")),
            "FieldValueRequired" => self.add(reason, path, format!("Required value: {why}")),
            "FieldValueDuplicate" => {
                let value = value.map_or_else(|| "null".to_owned(), shown);
                self.add(reason, path, format!("Duplicate value: {value}"));
            }
            _ => self.add("FieldValueInvalid", path, format!("Invalid value: {of_value}{why}")),
        }
    }

    /// What `attempt` finds wrong, and how much that is; nothing is added.
    fn trial(&self, attempt: impl FnOnce(&mut Self)) -> Self {
        let mut trial = Self { silent: self.silent, ..Self::default() };
        attempt(&mut trial);
        trial
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        let room = MOST_FINDINGS.saturating_sub(self.causes.len());
        self.causes.extend(other.causes.into_iter().take(room));
    }
}

pub fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn shown(value: &Value) -> String {
    value.to_string()
}

/// `spec.size in body`
fn in_body(path: &str) -> String {
    if path.is_empty() { " in body".to_owned() } else { format!("{path} in body") }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// By type first, then by what is asked of the value, then by what is in it.
fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: &str, found: &mut Findings) {
    if old == Some(value) {
        return;
    }
    has_type(schema, value, path, found);
    if value.is_null() {
        one_of(&schema.checks, value, path, found);
        return;
    }
    combinations(&schema.checks, value, path, found);
    match value {
        Value::String(text) => of_text(schema, text, value, path, found),
        Value::Number(_) => of_number(schema, value, path, found),
        Value::Array(items) => of_list(schema, items, old, path, found),
        _ => {}
    }
    one_of(&schema.checks, value, path, found);
    if value.is_object() {
        of_object(schema, value, old, path, found);
    }
}

fn has_type(schema: &Schema, value: &Value, path: &str, found: &mut Findings) {
    if value.is_null() && (schema.nullable || schema.type_.is_empty() && !schema.int_or_string) {
        return;
    }
    let fits = match schema.type_.as_str() {
        _ if schema.int_or_string => value.is_string() || value.is_number() && numbers::is_whole(value),
        "" => true,
        "integer" => value.is_number() && numbers::is_whole(value),
        "number" => value.is_number(),
        wanted => wanted == type_of(value),
    };
    if !fits {
        let wanted = if schema.int_or_string { "integer,string" } else { schema.type_.as_str() };
        found.mistyped(path, value, wanted);
    }
}

fn one_of(checks: &Checks, value: &Value, path: &str, found: &mut Findings) {
    let equal = |allowed: &Value| match (allowed, value) {
        (Value::Number(_), Value::Number(_)) => numbers::compare(allowed, value).is_eq(),
        _ => allowed == value,
    };
    if checks.enumeration.is_empty() || checks.enumeration.iter().any(equal) {
        return;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let allowed: Vec<String> = checks.enumeration.iter().map(|value| format!("{:?}", text(value))).collect();
    let message = format!("Unsupported value: {}: supported values: {}", shown(value), allowed.join(", "));
    found.add("FieldValueNotSupported", path, message);
}

fn of_text(schema: &Schema, text: &str, value: &Value, path: &str, found: &mut Findings) {
    let checks = &schema.checks;
    let length = text.chars().count() as u64;
    // The first of these that fails is the one that is told.
    if let Some(most) = checks.max_length.filter(|most| length > *most) {
        found.add("FieldValueTooLong", path, format!("Too long: may not be more than {most} bytes"));
    } else if let Some(least) = checks.min_length.filter(|least| length < *least) {
        found.invalid(path, value, &format!("{} should be at least {least} chars long", in_body(path)));
    } else if let Some((pattern, regex)) = &checks.pattern
        && !regex.as_ref().is_some_and(|regex| regex.is_match(text))
    {
        found.invalid(path, value, &format!("{} should match '{pattern}'", in_body(path)));
    }
    let format = checks.format.as_str();
    if !formats::holds(format, text) {
        let shown = shown(value);
        let message = format!("Invalid value: {shown}: {} must be of type {format}: {shown}", in_body(path));
        found.add("FieldValueTypeInvalid", path, message);
    }
}

fn of_number(schema: &Schema, value: &Value, path: &str, found: &mut Findings) {
    let checks = &schema.checks;
    let format = checks.format.as_str();
    let in_range = match (schema.type_.as_str(), format) {
        ("integer", "int32") => numbers::integer(value).is_some_and(|n| i32::try_from(n).is_ok()),
        ("integer", "uint32") => numbers::integer(value).is_some_and(|n| u32::try_from(n).is_ok()),
        ("integer", "uint64") => numbers::integer(value).is_some_and(|n| u64::try_from(n).is_ok()),
        ("integer", _) => numbers::is_whole(value),
        ("number", "float" | "float32") => numbers::float(value).abs() <= f64::from(f32::MAX),
        _ => true,
    };
    if !in_range {
        let named = if format.is_empty() { "(default format)".to_owned() } else { format!("with format {format}") };
        found.unfiled(&format!("Checked value must be of type {} {named} in {path}", schema.type_));
    }
    if let Some(factor) = &checks.multiple_of
        && !numbers::is_multiple(value, factor)
    {
        found.invalid(path, value, &format!("{} should be a multiple of {}", in_body(path), numbers::shown(factor)));
    }
    if let Some((most, exclusive)) = &checks.maximum {
        let order = numbers::compare(value, most);
        if order.is_gt() || *exclusive && order.is_eq() {
            let relation = if *exclusive { "less than" } else { "less than or equal to" };
            found.invalid(path, value, &format!("{} should be {relation} {}", in_body(path), numbers::shown(most)));
        }
    }
    if let Some((least, exclusive)) = &checks.minimum {
        let order = numbers::compare(value, least);
        if order.is_lt() || *exclusive && order.is_eq() {
            let relation = if *exclusive { "greater than" } else { "greater than or equal to" };
            found.invalid(path, value, &format!("{} should be {relation} {}", in_body(path), numbers::shown(least)));
        }
    }
}

fn of_list(schema: &Schema, items: &[Value], old: Option<&Value>, path: &str, found: &mut Findings) {
    let checks = &schema.checks;
    if let Some(below) = schema.items.as_deref() {
        for (index, item) in items.iter().enumerate() {
            let before = old.and_then(|old| counterpart(schema, item, old));
            check(below, item, before, &format!("{path}[{index}]"), found);
        }
    }
    let shown = || Value::from(items.len());
    if let Some(least) = checks.min_items.filter(|least| (items.len() as u64) < *least) {
        found.invalid(path, &shown(), &format!("{} should have at least {least} items", in_body(path)));
    }
    if let Some(most) = checks.max_items.filter(|most| items.len() as u64 > *most) {
        found.too_many(path, items.len(), most);
    }
    let mut texts: Vec<String> = items.iter().filter(|_| checks.unique_items).map(Value::to_string).collect();
    texts.sort_unstable();
    if texts.windows(2).any(|pair| pair[0] == pair[1]) {
        found.invalid(path, &Value::from(""), &format!("{} shouldn't contain duplicates", in_body(path)));
    }
}

fn of_object(schema: &Schema, object: &Value, old: Option<&Value>, path: &str, found: &mut Findings) {
    let Some(map) = object.as_object() else { return };
    let checks = &schema.checks;
    if let Some(least) = checks.min_properties.filter(|least| (map.len() as u64) < *least) {
        let why = format!("{} should have at least {least} properties", in_body(path));
        return found.invalid(path, &Value::from(map.len()), &why);
    }
    if let Some(most) = checks.max_properties.filter(|most| map.len() as u64 > *most) {
        return found.too_many(path, map.len(), most);
    }
    for (name, value) in map {
        if let Some(below) = schema.member(name) {
            check(below, value, old.and_then(|old| old.get(name)), &joined(path, name), found);
        }
    }
    for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
        found.add("FieldValueRequired", &joined(path, name), "Required value".into());
    }
}

/// `anyOf`, `oneOf`, `allOf` and `not`.
fn combinations(checks: &Checks, value: &Value, path: &str, found: &mut Findings) {
    let attempt = |found: &Findings, schema: &Schema| found.trial(|trial| check(schema, value, None, path, trial));
    if !checks.any_of.is_empty() {
        let trials = checks.any_of.iter().map(|schema| attempt(found, schema));
        if let Some(closest) = closest(trials) {
            found.unfiled(&format!("{path:?} must validate at least one schema (anyOf)"));
            found.merge(closest);
        }
    }
    if !checks.one_of.is_empty() {
        let trials: Vec<Findings> = checks.one_of.iter().map(|schema| attempt(found, schema)).collect();
        let only = format!("{path:?} must validate one and only one schema (oneOf).");
        match trials.iter().filter(|trial| trial.count == 0).count() {
            1 => {}
            0 => {
                found.unfiled(&format!("{only} Found none valid"));
                found.merge(closest(trials.into_iter()).unwrap_or_default());
            }
            several => found.unfiled(&format!("{only} Found {several} valid alternatives")),
        }
    }
    if !checks.all_of.is_empty() {
        let mut valid = 0;
        for schema in &checks.all_of {
            let trial = attempt(found, schema);
            valid += usize::from(trial.count == 0);
            found.merge(trial);
        }
        if valid < checks.all_of.len() {
            let none = if valid == 0 { ". None validated" } else { "" };
            found.unfiled(&format!("{path:?} must validate all the schemas (allOf){none}"));
        }
    }
    if let Some(schema) = &checks.not
        && attempt(found, schema).count == 0
    {
        found.unfiled(&format!("{path:?} must not validate the schema (not)"));
    }
}

/// What is wrong with the alternative that is the least wrong; `None` when one is right.
fn closest(trials: impl Iterator<Item = Findings>) -> Option<Findings> {
    let mut best: Option<Findings> = None;
    for trial in trials {
        if trial.count == 0 {
            return None;
        }
        if best.as_ref().is_none_or(|best| trial.count < best.count) {
            best = Some(trial);
        }
    }
    best
}

/// An embedded resource says what it is.
fn embedded(schema: &Schema, value: &Value, path: &str, is_root: bool, found: &mut Findings) {
    match value {
        Value::Object(map) => {
            if schema.embedded_resource && !is_root {
                for name in ["apiVersion", "kind"] {
                    match map.get(name).map(|value| value.as_str()) {
                        Some(Some(text)) if !text.is_empty() => {}
                        _ => found.add(
                            "FieldValueRequired",
                            &joined(path, name),
                            "Required value: must not be empty".into(),
                        ),
                    }
                }
            }
            for (name, value) in map {
                if let Some(below) = schema.member(name) {
                    embedded(below, value, &joined(path, name), false, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(below) = schema.items.as_deref() {
                    embedded(below, item, &format!("{path}[{index}]"), false, found);
                }
            }
        }
        _ => {}
    }
}
