//! Finds the line of a field: `spec.template.spec.containers[0].image` in the document that starts at a line.
//! It is asked only when there is an error to report, so manifests are not kept with positions. Pure.

use serde_saphyr::granit_parser::{Event, Parser, Span, StrInput};

/// Deeper documents are refused by the reader; here the search just ends.
const MAX_DEPTH: usize = super::yaml::MAX_DEPTH + 8;

/// The line of `field` in the document whose first key stands at `line`; the line of the deepest parent that
/// exists where the field itself does not, and `line` where nothing does.
pub fn line_of_field(text: &str, line: u32, field: &str) -> u32 {
    document_at(text, line).map_or(line, |document| document.find(&segments(field)).unwrap_or(line))
}

/// The first lines of the entries of the list `field` of the document at `line`.
pub fn lines_of_entries(text: &str, line: u32, field: &str) -> Vec<u32> {
    let Some(Node { content: Content::Map(members), .. }) = document_at(text, line) else { return Vec::new() };
    let list = members.into_iter().find(|(key, _, _)| key == field).map(|(_, _, node)| node.content);
    match list {
        Some(Content::Seq(items)) => items.into_iter().map(|item| item.line).collect(),
        _ => Vec::new(),
    }
}

/// The path of the field that a refusal is about, as Kubernetes's messages name it: `unknown field "spec.x"`,
/// `.spec.x: field not declared in schema`, `Go struct field X.spec.x of type`, or `spec.x: Invalid value`.
pub fn field_in(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once("unknown field \"") {
        return rest.split_once('"').map(|(field, _)| field);
    }
    if let Some((_, rest)) = message.split_once("Go struct field ") {
        return rest.split(' ').next().and_then(|typed| typed.split_once('.')).map(|(_, field)| field);
    }
    let mut words = message.split([' ', ',']).map(|word| word.trim_start_matches('['));
    let named = words.find_map(|word| {
        let field = word.strip_suffix(':')?;
        let field = field.strip_prefix('.').unwrap_or(field);
        let root = field.split(['.', '[']).next()?;
        let known = ["metadata", "spec", "data", "binaryData", "stringData", "type", "subsets", "status", "immutable"];
        known.contains(&root).then_some(field)
    });
    named.filter(|field| !field.is_empty())
}

#[derive(Debug)]
struct Node {
    line: u32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Leaf(String),
    /// Key, line of the key, value.
    Map(Vec<(String, u32, Node)>),
    Seq(Vec<Node>),
}

/// One step of a field path.
#[derive(Debug, PartialEq)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
    /// `[name=web]`: the entry whose member has that value.
    Entry(&'a str, &'a str),
}

fn segments(field: &str) -> Vec<Segment<'_>> {
    let mut found = Vec::new();
    let mut rest = field.trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (content, after) = inside.split_once(']').unwrap_or((inside, ""));
            found.push(match (content.parse(), content.split_once('=')) {
                (Ok(index), _) => Segment::Index(index),
                (_, Some((key, value))) => Segment::Entry(key.trim_matches('"'), value.trim_matches('"')),
                _ => Segment::Key(content.trim_matches('"')),
            });
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            found.push(Segment::Key(&rest[..end]));
            rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
        }
    }
    found
}

impl Node {
    /// The line of the deepest node on the path; `None` when not even its first step exists.
    fn find(&self, path: &[Segment]) -> Option<u32> {
        let (step, rest) = path.split_first()?;
        let (line, child) = match (step, &self.content) {
            (Segment::Key(key), Content::Map(members)) => {
                members.iter().find(|(k, _, _)| k == key).map(|(_, line, node)| (*line, node))
            }
            (Segment::Index(index), Content::Seq(items)) => items.get(*index).map(|node| (node.line, node)),
            (Segment::Entry(key, value), Content::Seq(items)) => {
                items.iter().find(|node| node.member(key) == Some(value)).map(|node| (node.line, node))
            }
            _ => None,
        }?;
        Some(child.find(rest).unwrap_or(line))
    }

    fn member(&self, name: &str) -> Option<&str> {
        let Content::Map(members) = &self.content else { return None };
        let (_, _, node) = members.iter().find(|(key, _, _)| key == name)?;
        match &node.content {
            Content::Leaf(text) => Some(text),
            _ => None,
        }
    }

    fn shift(&mut self, lines: u32) {
        self.line += lines;
        match &mut self.content {
            Content::Leaf(_) => {}
            Content::Map(members) => members.iter_mut().for_each(|(_, line, node)| {
                *line += lines;
                node.shift(lines);
            }),
            Content::Seq(items) => items.iter_mut().for_each(|node| node.shift(lines)),
        }
    }

