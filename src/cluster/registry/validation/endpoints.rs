//! Endpoints and EndpointSlices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::field::{Findings, Path, list, text};
use super::format;

const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub fn endpoints(endpoints: &Value, found: &mut Findings) {
    for (index, subset) in list(endpoints, "subsets").iter().enumerate() {
        let at = Path::Root.child("subsets");
        let at = at.index(index);
        if list(subset, "addresses").is_empty() && list(subset, "notReadyAddresses").is_empty() {
            found.required(at, "must specify `addresses` or `notReadyAddresses`");
        }
        for field in ["addresses", "notReadyAddresses"] {
            for (index, address) in list(subset, field).iter().enumerate() {
                let ip = text(address, "ip");
                let at = at.child(field);
                let at = at.index(index);
                found.complain(at.child("ip"), ip, format::ip(ip));
                found.complain(at.child("ip"), ip, format::special_ip(ip));
                let hostname = text(address, "hostname");
                if !hostname.is_empty() {
                    found.complain(at.child("hostname"), hostname, format::label(hostname));
                }
            }
        }
        let ports = list(subset, "ports");
        for (index, port) in ports.iter().enumerate() {
            let at = at.child("ports");
            let at = at.index(index);
            match text(port, "name") {
                "" if ports.len() > 1 => found.required(at.child("name"), ""),
                "" => {}
                name => found.complain(at.child("name"), name, format::label(name)),
            }
            if !port["port"].as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
                found.invalid_shown(at.child("port"), &port["port"].as_i64().unwrap_or(0).to_string(), format::PORT);
            }
            found.one_of(at.child("protocol"), &port["protocol"], PROTOCOLS);
        }
    }
}

pub fn slice(slice: &Value, found: &mut Findings) {
    let family = text(slice, "addressType");
    match family {
        "" => found.required(Path::Root.child("addressType"), ""),
        _ => found.one_of(Path::Root.child("addressType"), &slice["addressType"], &["FQDN", "IPv4", "IPv6"]),
    }
    let endpoints = list(slice, "endpoints");
    if endpoints.len() > MOST_ENDPOINTS {
        found.too_many(Path::Root.child("endpoints"), endpoints.len(), MOST_ENDPOINTS);
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let at = Path::Root.child("endpoints");
        let at = at.index(index);
        addresses(list(endpoint, "addresses"), family, at.child("addresses"), found);
        let hostname = text(endpoint, "hostname");
        if !hostname.is_empty() {
            found.complain(at.child("hostname"), hostname, format::label(hostname));
        }
        let node = text(endpoint, "nodeName");
        if endpoint["nodeName"].is_string() {
            found.complain(at.child("nodeName"), node, format::subdomain(node));
        }
    }
    let mut names = BTreeSet::new();
    for (index, port) in list(slice, "ports").iter().enumerate() {
        let at = Path::Root.child("ports");
        let at = at.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            found.complain(at.child("name"), name, format::label(name));
        }
        if !names.insert(name) {
            found.duplicate(at.child("name"), &port["name"]);
        }
        found.one_of(at.child("protocol"), &port["protocol"], PROTOCOLS);
    }
}

fn addresses(addresses: &[Value], family: &str, at: Path<'_>, found: &mut Findings) {
    if addresses.is_empty() {
        found.required(at, "must contain at least 1 address");
    } else if addresses.len() > MOST_ADDRESSES {
        found.too_many(at, addresses.len(), MOST_ADDRESSES);
    }
    for (index, address) in addresses.iter().enumerate() {
        let address = address.as_str().unwrap_or_default();
        match (family, address.parse::<IpAddr>()) {
            ("FQDN", _) => found.complain(at.index(index), address, format::subdomain(address)),
            ("IPv4", Ok(IpAddr::V6(_))) => found.invalid_text(at, address, "must be an IPv4 address"),
            ("IPv6", Ok(IpAddr::V4(_))) => found.invalid_text(at, address, "must be an IPv6 address"),
            ("IPv4" | "IPv6", Err(_)) => found.complain(at.index(index), address, format::ip(address)),
            _ => {}
        }
        if matches!(family, "IPv4" | "IPv6") {
            found.complain(at.index(index), address, format::special_ip(address));
        }
    }
}

pub fn immutable(new: &Value, old: &Value, found: &mut Findings) {
    if new["addressType"] != old["addressType"] {
        found.invalid(Path::Root.child("addressType"), &new["addressType"], "field is immutable");
    }
}
