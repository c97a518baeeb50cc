//! Turns the documents of one file into objects with a name: expands Lists, looks the kinds of the table up, and
//! says what is missing. Pure; the result depends on the file's content only, so it is kept by blob id, and what
//! kinds there are beside the table's is for others to say.

use serde_json::Value;

use super::facts::Facts;
use super::locate::lines_of_entries;
use super::sops::{self, AgeKeys};
use super::yaml::{self, Fault, MAX_DOCUMENTS};
use crate::object::{Kind, kinds};

/// An object as a file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `None` of kinds that are not the table's: a definition may have them.
    pub kind: Option<&'static Kind>,
    /// Empty where the file names none.
    pub namespace: String,
    pub name: String,
    /// JSON: as a tree of values it takes ten times the memory, and most objects are looked into only when they change.
    object: Box<str>,
    pub facts: Facts,
    /// Line of its first key, from 1.
    pub line: u32,
}

impl Manifest {
    /// The object as the file has it, read anew by each call.
    pub fn object(&self) -> Value {
        // It was written by `Manifest::set`, so it can be read.
        serde_json::from_str(&self.object).unwrap_or_default()
    }

    pub fn set(&mut self, object: &Value) {
        self.object = object.to_string().into();
        self.facts = Facts::of(object);
    }
}

/// What one file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    pub manifests: Vec<Manifest>,
    pub faults: Vec<Fault>,
    /// It is encrypted and could not be opened.
    pub is_sealed: bool,
}

/// Whether a file of this name is read as a manifest.
pub fn is_manifest(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    !name.starts_with('.') && [".yaml", ".yml", ".json"].iter().any(|ending| lower.ends_with(ending))
}

/// Reads a file for looking at it only: what SOPS encrypted is taken to be empty.
pub fn read(content: &[u8]) -> File {
    read_sealed(content, None)
}

/// Reads a file, and opens what SOPS encrypted.
pub fn read_sealed(content: &[u8], keys: Option<&AgeKeys>) -> File {
    let (mut parsed, faults) = yaml::parse(content);
    let mut file = File { faults, ..File::default() };
    let sealed = parsed.iter().find(|document| sops::is_encrypted(&document.value)).map(|document| document.line);
    match (sealed, keys) {
        (None, _) => {}
        (Some(_), None) => parsed.iter_mut().for_each(|document| sops::blank(&mut document.value)),
        (Some(line), Some(keys)) => match sops::open(&String::from_utf8_lossy(content), &keys.identities()) {
            Ok(opened) => {
                let opened = opened.into_iter().filter(|value| !value.is_null());
                let whole = parsed.iter_mut().filter(|document| !document.value.is_null());
                whole.zip(opened).for_each(|(document, value)| document.value = value);
            }
            Err(error) => {
                file.is_sealed = true;
                file.faults.push(Fault::new(line, error.to_string()));
                return file;
            }
        },
    }
    for document in parsed {
        if document.value.is_null() {
            continue;
        }
        if !is_list(&document.value) {
            file.take(document.value, document.line);
            continue;
        }
        let text = String::from_utf8_lossy(content);
        let lines = lines_of_entries(&text, document.line, "items");
        let items = match document.value {
            Value::Object(mut members) => members.remove("items"),
            _ => None,
        };
        match items {
            Some(Value::Array(items)) if file.manifests.len() + items.len() <= MAX_DOCUMENTS => {
                for (index, item) in items.into_iter().enumerate() {
                    file.take(item, lines.get(index).copied().unwrap_or(document.line));
                }
            }
            Some(Value::Array(_)) => {
                file.faults.push(Fault::new(document.line, format!("the list has more than {MAX_DOCUMENTS} items")));
            }
            Some(Value::Null) | None => {}
            Some(_) => file.faults.push(Fault::new(document.line, "items of a List must be a list")),
        }
    }
    file
}

/// One object that was read elsewhere.
pub fn of_value(object: Value, line: u32) -> File {
    let mut file = File::default();
    file.take(object, line);
    file
}

/// `v1 List`, and the lists that the API itself answers with (`ConfigMapList`).
fn is_list(value: &Value) -> bool {
    let (api_version, kind) = (text(value, "apiVersion"), text(value, "kind"));
    kind == "List" || value.get("items").is_some() && kind.ends_with("List") && !is_known(api_version, kind)
}

