//! Field selectors: which fields a kind can be selected by, and the text of such a field in an object. Pure.

use serde_json::Value;

use crate::object::custom::Described;
use crate::object::selector::{FieldSelector, Selector};
use crate::object::{ApiError, Kind, Object, kinds};

/// What a list or watch selects of a collection.
#[derive(Clone, Debug)]
pub struct Filter {
    pub namespace: String,
    labels: Selector,
    fields: FieldSelector,
    /// Terms that metadata alone cannot answer: the object's JSON has to be read.
    deep: bool,
}

/// Fields of every kind.
const COMMON: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// Further fields of some kinds, as Kubernetes has them.
fn selectable(kind: &Kind) -> &'static [&'static str] {
    if kind == kinds::POD {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ]
    } else if kind == kinds::EVENT {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    } else if kind == kinds::NODE {
        &["spec.unschedulable"]
    } else if kind == kinds::NAMESPACE {
        &["status.phase"]
    } else if kind == kinds::SECRET {
        &["type"]
    } else if kind == kinds::REPLICATION_CONTROLLER {
        &["status.replicas"]
    } else if kind == kinds::JOB {
        &["status.successful"]
    } else if kind == kinds::SERVICE {
        &["spec.clusterIP", "spec.type"]
    } else {
        &[]
    }
}

impl Filter {
    /// # Errors
    /// When a field cannot be selected by.
    pub fn new<'a>(
        kind: impl Into<Described<'a>>,
        namespace: &str,
        labels: Selector,
        fields: FieldSelector,
    ) -> Result<Self, ApiError> {
        let kind = kind.into();
        let further = selectable(&kind);
        let custom = kind.version().map_or(&[][..], |version| version.selectable.as_slice());
        let of_custom = |path: &str| custom.iter().any(|field| field.text().strip_prefix('.') == Some(path));
        let known = |path: &str| COMMON.contains(&path) || further.contains(&path) || of_custom(path);
        if let Some(term) = fields.terms.iter().find(|t| !known(&t.path)) {
            let path = &term.path;
            // Kinds without fields of their own name the common ones; the others do not.
            return Err(ApiError::bad_request(if kind.row == kinds::JOB {
                format!("field label {path:?} not supported for Job")
            } else if further.is_empty() && kind.is_built_in() {
                format!("\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            } else {
                format!("field label not supported: {path}")
            }));
        }
        let shallow = |path: &str| COMMON.contains(&path) || (kind.row == kinds::POD && path == "spec.nodeName");
        let deep = !fields.terms.iter().all(|t| shallow(&t.path));
        Ok(Self { namespace: namespace.into(), labels, fields, deep })
    }

    /// Nothing is asked of objects beyond their namespace.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.terms.is_empty()
    }

    /// The one name that can match, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name")
    }

    /// The one node whose pods can match, where there is one.
    pub fn node(&self) -> Option<&str> {
        self.fields.exact("spec.nodeName").filter(|node| !node.is_empty())
    }

    pub fn matches(&self, object: &Object) -> bool {
        if !self.namespace.is_empty() && object.key.namespace != self.namespace {
            return false;
        }
        if !self.labels.matches(&object.meta.labels) {
            return false;
        }
        let value = if self.deep { object.value() } else { Value::Null };
        self.fields.matches(|path| match path {
            "metadata.name" => object.key.name.clone(),
            "metadata.namespace" => object.key.namespace.clone(),
            "spec.nodeName" => object.meta.node.clone().unwrap_or_default(),
            path => text_of(&value, path),
        })
    }
}

fn text_of(object: &Value, path: &str) -> String {
    let found = match path {
        // The source of an event is its component, whichever of the two generations of fields it uses.
        "source" => match &object["source"]["component"] {
            Value::Null => &object["reportingComponent"],
            component => component,
        },
        // The field has another name where it is selected by.
        "status.successful" => &object["status"]["succeeded"],
        path => path.split('.').fold(object, |value, name| &value[name]),
    };
    match found {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null if matches!(path, "status.replicas" | "status.successful") => "0".into(),
        // An absent flag is false.
        Value::Null if matches!(path, "spec.hostNetwork" | "spec.unschedulable") => "false".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Draft, Revision};
    use serde_json::json;

    #[test]
    fn pods_are_selected_by_node_phase_and_flags() {
        let pod = json!({"metadata": {"name": "p", "namespace": "d", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        let pod = Draft::new(kinds::POD, &pod).seal(Revision(1));
        let cases = [
            ("", "", true),
            ("app=web", "spec.nodeName=n1,status.phase!=Failed", true),
            ("app=db", "", false),
            ("", "spec.nodeName=n2", false),
            ("", "spec.hostNetwork=false", true),
            ("", "metadata.name=q", false),
            ("", "status.podIP=", true),
        ];
        for (labels, fields, want) in cases {
            let filter = Filter::new(kinds::POD, "d", labels.parse().unwrap(), fields.parse().unwrap()).unwrap();
            assert_eq!(filter.matches(&pod), want, "{labels} {fields}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_selected_by_is_refused_in_the_kinds_own_words() {
        let refusal = |kind, fields: &str| {
            Filter::new(kind, "", Selector::everything(), fields.parse().unwrap()).unwrap_err().message
        };
        assert_eq!(refusal(kinds::POD, "spec.foo=1"), "field label not supported: spec.foo");
        assert_eq!(
            refusal(kinds::CONFIG_MAP, "data.a=b"),
            "\"data.a\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
    }
}
