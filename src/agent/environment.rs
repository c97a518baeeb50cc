//! The environment, command and arguments of a container: where each value comes from, and `$(NAME)`. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, ObjectFieldSelector, Pod, ResourceFieldSelector, Service};

use super::sources::{Missing, Needs, Sources};
use crate::object::quantity::Quantity;

/// What the node knows and the pod may ask for.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub node_name: String,
    pub host_ip: String,
    pub pod_ip: String,
}

/// The ConfigMaps and Secrets that the container's environment names.
pub fn needs(container: &Container) -> Needs {
    let mut needs = Needs::default();
    for from in container.env_from.iter().flatten() {
        needs.config_maps.extend(from.config_map_ref.iter().map(|r| r.name.clone()));
        needs.secrets.extend(from.secret_ref.iter().map(|r| r.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|var| var.value_from.as_ref()) {
        needs.config_maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
        needs.secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
    }
    needs
}

/// All variables: those of Services first, then whole ConfigMaps and Secrets, then single ones, each over the ones before.
///
/// # Errors
/// When something that is not optional is missing.
pub fn resolve(
    pod: &Pod,
    container: &Container,
    place: &Place,
    sources: &Sources,
) -> Result<Vec<(String, String)>, Missing> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut order = Vec::new();
    let mut set = |all: &mut BTreeMap<String, String>, name: String, value: String| {
        if all.insert(name.clone(), value).is_none() {
            order.push(name);
        }
    };
    let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
    for (name, value) in service_links(pod, &sources.services, links) {
        set(&mut all, name, value);
    }
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (found, optional) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(reference), _) => (sources.config_map(&reference.name), reference.optional),
            (None, Some(reference)) => (sources.secret(&reference.name), reference.optional),
            (None, None) => continue,
        };
        let found = match found {
            Err(_) if optional == Some(true) => continue,
            other => other?,
        };
        for (key, value) in found.into_iter().filter(|(key, _)| !key.contains('=')) {
            set(&mut all, format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned());
        }
    }
    for var in container.env.iter().flatten() {
        let value = match (&var.value, &var.value_from) {
            (Some(value), None) => Some(expand(value, &all)),
            (_, Some(source)) => of_source(pod, container, source, place, sources)?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            set(&mut all, var.name.clone(), value);
        }
    }
    Ok(order.into_iter().filter_map(|name| all.remove_entry(&name)).collect())
}

fn of_source(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    place: &Place,
    sources: &Sources,
) -> Result<Option<String>, Missing> {
    if let Some(reference) = &source.field_ref {
        return field(pod, reference, place).map(Some);
    }
    if let Some(reference) = &source.resource_field_ref {
        return resource(pod, container, reference).map(Some);
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let (found, key, optional, of) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(r), _) => (sources.config_map(&r.name), &r.key, r.optional, format!("ConfigMap {namespace}/{}", r.name)),
        (None, Some(r)) => (sources.secret(&r.name), &r.key, r.optional, format!("Secret {namespace}/{}", r.name)),
        (None, None) => return Ok(None),
    };
    let value =
        found.and_then(|mut found| found.remove(key.as_str()).ok_or_else(|| Missing::Key { key: key.clone(), of }));
    match value {
        Ok(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        Err(_) if optional == Some(true) => Ok(None),
        Err(missing) => Err(missing),
    }
}

/// A field of the pod, as the downward API gives it.
///
/// # Errors
/// When the path is not one that the downward API knows.
pub fn field(pod: &Pod, reference: &ObjectFieldSelector, place: &Place) -> Result<String, Missing> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let path = reference.field_path.as_str();
    if let Some((list, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match list {
            "metadata.labels" => meta.labels.as_ref(),
            "metadata.annotations" => meta.annotations.as_ref(),
            _ => return Err(Missing::Field(format!("unsupported fieldPath: {path}"))),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => place.node_name.clone(),
        "spec.serviceAccountName" => spec.map(|spec| text(&spec.service_account_name)).unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => place.host_ip.clone(),
        "status.podIP" | "status.podIPs" => place.pod_ip.clone(),
        _ => return Err(Missing::Field(format!("unsupported fieldPath: {path}"))),
    })
}

