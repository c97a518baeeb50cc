//! Reads the schedule of a CronJob: five fields or a descriptor such as `@daily`. Pure; when the next run is due is
//! the controller's to compute out of the fields. The dialect and the words of its refusals are those of the cron
//! library that Kubernetes uses: Sunday is 0 (not 7), names are of three letters, `N/step` means `N-max/step`.

use std::time::Duration;

/// When something is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    Fields(Fields),
    /// `@every 1h30m`: at this distance from the run before, in whole seconds.
    Every(Duration),
}

/// The minutes, hours, days, months and weekdays on which to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    pub minute: Field,
    pub hour: Field,
    pub day: Field,
    pub month: Field,
    pub weekday: Field,
}

/// The values of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bit `n` stands for the value `n`.
    pub bits: u64,
    /// The field is `*` or `?`. A day must match both day fields if one is a star, else it is enough to match one.
    pub star: bool,
}

impl Field {
    pub fn has(self, value: u32) -> bool {
        value < u64::BITS && self.bits >> value & 1 == 1
    }
}

/// Why a text is no schedule, in the words of the field's cron library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASchedule {
    #[error("empty spec string")]
    Empty,
    #[error("expected exactly 5 fields, found {}: [{}]", .0.len(), .0.join(" "))]
    Fields(Vec<String>),
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    #[error("failed to parse duration {spec}: time: {}", quoted_duration(.duration))]
    Duration { spec: String, duration: String },
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    #[error("too many slashes: {0}")]
    Slashes(String),
    #[error("failed to parse int from {0}: strconv.Atoi: parsing {0:?}: invalid syntax")]
    Number(String),
    #[error("negative number ({number}) not allowed: {text}")]
    Negative { number: i64, text: String },
    #[error("beginning of range ({start}) below minimum ({min}): {range}")]
    BelowMinimum { start: u32, min: u32, range: String },
    #[error("end of range ({end}) above maximum ({max}): {range}")]
    AboveMaximum { end: u32, max: u32, range: String },
    #[error("beginning of range ({start}) beyond end of range ({end}): {range}")]
    Backwards { start: u32, end: u32, range: String },
    #[error("step of range should be a positive number: {0}")]
    Step(String),
    #[error("provided bad location {0}: unknown time zone {0}")]
    Zone(String),
}

fn quoted_duration(text: &str) -> String {
    format!("invalid duration {text:?}")
}

/// What a field may hold.
struct Bounds {
    min: u32,
    max: u32,
    /// Names of the values, from `min` on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// # Errors
/// When the text is no schedule. A leading `TZ=` or `CRON_TZ=` is understood (and otherwise left to the caller).
pub fn parse(text: &str) -> Result<Schedule, NotASchedule> {
    if text.is_empty() {
        return Err(NotASchedule::Empty);
    }
    let text = without_zone(text)?;
    if text.starts_with('@') {
        return descriptor(text);
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let &[minute, hour, day, month, weekday] = parts.as_slice() else {
        return Err(NotASchedule::Fields(parts.into_iter().map(str::to_owned).collect()));
    };
    Ok(Schedule::Fields(Fields {
        minute: field(minute, &MINUTES)?,
        hour: field(hour, &HOURS)?,
        day: field(day, &DAYS)?,
        month: field(month, &MONTHS)?,
        weekday: field(weekday, &WEEKDAYS)?,
    }))
}

fn without_zone(text: &str) -> Result<&str, NotASchedule> {
    let Some(rest) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) else { return Ok(text) };
    let (zone, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if is_zone(zone) { Ok(rest.trim()) } else { Err(NotASchedule::Zone(zone.to_owned())) }
}

/// Whether the time zone database has the name, spelled as it is there.
pub fn is_zone(name: &str) -> bool {
    matches!(name, "" | "UTC" | "Local")
        || jiff::tz::TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

fn descriptor(text: &str) -> Result<Schedule, NotASchedule> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(every) = text.strip_prefix("@every ") else {
                return Err(NotASchedule::Descriptor(text.to_owned()));
            };
            let wrong = || NotASchedule::Duration { spec: text.to_owned(), duration: every.to_owned() };
            let seconds = duration(every).ok_or_else(wrong)?;
            return Ok(Schedule::Every(Duration::from_secs(seconds.max(1))));
        }
    };
    parse(fields)
}

