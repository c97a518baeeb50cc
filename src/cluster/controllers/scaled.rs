//! Numbers that may be percentages of others. Pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    Up,
    Down,
}

/// A number, or a percentage of `of`. What is neither reads as zero; the registry refuses it.
pub fn scaled(value: &IntOrString, of: i32, rounding: Rounding) -> i32 {
    let percent = match value {
        IntOrString::Int(number) => return (*number).max(0),
        IntOrString::String(text) => text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).unwrap_or(0),
    };
    let hundredths = percent.max(0).saturating_mul(i64::from(of));
    let whole = match rounding {
        Rounding::Up => hundredths.saturating_add(99) / 100,
        Rounding::Down => hundredths / 100,
    };
    i32::try_from(whole).unwrap_or(i32::MAX)
}
