//! `ignoreDifferences`: fields of some objects in which the cluster may differ from git. What git says of them is
//! replaced by what is there, so that applying changes nothing in them. Pure.

mod jq;
mod managers;

use serde_json::Value;

use crate::object::ObjectKey;
use crate::object::application::IgnoreDifferences;

#[derive(Clone, Debug, Default)]
pub struct Ignored {
    rules: Vec<IgnoreDifferences>,
}

impl Ignored {
    /// # Errors
    /// What is wrong with each rule.
    pub fn of(rules: &[IgnoreDifferences]) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let at = format!("spec.ignoreDifferences[{index}]");
            for pointer in rule.json_pointers.iter().filter(|pointer| !pointer.starts_with('/')) {
                wrong.push(format!("{at}.jsonPointers: {pointer:?} is not a JSON pointer: it begins with a slash"));
            }
            for expression in &rule.jq_path_expressions {
                if let Err(why) = jq::check(expression) {
                    wrong.push(format!("{at}.jqPathExpressions: {expression:?}: {why}"));
                }
            }
        }
        if wrong.is_empty() { Ok(Self { rules: rules.to_vec() }) } else { Err(wrong) }
    }

    /// Whether some rule is about the object.
    pub fn concerns(&self, key: &ObjectKey) -> bool {
        self.rules.iter().any(|rule| matches(rule, key))
    }

    /// Makes `desired` say of the ignored fields what `live` says.
    pub fn yield_to(&self, key: &ObjectKey, live: &Value, desired: &mut Value) {
        for rule in self.rules.iter().filter(|rule| matches(rule, key)) {
            for pointer in &rule.json_pointers {
                let path: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
                take_over(&path, &path, live, desired);
            }
            for expression in &rule.jq_path_expressions {
                let (there, wanted) = (jq::paths(expression, live), jq::paths(expression, desired));
                // Lists may have other members in the cluster: the first match is the first match's counterpart.
                // Those without one go, from the last, so that the places of the others stay.
                for (index, path) in wanted.iter().enumerate().rev() {
                    match there.get(index) {
                        Some(from) => take_over(path, from, live, desired),
                        None => remove(desired, path),
                    }
                }
            }
            for manager in &rule.managed_fields_managers {
                managers::yield_to(manager, live, desired);
            }
        }
        keep_identity(key, desired);
    }
}

/// An object that a rule would take its name from is still that object.
fn keep_identity(key: &ObjectKey, desired: &mut Value) {
    desired["apiVersion"] = key.kind.api_version().into();
    desired["kind"] = key.kind.kind.into();
    desired["metadata"]["name"] = key.name.clone().into();
}

fn matches(rule: &IgnoreDifferences, key: &ObjectKey) -> bool {
    let is = |wanted: &str, value: &str| wanted == "*" || wanted == value;
    is(&rule.group, key.kind.group)
        && is(&rule.kind, key.kind.kind)
        && (rule.name.is_empty() || rule.name == key.name)
        && (rule.namespace.is_empty() || rule.namespace == key.namespace)
}

/// RFC 6901.
fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// Puts what `live` has at `from` at `path` of `desired`, which has something there; takes it out where `live` has
/// nothing.
fn take_over(path: &[String], from: &[String], live: &Value, desired: &mut Value) {
    let there = from.iter().try_fold(live, |value, part| child(value, part));
    match (there, find_mut(desired, path)) {
        (Some(there), Some(place)) => *place = there.clone(),
        (None, Some(_)) => remove(desired, path),
        (_, None) => {}
    }
}

fn child<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}

