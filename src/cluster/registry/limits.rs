//! What a namespace's LimitRanges say of the size of pods and claims: fills in what a container leaves out, and refuses
//! what is too small or too large. (Kubernetes's LimitRanger admission.)

use serde_json::{Map, Value, json};

use super::transaction::Transaction;
use crate::cluster::quota::Amount;
use crate::object::{ApiError, Kind, kinds};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

impl Transaction {
    /// Fills in a container's requests and limits where a LimitRange has defaults for them.
    pub(super) fn default_limits(&self, kind: &'static Kind, pod: &mut Value) {
        if kind != kinds::POD {
            return;
        }
        for limit in self.limits_of(pod, "Container") {
            let mut set = Vec::new();
            for list in ["containers", "initContainers"] {
                for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    set.extend(fill(container, &limit, list == "initContainers"));
                }
            }
            if !set.is_empty() {
                pod["metadata"]["annotations"][ANNOTATION] =
                    json!(format!("LimitRanger plugin set: {}", set.join("; ")));
            }
        }
    }

    /// # Errors
    /// `Forbidden`, with all that is outside the limits.
    pub(super) fn check_limits(
        &self,
        kind: &'static Kind,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        let mut found = Vec::new();
        if kind == kinds::POD && old.is_none() {
            let containers = |list: &str| object["spec"][list].as_array().cloned().unwrap_or_default();
            for limit in self.limits_of(object, "Container") {
                for container in containers("containers").iter().chain(&containers("initContainers")) {
                    judge(&limit, "Container", &container["resources"], &mut found);
                }
            }
            for limit in self.limits_of(object, "Pod") {
                let total =
                    json!({"requests": total(&object["spec"], "requests"), "limits": total(&object["spec"], "limits")});
                judge(&limit, "Pod", &total, &mut found);
            }
        }
        if kind == kinds::CLAIM {
            for limit in self.limits_of(object, "PersistentVolumeClaim") {
                judge_claim(&limit, &object["spec"]["resources"]["requests"], &mut found);
            }
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match found.as_slice() {
            [] => Ok(()),
            [one] => Err(ApiError::forbidden(kind, name, one)),
            all => Err(ApiError::forbidden(kind, name, format!("[{}]", all.join(", ")))),
        }
    }

    /// The limits of a type in the object's namespace.
    fn limits_of(&self, object: &Value, of: &str) -> Vec<Value> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let ranges = self.base.list(kinds::LIMIT_RANGE, namespace).map(|range| range.value());
        let limits = ranges.flat_map(|mut range| match range["spec"]["limits"].take() {
            Value::Array(limits) => limits,
            _ => Vec::new(),
        });
        limits.filter(|limit| limit["type"] == of).collect()
    }
}

/// Sets what the container leaves out, and says what it set.
fn fill(container: &mut Value, limit: &Value, init: bool) -> Vec<String> {
    let what = if init { "init container" } else { "container" };
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let mut said = Vec::new();
    for (field, defaults, noun) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")] {
        let mut set = Vec::new();
        for (resource, amount) in limit[defaults].as_object().into_iter().flatten() {
            let given = &mut container["resources"][field];
            if given.get(resource).is_none() {
                given[resource] = amount.clone();
                set.push(resource.clone());
            }
        }
        if !set.is_empty() {
            said.push(format!("{} {noun} for {what} {name}", set.join(", ")));
        }
    }
    // Nothing was set, so nothing is to be left behind.
    if let Some(resources) = container["resources"].as_object_mut() {
        resources.retain(|_, value| !value.is_null());
    }
    said
}

/// Limits of a container, or of a pod's containers together.
fn judge(limit: &Value, of: &str, resources: &Value, found: &mut Vec<String>) {
    let (requests, limits) = (&resources["requests"], &resources["limits"]);
    for (resource, least) in each(&limit["min"]) {
        match (amount(requests, resource), amount(limits, resource)) {
            (None, None) => {
                found.push(format!("minimum {resource} usage per {of} is {}.  No request is specified", least.text()))
            }
            (None, Some(_)) | (Some(_), _) => {
                for (noun, given) in [("request", amount(requests, resource)), ("limit", amount(limits, resource))] {
                    if let Some(given) = given.filter(|given| given.millis < least.millis) {
                        let why = format!(
                            "minimum {resource} usage per {of} is {}, but {noun} is {}",
                            least.text(),
                            given.text()
                        );
                        found.push(why);
                        break;
                    }
                }
            }
        }
    }
    for (resource, most) in each(&limit["max"]) {
        match (amount(limits, resource), amount(requests, resource)) {
            (None, None) => {
                found.push(format!("maximum {resource} usage per {of} is {}.  No limit is specified", most.text()))
            }
            (None, Some(_)) => {
                found.push(format!("maximum {resource} usage per {of} is {}.  No limit is specified", most.text()))
            }
            (Some(limit), request) => {
                for (noun, given) in [("limit", Some(limit)), ("request", request)] {
                    if let Some(given) = given.filter(|given| given.millis > most.millis) {
                        found.push(format!(
                            "maximum {resource} usage per {of} is {}, but {noun} is {}",
                            most.text(),
                            given.text()
                        ));
                        break;
                    }
                }
            }
        }
    }
    for (resource, ratio) in each(&limit["maxLimitRequestRatio"]) {
        let (request, limit) = (amount(requests, resource), amount(limits, resource));
        let (request, limit) = match (request, limit) {
            (Some(request), Some(limit)) if request.millis > 0 && limit.millis > 0 => (request, limit),
            (request, limit) => {
                let missing = if request.is_none_or(|r| r.millis == 0) { "request" } else { "limit" };
                let shown = |given: Option<Amount>| given.map_or_else(|| "0".to_owned(), Amount::text);
                let why = match missing {
                    "request" if limit.is_none() => "no request is specified or request is 0".to_owned(),
                    "request" => format!("no request is specified or request is 0. Limit is {}", shown(limit)),
                    _ => format!("no limit is specified or limit is 0. Request is {}", shown(request)),
                };
                found.push(format!("{resource} max limit to request ratio per {of} is {}, but {why}", ratio.text()));
                continue;
            }
        };
        // Ratios are compared in thousandths: 3 to 2 is 1500.
        let observed = i128::from(limit.millis) * 1000 / i128::from(request.millis);
        if observed > i128::from(ratio.millis) {
            #[allow(clippy::cast_precision_loss, reason = "shown to six digits")]
            let shown = limit.millis as f64 / request.millis as f64;
            found.push(format!(
                "{resource} max limit to request ratio per {of} is {}, but provided ratio is {shown:.6}",
                ratio.text()
            ));
        }
    }
}

