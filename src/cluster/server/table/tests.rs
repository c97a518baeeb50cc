//! The columns and cells against what a Kubernetes API server printed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::cluster::registry::defaults;
use crate::object::clock::rfc3339;
use crate::object::schema;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api/tables.json");
/// Rises as kinds get their columns.
const FLOOR: usize = 63;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// `T-10m` is ten minutes before now.
fn resolve_times(value: &mut Value) {
    match value {
        Value::String(text) => {
            let Some(ago) = text.strip_prefix("T-") else { return };
            let (number, unit) = ago.split_at(ago.len() - 1);
            let seconds = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                "d" => 86_400,
                _ => return,
            };
            let ago = SignedDuration::from_secs(number.parse::<i64>().unwrap() * seconds);
            *text = rfc3339(now() - ago);
        }
        Value::Array(items) => items.iter_mut().for_each(resolve_times),
        Value::Object(members) => members.values_mut().for_each(resolve_times),
        _ => {}
    }
}

/// The object as the server had it when it printed the table.
fn stored(kind: &'static Kind, case: &Value) -> Value {
    let mut object = case["object"].clone();
    resolve_times(&mut object);
    schema::check(kind, &mut object).unwrap();
    defaults::apply(kind, &mut object);
    defaults::create(kind, &mut object, now()).unwrap();
    let mut status = case["status"].clone();
    resolve_times(&mut status);
    if object["status"].is_null() {
        object["status"] = json!({});
    }
    for (name, value) in status.as_object().into_iter().flatten() {
        object["status"][name] = value.clone();
    }
    if case["deleted"] == true {
        object["metadata"]["deletionTimestamp"] = json!(rfc3339(now()));
    }
    object
}

#[test]
fn tables_are_those_that_were_recorded() {
    let recorded: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    let (mut agree, mut differ) = (0, Vec::new());
    for case in recorded.iter().filter(|case| case["table"]["rows"][0]["cells"].is_array()) {
        let text = |name: &str| case["object"][name].as_str().unwrap_or_default();
        let Some(kind) = kinds::by_manifest(text("apiVersion"), text("kind")) else { continue };
        let object = stored(kind, case);
        let want = case["table"]["rows"][0]["cells"].as_array().unwrap();
        let got = row(kind, &object, now());
        let same = |(want, got): (&Value, &Value)| want == got || want == "<age>";
        let cells = want.len() == got.len() && want.iter().zip(&got).all(same);
        let definition = |column: &Column| (column.name, column.type_, column.format, i64::from(column.priority));
        let defined: Vec<_> = columns(kind).iter().map(definition).collect();
        let wanted = case["table"]["columnDefinitions"].as_array().unwrap();
        let text = |column: &'static str| move |c: &'_ Value| c[column].as_str().unwrap_or_default().to_owned();
        let columns_agree = wanted.len() == defined.len()
            && wanted.iter().zip(&defined).all(|(w, d)| {
                text("name")(w) == d.0 && text("type")(w) == d.1 && text("format")(w) == d.2 && w["priority"] == d.3
            });
        if cells && columns_agree {
            agree += 1;
        } else {
            differ.push(format!("{}: columns {columns_agree}\n want {want:?}\n got {got:?}", case["name"]));
        }
    }
    println!("tables.json agree {agree} of {}", agree + differ.len());
    assert!(agree >= FLOOR, "{}", differ.join("\n"));
}

#[test]
fn every_kind_has_a_cell_for_each_column() {
    for kind in kinds::all() {
        assert_eq!(row(kind, &json!({}), now()).len(), columns(kind).len(), "{}", kind.kind);
    }
}

#[test]
fn an_application_shows_its_sync_and_health() {
    let application = json!({"metadata": {"name": "shop", "creationTimestamp": "2026-01-02T03:00:00Z"},
        "status": {"sync": {"status": "Synced", "revision": "0123abc"}, "health": {"status": "Healthy"}}});
    assert_eq!(row(kinds::APPLICATION, &application, now()), ["shop", "Synced", "Healthy", "0123abc", "4m5s"]);
}
