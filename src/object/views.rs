//! Group-versions in which a kind is served beside the one in which its objects are stored: a row of its own for routes
//! and discovery, and pure conversions both ways. What is stored is validated, defaulted and owned as the stored kind.

use serde_json::{Map, Value, json};

use super::kinds::{self, Durability, Kind, Origin, Shape, Subresource};

/// A second face of a stored kind.
#[derive(Debug)]
pub struct View {
    pub kind: Kind,
    pub stored: &'static Kind,
    into_stored: fn(&mut Value),
    from_stored: fn(&mut Value),
}

static VIEWS: [View; 2] = [
    View {
        kind: Kind {
            group: "events.k8s.io",
            version: "v1",
            kind: "Event",
            plural: "events",
            singular: "event",
            short_names: &["ev"],
            categories: &[],
            namespaced: true,
            subresources: &[],
            shape: Shape::Plain,
            durability: Durability::Volatile,
            origin: Origin::Table,
        },
        stored: kinds::EVENT,
        into_stored: core_event,
        from_stored: newer_event,
    },
    View {
        kind: Kind {
            group: "autoscaling",
            version: "v1",
            kind: "HorizontalPodAutoscaler",
            plural: "horizontalpodautoscalers",
            singular: "horizontalpodautoscaler",
            short_names: &["hpa"],
            categories: &["all"],
            namespaced: true,
            subresources: &[Subresource::Status],
            shape: Shape::Spec,
            durability: Durability::Durable,
            origin: Origin::Table,
        },
        stored: kinds::AUTOSCALER,
        into_stored: autoscaler_v2,
        from_stored: autoscaler_v1,
    },
];

/// `events.k8s.io/v1`, of the Events of the core group.
pub fn events() -> &'static View {
    &VIEWS[0]
}

/// `autoscaling/v1`, of the HorizontalPodAutoscalers of `autoscaling/v2`.
pub fn autoscalers() -> &'static View {
    &VIEWS[1]
}

pub fn all() -> impl Iterator<Item = &'static View> {
    VIEWS.iter()
}

/// The view whose row this is; `None` of a kind that is stored as it is served.
pub fn of(kind: &'static Kind) -> Option<&'static View> {
    VIEWS.iter().find(|view| std::ptr::eq(&raw const view.kind, kind))
}

/// The kind as which objects of `kind` are stored.
pub fn stored(kind: &'static Kind) -> &'static Kind {
    of(kind).map_or(kind, |view| view.stored)
}

impl View {
    /// An object (or what a patch says of one) in the stored form.
    pub fn store(&self, object: &mut Value) {
        (self.into_stored)(object);
        named(object, self.stored);
    }

    /// A stored object as it is served here.
    pub fn show(&self, object: &mut Value) {
        (self.from_stored)(object);
        named(object, &self.kind);
    }
}

fn named(object: &mut Value, kind: &Kind) {
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".into(), kind.api_version().into());
    }
}

/// Fields of an Event: in the core group, in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// What a field selector of `events.k8s.io` calls a field, as the core group calls it.
pub fn core_event_field(path: &str) -> String {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let core = EVENT_FIELDS.iter().find(|(_, newer)| *newer == first).map_or(first, |(core, _)| core);
    rest.map_or_else(|| core.to_owned(), |rest| format!("{core}.{rest}"))
}

fn core_event(event: &mut Value) {
    EVENT_FIELDS.iter().for_each(|(core, newer)| rename(event, newer, core));
}

fn newer_event(event: &mut Value) {
    EVENT_FIELDS.iter().for_each(|(core, newer)| rename(event, core, newer));
}

fn rename(object: &mut Value, from: &str, to: &str) {
    let Some(members) = object.as_object_mut() else { return };
    if let Some(value) = members.remove(from) {
        members.insert(to.into(), value);
    }
}

/// What `autoscaling/v1` has no field for is in annotations, as JSON.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

const PERCENTAGE: &str = "targetCPUUtilizationPercentage";
const CURRENT_PERCENTAGE: &str = "currentCPUUtilizationPercentage";

fn autoscaler_v2(autoscaler: &mut Value) {
    let [metrics, current, behavior, conditions] =
        [METRICS, CURRENT, BEHAVIOR, CONDITIONS].map(|name| annotation(autoscaler, name));
    let mut all: Vec<Value> = match metrics {
        Some(Value::Array(items)) => items.iter().map(|item| metric(item, "target", Direction::ToV2)).collect(),
        _ => Vec::new(),
    };
    if let Some(percent) = take(autoscaler, "spec", PERCENTAGE) {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        all.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if !all.is_empty() {
        autoscaler["spec"]["metrics"] = all.into();
    }
    if let Some(behavior) = behavior {
        autoscaler["spec"]["behavior"] = behavior;
    }
    let percent = take(autoscaler, "status", CURRENT_PERCENTAGE);
    let mut measured: Vec<Value> = match current {
        Some(Value::Array(items)) => items.iter().map(|item| metric(item, "current", Direction::ToV2)).collect(),
        _ => Vec::new(),
    };
    if let Some(percent) = percent.filter(|_| measured.is_empty()) {
        measured
            .push(json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}));
    }
    if !measured.is_empty() {
        autoscaler["status"]["currentMetrics"] = measured.into();
    }
    if let Some(conditions) = conditions {
        autoscaler["status"]["conditions"] = conditions;
    }
}

