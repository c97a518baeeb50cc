//! The forms that names, labels, ports, addresses and other texts must have. Each function gives what is wrong
//! with a text, in Kubernetes's words; nothing when it is well formed. (RFC 1035 and 1123, and the Kubernetes
//! documentation, "Object Names and IDs" and "Labels and Selectors".)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SUBDOMAIN_UNDERSCORE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const URL_PATH: &str = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const VARIABLE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
pub const PORT: &str = "must be between 1 and 65535, inclusive";
pub const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

type Complaints = Vec<String>;

fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Whether the text is made of `inner` characters and starts and ends with `edge` ones.
fn framed(text: &str, edge: fn(char) -> bool, inner: fn(char) -> bool) -> bool {
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner)
}

fn is_label(text: &str) -> bool {
    framed(text, lower, |c| lower(c) || c == '-')
}

fn too_long(text: &str, most: usize, unit: &str) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} {unit}"))
}

fn complaint(wrong: bool, words: &str) -> Option<String> {
    wrong.then(|| words.to_owned())
}

/// What stands for itself in the path of a URL.
pub fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ["/", "%"].into_iter().filter(|c| text.contains(c)).map(|c| format!("may not contain '{c}'")).collect(),
    }
}

pub fn subdomain(text: &str) -> Complaints {
    let wrong = !text.split('.').all(is_label);
    [too_long(text, 253, "characters"), complaint(wrong, SUBDOMAIN)].into_iter().flatten().collect()
}

/// As [`subdomain`], with underscores, as names in DNS may have them.
pub fn subdomain_with_underscore(text: &str) -> Complaints {
    let part = |part: &str| {
        let part = part.strip_prefix('_').unwrap_or(part);
        framed(part, lower, |c| lower(c) || c == '-' || c == '_')
    };
    let wrong = !text.split('.').all(part);
    [too_long(text, 253, "characters"), complaint(wrong, SUBDOMAIN_UNDERSCORE)].into_iter().flatten().collect()
}

pub fn label(text: &str) -> Complaints {
    let wrong = match (is_label(text), text.split('.').all(is_label)) {
        (true, _) => None,
        (false, true) => Some("must not contain dots".to_owned()),
        (false, false) => Some(LABEL.to_owned()),
    };
    [too_long(text, 63, "characters"), wrong].into_iter().flatten().collect()
}

/// A label that is the name of a host, too (RFC 1035), as names of services were.
pub fn label_1035(text: &str) -> Complaints {
    let wrong = !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase());
    [too_long(text, 63, "characters"), complaint(wrong, LABEL_1035)].into_iter().flatten().collect()
}

/// A subdomain with `*.` in place of its first label.
pub fn wildcard_subdomain(text: &str) -> Complaints {
    let wrong = !text.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(is_label));
    complaint(wrong, WILDCARD).into_iter().collect()
}

/// `example.com/name`, where the name is a path of a URL.
pub fn domain_prefixed_path(text: &str) -> Complaints {
    match text.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let legal = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
            let mut complaints = subdomain(domain);
            complaints.extend(complaint(!path.chars().all(legal), URL_PATH));
            complaints
        }
        _ => vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()],
    }
}

/// A name with an optional prefix: `example.com/name`, as label keys are.
pub fn qualified_name(text: &str) -> Complaints {
    let mut complaints = Complaints::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match *parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                complaints.push("prefix part must be non-empty".to_owned());
            } else {
                complaints.extend(subdomain(prefix).into_iter().map(|c| format!("prefix part {c}")));
            }
            name
        }
        _ => {
            let form = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {NAME_PART} {form}")];
        }
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    }
    complaints.extend(too_long(name, 63, "bytes").map(|c| format!("name part {c}")));
    complaints.extend(complaint(!is_name_part(name), &format!("name part {NAME_PART}")));
    complaints
}

