//! Writes a table of Services as nftables rules: one text, one transaction. Pure.
//!
//! A transaction of nftables is atomic for its writer, not for a packet under way: a packet that has read the old rules looks
//! up sets as they are now, and asks a new chain of the same hook before the old one. A first packet that falls between the
//! two is not translated, and neither are its repetitions: the client waits until it gives up. So chains, maps and
//! their unchanged elements stay for as long as the Service does, a change replaces the rules of one chain, and
//! these name each backend by a rule of its own instead of looking it up.
//!
//! Four things beside the plain translation of addresses:
//! a connection from a pod to a pod over a Service is masqueraded, because the answer would otherwise go straight over
//! the bridge and never be translated back (bridged packets need not pass the host's rules); one from 127.0.0.1 is
//! masqueraded because pods cannot answer that address; and pods must not reach the host's loopback, which the route
//! for the latter would otherwise allow, nor others what the host serves to pods at its address on the bridge.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::table::{Front, Protocol, Table};
use crate::agent::runtime::Network;

/// How the chains of Services are named, apart from those that are always there.
const SERVICE: &str = "service/";
/// A client's hash must be the same in each rule of a chain, and after a change of it.
const STICKY_SEED: u32 = 0x7769_6e64;

/// The named things of a table, each with what it holds.
#[derive(Default)]
struct Contents {
    /// Elements of the maps and sets: (collection, element) to its verdict, which sets have none of.
    elements: BTreeMap<(&'static str, String), String>,
    /// The rules of each Service's chain.
    chains: BTreeMap<String, Vec<String>>,
}

/// The whole table, over whatever an agent before this one left there: `present`, names of chains.
pub fn install(name: &str, network: &Network, present: &[String], table: &Table) -> String {
    let mut before = Contents::default();
    before.chains.extend(present.iter().filter(|chain| chain.starts_with("service")).map(|c| (c.clone(), Vec::new())));
    skeleton(name, network) + &difference(name, &before, &contents(table))
}

/// What makes the one table out of the other.
pub fn change(name: &str, before: &Table, after: &Table) -> String {
    difference(name, &contents(before), &contents(after))
}

/// Takes the table away.
pub fn remove(name: &str) -> String {
    format!("add table ip {name}\ndelete table ip {name}\n")
}

/// All that does not depend on the Services, the maps empty.
fn skeleton(name: &str, network: &Network) -> String {
    let Network { bridge, subnet, gateway, .. } = network;
    let mut out = format!("add table ip {name}\n");
    for (collection, type_) in [
        ("map services", "ipv4_addr . inet_proto . inet_service : verdict"),
        ("map node-ports", "inet_proto . inet_service : verdict"),
        ("set refused", "ipv4_addr . inet_proto . inet_service"),
        ("set refused-ports", "inet_proto . inet_service"),
    ] {
        let (kind, own) = collection.split_once(' ').unwrap_or_default();
        let _ = writeln!(out, "add {kind} ip {name} {own} {{ type {type_}; }}\nflush {kind} ip {name} {own}");
    }
    let to_services = "jump dispatch".to_owned();
    let refuse = "jump refuse".to_owned();
    for (chain, hook, rules) in [
        (
            "dispatch",
            "",
            vec![
                "ip daddr . meta l4proto . th dport vmap @services".to_owned(),
                "fib daddr type local meta l4proto . th dport vmap @node-ports".to_owned(),
            ],
        ),
        (
            "refuse",
            "",
            vec![
                "ip daddr . meta l4proto . th dport @refused meta l4proto tcp reject with tcp reset".to_owned(),
                "ip daddr . meta l4proto . th dport @refused reject".to_owned(),
                "fib daddr type local meta l4proto . th dport @refused-ports meta l4proto tcp reject with tcp reset"
                    .to_owned(),
                "fib daddr type local meta l4proto . th dport @refused-ports reject".to_owned(),
            ],
        ),
        ("prerouting", "nat hook prerouting priority -110", vec![to_services.clone()]),
        ("output", "nat hook output priority -110", vec![to_services]),
        (
            "postrouting",
            "nat hook postrouting priority 90",
            vec![
                format!("ct status dnat ip saddr {subnet} ip daddr {subnet} masquerade"),
                "ct status dnat ip saddr 127.0.0.0/8 masquerade".to_owned(),
            ],
        ),
        ("filter-forward", "filter hook forward priority -10", vec![refuse.clone()]),
        ("filter-output", "filter hook output priority -10", vec![refuse.clone()]),
        (
            "filter-input",
            "filter hook input priority -10",
            vec![
                format!("iifname \"{bridge}\" ip daddr 127.0.0.0/8 ct state new drop"),
                format!("iifname != {{ \"lo\", \"{bridge}\" }} ip daddr {gateway} ct state new drop"),
                refuse,
            ],
        ),
    ] {
        let base = if hook.is_empty() { String::new() } else { format!(" {{ type {hook}; policy accept; }}") };
        let _ = writeln!(out, "add chain ip {name} {chain}{base}");
        chain_of(&mut out, name, chain, &rules);
    }
    out
}

fn chain_of(out: &mut String, table: &str, chain: &str, rules: &[String]) {
    let _ = writeln!(out, "flush chain ip {table} {chain}");
    for rule in rules {
        let _ = writeln!(out, "add rule ip {table} {chain} {rule}");
    }
}

fn difference(name: &str, before: &Contents, after: &Contents) -> String {
    let mut out = String::new();
    for (chain, rules) in &after.chains {
        if before.chains.get(chain) != Some(rules) {
            let _ = writeln!(out, "add chain ip {name} {chain}");
            chain_of(&mut out, name, chain, rules);
        }
    }
    for (at @ (collection, element), verdict) in &before.elements {
        if after.elements.get(at) != Some(verdict) {
            let _ = writeln!(out, "delete element ip {name} {collection} {{ {element} }}");
        }
    }
    for (at @ (collection, element), verdict) in &after.elements {
        if before.elements.get(at) != Some(verdict) {
            let _ = writeln!(out, "add element ip {name} {collection} {{ {element}{verdict} }}");
        }
    }
    // Only now does nothing lead to them.
    for chain in before.chains.keys().filter(|chain| !after.chains.contains_key(*chain)) {
        let _ = writeln!(out, "flush chain ip {name} {chain}\ndelete chain ip {name} {chain}");
    }
    out
}

fn contents(table: &Table) -> Contents {
    let mut contents = Contents::default();
    let (refused, served): (Vec<&Front>, Vec<&Front>) =
        table.fronts.iter().partition(|front| front.backends.is_empty());
    let mut taken = std::collections::BTreeSet::new();
    for front in served.into_iter().chain(refused) {
        let chain = chain_name(front);
        let is_served = !front.backends.is_empty();
        let verdict = if is_served { format!(" : goto {chain}") } else { String::new() };
        let (services, ports) = if is_served { ("services", "node-ports") } else { ("refused", "refused-ports") };
        let addresses = front.addresses.iter().map(|ip| (services, address(*ip, front)));
        let node_port = front.node_port.map(|port| (ports, format!("{} . {port}", word(front.protocol))));
        for (collection, element) in addresses.chain(node_port) {
            // Two fronts may claim one address and port by mistake: the first by name has it, those that are served
            // before the others, as a map must have one answer.
            if taken.insert(element.clone()) {
                contents.elements.insert((collection, element), verdict.clone());
            }
        }
        if is_served {
            contents.chains.insert(chain, rules_of(front));
        }
    }
    contents
}

fn address(ip: Ipv4Addr, front: &Front) -> String {
    format!("{ip} . {} . {}", word(front.protocol), front.port)
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// One rule a backend. Of those left, each takes its equal share; who is sticky goes where the hash of its address says.
fn rules_of(front: &Front) -> Vec<String> {
    let all = front.backends.len();
    let rule = |(index, (ip, port)): (usize, &(Ipv4Addr, u16))| {
        let share = match (all - index, front.sticky) {
            (_, true) => format!("jhash ip saddr mod {all} seed {STICKY_SEED:#x} {index} "),
            (1, false) => String::new(),
            (left, false) => format!("numgen random mod {left} 0 "),
        };
        format!("meta l4proto {} {share}dnat to {ip}:{port}", word(front.protocol))
    };
    front.backends.iter().enumerate().map(rule).collect()
}

/// `service/PROTOCOL/NAMESPACE/NAME/PORT`. What is not part of a name in the API is left out: this goes to the kernel.
fn chain_name(front: &Front) -> String {
    let name = front.name.chars().map(|c| if c == ':' { '/' } else { c });
    let name: String = name.filter(|c| c.is_ascii_alphanumeric() || "-_./".contains(*c)).take(220).collect();
    format!("{SERVICE}{}/{name}", word(front.protocol))
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

    fn of(fronts: Vec<Front>) -> Table {
        Table { fronts }
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn a_service_is_spread_over_its_backends() {
        let text = install("w", &network(), &[], &of(vec![front("default/web:http", &[2, 3])]));
        for line in [
            "add element ip w services { 10.96.0.10 . tcp . 80 : goto service/tcp/default/web/http }",
            "add element ip w node-ports { tcp . 30080 : goto service/tcp/default/web/http }",
            "add rule ip w service/tcp/default/web/http meta l4proto tcp numgen random mod 2 0 dnat to 10.88.0.2:8080",
            "add rule ip w service/tcp/default/web/http meta l4proto tcp dnat to 10.88.0.3:8080",
        ] {
            assert!(lines(&text).contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_change_of_backends_replaces_the_rules_of_one_chain() {
        let before = of(vec![front("a/a:", &[2, 3]), Front { port: 81, node_port: None, ..front("b/b:", &[4]) }]);
        let mut after = before.clone();
        after.fronts[0].backends.pop_first();
        let want = [
            "flush chain ip w service/tcp/a/a/",
            "add rule ip w service/tcp/a/a/ meta l4proto tcp dnat to 10.88.0.3:8080",
        ];
        assert_eq!(lines(&change("w", &before, &after))[1..], want);
        assert_eq!(change("w", &after, &after), "");
    }

    #[test]
    fn a_service_that_goes_takes_its_chain_along_after_its_elements() {
        let text = change("w", &of(vec![front("a/a:", &[2])]), &Table::default());
        assert_eq!(
            lines(&text),
            [
                "delete element ip w node-ports { tcp . 30080 }",
                "delete element ip w services { 10.96.0.10 . tcp . 80 }",
                "flush chain ip w service/tcp/a/a/",
                "delete chain ip w service/tcp/a/a/",
            ]
        );
    }

    #[test]
    fn chains_of_an_agent_before_are_emptied_or_taken_away() {
        let present = ["dispatch", "service/tcp/a/a/", "service-0"].map(str::to_owned);
        let text = install("w", &network(), &present, &of(vec![front("a/a:", &[2])]));
        assert!(lines(&text).contains(&"delete chain ip w service-0"), "{text}");
        assert!(lines(&text).contains(&"flush chain ip w service/tcp/a/a/"), "{text}");
        assert!(
            !text.contains("delete chain ip w service/tcp/a/a/") && !text.contains("delete chain ip w dispatch"),
            "{text}"
        );
    }

    #[test]
    fn a_service_without_backends_is_refused_and_a_doubled_address_is_used_once() {
        let text = change("w", &Table::default(), &of(vec![front("a/a:", &[]), front("b/b:", &[2])]));
        assert!(!text.contains("refused") && text.contains("goto service/tcp/b/b/"), "{text}");
        let text = change("w", &Table::default(), &of(vec![front("b/b:", &[])]));
        assert!(text.contains("add element ip w refused { 10.96.0.10 . tcp . 80 }"), "{text}");
    }

    #[test]
    fn a_sticky_client_is_hashed_alike_by_each_rule() {
        let sticky = Front { sticky: true, ..front("a/a:", &[2, 3]) };
        let rules = rules_of(&sticky);
        assert!(rules[0].contains("jhash ip saddr mod 2 seed 0x77696e64 0 dnat to 10.88.0.2:8080"), "{rules:?}");
        assert!(rules[1].contains("jhash ip saddr mod 2 seed 0x77696e64 1 dnat to 10.88.0.3:8080"), "{rules:?}");
    }

    #[test]
    fn hostile_names_stay_inside_the_name() {
        assert_eq!(chain_name(&front("a\"; flush ruleset", &[2])), "service/tcp/aflushruleset");
    }
}
