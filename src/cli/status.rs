//! `windlass status`: what is deployed, whether it is what git says, and how healthy it is.

use std::process::ExitCode;

use jiff::Timestamp;

use super::args::{Format, Global, StatusArgs};
use super::client;
use super::output::{Paint, ago, plain, short, show, table};
use crate::object::application::{Application, ResourceStatus};

pub async fn run(args: StatusArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let client = client::connect(&args.connection).await?;
    let application = client::application(&client, &args.connection).await?;
    match args.output {
        Format::Json => show(serde_json::to_string_pretty(&application.status)?)?,
        Format::Text => show(text(&application, Paint::for_stdout(global), Timestamp::now()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(application: &Application, paint: Paint, now: Timestamp) -> String {
    let status = &application.status;
    let source = &application.spec.source;
    let name = application.metadata.name.as_deref().unwrap_or_default();
    let latest = status.history.last();
    let commit = match latest.filter(|entry| entry.revision == status.sync.revision) {
        Some(entry) => format!("{} {} ({})", short(&entry.revision), plain(&entry.subject), plain(&entry.author)),
        None => short(&status.sync.revision).to_owned(),
    };
    let mut out = String::new();
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            out += &format!("{label:<12} {value}\n");
        }
    };
    line("Application", paint.bold(name));
    line("Repository", plain(&source.repo_url));
    line("Branch", plain(&source.target_revision));
    line("Path", plain(&source.path));
    line("Commit", commit);
    line("Sync", paint.state(&status.sync.status));
    line("Health", [paint.state(&status.health.status), plain(&status.health.message)].join(" ").trim_end().to_owned());
    if let Some(entry) = latest {
        let since = format!("{} ago", ago(entry.deployed_at.as_deref(), now));
        let deployed = match entry.revision == status.sync.revision {
            true => since,
            false => format!("{} {}, {since}", short(&entry.revision), plain(&entry.subject)),
        };
        line("Deployed", deployed);
    }
    if let Some(operation) = &status.operation_state {
        line("Last sync", [paint.state(&operation.phase), plain(&operation.message)].join(" ").trim_end().to_owned());
    }
    for condition in &status.conditions {
        out += &format!("\n{}\n", paint.bold(&condition.type_));
        for message in condition.message.lines() {
            out += &format!("  {}\n", plain(message));
        }
    }
    if !status.resources.is_empty() {
        let rows: Vec<_> = status.resources.iter().map(|resource| row(resource, paint)).collect();
        out += "\n";
        out += &table(&["KIND", "NAMESPACE", "NAME", "SYNC", "HEALTH", "MESSAGE"], &rows);
    }
    out
}

fn row(resource: &ResourceStatus, paint: Paint) -> Vec<String> {
    let health = resource.health.as_ref();
    let health_text =
        |part: fn(&crate::object::application::HealthStatus) -> &str| health.map(part).unwrap_or_default();
    vec![
        resource.kind.clone(),
        resource.namespace.clone(),
        resource.name.clone(),
        paint.state(&resource.status),
        paint.state(health_text(|h| &h.status)),
        plain(health_text(|h| &h.message)),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::args::Color;

    #[test]
    fn a_person_sees_commit_health_and_every_error() {
        let application: Application = serde_json::from_value(json!({
            "metadata": {"name": "shop"},
            "spec": {"source": {"repoURL": "/srv/shop", "targetRevision": "main"}},
            "status": {
                "sync": {"status": "OutOfSync", "revision": "3f2a91c0000"},
                "health": {"status": "Healthy"},
                "history": [{"revision": "3f2a91c0000", "subject": "web: more\u{1b}[31m", "author": "Ann",
                    "deployedAt": "2026-01-01T00:00:00Z"}],
                "conditions": [{"type": "ComparisonError", "message": "web.yaml:3: unknown field \"x\"\nweb.yaml:9: bad"}],
                "resources": [{"kind": "Deployment", "namespace": "shop", "name": "web", "status": "Synced",
                    "health": {"status": "Healthy"}}]}}))
        .unwrap();
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        insta::assert_snapshot!(text(&application, Paint::of(Color::Never), now), @r#"
        Application  shop
        Repository   /srv/shop
        Branch       main
        Commit       3f2a91c web: more\u{1b}[31m (Ann)
        Sync         OutOfSync
        Health       Healthy
        Deployed     60s ago

        ComparisonError
          web.yaml:3: unknown field "x"
          web.yaml:9: bad

        KIND         NAMESPACE   NAME   SYNC     HEALTH    MESSAGE
        Deployment   shop        web    Synced   Healthy
        "#);
    }
}