fn is_name_part(text: &str) -> bool {
    framed(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

pub fn label_value(text: &str) -> Complaints {
    let wrong = !text.is_empty() && !is_name_part(text);
    [too_long(text, 63, "bytes"), complaint(wrong, LABEL_VALUE)].into_iter().flatten().collect()
}

/// A key of a ConfigMap or Secret, which becomes the name of a file.
pub fn data_key(text: &str) -> Complaints {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let wrong = text.is_empty() || !text.chars().all(legal);
    let dots = match text {
        "." => Some("must not be '.'".to_owned()),
        ".." => Some("must not be '..'".to_owned()),
        _ if text.starts_with("..") => Some("must not start with '..'".to_owned()),
        _ => None,
    };
    [too_long(text, 253, "characters"), complaint(wrong, DATA_KEY), dots].into_iter().flatten().collect()
}

pub fn variable(text: &str) -> Complaints {
    let printable = |c: char| matches!(c, ' '..='~') && c != '=';
    complaint(text.is_empty() || !text.chars().all(printable), VARIABLE).into_iter().collect()
}

pub fn header(text: &str) -> Complaints {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    complaint(text.is_empty() || !text.chars().all(legal), HEADER).into_iter().collect()
}

/// The name of a port (RFC 6335).
pub fn port_name(text: &str) -> Complaints {
    let hyphen = |c: char| c == '-';
    let checks = [
        too_long(text, 15, "characters"),
        complaint(
            !text.chars().all(|c| lower(c) || hyphen(c)) || text.is_empty(),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        complaint(!text.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        complaint(text.contains("--"), "must not contain consecutive hyphens"),
        complaint(text.starts_with(hyphen) || text.ends_with(hyphen), "must not begin or end with a hyphen"),
    ];
    checks.into_iter().flatten().collect()
}

pub fn percent(text: &str) -> Complaints {
    let digits = text.strip_suffix('%').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
    complaint(!digits, PERCENT).into_iter().collect()
}

pub fn ip(text: &str) -> Complaints {
    complaint(text.parse::<IpAddr>().is_err(), IP).into_iter().collect()
}

pub fn cidr(text: &str) -> Complaints {
    complaint(!is_cidr(text), CIDR).into_iter().collect()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    !bits.starts_with('+') && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Addresses that no pod or service of a cluster can have.
pub fn special_ip(text: &str) -> Complaints {
    let (unspecified, loopback, link_local, multicast) = match text.parse() {
        Ok(IpAddr::V4(ip)) => (ip.is_unspecified(), ip.is_loopback(), ip.is_link_local(), is_local_multicast(ip)),
        Ok(IpAddr::V6(ip)) => {
            (ip.is_unspecified(), ip.is_loopback(), ip.is_unicast_link_local(), is_local_multicast_v6(ip))
        }
        Err(_) => return Complaints::new(),
    };
    let checks = [
        complaint(unspecified, "may not be unspecified (0.0.0.0 or ::)"),
        complaint(loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        complaint(link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        complaint(multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ];
    checks.into_iter().flatten().collect()
}

fn is_local_multicast(ip: Ipv4Addr) -> bool {
    ip.octets()[..3] == [224, 0, 0]
}

fn is_local_multicast_v6(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xff0f == 0xff02
}

/// A path inside a volume.
pub fn descending_path(path: &str) -> Complaints {
    let checks = [
        complaint(path.starts_with('/'), "must be a relative path"),
        complaint(steps_back(path), "must not contain '..'"),
    ];
    checks.into_iter().flatten().collect()
}

pub fn no_steps_back(path: &str) -> Complaints {
    complaint(steps_back(path), "must not contain '..'").into_iter().collect()
}

fn steps_back(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_the_part_that_is_wrong() {
        let long = "a".repeat(64);
        let cases: [(Complaints, &[&str]); 10] = [
            (label("web-1"), &[]),
            (label("a.b"), &["must not contain dots"]),
            (label(&long), &["must be no more than 63 characters"]),
            (subdomain("a.b-c.1"), &[]),
            (qualified_name("example.com/Name_1"), &[]),
            (qualified_name("/a"), &["prefix part must be non-empty"]),
            (qualified_name(&long), &["name part must be no more than 63 bytes"]),
            (label_value(""), &[]),
            (port_name("123"), &["must contain at least one letter (a-z)"]),
            (port_name("-a--b"), &["must not contain consecutive hyphens", "must not begin or end with a hyphen"]),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
        assert_eq!(subdomain("A"), [SUBDOMAIN]);
        assert_eq!(label("a_b"), [LABEL]);
        assert_eq!(label_value("-x"), [LABEL_VALUE]);
    }

    #[test]
    fn addresses_are_parsed_strictly() {
        assert!(ip("10.0.0.1").is_empty() && ip("fd00::1").is_empty());
        assert!(!ip("010.0.0.1").is_empty() && !ip("1.2.3").is_empty());
        assert!(cidr("10.0.0.0/8").is_empty() && !cidr("10.0.0.0/33").is_empty() && !cidr("10.0.0.0").is_empty());
        assert_eq!(special_ip("169.254.1.1").len(), 1);
        assert!(special_ip("10.1.1.1").is_empty());
    }
}
