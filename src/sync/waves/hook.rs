//! What makes an object a hook: Argo CD's annotations `hook`, `hook-delete-policy` and `sync-wave`, and how a hook that was
//! made ends. Pure.

use std::fmt;

use serde_json::Value;

use crate::diff::health::{Level, health};
use crate::object::{Kind, kinds};

pub const HOOK_ANNOTATION: &str = "argocd.argoproj.io/hook";
const DELETE_POLICY_ANNOTATION: &str = "argocd.argoproj.io/hook-delete-policy";
/// On a hook that runs: it stays until its end was seen, whoever deletes it meanwhile (a job's time to live, too).
pub const FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// When in a sync something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    PreSync,
    Sync,
    PostSync,
    /// Instead of what is left of a sync that failed.
    SyncFail,
    /// Before the objects of an Application are deleted with it, and after.
    PreDelete,
    PostDelete,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// When a hook's object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletePolicy {
    pub before_creation: bool,
    pub on_success: bool,
    pub on_failure: bool,
}

/// An object that is made at a moment of each sync, and is no part of what the sync deploys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// None: it is never made (`Skip`).
    pub phases: Vec<Phase>,
    pub delete: DeletePolicy,
}

/// How far a hook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Running(String),
    Succeeded(String),
    Failed(String),
}

/// What the annotations of an object make of it; `None`: a plain object.
///
/// # Errors
/// When a phase or a policy has no such name.
pub fn hook(object: &Value) -> Result<Option<Hook>, String> {
    let words = |annotation: &str| {
        let text = object["metadata"]["annotations"][annotation].as_str().unwrap_or_default();
        text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect::<Vec<_>>()
    };
    let asked = words(HOOK_ANNOTATION);
    if asked.is_empty() {
        return Ok(None);
    }
    let unknown = |annotation: &str, word: &str, known: &str| {
        format!("metadata.annotations[{annotation}]: Unsupported value: {word:?}: supported values: {known}")
    };
    let mut phases = Vec::new();
    for word in &asked {
        phases.push(match word.as_str() {
            "PreSync" => Phase::PreSync,
            "Sync" => Phase::Sync,
            "PostSync" => Phase::PostSync,
            "SyncFail" => Phase::SyncFail,
            "PreDelete" => Phase::PreDelete,
            "PostDelete" => Phase::PostDelete,
            "Skip" => continue,
            other => {
                let known = "PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete, Skip";
                return Err(unknown(HOOK_ANNOTATION, other, known));
            }
        });
    }
    if asked.iter().any(|word| word == "Skip") {
        phases.clear();
    }
    phases.sort();
    phases.dedup();
    let mut delete = DeletePolicy::default();
    for word in words(DELETE_POLICY_ANNOTATION) {
        match word.as_str() {
            "BeforeHookCreation" => delete.before_creation = true,
            "HookSucceeded" => delete.on_success = true,
            "HookFailed" => delete.on_failure = true,
            other => {
                let known = "BeforeHookCreation, HookSucceeded, HookFailed";
                return Err(unknown(DELETE_POLICY_ANNOTATION, other, known));
            }
        }
    }
    // Without a policy, the one before makes room.
    if delete == DeletePolicy::default() {
        delete.before_creation = true;
    }
    Ok(Some(Hook { phases, delete }))
}

/// Whether a hook has come to its end: jobs and pods when they have ended, all else when it is healthy.
pub fn judge(kind: &Kind, object: &Value) -> Verdict {
    let status = &object["status"];
    let condition = |type_: &str| {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().find(|condition| condition["type"] == type_ && condition["status"] == "True")
    };
    let said = |value: &Value| value["message"].as_str().unwrap_or_default().to_owned();
    let ended = match kind.kind {
        _ if kind == kinds::JOB => match (condition("Complete"), condition("Failed")) {
            (Some(complete), _) => Some(Verdict::Succeeded(said(complete))),
            (None, Some(failed)) => Some(Verdict::Failed(said(failed))),
            (None, None) => None,
        },
        _ if kind == kinds::POD => match status["phase"].as_str() {
            Some("Succeeded") => Some(Verdict::Succeeded(said(status))),
            Some("Failed") => Some(Verdict::Failed(said(status))),
            _ => None,
        },
        _ => {
            let health = health(kind, object);
            match health.status {
                Level::Healthy => Some(Verdict::Succeeded(health.message)),
                Level::Degraded => Some(Verdict::Failed(health.message)),
                _ => None,
            }
        }
    };
    match ended {
        Some(verdict) => verdict,
        None if !object["metadata"]["deletionTimestamp"].is_null() => {
            Verdict::Failed("it was deleted before it ended".to_owned())
        }
        None => Verdict::Running(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(annotations: &Value) -> Value {
        json!({"metadata": {"annotations": annotations}})
    }

    #[test]
    fn annotations_make_hooks() {
        let of = |annotations: Value| hook(&annotated(&annotations));
        assert_eq!(of(json!({})), Ok(None));
        assert_eq!(of(json!({HOOK_ANNOTATION: ""})), Ok(None));
        let both = of(json!({HOOK_ANNOTATION: "PostSync, PreSync"})).unwrap().unwrap();
        assert_eq!(both.phases, [Phase::PreSync, Phase::PostSync]);
        assert!(both.delete.before_creation && !both.delete.on_success);
        let deleted = of(json!({HOOK_ANNOTATION: "Sync", DELETE_POLICY_ANNOTATION: "HookSucceeded,HookFailed"}));
        assert_eq!(
            deleted.unwrap().unwrap().delete,
            DeletePolicy { before_creation: false, on_success: true, on_failure: true }
        );
        assert_eq!(of(json!({HOOK_ANNOTATION: "Skip"})).unwrap().unwrap().phases, []);
        for (annotation, word) in [(HOOK_ANNOTATION, "PreSnyc"), (DELETE_POLICY_ANNOTATION, "Always")] {
            let wrong = of(json!({HOOK_ANNOTATION: "Sync", annotation: word})).unwrap_err();
            assert!(wrong.contains(word) && wrong.contains("supported values"), "{wrong}");
        }
    }

    #[test]
    fn a_hook_has_ended_when_its_object_says_so() {
        let job = |type_: &str| json!({"status": {"conditions": [{"type": type_, "status": "True", "message": "m"}]}});
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        let mut done = job("Complete");
        json_patch::merge(&mut done, &leaving);
        let message = || "m".to_owned();
        for (kind, object, want) in [
            (kinds::JOB, json!({}), Verdict::Running(String::new())),
            (kinds::JOB, job("SuccessCriteriaMet"), Verdict::Running(String::new())),
            (kinds::JOB, job("Complete"), Verdict::Succeeded(message())),
            (kinds::JOB, job("Failed"), Verdict::Failed(message())),
            (kinds::JOB, done, Verdict::Succeeded(message())),
            (kinds::JOB, leaving, Verdict::Failed("it was deleted before it ended".to_owned())),
            (kinds::POD, json!({"status": {"phase": "Running"}}), Verdict::Running(String::new())),
            (kinds::POD, json!({"status": {"phase": "Succeeded"}}), Verdict::Succeeded(String::new())),
            (kinds::CONFIG_MAP, json!({"data": {}}), Verdict::Succeeded(String::new())),
        ] {
            assert_eq!(judge(kind, &object), want, "{} {object}", kind.kind);
        }
    }
}
