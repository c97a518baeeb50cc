//! The formats of strings that Kubernetes checks; others are taken as they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;

/// Whether the text has the format. Formats that are not known hold of every text.
pub fn holds(format: &str, text: &str) -> bool {
    match format {
        "date" => text.parse::<Date>().is_ok() && text.len() == 10,
        "date-time" | "datetime" => date_time(text),
        "duration" => duration(text),
        "byte" => STANDARD.decode(text).is_ok(),
        "email" => email(text),
        "hostname" => hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid(format, text),
        "uri" => uri(text),
        "creditcard" => text.bytes().filter(u8::is_ascii_digit).count() >= 12,
        "isbn" => isbn(text, 10) || isbn(text, 13),
        "isbn10" => isbn(text, 10),
        "isbn13" => isbn(text, 13),
        "ssn" => shape(text, &[3, 2, 4]),
        "hexcolor" => {
            let digits = text.strip_prefix('#').unwrap_or(text);
            matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
        }
        "rgbcolor" => rgb(text),
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => true,
    }
}

fn date_time(text: &str) -> bool {
    let at = text.find(['T', 't']);
    at == Some(10) && text.parse::<Timestamp>().is_ok()
}

/// A Go duration (`1h30m`), or one in words (`2 days`), as go-openapi reads them.
fn duration(text: &str) -> bool {
    const UNITS: &[&str] = &[
        "ns", "nano", "us", "µs", "μs", "micro", "ms", "milli", "s", "sec", "m", "min", "h", "hr", "hour", "d", "day",
        "w", "week", "wk",
    ];
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() || number.parse::<f64>().is_err() {
            return false;
        }
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = unit.to_lowercase();
        let known = UNITS.contains(&unit.as_str()) || unit.len() > 2 && UNITS.contains(&unit.trim_end_matches('s'));
        if !known {
            return false;
        }
        any = true;
        rest = after.trim_start();
    }
    any
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let bad = |c: char| c.is_whitespace() || "<>()[],;:\\\"".contains(c);
    !local.is_empty() && !local.contains(bad) && !local.starts_with('.') && !local.ends_with('.') && hostname(domain)
}

fn hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    !length.starts_with('+') && length.parse::<u8>().is_ok_and(|length| length <= most)
}

fn mac(text: &str) -> bool {
    [':', '-'].iter().any(|by| {
        let parts: Vec<&str> = text.split(*by).collect();
        matches!(parts.len(), 6 | 8 | 20)
            && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

fn uuid(format: &str, text: &str) -> bool {
    let parsed = uuid::Uuid::parse_str(text).is_ok() && matches!(text.len(), 32 | 36);
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let version = format.strip_prefix("uuid").unwrap_or_default();
    parsed && (version.is_empty() || hex.get(12..13) == Some(version))
}

fn uri(text: &str) -> bool {
    let absolute = text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() || text.starts_with('/'));
    let opaque = || {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(legal)
            && !rest.is_empty()
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    absolute || opaque()
}

fn isbn(text: &str, length: usize) -> bool {
    let digits: Vec<char> = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if digits.len() != length {
        return false;
    }
    let value = |(index, c): (usize, &char)| match (c, length) {
        ('X' | 'x', 10) if index == 9 => Some(10),
        (c, _) => c.to_digit(10),
    };
    let Some(values) = digits.iter().enumerate().map(value).collect::<Option<Vec<u32>>>() else { return false };
    match length {
        10 => values.iter().zip((1..=10).rev()).map(|(v, weight)| v * weight).sum::<u32>() % 11 == 0,
        _ => values.iter().enumerate().map(|(i, v)| if i % 2 == 0 { *v } else { 3 * v }).sum::<u32>() % 10 == 0,
    }
}

/// Groups of digits with a hyphen or a space between them.
fn shape(text: &str, groups: &[usize]) -> bool {
    let parts: Vec<&str> = text.split(['-', ' ']).collect();
    parts.len() == groups.len()
        && parts.iter().zip(groups).all(|(p, n)| p.len() == *n && p.bytes().all(|b| b.is_ascii_digit()))
}

fn rgb(text: &str) -> bool {
    let inner = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
    let parts: Vec<&str> = inner.unwrap_or_default().split(',').map(str::trim).collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_of_what_they_name() {
        let cases = [
            ("date-time", "2026-01-02T03:04:05Z", true),
            ("date-time", "2026-01-02T03:04:05.123+02:00", true),
            ("date-time", "2026-01-02", false),
            ("date", "2026-01-02", true),
            ("date", "2026-13-02", false),
            ("duration", "1h30m", true),
            ("duration", "2 days", true),
            ("duration", "soon", false),
            ("email", "a@example.com", true),
            ("email", "a", false),
            ("ipv4", "10.0.0.256", false),
            ("ipv6", "::1", true),
            ("cidr", "10.0.0.0/33", false),
            ("cidr", "10.0.0.0/8", true),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid4", "123e4567-e89b-12d3-a456-426614174000", false),
            ("byte", "aGk=", true),
            ("byte", "%", false),
            ("mac", "00:1a:2b:3c:4d:5e", true),
            ("uri", "https://example.com/a?b", true),
            ("uri", "not a uri", false),
            ("isbn10", "0-306-40615-2", true),
            ("hexcolor", "#ff00zz", false),
            ("made-up", "anything", true),
        ];
        for (format, text, want) in cases {
            assert_eq!(holds(format, text), want, "{format} {text}");
        }
    }
}
