//! Gives Services their cluster IP and node ports, and refuses those that are taken. What is in use is read from
//! the Services themselves: there is no allocator state that could disagree with them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::transaction::Transaction;
use crate::object::{ApiError, Cause, Claim, ObjectKey, kinds};

/// Where addresses and ports of Services are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRange {
    network: u32,
    prefix: u8,
    pub node_ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network of 4 to 1048576 addresses, for example 10.96.0.0/16")]
pub struct BadRange(String);

impl Default for ServiceRange {
    fn default() -> Self {
        Self { network: Ipv4Addr::new(10, 96, 0, 0).to_bits(), prefix: 16, node_ports: 30000..=32767 }
    }
}

impl std::str::FromStr for ServiceRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = || BadRange(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().ok().filter(|p| (12..=30).contains(p)).ok_or_else(bad)?;
        let network = address.to_bits() & !(u32::MAX >> prefix);
        Ok(Self { network, prefix, ..Self::default() })
    }
}

impl ServiceRange {
    /// Addresses that a Service may have: all but the first and the last of the network.
    fn usable(&self) -> u32 {
        (u32::MAX >> self.prefix) - 1
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let offset = address.to_bits().wrapping_sub(self.network);
        (1..=self.usable()).contains(&offset)
    }

    /// The address of the API server's own Service.
    pub fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network + 1)
    }

    /// A free address. Starting where the name says spreads them, and gives the same Service the same address again.
    fn choose(&self, name: &str, is_taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let count = self.usable();
        // The lowest sixteenth (16 to 256 addresses) is left to those who ask for an address.
        let reserved = (count / 16).clamp(1.min(count - 1), 256);
        let open = count - reserved;
        let start = (hash(name) % u64::from(open)) as u32;
        let upper = (0..open).map(|i| reserved + (start + i) % open);
        let offsets = upper.chain(0..reserved).map(|offset| offset + 1);
        offsets.map(|offset| Ipv4Addr::from_bits(self.network + offset)).find(|address| !is_taken(*address))
    }

    fn choose_port(&self, name: &str, is_taken: impl Fn(u16) -> bool) -> Option<u16> {
        let (low, high) = (*self.node_ports.start(), *self.node_ports.end());
        let count = u64::from(high - low) + 1;
        let start = hash(name) % count;
        let ports = (0..count).map(|i| low + ((start + i) % count) as u16);
        ports.into_iter().find(|port| !is_taken(*port))
    }
}

/// Stable over runs, so that a dry run and the write after it agree.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Transaction {
    /// Completes a Service with what it is to have; `before` is its state until now.
    pub(super) fn allocate(&self, service: &mut Value, before: Option<&Value>) -> Result<(), ApiError> {
        if !service["spec"].is_object() {
            return Ok(());
        }
        let text = |field: &str| service["metadata"][field].as_str().unwrap_or_default().to_owned();
        let own = ObjectKey::new(kinds::SERVICE, text("namespace"), text("name"));
        let is_taken = |claim| self.is_claimed(claim, &own);
        allocate(&self.context.services, &is_taken, service, before)
            .map_err(|cause| ApiError::invalid(kinds::SERVICE, &own.name, vec![cause]))
    }
}

/// Whether another Service has an address or a port.
type IsTaken<'a> = &'a dyn Fn(Claim) -> bool;

fn allocate(range: &ServiceRange, is_taken: IsTaken, service: &mut Value, before: Option<&Value>) -> Result<(), Cause> {
    let name = format!(
        "{}/{}",
        service["metadata"]["namespace"].as_str().unwrap_or_default(),
        service["metadata"]["name"].as_str().unwrap_or_default()
    );
    carry_over(service, before);
    let spec = &mut service["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP").to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    allocate_address(range, is_taken, spec, before, &name)?;
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        allocate_ports(range, is_taken, spec, &name)?;
    }
    Ok(())
}

