//! A deserializer over a JSON value that is to be stored. While the typed kind reads it, it puts the value in order
//! in place: what the type does not know is taken out and named, empty fields and nulls go, numbers, quantities
//! and times get their one form. What the type cannot read is refused in the words of Go's decoder.

use std::cell::{Cell, RefCell};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Map, Number, Value};

use super::place::Place;
use super::{argo, canonical, probe, zero};

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    pub fn not_an_object(kind: &str, value: &Value) -> Self {
        Self(format!("json: cannot unmarshal {} into Go value of type v1.{kind}", type_name(value)))
    }
}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Puts `object` in order as a `T`, and names its unknown fields.
pub fn run<T: DeserializeOwned>(object: &mut Value) -> Result<Vec<String>, Refusal> {
    decode::<T>(object, false)
}

/// As [`run`], with the fields that Argo CD knows beside those of the type.
pub fn run_with_extras<T: DeserializeOwned>(object: &mut Value) -> Result<Vec<String>, Refusal> {
    decode::<T>(object, true)
}

fn decode<T: DeserializeOwned>(object: &mut Value, extras: bool) -> Result<Vec<String>, Refusal> {
    let notes = Notes { unknown: RefCell::default(), asked: Cell::default(), extras };
    T::deserialize(Decoder { value: object, place: &Place::Root, notes: &notes })?;
    Ok(notes.unknown.into_inner())
}

struct Notes {
    unknown: RefCell<Vec<String>>,
    /// What the type asked the last value for, until somebody takes it.
    asked: Cell<Asked>,
    /// The type is Argo CD's, which has more fields than we model.
    extras: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Asked {
    /// To be skipped: the type does not know the field.
    Nothing,
    Map,
    #[default]
    Other,
}

struct Decoder<'a> {
    value: &'a mut Value,
    place: &'a Place<'a>,
    notes: &'a Notes,
}

// The deserializer's methods are compiled once for each of hundreds of types: whatever does not depend on the type is kept
// out of them, here and in `Fields`.
impl<'a> Decoder<'a> {
    fn refuse<T>(&self, wanted: &str) -> Result<T, Refusal> {
        let (field, given) = (self.place.go_field(), type_name(self.value));
        Err(Refusal(format!("json: cannot unmarshal {given} into Go struct field {field} of type {wanted}")))
    }

    /// The value as a whole number that lies in `i64`; `1.0` becomes `1`.
    fn integer(&mut self, wanted: &str) -> Result<i64, Refusal> {
        let Value::Number(number) = &*self.value else { return self.refuse(wanted) };
        let whole = number.as_i64().or_else(|| number.as_f64().and_then(whole));
        let fits = whole.filter(|n| wanted != "int32" || i32::try_from(*n).is_ok());
        let Some(whole) = fits else {
            let field = self.place.go_field();
            return Err(Refusal(format!(
                "json: cannot unmarshal number {number} into Go struct field {field} of type {wanted}"
            )));
        };
        *self.value = Value::Number(whole.into());
        Ok(whole)
    }

    /// The value as text; a null, which only an item or an entry can be here, is the empty text.
    fn text(&mut self, wanted: &str) -> Result<&str, Refusal> {
        if self.value.is_null() {
            *self.value = Value::String(String::new());
        }
        if !self.value.is_string() {
            return self.refuse(wanted);
        }
        Ok(self.value.as_str().unwrap_or_default())
    }

    /// The fields of a struct that are set; a null is an empty struct.
    fn fields_of(self, name: &str) -> Result<&'a mut Map<String, Value>, Refusal> {
        if self.value.is_null() {
            *self.value = Value::Object(Map::new());
        }
        let Self { value: Value::Object(map), .. } = self else { return self.refuse(&format!("v1.{name}")) };
        map.retain(|_, value| !value.is_null());
        Ok(map)
    }

    /// Quantities and times are written anew in their canonical form.
    fn rewrite(&mut self, name: &str) -> Result<(), Refusal> {
        let canonical = match (name, &*self.value) {
            ("Quantity", Value::String(text)) => canonical::quantity(text).map_err(de::Error::custom)?,
            ("Quantity", Value::Number(number)) => {
                canonical::quantity(&number.to_string()).map_err(de::Error::custom)?
            }
            ("Quantity", Value::Null) => "0".to_owned(),
            ("Quantity", _) => return Err(de::Error::custom(crate::object::quantity::NotAQuantity)),
            (_, Value::String(text)) => canonical::time(text, name == "MicroTime").map_err(Refusal)?,
            (_, other) => {
                let given = type_name(other);
                return Err(Refusal(format!("json: cannot unmarshal {given} into Go value of type string")));
            }
        };
        *self.value = Value::String(canonical);
        Ok(())
    }
}

fn drop_fields(map: &mut Map<String, Value>, names: &[String]) {
    for name in names {
        map.remove(name);
    }
}

