//! CustomResourceDefinitions on their way into the store: their defaults, whether their names are free, and the
//! finalizer that keeps a definition until its objects are gone. What Kubernetes's controllers do a moment later is
//! done in the same write here, so that a definition and objects of its kind can be written in one transaction.

use serde_json::{Value, json};

use super::strategy;
use super::transaction::{Step, Transaction};
use crate::object::{ApiError, Kinds, ObjectKey, Reason, kinds};

/// Keeps a definition that is being deleted until none of its objects is left.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Fills in what a definition leaves out.
pub fn default(crd: &mut Value) {
    let spec = &mut crd["spec"];
    if !spec.is_object() {
        return;
    }
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if spec["names"].is_object() {
        let absent = |value: &Value| value.as_str().unwrap_or_default().is_empty();
        if absent(&spec["names"]["singular"]) && !kind.is_empty() {
            spec["names"]["singular"] = kind.to_lowercase().into();
        }
        if absent(&spec["names"]["listKind"]) && !kind.is_empty() {
            spec["names"]["listKind"] = format!("{kind}List").into();
        }
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
}

/// A new definition has no status but the version in which its objects will be stored.
pub fn begin(crd: &mut Value) {
    crd["status"] = json!({});
    note_storage_version(crd);
}

/// A definition remembers every version in which objects may be stored.
pub fn go_on(crd: &mut Value) {
    note_storage_version(crd);
}

fn note_storage_version(crd: &mut Value) {
    let versions = crd["spec"]["versions"].as_array().into_iter().flatten();
    let stored = versions.into_iter().find(|version| version["storage"] == true).map(|version| version["name"].clone());
    let Some(name) = stored else { return };
    if !crd["status"].is_object() {
        crd["status"] = json!({});
    }
    match crd["status"]["storedVersions"].as_array_mut() {
        Some(known) if known.contains(&name) => {}
        Some(known) => known.push(name),
        None => crd["status"]["storedVersions"] = json!([name]),
    }
}

impl Transaction {
    /// Decides whether the definition's names are its own, and says so in its status.
    ///
    /// # Errors
    /// When there is no room for more kinds in this process.
    pub(super) fn settle_definition(&mut self, key: &ObjectKey, crd: &mut Value) -> Result<(), ApiError> {
        let now = strategy::time(self.now);
        let conflict = conflict(self.kinds(), &key.name, crd);
        let established = condition(crd, "Established") == Some("True");
        if conflict.is_none() {
            crd["status"]["acceptedNames"] = crd["spec"]["names"].clone();
        } else if crd["status"]["acceptedNames"].is_null() {
            crd["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
        }
        match &conflict {
            None => set_condition(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found", &now),
            Some((reason, name)) => {
                set_condition(crd, "NamesAccepted", "False", reason, &format!("{name:?} is already in use"), &now);
            }
        }
        if conflict.is_none() && !established {
            let message = "the initial names have been accepted";
            set_condition(crd, "Established", "True", "InitialNamesAccepted", message, &now);
        } else if !established {
            set_condition(crd, "Established", "False", "NotAccepted", "not all names are accepted", &now);
        }
        let room = self.kinds().clone().declare(crd);
        room.map_err(|full| ApiError::new(Reason::ServiceUnavailable, full.to_string()))
    }

    /// Later steps see the kinds of the definition that this step wrote.
    pub(super) fn definition_stepped(&mut self, step: &Step) {
        match &step.after {
            // There is room: it was asked for when the definition was settled.
            Some(crd) => drop(self.kinds.put(crd)),
            None => self.kinds.remove(&step.key.name),
        }
    }

    /// Keeps a definition that is deleted as long as objects of its kind are stored.
    pub(super) fn hold_definition(&self, key: &ObjectKey, crd: &mut Value) {
        if key.kind != kinds::CUSTOM_RESOURCE_DEFINITION || !crd["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let text = |name: &str| crd["spec"][name].as_str().unwrap_or_default();
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let Some(kind) = self.kinds().by_resource(text("group"), plural).filter(|kind| !kind.is_built_in()) else {
            return;
        };
        let left = self.base.list(kind, "").any(|object| self.exists(&object.key));
        if !left && !self.pending_of(kind).any(|step| step.after.is_some()) {
            return;
        }
        match crd["metadata"]["finalizers"].as_array_mut() {
            Some(finalizers) if finalizers.iter().any(|f| f == CLEANUP) => {}
            Some(finalizers) => finalizers.push(json!(CLEANUP)),
            None => crd["metadata"]["finalizers"] = json!([CLEANUP]),
        }
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        let now = strategy::time(self.now);
        set_condition(crd, "Terminating", "True", "InstanceDeletionPending", message, &now);
    }
}

/// The first name that another definition of the group, or a kind of our own, has already.
fn conflict(known: &Kinds, own: &str, crd: &Value) -> Option<(&'static str, String)> {
    let (group, names) = (crd["spec"]["group"].as_str()?, &crd["spec"]["names"]);
    let others = known.definitions().filter(|other| other.name != own && other.storage().kind.group == group);
    let mut resources: Vec<&str> = Vec::new();
    let mut kinds_taken: Vec<&str> = Vec::new();
    for other in others {
        let row = other.storage().kind;
        resources.extend([row.plural, row.singular].into_iter().chain(row.short_names.iter().copied()));
        kinds_taken.extend([row.kind, other.list_kind.as_str()]);
    }
    for row in kinds::all().iter().filter(|row| row.group == group) {
        resources.extend([row.plural, row.singular].into_iter().chain(row.short_names.iter().copied()));
        kinds_taken.push(row.kind);
    }
    let text = |name: &str| names[name].as_str().unwrap_or_default();
    let short_names = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let wanted = [("PluralConflict", text("plural")), ("SingularConflict", text("singular"))].into_iter();
    let mut wanted = wanted.chain(short_names.map(|name| ("ShortNamesConflict", name)));
    let taken = wanted.find(|(_, name)| !name.is_empty() && resources.contains(name));
    let of_kind = [("KindConflict", text("kind")), ("ListKindConflict", text("listKind"))];
    let taken = taken.or_else(|| of_kind.into_iter().find(|(_, name)| kinds_taken.contains(name)));
    taken.map(|(reason, name)| (reason, name.to_owned()))
}

fn condition<'a>(crd: &'a Value, type_: &str) -> Option<&'a str> {
    let conditions = crd["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == type_)?["status"].as_str()
}

/// A condition that says what it said keeps its time.
pub fn set_condition(crd: &mut Value, type_: &str, status: &str, reason: &str, message: &str, now: &Value) {
    let condition =
        json!({"type": type_, "status": status, "lastTransitionTime": now, "reason": reason, "message": message});
    let Some(conditions) = crd["status"]["conditions"].as_array_mut() else {
        crd["status"]["conditions"] = json!([condition]);
        return;
    };
    match conditions.iter_mut().find(|known| known["type"] == type_) {
        None => conditions.push(condition),
        Some(known) => {
            let time = if known["status"] == status { known["lastTransitionTime"].clone() } else { now.clone() };
            *known = condition;
            known["lastTransitionTime"] = time;
        }
    }
}
