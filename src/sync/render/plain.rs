//! Reads plain YAML, which nearly every manifest is, straight from the parser's events: several times as fast as by way of
//! a deserializer. Plain is what needs no thought: no anchors, tags, merge keys or directives, keys that are words, scalars
//! that mean the same in every version of YAML. All else, and all that is wrong, is `yaml`'s to read and to say. Pure.

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::yaml::{MAX_DEPTH, Parsed};

/// Digits of a number that no reader rounds.
const MOST_DIGITS: usize = 15;

/// The documents of a text, if all of them are plain mappings, and how many values they have. `line` is the text's first.
pub fn read(text: &str, line: u32, most: usize) -> Option<(Vec<Parsed>, usize)> {
    let mut reader = Reader { parser: Parser::new_from_str(text), left: most };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentEnd, _) => {}
            (Event::DocumentStart(_, None), _) => {
                let (event, span) = reader.next()?;
                let Event::MappingStart(style, 0, None) = event else { return None };
                let (value, first_key) = reader.mapping(0)?;
                let first = line_of(&span)?;
                if style == StructureStyle::Block && first_key != Some(first) {
                    return None;
                }
                documents.push(Parsed { value, line: line + first - 1 });
            }
            (Event::StreamEnd, _) => return Some((documents, most - reader.left)),
            _ => return None,
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            match self.parser.next_event()?.ok()? {
                (Event::Comment(..), _) => {}
                found => return Some(found),
            }
        }
    }

    /// The members up to the mapping's end, and the line of its first key.
    fn mapping(&mut self, depth: usize) -> Option<(Value, Option<u32>)> {
        self.enter(depth)?;
        let (mut members, mut first) = (Map::new(), None);
        loop {
            let (key, span) = match self.next()? {
                (Event::MappingEnd, _) => return Some((Value::Object(members), first)),
                (Event::Scalar(key, style, 0, None), span) if is_word(&key, style) => (key, span),
                _ => return None,
            };
            if first.is_none() {
                first = Some(line_of(&span)?);
            }
            let (event, _) = self.next()?;
            let value = self.value(event, depth + 1)?;
            if members.insert(key.into_owned(), value).is_some() {
                return None;
            }
        }
    }

    fn sequence(&mut self, depth: usize) -> Option<Value> {
        self.enter(depth)?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(Value::Array(items)),
                (event, _) => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Option<Value> {
        match event {
            Event::MappingStart(_, 0, None) => self.mapping(depth).map(|(value, _)| value),
            Event::SequenceStart(_, 0, None) => self.sequence(depth),
            Event::Scalar(text, style, 0, None) => {
                self.left = self.left.checked_sub(1)?;
                if style == ScalarStyle::Plain { plain(&text) } else { Some(Value::String(text.into_owned())) }
            }
            _ => None,
        }
    }

    fn enter(&mut self, depth: usize) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        (depth + 2 < MAX_DEPTH).then_some(())
    }
}

fn line_of(span: &Span) -> Option<u32> {
    u32::try_from(span.start.line()).ok()
}

/// Whether a key is text to every reader.
fn is_word(key: &str, style: ScalarStyle) -> bool {
    style != ScalarStyle::Plain || key.starts_with(|c: char| c.is_ascii_alphabetic()) && !means_more(key)
}

/// Words that stand for something else in some version of YAML.
fn means_more(word: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "on", "no", "yes", "off", "true", "null", "false"];
    word.len() <= 5 && WORDS.iter().any(|one| one.eq_ignore_ascii_case(word))
}

/// What a scalar without quotes means, where that is plain.
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" => return Some(Value::Null),
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    let first = *text.as_bytes().first()?;
    if first.is_ascii_alphabetic() || first == b'/' || !first.is_ascii() {
        return (!means_more(text)).then(|| text.into());
    }
    if !first.is_ascii_digit() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let is_sure = text.len() <= MOST_DIGITS && (text == "0" || first != b'0');
        return is_sure.then(|| text.parse::<i64>().ok()).flatten().map(Value::from);
    }
    is_no_number(text).then(|| text.into())
}

/// Whether what begins with a digit is text to every reader: an amount with a unit, an address, a version.
fn is_no_number(text: &str) -> bool {
    let is_foreign = |byte: u8| match byte.to_ascii_lowercase() {
        b'a'..=b'f' | b'o' | b'x' => false,
        b'g'..=b'z' | b'/' => true,
        _ => false,
    };
    text.bytes().any(is_foreign) || text.bytes().filter(|byte| *byte == b'.').count() > 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    #[test]
    fn manifests_are_plain_and_what_is_not_is_left_to_others() {
        let text = "# one\napiVersion: v1\nkind: A\nmetadata: {name: a-1, labels: {\"yes\": 'no', b: }}\nspec:\n- 100m\n- 8080\n\
                    - 1.2.3\n- true\n- |\n  x\n  y\n- {}\n- []\n---\na: b\n";
        let (documents, used) = read(text, 5, 100).unwrap();
        let spec = json!(["100m", 8080, "1.2.3", true, "x\ny\n", {}, []]);
        let metadata = json!({"name": "a-1", "labels": {"yes": "no", "b": null}});
        let want = json!({"apiVersion": "v1", "kind": "A", "metadata": metadata, "spec": spec});
        assert_eq!(documents, [Parsed { value: want, line: 6 }, Parsed { value: json!({"a": "b"}), line: 20 }]);
        assert_eq!(used, 18);
        assert_eq!(read(text, 5, 17), None);
        for odd in [
            "a: &b 1",
            "a: !!str 1",
            "<<: {a: b}",
            "1: a",
            "yes: a",
            "a: yes",
            "a: 0644",
            "a: 1.5",
            "a: -1",
            "a: 1e3",
            "a: .inf",
            "a: 1\na: 2",
            "a: [",
            "- a",
            "%YAML 1.1\n---\na: b",
            "? [a]\n: b",
            "a: 0x1f",
            "a: 1_000",
            "a: *b",
            "~: a",
        ] {
            assert_eq!(read(odd, 1, 100), None, "{odd}");
        }
        let deep = format!("a: {}{}", "[".repeat(80), "]".repeat(80));
        assert_eq!(read(&deep, 1, 1000), None);
    }

    /// Text that is YAML rather often.
    fn yaml_like() -> impl Strategy<Value = String> {
        let words = [
            "a",
            "b-1",
            "kind",
            "yes",
            "No",
            "null",
            "true",
            "1",
            "01",
            "1.5",
            "1e3",
            "100m",
            "1Gi",
            "-1",
            "0x1f",
            "1:30",
            "~",
            "''",
            "\"x\\n\"",
            "'y'",
            "|",
            ">-",
            "10.0.0.1",
            "2001-12-14",
            ".5",
            "1_0",
            "a b",
            "a:b",
            "é",
            "/x",
            "@",
            "12345678901234567890",
        ];
        let pieces = [
            ": ", ":", "\n", "\n  ", "\n- ", "\n  - ", ", ", "{", "}", "[", "]", " # c\n", "\n---\n", "\n...\n", "- ",
            "? ", "\t", "&a ", "*a", "<<: ",
        ];
        let piece =
            prop_oneof![3 => proptest::sample::select(words.to_vec()), 4 => proptest::sample::select(pieces.to_vec())];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn it_reads_as_the_library_reads(text in yaml_like()) {
            if let Some((documents, _)) = read(&text, 1, 1000) {
                let (want, faults) = yaml::deserialize(&text, 1, 1000);
                prop_assert_eq!((documents, Vec::new()), (want, faults));
            }
        }
    }
}
