//! What was changed behind git's back, and by whom: for people, in the Application's conditions and events, and field by
//! field in the log. Pure.

use std::fmt;

use serde_json::Value;

use super::fingerprint::Key;
use super::stage::MANAGER;
use crate::cluster::registry::Step;
use crate::diff::changes;
use crate::diff::plan::FieldChange;
use crate::object::ObjectKey;

/// Fields that are named; the log has them all.
const NAMED: usize = 5;
/// Characters of a value that are shown.
const SHOWN: usize = 60;

#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    key: ObjectKey,
    /// From what is live to what git says; of a Secret's values, fingerprints.
    fields: Vec<FieldChange>,
    is_gone: bool,
    /// Field manager of the last write that is not ours.
    manager: Option<String>,
    /// Who made it, where that is known.
    user: Option<String>,
    /// When, RFC 3339.
    time: Option<String>,
}

impl Drift {
    /// `step` is the one that puts the object right.
    pub fn of(step: &Step, user: Option<String>, fingerprints: &Key) -> Self {
        let key = step.key.clone();
        let Some(before) = &step.before else {
            return Self { key, fields: Vec::new(), is_gone: true, manager: None, user, time: None };
        };
        let live = before.value();
        let seal = |value: &[u8]| fingerprints.fingerprint(value);
        let fields = changes::between_sealed(step.key.kind, Some(&live), step.after.as_ref(), Some(&seal));
        let last = last_write(&live);
        let text = |field: &str| last.and_then(|entry| entry[field].as_str()).map(str::to_owned);
        let (manager, time) = (text("manager"), text("time"));
        Self { key, fields, is_gone: false, manager, user, time }
    }

    /// What healing it means.
    pub fn put_back(&self) -> &'static str {
        if self.is_gone { "; created again" } else { "; put back" }
    }

    /// One line a field.
    pub fn log(&self, application: &ObjectKey, what: &'static str) {
        let (manager, user, time) = (self.manager.as_deref(), self.user.as_deref(), self.time.as_deref());
        if self.fields.is_empty() {
            tracing::warn!(%application, object = %self.key, gone = self.is_gone, manager, user, time, "{what}");
        }
        for FieldChange { path, from, to } in &self.fields {
            let (live, desired) = (shown(from.as_ref()), shown(to.as_ref()));
            tracing::warn!(%application, object = %self.key, field = path, desired, live, manager, user, time, "{what}");
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        if self.is_gone {
            f.write_str("it was deleted")?;
        } else if self.fields.is_empty() {
            f.write_str("it was changed")?;
        }
        for (index, FieldChange { path, from, to }) in self.fields.iter().take(NAMED).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{path} is {}, git says {}", shown(from.as_ref()), shown(to.as_ref()))?;
        }
        if self.fields.len() > NAMED {
            write!(f, " and {} more fields", self.fields.len() - NAMED)?;
        }
        match (&self.user, &self.manager) {
            (Some(user), Some(manager)) => write!(f, "; written last by {user} with {manager}")?,
            (Some(who), None) | (None, Some(who)) => write!(f, "; written last by {who}")?,
            (None, None) => return Ok(()),
        }
        self.time.as_ref().map_or(Ok(()), |time| write!(f, " at {time}"))
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The bookkeeping of the last write that is not ours.
fn last_write(object: &Value) -> Option<&Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let others =
        entries.iter().filter(|e| e["manager"] != MANAGER && e["subresource"].as_str().unwrap_or("").is_empty());
    others.max_by_key(|entry| entry["time"].as_str().unwrap_or_default().to_owned())
}
