//! Reads manifests as kubectl does (YAML 1.1: `yes` is true, `0644` is octal, merge keys are expanded) and
//! never trusts them: size, depth, nodes, documents and alias expansion are bounded. Each document of a file
//! is read by itself, so that one mistake does not hide the mistakes after it. Pure.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Options, Spanned};

use super::plain;

/// A file larger than this is refused unread.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Documents in one file.
pub const MAX_DOCUMENTS: usize = 10_000;
/// Values in one file, after aliases are expanded.
pub const MAX_NODES: usize = 250_000;
/// Nesting of one document.
pub const MAX_DEPTH: usize = 64;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub value: Value,
    /// Line of its first key, from 1.
    pub line: u32,
}

/// Something wrong in a file, at a line (0: the whole file).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: u32,
    pub message: String,
}

impl Fault {
    pub fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The documents of a file, empty ones left out, and everything that is wrong with the others.
pub fn parse(content: &[u8]) -> (Vec<Parsed>, Vec<Fault>) {
    if content.len() > MAX_FILE_BYTES {
        let message = format!(
            "the file has {:.1} MiB, more than the {} MiB that a manifest may have",
            content.len() as f64 / f64::from(1 << 20),
            MAX_FILE_BYTES >> 20
        );
        return (Vec::new(), vec![Fault::new(0, message)]);
    }
    let text = match std::str::from_utf8(content) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = line_of(content, error.valid_up_to());
            return (Vec::new(), vec![Fault::new(line, "the file is not UTF-8 text")]);
        }
    };
    if let Some(at) = text.find('\0') {
        return (Vec::new(), vec![Fault::new(line_of(text.as_bytes(), at), "the file holds a NUL character")]);
    }
    let mut parsed = Vec::new();
    let mut faults = Vec::new();
    let mut nodes = MAX_NODES;
    for (line, piece) in pieces(text) {
        if parsed.len() + faults.len() >= MAX_DOCUMENTS {
            faults.push(Fault::new(line, format!("the file has more than {MAX_DOCUMENTS} documents")));
            break;
        }
        if let Some((documents, used)) = plain::read(piece, line, nodes) {
            nodes -= used;
            parsed.extend(documents);
            continue;
        }
        let (documents, found) = deserialize(piece, line, nodes);
        nodes = nodes.saturating_sub(documents.iter().map(|document| count(&document.value)).sum());
        parsed.extend(documents);
        faults.extend(found);
    }
    (parsed, faults)
}

/// The documents of a text that begins at `line` and may have so many values, or what is wrong with it.
pub(super) fn deserialize(text: &str, line: u32, nodes: usize) -> (Vec<Parsed>, Vec<Fault>) {
    let found = match serde_saphyr::from_multiple_with_options::<Spanned<Value>>(text, options(nodes)) {
        Ok(found) => found,
        Err(error) => return (Vec::new(), vec![fault(&error, line)]),
    };
    let documents = found.into_iter().map(|Spanned { mut value, referenced, .. }| {
        settle(&mut value);
        let at = u32::try_from(referenced.line()).unwrap_or(1).max(1);
        Parsed { value, line: line + at - 1 }
    });
    (documents.collect(), Vec::new())
}

fn options(nodes: usize) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: nodes, max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    }
}

/// A marker at the start of a line ends a document wherever it stands (YAML 1.2, section 9.1.4), so a file
/// can be cut there before it is parsed. Gives the line of each piece that holds more than comments.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut starts = vec![(1, 0)];
    let mut offset = 0;
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        let marker = content.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(is_blank));
        if marker && offset > 0 {
            starts.push((line, offset));
        }
        offset += content.len();
    }
    let ends = starts.iter().skip(1).map(|(_, offset)| *offset).chain([text.len()]).collect::<Vec<_>>();
    let cut = starts.into_iter().zip(ends).map(|((line, start), end)| (line, &text[start..end]));
    cut.filter(|(_, piece)| piece.lines().any(|line| !is_silent(line)))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A line without content: a comment, a bare marker, a directive.
fn is_silent(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with('%') || line == "---" || line == "..."
}

/// Numbers that are whole are integers, however they are written: `1e3` is 1000 to kubectl.
fn settle(value: &mut Value) {
    /// Beyond this a double no longer tells neighbours apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < EXACT) {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(members) => members.values_mut().for_each(settle),
        _ => {}
    }
}

