//! Writes a table of Services as nftables rules: one text, one transaction. Pure.
//!
//! Four things beside the plain translation of addresses:
//! a connection from a pod to a pod over a Service is masqueraded, because the answer would otherwise go straight over
//! the bridge and never be translated back (bridged packets need not pass the host's rules); one from 127.0.0.1 is
//! masqueraded because pods cannot answer that address; and pods must not reach the host's loopback, which the route
//! for the latter would otherwise allow, nor others what the host serves to pods at its address on the bridge.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::table::{Front, Protocol, Table};
use crate::agent::runtime::Network;

/// The whole table, in place of whatever it held before.
pub fn replace(name: &str, network: &Network, table: &Table) -> String {
    let Network { bridge, subnet, gateway, .. } = network;
    let mut out = format!("add table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n");
    let served = || table.fronts.iter().enumerate().filter(|(_, front)| !front.backends.is_empty());
    let refused = || table.fronts.iter().filter(|front| front.backends.is_empty());
    let address = |ip: &Ipv4Addr, front: &Front| format!("{ip} . {} . {}", word(front.protocol), front.port);
    let node = |front: &Front| front.node_port.map(|port| format!("{} . {port}", word(front.protocol)));

    // Two fronts may claim one address and port by mistake: the first by name has it, as a map must have one answer.
    let mut taken = BTreeSet::new();
    let mut free = |element: &String| taken.insert(element.clone());
    let mut services = Vec::new();
    let mut node_ports = Vec::new();
    for (index, front) in served() {
        let verdict = format!("goto service-{index}");
        let addresses = front.addresses.iter().map(|ip| address(ip, front)).filter(|e| free(e)).collect::<Vec<_>>();
        services.extend(addresses.into_iter().map(|element| format!("{element} : {verdict}")));
        node_ports.extend(node(front).filter(|e| free(e)).map(|element| format!("{element} : {verdict}")));
    }
    let mut refused_services = Vec::new();
    let mut refused_ports = Vec::new();
    for front in refused() {
        let addresses = front.addresses.iter().map(|ip| address(ip, front)).filter(|e| free(e)).collect::<Vec<_>>();
        refused_services.extend(addresses);
        refused_ports.extend(node(front).filter(|e| free(e)));
    }
    collection(&mut out, "map services", "ipv4_addr . inet_proto . inet_service : verdict", &services);
    collection(&mut out, "map node-ports", "inet_proto . inet_service : verdict", &node_ports);
    collection(&mut out, "set refused", "ipv4_addr . inet_proto . inet_service", &refused_services);
    collection(&mut out, "set refused-ports", "inet_proto . inet_service", &refused_ports);
    for (index, front) in served() {
        service(&mut out, index, front);
    }
    let _ = write!(
        out,
        "
  chain dispatch {{
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local meta l4proto . th dport vmap @node-ports
  }}
  chain prerouting {{ type nat hook prerouting priority -110; policy accept; jump dispatch; }}
  chain output {{ type nat hook output priority -110; policy accept; jump dispatch; }}
  chain postrouting {{
    type nat hook postrouting priority 90; policy accept
    ct status dnat ip saddr {subnet} ip daddr {subnet} masquerade
    ct status dnat ip saddr 127.0.0.0/8 masquerade
  }}
  chain refuse {{
    ip daddr . meta l4proto . th dport @refused meta l4proto tcp reject with tcp reset
    ip daddr . meta l4proto . th dport @refused reject
    fib daddr type local meta l4proto . th dport @refused-ports meta l4proto tcp reject with tcp reset
    fib daddr type local meta l4proto . th dport @refused-ports reject
  }}
  chain filter-forward {{ type filter hook forward priority -10; policy accept; jump refuse; }}
  chain filter-output {{ type filter hook output priority -10; policy accept; jump refuse; }}
  chain filter-input {{
    type filter hook input priority -10; policy accept
    iifname \"{bridge}\" ip daddr 127.0.0.0/8 ct state new drop
    iifname != {{ \"lo\", \"{bridge}\" }} ip daddr {gateway} ct state new drop
    jump refuse
  }}
}}
"
    );
    out
}

/// Takes the table away.
pub fn remove(name: &str) -> String {
    format!("add table ip {name}\ndelete table ip {name}\n")
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

fn collection(out: &mut String, kind_and_name: &str, type_: &str, elements: &[String]) {
    let elements = match elements {
        [] => String::new(),
        some => format!("; elements = {{ {} }}", some.join(", ")),
    };
    let _ = writeln!(out, "  {kind_and_name} {{ type {type_}{elements}; }}");
}

fn service(out: &mut String, index: usize, front: &Front) {
    let numbered = front.backends.iter().enumerate();
    let backends: Vec<String> = numbered.map(|(i, (ip, port))| format!("{i} : {ip} . {port}")).collect();
    let choice = if front.sticky { "jhash ip saddr" } else { "numgen random" };
    let _ = writeln!(
        out,
        "  chain service-{index} {{ meta l4proto {} dnat ip to {choice} mod {} map {{ {} }} comment \"{}\"; }}",
        word(front.protocol),
        backends.len(),
        backends.join(", "),
        comment(&front.name)
    );
}

/// nftables takes comments of 128 bytes; a quote would end it. Names of the API have none, but this is the kernel.
fn comment(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_./:".contains(*c)).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let gateway = Ipv4Addr::new(10, 88, 0, 1).into();
        Network { name: "windlass".into(), bridge: "wl0".into(), subnet: "10.88.0.0/16".into(), gateway }
    }

    fn front(name: &str, backends: &[u8]) -> Front {
        Front {
            name: name.into(),
            protocol: Protocol::Tcp,
            addresses: vec![Ipv4Addr::new(10, 96, 0, 10)],
            port: 80,
            node_port: Some(30080),
            backends: backends.iter().map(|last| (Ipv4Addr::new(10, 88, 0, *last), 8080)).collect(),
            sticky: false,
        }
    }

    #[test]
    fn a_service_is_spread_over_its_backends() {
        let text = replace("windlass", &network(), &Table { fronts: vec![front("default/web:http", &[2, 3])] });
        for line in [
            "10.96.0.10 . tcp . 80 : goto service-0",
            "tcp . 30080 : goto service-0",
            "dnat ip to numgen random mod 2 map { 0 : 10.88.0.2 . 8080, 1 : 10.88.0.3 . 8080 } comment \"default/web:http\"",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_service_without_backends_is_refused_and_a_doubled_address_is_used_once() {
        let fronts = vec![front("a/a:", &[2]), front("b/b:", &[])];
        let text = replace("windlass", &network(), &Table { fronts });
        assert!(!text.contains("set refused { type ipv4_addr . inet_proto . inet_service; elements"), "{text}");
        let text = replace("windlass", &network(), &Table { fronts: vec![front("b/b:", &[])] });
        assert!(text.contains("elements = { 10.96.0.10 . tcp . 80 }"), "{text}");
    }

    #[test]
    fn hostile_names_stay_inside_the_comment() {
        assert_eq!(comment("a\"; flush ruleset"), "aflushruleset");
    }
}
