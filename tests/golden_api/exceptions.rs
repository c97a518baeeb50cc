//! The named and argued exceptions: parts of recorded answers that windlass does not promise to give.

use serde::Deserialize;
use serde_json::Value;

/// Cases whose name starts with one of `cases` are compared without the places of `ignore`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    cases: Vec<String>,
    /// Paths into the answer, such as `/body/resources/name=nodes*`: `*` is any member or item, `NAME=VALUE`
    /// the items with that member (`a.b=VALUE` of a member); a `*` at the end of a name or a value stands for any ending, `~1` for a slash.
    ignore: Vec<String>,
    pub reason: String,
}

pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    pub fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api-exceptions.json");
        let text = std::fs::read_to_string(path).expect("the list of exceptions is there");
        let list: Vec<Exception> = serde_json::from_str(&text).expect("the list of exceptions is as documented");
        assert!(list.iter().all(|e| e.reason.len() > 20), "every exception is argued");
        Self(list)
    }

    pub fn of<'a>(&'a self, case: &'a str) -> impl Iterator<Item = &'a Exception> {
        self.0.iter().filter(move |exception| exception.cases.iter().any(|pattern| fits(pattern, case)))
    }
}

impl Exception {
    /// The answer without what is excepted.
    pub fn strip(&self, answer: &mut Value) {
        for path in &self.ignore {
            let segments: Vec<String> = path.trim_start_matches('/').split('/').map(|s| s.replace("~1", "/")).collect();
            remove(answer, &segments);
        }
    }
}

fn remove(value: &mut Value, segments: &[String]) {
    let Some((first, rest)) = segments.split_first() else { return };
    match value {
        Value::Object(members) if rest.is_empty() => members.retain(|name, _| !fits(first, name)),
        Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| fits(first, name)).for_each(|(_, member)| remove(member, rest));
        }
        Value::Array(items) if rest.is_empty() => items.retain(|item| !chosen(first, item)),
        Value::Array(items) => {
            items.iter_mut().filter(|item| first == "*" || chosen(first, item)).for_each(|item| remove(item, rest));
        }
        _ => {}
    }
}

/// Whether a path's segment means this item of an array.
fn chosen(segment: &str, item: &Value) -> bool {
    match segment.split_once('=') {
        Some((member, value)) => {
            let member = member.split('.').fold(item, |item, name| &item[name]);
            member.as_str().is_some_and(|text| fits(value, text))
        }
        None => item.as_str().map_or(segment == "*", |text| fits(segment, text)),
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |start| text.starts_with(start))
}

#[test]
fn excepted_places_are_taken_out_and_nothing_else() {
    let mut answer =
        serde_json::json!({"groups": [{"name": "a", "v": 1}, {"name": "b.x", "v": 2}], "paths": ["/a", "/b"]});
    let ignore = ["/groups/name=b*", "/groups/*/v", "/paths/~1a"].map(str::to_owned).into();
    Exception { cases: Vec::new(), ignore, reason: String::new() }.strip(&mut answer);
    assert_eq!(answer, serde_json::json!({"groups": [{"name": "a"}], "paths": ["/b"]}));
}
