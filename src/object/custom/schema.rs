//! A structural schema, read from its OpenAPI v3 form. Reading never fails: what makes no sense is refused when the
//! definition is validated, and what a definition without validation holds (a test, an old file) is left out.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::cel::Program;

/// Bytes that a compiled pattern may take. Matching is linear in the text, whatever the pattern.
const PATTERN_BYTES: usize = 1 << 20;

/// One node of a schema.
#[derive(Debug, Default)]
pub struct Schema {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty when any type will do.
    pub type_: String,
    pub nullable: bool,
    pub int_or_string: bool,
    pub embedded_resource: bool,
    pub preserve_unknown: bool,
    pub default: Option<Value>,
    pub properties: BTreeMap<String, Schema>,
    /// What members beside `properties` are, where the schema says.
    pub additional: Option<Box<Schema>>,
    pub items: Option<Box<Schema>>,
    pub list_type: ListType,
    /// The object is one value for server-side apply.
    pub atomic_map: bool,
    pub checks: Checks,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Default, PartialEq)]
pub enum ListType {
    #[default]
    Atomic,
    Set,
    /// The entries are told apart by these fields; with each, what it is when an entry leaves it out.
    Map(Vec<(String, Option<Value>)>),
}

/// What is asked of a value beside its type.
#[derive(Debug, Default)]
pub struct Checks {
    pub format: String,
    pub pattern: Option<(String, Option<Regex>)>,
    pub enumeration: Vec<Value>,
    pub minimum: Option<(Value, bool)>,
    pub maximum: Option<(Value, bool)>,
    pub multiple_of: Option<Value>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub required: Vec<String>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
}

/// A rule of `x-kubernetes-validations`.
#[derive(Debug)]
pub struct Rule {
    pub text: String,
    pub message: String,
    pub reason: String,
    pub field_path: String,
    pub optional_old: bool,
    pub program: Option<Program>,
    pub message_program: Option<Program>,
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        Self {
            text: text("rule"),
            message: text("message"),
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old: rule["optionalOldSelf"] == true,
            program: Program::compile(&text("rule")).ok(),
            message_program: rule["messageExpression"].as_str().and_then(|text| Program::compile(text).ok()),
        }
    }

    /// The rule compares with the state before, and so holds for a new object.
    pub fn is_transition(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.uses("oldSelf")) && !self.optional_old
    }
}

impl Schema {
    /// Reads a version's `openAPIV3Schema`.
    pub fn read(schema: &Value) -> Self {
        let Some(members) = schema.as_object() else { return Self { preserve_unknown: true, ..Self::default() } };
        let text = |name: &str| schema[name].as_str().unwrap_or_default().to_owned();
        let is = |name: &str| schema[name] == true;
        let node = |name: &str| members.get(name).filter(|v| v.is_object()).map(|v| Box::new(Self::read(v)));
        let properties = members.get("properties").and_then(Value::as_object).into_iter().flatten();
        let additional = match members.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Box::new(Self { preserve_unknown: true, ..Self::default() })),
            _ => node("additionalProperties"),
        };
        let items = node("items");
        let list_type = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(keys_of(schema, items.as_deref())),
            _ => ListType::Atomic,
        };
        let rules = members.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
        Self {
            type_: text("type"),
            nullable: is("nullable"),
            int_or_string: is("x-kubernetes-int-or-string"),
            embedded_resource: is("x-kubernetes-embedded-resource"),
            preserve_unknown: is("x-kubernetes-preserve-unknown-fields"),
            default: members.get("default").cloned(),
            properties: properties.map(|(name, schema)| (name.clone(), Self::read(schema))).collect(),
            additional,
            items,
            list_type,
            atomic_map: schema["x-kubernetes-map-type"] == "atomic",
            checks: Checks::read(members),
            rules: rules.map(Rule::read).collect(),
        }
    }

    /// What a member of an object is; `None` when the schema does not say.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Any rule, here or below.
    pub fn has_rules(&self) -> bool {
        let below = self.properties.values().chain(self.additional.as_deref()).chain(self.items.as_deref());
        !self.rules.is_empty() || below.into_iter().any(Self::has_rules)
    }
}

fn keys_of(schema: &Value, items: Option<&Schema>) -> Vec<(String, Option<Value>)> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let default = |key: &str| items.and_then(|items| items.properties.get(key)?.default.clone());
    keys.map(|key| (key.to_owned(), default(key))).collect()
}

impl Checks {
    fn read(members: &Map<String, Value>) -> Self {
        let get = |name: &str| members.get(name);
        let count = |name: &str| get(name).and_then(Value::as_u64);
        let is = |name: &str| get(name) == Some(&Value::Bool(true));
        let number = |name: &str| get(name).filter(|v| v.is_number()).cloned();
        let list = |name: &str| get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let schemas = |name: &str| list(name).iter().map(Schema::read).collect::<Vec<_>>();
        let pattern = get("pattern").and_then(Value::as_str).filter(|pattern| !pattern.is_empty());
        Self {
            format: get("format").and_then(Value::as_str).unwrap_or_default().to_owned(),
            pattern: pattern.map(|pattern| (pattern.to_owned(), compile_pattern(pattern).ok())),
            enumeration: list("enum"),
            minimum: number("minimum").map(|n| (n, is("exclusiveMinimum"))),
            maximum: number("maximum").map(|n| (n, is("exclusiveMaximum"))),
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            unique_items: is("uniqueItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            required: list("required").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            all_of: schemas("allOf"),
            any_of: schemas("anyOf"),
            one_of: schemas("oneOf"),
            not: get("not").filter(|v| v.is_object()).map(|v| Box::new(Schema::read(v))),
        }
    }
}

/// # Errors
/// When the pattern is no regular expression, or too large a one.
pub fn compile_pattern(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build()
}
