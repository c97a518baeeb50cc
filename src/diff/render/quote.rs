//! Makes what a manifest says harmless to show: control characters, and those that reorder or hide text, become
//! visible escapes.

use serde_json::Value;

/// Text on one line.
pub(super) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hazard(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that act on the terminal or change how their neighbours read: C0 and C1 controls, line separators,
/// direction marks, embeddings and isolates, and invisible ones. (Unicode Technical Report 36, "Bidirectional text".)
fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A value on one line: strings in quotes, the rest as JSON.
pub(super) fn value(value: &Value) -> String {
    line(&value.to_string())
}

/// A value on lines of its own: as YAML where it has parts.
pub(super) fn block(value: &Value) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        value => serde_yaml::to_string(value).unwrap_or_else(|_| value.to_string()),
    };
    text.lines().map(line).collect()
}

/// Text inside HTML or markdown outside of a code block.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // What markdown gives a meaning to, mentions (@) and references (#) included.
            '`' | '*' | '_' | '[' | ']' | '|' | '~' | '\\' | '!' | '@' | '#' | '"' => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}