fn is_known(api_version: &str, kind: &str) -> bool {
    kinds::by_manifest(api_version, kind).is_some()
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl File {
    fn take(&mut self, object: Value, line: u32) {
        match identify(&object) {
            Ok((kind, namespace, name)) => {
                let facts = Facts::of(&object);
                let object = object.to_string().into();
                self.manifests.push(Manifest { kind, namespace, name, object, facts, line });
            }
            Err(messages) => self.faults.extend(messages.into_iter().map(|message| Fault::new(line, message))),
        }
    }
}

fn identify(object: &Value) -> Result<(Option<&'static Kind>, String, String), Vec<String>> {
    let Some(members) = object.as_object() else {
        return Err(vec!["not a Kubernetes object: expected a mapping with apiVersion, kind and metadata".to_owned()]);
    };
    if !members.contains_key("apiVersion") && !members.contains_key("kind") {
        let advice = "apiVersion and kind are missing; keep files that are no manifests in a folder whose name \
                      starts with a dot, or point --path at the manifests";
        return Err(vec![format!("not a Kubernetes object: {advice}")]);
    }
    let mut wrong = Vec::new();
    let (api_version, kind) = (text(object, "apiVersion"), text(object, "kind"));
    for (field, value) in [("apiVersion", api_version), ("kind", kind)] {
        if value.is_empty() {
            wrong.push(format!("{field}: Required value"));
        }
    }
    let known = kinds::by_manifest(api_version, kind);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    // A hook may leave its name to the sync that makes it.
    let is_hook = !metadata["annotations"]["argocd.argoproj.io/hook"].is_null();
    let given = text(metadata, "name");
    let name = if given.is_empty() && is_hook { text(metadata, "generateName") } else { given }.to_owned();
    if name.is_empty() {
        wrong.push(match metadata.get("name") {
            None if metadata.get("generateName").is_some() => {
                "metadata.generateName is for hooks of a sync only: an object in git needs a name of its own".to_owned()
            }
            None | Some(Value::Null | Value::String(_)) => "metadata.name: Required value".to_owned(),
            Some(other) => format!("metadata.name: Invalid value: {other}: must be a string"),
        });
    }
    if let Some(other) = metadata.get("namespace").filter(|n| !n.is_string() && !n.is_null()) {
        wrong.push(format!("metadata.namespace: Invalid value: {other}: must be a string"));
    }
    match wrong.is_empty() {
        true => Ok((known, text(metadata, "namespace").to_owned(), name)),
        false => Err(wrong),
    }
}

/// What is said of an object whose kind nobody knows.
pub(super) fn unknown_kind(object: &Value) -> String {
    let (api_version, kind) = (text(object, "apiVersion"), text(object, "kind"));
    let message = format!("no matches for kind \"{kind}\" in version \"{api_version}\"");
    match kinds::all().iter().find(|k| k.kind.eq_ignore_ascii_case(kind)) {
        Some(near) => format!("{message}; did you mean {} in {}?", near.kind, near.api_version()),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(u32, String)> {
        read(text.as_bytes()).faults.into_iter().map(|f| (f.line, f.message)).collect()
    }

    #[test]
    fn lists_are_expanded_with_the_lines_of_their_items() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n\
                    - {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: ns}}\n";
        let file = read(text.as_bytes());
        assert_eq!(file.faults, []);
        let found: Vec<_> =
            file.manifests.iter().map(|m| (m.kind.unwrap().kind, &*m.namespace, &*m.name, m.line)).collect();
        assert_eq!(found, [("ConfigMap", "", "a", 4), ("Secret", "ns", "b", 7)]);
    }

    #[test]
    fn what_is_missing_is_said_all_at_once() {
        let cases = [
            ("a: 1\n", 1, "apiVersion and kind are missing"),
            ("- 1\n", 1, "expected a mapping"),
            ("kind: Pod\nmetadata: {name: a}\n", 1, "apiVersion: Required value"),
            ("apiVersion: v1\nkind: Pod\n", 1, "metadata.name: Required value"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n", 1, "must be a string"),
            (
                "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: on}\n",
                1,
                "metadata.namespace: Invalid value: true",
            ),
            ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", 1, "generateName"),
        ];
        for (text, line, message) in cases {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].0, line, "{text}");
            assert!(found[0].1.contains(message), "{text}: {found:?}");
        }
        assert_eq!(faults("kind: Pod\n").len(), 2);
        assert_eq!(faults(""), []);
    }

    #[test]
    fn an_unknown_kind_is_told_from_a_mistaken_version() {
        let said =
            |api_version: &str, kind: &str| unknown_kind(&serde_json::json!({"apiVersion": api_version, "kind": kind}));
        let nonsense = said("v1", "Nonsense");
        assert_eq!(nonsense, "no matches for kind \"Nonsense\" in version \"v1\"");
        assert!(said("apps/v2", "Deployment").ends_with("; did you mean Deployment in apps/v1?"));
    }

    #[test]
    fn only_manifests_are_read() {
        for (name, want) in [("a.yaml", true), ("a.YML", true), ("a.json", true), (".a.yaml", false), ("a.txt", false)]
        {
            assert_eq!(is_manifest(name), want, "{name}");
        }
    }
}
