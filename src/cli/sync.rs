//! `windlass sync`: asks the server to look at the repository now, and waits for the outcome.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::TryStreamExt;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use super::args::{Global, SyncArgs};
use super::client;
use super::output::{Paint, plain, short, show};
use crate::object::application::{
    APPROVE_ANNOTATION, Application, PLAN_INFO, REFRESH_ANNOTATION, ResourceStatus, SyncOperation, SyncTarget,
};

pub async fn run(args: SyncArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let client = client::connect(&args.connection).await?;
    let application = client::application(&client, &args.connection).await?;
    let name = application.metadata.name.clone().unwrap_or_default();
    let namespace = application.metadata.namespace.clone().unwrap_or_default();
    let api = client::applications(&client, &namespace);
    let mut ask = json!({"metadata": {"annotations": {REFRESH_ANNOTATION: "normal"}}});
    if let Some(commit) = &args.approve {
        if commit.len() < 7 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("--approve {commit}: give the commit's id, in full or its first seven characters at least");
        }
        ask["metadata"]["annotations"][APPROVE_ANNOTATION] = json!(commit.to_lowercase());
    }
    let automated = application.spec.sync_policy.automation();
    let is_special = args.plan.is_some() || args.revision.is_some() || args.dry_run || !args.resource.is_empty();
    // One that does not sync by itself would only be compared.
    let is_operation = is_special || automated.is_none();
    if is_operation {
        let info: Vec<_> = args.plan.iter().map(|id| json!({"name": PLAN_INFO, "value": id})).collect();
        let known = &application.status.resources;
        let resources = args.resource.iter().map(|asked| targets(asked, known)).collect::<anyhow::Result<Vec<_>>>()?;
        let sync = SyncOperation {
            revision: args.revision.clone().unwrap_or_default(),
            prune: automated.is_none_or(|automated| automated.prune),
            dry_run: args.dry_run,
            resources: resources.concat(),
            ..SyncOperation::default()
        };
        ask["operation"] = json!({"sync": sync, "info": info, "initiatedBy": {"username": "windlass sync"}});
    }
    let asked = api.patch(&name, &PatchParams::default(), &Patch::Merge(ask)).await;
    let asked = asked.with_context(|| format!("cannot ask Application {name:?} to sync"))?;
    if args.timeout == 0 {
        show(format!("asked {name} to sync"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let version = asked.metadata.resource_version.unwrap_or_default();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = Box::pin(api.watch(&params, &version).await?);
    let answered = async {
        // The server takes the annotation away when it has answered it.
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Modified(object) = event
                && object.metadata.annotations.iter().flatten().all(|(key, _)| key != REFRESH_ANNOTATION)
                && object.data["operation"].is_null()
            {
                return Ok(serde_json::from_value::<Application>(serde_json::to_value(object)?)?);
            }
        }
        bail!("the server ended the watch of Application {name:?}")
    };
    let limit = Duration::from_secs(args.timeout);
    let application = tokio::time::timeout(limit, answered).await;
    let application = application.with_context(|| format!("no outcome within {limit:?}; see `windlass status`"))??;
    report(&application, is_operation, Paint::for_stdout(global))
}

/// The Application's objects that `KIND[.GROUP]/[NAMESPACE/]NAME` means, whatever the case of the kind.
fn targets(asked: &str, known: &[ResourceStatus]) -> anyhow::Result<Vec<SyncTarget>> {
    let (kind, name) = asked
        .split_once('/')
        .with_context(|| format!("--resource {asked}: write it as KIND[.GROUP]/[NAMESPACE/]NAME"))?;
    let (kind, group) = kind.split_once('.').map_or((kind, None), |(kind, group)| (kind, Some(group)));
    let (namespace, name) = name.split_once('/').map_or((None, name), |(namespace, name)| (Some(namespace), name));
    let is_meant = |one: &&ResourceStatus| {
        one.kind.eq_ignore_ascii_case(kind)
            && one.name == name
            && group.is_none_or(|group| one.group == group)
            && namespace.is_none_or(|namespace| one.namespace == namespace)
    };
    let target = |one: &ResourceStatus| SyncTarget {
        group: one.group.clone(),
        kind: one.kind.clone(),
        namespace: one.namespace.clone(),
        name: one.name.clone(),
    };
    let found: Vec<_> = known.iter().filter(is_meant).map(target).collect();
    match found.is_empty() {
        true => bail!("--resource {asked}: is no object of the Application; `windlass status` lists them"),
        false => Ok(found),
    }
}

fn report(application: &Application, is_operation: bool, paint: Paint) -> anyhow::Result<ExitCode> {
    let status = &application.status;
    let operation = status.operation_state.as_ref().filter(|_| is_operation);
    if let Some(operation) = operation {
        for result in operation.sync_result.iter().flat_map(|result| &result.resources) {
            let place = [&*result.kind, "/", &*result.namespace, "/", &*result.name].concat().replace("//", "/");
            show(format!("{} {}", plain(&place), plain(&result.message)))?;
        }
        show(format!("{} {}", paint.state(&operation.phase), plain(&operation.message)))?;
    }
    let (sync, health) = (paint.state(&status.sync.status), paint.state(&status.health.status));
    show(format!("{sync} {} {health}", short(&status.sync.revision)))?;
    for condition in &status.conditions {
        eprintln!("{}: {}", condition.type_, plain(&condition.message));
    }
    let failed = status.conditions.iter().any(|condition| condition.type_.ends_with("Error"))
        || operation.is_some_and(|operation| operation.phase == "Failed");
    Ok(if failed { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_people_name_it() {
        let known = |group: &str, kind: &str, namespace: &str, name: &str| ResourceStatus {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..ResourceStatus::default()
        };
        let all = [
            known("", "Namespace", "", "web"),
            known("apps", "Deployment", "a", "web"),
            known("apps", "Deployment", "b", "web"),
            known("example.com", "Deployment", "b", "web"),
        ];
        for (asked, want) in
            [("namespace/web", 1), ("deployment/web", 3), ("Deployment.apps/web", 2), ("deployment/b/web", 2)]
        {
            assert_eq!(targets(asked, &all).unwrap().len(), want, "{asked}");
        }
        for asked in ["web", "deployment/api", "deployment.batch/web", "deployment/c/web"] {
            assert!(targets(asked, &all).unwrap_err().to_string().starts_with(&format!("--resource {asked}: ")));
        }
    }
}
