//! Compares a recorded picture with ours: lists are multisets, absent counts are zero, `anyOf` allows any of its
//! values.

use serde_json::{Map, Value, json};

/// One line for each thing that is missing here or too much here.
pub fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let empty = Map::new();
    let want = &orderless(want);
    let (want, got) = (want.as_object().unwrap_or(&empty), got.as_object().unwrap_or(&empty));
    for (section, got) in got {
        let none = json!([]);
        let want = want.get(section).unwrap_or(&none);
        match (want, got) {
            (Value::Array(want), Value::Array(got)) if section != "result" => list(section, want, got, &mut found),
            (want, got) if matches(want, got) => {}
            (want, got) => found.push(format!("{section}: want {want}\n    got {got}")),
        }
    }
    found
}

/// The same where the recording caught one outcome of a race inside Kubernetes, and ours is the other: see `RACES`.
pub fn differences_but_for_races(want: &Value, got: &Value) -> Vec<String> {
    let mut want = want.clone();
    for workload in want.get_mut("workloads").and_then(Value::as_array_mut).into_iter().flatten() {
        let begun = workload["status"]["updatedReplicas"].as_i64().is_some_and(|updated| updated > 0);
        for condition in workload["conditions"].as_array_mut().into_iter().flatten().filter(|_| begun) {
            if condition["reason"] == "NewReplicaSetCreated" {
                condition["reason"] = json!({"anyOf": ["NewReplicaSetCreated", "ReplicaSetUpdated"]});
            }
        }
    }
    let scaled = |line: &String| line.starts_with("events ") && line.contains("ScalingReplicaSet");
    let found = differences(&want, got);
    // Once events are combined, how many moves came before decides which one is told.
    let combined = found.iter().any(|line| scaled(line) && line.contains("(combined from similar events)"));
    let same_moves = combined || moves(&want) == moves(got);
    found.into_iter().filter(|line| !(same_moves && scaled(line))).collect()
}

/// Why a recording may differ from ours although both follow the rules.
pub const RACES: &str = "Kubernetes stores a new ReplicaSet's condition twice and loses the second write to itself; \
    whether the ReplicaSet has reported before the next try decides what is told. And a scaling is done in one move or in several, \
    as the pods' reports come";

/// From where to where each ReplicaSet was scaled in a step, in however many moves.
fn moves(picture: &Value) -> Vec<(String, i64, i64)> {
    let mut moves: Vec<(String, i64, i64)> = Vec::new();
    for event in picture["events"].as_array().into_iter().flatten() {
        let message = event["message"].as_str().unwrap_or_default();
        let words: Vec<&str> = message.split(' ').collect();
        if let ["Scaled", direction, "replica", "set", set, "from", from, "to", to] = words[..] {
            let (from, to) = (from.parse().unwrap_or(0), to.parse().unwrap_or(0));
            moves.push((format!("{direction} {set}"), from, to));
        }
    }
    // A move goes on where another of the same direction ended.
    moves.sort();
    while let Some((a, b)) = (0..moves.len()).find_map(|a| {
        let goes_on = |b: &usize| moves[*b].0 == moves[a].0 && moves[*b].1 == moves[a].2;
        (0..moves.len()).find(goes_on).map(|b| (a, b))
    }) {
        moves[a].2 = moves[b].2;
        moves.remove(b);
    }
    moves
}

fn list(section: &str, want: &[Value], got: &[Value], found: &mut Vec<String>) {
    let mut left: Vec<&Value> = got.iter().collect();
    let mut missing = Vec::new();
    for want in want {
        match left.iter().position(|got| matches(want, got)) {
            Some(index) => drop(left.remove(index)),
            None => missing.push(want),
        }
    }
    found.extend(missing.into_iter().map(|want| format!("{section} - {want}")));
    found.extend(left.into_iter().map(|got| format!("{section} + {got}")));
}

fn matches(want: &Value, got: &Value) -> bool {
    if let Some(any) = want.get("anyOf").and_then(Value::as_array) {
        return any.iter().any(|want| matches(want, got));
    }
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            // Where the recording allows several reasons it leaves the message out.
            let open = want.get("reason").is_some_and(|r| r.get("anyOf").is_some());
            let zero =
                |value: &Value| *value == json!(0) || value.is_null() || *value == json!([]) || *value == json!("");
            let names = want.keys().chain(got.keys()).filter(|name| !(open && *name == "message"));
            let side = |map: &Map<String, Value>, name: &str| map.get(name).cloned().unwrap_or_default();
            names.into_iter().all(|name| {
                let (want, got) = (side(want, name), side(got, name));
                matches(&want, &got) || (zero(&want) && zero(&got))
            })
        }
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| matches(want, got))
        }
        (want, got) => want == got,
    }
}

/// The recorded ports in an order of their own, as ours are.
fn orderless(want: &Value) -> Value {
    let mut want = want.clone();
    for (section, part) in [("endpointSlices", None), ("endpoints", Some("subsets"))] {
        for drawn in want.get_mut(section).and_then(Value::as_array_mut).into_iter().flatten() {
            let parts: Vec<&mut Value> = match part {
                None => vec![drawn],
                Some(part) => drawn.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten().collect(),
            };
            for part in parts {
                let ports = part.get_mut("ports").and_then(Value::as_array_mut);
                if let Some(ports) = ports {
                    ports.sort_by_key(|p| (p["name"].to_string(), p["port"].to_string()));
                }
            }
        }
    }
    want
}