fn find_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(members) => members.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parent)) = path.split_last() else { return };
    match find_mut(value, parent) {
        Some(Value::Object(members)) => drop(members.remove(last)),
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::kinds;

    fn yielded(rule: Value, live: &Value, mut desired: Value) -> Value {
        let rule: IgnoreDifferences = serde_json::from_value(rule).unwrap();
        let key = ObjectKey::new(kinds::DEPLOYMENT, "a", "web");
        Ignored::of(&[rule]).unwrap().yield_to(&key, live, &mut desired);
        desired["spec"].take()
    }

    #[test]
    fn ignored_fields_are_as_they_are_and_all_others_as_git_says() {
        let live = json!({"spec": {"replicas": 7, "minReadySeconds": 1, "template": {"spec": {"containers": [
            {"name": "proxy", "image": "injected"}, {"name": "main", "image": "main:9"}]}}}});
        let git = json!({"spec": {"replicas": 2, "paused": true, "minReadySeconds": 5, "template": {"spec": {"containers": [
            {"name": "main", "image": "main:1"}]}}}});
        let deployment = |more: Value| {
            let mut rule = json!({"group": "apps", "kind": "Deployment"});
            rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rule
        };
        let spec = yielded(
            deployment(json!({"jsonPointers": ["/spec/replicas", "/spec/paused", "/spec/nothing"]})),
            &live,
            git.clone(),
        );
        assert_eq!((&spec["replicas"], spec.get("paused"), &spec["minReadySeconds"]), (&json!(7), None, &json!(5)));
        let image = ".spec.template.spec.containers[] | select(.name == \"main\") | .image";
        let spec =
            yielded(deployment(json!({"jqPathExpressions": [image, ".spec.minReadySeconds"]})), &live, git.clone());
        assert_eq!(spec["template"]["spec"]["containers"], json!([{"name": "main", "image": "main:9"}]));
        assert_eq!((&spec["minReadySeconds"], &spec["replicas"]), (&json!(1), &json!(2)));
        for other in [
            json!({"group": "apps", "kind": "StatefulSet"}),
            json!({"group": "apps", "kind": "Deployment", "name": "api"}),
        ] {
            let mut rule = other;
            rule["jsonPointers"] = json!(["/spec/replicas"]);
            assert_eq!(yielded(rule, &live, git.clone())["replicas"], 2);
        }
        let any = json!({"group": "*", "kind": "*", "jsonPointers": ["/spec/replicas"]});
        assert_eq!(yielded(any, &live, git)["replicas"], 7);
    }

    #[test]
    fn fields_of_a_manager_are_its_own() {
        let live = json!({"metadata": {"managedFields": [{"manager": "hpa", "fieldsV1": {
                "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"main\"}": {".": {}, "f:image": {}}}}}}}}]},
            "spec": {"replicas": 7, "template": {"spec": {"containers": [{"name": "x"}, {"name": "main", "image": "main:9", "tty": true}]}}}});
        let git = json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "main", "image": "main:1", "tty": false}]}}}});
        let rule = json!({"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["hpa"]});
        let spec = yielded(rule, &live, git);
        assert_eq!(
            spec,
            json!({"replicas": 7, "template": {"spec": {"containers": [{"name": "main", "image": "main:9", "tty": false}]}}})
        );
    }

    #[test]
    fn what_could_compute_for_ever_is_refused() {
        let rule = |text: &str| IgnoreDifferences {
            jq_path_expressions: vec![text.to_owned()],
            ..IgnoreDifferences::default()
        };
        for bad in [
            "def f: f; f",
            ".. | .a",
            "range(1; 9) | .a",
            "repeat(.a)",
            "reduce .[] as $x (0; .)",
            ".a |",
            "env",
            "input",
            "until(false; .)",
            "recurse",
            ". as $a | . as $b | . as $c | .a",
            ".a | halt",
            "(.,.,.,.,.,.,.,.,.,.,.,.,.,.,.,.,.,.)",
        ] {
            assert!(Ignored::of(&[rule(bad)]).is_err(), "{bad}");
        }
        for good in [
            ".spec.replicas",
            ".spec.template.spec.initContainers[]?",
            ".metadata.annotations[\"a.b/c\"]",
            ".data | .[\"x\"]",
            ".webhooks[]?.clientConfig.caBundle",
            ".spec.rules[] | select(.host | startswith(\"a\"))",
            "del(.a) | .b",
            ".a[] | select(.b == 1 and (.c | not))",
            ".metadata.annotations | to_entries | map(select(.key | contains(\"x\")))",
        ] {
            assert!(Ignored::of(&[rule(good)]).is_ok(), "{good}: {:?}", Ignored::of(&[rule(good)]));
        }
    }
}
