//! Takes the values of a Secret out of what is said about it: refusals quote what they refuse. Pure.

use serde_json::Value;

/// In the place of a value.
const HIDDEN: &str = "(hidden)";
/// Shorter values are only taken out where they stand alone: else no word would be left.
const SHORT: usize = 4;

/// `text` without the values of the Secret `object`, encoded or not.
pub fn hide(object: &Value, text: &str) -> String {
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        collect(&object[field], &mut values);
    }
    // What contains another goes first.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(text.to_owned(), |text, value| take_out(&text, value))
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, found)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        Value::String(text) => {
            // Messages escape what they quote, or quote a line of it.
            found.extend([format!("{text:?}").trim_matches('"').to_owned(), text.clone()]);
            found.extend(text.lines().map(str::to_owned));
        }
        Value::Number(number) => found.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

fn take_out(text: &str, value: &str) -> String {
    if value.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let stands_alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        out.push_str(before);
        out.push_str(if stands_alone || value.len() >= SHORT { HIDDEN } else { value });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_taken_out_of_what_quotes_them() {
        let secret = json!({"metadata": {"name": "s3cret"}, "data": {"a": "s3cret!", "b": 4711},
            "stringData": {"c": "x", "d": ["one\ntwo"], "e": ""}});
        for (text, want) in [
            ("expected base64, got \"s3cret!\"", "expected base64, got \"(hidden)\""),
            ("Secret s3cret: must be text, not 4711", "Secret s3cret: must be text, not (hidden)"),
            ("an example of x", "an example of (hidden)"),
            ("got [\"one\\ntwo\"]", "got [\"(hidden)\"]"),
        ] {
            assert_eq!(hide(&secret, text), want);
        }
    }
}