/// The values in a value, itself too.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn fault(error: &serde_saphyr::Error, first: u32) -> Fault {
    let at = error.location().map_or(1, |l| u32::try_from(l.line()).unwrap_or(1).max(1));
    let text = error.to_string();
    // The place is told once, as FILE:LINE, by whoever shows the fault.
    let cut = [" at line ", " (defined at", " (used at"].iter().filter_map(|m| text.find(m)).min();
    let what = &text[..cut.unwrap_or(text.len())];
    let message = match what {
        budget if budget.contains("budget breached") || budget.contains("limit exceeded") => {
            format!("the document is larger or deeper than allowed once its aliases are expanded ({budget})")
        }
        "expected string scalar" => "a key must be text; a template (`{{ }}`) is not a manifest".to_owned(),
        duplicate if duplicate.starts_with("duplicate mapping key") => {
            duplicate.split(", set").next().unwrap_or(duplicate).to_owned()
        }
        other => other.to_owned(),
    };
    Fault::new(first + at - 1, format!("YAML error: {message}"))
}

fn line_of(content: &[u8], offset: usize) -> u32 {
    let before = content.get(..offset).unwrap_or(content);
    u32::try_from(before.iter().filter(|b| **b == b'\n').count()).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Vec<(u32, Value)> {
        let (parsed, faults) = parse(text.as_bytes());
        assert_eq!(faults, [], "{text:?}");
        parsed.into_iter().map(|p| (p.line, p.value)).collect()
    }

    fn faults(content: &[u8]) -> Vec<Fault> {
        parse(content).1
    }

    #[test]
    fn scalars_read_as_kubectl_reads_them() {
        let text = "a: yes\nb: 0644\nc: 1_000\nd: 1e3\ne: 1.0\nf: 'yes'\ng: 0.5\nh: 2001-12-14\n";
        let want = json!({"a": true, "b": 420, "c": 1000, "d": 1000, "e": 1, "f": "yes", "g": 0.5, "h": "2001-12-14"});
        assert_eq!(values(text), [(1, want)]);
        assert_eq!(values("x: &a {k: 1}\ny:\n  <<: *a\n")[0].1["y"], json!({"k": 1}));
    }

    #[test]
    fn documents_know_their_lines_and_empty_ones_are_skipped() {
        let text = "# head\n\na: 1\n---\n---\n# only a comment\n--- # three\nb: 2\n...\nc: 3\n---\n";
        assert_eq!(values(text), [(3, json!({"a": 1})), (8, json!({"b": 2})), (10, json!({"c": 3}))]);
        assert_eq!(values("\u{feff}%YAML 1.1\n---\r\na: 1\r\n"), [(3, json!({"a": 1}))]);
        assert_eq!(values("{\"a\": 1.0}"), [(1, json!({"a": 1}))]);
    }

    #[test]
    fn a_marker_inside_a_block_scalar_is_text() {
        assert_eq!(values("a: |\n  ---\n  x\n"), [(1, json!({"a": "---\nx\n"}))]);
    }

    #[test]
    fn every_broken_document_is_reported_at_its_line() {
        let found = faults(b"a: 1\n---\nb: [1\nc: 2\n---\nd: 1\nd: 2\n---\ne: {{ .Values.x }}\n");
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [4, 7, 9], "{found:?}");
        assert_eq!(found[1].message, "YAML error: duplicate mapping key: d");
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            laughs += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
        }
        let quadratic = format!("a: &a [{}]\nb: [{}]\n", vec!["x"; 2000].join(","), vec!["*a"; 2000].join(","));
        let deep = format!("a: {}", "[".repeat(100_000));
        let merged = "a: &a [*a]\n".to_owned();
        for (name, text) in [("laughs", laughs), ("quadratic", quadratic), ("deep", deep), ("recursive", merged)] {
            let found = faults(text.as_bytes());
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].line > 0, "{name}: {found:?}");
        }
    }

    #[test]
    fn many_small_bombs_share_one_budget() {
        let one = format!("---\na: &a [{}]\nb: [{}]\n", vec!["x"; 200].join(","), vec!["*a"; 500].join(","));
        assert!(!faults(one.repeat(5).as_bytes()).is_empty());
    }

    #[test]
    fn content_that_is_not_text_is_refused() {
        assert_eq!(faults(b"a: 1\nb: \xff\n")[0].line, 2);
        assert_eq!(faults(b"a: 1\nb: \0\n")[0].line, 2);
        assert_eq!(faults(&vec![b' '; 10 << 20])[0].line, 0);
    }
}
