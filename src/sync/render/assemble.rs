//! Puts the files of a folder together: every object with its place, its namespace and a unique identity, or
//! the complete list of what is wrong, in the order of files and lines. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::config::{self, Config};
use super::facts::Facts;
use super::hidden;
use super::locate;
use super::manifest::{self, File, Manifest};
use super::tree::{Entry, Folder};
use crate::diff::plan::SourceError;
use crate::object::custom::Kinds;
use crate::object::{Kind, ObjectKey, kinds};
use crate::sync::settings::Selection;
use crate::sync::waves::{Hook, hook};

/// Objects of one Application.
const MAX_OBJECTS: usize = 200_000;

/// An object as git declares it, and where.
#[derive(Clone, Debug)]
pub struct Document {
    pub key: ObjectKey,
    /// Path inside the repository.
    pub file: Arc<str>,
    /// Line of the object's first key, from 1.
    pub line: u32,
    source: Arc<File>,
    index: usize,
    /// What the pods of a workload read of the ConfigMaps and Secrets that are declared beside it.
    config: Option<Arc<Config>>,
}

/// Where the files of an Application stand, and what is taken of them.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    namespace: &'a str,
    selection: &'a Selection,
}

/// What a commit, work tree or folder declares.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// In the order of files and lines; those of kinds that definitions add come last.
    pub documents: Vec<Document>,
    /// Objects that are made at moments of each sync, and are not deployed.
    pub hooks: Vec<(Hook, Document)>,
    /// Objects of kinds that neither the table nor a definition among the documents has. Each is an error until
    /// [`Rendered::resolve`] finds its kind in the cluster.
    strangers: Vec<Stranger>,
    /// With any of these, nothing is to be deployed.
    pub errors: Vec<SourceError>,
    pub warnings: Vec<String>,
}

/// An object whose kind is not known yet.
#[derive(Clone, Debug)]
struct Stranger {
    file: Arc<str>,
    namespace: Arc<str>,
    source: Arc<File>,
    index: usize,
}

impl Stranger {
    fn manifest(&self) -> &Manifest {
        &self.source.manifests[self.index]
    }

    fn error(&self) -> SourceError {
        let found = self.manifest();
        SourceError { file: self.file.to_string(), line: found.line, message: manifest::unknown_kind(&found.object()) }
    }

    fn kind(&self, kinds: &Kinds) -> Option<&'static Kind> {
        let object = self.manifest().object();
        kinds.by_manifest(manifest::text(&object, "apiVersion"), manifest::text(&object, "kind"))
    }
}

impl Document {
    fn at(kind: &'static Kind, source: &Arc<File>, index: usize, file: &Arc<str>, namespace: &str) -> Self {
        let found = &source.manifests[index];
        let namespace = if found.namespace.is_empty() { namespace } else { &found.namespace };
        let key = ObjectKey::new(kind, namespace, &*found.name);
        Self { key, file: file.clone(), line: found.line, source: source.clone(), index, config: None }
    }

    /// The object as the file has it, read anew by each call.
    pub fn object(&self) -> Value {
        self.source.manifests[self.index].object()
    }

    pub fn facts(&self) -> &Facts {
        &self.source.manifests[self.index].facts
    }

    /// The configuration that is declared beside a workload and that its pods read.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_deref()
    }

    /// Whether this is the very same text, with the same configuration, as `other`, wherever it stands. Never true by chance; may miss.
    pub fn same_source(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.index == other.index
            && self.key == other.key
            && self.config == other.config
    }

    pub fn error(&self, message: impl Into<String>) -> SourceError {
        let mut message = message.into();
        if self.key.kind == kinds::SECRET {
            message = hidden::hide(&self.object(), &message);
        }
        SourceError { file: self.file.to_string(), line: self.line, message }
    }
}

/// `FILE:LINE`
impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            // A tool wrote it: its lines are nobody's.
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

