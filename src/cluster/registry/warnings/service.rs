//! What is odd about Services, and about the certificates that their proxies present.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub fn service(spec: &Value, old: Option<&Value>, said: &mut Vec<String>) {
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let has = |spec: &Value, field: &str| spec[field].as_array().is_some_and(|list| !list.is_empty());
    let external = has(spec, "externalIPs");
    let headless = text("clusterIP") == "None";
    if headless {
        let ignored = [
            (!text("loadBalancerIP").is_empty(), "spec.loadBalancerIP"),
            (external, "spec.externalIPs"),
            (!matches!(text("sessionAffinity"), "" | "None"), "spec.SessionAffinity"),
        ];
        let ignored = ignored.into_iter().filter(|(set, _)| *set);
        said.extend(ignored.map(|(_, field)| format!("{field} is ignored for headless services")));
    }
    let by_name = text("type") == "ExternalName";
    if by_name && external {
        said.push("spec.externalIPs is ignored when type is \"ExternalName\"".to_owned());
    }
    if !by_name && !text("externalName").is_empty() {
        said.push("spec.externalName is ignored when type is not \"ExternalName\"".to_owned());
    }
    if text("trafficDistribution") == "PreferClose" {
        let why = "\"PreferClose\" is deprecated; use \"PreferSameZone\"";
        said.push(format!("spec.trafficDistribution: {why}"));
    }
    if external && !headless && !by_name && !old.is_some_and(|old| has(old, "externalIPs")) {
        said.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
}

/// Why the pair of a TLS secret cannot be used, if it cannot.
pub fn certificate(secret: &Value) -> Option<String> {
    let bytes = |key: &str| STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).unwrap_or_default();
    let holds = |text: &[u8], begin: &str| String::from_utf8_lossy(text).contains(begin);
    let (certificate, key) = (bytes("tls.crt"), bytes("tls.key"));
    if !holds(&certificate, "-----BEGIN ") {
        return Some("tls: failed to find any PEM data in certificate input".to_owned());
    }
    if !holds(&certificate, "-----BEGIN CERTIFICATE-----") {
        return Some("tls: failed to find certificate PEM data in certificate input".to_owned());
    }
    (!holds(&key, "-----BEGIN ")).then(|| "tls: failed to find any PEM data in key input".to_owned())
}
