//! Kubernetes quantities: `500m`, `1Gi`, `1e3`. Compared and added as exact numbers of thousandths of a unit.
//! (Kubernetes API conventions, "Quantity"; suffixes of `apimachinery/pkg/api/resource`.)

use std::fmt;

/// An amount in thousandths of a unit: `Quantity::parse("1.5")` is 1500 thousandths.
///
/// Finer amounts (`u`, `n`) round up to a thousandth, as scheduling counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct NotAQuantity;

impl Quantity {
    pub const ZERO: Self = Self(0);

    pub fn from_units(units: i64) -> Self {
        Self(i128::from(units) * 1000)
    }

    pub fn from_millis(millis: i64) -> Self {
        Self(i128::from(millis))
    }

    /// Thousandths of a unit (millicores for CPU), saturating.
    pub fn millis(self) -> i64 {
        clamp(self.0)
    }

    /// Whole units, rounded up (bytes for memory), saturating.
    pub fn units(self) -> i64 {
        clamp(self.0.div_euclid(1000) + i128::from(self.0.rem_euclid(1000) != 0))
    }

    /// # Errors
    /// When the text is not a quantity.
    pub fn parse(text: &str) -> Result<Self, NotAQuantity> {
        let digits_end = text
            .char_indices()
            .find(|&(i, c)| !(c.is_ascii_digit() || c == '.' || (i == 0 && (c == '+' || c == '-'))))
            .map_or(text.len(), |(i, _)| i);
        let (number, suffix) = text.split_at(digits_end);
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(NotAQuantity);
        }
        // The value is digits * 10^-fraction.len() * scale; `scale` is a power of ten or of two.
        let digits: i128 = format!("0{whole}{fraction}").parse().unwrap_or(i128::MAX / 1_000_000);
        let scale = Scale::parse(suffix)?;
        let millis = scale.millis(digits, i32::try_from(fraction.len()).map_err(|_| NotAQuantity)?);
        Ok(Self(if negative { -millis } else { millis }))
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

enum Scale {
    Ten(i32),
    Two(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Result<Self, NotAQuantity> {
        Ok(match suffix {
            "" => Self::Ten(0),
            "n" => Self::Ten(-9),
            "u" => Self::Ten(-6),
            "m" => Self::Ten(-3),
            "k" => Self::Ten(3),
            "M" => Self::Ten(6),
            "G" => Self::Ten(9),
            "T" => Self::Ten(12),
            "P" => Self::Ten(15),
            "E" => Self::Ten(18),
            "Ki" => Self::Two(10),
            "Mi" => Self::Two(20),
            "Gi" => Self::Two(30),
            "Ti" => Self::Two(40),
            "Pi" => Self::Two(50),
            "Ei" => Self::Two(60),
            exponent => match exponent.strip_prefix(['e', 'E']) {
                Some(power) => Self::Ten(power.parse().map_err(|_| NotAQuantity)?),
                None => return Err(NotAQuantity),
            },
        })
    }

    /// `digits * 10^-decimals * scale` in thousandths, rounded up.
    fn millis(&self, digits: i128, decimals: i32) -> i128 {
        match *self {
            Self::Two(bits) => div_up(digits.saturating_mul(1000 << bits), power_of_ten(decimals)),
            Self::Ten(power) => match power.saturating_sub(decimals).saturating_add(3) {
                up @ 0.. => digits.saturating_mul(power_of_ten(up)),
                down => div_up(digits, power_of_ten(-down)),
            },
        }
    }
}

fn power_of_ten(power: i32) -> i128 {
    10_i128.saturating_pow(power.unsigned_abs())
}

fn div_up(value: i128, by: i128) -> i128 {
    value / by + i128::from(value % by != 0)
}

impl std::ops::Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

/// In the shortest decimal form: `500m`, `2`.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}", self.0 / 1000),
            _ => write!(f, "{}m", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suffix_means_what_kubernetes_says() {
        let cases = [
            ("1", 1000),
            ("500m", 500),
            ("0.5", 500),
            ("1.5Gi", 1536 * 1024 * 1024 * 1000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("1E3", 1_000_000),
            ("100u", 1),
            ("-1", -1000),
            ("+2", 2000),
            (".5", 500),
            ("1Ki", 1_024_000),
            ("12e-1", 1200),
            ("3.", 3000),
        ];
        for (text, millis) in cases {
            assert_eq!(Quantity::parse(text), Ok(Quantity(millis)), "{text}");
        }
        for text in ["", "m", "1.2.3", "1x", "1mi", "e3", "--1", "1 Gi", "."] {
            assert_eq!(Quantity::parse(text), Err(NotAQuantity), "{text}");
        }
    }

    #[test]
    fn equal_amounts_are_equal_however_written() {
        assert_eq!(Quantity::parse("1000m"), Quantity::parse("1"));
        assert_eq!(Quantity::parse("3072Mi"), Quantity::parse("3Gi"));
        assert_eq!(Quantity::parse("1").unwrap().to_string(), "1");
        assert_eq!(Quantity::parse("0.25").unwrap().to_string(), "250m");
    }

    #[test]
    fn absurd_amounts_saturate_and_do_not_panic() {
        let huge = Quantity::parse(&"9".repeat(60)).unwrap();
        assert!(huge.units() > 0);
        assert!(Quantity::parse("9e999999999").unwrap().millis() > 0);
        assert_eq!(Quantity::parse("1e-999999999").unwrap().units(), 1);
    }
}