impl Rendered {
    /// Everything below `folder`, which stands at `path` in the repository. Objects of namespaced kinds that name
    /// no namespace get `namespace`.
    pub fn of(folder: &Folder, path: &str, namespace: &str, selection: &Selection) -> Self {
        let mut rendered = Self::default();
        rendered.collect(folder, "", Place { path, namespace, selection });
        rendered.finish();
        rendered
    }

    /// What a tool printed for the folder whose file `path` asks for it.
    pub fn of_file(file: &Arc<File>, path: &str, namespace: &str) -> Self {
        let mut rendered = Self::default();
        rendered.take(file, path, namespace);
        rendered.finish();
        rendered
    }

    /// What could not be read at all.
    pub fn refused(errors: Vec<SourceError>) -> Self {
        Self { errors, ..Self::default() }
    }

    /// Objects that were rendered elsewhere, with the file and line of each.
    pub fn of_objects(
        objects: impl IntoIterator<Item = (Value, String, u32)>,
        errors: Vec<SourceError>,
        namespace: &str,
    ) -> Self {
        let mut rendered = Self { errors, ..Self::default() };
        for (object, file, line) in objects {
            rendered.take(&Arc::new(manifest::of_value(object, line)), &file, namespace);
        }
        rendered.finish();
        rendered
    }

    /// All objects with the file and line of each, hooks and those of unknown kinds too.
    pub fn objects(&self) -> impl Iterator<Item = (Value, &str, u32)> {
        let known = self.documents.iter().chain(self.hooks.iter().map(|(_, hook)| hook));
        let known = known.map(|document| (document.object(), &*document.file, document.line));
        let strangers = self.strangers.iter().map(|stranger| (stranger, stranger.manifest()));
        known.chain(strangers.map(|(stranger, found)| (found.object(), &*stranger.file, found.line)))
    }

    /// Whether there are objects whose kind a cluster may know.
    pub fn has_strangers(&self) -> bool {
        !self.strangers.is_empty()
    }

    fn finish(&mut self) {
        self.errors.extend(self.strangers.iter().map(Stranger::error));
        self.refuse_duplicates();
        self.sort();
        self.resolve(&Kinds::default());
        self.part_hooks();
        self.attach_config();
    }

    /// Takes the hooks out of the documents.
    fn part_hooks(&mut self) {
        let mut hooks = Vec::new();
        let mut errors = Vec::new();
        self.documents.retain(|document| match document.facts().may_be_hook.then(|| hook(&document.object())) {
            None | Some(Ok(None)) => true,
            Some(Ok(Some(hook))) => {
                hooks.push((hook, document.clone()));
                false
            }
            Some(Err(why)) => {
                errors.push(document.error(format!("{}: {why}", document.key)));
                false
            }
        });
        hooks.retain(|(hook, _)| !hook.phases.is_empty());
        self.hooks.extend(hooks);
        if !errors.is_empty() {
            self.errors.extend(errors);
            self.sort();
        }
    }

    fn attach_config(&mut self) {
        for (place, config) in config::of(&self.documents) {
            self.documents[place].config = Some(Arc::new(config));
        }
    }

    /// Takes in the objects of unknown kinds that definitions among the documents or `cluster` have. The documents
    /// speak first: their definitions are in the cluster before their objects are.
    pub fn resolve(&mut self, cluster: &Kinds) {
        if self.strangers.is_empty() {
            return;
        }
        let mut kinds = cluster.clone();
        let is_definition = |document: &&Document| document.key.kind == kinds::CUSTOM_RESOURCE_DEFINITION;
        for definition in self.documents.iter().filter(is_definition) {
            // The registry refuses a definition that there is no room for.
            let _ = kinds.declare(&definition.object());
        }
        let mut settled = HashSet::new();
        for stranger in std::mem::take(&mut self.strangers) {
            let Some(kind) = stranger.kind(&kinds) else {
                self.strangers.push(stranger);
                continue;
            };
            let error = stranger.error();
            settled.insert((error.file, error.message));
            let Stranger { file, namespace, source, index } = &stranger;
            self.documents.push(Document::at(kind, source, *index, file, namespace));
        }
        if settled.is_empty() {
            return;
        }
        let mut errors = std::mem::take(&mut self.errors);
        errors.retain(|error| !settled.contains(&(error.file.clone(), error.message.clone())));
        self.errors = errors;
        self.refuse_duplicates();
        self.sort();
        self.part_hooks();
    }

