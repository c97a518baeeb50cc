//! How long ago something was, in the few letters that fit a column. Two units at most, and fewer the longer it is.

use jiff::Timestamp;
use serde_json::Value;

const UNKNOWN: &str = "<unknown>";

/// The time since `then`, a time in JSON; `<unknown>` when there is none.
pub fn since(then: &Value, now: Timestamp) -> String {
    parse(then).map_or_else(|| UNKNOWN.to_owned(), |then| short(now.as_second() - then.as_second()))
}

pub fn parse(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

/// `45s`, `5m10s`, `3h2m`, `2d`, `400d`, `3y12d`.
pub fn short(seconds: i64) -> String {
    let two = |large: i64, unit: &str, small: i64, smaller: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{smaller}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[test]
fn a_duration_has_as_many_units_as_help() {
    let (minute, hour, day) = (60, 3600, 86_400);
    let cases = [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * minute, "2m"),
        (5 * minute + 10, "5m10s"),
        (10 * minute + 10, "10m"),
        (179 * minute, "179m"),
        (3 * hour, "3h"),
        (3 * hour + 2 * minute, "3h2m"),
        (8 * hour + 2 * minute, "8h"),
        (47 * hour, "47h"),
        (2 * day, "2d"),
        (3 * day + 4 * hour, "3d4h"),
        (8 * day + 4 * hour, "8d"),
        (729 * day, "729d"),
        (730 * day, "2y"),
        (1000 * day, "2y270d"),
        (4000 * day, "10y"),
    ];
    for (seconds, want) in cases {
        assert_eq!(short(seconds), want, "{seconds}");
    }
}
