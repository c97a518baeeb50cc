//! Reads JSON and leaves parts of it out, which are then only skipped: a status may be a hundred times what is asked for.

use std::fmt;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value without what the paths name; each path is the names of members, from the outermost in.
///
/// # Errors
/// When it is not JSON.
pub fn read(json: &[u8], without: &[&[&str]]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Without(without.to_vec()).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Without<'a>(Vec<&'a [&'a str]>);

impl<'de> DeserializeSeed<'de> for Without<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Without<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let below = self.0.iter().filter_map(|path| path.split_first()).filter(|(first, _)| **first == name);
            let below: Vec<&[&str]> = below.map(|(_, rest)| rest).collect();
            if below.iter().any(|rest| rest.is_empty()) {
                access.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = match below.is_empty() {
                true => access.next_value()?,
                false => access.next_value_seed(Without(below))?,
            };
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }

    // What is no object has no members to leave out.

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(access))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_left_out_and_the_rest_is_as_it_is() {
        let object = json!({"a": {"b": [1, {"c": 2}], "c": {"b": "x"}}, "b": 1.5, "d": null});
        let of = |paths: &[&[&str]]| read(object.to_string().as_bytes(), paths).unwrap();
        assert_eq!(of(&[]), object);
        assert_eq!(of(&[&["a"], &["x", "y"]]), json!({"b": 1.5, "d": null}));
        assert_eq!(of(&[&["a", "b"], &["d", "e"]]), json!({"a": {"c": {"b": "x"}}, "b": 1.5, "d": null}));
        assert_eq!(of(&[&["a", "b"], &["a", "c", "b"]])["a"], json!({"c": {}}));
        for scalar in [json!([1, "x"]), json!("x"), json!(true), json!(-1), json!(1), json!(1.5), json!(null)] {
            assert_eq!(
                read(json!({"a": scalar}).to_string().as_bytes(), &[&["a", "b"]]).unwrap(),
                json!({"a": scalar})
            );
        }
        assert!(read(b"{\"a\": 1", &[&["a"]]).is_err() && read(b"{} x", &[]).is_err());
    }
}