/// An update that leaves out what was allocated keeps it; what the new type has no use for goes, unless asked for.
fn carry_over(service: &mut Value, before: Option<&Value>) {
    let Some(before) = before.map(|before| &before["spec"]) else { return };
    let type_of = |spec: &Value| spec["type"].as_str().unwrap_or("ClusterIP").to_owned();
    let (old, new) = (type_of(before), type_of(&service["spec"]));
    let exposes = |kind: &str| matches!(kind, "NodePort" | "LoadBalancer");
    let Some(spec) = service["spec"].as_object_mut() else { return };
    if old != "ExternalName" && new != "ExternalName" {
        let asks_for_none = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().is_empty();
        let asks_for_many = spec.get("clusterIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
        if asks_for_none && !asks_for_many {
            for name in ["clusterIP", "clusterIPs"] {
                before.get(name).map(|value| spec.insert(name.into(), value.clone()));
            }
        }
        for name in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec.contains_key(name) {
                before.get(name).map(|value| spec.insert(name.into(), value.clone()));
            }
        }
    } else if new == "ExternalName" && old != new {
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if spec.get(name) == before.get(name) {
                spec.remove(name);
            }
        }
    }
    let known: Vec<(Value, Value, i64)> = before["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| Some((p["port"].clone(), p["protocol"].clone(), p["nodePort"].as_i64()?)))
        .collect();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        let kept = known.iter().find(|(number, protocol, _)| {
            port.get("port") == Some(number) && port.get("protocol").unwrap_or(&json!("TCP")) == protocol
        });
        if exposes(&old) && exposes(&new) {
            if let Some((_, _, node_port)) = kept.filter(|_| !port.contains_key("nodePort")) {
                port.insert("nodePort".into(), json!(node_port));
            }
        } else if exposes(&old) && kept.is_some_and(|(_, _, node_port)| port.get("nodePort") == Some(&json!(node_port)))
        {
            port.remove("nodePort");
        }
    }
}

fn allocate_address(
    range: &ServiceRange,
    is_taken: IsTaken,
    spec: &mut Value,
    before: Option<&Value>,
    name: &str,
) -> Result<(), Cause> {
    let first = spec["clusterIPs"][0].as_str().filter(|ip| !ip.is_empty());
    let asked = spec["clusterIP"].as_str().filter(|ip| !ip.is_empty()).or(first).map(str::to_owned);
    let selects = spec["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    let headless = asked.as_deref() == Some("None");
    if spec["ipFamilies"].is_null() && spec["ipFamilyPolicy"].is_null() && headless && !selects {
        // Whoever manages its endpoints may give it addresses of either family.
        spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
        spec["ipFamilyPolicy"] = json!("RequireDualStack");
    }
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
    let address = match asked {
        None => {
            let free = range.choose(name, |address| is_taken(Claim::Address(address.into())));
            let full = || refused("spec.clusterIPs", "null", "failed to allocate a serviceIP: range is full");
            free.ok_or_else(full)?.to_string()
        }
        Some(asked) => {
            let kept = before.is_some_and(|before| before["spec"]["clusterIP"] == asked.as_str());
            // What is no address at all, validation refuses.
            if let (false, Ok(address)) = (kept, asked.parse::<Ipv4Addr>()) {
                check_address(range, is_taken, address)?;
            }
            asked
        }
    };
    spec["clusterIP"] = json!(address);
    if spec["clusterIPs"].as_array().is_none_or(Vec::is_empty) {
        spec["clusterIPs"] = json!([address]);
    }
    Ok(())
}

fn check_address(range: &ServiceRange, is_taken: IsTaken, address: Ipv4Addr) -> Result<(), Cause> {
    let why = if !range.contains(address) {
        "the provided network does not match the current range"
    } else if is_taken(Claim::Address(address.into())) {
        "provided IP is already allocated"
    } else {
        return Ok(());
    };
    let value = json!([address.to_string()]).to_string();
    Err(refused("spec.clusterIPs", &value, &format!("failed to allocate IP {address}: {why}")))
}

fn allocate_ports(range: &ServiceRange, is_taken: IsTaken, spec: &mut Value, name: &str) -> Result<(), Cause> {
    let unwanted = spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] == false;
    // One port may be served for several protocols.
    let mut of_this: Vec<(u16, Value)> = Vec::new();
    for (i, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        let Some(asked) = port["nodePort"].as_i64().filter(|p| *p != 0) else { continue };
        let field = format!("spec.ports[{i}].nodePort");
        let Some(number) = u16::try_from(asked).ok().filter(|p| range.node_ports.contains(p)) else {
            let (low, high) = (range.node_ports.start(), range.node_ports.end());
            let why = format!("provided port is not in the valid range. The range of valid ports is {low}-{high}");
            return Err(refused(&field, &asked.to_string(), &why));
        };
        let twice = of_this.iter().any(|(n, protocol)| *n == number && *protocol == port["protocol"]);
        if is_taken(Claim::NodePort(number)) || twice {
            return Err(refused(&field, &asked.to_string(), "provided port is already allocated"));
        }
        of_this.push((number, port["protocol"].clone()));
    }
    let mut own: BTreeSet<u16> = of_this.iter().map(|(number, _)| *number).collect();
    for (i, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        if unwanted || port["nodePort"].as_i64().is_some_and(|p| p != 0) {
            continue;
        }
        let free =
            range.choose_port(&format!("{name}:{i}"), |port| own.contains(&port) || is_taken(Claim::NodePort(port)));
        let full =
            || refused(&format!("spec.ports[{i}].nodePort"), "0", "failed to allocate a nodePort: range is full");
        let number = free.ok_or_else(full)?;
        own.insert(number);
        port["nodePort"] = json!(number);
    }
    Ok(())
}

