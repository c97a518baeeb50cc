//! Amounts that are added up and shown in the form in which people wrote them: bytes as `512Mi`, cores as `600m`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::object::Quantity;
use crate::object::schema;

/// By the name of the resource, for example `requests.cpu` or `count/deployments.apps`.
pub type Amounts = BTreeMap<String, Amount>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Thousandths of a unit.
    pub millis: i64,
    /// Shown with a suffix of powers of 1024.
    pub binary: bool,
}

impl Amount {
    pub const ONE: Self = Self { millis: 1000, binary: false };

    /// What cannot be read counts as nothing: the registry has validated it.
    pub fn parse(text: &str) -> Self {
        Self { millis: Quantity::parse(text).unwrap_or_default().millis(), binary: text.ends_with('i') }
    }

    /// Of nothing and something, the form of the something.
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.millis == 0 { other.binary } else { self.binary };
        Self { millis: self.millis.saturating_add(other.millis), binary }
    }

    pub fn larger(self, other: Self) -> Self {
        if other.millis > self.millis { other } else { self }
    }

    pub fn text(self) -> String {
        const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        if self.binary && self.millis % 1000 == 0 && self.millis.abs() >= 1024 * 1000 {
            let mut units = self.millis / 1000;
            let mut suffix = 0;
            while units % 1024 == 0 && suffix + 1 < SUFFIXES.len() {
                units /= 1024;
                suffix += 1;
            }
            return format!("{units}{}", SUFFIXES[suffix]);
        }
        let plain = format!("{}m", self.millis);
        schema::quantity(&plain).unwrap_or(plain)
    }
}

/// The amounts of a map of quantities.
pub fn amounts(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    entries.map(|(name, value)| (name.clone(), Amount::parse(&text(value)))).collect()
}

pub fn to_value(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, amount)| (name.clone(), json!(amount.text()))).collect()
}

/// `cpu=1,pods=2`
pub fn show(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={}", amount.text())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_shown_as_they_were_written() {
        let cases: [(&[&str], &str); 6] = [
            (&["512Mi", "512Mi"], "1Gi"),
            (&["600m", "400m"], "1"),
            (&["300m", "200m", "1"], "1500m"),
            (&[], "0"),
            (&["1Gi", "1"], "1073741825"),
            (&["0", "100Mi"], "100Mi"),
        ];
        for (parts, want) in cases {
            let sum = parts.iter().fold(Amount::default(), |sum, part| sum.plus(Amount::parse(part)));
            assert_eq!(sum.text(), want, "{parts:?}");
        }
    }
}
