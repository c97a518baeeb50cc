//! The rules against what a Kubernetes API server refused.

use serde_json::json;

use super::*;
use crate::cluster::registry::defaults;
use crate::object::{ApiError, schema};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden-api/invalid.json");
/// The others are judged by the registry, which knows the request and the cluster's addresses.
const FLOOR: usize = 197;

/// The object as it reaches the validation, or the refusal on the way there.
fn prepared(kind: &'static Kind, mut object: Value, new: bool) -> Result<Value, ApiError> {
    schema::check(kind, &mut object)?;
    if let Some(prefix) = object["metadata"]["generateName"].as_str().map(str::to_owned) {
        object["metadata"]["name"] = json!(format!("{prefix}<suffix>"));
    }
    defaults::apply(kind, &mut object);
    if new {
        defaults::create(kind, &mut object, jiff::Timestamp::UNIX_EPOCH)?;
    }
    Ok(object)
}

fn judge(kind: &'static Kind, case: &Value) -> Result<Vec<Cause>, ApiError> {
    let body = case["request"]["body"].clone();
    match case["request"]["method"].as_str() {
        Some("PUT") => {
            let setup = case["setup"].as_array().and_then(|steps| steps.last()).map(|step| step["body"].clone());
            let mut old = prepared(kind, setup.unwrap_or_default(), true)?;
            if kind == kinds::SERVICE {
                (old["spec"]["clusterIP"], old["spec"]["clusterIPs"]) = (json!("10.99.0.1"), json!(["10.99.0.1"]));
            }
            let mut new = prepared(kind, body, false)?;
            if kind == kinds::SERVICE && new["spec"]["clusterIP"].is_null() {
                new["spec"]["clusterIP"] = json!("10.99.0.1");
            }
            if kind == kinds::POD {
                // The admission of the first write holds on.
                for field in ["tolerations", "priority", "preemptionPolicy"] {
                    new["spec"][field] = old["spec"][field].clone();
                }
            }
            Ok(update(kind, &new, &old))
        }
        _ => prepared(kind, body, true).map(|object| create(kind, &object)),
    }
}

/// The causes as `(field, message)`, without the differences of Go structs that some messages end in.
fn causes(case: &Value) -> Vec<(String, String)> {
    let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    let causes = case["body"]["details"]["causes"].as_array().into_iter().flatten();
    causes.map(|c| (text(c, "field"), text(c, "message").split("\n@@").next().unwrap_or_default().to_owned())).collect()
}

#[test]
fn refusals_are_those_that_were_recorded() {
    let recorded: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    let (mut agree, mut differ) = (0, Vec::new());
    for case in &recorded {
        let name = case["name"].as_str().unwrap_or_default();
        let request = &case["request"];
        let text = |name: &str| request["body"][name].as_str().unwrap_or_default();
        let Some(kind) = kinds::by_manifest(text("apiVersion"), text("kind")) else { continue };
        let decoded = request["body"].is_object() && matches!(request["method"].as_str(), Some("POST" | "PUT"));
        let ours = name.starts_with("invalid/create/") || name.starts_with("invalid/update/");
        let status = case["status"].as_u64().unwrap_or(0);
        let strict = request["path"].as_str().is_some_and(|path| path.contains('?'));
        if !decoded || !ours || strict || !matches!(status, 201 | 400 | 403 | 422) {
            continue;
        }
        let mut want = causes(case);
        let judged = judge(kind, case);
        let same = match &judged {
            Err(refused) => status != 422 && refused.message == case["body"]["message"],
            Ok(got) if status == 422 => {
                let mut got: Vec<_> = got.iter().map(|c| (c.field.clone(), c.message.clone())).collect();
                if case["unordered"].is_string() || case["unordered"] == true {
                    got.sort();
                    want.sort();
                }
                got == want
            }
            Ok(got) => status == 201 && got.is_empty(),
        };
        if same {
            agree += 1;
        } else {
            differ.push(format!("{name} {status} {}\n want {want:#?}\n got {judged:#?}", case["body"]["message"]));
        }
    }
    println!("invalid.json agree {agree} of {}", agree + differ.len());
    if std::env::var_os("GOLDEN_SHOW").is_some() {
        println!("{}", differ.join("\n"));
    }
    assert!(agree >= FLOOR, "only {agree} agree");
}