/// The whole seconds of a duration such as `1h30m` or `1.5h`; negative ones count as none.
fn duration(text: &str) -> Option<u64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut seconds = 0.0;
    let mut any = false;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
        any = true;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
    any.then_some(if negative { 0 } else { seconds as u64 })
}

/// A list of ranges, each with an optional step.
fn field(text: &str, bounds: &Bounds) -> Result<Field, NotASchedule> {
    let mut all = Field { bits: 0, star: false };
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let Field { bits, star } = range_of(range, bounds)?;
        all.bits |= bits;
        all.star |= star;
    }
    Ok(all)
}

fn range_of(text: &str, bounds: &Bounds) -> Result<Field, NotASchedule> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let any = matches!(ends[0], "*" | "?");
    let (start, mut end) = match ends.as_slice() {
        _ if any => (bounds.min, bounds.max),
        [one] => {
            let value = value(one, bounds)?;
            (value, value)
        }
        [start, end] => (value(start, bounds)?, value(end, bounds)?),
        _ => return Err(NotASchedule::Hyphens(text.to_owned())),
    };
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            if ends.len() == 1 {
                end = bounds.max;
            }
            number(step)?
        }
        _ => return Err(NotASchedule::Slashes(text.to_owned())),
    };
    let range = text.to_owned();
    if start < bounds.min {
        return Err(NotASchedule::BelowMinimum { start, min: bounds.min, range });
    }
    if end > bounds.max {
        return Err(NotASchedule::AboveMaximum { end, max: bounds.max, range });
    }
    if start > end {
        return Err(NotASchedule::Backwards { start, end, range });
    }
    let stride = usize::try_from(step).unwrap_or(usize::MAX);
    if stride == 0 {
        return Err(NotASchedule::Step(range));
    }
    let bits = (start..=end).step_by(stride).fold(0, |bits, value| bits | 1 << value);
    Ok(Field { bits, star: any && step == 1 })
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, NotASchedule> {
    let lower = text.to_lowercase();
    match bounds.names.iter().zip(bounds.min..).find(|(name, _)| **name == lower) {
        Some((_, value)) => Ok(value),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, NotASchedule> {
    let number: i64 = text.parse().map_err(|_| NotASchedule::Number(text.to_owned()))?;
    if number < 0 {
        return Err(NotASchedule::Negative { number, text: text.to_owned() });
    }
    u32::try_from(number).map_err(|_| NotASchedule::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        match parse(text) {
            Ok(Schedule::Fields(fields)) => fields,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn values(field: Field) -> Vec<u32> {
        (0..64).filter(|value| field.has(*value)).collect()
    }

    #[test]
    fn ranges_steps_lists_and_names_give_their_values() {
        let read = fields("*/20 1-3,22/1 1 JAN-mar Mon,fri");
        assert_eq!(values(read.minute), [0, 20, 40]);
        assert_eq!(values(read.hour), [1, 2, 3, 22, 23]);
        assert_eq!(values(read.day), [1]);
        assert_eq!(values(read.month), [1, 2, 3]);
        assert_eq!(values(read.weekday), [1, 5]);
        assert!(!read.minute.star && fields("* * * * ?").weekday.star);
        assert_eq!(values(fields("50/5 * * * *").minute), [50, 55]);
    }

    #[test]
    fn descriptors_stand_for_fields_or_a_distance() {
        assert_eq!(parse("@daily"), parse("0 0 * * *"));
        assert_eq!(parse("@annually"), parse("0 0 1 1 *"));
        assert_eq!(parse("@every 1h30m"), Ok(Schedule::Every(Duration::from_secs(5400))));
        assert_eq!(parse("@every 10ms"), Ok(Schedule::Every(Duration::from_secs(1))));
        assert_eq!(parse("TZ=Europe/Berlin 5 4 * * *"), parse("5 4 * * *"));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let cases = [
            ("", "empty spec string"),
            ("a b", "expected exactly 5 fields, found 2: [a b]"),
            ("@never", "unrecognized descriptor: @never"),
            ("@every 1x", "failed to parse duration @every 1x: time: invalid duration \"1x\""),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("*/1/2 * * * *", "too many slashes: */1/2"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("TZ=Nope 1 * * * *", "provided bad location Nope: unknown time zone Nope"),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text).expect_err(text).to_string(), why, "{text}");
        }
    }
}
