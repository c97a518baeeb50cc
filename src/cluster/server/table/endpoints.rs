//! Addresses and ports of Endpoints and EndpointSlices.

use serde_json::{Value, json};

use super::{NONE, first_three, list, text};

pub fn of_endpoints(endpoints: &Value) -> String {
    let subsets = list(&endpoints["subsets"]);
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = || list(&subset["addresses"]).iter().filter_map(|address| address["ip"].as_str());
        let ports = list(&subset["ports"]);
        if ports.is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            all.extend(addresses().map(|ip| with_port(ip, port["port"].as_i64().unwrap_or(0))));
        }
    }
    first_three(&all)
}

fn with_port(ip: &str, port: i64) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

pub fn of_slice(slice: &Value, age: Value) -> Vec<Value> {
    let port = |port: &Value| port["port"].as_i64().map_or_else(|| "*".to_owned(), |number| number.to_string());
    let ports: Vec<String> = list(&slice["ports"]).iter().map(port).collect();
    let addresses = list(&slice["endpoints"]).iter().flat_map(|endpoint| list(&endpoint["addresses"]));
    let addresses: Vec<String> = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
    let shown = |all: &[String]| json!(if all.is_empty() { "<unset>".to_owned() } else { first_three(all) });
    vec![slice["metadata"]["name"].clone(), text(&slice["addressType"]), shown(&ports), shown(&addresses), age]
}
