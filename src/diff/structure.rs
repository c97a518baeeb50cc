//! The four operations that ownership is built of, on values whose merge rules are known: which fields a value
//! sets, what differs between two values, laying one value over another, and taking fields out.
//! They follow the model of Kubernetes's structured merge: `null` and empty are different things here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{Element, FieldSet, Scalar};
use super::schema::{self, Entries, Field, Form, Type};

/// What became of the fields between two values.
#[derive(Debug, Default)]
pub struct Comparison {
    pub added: FieldSet,
    pub removed: FieldSet,
    pub modified: FieldSet,
}

/// A list entry that a key tells apart from no other, or that has no key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    #[error("{path}: duplicate entries for key {entry}")]
    Duplicate { path: String, entry: String },
    #[error("{path}: associative list with keys may not have non-map elements")]
    NotAnObject { path: String },
    #[error(
        "{path}: element {index}: associative list with keys has an element that omits key field {key:?} \
         (and doesn't have default value)"
    )]
    NoKey { path: String, index: usize, key: String },
}

/// A whole object as the value of a field.
pub fn root(fields: Type<'_>) -> Field<'_> {
    Field { entries: Entries::Whole, patch: schema::ListPatch::Replace, inner: fields }
}

/// How an entry of a list is told apart from the others.
pub(super) fn identify(field: &Field<'_>, entry: &Value) -> Element {
    match (field.entries, entry) {
        (Entries::Keyed(keys), Value::Object(entry)) => {
            let given = |name: &str| entry.get(name).filter(|v| !v.is_null()).cloned();
            Element::key(keys.iter().filter_map(|(name, default)| Some((name.to_owned(), given(name).or(default)?))))
        }
        (_, entry) => Element::Value(Scalar(entry.clone())),
    }
}

pub(super) fn entry_field<'a>(field: &Field<'a>) -> Field<'a> {
    Field { entries: Entries::Whole, ..*field }
}

/// The objects and lists that merge part by part; everything else is one value.
pub(super) enum Parts<'a> {
    Fields(&'a Map<String, Value>),
    Entries(&'a [Value]),
    None,
}

pub(super) fn parts<'a>(field: &Field<'_>, value: Option<&'a Value>) -> Parts<'a> {
    match value {
        Some(Value::Object(map)) if field.inner.form() != Form::Whole => Parts::Fields(map),
        Some(Value::Array(list)) if field.entries != Entries::Whole => Parts::Entries(list),
        _ => Parts::None,
    }
}

/// The parts of both values if either has some; `null` and absent count as empty beside the other.
fn both_parts<'a>(field: &Field<'_>, a: Option<&'a Value>, b: Option<&'a Value>) -> Option<(Parts<'a>, Parts<'a>)> {
    let nothing = |v: Option<&Value>| v.is_none_or(Value::is_null);
    let (parts_a, parts_b) = (parts(field, a), parts(field, b));
    let fits = match (&parts_a, &parts_b) {
        (Parts::Fields(x), Parts::Fields(y)) => !(x.is_empty() && y.is_empty()),
        (Parts::Entries(x), Parts::Entries(y)) => !(x.is_empty() && y.is_empty()),
        (Parts::Fields(x), Parts::None) => !x.is_empty() && nothing(b),
        (Parts::None, Parts::Fields(y)) => !y.is_empty() && nothing(a),
        (Parts::Entries(x), Parts::None) => !x.is_empty() && nothing(b),
        (Parts::None, Parts::Entries(y)) => !y.is_empty() && nothing(a),
        _ => false,
    };
    fits.then_some((parts_a, parts_b))
}

/// The fields that a value sets: what a manager that applies it owns.
pub fn fields_of(fields: Type<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(&root(fields), value, &mut Vec::new(), &mut set);
    set
}

fn collect(field: &Field<'_>, value: &Value, path: &mut Vec<Element>, set: &mut FieldSet) {
    match parts(field, Some(value)) {
        Parts::Fields(map) => {
            for (name, value) in map {
                path.push(Element::Field(name.clone()));
                let below = field.inner.field(name);
                let deduced = matches!(below.inner, Type::Deduced);
                if value.is_null() || value.as_object().is_some_and(|map| map.is_empty() || deduced) {
                    set.insert(path);
                }
                collect(&below, value, path, set);
                path.pop();
            }
        }
        Parts::Entries(list) => {
            for entry in list {
                path.push(identify(field, entry));
                set.insert(path);
                collect(&entry_field(field), entry, path, set);
                path.pop();
            }
        }
        Parts::None => set.insert(path),
    }
}

