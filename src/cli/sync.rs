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
    APPROVE_ANNOTATION, Application, Info, InitiatedBy, Operation, PLAN_INFO, REFRESH_ANNOTATION, ResourceStatus,
    SyncOperation, SyncTarget,
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
    let operation = operation(&args, &application)?;
    if let Some(operation) = &operation {
        if application.operation.is_some() {
            bail!("another sync of Application {name:?} is asked for and not answered yet; see `windlass status`");
        }
        // Nobody else may ask between this look and the request: two would become one.
        ask["metadata"]["resourceVersion"] = json!(application.metadata.resource_version);
        ask["operation"] = json!(operation);
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
        // The server takes the request away when it has answered it.
        while let Some(event) = events.try_next().await? {
            let WatchEvent::Modified(object) = event else { continue };
            let application: Application = serde_json::from_value(serde_json::to_value(object)?)?;
            let is_asked = operation.is_some() && application.operation == operation;
            // Of several steps, it waits for something in the cluster.
            let is_running = application.status.operation_state.as_ref().is_some_and(|state| state.phase == "Running");
            if application.annotation(REFRESH_ANNOTATION).is_none() && !is_asked && !is_running {
                return Ok(application);
            }
        }
        bail!("the server ended the watch of Application {name:?}")
    };
    let limit = Duration::from_secs(args.timeout);
    let application = tokio::time::timeout(limit, answered).await;
    let application = application.with_context(|| format!("no outcome within {limit:?}; see `windlass status`"))??;
    report(&application, operation.as_ref(), Paint::for_stdout(global))
}

/// What is asked for beyond a look; `None` where that is all, since the Application then syncs by itself.
fn operation(args: &SyncArgs, application: &Application) -> anyhow::Result<Option<Operation>> {
    let automated = application.spec.sync_policy.automation();
    let is_special = args.plan.is_some() || args.revision.is_some() || args.dry_run || !args.resource.is_empty();
    if !is_special && automated.is_some() {
        return Ok(None);
    }
    let known = &application.status.resources;
    let of = |asked: &String| targets(asked, known, args.revision.is_some());
    let resources = args.resource.iter().map(of).collect::<anyhow::Result<Vec<_>>>()?;
    let sync = SyncOperation {
        revision: args.revision.clone().unwrap_or_default(),
        prune: automated.is_none_or(|automated| automated.prune),
        dry_run: args.dry_run,
        resources: resources.concat(),
        ..SyncOperation::default()
    };
    let initiated_by = InitiatedBy { username: "windlass sync".to_owned(), ..InitiatedBy::default() };
    let info = args.plan.iter().map(|id| Info { name: PLAN_INFO.to_owned(), value: id.clone() }).collect();
    Ok(Some(Operation { sync: Some(sync), initiated_by, info, retry: None }))
}

/// The Application's objects that `KIND[.GROUP]/[NAMESPACE/]NAME` means, whatever the case of the kind. Those of another
/// revision may be new: then it is taken as it stands.
fn targets(asked: &str, known: &[ResourceStatus], may_be_new: bool) -> anyhow::Result<Vec<SyncTarget>> {
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
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    match found.is_empty() {
        true if may_be_new => Ok(vec![SyncTarget {
            group: owned(group),
            kind: kind.to_owned(),
            namespace: owned(namespace),
            name: name.to_owned(),
        }]),
        true => bail!("--resource {asked}: is no object of the Application; `windlass status` lists them"),
        false => Ok(found),
    }
}

fn report(application: &Application, asked: Option<&Operation>, paint: Paint) -> anyhow::Result<ExitCode> {
    let status = &application.status;
    if let Some(asked) = asked {
        let answer = status.operation_state.as_ref().filter(|state| state.operation.as_ref() == Some(asked));
        let answer = answer.context("another request has been answered since; see `windlass status`")?;
        for result in answer.sync_result.iter().flat_map(|result| &result.resources) {
            let place = [&*result.kind, "/", &*result.namespace, "/", &*result.name].concat().replace("//", "/");
            show(format!("{} {}", plain(&place), plain(&result.message)))?;
        }
        show(format!("{} {}", paint.state(&answer.phase), plain(&answer.message)))?;
        if answer.phase == "Failed" {
            return Ok(ExitCode::from(2));
        }
        if asked.sync.as_ref().is_some_and(|sync| sync.dry_run) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let (sync, health) = (paint.state(&status.sync.status), paint.state(&status.health.status));
    show(format!("{sync} {} {health}", short(&status.sync.revision)))?;
    for condition in &status.conditions {
        eprintln!("{}: {}", condition.type_, plain(&condition.message));
    }
    let failed = status.conditions.iter().any(|condition| condition.type_.ends_with("Error"));
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
            assert_eq!(targets(asked, &all, false).unwrap().len(), want, "{asked}");
        }
        for asked in ["web", "deployment/api", "deployment.batch/web", "deployment/c/web"] {
            assert!(targets(asked, &all, false).unwrap_err().to_string().starts_with(&format!("--resource {asked}: ")));
        }
    }
}
