//! What a replay hands to the tally: the recorded answer beside the one that was got.

use serde_json::{Value, json};

use crate::client::Answer;

/// One answer of a case.
pub struct Check {
    /// Where in the case, for the reader.
    pub place: String,
    pub want: Value,
    pub got: Value,
    /// The order of errors and conflicts has no meaning.
    pub unordered: bool,
}

impl Check {
    pub fn new(want: Value, got: Value) -> Self {
        Self { place: String::new(), want, got, unordered: false }
    }

    /// An answer by its status and body.
    pub fn answer(status: &Value, body: &Value, answer: &Answer) -> Self {
        let want = json!({"status": status, "body": body});
        Self::new(want, json!({"status": answer.status, "body": answer.json()}))
    }

    /// The same, for an object whose owners of fields were not recorded.
    pub fn object(status: &Value, body: &Value, answer: &Answer) -> Self {
        let mut check = Self::answer(status, body, answer);
        let metadata = check.got["body"].get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            metadata.remove("managedFields");
        }
        check
    }

    /// The recorded Warning header, beside what was warned of. Of several headers the last was recorded.
    pub fn warnings(mut self, recorded: Option<&Value>, answer: &Answer) -> Self {
        self.want["warnings"] = recorded.cloned().unwrap_or_default();
        self.got["warnings"] = match answer.warnings() {
            warnings if warnings.is_empty() => Value::Null,
            warnings => match warnings.rsplit_once("\", 299 - \"") {
                Some((_, last)) => json!(format!("299 - \"{last}")),
                None => json!(warnings),
            },
        };
        self
    }

    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    pub fn unordered(mut self, unordered: bool) -> Self {
        self.unordered = unordered;
        self
    }
}
