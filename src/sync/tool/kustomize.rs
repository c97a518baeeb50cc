//! `kustomize build`, or the one that is in kubectl. Which files it needs is found out beforehand, so that only those
//! are written out; a base that would be fetched is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use git2::{ObjectType, Repository, Tree};
use serde_json::{Value, json};

use super::child::{ToolError, Tools};
use crate::diff::plan::SourceError;
use crate::object::application::Kustomize;
use crate::sync::render::parse;

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Folders that one kustomization may draw on.
const MOST_FOLDERS: usize = 500;
/// Lists of a kustomization whose entries are files, folders or URLs.
const LISTS: [&str; 9] = [
    "resources",
    "bases",
    "components",
    "patchesStrategicMerge",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
];
/// Where the wrapper is written that holds the Application's own options.
const WRAPPER: &str = ".windlass";

/// The folders and files that the kustomization at `path` draws on, itself among them.
///
/// # Errors
/// Bases that are not in the repository.
pub fn needs(repository: &Repository, tree: &Tree, path: &str) -> Result<BTreeSet<String>, Vec<SourceError>> {
    let mut found = BTreeSet::from([path.to_owned()]);
    let (mut waiting, mut wrong) = (vec![path.to_owned()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for (file, entry) in entries(repository, tree, &folder) {
            let at = |message: String| SourceError { file: file.clone(), line: 0, message };
            match join(&folder, &entry) {
                _ if is_remote(&entry) => wrong.push(at(format!(
                    "{entry:?} is a remote base, which is not fetched; keep a copy of it in the repository"
                ))),
                None => wrong.push(at(format!("{entry:?} leads out of the repository"))),
                Some(place) => {
                    let is_folder = tree.get_path(place.as_ref()).is_ok_and(|e| e.kind() == Some(ObjectType::Tree))
                        || place.is_empty();
                    let is_covered = found.iter().any(|known| is_within(&place, known));
                    if is_folder
                        && (!is_covered || entry != ".")
                        && found.len() < MOST_FOLDERS
                        && found.insert(place.clone())
                    {
                        waiting.push(place);
                    } else if !is_folder && !is_covered {
                        found.insert(place);
                    }
                }
            }
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// What the kustomization of a folder refers to, with the file that does.
fn entries(repository: &Repository, tree: &Tree, folder: &str) -> Vec<(String, String)> {
    let places = NAMES.map(|name| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") });
    let found = places.into_iter().find_map(|place| {
        let entry = tree.get_path(place.as_ref()).ok()?;
        Some((place, repository.find_blob(entry.id()).ok()?))
    });
    let Some((file, blob)) = found else { return Vec::new() };
    let (documents, _) = parse(blob.content());
    let mut entries = Vec::new();
    for document in &documents {
        let value = &document.value;
        let lists = LISTS.iter().flat_map(|list| value[*list].as_array().into_iter().flatten());
        entries.extend(lists.filter_map(Value::as_str));
        for list in ["patches", "patchesJson6902", "replacements"] {
            let items = value[list].as_array().into_iter().flatten();
            entries.extend(items.filter_map(|item| item["path"].as_str()));
        }
        for list in ["configMapGenerator", "secretGenerator"] {
            for item in value[list].as_array().into_iter().flatten() {
                let files = ["files", "envs"].into_iter().flat_map(|name| item[name].as_array().into_iter().flatten());
                let files = files.filter_map(Value::as_str).chain(item["env"].as_str());
                entries.extend(files.map(|file| file.split_once('=').map_or(file, |(_, file)| file)));
            }
        }
    }
    // An entry of several lines is a patch written out in place.
    entries.into_iter().filter(|entry| !entry.contains('\n')).map(|entry| (file.clone(), entry.to_owned())).collect()
}

/// As kustomize tells URLs from paths.
fn is_remote(entry: &str) -> bool {
    let host = entry.split('/').next().unwrap_or_default();
    entry.contains("://")
        || entry.contains("?ref=")
        || entry.contains("//")
        || entry.starts_with("git@")
        || entry.starts_with("git::")
        || ["github.com", "gitlab.com", "bitbucket.org"].contains(&host)
}

/// The path from the repository's root; `None` when it leads out of it.
fn join(folder: &str, entry: &str) -> Option<String> {
    if entry.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in entry.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// # Errors
/// When there is no tool, or what it says.
pub fn run(tools: &Tools, options: &Kustomize, tree: &Path, home: &Path, path: &str) -> Result<Vec<u8>, ToolError> {
    let folder = if *options == Kustomize::default() { path.to_owned() } else { wrap(options, tree, path)? };
    let folder = if folder.is_empty() { ".".to_owned() } else { folder };
    let (program, first) = match (tools.find("kustomize"), tools.find("kubectl")) {
        (Some(kustomize), _) => (kustomize, "build"),
        (None, Some(kubectl)) => (kubectl, "kustomize"),
        (None, None) => return Err(ToolError::Absent { wanted: "kustomize (or kubectl)".to_owned() }),
    };
    tools.run(&program, &[first.to_owned(), folder], tree, home)
}

/// Writes a kustomization around the one at `path` that holds the Application's options; gives its folder.
fn wrap(options: &Kustomize, tree: &Path, path: &str) -> Result<String, ToolError> {
    let inner = format!("../{path}");
    let wrapper = wrapper(options, inner.trim_end_matches('/')).map_err(ToolError::Failed)?;
    let folder = tree.join(WRAPPER);
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(NAMES[0]), wrapper.to_string()));
    written.map_err(|source| ToolError::Start { program: "kustomize".to_owned(), source })?;
    Ok(WRAPPER.to_owned())
}

fn wrapper(options: &Kustomize, inner: &str) -> Result<Value, String> {
    let mut wrapper =
        json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [inner]});
    let mut set = |name: &str, value: Value| {
        let is_empty = match &value {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        if !is_empty {
            wrapper[name] = value;
        }
    };
    set("namePrefix", json!(options.name_prefix));
    set("nameSuffix", json!(options.name_suffix));
    set("namespace", json!(options.namespace));
    set("commonAnnotations", json!(options.common_annotations));
    if options.label_without_selector && !options.common_labels.is_empty() {
        let templates = options.label_include_templates;
        set(
            "labels",
            json!([{"pairs": options.common_labels, "includeSelectors": false, "includeTemplates": templates}]),
        );
    } else {
        set("commonLabels", json!(options.common_labels));
    }
    set("images", options.images.iter().map(|image| override_of(image)).collect());
    let count = |replica: &crate::object::application::KustomizeReplica| {
        let count = match &replica.count.0 {
            Value::String(text) => text.parse::<i64>().map(Value::from).unwrap_or(Value::Null),
            other => other.clone(),
        };
        json!({"name": replica.name, "count": count})
    };
    set("replicas", options.replicas.iter().map(count).collect());
    set("components", options.components.iter().map(|component| json!(format!("{inner}/{component}"))).collect());
    if options.patches.iter().any(|patch| !patch.path.is_empty()) {
        return Err("kustomize.patches[].path is not supported; write the patch itself into patches[].patch".to_owned());
    }
    let patch = |patch: &crate::object::application::KustomizePatch| {
        let mut value = json!({"patch": patch.patch});
        if let Some(target) = &patch.target {
            value["target"] = serde_json::to_value(target).unwrap_or_default();
        }
        if !patch.options.is_empty() {
            value["options"] = json!(patch.options);
        }
        value
    };
    set("patches", options.patches.iter().map(patch).collect());
    Ok(wrapper)
}

/// `[OLD=]NEW[:TAG][@DIGEST]` as an entry of `images`.
fn override_of(image: &str) -> Value {
    let (old, new) = image.split_once('=').map_or((None, image), |(old, new)| (Some(old), new));
    let (new, digest) = new.split_once('@').map_or((new, None), |(new, digest)| (new, Some(digest)));
    // A colon after the last slash is before a tag; one before it is before a port.
    let colon = new.rfind(':').filter(|at| !new[*at..].contains('/'));
    let (name, tag) = colon.map_or((new, None), |at| (&new[..at], Some(&new[at + 1..])));
    let mut entry = json!({"name": old.unwrap_or(name), "newName": name});
    if let Some(tag) = tag {
        entry["newTag"] = json!(tag);
    }
    if let Some(digest) = digest {
        entry["digest"] = json!(digest);
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_as_argo_cd_reads_them() {
        for (image, want) in [
            ("web:v2", json!({"name": "web", "newName": "web", "newTag": "v2"})),
            ("web=registry:5000/web", json!({"name": "web", "newName": "registry:5000/web"})),
            ("a=b/c:1@sha256:0", json!({"name": "a", "newName": "b/c", "newTag": "1", "digest": "sha256:0"})),
        ] {
            assert_eq!(override_of(image), want, "{image}");
        }
    }

    #[test]
    fn references_stay_inside_and_urls_are_seen() {
        assert_eq!(join("apps/prod", "../base"), Some("apps/base".to_owned()));
        assert_eq!(join("apps", "../../x"), None);
        assert_eq!(join("apps", "/etc"), None);
        assert_eq!(join("", "."), Some(String::new()));
        for (entry, want) in [
            ("https://x/y", true),
            ("github.com/a/b", true),
            ("git@h:x", true),
            ("a//b?ref=v1", true),
            ("../base", false),
            ("a.yaml", false),
        ] {
            assert_eq!(is_remote(entry), want, "{entry}");
        }
    }
}
