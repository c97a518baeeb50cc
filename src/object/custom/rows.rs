//! Interns the rows of custom kinds. The only state of the process here, and it decides nothing: a row is a plain
//! value, and equal values are one row. Bounded: whoever may write definitions could otherwise fill the memory by
//! changing one for ever.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::object::kinds::{Durability, Kind, Origin, Shape, Subresource};

/// Rows that one process makes: hundreds of definitions, each changed hundreds of times.
const MOST_ROWS: usize = 32_768;

/// Rows by what they say.
static ROWS: LazyLock<Mutex<HashMap<Content, &'static Kind>>> = LazyLock::new(Mutex::default);

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    pub subresources: Vec<Subresource>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process has seen {MOST_ROWS} different custom kinds and takes no more; restart it")]
pub struct TooManyKinds;

/// The row with this content.
///
/// # Errors
/// When there are too many already.
pub fn intern(content: Content) -> Result<&'static Kind, TooManyKinds> {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = rows.get(&content) {
        return Ok(known);
    }
    if rows.len() >= MOST_ROWS {
        return Err(TooManyKinds);
    }
    let row: &'static Kind = Box::leak(Box::new(Kind {
        group: leak(&content.group),
        version: leak(&content.version),
        kind: leak(&content.kind),
        plural: leak(&content.plural),
        singular: leak(&content.singular),
        short_names: leak_all(&content.short_names),
        categories: leak_all(&content.categories),
        namespaced: content.namespaced,
        subresources: Box::leak(content.subresources.clone().into_boxed_slice()),
        shape: Shape::Spec,
        durability: Durability::Durable,
        origin: Origin::Definition,
    }));
    rows.insert(content, row);
    Ok(row)
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_all(texts: &[String]) -> &'static [&'static str] {
    let texts: Vec<&'static str> = texts.iter().map(|text| leak(text)).collect();
    Box::leak(texts.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(version: &str) -> Content {
        Content {
            group: "rows.example.com".into(),
            version: version.into(),
            kind: "Row".into(),
            plural: "rows".into(),
            singular: "row".into(),
            short_names: vec!["r".into()],
            categories: Vec::new(),
            namespaced: true,
            subresources: vec![Subresource::Status],
        }
    }

    #[test]
    fn the_same_content_is_the_same_row_and_versions_are_one_kind() {
        let (a, b, other) = (intern(content("v1")), intern(content("v1")), intern(content("v2")));
        let (a, b, other) = (a.expect("a row"), b.expect("a row"), other.expect("a row"));
        assert!(std::ptr::eq(a, b));
        assert!(!std::ptr::eq(a, other));
        assert_eq!(a, other);
        assert!(!a.is_built_in());
        assert_eq!(other.api_version(), "rows.example.com/v2");
    }
}
