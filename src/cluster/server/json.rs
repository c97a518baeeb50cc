//! Reads JSON into a value and names the members that it gives twice, of which the last wins. A plain decoder
//! drops the others silently, and with them what a careless edit was meant to say.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The value, and `duplicate field "PATH"` for each member that is there twice, innermost first.
///
/// # Errors
/// When the bytes are not one JSON value, or nest too deeply.
pub fn parse(bytes: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let duplicates = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Node { place: &Place::Root, duplicates: &duplicates }.deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, duplicates.into_inner()))
}

/// Where in the value the reader is; written out for duplicates only.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Node<'a> {
    place: &'a Place<'a>,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Item(self.place, list.len());
            match items.next_element_seed(Node { place: &place, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            let value = members.next_value_seed(Node { place: &place, duplicates: self.duplicates })?;
            if object.contains_key(&name) {
                self.duplicates.borrow_mut().push(format!("duplicate field \"{place}\""));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_given_twice_are_named_by_their_path_and_the_last_wins() {
        let text = br#"{"a": 1, "l": [{"b": 1, "b": 2}], "a": {"c": -1.5}}"#;
        let (value, duplicates) = parse(text).unwrap();
        assert_eq!(value, json!({"a": {"c": -1.5}, "l": [{"b": 2}]}));
        assert_eq!(duplicates, ["duplicate field \"l[0].b\"", "duplicate field \"a\""]);
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        let deep = "[".repeat(100_000);
        for bad in ["", "{", "{} x", deep.as_str()] {
            assert!(parse(bad.as_bytes()).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn without_duplicates_the_value_is_that_of_a_plain_decoder(
            numbers in proptest::collection::btree_map(".*", proptest::num::i64::ANY, 0..8), text: String, float: f64,
        ) {
            let value = json!({"numbers": numbers, "text": text, "list": [float, null, true]});
            let written = value.to_string();
            let plain: Value = serde_json::from_str(&written).unwrap();
            assert_eq!(parse(written.as_bytes()).unwrap(), (plain, Vec::new()));
        }
    }
}
