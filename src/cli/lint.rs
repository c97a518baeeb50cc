//! `windlass lint`: checks manifests without a cluster, as the server would take them, and against policies.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::args::{Format, LintArgs};
use super::output::plain;
use crate::diff::plan::SourceError;
use crate::policy::{Effect, Operation, Policies, Request};
use crate::sync;
use crate::sync::render::{self, Rendered};

/// Namespace of objects that name none.
const DESTINATION: &str = "default";

pub async fn run(args: LintArgs) -> anyhow::Result<ExitCode> {
    let policies = args.policies.as_deref().map(load).transpose()?.unwrap_or_default();
    let rendered = render::directory(&args.path, DESTINATION)?;
    let mut errors = sync::lint(&rendered).await?;
    let (refused, warned) = judge(&policies, &rendered);
    errors.extend(refused);
    errors.sort();
    let root = if args.path.is_file() { args.path.parent().unwrap_or(Path::new("")) } else { &args.path };
    render::place(&mut errors, |file| std::fs::read_to_string(root.join(file)).ok());
    let warnings: Vec<String> =
        rendered.warnings.iter().cloned().chain(warned.iter().map(ToString::to_string)).collect();
    match args.output {
        Format::Json => {
            let found = json!({"objects": rendered.documents.len(), "errors": errors, "warnings": warnings});
            println!("{}", serde_json::to_string_pretty(&found)?);
        }
        Format::Text => {
            errors.iter().for_each(|error| println!("{}", plain(&error.to_string())));
            warnings.iter().for_each(|warning| println!("warning: {}", plain(warning)));
            println!("{} objects, {} errors, {} warnings", rendered.documents.len(), errors.len(), warnings.len());
        }
    }
    Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// All policies below a folder, or of a file. A policy that no binding names holds everywhere.
fn load(path: &Path) -> anyhow::Result<Policies> {
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
            manifests.extend(documents.into_iter().map(|document| (entry.path().to_owned(), document)));
        }
    }
    let named = |kind: &str, name: &str| {
        let mut objects = manifests.iter().map(|(_, document)| &document.value);
        objects.find(|o| o["kind"] == kind && o["metadata"]["name"] == name).cloned()
    };
    let mut policies = Policies::default();
    for (file, document) in &manifests {
        if Policies::understands(document.value["kind"].as_str().unwrap_or_default()) {
            let added = policies.add(&document.value, named);
            added.with_context(|| format!("{}:{}: the policy cannot be used", file.display(), document.line))?;
        }
    }
    policies.bind_the_unbound();
    if policies.is_empty() {
        bail!("{} holds no ValidatingAdmissionPolicy", path.display());
    }
    Ok(policies)
}

/// What the policies refuse, and what they only warn of.
fn judge(policies: &Policies, rendered: &Rendered) -> (Vec<SourceError>, Vec<SourceError>) {
    let (mut refused, mut warned) = (Vec::new(), Vec::new());
    for document in &rendered.documents {
        let namespace: Option<&Value> = None;
        let verdicts = policies.review(&Request {
            kind: document.key.kind,
            operation: Operation::Create,
            object: Some(document.object()),
            old: None,
            namespace,
            user: "windlass-lint",
            groups: &[],
        });
        for verdict in verdicts {
            let said = document.error(format!("{}: {} (policy {})", document.key, verdict.message, verdict.policy));
            if verdict.effect == Effect::Deny { refused.push(said) } else { warned.push(said) }
        }
    }
    (refused, warned)
}
