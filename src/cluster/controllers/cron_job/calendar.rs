//! The times of a schedule, in its time zone. Pure. Where clocks are put forward, times that do not exist are left out;
//! where they are put back, times that come twice are there twice, as with the cron library of Kubernetes.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

use crate::object::cron::{Fields, Schedule};

/// A schedule that has no time within so many years has none.
const YEARS: i16 = 5;

/// The first time after `after`; `None` when there is none soon.
pub fn next(schedule: &Schedule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let second = Timestamp::from_second(after.as_second()).ok()?;
    let fields = match schedule {
        Schedule::Every(distance) => return second.checked_add(*distance).ok(),
        Schedule::Fields(fields) => fields,
    };
    if [fields.minute, fields.hour, fields.month].iter().any(|field| field.bits == 0) {
        return None;
    }
    let mut time = second.checked_add(SignedDuration::from_secs(1)).ok()?.to_zoned(zone.clone());
    let last_year = time.year() + YEARS;
    while time.year() <= last_year {
        match step(fields, &time)? {
            ControlFlow::Break(()) => return Some(time.timestamp()),
            ControlFlow::Continue(later) => time = later,
        }
    }
    None
}

/// Whether the time is one of the schedule's, or the next that may be.
fn step(fields: &Fields, time: &Zoned) -> Option<ControlFlow<(), Zoned>> {
    let value = |value: i8| u32::try_from(value).unwrap_or(0);
    let later = if !fields.month.has(value(time.month())) {
        time.first_of_month().ok()?.checked_add(Span::new().months(1)).ok()?.start_of_day().ok()?
    } else if !is_day(fields, time) {
        time.tomorrow().ok()?.start_of_day().ok()?
    } else if !fields.hour.has(value(time.hour())) {
        // By absolute time, so that an hour that comes twice is looked at twice.
        let past = i64::from(time.minute()) * 60 + i64::from(time.second());
        time.checked_add(SignedDuration::from_secs(3600 - past)).ok()?
    } else if !fields.minute.has(value(time.minute())) || time.second() != 0 {
        time.checked_add(SignedDuration::from_secs(60 - i64::from(time.second()))).ok()?
    } else {
        return Some(ControlFlow::Break(()));
    };
    Some(ControlFlow::Continue(later))
}

/// Of the two day fields both must match when one is a star, and one must when both name days.
fn is_day(fields: &Fields, time: &Zoned) -> bool {
    let day = fields.day.has(u32::try_from(time.day()).unwrap_or(0));
    let weekday = fields.weekday.has(u32::try_from(time.weekday().to_sunday_zero_offset()).unwrap_or(0));
    if fields.day.star || fields.weekday.star { day && weekday } else { day || weekday }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::cron;

    fn times(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (schedule, zone) = (cron::parse(schedule).unwrap(), TimeZone::get(zone).unwrap());
        let mut time: Timestamp = after.parse().unwrap();
        let mut times = Vec::new();
        while times.len() < count {
            let Some(next) = next(&schedule, &zone, time) else { break };
            times.push(next.to_zoned(zone.clone()).strftime("%m-%dT%H:%M%:z").to_string());
            time = next;
        }
        times
    }

    #[test]
    fn each_field_narrows_the_times() {
        for (schedule, after, want) in [
            ("* * * * *", "2026-01-01T00:00:00Z", ["01-01T00:01+00:00", "01-01T00:02+00:00"]),
            ("* * * * *", "2026-01-01T00:00:59.5Z", ["01-01T00:01+00:00", "01-01T00:02+00:00"]),
            ("*/20 3 * * *", "2026-01-01T03:20:00Z", ["01-01T03:40+00:00", "01-02T03:00+00:00"]),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", ["02-29T00:00+00:00", ""]),
            ("0 12 13 * fri", "2026-02-01T00:00:00Z", ["02-06T12:00+00:00", "02-13T12:00+00:00"]),
            ("0 12 * * mon-wed", "2026-02-01T00:00:00Z", ["02-02T12:00+00:00", "02-03T12:00+00:00"]),
            ("0 0 31 12 ?", "2026-12-31T00:00:00Z", ["12-31T00:00+00:00", "12-31T00:00+00:00"]),
            ("@every 90m", "2026-01-01T00:00:30.7Z", ["01-01T01:30+00:00", "01-01T03:00+00:00"]),
        ] {
            let want: Vec<&str> = want.into_iter().filter(|time| !time.is_empty()).collect();
            assert_eq!(times(schedule, "UTC", after, 2)[..want.len()], want, "{schedule}");
        }
        assert_eq!(times("59 23 31 2 *", "UTC", "2026-01-01T00:00:00Z", 1), [""; 0]);
        assert_eq!(times(", * * * *", "UTC", "2026-01-01T00:00:00Z", 1), [""; 0]);
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_are_followed() {
        let berlin = |schedule, after, count| times(schedule, "Europe/Berlin", after, count);
        // On 29 March 2026 it is 3 o'clock after 1:59.
        assert_eq!(berlin("30 2 * * *", "2026-03-28T12:00:00Z", 1), ["03-30T02:30+02:00"]);
        assert_eq!(berlin("0 * * * *", "2026-03-29T00:30:00Z", 2), ["03-29T03:00+02:00", "03-29T04:00+02:00"]);
        // On 25 October 2026 it is 2 o'clock again after 2:59.
        assert_eq!(berlin("30 2 * * *", "2026-10-24T12:00:00Z", 2), ["10-25T02:30+02:00", "10-25T02:30+01:00"]);
        // In São Paulo there was no midnight on 4 November 2018.
        let paulo = times("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 1);
        assert_eq!(paulo, ["11-05T00:00-02:00"]);
    }
}
