//! Compares an answer with the recorded one, in which generated values stand as placeholders (`<uid>`, `<time>`).

use serde_json::Value;

const PLACEHOLDERS: &[&str] =
    &["<uid>", "<time>", "<rv>", "<clusterIP>", "<nodePort>", "<suffix>", "<age>", "<continue>", "<serverAddress>"];

/// The first place where `got` is not as `want`, in words; `None` when they agree.
pub fn difference(want: &Value, got: &Value) -> Option<String> {
    walk("", want, got)
}

/// The same, with the causes of a Status (and so the parts of its message) in any order.
pub fn difference_unordered(want: &Value, got: &Value) -> Option<String> {
    difference(&sorted(want), &sorted(got))
}

fn sorted(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let status = &mut answer["body"];
    if let Some(message) = status["message"].as_str() {
        let mut parts: Vec<&str> = message.split([',', '[', ']']).map(str::trim).filter(|p| !p.is_empty()).collect();
        parts.sort_unstable();
        status["message"] = parts.join(", ").into();
    }
    if let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(Value::to_string);
    }
    answer
}

fn walk(path: &str, want: &Value, got: &Value) -> Option<String> {
    match (want, got) {
        (Value::Object(wants), Value::Object(gots)) => {
            for (name, want) in wants {
                let here = format!("{path}.{name}");
                let found = match gots.get(name) {
                    Some(got) => walk(&here, want, got),
                    None => Some(format!("{here}: want {want}, absent")),
                };
                if found.is_some() {
                    return found;
                }
            }
            let extra = gots.iter().find(|(name, _)| !wants.contains_key(*name))?;
            Some(format!("{path}.{}: want absent, got {}", extra.0, extra.1))
        }
        (Value::Array(wants), Value::Array(gots)) if wants.len() == gots.len() => {
            let mut pairs = wants.iter().zip(gots).enumerate();
            pairs.find_map(|(i, (want, got))| walk(&format!("{path}[{i}]"), want, got))
        }
        (Value::String(pattern), Value::String(text)) if matches(pattern, text) => None,
        (Value::String(pattern), Value::Number(_)) if pattern == "<nodePort>" => None,
        _ if want == got => None,
        _ => Some(format!("{path}: want {want}\n      got  {got}")),
    }
}

/// Whether `text` is `pattern` with something in each placeholder's place.
fn matches(pattern: &str, text: &str) -> bool {
    let first = PLACEHOLDERS.iter().filter_map(|p| Some((pattern.find(p)?, p.len()))).min();
    let Some((at, length)) = first else { return pattern == text };
    let Some(rest) = text.strip_prefix(&pattern[..at]) else { return false };
    let after = &pattern[at + length..];
    let ends = rest.char_indices().map(|(i, c)| i + c.len_utf8());
    ends.into_iter().any(|end| matches(after, &rest[end..]))
}

#[test]
fn placeholders_match_what_the_server_made() {
    assert!(matches("uid <uid> does not match <uid>.", "uid 12-3 does not match 45."));
    assert!(matches("plain", "plain"));
    assert!(!matches("<uid>", ""));
    assert!(!matches("a<rv>b", "a7c"));
}
