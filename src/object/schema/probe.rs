//! Finds the name, as Go would write it, of the list or map that a type asks for: it offers the type one item,
//! and looks at what the type asks of it.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

/// `[]string`, `[]v1.Container`; Go names the item alone when the list is given as an item's worth.
pub fn list<'de, V: Visitor<'de>>(visitor: V) -> String {
    format!("[]{}", visitor.visit_seq(Offer).map_or_else(|found| found.0, |_| "interface {}".to_owned()))
}

/// `map[string]string`, or the name of the type where Go has one.
pub fn map<'de, V: Visitor<'de>>(visitor: V) -> String {
    match visitor.visit_map(Offer) {
        Err(Found(value)) if value == "resource.Quantity" => "v1.ResourceList".to_owned(),
        Err(Found(value)) => format!("map[string]{value}"),
        Ok(_) => "map[string]interface {}".to_owned(),
    }
}

/// The name of a type, carried out of the visitor as its error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Found(String);

impl de::Error for Found {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn found<T>(name: &str) -> Result<T, Found> {
    Err(Found(name.to_owned()))
}

struct Offer;

impl<'de> de::SeqAccess<'de> for Offer {
    type Error = Found;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Found> {
        seed.deserialize(Offer).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Offer {
    type Error = Found;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Found> {
        seed.deserialize(StrDeserializer::new("")).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Found> {
        seed.deserialize(Offer)
    }
}

macro_rules! names {
    ($($method:ident $name:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Found> { found($name) }
    )*};
}

impl<'de> Deserializer<'de> for Offer {
    type Error = Found;

    names! {
        deserialize_any "intstr.IntOrString" deserialize_bool "bool" deserialize_i8 "int8" deserialize_i16 "int16"
        deserialize_i32 "int32" deserialize_i64 "int64" deserialize_u8 "uint8" deserialize_u16 "uint16"
        deserialize_u32 "uint32" deserialize_u64 "uint64" deserialize_f32 "float32" deserialize_f64 "float64"
        deserialize_char "string" deserialize_str "[]uint8" deserialize_string "string" deserialize_bytes "[]uint8"
        deserialize_byte_buf "[]uint8" deserialize_unit "interface {}" deserialize_identifier "string"
        deserialize_ignored_any "interface {}"
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Found> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Found> {
        found(&list(visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Found> {
        found(&map(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        found(&format!("v1.{name}"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, _: V) -> Result<V::Value, Found> {
        found(&if name == "Quantity" { "resource.Quantity".to_owned() } else { format!("v1.{name}") })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Found> {
        found("interface {}")
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Found> {
        found(&list(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Found> {
        found(&list(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        found("string")
    }
}
