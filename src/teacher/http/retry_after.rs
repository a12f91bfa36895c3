//! How long a server asks to be left alone.

use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

/// The wait that a response asks for: `retry-after-ms` (milliseconds, as OpenAI sends it), or
/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3). A date in the past means now.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| *value >= 0.0);
    if let Some(ms) = text("retry-after-ms").and_then(number) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let value = text("retry-after")?;
    if let Some(seconds) = number(value) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        // Sun, 06 Nov 1994 08:49:37 GMT, the RFC's example.
        retry_after(
            &headers,
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        )
    }

    #[test]
    fn seconds_milliseconds_and_dates() {
        assert_eq!(of("retry-after", " 7 "), Some(Duration::from_secs(7)));
        assert_eq!(of("retry-after", "0.25"), Some(Duration::from_millis(250)));
        assert_eq!(
            of("retry-after-ms", "120"),
            Some(Duration::from_millis(120))
        );
        let date = |value| of("retry-after", value);
        assert_eq!(
            date("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_mins(1))
        );
        assert_eq!(
            date("Sunday, 06-Nov-94 08:50:37 GMT"),
            Some(Duration::from_mins(1))
        );
        assert_eq!(date("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-3", "NaN", "inf", ""] {
            assert_eq!(of("retry-after", nonsense), None, "{nonsense}");
        }
    }
}