/// `key="value"` a line, sorted, as files of the downward API have it.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// A limit or request of a container, in units of the divisor, rounded up.
///
/// # Errors
/// When the resource or the container is not one.
pub fn resource(pod: &Pod, container: &Container, reference: &ResourceFieldSelector) -> Result<String, Missing> {
    let of = reference.container_name.as_deref().filter(|name| !name.is_empty());
    let chosen = match of {
        None => Some(container),
        Some(name) => super::lifecycle::spec::container(pod, name).map(|(container, _)| container),
    };
    let unknown = || Missing::Field(format!("unsupported container resource: {}", reference.resource));
    let (list, name) = reference.resource.split_once('.').ok_or_else(unknown)?;
    let resources = chosen.ok_or_else(unknown)?.resources.as_ref();
    let amounts = match list {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => return Err(unknown()),
    };
    let parse = |quantity: &str| Quantity::parse(quantity).map_err(|_| unknown());
    let amount = amounts.and_then(|amounts| amounts.get(name)).map_or(Ok(Quantity::from_units(0)), |q| parse(&q.0))?;
    let divisor =
        reference.divisor.as_ref().map(|q| q.0.as_str()).filter(|q| !q.is_empty() && *q != "0").unwrap_or("1");
    let divisor = parse(divisor)?;
    // Milli-units only where they matter: memory in thousandths would overflow early.
    let (amount, divisor) = match name {
        "cpu" => (amount.millis(), divisor.millis()),
        _ => (amount.units(), divisor.units()),
    };
    let divisor = divisor.max(1);
    Ok((amount / divisor + i64::from(amount % divisor > 0)).to_string())
}

/// `$(NAME)` is the variable's value if there is one, and stays as it is if not; `$$` is a dollar sign.
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// The variables that tell of Services: those of the pod's namespace where it asks for them, and `kubernetes` always.
fn service_links(pod: &Pod, services: &[Service], links: bool) -> Vec<(String, String)> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut out = Vec::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let of = service.metadata.namespace.as_deref().unwrap_or_default();
        let is_master = of == "default" && name == "kubernetes";
        let Some(spec) = service.spec.as_ref().filter(|_| is_master || (links && of == namespace)) else { continue };
        let ip = spec.cluster_ip.as_deref().unwrap_or_default();
        let ports = spec.ports.as_deref().unwrap_or_default();
        let Some(first) = ports.first().filter(|_| !ip.is_empty() && ip != "None") else { continue };
        let prefix = name.to_uppercase().replace('-', "_");
        out.push((format!("{prefix}_SERVICE_HOST"), ip.to_owned()));
        out.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
        for port in ports {
            if let Some(port_name) = port.name.as_deref().filter(|n| !n.is_empty()) {
                let port_name = port_name.to_uppercase().replace('-', "_");
                out.push((format!("{prefix}_SERVICE_PORT_{port_name}"), port.port.to_string()));
            }
        }
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{ip}:{}", protocol.to_lowercase(), port.port);
            let base = format!("{prefix}_PORT_{}_{protocol}", port.port);
            if index == 0 {
                out.push((format!("{prefix}_PORT"), url.clone()));
            }
            out.push((base.clone(), url));
            out.push((format!("{base}_PROTO"), protocol.to_lowercase()));
            out.push((format!("{base}_PORT"), port.port.to_string()));
            out.push((format!("{base}_ADDR"), ip.to_owned()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_expand_as_in_kubernetes() {
        let variables: BTreeMap<_, _> = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())].into();
        let cases = [
            ("$(A)", "1"),
            ("x$(A)y$(B)", "x1y$(A)"),
            ("$$(A)", "$(A)"),
            ("$(C)", "$(C)"),
            ("$(A", "$(A"),
            ("a$", "a$"),
            ("$A", "$A"),
            ("$$$(A)", "$1"),
        ];
        for (text, want) in cases {
            assert_eq!(expand(text, &variables), want, "{text}");
        }
    }

    #[test]
    fn every_source_of_a_variable_is_read_and_later_ones_win() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web-1", "namespace": "d", "uid": "u",
            "labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi",
            "cpu": "500m"}}, "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "P_"}, {"secretRef": {"name": "no",
            "optional": true}}], "env": [{"name": "P_k", "value": "over"}, {"name": "POD", "valueFrom": {"fieldRef":
            {"fieldPath": "metadata.name"}}}, {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath":
            "metadata.labels['app']"}}}, {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory",
            "divisor": "1Mi"}}}, {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}},
            {"name": "ALL", "value": "$(POD)/$(KEY)"}]}]}}))
        .unwrap();
        let mut sources = Sources::default();
        sources.config_maps.insert("cm".into(), serde_json::from_value(json!({"data": {"k": "v", "l": "w"}})).unwrap());
        sources.secrets.insert("s".into(), serde_json::from_value(json!({"data": {"x": "c2VjcmV0"}})).unwrap());
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let got: BTreeMap<_, _> = resolve(&pod, container, &Place::default(), &sources).unwrap().into_iter().collect();
        let want = [
            ("P_k", "over"),
            ("P_l", "w"),
            ("POD", "web-1"),
            ("LABEL", "web"),
            ("MEM", "64"),
            ("CPU", "1"),
            ("KEY", "secret"),
            ("ALL", "web-1/secret"),
        ];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        sources.secrets.clear();
        let missing = resolve(&pod, container, &Place::default(), &sources).unwrap_err();
        assert_eq!(missing.to_string(), "secret \"s\" not found");
        assert_eq!(needs(container).secrets, ["no".to_owned(), "s".to_owned()].into());
    }
}
