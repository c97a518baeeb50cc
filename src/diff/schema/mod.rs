//! How each field of each kind merges: what is owned field by field and what as a whole, by which keys the entries
//! of a list are told apart, and which texts are amounts. Only what departs from the rule is written down (in
//! `tables`); the rule is that objects merge field by field and that lists and scalars are one value.
//! Kinds that are not described follow the rule. (Kubernetes API conventions, "Merge Strategy" and "list type".)

mod blank;
mod tables;

use serde_json::Value;

use crate::object::custom::{Described, ListType, Schema};
use crate::object::quantity::Quantity;

pub use blank::blank;

/// What is known of the fields of one type of object.
#[derive(Clone, Copy, Debug)]
pub enum Type<'a> {
    /// A table's departures from the rule.
    Table(&'static Table),
    /// A custom resource, or an object that is embedded in one: it has metadata beside what the schema says.
    Resource(&'a Schema),
    /// A part of a custom resource.
    Custom(&'a Schema),
    /// A part of a custom resource of which its schema says nothing: an object there is owned itself, too.
    Deduced,
}

/// The departures of one type.
#[derive(Debug)]
pub struct Table {
    form: Form,
    fields: &'static [(&'static str, Field<'static>)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Merges field by field.
    Fields,
    /// One value: whoever sets a part of it owns it all.
    Whole,
    /// A map of strings.
    Texts,
    /// A map of amounts.
    Amounts,
    /// An amount: `1000m` is `1`.
    Amount,
    /// A number that may be written as a string: `80` is `"80"`.
    IntOrString,
}

/// How the value of one field merges.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// How server-side apply tells the entries of a list apart.
    pub entries: Entries<'a>,
    /// How a strategic merge patch merges a list.
    pub patch: ListPatch,
    /// The type of the value, or of the entries of a list.
    pub inner: Type<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entries<'a> {
    /// The list is one value.
    Whole,
    /// The entries are told apart by these fields.
    Keyed(Keys<'a>),
    /// The entries are scalars, each of which occurs once.
    Set,
}

/// The fields that identify an entry: a table's, or those that a schema names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys<'a> {
    Table(&'static [Key]),
    Custom(&'a [(String, Option<Value>)]),
}

impl<'a> Keys<'a> {
    /// Each field, and what it is when an entry leaves it out; `None` where the entry must have it.
    pub fn iter(self) -> Box<dyn Iterator<Item = (&'a str, Option<Value>)> + 'a> {
        match self {
            Self::Table(keys) => Box::new(keys.iter().map(|key| (key.name, Some(key.default.value())))),
            Self::Custom(keys) => Box::new(keys.iter().map(|(name, default)| (name.as_str(), default.clone()))),
        }
    }
}

/// A field that identifies an entry, and what it is when the entry leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub default: KeyDefault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDefault {
    Text(&'static str),
    Number(i64),
}

impl KeyDefault {
    pub fn value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPatch {
    /// The patch's list takes the place of the list.
    Replace,
    /// Objects with the same value of this field are merged.
    Keyed(&'static str),
    /// Scalars are added.
    Union,
    /// The patch's object takes the place of the object, too.
    ReplaceObject,
}

/// What is known of a kind; an undescribed kind knows its metadata only.
pub fn of(kind: Described<'_>) -> Type<'_> {
    match kind.version() {
        Some(version) => Type::Resource(version.schema()),
        None => Type::Table(tables::root(kind.group, kind.kind)),
    }
}

impl<'a> Type<'a> {
    /// Nothing is known: objects merge field by field, all else is one value.
    pub const UNKNOWN: Type<'static> = Type::Table(&Table { form: Form::Fields, fields: &[] });

    /// Whether nothing departs from the rule below this type, as far as the tables say.
    pub fn is_unknown(self) -> bool {
        matches!(self, Self::Table(Table { form: Form::Fields, fields: [] }))
    }

    pub fn form(self) -> Form {
        match self {
            Self::Table(table) => table.form,
            Self::Resource(schema) | Self::Custom(schema) if schema.atomic_map => Form::Whole,
            Self::Resource(_) | Self::Custom(_) | Self::Deduced => Form::Fields,
        }
    }

    pub fn field(self, name: &str) -> Field<'a> {
        let whole = |inner| Field { entries: Entries::Whole, patch: ListPatch::Replace, inner };
        match self {
            Self::Table(table) => {
                let known = table.fields.iter().find(|(known, _)| *known == name);
                known.map_or_else(|| whole(table.member()), |(_, field)| *field)
            }
            Self::Resource(_) if name == "metadata" => whole(Type::Table(&tables::METADATA)),
            Self::Resource(_) if matches!(name, "apiVersion" | "kind") => whole(Self::UNKNOWN),
            Self::Resource(schema) | Self::Custom(schema) => schema.member(name).map_or(whole(Self::Deduced), custom),
            Self::Deduced => whole(Self::Deduced),
        }
    }
}

/// The field that a schema describes.
fn custom(schema: &Schema) -> Field<'_> {
    let typed = |schema: &'_ Schema| schema.embedded_resource;
    let of_object = |schema| if typed(schema) { Type::Resource(schema) } else { Type::Custom(schema) };
    let entries = match &schema.list_type {
        ListType::Map(keys) => Entries::Keyed(Keys::Custom(keys)),
        ListType::Set => Entries::Set,
        ListType::Atomic => Entries::Whole,
    };
    let inner = match schema.items.as_deref() {
        Some(items) => of_object(items),
        None => of_object(schema),
    };
    Field { entries, patch: ListPatch::Replace, inner }
}

impl Table {
    /// A field that the tables do not name: an amount in a map of amounts, else what its value is.
    fn member(&self) -> Type<'static> {
        if self.form == Form::Amounts { Type::Table(&tables::AMOUNT) } else { Type::UNKNOWN }
    }
}

impl Field<'_> {
    /// Whether `value` is owned as a whole.
    pub fn is_whole(&self, value: &Value) -> bool {
        match value {
            Value::Object(_) => self.inner.form() == Form::Whole,
            Value::Array(_) => self.entries == Entries::Whole,
            _ => true,
        }
    }
}

/// Whether two values mean the same: numbers by value, and amounts and numbers-or-strings of that form by amount.
pub fn same(form: Form, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(form, x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(form, v, w)))
        }
        _ => a == b || form == Form::Amount && same_amount(a, b) || form == Form::IntOrString && text(a) == text(b),
    }
}

