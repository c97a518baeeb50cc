//! One CustomResourceDefinition, read: its versions, each with its row of the kinds table and its schema.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::jsonpath::JsonPath;
use super::rows::{self, Content, TooManyKinds};
use super::schema::Schema;
use crate::object::kinds::{Kind, Subresource};
use crate::object::{Meta, Revision};

/// A definition whose names are accepted.
#[derive(Debug)]
pub struct Definition {
    pub name: String,
    pub uid: String,
    /// The revision of the definition itself; 0 for one that is not stored yet.
    pub revision: Revision,
    pub list_kind: String,
    /// It is being deleted: its objects may still be read and deleted, but none be created.
    pub terminating: bool,
    /// In the order of discovery: the version that clients should prefer comes first.
    pub versions: Vec<Version>,
    storage: usize,
}

/// A version of a custom kind.
pub struct Version {
    pub kind: &'static Kind,
    pub served: bool,
    /// What clients that use the version are told.
    pub deprecation: Option<String>,
    pub columns: Vec<Column>,
    /// `.spec.color`, by which lists may be narrowed.
    pub selectable: Vec<JsonPath>,
    pub scale: Option<ScalePaths>,
    /// `openAPIV3Schema`, for publishing.
    pub document: Value,
    /// Read at the first need: a change of a status makes a new definition, of which most are never asked.
    schema: OnceLock<Arc<Schema>>,
}

/// An additional printer column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub type_: String,
    pub format: String,
    pub description: String,
    pub priority: i64,
    pub path: JsonPath,
}

/// Where the replicas of a custom resource are, as steps from its root.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalePaths {
    pub spec_replicas: Vec<String>,
    pub status_replicas: Vec<String>,
    pub selector: Option<Vec<String>>,
}

impl Definition {
    /// Reads a definition; `None` of one without a version. Its names are taken as they are: whether they are
    /// accepted is for the caller to know.
    ///
    /// # Errors
    /// When the process has no room for more kinds.
    pub fn read(crd: &Value) -> Result<Option<Self>, TooManyKinds> {
        let (spec, meta) = (&crd["spec"], Meta::of(crd));
        let names = match &crd["status"]["acceptedNames"]["kind"] {
            Value::String(kind) if !kind.is_empty() => &crd["status"]["acceptedNames"],
            _ => &spec["names"],
        };
        let mut versions = Vec::new();
        let mut storage = None;
        for version in spec["versions"].as_array().into_iter().flatten() {
            let read = Version::read(spec, names, version)?;
            versions.push((version["storage"] == true, read));
        }
        versions.sort_by_key(|(_, version)| Reverse(priority(version.kind.version)));
        if let Some(index) = versions.iter().position(|(stored, _)| *stored) {
            storage = Some(index);
        }
        let Some(storage) = storage else { return Ok(None) };
        let kind = names["kind"].as_str().unwrap_or_default();
        Ok(Some(Self {
            name: crd["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            uid: meta.uid.clone(),
            revision: meta.revision,
            list_kind: names["listKind"].as_str().map_or_else(|| format!("{kind}List"), str::to_owned),
            terminating: meta.is_deleting(),
            versions: versions.into_iter().map(|(_, version)| version).collect(),
            storage,
        }))
    }

    /// The version in which objects are kept.
    pub fn storage(&self) -> &Version {
        &self.versions[self.storage]
    }

    pub fn served(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|version| version.served)
    }
}

impl Version {
    fn read(spec: &Value, names: &Value, version: &Value) -> Result<Self, TooManyKinds> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        let subresources = &version["subresources"];
        let scale = subresources.get("scale").filter(|s| s.is_object()).map(ScalePaths::read);
        let has_status = subresources.get("status").is_some_and(Value::is_object);
        let mut served = Vec::new();
        served.extend(has_status.then_some(Subresource::Status));
        served.extend(scale.is_some().then_some(Subresource::Scale));
        let kind = rows::intern(Content {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            kind: text(&names["kind"]),
            plural: text(&names["plural"]),
            singular: text(&names["singular"]),
            short_names: texts(&names["shortNames"]),
            categories: texts(&names["categories"]),
            namespaced: spec["scope"] == "Namespaced",
            subresources: served,
        })?;
        let warning = || {
            version["deprecationWarning"]
                .as_str()
                .map_or_else(|| format!("{} {} is deprecated", kind.api_version(), kind.kind), str::to_owned)
        };
        let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        Ok(Self {
            kind,
            served: version["served"] == true,
            deprecation: (version["deprecated"] == true).then(warning),
            columns: columns.filter_map(Column::read).collect(),
            selectable: selectable.filter_map(|f| JsonPath::parse(f["jsonPath"].as_str()?).ok()).collect(),
            scale,
            document: version["schema"]["openAPIV3Schema"].clone(),
            schema: OnceLock::new(),
        })
    }

    pub fn schema(&self) -> &Arc<Schema> {
        self.schema.get_or_init(|| Arc::new(Schema::read(&self.document)))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.api_version(), self.kind.kind)
    }
}

impl Column {
    fn read(column: &Value) -> Option<Self> {
        let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let path = text("jsonPath");
        let description = match text("description") {
            none if none.is_empty() => format!("Custom resource definition column (in JSONPath format): {path}"),
            given => given,
        };
        Some(Self {
            name: text("name"),
            type_: text("type"),
            format: text("format"),
            description,
            priority: column["priority"].as_i64().unwrap_or(0),
            path: JsonPath::parse(&path).ok()?,
        })
    }
}

impl ScalePaths {
    fn read(scale: &Value) -> Self {
        let steps = |name: &str| -> Option<Vec<String>> {
            let path = scale[name].as_str().filter(|path| !path.is_empty())?;
            Some(path.trim_start_matches('.').split('.').map(str::to_owned).collect())
        };
        Self {
            spec_replicas: steps("specReplicasPath").unwrap_or_default(),
            status_replicas: steps("statusReplicasPath").unwrap_or_default(),
            selector: steps("labelSelectorPath"),
        }
    }
}

/// Versions by how much clients should prefer them: `v2` before `v1` before `v1beta1` before `v1alpha1` before
/// anything else, which goes by the alphabet.
fn priority(version: &str) -> (u8, u64, u64, Reverse<String>) {
    let other = (0, 0, 0, Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(major) = rest[..digits].parse::<u64>() else { return other };
    let (rank, minor) = match &rest[digits..] {
        "" => (3, Ok(0)),
        stage => match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor.parse::<u64>()),
            (_, Some(minor)) => (1, minor.parse::<u64>()),
            _ => return other,
        },
    };
    minor.map_or(other, |minor| (rank, major, minor, Reverse(String::new())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_stable_and_newest_version_is_preferred() {
        let mut versions =
            ["foo1", "v1", "v11alpha2", "v10beta3", "v2", "v3beta1", "v10", "bar", "v11beta2", "v12alpha1"];
        versions.sort_by_key(|version| Reverse(priority(version)));
        let want = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "bar", "foo1"];
        assert_eq!(versions, want);
    }
}
