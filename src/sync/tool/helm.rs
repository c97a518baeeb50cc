//! `helm template`: the chart at a path, with the Application's values. Hooks become hooks of a sync.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::child::{ToolError, Tools};
use super::job::{Job, Source};
use crate::object::application::Helm;
use crate::sync::render::File;

/// The chart's folder, and the value files that are elsewhere in the repository.
///
/// # Errors
/// A value file that cannot be had.
pub fn needs(helm: &Helm, path: &str) -> Result<BTreeSet<String>, String> {
    let mut needs = BTreeSet::from([path.to_owned()]);
    let files = helm.value_files.iter().chain(helm.file_parameters.iter().map(|parameter| &parameter.path));
    for file in files {
        let place = place(path, file)?;
        if !place.starts_with(&format!("{path}/")) && !path.is_empty() {
            needs.insert(place);
        }
    }
    Ok(needs)
}

/// Where a value file is in the repository: from its root with a slash before, else from the chart.
fn place(path: &str, file: &str) -> Result<String, String> {
    if file.contains("://") {
        return Err(format!(
            "the value file {file:?} is remote, which is not fetched; keep a copy of it in the repository"
        ));
    }
    if file.starts_with('$') {
        return Err(format!(
            "the value file {file:?} is of another source, which is not supported; keep it beside the chart"
        ));
    }
    let (base, file) = file.strip_prefix('/').map_or((path, file), |file| ("", file));
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(format!("the value file {file:?} leads out of the repository"));
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// # Errors
/// When there is no tool, or what it says.
pub fn run(tools: &Tools, helm: &Helm, tree: &Path, home: &Path, job: &Job) -> Result<Vec<u8>, ToolError> {
    let program = tools.find("helm").ok_or_else(|| ToolError::Absent { wanted: "helm".to_owned() })?;
    let args = args(helm, tree, home, job)?;
    tools.run(&program, &args, tree, home)
}

fn args(helm: &Helm, tree: &Path, home: &Path, job: &Job) -> Result<Vec<String>, ToolError> {
    let chart = if job.path().is_empty() { "." } else { job.path() };
    let release = if helm.release_name.is_empty() { job.name() } else { &helm.release_name };
    let namespace = if helm.namespace.is_empty() { job.namespace() } else { &helm.namespace };
    // A release's name is at most 53 characters to Helm.
    let release: String = release.chars().take(53).collect();
    let mut args: Vec<String> =
        ["template", release.trim_end_matches('-'), chart, "--namespace", namespace].map(str::to_owned).to_vec();
    let mut pair = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
    for file in &helm.value_files {
        let place = place(job.path(), file).map_err(ToolError::Failed)?;
        if !helm.ignore_missing_value_files || tree.join(&place).is_file() {
            pair("--values", place);
        }
    }
    let inline = match &helm.values_object {
        Some(values) => values.0.to_string(),
        None => helm.values.clone(),
    };
    if !inline.is_empty() {
        let file = home.join("values.yaml");
        fs::write(&file, inline).map_err(|source| ToolError::Start { program: "helm".to_owned(), source })?;
        pair("--values", file.display().to_string());
    }
    for parameter in &helm.parameters {
        let flag = if parameter.force_string { "--set-string" } else { "--set" };
        pair(flag, format!("{}={}", parameter.name, escaped(&parameter.value)));
    }
    for parameter in &helm.file_parameters {
        let place = place(job.path(), &parameter.path).map_err(ToolError::Failed)?;
        pair("--set-file", format!("{}={place}", parameter.name));
    }
    if !helm.kube_version.is_empty() {
        pair("--kube-version", helm.kube_version.clone());
    }
    for version in &helm.api_versions {
        pair("--api-versions", version.clone());
    }
    if !helm.skip_crds {
        args.push("--include-crds".to_owned());
    }
    if helm.skip_schema_validation {
        args.push("--skip-schema-validation".to_owned());
    }
    Ok(args)
}

/// A comma in a value is not the end of it, unless it is in braces, which are a list.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') { value.to_owned() } else { value.replace(',', "\\,") }
}