fn autoscaler_v1(autoscaler: &mut Value) {
    let metrics = take(autoscaler, "spec", "metrics").and_then(items).unwrap_or_default();
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && metric.pointer("/resource/target/averageUtilization").is_some_and(Value::is_number)
    };
    // Of several such metrics the first has the field, and the others are kept with the rest.
    let cpu = metrics.iter().position(is_cpu);
    if let Some(cpu) = cpu {
        autoscaler["spec"][PERCENTAGE] = metrics[cpu]["resource"]["target"]["averageUtilization"].clone();
    }
    let others = metrics.iter().enumerate().filter(|(at, _)| Some(*at) != cpu);
    let others: Vec<Value> = others.map(|(_, one)| metric(one, "target", Direction::ToV1)).collect();
    annotate(autoscaler, METRICS, others);
    if let Some(behavior) = take(autoscaler, "spec", "behavior") {
        note(autoscaler, BEHAVIOR, &behavior);
    }
    let measured = take(autoscaler, "status", "currentMetrics").and_then(items).unwrap_or_default();
    let cpu = measured.iter().find(|one| one["type"] == "Resource" && one["resource"]["name"] == "cpu");
    if let Some(percent) = cpu.and_then(|one| one.pointer("/resource/current/averageUtilization")).cloned() {
        autoscaler["status"][CURRENT_PERCENTAGE] = percent;
    }
    annotate(autoscaler, CURRENT, measured.iter().map(|one| metric(one, "current", Direction::ToV1)).collect());
    let conditions = take(autoscaler, "status", "conditions").and_then(items).unwrap_or_default();
    annotate(autoscaler, CONDITIONS, conditions);
    if let Some(status) = autoscaler["status"].as_object_mut() {
        status.entry("currentReplicas").or_insert(json!(0));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToV1,
    ToV2,
}

