//! Reads YAML as Kubernetes's API reads it: by the rules of YAML 1.1, the first document only, and of a key that is given
//! twice the last value, which is also said. Pure.

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy::{self, Error, LastWins};

/// The value, and the first key that is given twice, in the words of Kubernetes's library.
///
/// # Errors
/// When the first document is not YAML.
pub fn read(bytes: &[u8]) -> Result<(Value, Vec<String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let text = first_document(text);
    let strict = parse(text, Error).err().map(|error| error.to_string());
    let value = parse(text, LastWins).map_err(|error| in_words(&error.to_string()))?;
    Ok((value, strict.iter().filter_map(|error| duplicate(error)).collect()))
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
        duplicate_keys: duplicate_keys,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// The text up to where a second document begins. Nothing else in YAML can put `---` or `...` at the start of a line.
fn first_document(text: &str) -> &str {
    let (mut begun, mut at) = (false, 0);
    for line in text.split_inclusive('\n') {
        let marker = |marker: &str| {
            let rest = line.strip_prefix(marker);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        };
        if begun && (marker("---") || marker("...")) {
            return &text[..at];
        }
        let content = line.trim_start();
        begun |= !content.is_empty() && !content.starts_with(['#', '%']);
        at += line.len();
    }
    text
}

/// `line 5: key "name" already set in map`
fn duplicate(error: &str) -> Option<String> {
    let (key, _) = error.strip_prefix("duplicate mapping key: ")?.rsplit_once(", set ")?;
    let line = line_of(error)?;
    Some(format!("yaml: unmarshal errors:\n  line {line}: key \"{key}\" already set in map"))
}

/// The error as clients of Kubernetes know it, where it has a counterpart.
fn in_words(error: &str) -> String {
    match line_of(error) {
        Some(line) if error.starts_with("tabs disallowed") => {
            format!("line {line}: found character that cannot start any token")
        }
        _ => error.to_owned(),
    }
}

fn line_of(error: &str) -> Option<&str> {
    let (_, place) = error.rsplit_once(" at line ")?;
    place.split(',').next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_first_document_is_read() {
        for text in
            ["a: b\n", "---\na: b\n", "# c\n%YAML 1.1\n---\na: b\n---\n- x: [\n", "a: b\n...\n}", "a: b\n--- |\n x"]
        {
            assert_eq!(read(text.as_bytes()), Ok((json!({"a": "b"}), Vec::new())), "{text:?}");
        }
        assert_eq!(read(b"a: |\n  x\n  ---\n"), Ok((json!({"a": "x\n---\n"}), Vec::new())));
    }

    #[test]
    fn of_a_key_given_twice_the_last_value_counts() {
        let (value, duplicates) = read(b"m:\n  name: x\n  name: z\n").expect("lenient");
        assert_eq!(value, json!({"m": {"name": "z"}}));
        assert_eq!(duplicates, ["yaml: unmarshal errors:\n  line 3: key \"name\" already set in map"]);
    }

    #[test]
    fn tabs_are_refused_in_words_that_clients_know() {
        let want = "line 2: found character that cannot start any token";
        assert_eq!(read(b"a:\n\t- b"), Err(want.into()));
    }
}