fn judge_claim(limit: &Value, requests: &Value, found: &mut Vec<String>) {
    let of = "PersistentVolumeClaim";
    for (resource, least) in each(&limit["min"]) {
        if let Some(given) = amount(requests, resource).filter(|given| given.millis < least.millis) {
            found.push(format!(
                "minimum {resource} usage per {of} is {}, but request is {}",
                least.text(),
                given.text()
            ));
        }
    }
    for (resource, most) in each(&limit["max"]) {
        if let Some(given) = amount(requests, resource).filter(|given| given.millis > most.millis) {
            found.push(format!(
                "maximum {resource} usage per {of} is {}, but request is {}",
                most.text(),
                given.text()
            ));
        }
    }
}

/// The sum over containers, or the most that one init container asks for.
fn total(spec: &Value, field: &str) -> Value {
    let mut sums: Map<String, Value> = Map::new();
    let mut merge = |container: &Value, combine: fn(Amount, Amount) -> Amount| {
        for (resource, amount) in each(&container["resources"][field]) {
            let known = sums.get(resource).and_then(Value::as_str).map(Amount::parse).unwrap_or_default();
            sums.insert(resource.to_owned(), json!(combine(known, amount).text()));
        }
    };
    for container in spec["containers"].as_array().into_iter().flatten() {
        merge(container, Amount::plus);
    }
    for container in spec["initContainers"].as_array().into_iter().flatten() {
        let sidecar = container["restartPolicy"] == "Always";
        merge(container, if sidecar { Amount::plus } else { Amount::larger });
    }
    Value::Object(sums)
}

fn each(map: &Value) -> impl Iterator<Item = (&str, Amount)> {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.as_str(), Amount::parse(value.as_str()?))))
}

fn amount(map: &Value, resource: &str) -> Option<Amount> {
    map[resource].as_str().map(Amount::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::registry::{self, Author, Registry, WriteOptions};
    use crate::cluster::store::Store;
    use crate::object::Clock;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn limits_fill_in_what_is_left_out_and_refuse_the_rest() {
        let tasks = Tasks::default();
        let registry = Registry::new(Store::in_memory(&tasks), Clock::start());
        registry::bootstrap(&registry).await.unwrap();
        let author = Author::controller("test");
        let range = json!({"metadata": {"name": "sizes"}, "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "250m"},
             "min": {"cpu": "100m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "4"}},
            {"type": "Pod", "max": {"cpu": "1500m"}},
            {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}});
        let options = WriteOptions::default();
        registry.create(&author, kinds::LIMIT_RANGE, "default", range, options).await.unwrap();
        let create = async |name: &str, containers: Value| {
            let pod = json!({"metadata": {"name": name}, "spec": {"containers": containers}});
            let made = registry.create(&author, kinds::POD, "default", pod, options).await;
            made.map(|written| written.object.value()).map_err(|refusal| refusal.message)
        };
        let plain = create("plain", json!([{"name": "a", "image": "i"}])).await.unwrap();
        assert_eq!(
            plain["spec"]["containers"][0]["resources"],
            json!({"requests": {"cpu": "250m"}, "limits": {"cpu": "500m"}})
        );
        assert_eq!(
            plain["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container a; cpu limit for container a"
        );
        let sized = |request: &str, limit: &str| json!([{"name": "a", "image": "i", "resources": {"requests": {"cpu": request}, "limits": {"cpu": limit}}}]);
        let cases = [
            ("50m", "200m", "minimum cpu usage per Container is 100m, but request is 50m"),
            ("1", "1200m", "maximum cpu usage per Container is 1, but limit is 1200m"),
            ("100m", "1", "cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000"),
            (
                "1",
                "2",
                "[maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod is 1500m, but limit is 2]",
            ),
        ];
        for (request, limit, why) in cases {
            let refused = create("sized", sized(request, limit)).await.unwrap_err();
            assert_eq!(refused, format!("pods \"sized\" is forbidden: {why}"));
        }
        let claim = json!({"metadata": {"name": "big"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "2Gi"}}}});
        let refused = registry.create(&author, kinds::CLAIM, "default", claim, options).await.unwrap_err();
        let why = "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi";
        assert_eq!(refused.message, format!("persistentvolumeclaims \"big\" is forbidden: {why}"));
        tasks.stop().await;
    }
}