    fn sort(&mut self) {
        self.errors.sort();
        self.errors.dedup();
    }

    /// `below` is the folder's path from the Application's.
    fn collect(&mut self, folder: &Folder, below: &str, place: Place) {
        for (name, entry) in &folder.entries {
            let below = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if let Entry::Folder(folder) = entry {
                if place.selection.recurse {
                    self.collect(folder, &below, place);
                }
                continue;
            }
            if !place.selection.takes(&below) {
                continue;
            }
            let path = if place.path.is_empty() { below } else { format!("{}/{below}", place.path) };
            match entry {
                Entry::Folder(_) => {}
                Entry::File(file) => self.take(file, &path, place.namespace),
                Entry::Refused(why) => self.error(&path, 0, why.clone()),
                Entry::Submodule => {
                    self.warnings.push(format!("{path}: a submodule is not followed; its manifests are not deployed"));
                }
                Entry::Link(target) if escapes(&path, target) => {
                    self.error(&path, 0, format!("a symbolic link to {target:?} leads out of the repository"));
                }
                Entry::Link(target) if manifest::is_manifest(name) => {
                    self.error(&path, 0, format!("a symbolic link (to {target:?}) is not followed; commit the file"));
                }
                Entry::Link(target) => {
                    self.warnings.push(format!("{path}: a symbolic link (to {target:?}) is not followed"));
                }
            }
        }
    }

    /// What several sources declare together.
    pub fn together(all: impl IntoIterator<Item = Arc<Self>>) -> Arc<Self> {
        let mut all = all.into_iter();
        let first = all.next().unwrap_or_default();
        let mut rest = all.peekable();
        if rest.peek().is_none() {
            return first;
        }
        let mut together = Arc::unwrap_or_clone(first);
        for rendered in rest {
            together.documents.extend(rendered.documents.iter().cloned());
            together.hooks.extend(rendered.hooks.iter().cloned());
            together.strangers.extend(rendered.strangers.iter().cloned());
            together.errors.extend(rendered.errors.iter().cloned());
            together.warnings.extend(rendered.warnings.iter().cloned());
        }
        together.refuse_duplicates();
        together.sort();
        together.resolve(&Kinds::default());
        together.attach_config();
        Arc::new(together)
    }

    fn take(&mut self, source: &Arc<File>, path: &str, namespace: &str) {
        for fault in &source.faults {
            self.error(path, fault.line, fault.message.clone());
        }
        if self.documents.len() + self.strangers.len() + source.manifests.len() > MAX_OBJECTS {
            self.error(path, 0, format!("more than {MAX_OBJECTS} objects; split them into several Applications"));
            return;
        }
        let shared: Arc<str> = path.into();
        for (index, found) in source.manifests.iter().enumerate() {
            match found.kind {
                Some(kind) => self.documents.push(Document::at(kind, source, index, &shared, namespace)),
                None => {
                    let (file, namespace) = (shared.clone(), namespace.into());
                    self.strangers.push(Stranger { file, namespace, source: source.clone(), index });
                }
            }
        }
    }

    fn error(&mut self, file: &str, line: u32, message: String) {
        self.errors.push(SourceError { file: file.to_owned(), line, message });
    }