/// Compares two values of a kind.
pub fn compare(fields: Type<'_>, before: &Value, after: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.visit(&root(fields), Some(before), Some(after), &mut Vec::new());
    comparison
}

impl Comparison {
    fn visit(&mut self, field: &Field<'_>, before: Option<&Value>, after: Option<&Value>, path: &mut Vec<Element>) {
        if before == after {
            return;
        }
        match both_parts(field, before, after) {
            Some((Parts::Entries(x), Parts::Entries(y))) => self.visit_entries(field, x, y, path),
            Some((Parts::Entries(x), _)) => self.visit_entries(field, x, &[], path),
            Some((_, Parts::Entries(y))) => self.visit_entries(field, &[], y, path),
            Some((Parts::Fields(x), Parts::Fields(y))) => self.visit_fields(field, Some(x), Some(y), path),
            Some((Parts::Fields(x), _)) => self.visit_fields(field, Some(x), None, path),
            Some((_, Parts::Fields(y))) => self.visit_fields(field, None, Some(y), path),
            _ => {
                let differs = |(a, b): (&Value, &Value)| !schema::same(Form::Fields, a, b);
                if before.zip(after).is_some_and(differs) {
                    self.modified.insert(path);
                }
            }
        }
        match (before, after) {
            (None, Some(_)) => self.added.insert(path),
            (Some(_), None) => self.removed.insert(path),
            _ => {}
        }
    }

    fn visit_fields(
        &mut self,
        field: &Field<'_>,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
        path: &mut Vec<Element>,
    ) {
        let names: BTreeSet<&String> = before.into_iter().chain(after).flat_map(Map::keys).collect();
        for name in names {
            path.push(Element::Field(name.clone()));
            let (a, b) = (before.and_then(|m| m.get(name)), after.and_then(|m| m.get(name)));
            self.visit(&field.inner.field(name), a, b, path);
            path.pop();
        }
    }

    fn visit_entries(&mut self, field: &Field<'_>, before: &[Value], after: &[Value], path: &mut Vec<Element>) {
        let mut entries: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for entry in before {
            entries.entry(identify(field, entry)).or_default().0.push(entry);
        }
        for entry in after {
            entries.entry(identify(field, entry)).or_default().1.push(entry);
        }
        for (element, (x, y)) in entries {
            path.push(element);
            match (x.as_slice(), y.as_slice()) {
                ([] | [_], [] | [_]) => {
                    self.visit(&entry_field(field), x.first().copied(), y.first().copied(), path);
                }
                // An entry that occurs more than once is compared as a whole.
                (_, []) => self.removed.insert(path),
                ([], _) => self.added.insert(path),
                (x, y) if x == y => {}
                _ => self.modified.insert(path),
            }
            path.pop();
        }
    }

    /// The comparison without the fields that the write cannot touch.
    #[must_use]
    pub fn without(&self, ignored: &FieldSet) -> Self {
        Self {
            added: self.added.without(ignored),
            removed: self.removed.without(ignored),
            modified: self.modified.without(ignored),
        }
    }
}

/// Lays `config` over `live`: what `config` sets wins, what it leaves out stays.
pub fn merge(fields: Type<'_>, live: &Value, config: &Value) -> Value {
    merge_value(&root(fields), Some(live), Some(config)).unwrap_or_default()
}

fn merge_value(field: &Field<'_>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    match both_parts(field, live, config) {
        Some((Parts::Fields(x), Parts::Fields(y))) => {
            let mut out = x.clone();
            for (name, value) in y {
                let merged = merge_value(&field.inner.field(name), x.get(name), Some(value));
                out.insert(name.clone(), merged.unwrap_or_default());
            }
            Some(Value::Object(out))
        }
        Some((Parts::Entries(x), Parts::Entries(y))) => Some(Value::Array(merge_entries(field, x, y))),
        // A `null` beside fields or entries asks for none of its own and takes nobody else's away.
        Some((Parts::Fields(_) | Parts::Entries(_), _)) => live.cloned(),
        _ => config.or(live).cloned(),
    }
}

