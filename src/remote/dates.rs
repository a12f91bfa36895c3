//! The dates of S3: in headers, in lists, in signatures.

use std::time::{Duration, SystemTime};

const DAY_S: u64 = 86_400;

/// `20130524T000000Z`, as signatures have it.
pub(super) fn compact(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = civil(seconds / DAY_S);
    let (hour, minute, second) = (seconds % DAY_S / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The time that `2009-10-12T17:50:30.000Z` says, as lists have it.
pub(super) fn iso(text: &str) -> Option<SystemTime> {
    let (date, time) = text.trim().strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let is_date =
        (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    // A leap second is one.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !(is_date && is_time && is_fraction) {
        return None;
    }
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    let seconds = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_secs_f64(fraction))
}

/// Days from 1970-01-01, from Howard Hinnant's `days_from_civil`: years begin in March, so that a leap day ends one.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// The inverse, `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back_as_they_were() {
        for day in 0..60_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY_S + 3661);
            // Another library's calendar.
            let header = httpdate::fmt_http_date(time);
            let own = compact(time);
            assert_eq!(&header[5..7], &own[6..8], "{header} {own}");
            assert_eq!(&header[12..16], &own[..4], "{header} {own}");
            assert_eq!(&own[8..], "T010101Z");
        }
        let time = iso("2013-05-24T00:00:01.500Z").unwrap();
        assert_eq!(compact(time), "20130524T000001Z");
        assert_eq!(iso("2013-05-24T00:00:01Z"), iso("2013-05-24T00:00:01.000Z"));
        for wrong in [
            "",
            "2013-05-24",
            "2013-13-24T00:00:00Z",
            "x-y-zTa:b:cZ",
            "2013-05-24T99999999999999999:00:00Z",
            "2013-05-24T00:00:18446744073709551615Z",
            "2013-05-24T00:00:01.1e999Z",
            "99999999999999999-05-24T00:00:01Z",
        ] {
            assert_eq!(iso(wrong), None);
        }
    }
}
