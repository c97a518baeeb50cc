//! Compares and judges JSON numbers as exactly as they are written.

use std::cmp::Ordering;

use serde_json::Value;

/// By value: integers exactly, others as floating point.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => float(a).total_cmp(&float(b)),
    }
}

/// The number, if it is written as an integer.
pub fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

pub fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// `3` and `3.0` are integers, as JSON Schema has it.
pub fn is_whole(value: &Value) -> bool {
    integer(value).is_some() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
}

pub fn is_multiple(value: &Value, factor: &Value) -> bool {
    match (integer(value), integer(factor)) {
        (Some(value), Some(factor)) if factor != 0 => value % factor == 0,
        _ => {
            let ratio = float(value) / float(factor);
            ratio.is_finite() && ratio.fract() == 0.0
        }
    }
}

/// The number as Go's `%v` prints it.
pub fn shown(value: &Value) -> String {
    match integer(value) {
        Some(integer) => integer.to_string(),
        None => {
            let number = float(value);
            let magnitude = number.abs();
            if number.fract() == 0.0 && magnitude < 1e21 {
                format!("{number:.0}")
            } else if !(1e-4..1e21).contains(&magnitude) {
                go_exponent(number)
            } else {
                number.to_string()
            }
        }
    }
}

/// `1e+21`: Go writes the sign and at least two digits of an exponent.
fn go_exponent(number: f64) -> String {
    let text = format!("{number:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_and_divided_by_value() {
        assert_eq!(compare(&json!(1), &json!(1.0)), Ordering::Equal);
        assert_eq!(compare(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)), Ordering::Greater);
        assert!(is_multiple(&json!(7.5), &json!(2.5)));
        assert!(!is_multiple(&json!(7), &json!(2)));
        assert!(!is_multiple(&json!(7), &json!(0)));
        assert!(is_whole(&json!(3.0)) && !is_whole(&json!(1.5)));
    }

    #[test]
    fn numbers_are_shown_as_go_shows_them() {
        for (value, want) in [(json!(10), "10"), (json!(2.5), "2.5"), (json!(10.0), "10"), (json!(1e21), "1e+21")] {
            assert_eq!(shown(&value), want);
        }
    }
}
