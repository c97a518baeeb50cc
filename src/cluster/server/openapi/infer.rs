//! Learns the schema of a type from its `Deserialize`: a deserializer that gives every field a value of the type that
//! is asked for, and writes down what was asked. So the schemas are those of the types that objects are read with,
//! and cannot drift from them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer, UnitDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

/// The schemas found so far, by the name of their type.
#[derive(Default)]
pub struct Schemas {
    found: RefCell<Map<String, Value>>,
    /// Also those that are still being looked at: types may contain themselves.
    begun: RefCell<BTreeSet<&'static str>>,
}

impl Schemas {
    /// Adds the schemas of `T` and of everything in it.
    pub fn add<T: for<'de> Deserialize<'de>>(&self) {
        let schema = RefCell::new(Value::Null);
        // A type that refuses the offered values has shown its fields up to there.
        if let Err(error) = T::deserialize(Probe { schemas: self, schema: &schema, offer: "" }) {
            tracing::debug!(%error, "a type did not show all its fields");
        }
    }

    /// Keeps the properties of a struct; of one that is or was looked at elsewhere there are none to keep.
    fn learn(&self, name: &str, properties: Map<String, Value>) {
        let mut found = self.found.borrow_mut();
        if !properties.is_empty() || !found.contains_key(name) {
            found.insert(name.to_owned(), json!({"type": "object", "properties": properties}));
        }
    }

    pub fn take(self) -> Map<String, Value> {
        self.found.into_inner()
    }
}

/// Stands for one value; `schema` is where its schema goes.
struct Probe<'a> {
    schemas: &'a Schemas,
    schema: &'a RefCell<Value>,
    /// The text that is given where a text is asked for.
    offer: &'a str,
}

/// A time that every type of time accepts.
const SOME_TIME: &str = "1970-01-01T00:00:00.000000Z";

// The deserializer's methods are compiled once for each of hundreds of types: whatever does not depend on the type is kept
// out of them, here and in `Walk`.
impl<'a> Probe<'a> {
    /// Refers to the schema of a struct. Whether its fields are still to be learned.
    fn begin(&self, name: &'static str) -> bool {
        self.is(json!({"$ref": format!("#/components/schemas/{name}")}));
        self.schemas.begun.borrow_mut().insert(name)
    }

    fn is_list_of(&self, item: Value) {
        self.is(json!({"type": "array", "items": item}));
    }

    fn is_map_of(&self, value: Value) {
        self.is(json!({"type": "object", "additionalProperties": value}));
    }

    fn is(&self, schema: Value) {
        self.schema.replace(schema);
    }

    /// A probe of an inner value, which must not outlive `schema`.
    fn inner<'b>(&self, schema: &'b RefCell<Value>, offer: &'b str) -> Probe<'b>
    where
        'a: 'b,
    {
        Probe { schemas: self.schemas, schema, offer }
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident($($value:expr)?) $schema:tt)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.is(json!($schema));
            visitor.$visit($($value)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    scalars! {
        deserialize_bool visit_bool(false) {"type": "boolean"}
        deserialize_i8 visit_i8(0) {"type": "integer", "format": "int32"}
        deserialize_i16 visit_i16(0) {"type": "integer", "format": "int32"}
        deserialize_i32 visit_i32(0) {"type": "integer", "format": "int32"}
        deserialize_i64 visit_i64(0) {"type": "integer", "format": "int64"}
        deserialize_u8 visit_u8(0) {"type": "integer", "format": "int32"}
        deserialize_u16 visit_u16(0) {"type": "integer", "format": "int32"}
        deserialize_u32 visit_u32(0) {"type": "integer", "format": "int64"}
        deserialize_u64 visit_u64(0) {"type": "integer", "format": "int64"}
        deserialize_f32 visit_f32(0.0) {"type": "number", "format": "double"}
        deserialize_f64 visit_f64(0.0) {"type": "number", "format": "double"}
        deserialize_char visit_char(' ') {"type": "string"}
        deserialize_any visit_i64(0) {"x-kubernetes-int-or-string": true, "oneOf": [{"type": "integer"}, {"type": "string"}]}
        deserialize_unit visit_unit() {"x-kubernetes-preserve-unknown-fields": true}
        deserialize_ignored_any visit_unit() {"x-kubernetes-preserve-unknown-fields": true}
        deserialize_bytes visit_bytes(&[]) {"type": "string", "format": "byte"}
        deserialize_byte_buf visit_bytes(&[]) {"type": "string", "format": "byte"}
    }

    /// k8s-openapi asks for a borrowed text where it then decodes base64, and only there.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.is(json!({"type": "string", "format": "byte"}));
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.is(json!({"type": "string"}));
        visitor.visit_str(self.offer)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            "Time" | "MicroTime" => {
                self.is(json!({"type": "string", "format": "date-time"}));
                visitor.visit_newtype_struct(StrDeserializer::new(SOME_TIME))
            }
            "Quantity" => {
                self.is(json!({"type": "string"}));
                visitor.visit_newtype_struct(StrDeserializer::new("0"))
            }
            "RawExtension" | "FieldsV1" => {
                self.is(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
                visitor.visit_newtype_struct(UnitDeserializer::new())
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let item = RefCell::new(Value::Null);
        let outcome = visitor.visit_seq(One(Some(self.inner(&item, ""))));
        self.is_list_of(item.take());
        outcome
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = RefCell::new(Value::Null);
        let outcome = visitor.visit_map(One(Some(self.inner(&value, ""))));
        self.is_map_of(value.take());
        outcome
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let fields = if self.begin(name) { fields } else { &[] };
        let mut properties = Map::new();
        let walk = Walk { schemas: self.schemas, name, fields: fields.iter(), next: "", properties: &mut properties };
        let outcome = visitor.visit_map(walk);
        self.schemas.learn(name, properties);
        outcome
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.is(json!({"type": "string", "enum": variants}));
        visitor.visit_enum(variants.first().copied().unwrap_or_default().into_deserializer())
    }
}

/// A list or map of one entry.
struct One<'a>(Option<Probe<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.take().map(|probe| seed.deserialize(probe)).transpose()
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.0.is_some().then(|| seed.deserialize(StrDeserializer::new("key"))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.0.take() {
            Some(probe) => seed.deserialize(probe),
            None => seed.deserialize(UnitDeserializer::new()),
        }
    }
}

/// All fields of a struct, one after another.
struct Walk<'a> {
    schemas: &'a Schemas,
    name: &'static str,
    fields: std::slice::Iter<'static, &'static str>,
    next: &'static str,
    properties: &'a mut Map<String, Value>,
}

impl Walk<'_> {
    fn advance(&mut self) -> Option<&'static str> {
        self.next = self.fields.next()?;
        Some(self.next)
    }

    /// The types of whole objects check that they are offered their own kind.
    fn offer(&self) -> String {
        let of_kind = crate::object::kinds::all().iter().find(|k| k.kind == self.name);
        match (self.next, of_kind) {
            ("apiVersion", Some(kind)) => kind.api_version(),
            ("kind", Some(kind)) => kind.kind.to_owned(),
            _ => String::new(),
        }
    }

    fn learn(&mut self, schema: Value) {
        self.properties.insert(self.next.to_owned(), schema);
    }
}

impl<'de> MapAccess<'de> for Walk<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.advance().map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (schema, offer) = (RefCell::new(Value::Null), self.offer());
        let outcome = seed.deserialize(Probe { schemas: self.schemas, schema: &schema, offer: &offer });
        self.learn(schema.take());
        outcome
    }
}
