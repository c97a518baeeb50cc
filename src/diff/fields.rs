//! Sets of field paths, as `metadata.managedFields` records them (FieldsV1): which fields a manager owns.
//! What a client sends may be anything, so reading is bounded and never panics.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// Nesting that a path may have; deeper ones are refused.
const MAX_DEPTH: usize = 128;

/// One step of a path. Ordered as Kubernetes reports conflicts: fields, keyed entries, values, positions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    Field(String),
    /// The entry of a list with these key fields, ordered by name.
    Key(Vec<(String, Scalar)>),
    /// The entry of a set.
    Value(Scalar),
    Index(i64),
}

/// A JSON value that identifies something: equal and ordered by value, numbers before strings before the rest.
#[derive(Clone, Debug)]
pub struct Scalar(pub Value);

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    entries: BTreeMap<Element, Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// The path that ends here is in the set.
    member: bool,
    below: FieldSet,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FieldsV1 set: {0}")]
pub struct NotAFieldSet(String);

impl FieldSet {
    pub fn is_empty(&self) -> bool {
        // No entry is ever kept that is neither a member nor leads to one.
        self.entries.is_empty()
    }

    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.entries.entry(first.clone()).or_default();
        match rest {
            [] => node.member = true,
            rest => node.below.insert(rest),
        }
    }

    /// A set of paths of plain fields.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|name| Element::Field((*name).to_owned())).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether the path of this one element is in the set.
    pub fn has(&self, element: &Element) -> bool {
        self.entries.get(element).is_some_and(|node| node.member)
    }

    /// The paths below an element.
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.entries.get(element).map(|node| &node.below).filter(|set| !set.is_empty())
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.add(other);
        out
    }

    /// Adds the paths of `other`.
    pub fn add(&mut self, other: &Self) {
        for (element, theirs) in &other.entries {
            match self.entries.get_mut(element) {
                Some(ours) => {
                    ours.member |= theirs.member;
                    ours.below.add(&theirs.below);
                }
                None => drop(self.entries.insert(element.clone(), theirs.clone())),
            }
        }
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (element, ours) in &self.entries {
            if let Some(theirs) = other.entries.get(element) {
                let member = ours.member && theirs.member;
                out.keep(element, Node { member, below: ours.below.intersection(&theirs.below) });
            }
        }
        out
    }

    /// The paths that are not in `other`; what is below a path of `other` stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract(other);
        out
    }

    /// Takes the paths of `other` out; what is below one of them stays.
    pub fn subtract(&mut self, other: &Self) {
        for (element, theirs) in &other.entries {
            let Some(ours) = self.entries.get_mut(element) else { continue };
            ours.member &= !theirs.member;
            ours.below.subtract(&theirs.below);
            if !ours.member && ours.below.is_empty() {
                self.entries.remove(element);
            }
        }
    }

    /// The paths that are neither in `other` nor below one of its paths.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (element, ours) in &self.entries {
            let node = match other.entries.get(element) {
                Some(theirs) if theirs.member => continue,
                Some(theirs) => Node { member: ours.member, below: ours.below.without(&theirs.below) },
                None => ours.clone(),
            };
            out.keep(element, node);
        }
        out
    }

    /// The set with every field that leads to one of its paths added.
    #[must_use]
    pub fn with_leading_fields(&self) -> Self {
        let mut out = Self::default();
        for (element, node) in &self.entries {
            let leads = matches!(element, Element::Field(_)) && !node.below.is_empty();
            out.keep(element, Node { member: node.member || leads, below: node.below.with_leading_fields() });
        }
        out
    }

    /// Every path as Kubernetes prints it: `.spec.containers[name="c"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect("", &mut out);
        out
    }

    fn collect(&self, prefix: &str, out: &mut Vec<String>) {
        // Members first, then what is below: the order of Kubernetes's conflicts.
        let members = self.entries.iter().filter(|(_, node)| node.member);
        out.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, node) in self.entries.iter().filter(|(_, node)| !node.below.is_empty()) {
            node.below.collect(&format!("{prefix}{element}"), out);
        }
    }

    fn keep(&mut self, element: &Element, node: Node) {
        if node.member || !node.below.is_empty() {
            self.entries.insert(element.clone(), node);
        }
    }

    /// The set in its wire form.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (element, node) in &self.entries {
            let mut inner = node.below.to_json();
            if let Value::Object(inner) = &mut inner
                && node.member
                && !inner.is_empty()
            {
                inner.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(element.to_wire(), inner);
        }
        Value::Object(out)
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// When it is not one, or is nested too deeply.
    pub fn from_json(value: &Value) -> Result<Self, NotAFieldSet> {
        Self::read(value, 0)
    }

    fn read(value: &Value, depth: usize) -> Result<Self, NotAFieldSet> {
        let Value::Object(members) = value else { return Err(NotAFieldSet("an object is expected".into())) };
        if depth > MAX_DEPTH {
            return Err(NotAFieldSet("nested too deeply".into()));
        }
        let mut out = Self::default();
        for (name, inner) in members.iter().filter(|(name, _)| *name != ".") {
            let element = Element::from_wire(name)?;
            let below = Self::read(inner, depth + 1)?;
            // An element is a member when it says so, and when nothing is below it.
            let member = below.is_empty() || inner.get(".").is_some();
            out.keep(&element, Node { member, below });
        }
        Ok(out)
    }
}