    /// Two objects of one identity are both wrong: nobody can say which is meant.
    fn refuse_duplicates(&mut self) {
        let mut first: HashMap<&ObjectKey, &Document> = HashMap::with_capacity(self.documents.len());
        let mut found = Vec::new();
        for document in self.documents.iter().chain(self.hooks.iter().map(|(_, document)| document)) {
            if let Some(other) = first.insert(&document.key, document) {
                let is = |other: &Document| format!("{} is declared twice: here and at {other}", document.key);
                found.push(document.error(is(other)));
                found.push(other.error(is(document)));
            }
        }
        self.errors.extend(found);
    }
}

/// Whether a link at `path` points out of the tree that `path` is relative to. Lexical: nothing is followed.
fn escapes(path: &str, target: &str) -> bool {
    if target.starts_with('/') || target.contains('\\') {
        return true;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// Moves errors that stand at an object's first line to the line of the field that they are about.
pub fn place(errors: &mut [SourceError], text_of: impl Fn(&str) -> Option<String>) {
    let mut texts: HashMap<String, Option<String>> = HashMap::new();
    for error in errors.iter_mut().filter(|e| e.line > 0) {
        let Some(field) = locate::field_in(&error.message).map(str::to_owned) else { continue };
        let text = texts.entry(error.file.clone()).or_insert_with(|| text_of(&error.file));
        if let Some(text) = text {
            error.line = locate::line_of_field(text, error.line, &field);
        }
    }
    errors.sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> Folder {
        let file =
            |(name, text): &(&str, &str)| ((*name).to_owned(), Entry::File(Arc::new(manifest::read(text.as_bytes()))));
        Folder { entries: files.iter().map(file).collect(), is_sealed: false }
    }

    const A: &str = "# a\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    #[test]
    fn objects_without_a_namespace_get_the_destination_and_cluster_scoped_ones_none() {
        let files = folder(&[("a.yaml", A), ("n.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n")]);
        let rendered = Rendered::of(&files, "deploy", "prod", &Selection::all());
        let found: Vec<_> = rendered.documents.iter().map(|d| (d.key.to_string(), d.to_string())).collect();
        let want = [("ConfigMap prod/a", "deploy/a.yaml:2"), ("Namespace ns", "deploy/n.yaml:1")];
        assert_eq!(found, want.map(|(key, place)| (key.to_owned(), place.to_owned())));
    }

    #[test]
    fn duplicates_are_reported_at_both_places() {
        let named = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: prod}\n";
        let rendered = Rendered::of(&folder(&[("a.yaml", A), ("b.yaml", named)]), "", "prod", &Selection::all());
        let errors: Vec<_> = rendered.errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "a.yaml:2: ConfigMap prod/a is declared twice: here and at b.yaml:1",
                "b.yaml:1: ConfigMap prod/a is declared twice: here and at a.yaml:2",
            ]
        );
    }

    #[test]
    fn links_are_never_followed_and_only_harmless_ones_are_let_be() {
        let links = [
            ("a/in", "../b", false),
            ("a/out", "../../b", true),
            ("abs", "/etc/passwd", true),
            ("a/b/c", "../../x/../y", false),
            ("up", "x/../../y", true),
        ];
        for (path, target, want) in links {
            assert_eq!(escapes(path, target), want, "{path} -> {target}");
        }
        let entries = [("l.yaml", "a.yaml"), ("docs", "other"), ("out", "../../x")];
        let entries = entries.map(|(name, target)| (name.to_owned(), Entry::Link(target.to_owned())));
        let rendered =
            Rendered::of(&Folder { entries: entries.into(), is_sealed: false }, "", "default", &Selection::all());
        assert_eq!(rendered.errors.len(), 2, "{:?}", rendered.errors);
        assert_eq!(rendered.warnings.len(), 1);
    }

    #[test]
    fn errors_move_to_their_field() {
        let text = "kind: X\nspec:\n  replica: 3\n";
        let at = |line| SourceError { file: "a.yaml".into(), line, message: "unknown field \"spec.replica\"".into() };
        let mut errors = [at(1)];
        place(&mut errors, |_| Some(text.to_owned()));
        assert_eq!(errors, [at(3)]);
    }
}
