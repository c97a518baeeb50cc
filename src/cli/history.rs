//! `windlass history`: what was deployed when, by whom and why, newest first.

use std::process::ExitCode;

use jiff::Timestamp;

use super::args::{Format, Global, StatusArgs};
use super::client;
use super::output::{Paint, ago, plain, short, show, table};
use crate::object::application::Application;

pub async fn run(args: StatusArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let client = client::connect(&args.connection).await?;
    let application = client::application(&client, &args.connection).await?;
    match args.output {
        Format::Json => show(serde_json::to_string_pretty(&application.status.history)?)?,
        Format::Text => show(text(&application, Paint::for_stdout(global), Timestamp::now()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(application: &Application, paint: Paint, now: Timestamp) -> String {
    let rows: Vec<Vec<String>> = application
        .status
        .history
        .iter()
        .rev()
        .map(|entry| {
            let took = took_seconds(entry.deploy_started_at.as_deref(), entry.deployed_at.as_deref());
            vec![
                entry.id.to_string(),
                paint.bold(short(&entry.revision)),
                ago(entry.deployed_at.as_deref(), now),
                took,
                entry.trigger.clone(),
                plain(&entry.author),
                plain(&entry.subject),
            ]
        })
        .collect();
    table(&["ID", "COMMIT", "AGE", "TOOK", "TRIGGER", "AUTHOR", "SUBJECT"], &rows)
}

fn took_seconds(from: Option<&str>, to: Option<&str>) -> String {
    let parse = |t: Option<&str>| t.and_then(|t| t.parse::<Timestamp>().ok());
    match (parse(from), parse(to)) {
        (Some(from), Some(to)) => format!("{}s", to.duration_since(from).as_secs().max(0)),
        _ => String::new(),
    }
}
