//! Turns a message into the JSON object that it stands for, by the tables.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::table::{Field, Message, Shape};
use super::wire::{Content, Reader, WireError};
use crate::object::clock::{rfc3339, rfc3339_micro};

/// No kind nests deeper than this.
const DEPTH: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    #[error("no message of {api_version} {kind} can be read here; send JSON")]
    Unknown { api_version: String, kind: String },
    #[error("field {field} is not of the type that it should be")]
    Type { field: &'static str },
    #[error("messages are nested too deeply")]
    Depth,
}

/// The JSON members of a message.
///
/// # Errors
/// When the bytes are not such a message. Fields that are not in the table are newer than it and skipped.
pub fn members(message: &Message, bytes: &[u8]) -> Result<Map<String, Value>, DecodeError> {
    let mut object = Map::new();
    fill(message, bytes, &mut object, 0)?;
    Ok(object)
}

fn fill(message: &Message, bytes: &[u8], object: &mut Map<String, Value>, depth: usize) -> Result<(), DecodeError> {
    if depth == DEPTH {
        return Err(DecodeError::Depth);
    }
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        let Some(field) = message.fields.iter().find(|f| f.tag == tag) else { continue };
        match (field.shape, content) {
            (Shape::Inline(inner), Content::Bytes(bytes)) => fill(inner, bytes, object, depth + 1)?,
            (Shape::Texts | Shape::Blobs | Shape::Quantities | Shape::Lists, Content::Bytes(bytes)) => {
                let (key, value) = entry(field, bytes)?;
                if let Some(map) = object.entry(field.name).or_insert_with(|| json!({})).as_object_mut() {
                    map.insert(key, value);
                }
            }
            _ if field.repeated => {
                let item = value(field, field.shape, content, depth)?.unwrap_or_else(|| zero(field.shape));
                if let Some(list) = object.entry(field.name).or_insert_with(|| json!([])).as_array_mut() {
                    list.push(item);
                }
            }
            _ => {
                if let Some(value) = value(field, field.shape, content, depth)? {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    Ok(())
}

/// What a field's content is in JSON; `None` when it means "not set".
fn value(field: &Field, shape: Shape, content: Content<'_>, depth: usize) -> Result<Option<Value>, DecodeError> {
    let wrong = || DecodeError::Type { field: field.name };
    Ok(match (shape, content) {
        (Shape::Number, Content::Number(0)) | (Shape::Flag, Content::Number(0)) => None,
        (Shape::Number, Content::Number(n)) => Some(json!(n.cast_signed())),
        (Shape::Flag, Content::Number(_)) => Some(json!(true)),
        (Shape::Kept(inner), content) => Some(value(field, *inner, content, depth)?.unwrap_or_else(|| zero(*inner))),
        (Shape::Text, Content::Bytes(b"")) => None,
        (Shape::Text, Content::Bytes(bytes)) => Some(json!(text(bytes).ok_or_else(wrong)?)),
        (Shape::Time, Content::Bytes(bytes)) => time(bytes)?.map(|t| json!(rfc3339(t))),
        (Shape::MicroTime, Content::Bytes(bytes)) => time(bytes)?.map(|t| json!(rfc3339_micro(t))),
        (Shape::Quantity, Content::Bytes(bytes)) => Some(json!(quantity(bytes)?.ok_or_else(wrong)?)),
        (Shape::IntOrString, Content::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Raw, Content::Bytes(bytes)) => raw(bytes)?,
        (Shape::One(message), Content::Bytes(bytes)) => Some(nested(message, bytes, depth)?),
        (Shape::Plain(message), Content::Bytes(bytes)) => {
            Some(nested(message, bytes, depth)?).filter(|v| v.as_object().is_some_and(|o| !o.is_empty()))
        }
        _ => return Err(wrong()),
    })
}

fn nested(message: &Message, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let mut object = Map::new();
    fill(message, bytes, &mut object, depth + 1)?;
    Ok(Value::Object(object))
}

/// The value that a field has where its absence is not told from its zero.
fn zero(shape: Shape) -> Value {
    match shape {
        Shape::Number | Shape::IntOrString => json!(0),
        Shape::Flag => json!(false),
        Shape::Text => json!(""),
        _ => Value::Null,
    }
}

/// One entry of a map: a message of key and value.
fn entry(field: &Field, bytes: &[u8]) -> Result<(String, Value), DecodeError> {
    let wrong = || DecodeError::Type { field: field.name };
    let (mut key, mut value): (&[u8], &[u8]) = (b"", b"");
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        match (tag, content) {
            (1, Content::Bytes(bytes)) => key = bytes,
            (2, Content::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let key = text(key).ok_or_else(wrong)?.to_owned();
    let value = match field.shape {
        Shape::Blobs => json!(STANDARD.encode(value)),
        Shape::Quantities => json!(quantity(value)?.ok_or_else(wrong)?),
        Shape::Lists => {
            let mut items = Vec::new();
            let mut reader = Reader::new(value);
            while let Some((_, content)) = reader.next()? {
                let Content::Bytes(bytes) = content else { return Err(wrong()) };
                items.push(json!(text(bytes).ok_or_else(wrong)?));
            }
            Value::Array(items)
        }
        _ => json!(text(value).ok_or_else(wrong)?),
    };
    Ok((key, value))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Seconds and nanoseconds since 1970; nothing at all is no time.
fn time(bytes: &[u8]) -> Result<Option<Timestamp>, DecodeError> {
    let (mut seconds, mut nanos) = (None, 0);
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        match (tag, content) {
            (1, Content::Number(n)) => seconds = Some(n.cast_signed()),
            (2, Content::Number(n)) => nanos = i32::try_from(n.cast_signed()).unwrap_or(0),
            _ => {}
        }
    }
    Ok(seconds.and_then(|seconds| Timestamp::new(seconds, nanos).ok()))
}

fn quantity(bytes: &[u8]) -> Result<Option<&str>, DecodeError> {
    let mut found = Some("0");
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        if let (1, Content::Bytes(bytes)) = (tag, content) {
            found = text(bytes);
        }
    }
    Ok(found)
}

/// `type` 1 is a text, else a number.
fn int_or_string(bytes: &[u8]) -> Result<Option<Value>, DecodeError> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        match (tag, content) {
            (1, Content::Number(n)) => is_text = n == 1,
            (2, Content::Number(n)) => number = n.cast_signed(),
            (3, Content::Bytes(bytes)) => string = text(bytes).unwrap_or_default().to_owned(),
            _ => {}
        }
    }
    Ok(match (is_text, number) {
        (true, _) => Some(json!(string)),
        (false, 0) => None,
        (false, number) => Some(json!(number)),
    })
}

/// JSON bytes in field 1.
fn raw(bytes: &[u8]) -> Result<Option<Value>, DecodeError> {
    let mut found = None;
    let mut reader = Reader::new(bytes);
    while let Some((tag, content)) = reader.next()? {
        if let (1, Content::Bytes(bytes)) = (tag, content) {
            found = serde_json::from_slice(bytes).ok();
        }
    }
    Ok(found)
}