/// Helm's hooks in the words of a sync; tests are never run.
pub fn map_hooks(file: &mut File, source: &Source) {
    let skips_tests = matches!(source, Source::Helm(helm) if helm.skip_tests);
    file.manifests.retain_mut(|manifest| {
        let mut object = manifest.object();
        let annotations = &mut object["metadata"]["annotations"];
        let Some(hooks) = annotations["helm.sh/hook"].as_str().map(str::to_owned) else { return true };
        if annotations.get("argocd.argoproj.io/hook").is_some() {
            return true;
        }
        let is_test = hooks.split(',').all(|hook| hook.trim().starts_with("test"));
        if is_test && skips_tests {
            return false;
        }
        let mapped: BTreeSet<&str> = hooks.split(',').filter_map(|hook| hook_of(hook.trim())).collect();
        if !mapped.is_empty() {
            annotations["argocd.argoproj.io/hook"] = json!(mapped.into_iter().collect::<Vec<_>>().join(","));
        }
        if let Some(weight) = annotations["helm.sh/hook-weight"].as_str().map(str::to_owned) {
            annotations["argocd.argoproj.io/sync-wave"] = json!(weight);
        }
        if let Some(policy) = annotations["helm.sh/hook-delete-policy"].as_str() {
            let mapped: Vec<&str> = policy.split(',').filter_map(|policy| policy_of(policy.trim())).collect();
            annotations["argocd.argoproj.io/hook-delete-policy"] = json!(mapped.join(","));
        }
        if let Value::Object(members) = annotations {
            members.retain(|_, value| !value.is_null());
        }
        manifest.set(&object);
        true
    });
}

fn hook_of(hook: &str) -> Option<&'static str> {
    match hook {
        "pre-install" | "pre-upgrade" => Some("PreSync"),
        "post-install" | "post-upgrade" => Some("PostSync"),
        "pre-delete" => Some("PreDelete"),
        "post-delete" => Some("PostDelete"),
        "test" | "test-success" | "test-failure" | "pre-rollback" | "post-rollback" => Some("Skip"),
        _ => None,
    }
}

fn policy_of(policy: &str) -> Option<&'static str> {
    match policy {
        "before-hook-creation" => Some("BeforeHookCreation"),
        "hook-succeeded" => Some("HookSucceeded"),
        "hook-failed" => Some("HookFailed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_of_helm_are_hooks_of_a_sync() {
        let text = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: a\n  annotations: {helm.sh/hook: 'pre-install,pre-upgrade', \
                    helm.sh/hook-weight: '-5', helm.sh/hook-delete-policy: 'hook-succeeded,before-hook-creation'}\n---\n\
                    apiVersion: v1\nkind: Pod\nmetadata: {name: b, annotations: {helm.sh/hook: test}}\n---\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
        let mut file = crate::sync::render::read_manifests(text.as_bytes());
        map_hooks(&mut file, &Source::Helm(Helm::default()));
        let annotation = |index: usize, name: &str| {
            file.manifests[index].object()["metadata"]["annotations"][format!("argocd.argoproj.io/{name}")].clone()
        };
        assert_eq!((annotation(0, "hook"), annotation(0, "sync-wave")), (json!("PreSync"), json!("-5")));
        assert_eq!(annotation(0, "hook-delete-policy"), "HookSucceeded,BeforeHookCreation");
        assert_eq!(annotation(1, "hook"), "Skip");
        assert_eq!(file.manifests[2].object()["metadata"], json!({"name": "c"}));
        map_hooks(&mut file, &Source::Helm(Helm { skip_tests: true, ..Helm::default() }));
        assert_eq!(file.manifests.len(), 3, "a hook that is mapped already stays");
    }

    #[test]
    fn value_files_are_in_the_repository() {
        assert_eq!(place("charts/web", "values-prod.yaml"), Ok("charts/web/values-prod.yaml".to_owned()));
        assert_eq!(place("charts/web", "../../env/prod.yaml"), Ok("env/prod.yaml".to_owned()));
        assert_eq!(place("charts/web", "/env/prod.yaml"), Ok("env/prod.yaml".to_owned()));
        for bad in ["../../../x", "https://h/v.yaml", "$values/v.yaml"] {
            assert!(place("charts/web", bad).is_err(), "{bad}");
        }
    }
}