fn refused(field: &str, value: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {value}: {why}"),
        field: field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: Value) -> Value {
        json!({"metadata": {"name": "s", "namespace": "d"}, "spec": spec})
    }

    fn allocated(spec: Value, taken: &BTreeSet<Claim>) -> Result<Value, String> {
        let mut service = service(spec);
        allocate(&ServiceRange::default(), &|claim| taken.contains(&claim), &mut service, None)
            .map_err(|c| format!("{}: {}", c.field, c.message))?;
        Ok(service["spec"].take())
    }

    #[test]
    fn addresses_never_collide_until_the_range_is_full() {
        let range: ServiceRange = "10.0.0.0/28".parse().expect("a range");
        let mut taken = BTreeSet::new();
        for i in 0..14 {
            let address = range.choose(&format!("s{i}"), |address| taken.contains(&address)).expect("there is room");
            assert!(range.contains(address), "{address}");
            assert!(taken.insert(address), "{address} twice");
        }
        assert_eq!(range.choose("one more", |address| taken.contains(&address)), None);
    }

    #[test]
    fn the_same_service_gets_the_same_address() {
        let (a, b) = (allocated(json!({}), &BTreeSet::new()), allocated(json!({}), &BTreeSet::new()));
        assert_eq!(a, b);
    }

    #[test]
    fn a_taken_or_foreign_address_is_refused() {
        let taken = [Claim::Address([10, 96, 7, 7].into())].into();
        let refusal = |ip: &str| allocated(json!({"clusterIP": ip}), &taken).expect_err("refused");
        assert_eq!(
            refusal("10.96.7.7"),
            "spec.clusterIPs: Invalid value: [\"10.96.7.7\"]: failed to allocate IP 10.96.7.7: provided IP is already allocated"
        );
        assert_eq!(
            refusal("1.2.3.4"),
            "spec.clusterIPs: Invalid value: [\"1.2.3.4\"]: failed to allocate IP 1.2.3.4: the provided network does not match the current range"
        );
    }

    #[test]
    fn node_ports_are_refused_twice_but_not_for_another_protocol() {
        let port = |port: i64, protocol: &str| json!({"port": port, "protocol": protocol, "nodePort": 30334});
        let spec = |second: Value| json!({"type": "NodePort", "ports": [port(80, "TCP"), second]});
        assert_eq!(
            allocated(spec(port(81, "TCP")), &BTreeSet::new()),
            Err("spec.ports[1].nodePort: Invalid value: 30334: provided port is already allocated".into())
        );
        assert!(allocated(spec(port(80, "UDP")), &BTreeSet::new()).is_ok());
    }

    #[test]
    fn a_node_port_service_gets_ports_and_keeps_them() {
        let first =
            allocated(json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}), &BTreeSet::new());
        let first = service(first.expect("allocated"));
        let mut again = service(json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}));
        allocate(&ServiceRange::default(), &|_| false, &mut again, Some(&first)).expect("its own are no collision");
        assert_eq!(again, first);
        let mut inner = service(json!({"type": "ClusterIP", "ports": first["spec"]["ports"]}));
        allocate(&ServiceRange::default(), &|_| false, &mut inner, Some(&first)).expect("allowed");
        assert_eq!(inner["spec"]["ports"], json!([{"port": 80, "protocol": "TCP"}]));
        assert_eq!(inner["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    }
}