/// The entries that both have come in the order of `config`; those that only `live` has keep their place before the
/// shared entry that they stood before; those that only `config` has follow the entry that they follow there.
fn merge_entries(field: &Field<'_>, live: &[Value], config: &[Value]) -> Vec<Value> {
    let ids = |list: &[Value]| -> Vec<Element> { list.iter().map(|entry| identify(field, entry)).collect() };
    let (live_ids, config_ids) = (ids(live), ids(config));
    let mut places: BTreeMap<&Element, &Value> = BTreeMap::new();
    for (id, entry) in live_ids.iter().zip(live) {
        places.entry(id).or_insert(entry);
    }
    let wanted: BTreeSet<&Element> = config_ids.iter().collect();
    let mut shared = config_ids.iter().filter(|id| places.contains_key(id)).peekable();
    let mut merged = BTreeSet::new();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut l, mut c) = (0, 0);
    while l < live.len() || c < config.len() {
        if let Some(id) = live_ids.get(l) {
            if !wanted.contains(id) {
                out.push(live[l].clone());
                l += 1;
                continue;
            }
            // A shared entry that is placed already, or whose turn by the order of `config` has not come.
            let waits = config_ids.get(c) != Some(id) && shared.peek().is_some_and(|next| *next != id);
            if waits && c < config.len() {
                l += 1;
                continue;
            }
            if merged.contains(id) || c == config.len() {
                l += 1;
            }
        }
        let Some(id) = config_ids.get(c) else { continue };
        out.extend(merge_value(&entry_field(field), places.get(id).copied(), Some(&config[c])));
        merged.insert(id);
        if shared.peek() == Some(&id) {
            shared.next();
        }
        c += 1;
    }
    out
}

/// The value without the fields of `gone`; what is left empty becomes `null`.
pub fn remove(fields: Type<'_>, value: &Value, gone: &FieldSet) -> Value {
    remove_from(&root(fields), value, gone)
}

fn remove_from(field: &Field<'_>, value: &Value, gone: &FieldSet) -> Value {
    match parts(field, Some(value)) {
        Parts::Fields(map) => {
            let kept: Map<String, Value> = map
                .iter()
                .filter_map(|(name, value)| {
                    let kept = keep(&field.inner.field(name), &Element::Field(name.clone()), value, gone)?;
                    Some((name.clone(), kept))
                })
                .collect();
            // An object that a schema describes stays: defaults may fill it again.
            let stays = matches!(field.inner, Type::Custom(_));
            if kept.is_empty() && !stays { Value::Null } else { Value::Object(kept) }
        }
        Parts::Entries(list) => {
            let kept: Vec<Value> = list
                .iter()
                .filter_map(|entry| keep(&entry_field(field), &identify(field, entry), entry, gone))
                .collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        Parts::None => value.clone(),
    }
}

fn keep(field: &Field<'_>, element: &Element, value: &Value, gone: &FieldSet) -> Option<Value> {
    if gone.has(element) {
        return None;
    }
    Some(match gone.below(element) {
        Some(gone) => remove_from(field, value, gone),
        None => value.clone(),
    })
}

/// Refuses lists whose entries cannot be told apart; only what a client applies must pass.
///
/// # Errors
/// For the first such list.
pub fn check(fields: Type<'_>, value: &Value) -> Result<(), BadList> {
    check_value(&root(fields), value, "")
}

fn check_value(field: &Field<'_>, value: &Value, path: &str) -> Result<(), BadList> {
    match parts(field, Some(value)) {
        Parts::Fields(map) => map
            .iter()
            .try_for_each(|(name, value)| check_value(&field.inner.field(name), value, &format!("{path}.{name}"))),
        Parts::Entries(list) => {
            let mut seen = BTreeSet::new();
            for (index, entry) in list.iter().enumerate() {
                if matches!(field.entries, Entries::Keyed(_)) && !entry.is_object() {
                    return Err(BadList::NotAnObject { path: path.to_owned() });
                }
                let element = identify(field, entry);
                let shown = element.to_string();
                if let Entries::Keyed(keys) = field.entries
                    && let Some((key, _)) =
                        keys.iter().find(|(key, default)| default.is_none() && entry[*key].is_null())
                {
                    return Err(BadList::NoKey { path: path.to_owned(), index, key: key.to_owned() });
                }
                if !seen.insert(element) {
                    return Err(BadList::Duplicate { path: path.to_owned(), entry: shown });
                }
                check_value(&entry_field(field), entry, &format!("{path}{shown}"))?;
            }
            Ok(())
        }
        Parts::None => Ok(()),
    }
}

/// Takes out every `null`: a field that nobody sets. In a map of strings it is the empty string.
pub fn drop_nulls(fields: Type<'_>, value: &mut Value) {
    drop_in(&root(fields), value);
}

fn drop_in(field: &Field<'_>, value: &mut Value) {
    match value {
        Value::Object(map) if field.inner.form() == Form::Texts => {
            map.values_mut().filter(|v| v.is_null()).for_each(|v| *v = Value::String(String::new()));
        }
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.iter_mut().for_each(|(name, value)| drop_in(&field.inner.field(name), value));
        }
        Value::Array(list) => list.iter_mut().for_each(|entry| drop_in(&entry_field(field), entry)),
        _ => {}
    }
}
