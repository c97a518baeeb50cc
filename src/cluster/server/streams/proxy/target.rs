//! Where a proxied request goes: reads `[SCHEME:]NAME[:PORT]`, chooses the port of a pod or an endpoint of a service.
//! Pure. (Kubernetes, `ResourceLocation` of pods and services.)

use std::net::IpAddr;

use serde_json::Value;

use crate::object::{ApiError, Reason};

/// What the last part of the path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub tls: bool,
    pub name: String,
    /// A number or the name of a service's port; empty for the first one.
    pub port: String,
}

impl Named {
    /// `None` when the parts are too many or the scheme is none.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |tls, name: &str, port: &str| {
            Some(Self { tls, name: name.to_owned(), port: port.to_owned() }).filter(|named| !named.name.is_empty())
        };
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [name] => named(false, name, ""),
            [name, port] => named(false, name, port),
            [scheme @ ("" | "http" | "https"), name, port] => named(*scheme == "https", name, port),
            _ => None,
        }
    }
}

/// The port of a pod: that which is named, else the first that its containers tell of, else 80.
///
/// # Errors
/// `BadRequest` for what is no port.
pub fn of_pod(pod: &Value, port: &str) -> Result<u16, ApiError> {
    if port.is_empty() {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let first = containers.filter_map(|c| c["ports"][0]["containerPort"].as_u64()).next();
        return Ok(first.and_then(|port| u16::try_from(port).ok()).unwrap_or(80));
    }
    let unusable = || ApiError::bad_request(format!("invalid pod request: port {port:?} is not a number"));
    port.parse().ok().filter(|port| *port > 0).ok_or_else(unusable)
}

/// Where a ready endpoint of a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
    /// Node, namespace, name and uid of the pod behind it; of an endpoint that was written by hand there is none.
    pub pod: Option<(String, String, String, String)>,
}

/// One of the endpoints of the service's port; `roll` chooses among several.
///
/// # Errors
/// `ServiceUnavailable` when there is none.
pub fn of_service(service: &Value, endpoints: &Value, port: &str, roll: usize) -> Result<Endpoint, ApiError> {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let ports = || service["spec"]["ports"].as_array().into_iter().flatten();
    let wanted = match port.parse::<u64>() {
        Ok(number) => {
            let found = ports().find(|port| port["port"].as_u64() == Some(number));
            let missing = || unavailable(format!("no service port {number} found for service {name:?}"));
            found.ok_or_else(missing)?["name"].as_str().unwrap_or_default()
        }
        // An only port needs no name.
        Err(_) if port.is_empty() && ports().count() == 1 => {
            ports().next().and_then(|port| port["name"].as_str()).unwrap_or_default()
        }
        Err(_) => port,
    };
    let subsets = endpoints["subsets"].as_array().into_iter().flatten();
    let all: Vec<Endpoint> = subsets.flat_map(|subset| of_subset(subset, wanted)).collect();
    let none = || unavailable(format!("no endpoints available for service {name:?}"));
    all.get(roll % all.len().max(1)).cloned().ok_or_else(none)
}

fn of_subset<'a>(subset: &'a Value, wanted: &str) -> Vec<Endpoint> {
    let mut ports = subset["ports"].as_array().into_iter().flatten();
    let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == wanted);
    let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else { return Vec::new() };
    let text = |value: &'a Value| value.as_str().unwrap_or_default().to_owned();
    let addresses = subset["addresses"].as_array().into_iter().flatten();
    let endpoint = |address: &'a Value| {
        let target = &address["targetRef"];
        let pod = (target["kind"] == "Pod" && address["nodeName"].is_string()).then(|| {
            (text(&address["nodeName"]), text(&target["namespace"]), text(&target["name"]), text(&target["uid"]))
        });
        Some(Endpoint { address: address["ip"].as_str()?.parse().ok()?, port, pod })
    };
    addresses.filter_map(endpoint).collect()
}

pub fn unavailable(message: String) -> ApiError {
    ApiError::new(Reason::ServiceUnavailable, message)
}

/// Addresses that belong to this machine or to its link are nobody's service.
pub fn may_be_reached(address: IpAddr) -> bool {
    let narrow = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(narrow || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_with_scheme_and_port() {
        let named = |tls, name: &str, port: &str| Some(Named { tls, name: name.into(), port: port.into() });
        let cases = [
            ("web", named(false, "web", "")),
            ("web:80", named(false, "web", "80")),
            ("https:web:443", named(true, "web", "443")),
            (":web:http", named(false, "web", "http")),
            ("ftp:web:21", None),
            ("a:b:c:d", None),
            (":80", None),
        ];
        for (text, want) in cases {
            assert_eq!(Named::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_services_port_leads_to_an_endpoint_of_that_name() {
        let service = json!({"metadata": {"name": "svc"}, "spec": {"ports": [{"name": "http", "port": 80}, {"name": "m", "port": 9}]}});
        let address = json!({"ip": "10.0.0.2", "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "p", "namespace": "d", "uid": "u"}});
        let endpoints = json!({"subsets": [{"addresses": [address, {"ip": "192.0.2.7"}], "ports": [{"name": "http", "port": 8080}]}]});
        let of = |port: &str, roll| of_service(&service, &endpoints, port, roll);
        let pod = Some(("n1".into(), "d".into(), "p".into(), "u".into()));
        let first = Endpoint { address: "10.0.0.2".parse().unwrap(), port: 8080, pod };
        assert_eq!(of("80", 0), Ok(first.clone()));
        assert_eq!(of("http", 2), Ok(first));
        assert_eq!(of("80", 1).unwrap().pod, None);
        assert_eq!(of("81", 0).unwrap_err().message, "no service port 81 found for service \"svc\"");
        for port in ["m", "", "nonsense"] {
            assert_eq!(of(port, 0).unwrap_err().message, "no endpoints available for service \"svc\"", "{port}");
        }
    }

    #[test]
    fn a_pods_port_is_its_first_unless_named() {
        let pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]}});
        let cases = [("", Some(8080)), ("9", Some(9)), ("http", None), ("0", None), ("70000", None)];
        for (port, want) in cases {
            assert_eq!(of_pod(&pod, port).ok(), want, "{port}");
        }
        assert_eq!(of_pod(&json!({}), ""), Ok(80));
    }
}