fn same_amount(a: &Value, b: &Value) -> bool {
    let amount = |v: &Value| text(v).and_then(|t| Quantity::parse(&t).ok());
    matches!((amount(a), amount(b)), (Some(a), Some(b)) if a == b)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    #[test]
    fn the_two_kinds_of_merge_use_their_own_keys() {
        let container = of(kinds::DEPLOYMENT.into())
            .field("spec")
            .inner
            .field("template")
            .inner
            .field("spec")
            .inner
            .field("containers");
        let ports = container.inner.field("ports");
        let Entries::Keyed(keys) = ports.entries else { panic!("ports are keyed") };
        assert_eq!(keys.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["containerPort", "protocol"]);
        assert_eq!(ports.patch, ListPatch::Keyed("containerPort"));
    }

    #[test]
    fn every_kind_that_holds_a_pod_template_tells_its_containers_apart() {
        let holders = [kinds::DEPLOYMENT, kinds::DAEMON_SET, kinds::STATEFUL_SET, kinds::REPLICA_SET, kinds::JOB];
        for kind in holders.into_iter().chain([kinds::REPLICATION_CONTROLLER]) {
            let template = of(kind.into()).field("spec").inner.field("template").inner;
            assert!(
                matches!(template.field("spec").inner.field("containers").entries, Entries::Keyed(_)),
                "{}",
                kind.kind
            );
        }
        let template = of(kinds::POD_TEMPLATE.into()).field("template").inner;
        assert!(matches!(template.field("spec").inner.field("containers").entries, Entries::Keyed(_)));
    }

    #[test]
    fn amounts_are_the_same_however_written() {
        assert!(same(Form::Amount, &json!("1000m"), &json!(1)));
        assert!(same(Form::Amount, &json!("3072Mi"), &json!("3Gi")));
        assert!(!same(Form::Fields, &json!("1000m"), &json!("1")));
        assert!(same(Form::Fields, &json!({"a": [1.0]}), &json!({"a": [1]})));
        assert!(same(Form::IntOrString, &json!("80"), &json!(80)));
    }
}
