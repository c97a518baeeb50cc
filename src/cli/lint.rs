//! `windlass lint`: checks manifests without a cluster, as the server would take them, and against policies.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::args::{Format, LintArgs};
use super::output::{plain, show};
use crate::object::{Kind, kinds};
use crate::sync::{self, Linted, render};

/// Namespace of objects that name none.
const DESTINATION: &str = "default";

pub async fn run(args: LintArgs) -> anyhow::Result<ExitCode> {
    let policies = args.policies.as_deref().map(load).transpose()?.unwrap_or_default();
    let rendered = render::directory(&args.path, DESTINATION)?;
    let linted = sync::lint(&rendered, &policies).await;
    let Linted { mut errors, warnings } = linted.context("the policies cannot be used")?;
    errors.sort();
    let root = if args.path.is_file() { args.path.parent().unwrap_or(Path::new("")) } else { &args.path };
    render::place(&mut errors, |file| std::fs::read_to_string(root.join(file)).ok());
    match args.output {
        Format::Json => {
            let found = json!({"objects": rendered.documents.len(), "errors": errors, "warnings": warnings});
            show(serde_json::to_string_pretty(&found)?)?;
        }
        Format::Text => {
            let mut lines: Vec<String> = errors.iter().map(|error| plain(&error.to_string())).collect();
            lines.extend(warnings.iter().map(|warning| format!("warning: {}", plain(warning))));
            let (objects, wrong, warned) = (rendered.documents.len(), errors.len(), warnings.len());
            lines.push(format!("{objects} objects, {wrong} errors, {warned} warnings"));
            show(lines.join("\n"))?;
        }
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// All policies and bindings below a folder, or of a file, with the parameters that bindings name.
fn load(path: &Path) -> anyhow::Result<Vec<Value>> {
    let mut manifests = Vec::new();
    for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read the policies at {}", path.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_file() && render::is_manifest(&name) {
            let text =
                std::fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            let (documents, faults) = render::parse(&text);
            if let Some(fault) = faults.first() {
                bail!("{}:{}: {}", entry.path().display(), fault.line, fault.message);
            }
            manifests.extend(documents.into_iter().map(|document| document.value));
        }
    }
    let of_kind =
        |object: &Value, kind: &Kind| object["apiVersion"] == kind.api_version() && object["kind"] == kind.kind;
    let references: Vec<&Value> = manifests
        .iter()
        .filter(|object| of_kind(object, kinds::ADMISSION_BINDING))
        .map(|binding| &binding["spec"]["paramRef"])
        .filter(|reference| reference["name"].is_string())
        .collect();
    let named = |object: &Value| {
        let at = &object["metadata"];
        let fits =
            |r: &&Value| r["name"] == at["name"] && (r["namespace"].is_null() || r["namespace"] == at["namespace"]);
        object["kind"] == "ConfigMap" && references.iter().any(fits)
    };
    let wanted = |object: &Value| {
        of_kind(object, kinds::ADMISSION_POLICY) || of_kind(object, kinds::ADMISSION_BINDING) || named(object)
    };
    let policies: Vec<Value> = manifests.iter().filter(|object| wanted(object)).cloned().collect();
    if !policies.iter().any(|object| of_kind(object, kinds::ADMISSION_POLICY)) {
        bail!("{} holds no ValidatingAdmissionPolicy", path.display());
    }
    Ok(policies)
}
