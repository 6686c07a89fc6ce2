//! Points in time as they are written on a command line. Pure.

use jiff::{Span, Timestamp, ToSpan, Zoned, civil::DateTime};

/// A point in time as it was written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// Known as it is.
    At(Timestamp),
    /// By the clock on the wall.
    Local(DateTime),
    /// This long ago.
    Ago(Span),
}

/// What is accepted, for errors.
const ACCEPTED: &str = "expected how long ago (`10m`, `1h30m`, `2d`), a time (`2026-11-23T10:00:00Z`, or `2026-11-23 10:00` by this \
                        machine's clock), or seconds since 1970 (`1795402963.5`)";

impl Moment {
    /// Reads what a person wrote. The error says what is accepted.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        from_seconds(text)
            .map(Self::At)
            .or_else(|| text.parse().ok().map(Self::At))
            .or_else(|| text.parse().ok().map(Self::Local))
            .or_else(|| {
                let span: Span = text.parse().ok()?;
                (span.is_positive() || span.is_zero()).then_some(Self::Ago(span))
            })
            .ok_or_else(|| ACCEPTED.to_owned())
    }

    /// The point in time, when it is `now` here; `None` beyond all calendars.
    #[must_use]
    pub(crate) fn resolve(&self, now: &Zoned) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(*time),
            Self::Local(time) => Some(time.to_zoned(now.time_zone().clone()).ok()?.timestamp()),
            Self::Ago(span) => Some(now.checked_sub(*span).ok()?.timestamp()),
        }
    }
}

/// Seconds since 1970, with at most nine decimals.
fn from_seconds(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A year stands for no second of 1970.
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 || seconds.len() < 6 {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let time = Timestamp::from_second(seconds.parse().ok()?).ok()?;
    time.checked_add(nanos.nanoseconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> String {
        let now: Zoned = "2026-11-23T12:00:00+01:00[+01:00]".parse().unwrap();
        Moment::parse(text)
            .unwrap()
            .resolve(&now)
            .unwrap()
            .to_string()
    }

    #[test]
    fn people_write_times_in_many_ways() {
        for (text, time) in [
            ("10m", "2026-11-23T10:50:00Z"),
            ("1h30m", "2026-11-23T09:30:00Z"),
            ("1h 30m", "2026-11-23T09:30:00Z"),
            ("2d", "2026-11-21T11:00:00Z"),
            ("0s", "2026-11-23T11:00:00Z"),
            ("1.5s", "2026-11-23T10:59:58.5Z"),
            ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
            ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00Z"),
            ("2026-11-23 10:00", "2026-11-23T09:00:00Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("1795402963", "2026-11-23T03:02:43Z"),
            ("1795402963.5", "2026-11-23T03:02:43.5Z"),
        ] {
            assert_eq!(resolved(text), time, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_is() {
        for text in [
            "",
            "yesterday",
            "10",
            "-10m",
            "10 parsecs",
            "25:00",
            "2026-13-01",
            "1.2.3",
        ] {
            let error = Moment::parse(text).unwrap_err();
            assert!(error.contains("`10m`"), "{text}: {error}");
        }
    }
}