impl Element {
    pub(super) fn to_wire(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys: Map<String, Value> = keys.iter().map(|(name, v)| (name.clone(), v.0.clone())).collect();
                format!("k:{}", Value::Object(keys))
            }
            Self::Value(value) => format!("v:{}", value.0),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn from_wire(text: &str) -> Result<Self, NotAFieldSet> {
        let bad = || NotAFieldSet(format!("{text:?} is no path element"));
        match text.split_once(':').ok_or_else(bad)? {
            ("f", name) => Ok(Self::Field(name.to_owned())),
            ("k", keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).map_err(|_| bad())?;
                Ok(Self::key(keys))
            }
            ("v", value) => Ok(Self::Value(Scalar(serde_json::from_str(value).map_err(|_| bad())?))),
            ("i", index) => index.parse().map(Self::Index).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }

    pub fn key(keys: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut keys: Vec<_> = keys.into_iter().map(|(name, value)| (name, Scalar(value))).collect();
        keys.sort();
        Self::Key(keys)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={}]", value.0),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |value: &Value| match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        };
        match (&self.0, &other.0) {
            (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
            },
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)).then_with(|| a.to_string().cmp(&b.to_string())),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Scalar {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wire_form_is_read_back() {
        let wire = json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}, "f:x": {}},
            "f:finalizers": {".": {}, "v:\"a\"": {}}, "f:list": {"i:3": {}}});
        let set = FieldSet::from_json(&wire).unwrap();
        assert_eq!(set.to_json(), wire);
        assert_eq!(
            set.paths(),
            [
                ".finalizers",
                ".finalizers[=\"a\"]",
                ".list[3]",
                ".spec.x",
                ".spec.containers[name=\"c\"]",
                ".spec.containers[name=\"c\"].image"
            ]
        );
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        for bad in [json!([]), json!({"x": {}}), json!({"k:[": {}}), json!({"f:a": 1}), json!({"i:x": {}}), json!(null)]
        {
            assert!(FieldSet::from_json(&bad).is_err(), "{bad}");
        }
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"f:a": deep});
        }
        assert!(FieldSet::from_json(&deep).is_err());
    }

    #[test]
    fn the_algebra_keeps_members_and_what_is_below_apart() {
        let a = FieldSet::of_fields(&[&["data"], &["data", "x"], &["spec", "y"]]);
        let b = FieldSet::of_fields(&[&["data"]]);
        assert_eq!(a.difference(&b).paths(), [".data.x", ".spec.y"]);
        assert_eq!(a.without(&b).paths(), [".spec.y"]);
        assert_eq!(a.intersection(&b).paths(), [".data"]);
        assert_eq!(a.difference(&a), FieldSet::default());
        assert_eq!(b.union(&a), a);
        assert_eq!(a.with_leading_fields().paths(), [".data", ".spec", ".data.x", ".spec.y"]);
    }
}
