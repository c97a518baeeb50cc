//! The JSON paths of printer columns and selectable fields, as kubectl's templates have them, without the braces.

use serde_json::Value;

/// Steps of one path; longer ones are refused.
const MOST_STEPS: usize = 64;
/// Values that one path finds; what comes after does not show in a cell anyway.
const MOST_FOUND: usize = 1024;

/// A path such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Slice(i64, Option<i64>),
    /// Every member or entry.
    Every,
    /// The field at any depth.
    Deep(String),
    /// The entries for which the comparison holds.
    Where(Vec<String>, Option<(Comparison, Value)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is an invalid path: {0}")]
pub struct BadPath(String);

impl JsonPath {
    /// # Errors
    /// When the text is no path.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let mut steps = Vec::new();
        let mut rest = inner.strip_prefix('$').unwrap_or(inner);
        while !rest.is_empty() {
            if steps.len() == MOST_STEPS {
                return Err(BadPath(format!("more than {MOST_STEPS} steps")));
            }
            rest = step(rest, &mut steps)?;
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path is a chain of plain fields, as selectable fields must be.
    pub fn fields(&self) -> Option<Vec<&str>> {
        let names = self.steps.iter().map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None });
        names.collect()
    }

    /// What the path leads to, in order.
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                step.walk(value, &mut next);
                if next.len() >= MOST_FOUND {
                    break;
                }
            }
            found = next;
        }
        found
    }
}

impl Step {
    fn walk<'a>(&self, value: &'a Value, found: &mut Vec<&'a Value>) {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => found.extend(map.get(name)),
            (Self::Index(index), Value::Array(items)) => found.extend(at(items, *index)),
            (Self::Slice(from, to), Value::Array(items)) => {
                let place = |index: i64| usize::try_from(if index < 0 { index + length(items) } else { index });
                let to = to.map_or(Ok(items.len()), place).unwrap_or(0).min(items.len());
                let from = place(*from).unwrap_or(0).min(to);
                found.extend(&items[from..to]);
            }
            (Self::Every, Value::Array(items)) => found.extend(items),
            (Self::Every, Value::Object(map)) => found.extend(map.values()),
            (Self::Deep(name), value) => deep(name, value, found),
            (Self::Where(path, test), Value::Array(items)) => {
                found.extend(items.iter().filter(|item| holds(item, path, test.as_ref())));
            }
            _ => {}
        }
    }
}

