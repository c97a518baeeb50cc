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
use crate::object::application::{APPROVE_ANNOTATION, Application, PLAN_INFO, REFRESH_ANNOTATION};

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
    // One that does not sync by itself would only be compared.
    if args.plan.is_some() || automated.is_none() {
        let info: Vec<_> = args.plan.iter().map(|id| json!({"name": PLAN_INFO, "value": id})).collect();
        let prune = automated.is_none_or(|automated| automated.prune);
        ask["operation"] =
            json!({"sync": {"prune": prune}, "info": info, "initiatedBy": {"username": "windlass sync"}});
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
    report(&application, Paint::for_stdout(global))
}

fn report(application: &Application, paint: Paint) -> anyhow::Result<ExitCode> {
    let status = &application.status;
    let (sync, health) = (paint.state(&status.sync.status), paint.state(&status.health.status));
    show(format!("{sync} {} {health}", short(&status.sync.revision)))?;
    for condition in &status.conditions {
        eprintln!("{}: {}", condition.type_, plain(&condition.message));
    }
    let failed = status.conditions.iter().any(|condition| condition.type_.ends_with("Error"));
    Ok(if failed { ExitCode::from(2) } else { ExitCode::SUCCESS })
}
