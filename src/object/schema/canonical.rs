//! The one form in which quantities and times are written, whatever form they were given in.
//! (Kubernetes API conventions, "Quantity" and RFC 3339 times; the messages are those of Go's parsers.)

use jiff::Timestamp;

use crate::object::clock::{rfc3339, rfc3339_micro};
use crate::object::quantity::NotAQuantity;

/// How the exponent of a quantity is written; a quantity keeps the form that it was given in.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `m`, `k`, `M`.
    Suffix,
    /// `Ki`, `Mi`.
    Binary,
    /// `e3`.
    Exponent,
}

const NANOS: i128 = 1_000_000_000;
/// The largest amount that a quantity holds, in billionths.
const MOST: i128 = (i64::MAX as i128) * NANOS;
const SUFFIXES: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The canonical form of a quantity: no fraction, and the largest suffix that loses nothing.
/// `0.5` is `500m`, `1024Mi` is `1Gi`, `1000` is `1k`.
///
/// # Errors
/// When the text is not a quantity.
pub fn quantity(text: &str) -> Result<String, NotAQuantity> {
    let text = text.trim();
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(NotAQuantity);
    }
    let digits = format!("{whole}{fraction}");
    let decimals = i32::try_from(fraction.len()).map_err(|_| NotAQuantity)?;
    let (form, nanos) = if let Some((_, bits)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        (Form::Binary, scaled(&digits, 9 - decimals, 1 << bits))
    } else if let Some((_, power)) = SUFFIXES.iter().find(|(s, _)| *s == suffix) {
        (Form::Suffix, scaled(&digits, power + 9 - decimals, 1))
    } else {
        let power: i32 = suffix.strip_prefix(['e', 'E']).and_then(|p| p.parse().ok()).ok_or(NotAQuantity)?;
        (Form::Exponent, scaled(&digits, power.saturating_add(9 - decimals), 1))
    };
    Ok(format!("{}{}", if negative && nanos > 0 { "-" } else { "" }, written(form, nanos)))
}

/// `digits * 10^power * factor`, at most `MOST`; what is finer than a billionth is rounded up.
fn scaled(digits: &str, power: i32, factor: i128) -> i128 {
    let digits: i128 = match digits.trim_start_matches('0') {
        "" => return 0,
        significant => significant.parse().unwrap_or(MOST),
    };
    let by = 10_i128.saturating_pow(power.unsigned_abs());
    let amount = digits.saturating_mul(factor);
    let amount = if power >= 0 { amount.saturating_mul(by) } else { amount / by + i128::from(amount % by != 0) };
    amount.min(MOST)
}

fn written(form: Form, nanos: i128) -> String {
    if form == Form::Binary && nanos >= 1024 * NANOS {
        let mut units = nanos / NANOS + i128::from(nanos % NANOS != 0);
        let mut suffix = "";
        for (next, _) in BINARY {
            if units % 1024 != 0 {
                break;
            }
            units /= 1024;
            suffix = next;
        }
        return format!("{units}{suffix}");
    }
    if nanos == 0 {
        return "0".to_owned();
    }
    let (mut amount, mut power) = (nanos, -9);
    while amount % 1000 == 0 && power < 18 {
        amount /= 1000;
        power += 3;
    }
    match form {
        Form::Exponent if power == 0 => amount.to_string(),
        Form::Exponent => format!("{amount}e{power}"),
        _ => format!("{amount}{}", SUFFIXES.iter().find(|(_, p)| *p == power).map_or("", |(s, _)| s)),
    }
}

/// An RFC 3339 time in UTC, in whole seconds, or in microseconds when `micro`.
///
/// # Errors
/// In the words of Go's parser.
pub fn time(text: &str, micro: bool) -> Result<String, String> {
    let refusal = go_time_refusal(text, micro);
    match (refusal, text.parse::<Timestamp>()) {
        (None, Ok(time)) if micro => Ok(rfc3339_micro(time)),
        (None, Ok(time)) => Ok(rfc3339(time)),
        (refusal, _) => {
            let layout = if micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
            let why = refusal.unwrap_or_else(|| ": day out of range".to_owned());
            Err(format!("parsing time \"{text}\" as \"{layout}\"{why}"))
        }
    }
}

/// What of `text` does not fit the layout of RFC 3339, walking both from left to right.
/// A time in microseconds must have all six digits of them.
fn go_time_refusal(text: &str, micro: bool) -> Option<String> {
    const LAYOUT: [(&str, usize); 11] = [
        ("2006", 4),
        ("-", 0),
        ("01", 2),
        ("-", 0),
        ("02", 2),
        ("T", 0),
        ("15", 2),
        (":", 0),
        ("04", 2),
        (":", 0),
        ("05", 2),
    ];
    let cannot = |rest: &str, element: &str| Some(format!(": cannot parse \"{rest}\" as \"{element}\""));
    let mut rest = text;
    for (element, digits) in LAYOUT {
        let length = digits.max(element.len());
        let fits = rest.is_char_boundary(length)
            && rest.get(..length).is_some_and(|head| match digits {
                0 => head == element,
                _ => head.bytes().all(|b| b.is_ascii_digit()),
            });
        if !fits {
            return cannot(rest, element);
        }
        rest = &rest[length..];
    }
    if micro {
        let fraction = rest.get(..7).and_then(|f| f.strip_prefix('.'));
        if !fraction.is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit())) {
            return cannot(rest, ".000000");
        }
        rest = &rest[7..];
    } else if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let zone = rest.as_bytes();
    match zone {
        b"Z" => None,
        [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => None,
        [b'Z', ..] => Some(format!(": extra text: \"{}\"", &rest[1..])),
        _ => cannot(rest, "Z07:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_written_in_its_canonical_form() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1.1Ki", "1127"),
            ("1e3", "1e3"),
            ("1000e3", "1e6"),
            ("5E2", "500"),
            ("1E", "1E"),
            ("0.1u", "100n"),
            ("0.1n", "1n"),
            ("-1.5", "-1500m"),
            ("+2", "2"),
            ("0", "0"),
            ("-0", "0"),
            ("100000000000000000000", "9223372036854775807"),
            (" 1", "1"),
        ];
        for (given, want) in cases {
            assert_eq!(quantity(given).as_deref(), Ok(want), "{given}");
        }
        for bad in ["", "1x", "1 Gi", "..1", "e3", "1e", "--1", "1ki"] {
            assert!(quantity(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_written_in_utc_and_refused_in_the_words_of_go() {
        assert_eq!(time("2026-01-02T03:04:05+02:00", false).unwrap(), "2026-01-02T01:04:05Z");
        assert_eq!(time("2026-01-02T03:04:05.500000Z", true).unwrap(), "2026-01-02T03:04:05.500000Z");
        let refused = time("not a time", false).unwrap_err();
        let want =
            "parsing time \"not a time\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"not a time\" as \"2006\"";
        assert_eq!(refused, want);
        assert!(time("2026-02-30T00:00:00Z", false).is_err());
        assert!(time("2026-01-02", false).unwrap_err().ends_with("cannot parse \"\" as \"T\""));
    }
}