fn length(items: &[Value]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn at(items: &[Value], index: i64) -> Option<&Value> {
    let index = if index < 0 { index + length(items) } else { index };
    items.get(usize::try_from(index).ok()?)
}

fn deep<'a>(name: &str, value: &'a Value, found: &mut Vec<&'a Value>) {
    if found.len() >= MOST_FOUND {
        return;
    }
    match value {
        Value::Object(map) => {
            found.extend(map.get(name));
            map.values().for_each(|value| deep(name, value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| deep(name, value, found)),
        _ => {}
    }
}

fn holds(item: &Value, path: &[String], test: Option<&(Comparison, Value)>) -> bool {
    let found = path.iter().try_fold(item, |value, name| value.get(name));
    let (Some(found), Some((comparison, wanted))) = (found, test) else { return found.is_some() && test.is_none() };
    let ordering = match (found, wanted) {
        (Value::Number(_), Value::Number(_)) => Some(super::numbers::compare(found, wanted)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match comparison {
        Comparison::Equal => ordering.map_or(found == wanted, std::cmp::Ordering::is_eq),
        Comparison::Unequal => !ordering.map_or(found == wanted, std::cmp::Ordering::is_eq),
        Comparison::Less => ordering.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => ordering.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => ordering.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => ordering.is_some_and(std::cmp::Ordering::is_ge),
    }
}

/// Reads one step off the text, and gives the rest.
fn step<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, BadPath> {
    if let Some(rest) = text.strip_prefix("..") {
        let (name, rest) = field(rest)?;
        steps.push(Step::Deep(name));
        return Ok(rest);
    }
    if let Some(rest) = text.strip_prefix('.') {
        if rest.is_empty() && steps.is_empty() {
            return Ok(rest);
        }
        if let Some(rest) = rest.strip_prefix('*') {
            steps.push(Step::Every);
            return Ok(rest);
        }
        if rest.starts_with('[') {
            return Ok(rest);
        }
        let (name, rest) = field(rest)?;
        steps.push(Step::Field(name));
        return Ok(rest);
    }
    let Some(rest) = text.strip_prefix('[') else { return Err(BadPath(format!("unexpected {text:?}"))) };
    let (inner, rest) = bracket(rest)?;
    steps.push(subscript(inner)?);
    Ok(rest)
}

/// A name up to the next step; a backslash takes the next character as it is.
fn field(text: &str) -> Result<(String, &str), BadPath> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => {
                end = index;
                break;
            }
            c if c.is_whitespace() || "{}()?@'\"".contains(c) => {
                return Err(BadPath(format!("unexpected {c:?} in a name")));
            }
            c => name.push(c),
        }
    }
    if name.is_empty() { Err(BadPath("a name is missing".into())) } else { Ok((name, &text[end..])) }
}

/// What stands up to the bracket that closes, quotes and inner brackets apart.
fn bracket(text: &str) -> Result<(&str, &str), BadPath> {
    let (mut quote, mut depth) = (None, 0);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Ok((&text[..index], &text[index + 1..])),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    Err(BadPath("a bracket is not closed".into()))
}

fn subscript(inner: &str) -> Result<Step, BadPath> {
    let inner = inner.trim();
    if inner == "*" {
        return Ok(Step::Every);
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        return condition(filter);
    }
    if let Some(name) = unquoted(inner) {
        return Ok(Step::Field(name.to_owned()));
    }
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| BadPath(format!("unexpected [{inner}]")));
    match inner.split_once(':') {
        Some((from, to)) => {
            let from = if from.trim().is_empty() { 0 } else { number(from)? };
            Ok(Step::Slice(from, if to.trim().is_empty() { None } else { Some(number(to)?) }))
        }
        None => number(inner).map(Step::Index),
    }
}

fn condition(text: &str) -> Result<Step, BadPath> {
    const SIGNS: [(&str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let sign = SIGNS.iter().filter_map(|(sign, c)| Some((text.find(sign)?, *sign, *c))).min_by_key(|(at, ..)| *at);
    let (left, test) = match sign {
        None => (text, None),
        Some((at, sign, comparison)) => {
            let right = text[at + sign.len()..].trim();
            let wanted = match unquoted(right) {
                Some(text) => Value::String(text.to_owned()),
                None => serde_json::from_str(right).map_err(|_| BadPath(format!("{right:?} is no value")))?,
            };
            (&text[..at], Some((comparison, wanted)))
        }
    };
    let path = left.trim().strip_prefix('@').ok_or_else(|| BadPath(format!("unexpected {left:?} in a filter")))?;
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(after) = rest.strip_prefix('.') {
        let (name, after) = field(after)?;
        names.push(name);
        rest = after;
    }
    if rest.is_empty() {
        Ok(Step::Where(names, test))
    } else {
        Err(BadPath(format!("unexpected {rest:?} in a filter")))
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    within('\'').or_else(|| within('"'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({"spec": {"n": 5, "a": [{"x": 1}, {"x": 2}], "a.b": "dotted"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}});
        let cases = [
            (".spec.n", json!([5])),
            ("{.spec.n}", json!([5])),
            (".spec.a[*].x", json!([1, 2])),
            (".spec.a[-1].x", json!([2])),
            (".spec.a[0:1].x", json!([1])),
            (".spec.a\\.b", json!(["dotted"])),
            (".spec['a.b']", json!(["dotted"])),
            (".status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".status.conditions[?(@.type!='Ready')].status", json!(["False"])),
            ("..x", json!([1, 2])),
            (".spec.none", json!([])),
        ];
        for (path, want) in cases {
            let found = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(json!(found.find(&object)), want, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["spec", ".spec[", ".spec.", ".a[b]", ".a[?(x)]", ".spec.a b"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
        assert!(JsonPath::parse(&".a".repeat(100)).is_err());
    }
}