/// A metric in the other version. `v2` has its numbers in `target` (`current` in a status), by what they mean; in `v1` they
/// are fields beside the name of the metric, called `targetAverageValue` and the like.
fn metric(metric: &Value, place: &str, direction: Direction) -> Value {
    let type_ = metric["type"].as_str().unwrap_or_default();
    let member = format!("{}{}", type_.get(..1).unwrap_or_default().to_lowercase(), type_.get(1..).unwrap_or_default());
    let source = &metric[member.as_str()];
    let named = matches!(type_, "Pods" | "Object" | "External");
    let selector = if type_ == "External" { "metricSelector" } else { "selector" };
    let field = |what: &str| match (type_, what) {
        ("Object", "AverageValue") => "averageValue".to_owned(),
        _ => format!("{place}{what}"),
    };
    let numbers = [("AverageUtilization", "averageUtilization"), ("AverageValue", "averageValue"), ("Value", "value")];
    let mut out = Map::new();
    let mut set = |name: &str, value: &Value| {
        if !value.is_null() {
            out.insert(name.to_owned(), value.clone());
        }
    };
    match direction {
        Direction::ToV1 => {
            set("name", if named { &Value::Null } else { &source["name"] });
            set("container", &source["container"]);
            set("metricName", &source["metric"]["name"]);
            set(selector, &source["metric"]["selector"]);
            set("target", &source["describedObject"]);
            numbers.iter().for_each(|(what, name)| set(&field(what), &source[place][*name]));
        }
        Direction::ToV2 => {
            let mut values = Map::new();
            for (what, name) in &numbers {
                let value = &source[field(what).as_str()];
                if !value.is_null() {
                    values.insert((*name).to_owned(), value.clone());
                    let type_ = if *what == "AverageUtilization" { "Utilization" } else { what };
                    if place == "target" {
                        values.insert("type".into(), type_.into());
                    }
                }
            }
            set("name", &source["name"]);
            set("container", &source["container"]);
            if named {
                let mut of = json!({"name": source["metricName"]});
                if !source[selector].is_null() {
                    of["selector"] = source[selector].clone();
                }
                set("metric", &of);
            }
            set("describedObject", if type_ == "Object" { &source["target"] } else { &Value::Null });
            set(place, &values.into());
        }
    }
    json!({"type": type_, member: out})
}

fn items(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field).filter(|value| !value.is_null())
}

/// Takes an annotation, and all of them when it was the last.
fn annotation(object: &mut Value, name: &str) -> Option<Value> {
    let annotations = object.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    let text = annotations.remove(name)?;
    if annotations.is_empty() {
        object["metadata"].as_object_mut()?.remove("annotations");
    }
    serde_json::from_str(text.as_str()?).ok()
}

fn annotate(object: &mut Value, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        note(object, name, &items.into());
    }
}

fn note(object: &mut Value, name: &str, value: &Value) {
    object["metadata"]["annotations"][name] = value.to_string().into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_survives_the_way_through_the_older_version() {
        let stored = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "behavior": {"scaleUp": {"selectPolicy": "Max"}}, "metrics": [
                {"type": "Pods", "pods": {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}},
                    "target": {"type": "AverageValue", "averageValue": "5"}}},
                {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "r"},
                    "target": {"type": "Value", "value": "7"}}},
                {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 60}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
            "status": {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40, "averageValue": "4"}}}]}});
        let mut object = stored.clone();
        autoscalers().show(&mut object);
        assert_eq!(object["apiVersion"], "autoscaling/v1");
        assert_eq!(object["spec"][PERCENTAGE], 50);
        assert_eq!(object["status"][CURRENT_PERCENTAGE], 40);
        assert!(object["spec"]["metrics"].is_null());
        autoscalers().store(&mut object);
        assert_eq!(object, stored);
    }

    #[test]
    fn an_event_survives_the_way_through_the_newer_group() {
        let stored = json!({"apiVersion": "v1", "metadata": {"name": "a"}, "involvedObject": {"kind": "Pod"}, "message": "m",
            "count": 2, "source": {"component": "c"}, "reason": "R"});
        let mut object = stored.clone();
        events().show(&mut object);
        assert_eq!(object["note"], "m");
        assert_eq!(object["regarding"]["kind"], "Pod");
        assert_eq!(object["deprecatedCount"], 2);
        events().store(&mut object);
        assert_eq!(object, stored);
        assert_eq!(core_event_field("regarding.name"), "involvedObject.name");
    }

    #[test]
    fn a_row_is_known_by_its_address_and_not_by_its_names() {
        assert_eq!(stored(&events().kind), kinds::EVENT);
        assert!(of(kinds::AUTOSCALER).is_none());
        assert_eq!(stored(&autoscalers().kind).version, "v2");
    }
}