fn whole(number: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $wanted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refusal> {
            let whole = self.integer($wanted)?;
            whole.try_into().map_or_else(|_| self.refuse($wanted), |number| visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Refusal;

    integers! {
        deserialize_i8 visit_i8 "int8" deserialize_i16 visit_i16 "int16" deserialize_i32 visit_i32 "int32"
        deserialize_i64 visit_i64 "int64" deserialize_u8 visit_u8 "uint8" deserialize_u16 visit_u16 "uint16"
        deserialize_u32 visit_u32 "uint32" deserialize_u64 visit_u64 "uint64"
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match *self.value {
            Value::Bool(flag) => visitor.visit_bool(flag),
            _ => self.refuse("bool"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.value.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => self.refuse("float64"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    /// Only bytes in base64 are asked for in this way; everything else that is text comes as `deserialize_string`.
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.text("[]uint8")?;
        if text.contains(['\n', '\r']) {
            let joined = text.replace(['\n', '\r'], "");
            *self.value = Value::String(joined);
        }
        let text = self.value.as_str().unwrap_or_default();
        STANDARD.decode(text).map_err(|error| {
            let byte = match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len() / 4 * 4,
            };
            Refusal(format!("illegal base64 data at input byte {byte}"))
        })?;
        visitor.visit_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.text("string")?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if matches!(name, "Quantity" | "Time" | "MicroTime") {
            self.rewrite(name)?;
        }
        // What is left are opaque JSON documents (FieldsV1, RawExtension): none of our business.
        visitor.visit_newtype_struct(self.value.clone().into_deserializer()).map_err(de::Error::custom)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let Self { value: Value::Array(items), place, notes } = self else {
            let wanted = probe::list(visitor);
            return self.refuse(&wanted);
        };
        visitor.visit_seq(Items { items: items.iter_mut().enumerate(), place, notes })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let Self { value: Value::Object(map), place, notes } = self else {
            let wanted = probe::map(visitor);
            return self.refuse(&wanted);
        };
        let decoded = visitor.visit_map(Entries { entries: map.iter_mut(), value: None, place, notes })?;
        notes.asked.set(Asked::Map);
        Ok(decoded)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let (place, notes) = (self.place, self.notes);
        let map = self.fields_of(name)?;
        let mut dropped = Vec::new();
        let fields = Fields { of: name, fields: map.iter_mut(), value: None, place, notes, dropped: &mut dropped };
        let decoded = visitor.visit_map(fields)?;
        drop_fields(map, &dropped);
        Ok(decoded)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let text = self.text("string")?;
        let variant: StrDeserializer<'_, Refusal> = text.into_deserializer();
        visitor.visit_enum(variant)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.notes.asked.set(Asked::Nothing);
        visitor.visit_unit()
    }

    /// Only `IntOrString` asks for a value in this way.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let int32 = |given: &str| Err(Refusal(format!("json: cannot unmarshal {given} into Go value of type int32")));
        match self.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Null => visitor.visit_i32(0),
            Value::Number(number) => {
                let exact = number.as_i64().or_else(|| number.as_f64().and_then(whole));
                let Some(exact) = exact.and_then(|n| i32::try_from(n).ok()) else {
                    return int32(&format!("number {number}"));
                };
                *number = Number::from(exact);
                visitor.visit_i32(exact)
            }
            other => int32(type_name(other)),
        }
    }
}

struct Items<'a, I> {
    items: I,
    place: &'a Place<'a>,
    notes: &'a Notes,
}

impl<'a, 'de, I: Iterator<Item = (usize, &'a mut Value)>> de::SeqAccess<'de> for Items<'a, I> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        let place = Place::Item { parent: self.place, index };
        seed.deserialize(Decoder { value, place: &place, notes: self.notes }).map(Some)
    }
}

/// The entries of a map, whose keys are the user's.
struct Entries<'a, I> {
    entries: I,
    value: Option<(&'a str, &'a mut Value)>,
    place: &'a Place<'a>,
    notes: &'a Notes,
}

impl<'a, 'de, I: Iterator<Item = (&'a String, &'a mut Value)>> de::MapAccess<'de> for Entries<'a, I> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (key, value) = self.value.take().ok_or_else(|| Refusal("a value before its key".into()))?;
        let place = Place::Entry { parent: self.place, key };
        seed.deserialize(Decoder { value, place: &place, notes: self.notes })
    }
}

/// The fields of a struct, whose names are the type's.
struct Fields<'a> {
    of: &'static str,
    fields: serde_json::map::IterMut<'a>,
    value: Option<(&'a str, &'a mut Value)>,
    place: &'a Place<'a>,
    notes: &'a Notes,
    /// Fields that are not to be stored.
    dropped: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    fn advance(&mut self) -> Option<&'a str> {
        let (key, value) = self.fields.next()?;
        self.value = Some((key, value));
        Some(key)
    }

    fn take(&mut self) -> Result<(&'a str, &'a mut Value), Refusal> {
        self.value.take().ok_or_else(|| Refusal("a value before its key".into()))
    }

    /// Decides what becomes of a field that has been read.
    fn note(&mut self, name: &str, value: &Value, place: &Place<'_>) {
        match self.notes.asked.take() {
            Asked::Nothing if self.notes.extras && argo::knows(self.of, name) => {}
            Asked::Nothing => {
                self.notes.unknown.borrow_mut().push(format!("unknown field \"{}\"", place.path()));
                self.dropped.push(name.to_owned());
            }
            asked if zero::is_empty(value, asked == Asked::Map) && !zero::is_kept(self.of, name) => {
                self.dropped.push(name.to_owned());
            }
            _ => {}
        }
    }
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        self.advance().map(|key| seed.deserialize(StrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (name, value) = self.take()?;
        let place = Place::Field { parent: self.place, of: self.of, name };
        let decoded = seed.deserialize(Decoder { value: &mut *value, place: &place, notes: self.notes })?;
        self.note(name, value, &place);
        Ok(decoded)
    }
}