    /// The outermost mapping whose first line is `line`: a document, or an entry of a List.
    fn at(self, line: u32) -> Option<Self> {
        if self.line == line && matches!(self.content, Content::Map(_)) {
            return Some(self);
        }
        match self.content {
            Content::Leaf(_) => None,
            Content::Map(members) => members.into_iter().find_map(|(_, _, node)| node.at(line)),
            Content::Seq(items) => items.into_iter().find_map(|node| node.at(line)),
        }
    }
}

/// Looks only at the piece of the file that holds `line`, since others may not even be YAML.
fn document_at(text: &str, line: u32) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (first, piece) = super::yaml::pieces(text).take_while(|(first, _)| *first <= line).last()?;
    let mut parser = Parser::new_from_str(piece);
    loop {
        match parser.next_event()?.ok()? {
            (Event::StreamEnd, _) => return None,
            (Event::DocumentStart(..), _) => {
                let mut root = next_node(&mut parser, 0)?;
                root.shift(first - 1);
                if let Some(found) = root.at(line) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
}

type Events<'a> = Parser<'a, StrInput<'a>>;

fn next_node(parser: &mut Events, depth: usize) -> Option<Node> {
    let (event, span) = parser.next_event()?.ok()?;
    node(parser, event, span, depth)
}

/// Reads the node that `event` begins; `None` when an end came in its place.
fn node(parser: &mut Events, event: Event, span: Span, depth: usize) -> Option<Node> {
    if depth > MAX_DEPTH {
        return None;
    }
    let line = u32::try_from(span.start.line()).ok()?;
    let content = match event {
        Event::Scalar(text, ..) => Content::Leaf(text.into_owned()),
        Event::Alias(_) => Content::Leaf(String::new()),
        Event::MappingStart(..) => {
            let mut members = Vec::new();
            loop {
                let (event, span) = parser.next_event()?.ok()?;
                if matches!(event, Event::MappingEnd) {
                    break;
                }
                let key = node(parser, event, span, depth + 1)?;
                let value = next_node(parser, depth + 1)?;
                let name = if let Content::Leaf(text) = key.content { text } else { String::new() };
                members.push((name, key.line, value));
            }
            Content::Map(members)
        }
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                let (event, span) = parser.next_event()?.ok()?;
                if matches!(event, Event::SequenceEnd) {
                    break;
                }
                items.push(node(parser, event, span, depth + 1)?);
            }
            Content::Seq(items)
        }
        _ => return None,
    };
    // A mapping begins where its first key does; the event of a block mapping may stand elsewhere.
    let first = match &content {
        Content::Map(members) => members.first().map_or(line, |(_, line, _)| *line),
        _ => line,
    };
    Some(Node { line: first, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# two documents
a: 1
---
kind: Deployment
metadata:
  annotations:
    example.com/key: x
spec:
  replica: 3
  template:
    spec:
      containers:
      - name: web
        image: a
      - image: b
        name: side
        ports: [{containerPort: 1}, {
          foo: 2}]
";

    #[test]
    fn fields_are_found_by_path() {
        let cases = [
            ("spec.replica", 9),
            (".spec.replica", 9),
            ("metadata.annotations[example.com/key]", 7),
            ("spec.template.spec.containers[0].image", 14),
            ("spec.template.spec.containers[name=side].image", 15),
            ("spec.template.spec.containers[name=\"side\"].ports[1].foo", 18),
            ("spec.template.spec.containers[1].ports[0].none", 17),
            ("spec.selector", 8),
            ("nowhere", 4),
            ("", 4),
        ];
        for (field, line) in cases {
            assert_eq!(line_of_field(TEXT, 4, field), line, "{field}");
        }
        assert_eq!(line_of_field(TEXT, 2, "a"), 2);
        assert_eq!(line_of_field("a: [", 1, "a"), 1);
    }

    #[test]
    fn entries_of_a_list_have_lines_of_their_own() {
        let text = "kind: List\nitems:\n- kind: A\n  spec:\n    x: 1\n- {kind: B}\n";
        assert_eq!(lines_of_entries(text, 1, "items"), [3, 6]);
        assert_eq!(line_of_field(text, 3, "spec.x"), 5);
    }

    #[test]
    fn refusals_name_their_field() {
        let cases = [
            ("strict decoding error: unknown field \"spec.replica\"", Some("spec.replica")),
            (
                "failed to create typed patch object (a/b; v1, Kind=X): .spec.foo: field not declared in schema",
                Some("spec.foo"),
            ),
            ("Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be", Some("spec.replicas")),
            ("X is invalid: [spec.a[0].b: Required value, spec.c: Forbidden]", Some("spec.a[0].b")),
            (
                "json: cannot unmarshal number into Go struct field Deployment.spec.replicas of type string",
                Some("spec.replicas"),
            ),
            ("namespaces \"x\" not found", None),
        ];
        for (message, field) in cases {
            assert_eq!(field_in(message), field, "{message}");
        }
    }
}
